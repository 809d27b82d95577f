//! The HTTP machine, case by case: each one whole, byte by byte, and with a good request behind it,
//! which must be answered if and only if the connection is kept.

mod machine;

use machine::{run, run_late, Transcript, LIMIT};
use proptest::prelude::*;

const NEXT: &[u8] = b"GET /next HTTP/1.1\r\nHost: h\r\n\r\n";

/// Runs a case in all three ways.
fn all_ways(case: &[u8]) -> Transcript {
    let whole = run([case], false);
    let bytes = run(case.chunks(1), false);
    assert_eq!(whole, bytes, "cut into bytes: {}", case.escape_ascii());

    let mut with_next = run([&[case, NEXT].concat()[..]], true);
    let late_next = run([case, NEXT], true);
    assert_eq!(
        with_next,
        late_next,
        "next comes late: {}",
        case.escape_ascii()
    );
    let answered = with_next
        .requests
        .last()
        .is_some_and(|(line, _)| line == "Get /next None");
    assert_eq!(
        answered,
        !whole.closed,
        "the next request: {}",
        case.escape_ascii()
    );
    if answered {
        with_next.requests.pop();
    }
    assert_eq!(with_next.requests, whole.requests);
    whole
}

/// The connection hands the request out, answers it, and stays open.
fn taken(case: impl AsRef<[u8]>, line: &str, body: &[u8]) {
    let case = case.as_ref();
    let seen = all_ways(case);
    let shown = case.escape_ascii();
    assert_eq!(seen.requests, [(line.to_owned(), body.to_vec())], "{shown}");
    assert!(seen.refused.is_empty(), "{shown}");
    assert!(!seen.closed, "closed after {shown}");
}

/// The connection refuses by itself, with JSON that says why, and closes.
fn refused(case: impl AsRef<[u8]>, status: u16) {
    let case = case.as_ref();
    let seen = all_ways(case);
    let shown = case[..case.len().min(200)].escape_ascii();
    assert_eq!(seen.refused, [status], "{shown}");
    assert!(seen.requests.is_empty() && seen.closed, "{shown}");
    let answers = seen.answers();
    assert_eq!(answers.len(), 1, "{shown}");
    assert_eq!(answers[0].status, status, "{shown}");
    assert_eq!(answers[0].field("Connection"), Some("close"), "{shown}");
    assert_eq!(
        answers[0].field("Content-Type"),
        Some("application/json"),
        "{shown}"
    );
    let body: serde_json::Value = serde_json::from_slice(&answers[0].body).unwrap();
    assert!(
        body["detail"]
            .as_str()
            .is_some_and(|sentence| sentence.len() > 20),
        "{shown}"
    );
}

fn get(fields: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n")
}

fn post(fields: &str, body: &str) -> String {
    format!("POST /p HTTP/1.1\r\nHost: h\r\n{fields}\r\n{body}")
}

fn chunked(body: &str) -> String {
    post("Transfer-Encoding: chunked\r\n", body)
}

