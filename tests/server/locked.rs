//! Another program holds the database's write lock: publications are refused, readers go on, and the
//! service resumes by itself.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::{json, Value};

use crate::harness::{event, seqs_of, Server, TIMEOUT};

/// Takes the write lock as another program would.
fn lock(server: &Server) -> Connection {
    let other = Connection::open(server.setup().database_path()).unwrap();
    other.busy_timeout(TIMEOUT).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    other
}

fn unlock(other: Connection) {
    other.execute_batch("ROLLBACK").unwrap();
}

#[test]
fn publications_are_503_and_nothing_of_them_is_stored() {
    let server = Server::start(&[]);
    server.publish(&event("before", "1")).expect(200);
    let counted = |stats: &Value| {
        ["received", "last_seq", "topics", "rejected", "queue_size"].map(|name| stats[name].clone())
    };
    let before = counted(&server.json("/stats"));

    let other = lock(&server);
    let mut clients: Vec<_> = (0..5).map(|_| server.client()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        let body = json!([event("before", "1"), event("new", &number.to_string())]).to_string();
        client.send_request(
            "POST",
            "/publish",
            &["Content-Type: application/json"],
            body.as_bytes(),
        );
    }
    for client in &mut clients {
        let answer = client.response();
        assert!(!answer.sentence(503).is_empty());
        let seconds: u32 = answer
            .header("retry-after")
            .expect("it says when to try again")
            .parse()
            .unwrap();
        assert!(seconds > 0);
    }
    let health = server.get("/health").expect(503);
    assert_eq!(
        (&health["status"], &health["consumer_running"]),
        (&json!("unhealthy"), &json!(false))
    );
    assert!(
        health["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("locked")),
        "{health}"
    );
    // Reading goes on.
    assert_eq!(seqs_of(&server.json("/events")), [1]);
    assert_eq!(server.json("/events/before/1")["seq"], 1);
    assert_eq!(server.json("/topics")["count"], 1);
    assert_eq!(counted(&server.json("/stats")), before);
    // A request that is refused for itself still is.
    server.client().publish("x").expect(422);

    unlock(other);
    // Without a publication.
    server.log().wait_for(1, "the store commits again");
    assert_eq!(server.json("/health")["status"], "healthy");
    assert_eq!(server.json("/stats")["received"], 1);
    assert_eq!(server.get("/events/new/0").status, 404);
    let body = json!([event("before", "1"), event("new", "0")]).to_string();
    let answer = clients[0].publish(body).expect(200);
    assert_eq!(
        (&answer["accepted"], &answer["duplicates"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(server.json("/stats")["topics"], json!(["before", "new"]));
    server.stop();
}

#[test]
fn a_lock_that_ends_in_between_serves_the_next_publication() {
    let server = Server::start(&[]);
    for round in 0..2 {
        let other = lock(&server);
        assert_eq!(server.publish(&event("t", &round.to_string())).status, 503);
        unlock(other);
        let again = server.publish(&event("t", &round.to_string())).expect(200);
        assert_eq!(again["accepted"], 1);
        assert_eq!(server.json("/health")["status"], "healthy");
    }
    assert_eq!(seqs_of(&server.json("/events?after=0")).len(), 2);
}

#[test]
fn a_short_lock_is_waited_for() {
    let server = Server::start(&[]);
    for attempt in 0.. {
        let event_id = attempt.to_string();
        let taken = Instant::now();
        let other = lock(&server);
        let mut client = server.client();
        let body = event("t", &event_id).to_string();
        client.send_request(
            "POST",
            "/publish",
            &["Content-Type: application/json"],
            body.as_bytes(),
        );
        // Other clients are answered while this one waits. That the event is not there yet shows that
        // the lock holds it back.
        assert_eq!(server.get(&format!("/events/t/{event_id}")).status, 404);
        let health = server.get("/health");
        thread::sleep(Duration::from_millis(100));
        unlock(other);
        let is_short = taken.elapsed() < Duration::from_millis(500);
        let answer = client.response();
        // On a machine that is so busy that the lock was held longer, it is tried again.
        if is_short {
            assert_eq!(health.expect(200)["status"], "healthy");
            assert_eq!(answer.expect(200)["accepted"], 1);
            break;
        }
        assert!(attempt < 20, "no lock was short");
    }
}

#[test]
fn a_stop_while_locked_still_answers_and_exits() {
    let server = Server::start(&[]);
    server.publish(&event("t", "1")).expect(200);
    let other = lock(&server);
    let mut client = server.client();
    client.send_request(
        "POST",
        "/publish",
        &["Content-Type: application/json"],
        event("t", "2").to_string().as_bytes(),
    );
    // One answer on another connection shows that the first request has been read.
    assert_eq!(server.get("/events/t/2").status, 404);
    let setup = server.setup().clone();
    server.stop();
    assert_eq!(client.response().status, 503);
    unlock(other);
    let server = setup.start();
    assert_eq!(seqs_of(&server.json("/events")), [1]);
    assert_eq!(server.json("/topics")["topics"][0]["events"], 1);
}

#[test]
fn each_publication_is_refused_as_long_as_the_lock_lasts() {
    let server = Server::start(&[]);
    let other = lock(&server);
    let mut client = server.client();
    for n in 0..4 {
        let answer = client.publish(event("t", &n.to_string()).to_string());
        assert_eq!(answer.status, 503, "{answer:?}");
        assert_eq!(server.get("/health").expect(503)["status"], "unhealthy");
    }
    unlock(other);
    server.log().wait_for(1, "the store commits again");
    assert_eq!(server.json("/stats")["received"], 0);
    // The fault is told when it begins and when it ends, and not each second.
    let log = server.stop();
    assert_eq!(log.lines_with("the store cannot commit").len(), 1);
    assert_eq!(log.lines_with("the store commits again").len(), 1);
}

#[test]
fn locks_that_come_and_go_cost_no_event_and_no_count() {
    const PUBLISHERS: usize = 4;
    const EACH: usize = 40;
    let server = Server::start(&["--log-duplicates", "off"]);
    let database = server.setup().database_path().to_owned();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let locker = scope.spawn(|| {
            let other = Connection::open(database).unwrap();
            other.busy_timeout(TIMEOUT).unwrap();
            let mut locks = 0;
            while !done.load(Ordering::Relaxed) {
                other.execute_batch("BEGIN IMMEDIATE").unwrap();
                thread::sleep(Duration::from_millis(3));
                other.execute_batch("COMMIT").unwrap();
                thread::sleep(Duration::from_millis(3));
                locks += 1;
            }
            locks
        });
        let publishers: Vec<_> = (0..PUBLISHERS)
            .map(|_| {
                let mut client = server.client();
                scope.spawn(move || {
                    let mut counted = 0;
                    for n in 0..EACH {
                        let body = event("t", &n.to_string()).to_string();
                        // On a busy machine the lock may never be free when it is tried; then sending
                        // again is right.
                        while client.publish(&body).status != 200 {}
                        counted += 1;
                    }
                    counted
                })
            })
            .collect();
        let counted: usize = publishers.into_iter().map(|p| p.join().unwrap()).sum();
        done.store(true, Ordering::Relaxed);
        assert!(locker.join().unwrap() > 0);
        let stats = server.json("/stats");
        assert_eq!(stats["received"], counted);
        assert_eq!(stats["unique_processed"], EACH);
    });
    assert_eq!(seqs_of(&server.json("/events?after=0")).len(), EACH);
}
