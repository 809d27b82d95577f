//! `logagg search`, against a stand-in for what a server can answer, and against a server.

use rustix::process::Signal;
use serde_json::Value;

use crate::fake::{line, Fake, Reply};
use crate::harness::Server;
use crate::program::{command, run, run_at, Running};

/// A page of these seqs, as `/events` with filters gives it.
fn page(seqs: &[u64], next: Option<&str>) -> Reply {
    let events: Vec<String> = seqs
        .iter()
        .map(|seq| line(*seq).trim_end().to_owned())
        .collect();
    let next = next.map_or("null".to_owned(), |next| format!("\"{next}\""));
    let body = format!(
        r#"{{"topic":null,"count":{},"events":[{}],"next":{next},"scanned":5,"through":1,"elapsed_ms":1}}"#,
        seqs.len(),
        events.join(",")
    );
    Reply::json(200, &body)
}

fn seqs(stdout: &str) -> Vec<u64> {
    let seq = |line: &str| serde_json::from_str::<Value>(line).unwrap()["seq"].as_u64();
    stdout.lines().map(|line| seq(line).unwrap()).collect()
}

/// The members of the first request's query, decoded.
fn asked(fake: &Fake) -> Vec<String> {
    let target = fake.targets().remove(0);
    let query = target.split_once('?').unwrap().1.to_owned();
    let decode = |text: &str| {
        let mut bytes = Vec::new();
        let mut rest = text.as_bytes();
        while let [first, after @ ..] = rest {
            rest = after;
            bytes.push(match (first, after) {
                (b'%', [high, low, end @ ..]) => {
                    rest = end;
                    let digits = [*high, *low];
                    u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
                }
                _ => *first,
            });
        }
        String::from_utf8(bytes).unwrap()
    };
    query.split('&').map(decode).collect()
}

#[test]
fn words_and_options_become_filters() {
    for (arguments, members) in [
        (
            &["declined", "--since", "1h"][..],
            &["since=1h", "q=declined"][..],
        ),
        (
            &[
                "level=error",
                "ms>500",
                "-debug",
                "--source",
                "web-1",
                "--topic",
                "api.*",
            ],
            &[
                "topic=api.*",
                "source=web-1",
                "q=-debug",
                "where=level=error",
                "where=ms>500",
            ],
        ),
        (&["\"card expired\""], &["q=\"card expired\""]),
        (&["--", "-debug", "-x=1"], &["q=-debug", "q=-x=1"]),
        (
            &["--not", "debug", "-ab", "cd"],
            &["q=cd", "q=-debug", "q=-ab"],
        ),
        (
            &["!trace_id", "5xx=1", "\"a=b\""],
            &["q=!trace_id", "q=5xx=1", "q=\"a=b\""],
        ),
        (
            &["--q", "a=b", "--where", "!c", "--q", "-d", "--not=-e"],
            &["q=--e", "q=a=b", "q=-d", "where=!c"],
        ),
        (
            &["--event-id", "e*", "--until=now", "--received"],
            &["event_id=e*", "until=now", "time=received"],
        ),
        (
            &["1", "2", "3", "4", "5", "6", "7", "8", "9"],
            &["q=1", "q=2", "q=3", "q=4", "q=5", "q=6", "q=7", "q=8 9"],
        ),
    ] {
        let fake = Fake::start(|_, _| page(&[1], None));
        let arguments = [&["search", "--server", &fake.url], arguments].concat();
        Running::spawn(&mut command(&arguments)).finish().expect(0);
        assert_eq!(asked(&fake)[0], "limit=100");
        assert_eq!(asked(&fake)[1..], *members, "{arguments:?}");
    }
    for wrong in [&["search", "-n", "5"][..], &["search", "--limit", "0"]] {
        run_at("http://127.0.0.1:1", wrong, b"").expect(2);
    }
}

