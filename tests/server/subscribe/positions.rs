//! Named subscriptions: where a consumer stands is as durable as an event.

use serde_json::{json, Value};

use super::publish;
use crate::harness::{Client, Response, Server, Stream};

const JSON: &[&str] = &["Content-Type: application/json"];

pub fn put(client: &mut Client, name: &str, after: u64) -> Response {
    let body = json!({ "after": after }).to_string();
    client.request(
        "PUT",
        &format!("/subscriptions/{name}"),
        JSON,
        body.as_bytes(),
    )
}

pub fn acknowledge(client: &mut Client, name: &str, seq: u64) -> Response {
    let body = json!({ "seq": seq }).to_string();
    let target = format!("/subscriptions/{name}/ack");
    client.request("POST", &target, JSON, body.as_bytes())
}

pub fn after(subscription: &Value) -> u64 {
    subscription["after"].as_u64().expect("a seq")
}

#[test]
fn a_subscription_is_made_moved_read_and_removed() {
    let server = Server::start(&[]);
    publish(&server, "t", "e", 10);
    let mut client = server.client();
    let made = put(&mut client, "a%20b%2F%C3%A4", 3).expect(200);
    assert_eq!(
        (&made["name"], &made["after"], &made["lag"]),
        (&json!("a b/ä"), &json!(3), &json!(7))
    );
    let time = made["updated_at"].as_str().expect("a time");
    assert!(time.len() == 27 && time.ends_with('Z'), "{time}");
    assert_eq!(
        client.get("/subscriptions/a%20b%2f%c3%a4").expect(200),
        made
    );
    put(&mut client, "Z", 10).expect(200);
    put(&mut client, "a", 0).expect(200);
    let all = client.get("/subscriptions").expect(200);
    assert_eq!(all["count"], 3);
    let names = |all: &Value| -> Vec<Value> {
        let list = all["subscriptions"].as_array().expect("a list");
        list.iter().map(|one| one["name"].clone()).collect()
    };
    assert_eq!(names(&all), ["Z", "a", "a b/ä"]);
    assert_eq!(all["subscriptions"][2], made);
    // PUT moves it anywhere, also back.
    assert_eq!(after(&put(&mut client, "Z", 1).expect(200)), 1);
    let removed = client.request("DELETE", "/subscriptions/Z", &[], b"");
    assert_eq!(
        (removed.status, removed.header("content-length")),
        (204, None)
    );
    client.get("/subscriptions/Z").sentence(404);
    assert_eq!(client.get("/subscriptions").expect(200)["count"], 2);
    let head = client.request("HEAD", "/subscriptions/a", &[], b"");
    assert_eq!(head.status, 200);
}

#[test]
fn an_acknowledgement_moves_forward_only() {
    let server = Server::start(&[]);
    publish(&server, "t", "e", 10);
    let mut client = server.client();
    acknowledge(&mut client, "x", 1).sentence(404);
    put(&mut client, "x", 0).expect(200);
    for (seq, stands) in [(4, 4), (2, 4), (4, 4), (0, 4), (10, 10)] {
        let answer = acknowledge(&mut client, "x", seq).expect(200);
        assert_eq!(
            (after(&answer), &answer["lag"]),
            (stands, &json!(10 - stands))
        );
    }
    for (answer, member) in [
        (acknowledge(&mut client, "x", 11), "seq"),
        (put(&mut client, "x", 11), "after"),
        (put(&mut client, "new", u64::MAX), "after"),
    ] {
        let body = answer.expect(422);
        assert_eq!(body["detail"][0]["loc"], json!(["body", member]), "{body}");
    }
    assert_eq!(after(&client.get("/subscriptions/x").expect(200)), 10);
    client.get("/subscriptions/new").sentence(404);
}

