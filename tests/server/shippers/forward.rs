//! fluent-logger for Python.

use super::{python, run, RECORDS};
use crate::harness::Setup;
use crate::ingest::sockets::{self, address, events, members};

#[test]
fn fluent_logger_sends_its_events() {
    let server = sockets::start(Setup::new(), "--forward", &["tcp:127.0.0.1:0"]);
    let port = address(&server, "tcp").port();
    let script = format!(
        r#"
from fluent import sender
logger = sender.FluentSender("app", host="127.0.0.1", port={port}, nanosecond_precision=True)
for number in range({RECORDS}):
    assert logger.emit("test", {{"message": f"line {{number}}", "number": number}}), logger.last_error
logger.close()
"#
    );
    let Some(client) = python(&script) else {
        return;
    };
    run(client);
    let events = events(&server, RECORDS);
    let expected: Vec<_> = (0..RECORDS)
        .map(|number| format!("line {number}"))
        .collect();
    assert_eq!(members(&events, "message"), expected);
    assert!(events.iter().all(|event| event["topic"] == "app.test"));
    let time = events[0]["timestamp"].as_str().unwrap();
    assert_eq!(time.len(), "2026-01-02T03:04:05.123456789Z".len(), "{time}");
}
