//! The HTTP machine, case by case: request lines, fields, expectations, keeping and closing.

use super::machine::{all_ways, chunked, get, post, refused, run, taken};

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