#[test]
fn the_newest_are_printed_oldest_first_and_all_as_they_are_found() {
    let fake = Fake::start(|_, asked| match asked.target.as_str() {
        "/events?limit=4&q=x" => page(&[9, 8], Some("/events?q=x&before=8")),
        "/events?q=x&before=8" => page(&[], Some("/events?q=x&before=4")),
        "/events?q=x&before=4" => page(&[3, 2, 1], Some("/events?q=x&before=1")),
        other => panic!("{other}"),
    });
    let output = run_at(&fake.url, &["search", "x", "--limit", "4", "--json"], b"").expect(0);
    assert_eq!(seqs(&output.stdout), [2, 3, 8, 9]);
    assert_eq!(output.stdout.lines().next(), Some(line(2).trim_end()));
    assert_eq!(output.stderr, "");
    assert_eq!(fake.asked().len(), 3);

    let fake = Fake::start(|_, asked| match asked.target.as_str() {
        "/events?limit=1000&after=0&q=x" => page(&[1, 2], Some("/events?q=x&after=2")),
        "/events?q=x&after=2" => page(&[5], None),
        other => panic!("{other}"),
    });
    let output = run_at(&fake.url, &["search", "x", "--limit", "all"], b"").expect(0);
    let shown = |id| format!("2026-01-02  t  s  n=0.10  e{id}\n");
    assert_eq!(output.stdout, shown(1) + &shown(2) + &shown(5));
}

#[test]
fn the_exit_code_says_what_became_of_the_question() {
    let nothing = Fake::start(|_, _| page(&[], None));
    let output = run_at(&nothing.url, &["search", "x"], b"").expect(1);
    assert_eq!((&output.stdout[..], &output.stderr[..]), ("", ""));
    // The server's message, with the argument.
    let wrong = Fake::start(|_, _| {
        let fault =
            r#"{"loc":["query","where"],"msg":"where has an empty step in its path","type":"x"}"#;
        Reply::json(422, &format!(r#"{{"detail":[{fault}]}}"#))
    });
    let arguments = ["search", "a=1", "a..b=\u{9b}2", "c=3"];
    let output = run_at(&wrong.url, &arguments, b"").expect(2);
    assert_eq!(
        output.stderr,
        "logagg: where has an empty step in its path: a..b=\\u009b2\n"
    );
    let output = run_at("http://127.0.0.1:1", &["search", "x"], b"").expect(3);
    assert!(output.stderr.contains("Connection refused"), "{output:?}");
    for (status, body) in [
        (401, "{}"),
        (503, "{}"),
        (404, "{}"),
        (200, "{}"),
        (200, "<"),
    ] {
        let other = Fake::start(move |_, _| Reply::json(status, body));
        run_at(&other.url, &["search", "x"], b"").expect(3);
        run_at(&other.url, &["search", "--count"], b"").expect(3);
        run_at(&other.url, &["search", "--fields"], b"").expect(3);
    }
}

/// What has been found is printed, whatever ends the search.
#[test]
fn a_search_that_is_cut_off_prints_what_it_found() {
    let silent = || {
        Fake::start(|number, _| match number {
            0 => page(&[3, 2], Some("/events?next")),
            _ => Reply::Silence(Vec::new()),
        })
    };
    for limit in ["100", "all"] {
        let fake = silent();
        let search = Running::start_at(&fake.url, &["search", "x", "--json", "--limit", limit]);
        fake.wait_for(2);
        search.signal(Signal::INT);
        let output = search.wait().expect(130);
        assert_eq!(output.stdout.lines().count(), 2, "{output:?}");
        assert_eq!(output.stderr, "");
    }
    let gone = Fake::start(|number, _| match number {
        0 => page(&[3, 2], Some("/events?next")),
        _ => Reply::json(503, r#"{"detail":"Later."}"#),
    });
    let output = run_at(&gone.url, &["search", "x", "--json"], b"").expect(3);
    assert_eq!(seqs(&output.stdout), [2, 3]);
    assert!(output.stderr.ends_with("(503): Later.\n"), "{output:?}");
}

/// The counts of a walk add up.
#[test]
fn a_count_is_the_sum_of_all_answers() {
    let answer = |counts: &str, matched, series: &str, next: &str| {
        let head = r#"{"since":"2026-01-02T02:00:00Z","until":"2026-01-02T02:02:00Z","start":"2026-01-02T02:00:00Z""#;
        Reply::json(
            200,
            &format!(
                r#"{head},"interval":60,"matched":{matched},"counts":{counts},"series":{series},
                "rest":{{"count":1,"counts":[1,0]}},"next":{next},"scanned":9,"through":1,"elapsed_ms":1}}"#
            ),
        )
    };
    let start = move || {
        Fake::start(move |_, asked| match asked.target.as_str() {
            "/histogram?buckets=30&since=1d&q=x&by=level" => {
                let series = r#"[{"value":"error","count":2,"counts":[0,2]}]"#;
                answer("[1,2]", 3, series, r#""/histogram?next""#)
            }
            "/histogram?next" => {
                let series = concat!(
                    r#"[{"value":"info\u001b","count":3,"counts":[3,0]},"#,
                    r#"{"value":"error","count":1,"counts":[1,0]}]"#
                );
                answer("[5,0]", 5, series, "null")
            }
            other => panic!("{other}"),
        })
    };
    let arguments = ["search", "x", "--count", "--by", "level", "--since", "1d"];
    let output = run_at(&start().url, &arguments, b"").expect(0);
    for part in [
        "2026-01-02 02:00       6  █",
        "2026-01-02 02:01       2  █",
        "total                  8\n",
        "     3  error\n     3  info\\u001b\n     2  (other, or none)\n",
    ] {
        assert!(output.stdout.contains(part), "{part:?} {output:?}");
    }
    let arguments = [&arguments[..], &["--json"]].concat();
    let output = run_at(&start().url, &arguments, b"").expect(0);
    let sum: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(
        (&sum["matched"], &sum["counts"]),
        (&8.into(), &serde_json::json!([6, 2]))
    );
    assert_eq!(sum["series"][0]["counts"], serde_json::json!([1, 2]));
    assert_eq!(sum["rest"]["count"], 2);
}

#[test]
fn fields_are_listed_with_their_values() {
    let fake = Fake::start(|_, asked| {
        let none = asked.target.contains("nothing");
        let body = format!(
            r#"{{"fields":[{{"field":"level","count":1200,"distinct":2,"values":[
            {{"value":"info","count":1190}},{{"value":"error\u009b","count":7}}],"rest":3}}],
            "matched":{},"scanned":5000,"through":1,"complete":{none},"elapsed_ms":1}}"#,
            if none { 0 } else { 1300 }
        );
        Reply::json(200, &body)
    });
    let output = run_at(
        &fake.url,
        &["search", "--fields", "--by", "level", "x"],
        b"",
    )
    .expect(0);
    assert_eq!(
        output.stdout,
        "level  1,200 events, 2 values\n  1,190  info\n      7  error\\u009b\n      3  (other)\n1,300 events match\n"
    );
    assert_eq!(
        output.stderr,
        "logagg: only the newest 5,000 events were looked at\n"
    );
    assert_eq!(fake.targets(), ["/fields?q=x&by=level"]);
    let output = run_at(&fake.url, &["search", "--fields", "nothing", "--json"], b"").expect(1);
    assert!(output.stdout.starts_with("{\"fields\":[{"), "{output:?}");
    run_at(&fake.url, &["search", "--fields", "--limit", "all"], b"").expect(0);
    assert_eq!(fake.targets()[2], "/fields?limit=100");
    run_at(&fake.url, &["search", "--fields", "--count"], b"").expect(2);
}

