//! What the server logs, and that a log which nobody reads does not stop it.

use std::net::TcpListener;

use serde_json::{json, Value};

use crate::harness::{event, Address, Server, Setup};

const DUPLICATE: &str = "Duplicate event detected and dropped: ";

fn duplicate(topic: &str, event_id: &str, source: &str) -> Value {
    let mut event = event(topic, event_id);
    event["source"] = json!(source);
    event
}

#[test]
fn a_duplicate_is_one_warning_with_the_documented_words() {
    let server = Server::start(&[]);
    let one = duplicate("user.login", "evt-12345", "auth-service");
    server.publish(&one).expect(200);
    server.publish(&json!([one, event("t", "new")])).expect(200);
    // The line names what was sent, which may differ from what is stored.
    server
        .publish(&duplicate("user.login", "evt-12345", "other"))
        .expect(200);
    let log = server.stop();
    let lines = log.lines_with(DUPLICATE);
    let expected = [
        " WARN Duplicate event detected and dropped: topic=user.login, event_id=evt-12345, source=auth-service",
        " WARN Duplicate event detected and dropped: topic=user.login, event_id=evt-12345, source=other",
    ];
    assert_eq!(lines.len(), 2);
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.ends_with(expected), "{line}");
        // A time stands in front.
        assert!(
            line.starts_with("20") && line.split(' ').next().unwrap().ends_with('Z'),
            "{line}"
        );
    }
}

#[test]
fn duplicates_can_be_summed_up() {
    let server = Server::start(&["--log-duplicates", "summary"]);
    let events = json!(vec![event("t", "e"); 30]);
    server.publish(&events).expect(200);
    // All of one request are in one line.
    let lines = server.log().wait_for(1, "Duplicate events dropped: ");
    assert!(
        lines[0].ends_with(" WARN Duplicate events dropped: 29"),
        "{}",
        lines[0]
    );
    server.publish(&event("t", "e")).expect(200);
    let lines = server.log().wait_for(2, "Duplicate events dropped: ");
    assert!(
        lines[1].ends_with(" WARN Duplicate events dropped: 1"),
        "{}",
        lines[1]
    );
    let mut other = event("t", "e");
    other["payload"] = json!({});
    server.publish(&other).expect(200);
    // The end of the server does not wait for the second to be over, and tells it all the same.
    let log = server.stop();
    let last = log.lines_with("Duplicate events dropped: ");
    assert_eq!(last.len(), 3);
    assert!(last[2].ends_with(" 1"), "{}", last[2]);
    assert!(log.lines_with(DUPLICATE).is_empty());
    assert_eq!(log.lines_with("conflict").len(), 1);
}

#[test]
fn duplicates_can_be_left_out() {
    let setup = Setup::new().variable("LOG_DUPLICATES", "off");
    let server = setup.start();
    let mut other = event("t", "e");
    other["payload"] = json!({});
    server
        .publish(&json!([event("t", "e"), event("t", "e"), other]))
        .expect(200);
    assert_eq!(server.json("/stats")["duplicate_dropped"], 2);
    let text = server.stop().text();
    assert!(!text.contains("WARN"), "{text}");
}

/// Which lines about requests and duplicates there are, for each combination of the settings that say so.
#[test]
fn the_level_and_the_switches_decide_together_which_lines_there_are() {
    for level in ["error", "warn", "info"] {
        for mode in ["each", "summary", "off"] {
            for access in ["true", "false"] {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                let address = Address::Tcp(listener.local_addr().unwrap());
                let setup = Setup::new().flags(["--log-level", level, "--log-duplicates", mode]);
                let setup = setup.variable("ACCESS_LOG", access);
                let server = setup.inherit([listener.into()]).start_at(address);
                let mut conflict = event("t", "e");
                conflict["payload"] = json!({"another": true});
                let events = json!([event("t", "e"), event("t", "e"), conflict]);
                server.publish(&events).expect(200);
                let log = server.stop();
                let count = |part| log.lines_with(part).len();
                let found = [
                    count(DUPLICATE),
                    count("Event conflict: "),
                    count("Duplicate events dropped: 2"),
                    count(" POST /publish 200 "),
                ];
                let warns = level != "error";
                let is = |wanted, lines| if wanted { lines } else { 0 };
                let wanted = [
                    is(warns && mode == "each", 2),
                    is(warns && mode != "off", 1),
                    is(warns && mode == "summary", 1),
                    is(level == "info" && access == "true", 1),
                ];
                assert_eq!(found, wanted, "{level} {mode} {access}: {}", log.text());
            }
        }
    }
}

#[test]
fn json_lines_have_the_fields_by_name() {
    let server = Server::start(&["--log-format", "json"]);
    let one = duplicate("user \"login\"", "evt\\1", "ä");
    server.publish(&json!([one, one])).expect(200);
    let log = server.stop();
    let mut found = false;
    for line in log.text().lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        for member in ["time", "level", "message"] {
            assert!(line[member].is_string(), "{line}");
        }
        if line["message"]
            .as_str()
            .is_some_and(|message| message.starts_with(DUPLICATE))
        {
            assert_eq!(line["level"], "WARN");
            for member in ["topic", "event_id", "source"] {
                assert_eq!(line[member], one[member]);
            }
            found = true;
        }
    }
    assert!(found);
}

