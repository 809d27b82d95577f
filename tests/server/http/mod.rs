//! HTTP itself, as a client at the other end of a socket sees it. The connection's own tests try the
//! same sentences case by case without a socket; these show that the shell around it keeps them.

mod bodies;
mod connections;
mod expect;
mod peers;
mod refusals;
mod requests;

use crate::harness::{event, Client, Response, Server};
use crate::report::Tally;

static REFUSALS: Tally = Tally::new(
    "http-refusals",
    "messages with a fault refused with their status and `Connection: close`; the publication behind each of \
     them was not taken for a request",
);

/// The head of a publication, up to where further fields may stand.
const PUBLISH: &str = "POST /publish HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n";

const HEALTH: &str = "GET /health HTTP/1.1\r\nHost: test\r\n\r\n";

/// A whole publication of one event.
fn publication(topic: &str, event_id: &str) -> String {
    let body = event(topic, event_id).to_string();
    format!("{PUBLISH}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// What every final answer has.
fn check_fields(response: &Response) {
    let date = response.header("date").expect("each answer has a Date");
    let form = time::format_description::parse_borrowed::<2>(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT",
    )
    .unwrap();
    time::PrimitiveDateTime::parse(date, &form).unwrap_or_else(|e| panic!("Date {date}: {e}"));
    assert_eq!(response.header("server"), Some("log-aggregator"));
    if response.status == 204 {
        assert_eq!(response.header("content-length"), None, "{response:?}");
    } else {
        let length = response.header("content-length");
        assert!(length.is_some_and(|l| l.parse::<usize>().is_ok()));
    }
    for name in ["content-length", "date", "server", "connection"] {
        let fields = response.headers.iter();
        let count = fields
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .count();
        assert!(count <= 1, "{name} comes {count} times");
    }
}

/// Sends `bytes` and after them a publication on the same connection. The bytes must be refused with
/// `status`, as JSON with one sentence, and nothing may be answered after that.
fn assert_refused(server: &Server, status: u16, bytes: &[u8]) {
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(300)]).into_owned();
    let mut client = server.client();
    let mut all = bytes.to_vec();
    all.extend_from_slice(publication("smuggled", &shown.replace(char::is_control, "")).as_bytes());
    // The server may have answered and closed before it has all of them.
    let _ = client.try_send(&all);
    let response = client
        .try_response("POST")
        .unwrap_or_else(|| panic!("no answer to {shown:?}"));
    assert_eq!(response.status, status, "{response:?} to {shown:?}");
    assert_eq!(response.header("connection"), Some("close"), "{shown:?}");
    assert!(!response.sentence(status).is_empty());
    check_fields(&response);
    assert!(
        client.is_closed(),
        "something was answered behind {shown:?}"
    );
    REFUSALS.count();
}

/// That nothing which was sent after a refusal has been taken for a request.
fn assert_nothing_smuggled(server: &Server) {
    assert_eq!(server.json("/stats")["received"], 0);
    assert_eq!(server.json("/events")["count"], 0);
    REFUSALS.tell();
}

/// Sends a request as it stands and reads its answer.
fn exchange(client: &mut Client, request: impl AsRef<[u8]>) -> Response {
    client.send(request);
    let response = client.response();
    check_fields(&response);
    response
}