#[test]
fn what_is_malformed_is_refused_and_changes_nothing() {
    let server = Server::start(&[]);
    let mut client = server.client();
    put(&mut client, "x", 0).expect(200);
    for body in [
        "",
        "[]",
        "{}",
        "{\"after\":-1}",
        "{\"after\":\"1\"}",
        "{\"after\":null}",
        "{\"after\":0",
        "{\"seq\":0}",
    ] {
        let answer = client.request("PUT", "/subscriptions/x", JSON, body.as_bytes());
        let loc = answer.expect(422)["detail"][0]["loc"].clone();
        assert_eq!(loc[0], "body", "{body}");
    }
    for (method, target) in [
        ("PUT", "/subscriptions/x"),
        ("POST", "/subscriptions/x/ack"),
    ] {
        client
            .request(method, target, &[], b"{\"after\":0}")
            .sentence(415);
        let text = ["Content-Type: text/plain"];
        client
            .request(method, target, &text, b"{\"after\":0}")
            .sentence(415);
    }
    let long = "a".repeat(256);
    for name in ["", "%00", "%zz", "a%0Ab", &long] {
        client.get(&format!("/subscriptions/{name}")).sentence(404);
        put(&mut client, name, 0).sentence(404);
    }
    client
        .request("DELETE", "/subscriptions/y", &[], b"")
        .sentence(404);
    for (method, target, allow) in [
        ("POST", "/subscriptions", "GET, HEAD, OPTIONS"),
        (
            "POST",
            "/subscriptions/x",
            "GET, HEAD, PUT, DELETE, OPTIONS",
        ),
        ("GET", "/subscriptions/x/ack", "POST, OPTIONS"),
    ] {
        let answer = client.request(method, target, JSON, b"");
        answer.sentence(405);
        assert_eq!(answer.header("allow"), Some(allow));
    }
    assert_eq!(client.get("/subscriptions").expect(200)["count"], 1);
}

#[test]
fn a_stream_starts_behind_the_stored_position() {
    let server = Server::start(&[]);
    publish(&server, "t", "e", 10);
    let mut client = server.client();
    put(&mut client, "x", 6).expect(200);
    let mut stream = Stream::lines(&server, "?subscription=x");
    assert_eq!(stream.seqs(4), [7, 8, 9, 10]);
    // What the address or the browser says goes before it.
    assert_eq!(
        Stream::lines(&server, "?subscription=x&after=8").seqs(1),
        [9]
    );
    let mut seen = Stream::open(&server, "?subscription=x&after=8", &["Last-Event-ID: 9"]);
    assert_eq!(seen.seqs(1), [10]);
    // It is not moved by reading.
    assert_eq!(after(&client.get("/subscriptions/x").expect(200)), 6);
}

#[test]
fn positions_survive_kills_of_server_and_consumer() {
    let mut server = Server::start(&[]);
    put(&mut server.client(), "worker", 0).expect(200);
    let mut handled = Vec::new();
    for round in 0..6 {
        publish(&server, "t", &format!("{round}-"), 100);
        // The consumer dies in the middle of its work: what it has handled and not acknowledged comes
        // again, and nothing is passed over.
        let mut stream = Stream::lines(&server, "?subscription=worker");
        let got = stream.seqs(60);
        let acknowledged = got[40];
        handled.extend(got);
        let mut client = server.client();
        let answer = acknowledge(&mut client, "worker", acknowledged).expect(200);
        assert_eq!(after(&answer), acknowledged);
        let setup = server.setup().clone();
        server.kill();
        server = setup.start();
        let stands = server.json("/subscriptions/worker");
        assert_eq!(after(&stands), acknowledged);
    }
    let mut stream = Stream::lines(&server, "?subscription=worker&follow=false");
    handled.extend(
        stream
            .rest()
            .iter()
            .map(|event| event["seq"].as_u64().expect("a seq")),
    );
    handled.sort_unstable();
    handled.dedup();
    assert_eq!(handled, (1..=600).collect::<Vec<u64>>());
}

#[test]
fn many_change_at_once_beside_publications() {
    let server = Server::start(&[]);
    publish(&server, "t", "e", 1_000);
    std::thread::scope(|scope| {
        for worker in 0..8 {
            let server = &server;
            scope.spawn(move || {
                let mut client = server.client();
                let name = format!("worker-{worker}");
                put(&mut client, &name, 0).expect(200);
                for seq in 1..=100 {
                    let answer = acknowledge(&mut client, &name, seq * 10).expect(200);
                    assert_eq!(after(&answer), seq * 10);
                    publish(server, "other", &format!("{worker}-{seq}"), 1);
                }
            });
        }
    });
    let server = server.restart();
    let all = server.json("/subscriptions");
    assert_eq!(all["count"], 8);
    let list = all["subscriptions"].as_array().expect("a list");
    assert!(list.iter().all(|one| after(one) == 1_000), "{all}");
}