/// Marks that change the direction of text, and characters that nobody sees, make one record read as another.
/// They are escaped wherever they come in: by an event, a conflict or the target of a request.
#[test]
fn what_reorders_or_hides_text_is_escaped_in_both_formats() {
    let name =
        "a\u{202e}b\u{2066}c\u{200f}d\u{61c}e\u{85}f\u{2028}g\u{200b}h\u{feff}i\u{e0041}\u{5d0}";
    let shown = r"a\u202eb\u2066c\u200fd\u061ce\u0085f\u2028g\u200bh\ufeffi\udb40\udc41\u{5d0}";
    let shown = shown.replace(r"\u{5d0}", "\u{5d0}");
    for format in ["text", "json"] {
        let server = Server::start(&["--access-log", "--log-format", format]);
        let one = duplicate(name, name, name);
        let mut other = one.clone();
        other["payload"] = json!({"another": true});
        server.publish(&json!([one, other])).expect(200);
        let mut client = server.client();
        client.send(format!("GET /events/{name} HTTP/1.1\r\nHost: test\r\n\r\n"));
        client.response();
        let text = server.stop().text();
        for part in [
            format!("topic={shown}, event_id={shown}, source={shown}"),
            "conflict".into(),
        ] {
            assert!(text.contains(&part), "{format}: {text}");
        }
        let hides = |c: char| c != '\n' && !c.is_ascii_graphic() && c != ' ' && c != '\u{5d0}';
        assert!(!text.contains(hides), "{format}: {text}");
    }
}

#[test]
fn start_and_stop_are_logged() {
    let server = Server::start(&[]);
    server
        .publish(&json!([event("t", "1"), event("t", "2")]))
        .expect(200);
    let setup = server.setup().clone();
    server.stop();
    let server = setup.start();
    let info = server.log().lines_with(" INFO ");
    let start = &info[0];
    let database = setup.database_path().display().to_string();
    for part in [
        env!("CARGO_PKG_VERSION"),
        &database,
        "2 events",
        "ready in ",
    ] {
        assert!(start.contains(part), "{part}: {start}");
    }
    assert!(
        info[1].contains("listening on http://127.0.0.1:"),
        "{}",
        info[1]
    );
    // Nobody else can reach a loopback address, so there is nothing to warn of.
    assert!(server.log().lines_with("WARN").is_empty());
    let log = server.stop();
    assert_eq!(log.lines_with(" INFO stopped").len(), 1);
    assert!(log.text().ends_with('\n'));
}

#[test]
fn an_address_that_others_reach_is_warned_of() {
    let server = Setup::new().listen(["0.0.0.0:0"]).start();
    assert_eq!(server.log().wait_for(1, " WARN ").len(), 1);
    let warning = server.log().lines_with(" WARN ").remove(0);
    assert!(
        warning.contains("0.0.0.0:") && warning.contains("token"),
        "{warning}"
    );
}

#[test]
fn a_refused_start_is_told_at_any_level() {
    let setup = Setup::new();
    let folder = setup.directory().path().to_owned();
    let (code, text) = setup.database(folder).flags(["--log-level", "off"]).fail();
    assert_eq!(code, 1);
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn a_log_that_nobody_reads_never_stops_the_server() {
    const BATCHES: usize = 4;
    const EVENTS: usize = 1_000;
    let server = Server::start(&[]);
    let mut client = server.client();
    let name = "n".repeat(250);
    let one = duplicate(&name, &name, &name);
    client.publish(one.to_string()).expect(200);
    let batch = json!(vec![one; EVENTS]).to_string();

    // Some 3 MB of lines, where a pipe holds 64 KiB and the buffer 1 MiB.
    let unread = server.log().leave_unread();
    for _ in 0..BATCHES {
        assert_eq!(client.publish(&batch).expect(200)["duplicates"], EVENTS);
    }
    assert_eq!(server.json("/health")["status"], "healthy");
    assert_eq!(server.json("/stats")["duplicate_dropped"], BATCHES * EVENTS);
    drop(unread);

    server.log().wait_for(1, "Log lines dropped: ");
    client.publish(event("t", "1").to_string()).expect(200);
    client.publish(event("t", "1").to_string()).expect(200);
    server.log().wait_for(1, "event_id=1,");
    let log = server.stop();
    let dropped: usize = log
        .lines_with("Log lines dropped: ")
        .iter()
        .map(|line| line.rsplit(' ').next().unwrap().parse::<usize>().unwrap())
        .sum();
    assert!(dropped > 0);
    // Each duplicate has its line or is counted.
    assert_eq!(
        log.lines_with(DUPLICATE).len() + dropped,
        BATCHES * EVENTS + 1
    );
}

#[test]
fn many_lines_of_duplicates_are_followed_once_by_a_hint() {
    let hint = "--log-duplicates summary (LOG_DUPLICATES)";
    let server = Server::start(&[]);
    let events: Vec<Value> = (0..1_000).map(|n| event("t", &n.to_string())).collect();
    let events = json!(events);
    server.publish(&events).expect(200);
    server.publish(&event("t", "0")).expect(200);
    assert_eq!(server.log().wait_for(1, DUPLICATE).len(), 1);
    for _ in 0..2 {
        server.publish(&events).expect(200);
    }
    let log = server.stop();
    assert_eq!(log.lines_with(DUPLICATE).len(), 2_001);
    assert_eq!(log.lines_with(hint).len(), 1);
    assert!(log.lines_with(hint)[0].contains(" INFO "));
    // After a hundred lines, wherever a publication ends.
    let text = log.text();
    let before = text.split(hint).next().unwrap();
    let lines = before.matches(DUPLICATE).count();
    assert!((100..=101).contains(&lines), "{lines}");

    // Those who do not see the lines need no hint.
    for what in ["summary", "off"] {
        let server = Server::start(&["--log-duplicates", what]);
        for _ in 0..2 {
            server.publish(&events).expect(200);
        }
        assert!(server.stop().lines_with(hint).is_empty(), "{what}");
    }
}
