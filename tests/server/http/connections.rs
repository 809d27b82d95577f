//! Which connections stay open, and many requests on one of them.

use super::{check_fields, exchange, publication, HEALTH};
use crate::harness::{event, events_of, Server};

#[test]
fn connections_stay_open_in_1_1() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for number in 0..50 {
        let response = client.get("/health");
        check_fields(&response);
        assert_eq!(response.version, "1.1");
        assert_eq!(response.header("connection"), None);
        let event = event("kept", &number.to_string()).to_string();
        assert_eq!(client.publish(event).expect(200)["accepted"], 1);
    }
    assert_eq!(client.get("/stats").expect(200)["connections"], 1);
}

#[test]
fn connection_close_is_the_last_request() {
    let server = Server::start(&[]);
    for field in ["close", "Close", "keep-alive, close", "x, close , y"] {
        let mut client = server.client();
        client.send(format!(
            "GET /health HTTP/1.1\r\nHost: test\r\nConnection: {field}\r\n\r\n{HEALTH}"
        ));
        let response = client.response();
        check_fields(&response);
        assert_eq!(response.status, 200);
        assert_eq!(response.header("connection"), Some("close"), "{field}");
        assert!(client.is_closed(), "{field}");
    }
    // Also after a commit.
    let mut client = server.client();
    let last = publication("last", "1").replacen("Host:", "Connection: close\r\nHost:", 1);
    client.send(last + &publication("last", "2"));
    let response = client.response();
    assert_eq!(response.expect(200)["accepted"], 1);
    assert_eq!(response.header("connection"), Some("close"));
    assert!(client.is_closed());
    assert_eq!(server.json("/stats")["received"], 1);
}

#[test]
fn connections_close_in_1_0() {
    let server = Server::start(&[]);
    for host in ["", "Host: test\r\n"] {
        let mut client = server.client();
        let response = exchange(
            &mut client,
            format!("GET /health HTTP/1.0\r\n{host}\r\n{HEALTH}"),
        );
        assert_eq!(response.status, 200);
        assert_ne!(response.header("connection"), Some("keep-alive"));
        assert!(client.is_closed());
    }
}

/// As `ab -k` does.
#[test]
fn connections_stay_open_in_1_0_where_asked() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let get = "GET /health HTTP/1.0\r\nConnection: Keep-Alive\r\nHost: test\r\n\r\n";
    for number in 0..10 {
        let response = exchange(&mut client, get);
        let kept = response
            .header("connection")
            .expect("it says that it stays");
        assert!(kept.eq_ignore_ascii_case("keep-alive"), "{response:?}");
        let body = event("old", &number.to_string()).to_string();
        let response = exchange(
            &mut client,
            format!(
                "POST /publish HTTP/1.0\r\nConnection: Keep-Alive\r\nContent-length: {}\r\n\
                 Content-type: application/json\r\n\r\n{body}",
                body.len()
            ),
        );
        assert_eq!(response.expect(200)["accepted"], 1);
    }
    let closing = "GET /health HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n";
    exchange(&mut client, closing).expect(200);
    assert!(client.is_closed());
}

/// Answers come in the order of the requests, whether they had to wait for a commit or not, and what
/// is read after a publication on the same connection shows it.
#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let count = 100;
    let mut all = String::new();
    for number in 0..count {
        all += &publication("pipe", &number.to_string());
        all += &format!("GET /events/pipe/{number} HTTP/1.1\r\nHost: test\r\n\r\n");
        all += &format!("HEAD /events/pipe/{number} HTTP/1.1\r\nHost: test\r\n\r\n");
        all += &format!("GET /nothing/{number} HTTP/1.1\r\nHost: test\r\n\r\n");
        all += &publication("pipe", &number.to_string());
    }
    client.send(all);
    for number in 0..count {
        assert_eq!(client.response().expect(200)["accepted"], 1);
        let event = client.response().expect(200);
        assert_eq!(event["event_id"], number.to_string());
        assert_eq!(client.response_to("HEAD").status, 200);
        client.response().sentence(404);
        assert_eq!(client.response().expect(200)["duplicates"], 1);
    }
    let stats = server.json("/stats");
    assert_eq!(stats["received"], 2 * count);
    assert_eq!(stats["unique_processed"], count);
    let page = server.json("/events?limit=1000&after=0");
    for (number, event) in events_of(&page).iter().enumerate() {
        assert_eq!(event["event_id"], number.to_string());
    }
}

/// More answers than the server holds for one client wait in its socket, and all of them come.
#[test]
fn a_thousand_requests_in_one_write() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.send(HEALTH.repeat(1_000));
    for _ in 0..1_000 {
        client.response().expect(200);
    }
    client.get("/health").expect(200);
}

/// Two connections that publish at once share commits and never each other's answers.
#[test]
fn answers_go_to_those_who_asked() {
    let server = Server::start(&[]);
    let mut clients: Vec<_> = (0..20).map(|_| server.client()).collect();
    for round in 0..20 {
        for (at, client) in clients.iter_mut().enumerate() {
            // Each asks for another number of events.
            let events: Vec<_> = (0..=at)
                .map(|number| event(&format!("t{at}"), &format!("{round}-{number}")))
                .collect();
            let body = serde_json::to_vec(&events).unwrap();
            client.send_request(
                "POST",
                "/publish",
                &["Content-Type: application/json"],
                &body,
            );
        }
        for (at, client) in clients.iter_mut().enumerate() {
            let answer = client.response().expect(200);
            assert_eq!(answer["accepted"], at + 1);
        }
    }
}