fn publish(server: &Server) {
    let mut body = String::new();
    for (id, level, msg) in [
        (1, "info", "ok"),
        (2, "error", "Declined: card expired"),
        (3, "error", "undeclined"),
        (4, "debug", "declined"),
    ] {
        body += &format!(
            r#"{{"topic":"t","event_id":"e{id}","timestamp":"2026-01-02T03:04:0{id}Z","source":"s",
            "payload":{{"msg":"{msg}","level":"{level}","ms":{id}00}}}}"#
        );
    }
    let headers = ["Content-Type: application/x-ndjson"];
    let mut client = server.client();
    client
        .request("POST", "/publish", &headers, body.as_bytes())
        .expect(200);
}

#[test]
fn a_server_is_searched() {
    let server = Server::start(&[]);
    publish(&server);
    let shown = |arguments: &[&str]| {
        let output = run(&server, &[&["search"], arguments].concat(), b"").expect(0);
        let ids = |line: &str| line.rsplit("  ").next().unwrap().to_owned();
        output.stdout.lines().map(ids).collect::<Vec<_>>()
    };
    assert_eq!(shown(&[]), ["e1", "e2", "e3", "e4"]);
    assert_eq!(shown(&["declined"]), ["e2", "e4"]);
    assert_eq!(shown(&["*declined", "-debug"]), ["e2", "e3"]);
    assert_eq!(shown(&["level=error", "ms>200"]), ["e3"]);
    assert_eq!(shown(&["\"card expired\"", "--limit", "all"]), ["e2"]);
    assert_eq!(
        shown(&["--since", "2026-01-02T03:04:03Z", "--limit", "1"]),
        ["e4"]
    );
    assert_eq!(shown(&["--until", "2026-01-02T03:04:02Z"]), ["e1"]);
    assert_eq!(
        shown(&[
            "--received",
            "--since",
            "1h",
            "-undeclined",
            "--event-id",
            "e*"
        ]),
        ["e1", "e2", "e4"]
    );
    let output = run(&server, &["search", "declined", "--limit", "1"], b"").expect(0);
    assert_eq!(
        output.stdout,
        "2026-01-02T03:04:04Z  t  s  level=debug msg=declined ms=400  e4\n"
    );
    run(&server, &["search", "--since", "1h"], b"").expect(1);
    let day = ["--since", "2026-01-02", "--until", "2026-01-03"];
    let count = [
        &["search", "*declined", "--count", "--by", "level"],
        &day[..],
    ]
    .concat();
    let output = run(&server, &count, b"").expect(0);
    for part in [
        "2026-01-02 03:00       3  █",
        "total                  3\n",
        "     2  error\n     1  debug\n",
    ] {
        assert!(output.stdout.contains(part), "{part:?} {output:?}");
    }
    run(&server, &["search", "--count", "declined"], b"").expect(1);
    let fields = run(&server, &["search", "--fields", "declined"], b"")
        .expect(0)
        .stdout;
    assert!(
        fields.contains("level  2 events, 2 values\n  1  debug\n  1  error\n"),
        "{fields}"
    );
    assert!(fields.ends_with("2 events match\n"), "{fields}");
    for (arguments, said) in [
        (&["a=1", "a..b=2"][..], ": a..b=2\n"),
        (&["--since", "yesterday"], ": yesterday\n"),
        (&["x", "\"open"], ": \"open\n"),
        (&["--topic", ""], ""),
        (&["--count", "--by", "a..b"], ""),
        (&["--fields", "ms>"], ": ms>\n"),
    ] {
        let output = run(&server, &[&["search"], arguments].concat(), b"").expect(2);
        assert!(output.stderr.ends_with(said), "{output:?}");
    }
}