#[test]
fn targets() {
    for (target, path, query) in [
        ("/a%2fb/", "/a%2fb/", "None"),
        ("/a?b=1&c?d", "/a", "Some(\"b=1&c?d\")"),
        ("/a?", "/a", "Some(\"\")"),
        ("//x//", "//x//", "None"),
        ("http://h/a?b", "/a", "Some(\"b\")"),
        ("HTTPS://user.example:80/a", "/a", "None"),
        ("http://[::1]:8080/a", "/a", "None"),
        ("http://h", "/", "None"),
        ("http://h?b", "/", "Some(\"b\")"),
    ] {
        let case = format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n");
        taken(case, &format!("Get {path} {query}"), b"");
    }
    taken(
        "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
        "Options * None",
        b"",
    );
    taken(
        "CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n",
        "Other h:80 None",
        b"",
    );
    for target in [
        "*",
        "a",
        "/a#b",
        "/é",
        "/\x7f",
        "/a\tb",
        "h:80",
        "ftp://h/",
        "http:///a",
        "http://:1/",
        "http://u@h/",
        "http://h:x/",
        "http://[::1/",
        "",
    ] {
        refused(format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
    }
    refused(b"GET /\xff HTTP/1.1\r\nHost: h\r\n\r\n", 400);
    refused("CONNECT /a HTTP/1.1\r\nHost: h\r\n\r\n", 400);
    refused("CONNECT h HTTP/1.1\r\nHost: h\r\n\r\n", 400);
    refused("OPTIONS h:80 HTTP/1.1\r\nHost: h\r\n\r\n", 400);
}

#[test]
fn methods_are_case_sensitive() {
    for (name, shown) in [
        ("GET", "Get"),
        ("POST", "Post"),
        ("PUT", "Put"),
        ("DELETE", "Delete"),
        ("OPTIONS", "Options"),
        ("get", "Other"),
        ("PATCH", "Other"),
        ("M-SEARCH", "Other"),
    ] {
        taken(
            format!("{name} / HTTP/1.1\r\nHost: h\r\n\r\n"),
            &format!("{shown} / None"),
            b"",
        );
    }
}

#[test]
fn versions() {
    for version in ["HTTP/2.0", "HTTP/0.9", "HTTP/1.2", "HTTP/3.1"] {
        refused(format!("GET / {version}\r\nHost: h\r\n\r\n"), 505);
    }
    for version in [
        "HTTP/1",
        "HTTP/1.x",
        "http/1.1",
        "HTTP/1.10",
        "HTTP/11",
        "FTTP/1.1",
        "1.1",
    ] {
        refused(format!("GET / {version}\r\nHost: h\r\n\r\n"), 400);
    }
    refused("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505);
}

#[test]
fn request_lines() {
    taken(format!("\r\n{}", get("")), "Get / None", b"");
    for line in [
        "GET /\r\n",
        "GET  / HTTP/1.1\r\n",
        "GET / HTTP/1.1 \r\n",
        "GET /  HTTP/1.1\r\n",
        "GET\t/ HTTP/1.1\r\n",
        " GET / HTTP/1.1\r\n",
        "G(T / HTTP/1.1\r\n",
        "\r\n\r\nGET / HTTP/1.1\r\n",
        "\nGET / HTTP/1.1\r\n",
        "\rGET / HTTP/1.1\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\r\n",
        "{\"topic\":1}\r\n",
    ] {
        refused(format!("{line}Host: h\r\n\r\n"), 400);
    }
    refused("GET / HTTP/1.1\nHost: h\n\n", 400);
}

#[test]
fn header_fields() {
    taken(
        get("X:\r\nY: \t a b \t\r\nZ: caf\u{e9}\r\n"),
        "Get / None",
        b"",
    );
    for fields in [
        "X : a\r\n",
        "X\t: a\r\n",
        "X: a\r\n b\r\n",
        "X: a\r\n\tb\r\n",
        " X: a\r\n",
        "X\r\n",
        ": a\r\n",
        "X y: a\r\n",
        "X: a\0b\r\n",
        "X: a\x01b\r\n",
        "X: a\x7fb\r\n",
        "X: a\rb\r\n",
        "X: a\nY: b\r\n",
        "X: a\r\r\n",
        "\u{e9}: a\r\n",
    ] {
        refused(get(fields), 400);
    }
}

#[test]
fn host() {
    for host in [
        "",
        "h",
        "h:80",
        "h:",
        "127.0.0.1:8080",
        "[::1]",
        "[::1]:80",
        "a_b.c",
        "a%41",
    ] {
        taken(
            format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"),
            "Get / None",
            b"",
        );
    }
    for host in [
        "a b", "a/b", "h:80:80", "h:x", "[::1", "[]", "u@h", "h\u{e9}", "[::1]x",
    ] {
        refused(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"), 400);
    }
    refused("GET / HTTP/1.1\r\n\r\n", 400);
    refused(get("host: h\r\n"), 400);
    refused(
        "GET / HTTP/1.0\r\nHost: h\r\nHost: h\r\nConnection: keep-alive\r\n\r\n",
        400,
    );
    taken(
        "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        "Get / None",
        b"",
    );
}

#[test]
fn content_length() {
    taken(post("Content-Length: 3\r\n", "abc"), "Post /p None", b"abc");
    taken(
        post("content-length:\t003 \r\n", "abc"),
        "Post /p None",
        b"abc",
    );
    taken(
        post("Content-Length: 3, 3\r\nContent-Length: 3\r\n", "abc"),
        "Post /p None",
        b"abc",
    );
    taken(post("Content-Length: 0\r\n", ""), "Post /p None", b"");
    taken(post("", ""), "Post /p None", b"");
    let full = "x".repeat(LIMIT);
    taken(
        post("Content-Length: 1000\r\n", &full),
        "Post /p None",
        full.as_bytes(),
    );
    for length in [
        "+1",
        "-1",
        "1,2",
        "",
        ",",
        "1,",
        "0x1",
        "1 1",
        "1.0",
        "1e0",
        "one",
        "9223372036854775809",
        "18446744073709551616",
        "99999999999999999999999999",
    ] {
        refused(post(&format!("Content-Length: {length}\r\n"), "a"), 400);
    }
    refused(
        post("Content-Length: 1\r\nContent-Length: 2\r\n", "ab"),
        400,
    );
    refused(
        post("Content-Length: 1\r\nContent-Length: x\r\n", "ab"),
        400,
    );
    refused(post("Content-Length: 1001\r\n", ""), 413);
    refused(post("Content-Length: 9223372036854775808\r\n", ""), 413);
}

#[test]
fn transfer_encoding() {
    taken(chunked("3\r\nabc\r\n0\r\n\r\n"), "Post /p None", b"abc");
    taken(
        post("transfer-encoding: CHUNKED\r\n", "0\r\n\r\n"),
        "Post /p None",
        b"",
    );
    let body = "3\r\nabc\r\n0\r\n\r\n";
    for codings in [
        "gzip, chunked",
        "identity, chunked",
        "gzip;q=1, chunked",
        "gzip\r\nTransfer-Encoding: chunked",
    ] {
        refused(
            post(&format!("Transfer-Encoding: {codings}\r\n"), body),
            501,
        );
    }
    for codings in [
        "",
        ",",
        "gzip",
        "identity",
        "xchunked",
        "chunkedx",
        "chunked, gzip",
        "chunked, chunked",
        "chunked;a=b",
        "chunked,",
        ", chunked",
        "\"chunked\"",
        "chunked chunked",
        "\x0bchunked",
        "chunked\r\nTransfer-Encoding: chunked",
        "chunked\r\nTransfer-Encoding: gzip",
        "chunked\r\nTransfer-Encoding:",
    ] {
        refused(
            post(&format!("Transfer-Encoding: {codings}\r\n"), body),
            400,
        );
    }
    refused(
        post("Transfer-Encoding: chunked\r\nContent-Length: 13\r\n", body),
        400,
    );
    refused(
        post("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", body),
        400,
    );
    let fields = "Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n";
    refused(format!("POST / HTTP/1.0\r\n{fields}\r\n{body}"), 400);
}

#[test]
fn chunks() {
    for body in [
        "1\r\na\r\n2\r\nbc\r\n0\r\n\r\n",
        "00003\r\nabc\r\n000\r\n\r\n",
        "3;a=b;c=\"d e\"\r\nabc\r\n0;x\r\n\r\n",
        "3 ;a\r\nabc\r\n0\t;\r\n\r\n",
        "3\r\nabc\r\n0\r\nA: b\r\nC:\r\n\r\n",
        "3\r\nabc\r\n0\r\nTransfer-Encoding: x\r\nContent-Length: 7\r\n\r\n",
    ] {
        taken(chunked(body), "Post /p None", b"abc");
    }
    let digits = "0123456789abcdef".repeat(2);
    taken(
        chunked(&format!("1F\r\n{}\r\n1\r\nf\r\n0\r\n\r\n", &digits[..31])),
        "Post /p None",
        digits.as_bytes(),
    );
    for body in [
        "\r\n",
        "g\r\n",
        "+3\r\nabc\r\n",
        "-1\r\n",
        "0x3\r\nabc\r\n",
        " 3\r\nabc\r\n",
        "3 \r\nabc\r\n",
        "3 3\r\nabc\r\n",
        ";a\r\n",
        "3\nabc\r\n",
        "3\rabc\r\n",
        "3;a\nabc\r\n",
        "3;a\rb\r\nabc\r\n",
        "3;a\0\r\nabc\r\n",
        "3\r\nabcd\r\n",
        "3\r\nabc0\r\n\r\n",
        "3\r\nabc\n0\r\n\r\n",
        "3\r\nabc\r0\r\n\r\n",
        "0\r\nA\r\n\r\n",
        "0\r\nA : b\r\n\r\n",
        "0\r\n A: b\r\n\r\n",
        "0\r\nA: b\n\r\n",
        "0\r\nA: b\0\r\n\r\n",
        "0\r\n\n",
        "0\r\n\rx",
        "10000000000000000\r\n",
        "fffffffffffffffff\r\n",
    ] {
        refused(chunked(body), 400);
    }
}

#[test]
fn chunks_have_bounds() {
    refused(chunked("3e9\r\n"), 413);
    refused(
        chunked(&format!("3e8\r\n{}\r\n1\r\n", "x".repeat(1000))),
        413,
    );
    refused(chunked("ffffffffffffffff\r\n"), 413);
    let fits = format!("0;{}\r\n\r\n", "x".repeat(4096 - 3));
    taken(chunked(&fits), "Post /p None", b"");
    refused(chunked(&format!("0;{}", "x".repeat(4096))), 400);
    refused(chunked(&format!("0\r\nA: {}", "x".repeat(8 * 1024))), 431);
    taken(
        chunked(&format!("0\r\n{}\r\n", "A: b\r\n".repeat(100))),
        "Post /p None",
        b"",
    );
    refused(chunked(&format!("0\r\n{}", "A: b\r\n".repeat(101))), 431);
}

#[test]
fn heads_have_bounds() {
    let target = format!("/{}", "x".repeat(8 * 1024 - 1));
    taken(
        format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n"),
        &format!("Get {target} None"),
        b"",
    );
    refused(format!("GET {target}x HTTP/1.1\r\nHost: h\r\n\r\n"), 414);
    refused(format!("GET {target}x"), 414);
    refused(format!("GET {target}x\n"), 414);
    refused(format!("{} / HTTP/1.1\r\n", "X".repeat(16 * 1024)), 431);

    taken(get(&"A: b\r\n".repeat(99)), "Get / None", b"");
    refused(get(&"A: b\r\n".repeat(100)), 431);
    let rest = 16 * 1024 - get("A: \r\n").len();
    taken(
        get(&format!("A: {}\r\n", "x".repeat(rest))),
        "Get / None",
        b"",
    );
    refused(get(&format!("A: {}\r\n", "x".repeat(rest + 1))), 431);
    refused(
        format!("GET / HTTP/1.1\r\nA: {}", "x".repeat(16 * 1024)),
        431,
    );
}

#[test]
fn expectations() {
    let fields = "Expect: 100-Continue\r\nContent-Length: 3\r\n";
    taken(post(fields, "abc"), "Post /p None", b"abc");
    refused(post("Expect: 200-ok\r\nContent-Length: 3\r\n", "abc"), 417);
    refused(
        post("Expect: 100-continue, x\r\nContent-Length: 3\r\n", "abc"),
        417,
    );
    refused(get("Expect: x\r\n"), 417);
    let kept = "Connection: keep-alive\r\nExpect: x\r\nContent-Length: 1\r\n";
    taken(
        format!("POST / HTTP/1.0\r\n{kept}\r\na"),
        "Post / None",
        b"a",
    );
    // The caller may have a better reason than the expectation to turn a head away.
    let early = run(
        [&b"GET /early HTTP/1.1\r\nHost: h\r\nExpect: x\r\n\r\n"[..]],
        false,
    );
    assert_eq!((early.statuses(), early.closed), (vec![404], false));
}

#[test]
fn an_early_answer_passes_a_short_body_by() {
    let early =
        |fields: &str, body: &str| format!("POST /early HTTP/1.1\r\nHost: h\r\n{fields}\r\n{body}");
    taken(
        early("Content-Length: 5\r\n", "GET /"),
        "Post /early None",
        b"",
    );
    let long = "x".repeat(64 * 1024);
    taken(
        early("Content-Length: 65536\r\n", &long),
        "Post /early None",
        b"",
    );
    for (fields, body) in [
        (
            "Content-Length: 65537\r\n",
            "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        ),
        ("Transfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        ("Expect: 100-continue\r\nContent-Length: 3\r\n", ""),
    ] {
        let seen = all_ways(early(fields, body).as_bytes());
        assert_eq!(seen.statuses(), [404]);
        assert!(seen.closed);
        assert_eq!(seen.answers()[0].field("Connection"), Some("close"));
    }
}

#[test]
fn keeping_and_closing() {
    for (case, connection) in [
        ("GET / HTTP/1.1\r\nHost: h\r\n\r\n", None),
        (
            "GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\n\r\n",
            None,
        ),
        (
            "GET / HTTP/1.1\r\nHost: h\r\nConnection: foo, CLOSE\r\n\r\n",
            Some("close"),
        ),
        (
            "GET / HTTP/1.1\r\nHost: h\r\nConnection: a\r\nConnection: close\r\n\r\n",
            Some("close"),
        ),
        ("GET / HTTP/1.0\r\n\r\n", Some("close")),
        (
            "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
            Some("keep-alive"),
        ),
        (
            "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n",
            Some("close"),
        ),
    ] {
        let seen = all_ways(case.as_bytes());
        assert_eq!(seen.statuses(), [200], "{case}");
        assert_eq!(seen.answers()[0].field("Connection"), connection, "{case}");
        assert_eq!(seen.closed, connection == Some("close"), "{case}");
    }
}

#[test]
fn an_answer_to_the_letter() {
    let seen = run([&b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"[..]], false);
    let expected =
        "HTTP/1.1 200 OK\r\nServer: log-aggregator\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
        Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n/a";
    assert_eq!(
        seen.output.escape_ascii().to_string(),
        expected.as_bytes().escape_ascii().to_string()
    );
}

#[test]
fn answers_without_a_body() {
    let seen = all_ways(b"HEAD /head HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(seen.answers()[0].field("Content-Length"), Some("5"));
    assert!(seen.output.ends_with(b"\r\n\r\n"));
    let seen = all_ways(b"GET /empty HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(seen.statuses(), [204]);
    assert_eq!(seen.answers()[0].field("Content-Length"), None);
    // What the connection itself answers to HEAD has no body either.
    let seen = run([&b"HEAD /head HTTP/1.1\r\n\r\n"[..]], false);
    assert_eq!(seen.refused, [400]);
    assert!(seen.output.ends_with(b"\r\n\r\n"));
}

#[test]
fn the_end_of_what_the_peer_sends() {
    assert_eq!(run([], true).output, b"");
    assert_eq!(run([&b"\r\n"[..]], true).output, b"");
    assert_eq!(run([get("").as_bytes()], true).statuses(), [200]);
    for case in [
        get("X: y")[..20].to_owned(),
        post("Content-Length: 3\r\n", "ab"),
        chunked("3\r\nabc"),
    ] {
        let seen = run([case.as_bytes()], true);
        assert_eq!(seen.refused, [400], "{case}");
        assert_eq!(seen.statuses(), [400], "{case}");
    }
    let seen = run(
        [&b"POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\na"[..]],
        true,
    );
    assert_eq!(seen.statuses(), [404]);
}

/// Requests of every kind, some of which end the connection.
fn requests() -> impl Strategy<Value = Vec<u8>> {
    let one = prop_oneof![
        6 => Just(get("")),
        2 => Just(format!("\r\n{}", get("A: b\r\n"))),
        2 => Just("HEAD /head HTTP/1.1\r\nHost: h\r\n\r\n".to_owned()),
        4 => "[a-z\r\n]{0,40}".prop_map(|b| post(&format!("Content-Length: {}\r\n", b.len()), &b)),
        4 => prop::collection::vec("[a-z\r\n]{1,20}", 0..5).prop_map(|parts| {
            let chunks = parts.iter().map(|part| format!("{:x};e\r\n{part}\r\n", part.len()));
            chunked(&(chunks.collect::<String>() + "0\r\nT: t\r\n\r\n"))
        }),
        1 => Just("POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nabcd".to_owned()),
        1 => Just(get("Connection: close\r\n")),
        1 => Just(post("Content-Length: 2000\r\n", "x")),
        1 => Just(chunked("zz\r\n")),
        1 => Just(get("X : y\r\n")),
        1 => Just("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".to_owned()),
    ];
    prop::collection::vec(one, 1..8).prop_map(|all| all.concat().into_bytes())
}

fn pieces<'b>(bytes: &'b [u8], cuts: &[prop::sample::Index]) -> Vec<&'b [u8]> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
    at.sort_unstable();
    let starts = std::iter::once(0).chain(at.iter().copied());
    let ends = at.iter().copied().chain([bytes.len()]);
    starts
        .zip(ends)
        .map(|(start, end)| &bytes[start..end])
        .collect()
}

proptest! {
    #[test]
    fn it_does_not_matter_how_bytes_are_cut(
        bytes in requests(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        prop_assert_eq!(run([&bytes[..]], true), run(pieces(&bytes, &cuts), true));
    }

    #[test]
    fn it_does_not_matter_when_the_application_answers(
        bytes in requests(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        prop_assert_eq!(run([&bytes[..]], true), run_late(pieces(&bytes, &cuts), true));
    }

    #[test]
    fn damaged_bytes_neither_panic_nor_depend_on_the_cut(
        bytes in requests(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let mut bytes = bytes;
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        prop_assert_eq!(run([&bytes[..]], true), run(pieces(&bytes, &cuts), true));
    }
}
