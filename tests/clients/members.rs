//! What `publish` and `import` make of a line's members: nothing of a line is dropped.

use serde_json::json;

use crate::harness::Server;
use crate::program::run;

const FILL: [&str; 8] = [
    "publish", "--topic", "t", "--source", "s", "--ids", "hash", "--now",
];

#[test]
fn a_line_with_none_of_an_events_members_is_the_payload() {
    let server = Server::start(&[]);
    let exact = r#"{"msg":"hi","n":12345678901234567890,"n":0.10,"payloads":1}"#;
    let lines = [exact, r#"{ "seq" : 7, "a": {"topic":1} }"#, "{}", exact];
    let input = lines.join("\n");
    let output = run(&server, &FILL, input.as_bytes()).expect(0);
    assert_eq!(
        ["accepted", "duplicates"].map(|sum| output.sum(sum)),
        [3, 1]
    );
    let page = server.get("/events?after=0").text();
    for payload in [exact, r#"{"seq":7,"a":{"topic":1}}"#, "{}"] {
        assert!(page.contains(&format!("\"payload\":{payload},")), "{page}");
    }
    // Without what an event needs it is still none.
    let output = run(&server, &["publish"], exact.as_bytes()).expect(1);
    assert!(
        output
            .stderr
            .contains("standard input:1: topic: field required"),
        "{output:?}"
    );
}

#[test]
fn a_member_that_is_none_of_an_events_is_refused_by_its_name() {
    let server = Server::start(&[]);
    let event = |more: &str| {
        format!(
            r#"{{"topic":"t","event_id":"{}","timestamp":"2026-01-02","source":"s"{more}}}"#,
            more.len()
        )
    };
    let input = [
        event(""),
        event(r#","payload":{"msg":1}"#),
        event(r#","msg":"hi""#),
        event(r#","payload":{},"level\u001b[2J":"error""#),
        r#"{"msg":"hi","payload":{}}"#.to_owned(),
        // What a server adds is no loss.
        event(r#","seq":7,"processed_at":"2026-01-02T03:04:05.678901Z""#),
    ]
    .join("\n");
    for arguments in [&["publish"][..], &FILL, &["import"]] {
        let output = run(&server, arguments, input.as_bytes()).expect(1);
        assert_eq!(["read", "rejected"].map(|sum| output.sum(sum)), [6, 3]);
        for (line, name) in [(3, "msg"), (4, "level\\u001b[2J"), (5, "msg")] {
            let sentence = format!(
                "standard input:{line}: \"{name}\" is not a member of an event; put what an event carries into its \
                 payload\n"
            );
            assert!(output.stderr.contains(&sentence), "{sentence}{output:?}");
        }
        assert!(!output.stderr.contains('\u{1b}'));
    }
    assert_eq!(server.json("/stats")["last_seq"], 3);
    assert_eq!(
        server.json("/events?limit=2")["events"][1]["payload"],
        json!({"msg": 1})
    );
}