#[test]
fn one_event_is_printed_indented() {
    let server = Server::start(&[]);
    let payload = r#"{"n":0.10,"s":"a: {\u001b","l":[],"o":{"x":[1,2]}}"#;
    let body = format!(
        r#"{{"topic":"a/b é*","event_id":"? 1","timestamp":"2026-01-02","source":"s","payload":{payload}}}"#
    );
    server.client().publish(body).expect(200);
    let output = run(&server, &["get", "a/b é*", "? 1"], b"").expect(0);
    let start = "{\n  \"seq\": 1,\n  \"topic\": \"a/b é*\",\n  \"event_id\": \"? 1\",\n";
    assert!(output.stdout.starts_with(start), "{output:?}");
    let payload = concat!(
        "  \"payload\": {\n    \"n\": 0.10,\n    \"s\": \"a: {\\u001b\",\n    \"l\": [],\n",
        "    \"o\": {\n      \"x\": [\n        1,\n        2\n      ]\n    }\n  },\n"
    );
    assert!(output.stdout.contains(payload), "{output:?}");
    let output = run(&server, &["get", "a/b é*", "? 1", "--json"], b"").expect(0);
    let event: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(event, server.json("/events?limit=1")["events"][0]);
    let output = run(&server, &["get", "a/b é*", "2"], b"").expect(1);
    assert_eq!(output.stdout, "");
    assert!(
        output.stderr.contains("there is no event \"2\" of topic"),
        "{output:?}"
    );
    run_at("http://127.0.0.1:1", &["get", "t", "1"], b"").expect(3);
}
