//! How the server ends: what has been received is committed and answered, and nothing is begun.

use std::net::TcpStream;
use std::thread;

use rustix::process::Signal;

use crate::harness::{event, Address, Client, Server, Setup};

const JSON: [&str; 1] = ["Content-Type: application/json"];

/// A client that has sent the head of a publication, and the server has seen it.
fn begin_publication(server: &Server, length: usize) -> Client {
    let mut client = server.client();
    client.send(format!(
        "POST /publish HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n\
         Expect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
    ));
    assert_eq!(client.response().status, 100);
    client
}

/// Sends a signal, and waits until the turn of the loop that took it has ended.
fn begin_to_stop(server: &Server, signal: Signal) {
    server.signal(signal);
    server.log().wait_for(1, "then stopping");
}

#[test]
fn what_has_been_received_is_stored_and_answered() {
    for signal in [Signal::TERM, Signal::INT] {
        let server = Server::start(&[]);
        let setup = server.setup().clone();
        let body = event("last", "1").to_string();
        let mut sender = begin_publication(&server, body.len());
        let (front, back) = body.split_at(10);
        sender.send(front);
        let mut open: Vec<Client> = (0..4).map(|_| server.client()).collect();
        for client in &mut open {
            client.get("/health").expect(200);
        }
        begin_to_stop(&server, signal);

        let late = event("late", "1").to_string();
        open[0].send_request("GET", "/stats", &[], b"");
        open[1].send_request("POST", "/publish", &JSON, late.as_bytes());
        open[2].send_request("GET", "/health", &[], b"");
        for client in &mut open[..2] {
            let refused = client.response();
            refused.sentence(503);
            assert_eq!(refused.header("connection"), Some("close"));
            assert!(refused.header("retry-after").is_some());
            assert!(client.is_closed());
        }
        let health = open[2].response();
        assert_eq!(health.expect(503)["status"], "unhealthy");
        assert_eq!(health.header("connection"), Some("close"));
        assert!(open[2].is_closed());
        assert_nobody_listens(&server);

        sender.send(back);
        let answer = sender.response();
        assert_eq!(answer.expect(200)["accepted"], 1);
        assert_eq!(answer.header("connection"), Some("close"));
        assert!(sender.is_closed());
        let log = server.log().clone();
        assert_eq!(server.wait().code(), Some(0), "{}", log.text());
        assert!(open[3].is_closed());
        assert_eq!(log.lines_with("stopped after").len(), 1);

        let server = setup.start();
        let page = server.json("/events");
        assert_eq!(page["count"], 1);
        assert_eq!(page["events"][0]["topic"], "last");
    }
}

fn assert_nobody_listens(server: &Server) {
    let Address::Tcp(address) = server.address() else {
        panic!("the server listens on TCP");
    };
    let refused = TcpStream::connect(address).expect_err("the socket is closed");
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
}

/// Connections with nothing on them do not hold the end up.
#[test]
fn idle_connections_are_closed() {
    let server = Server::start(&[]);
    let mut clients: Vec<Client> = (0..50).map(|_| server.client()).collect();
    for client in &mut clients {
        client.get("/health").expect(200);
    }
    let silent = server.client();
    server.stop();
    for mut client in clients {
        assert!(client.is_closed());
    }
    drop(silent);
}

/// The end of a storm: each request is answered 200 and is stored, or is refused or lost and is not
/// known to be.
#[test]
fn publishers_that_go_on_lose_nothing_that_was_answered() {
    for round in 0..5 {
        let server = Server::start(&[]);
        let setup = server.setup().clone();
        let answered: Vec<String> = thread::scope(|scope| {
            let publishers: Vec<_> = (0..4)
                .map(|publisher| {
                    // Before the server can stop.
                    let client = server.client();
                    scope.spawn(move || publish_until_refused(client, publisher))
                })
                .collect();
            let stats = || server.json("/stats")["received"].as_u64().unwrap();
            crate::wait::wait_until("some events", || stats() > 50 * round);
            server.stop();
            publishers
                .into_iter()
                .flat_map(|publisher| publisher.join().unwrap())
                .collect()
        });
        let server = setup.start();
        let mut client = server.client();
        for event_id in &answered {
            let found = client.get(&format!("/events/storm/{event_id}"));
            assert_eq!(found.status, 200, "{event_id} was answered");
        }
        let stats = client.get("/stats").expect(200);
        let stored = stats["unique_processed"].as_u64().unwrap() as usize;
        // Each publisher may have missed the answers to its last three requests.
        assert!((answered.len()..=answered.len() + 12).contains(&stored));
    }
}

/// Publishes three requests at a time; returns the ids that were answered 200.
fn publish_until_refused(mut client: Client, publisher: usize) -> Vec<String> {
    let mut answered = Vec::new();
    for round in 0.. {
        let ids: Vec<String> = (0..3)
            .map(|at| format!("{publisher}-{round}-{at}"))
            .collect();
        let mut all = String::new();
        for id in &ids {
            let body = event("storm", id).to_string();
            let length = body.len();
            all += &format!(
                "POST /publish HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n\
                 Content-Length: {length}\r\n\r\n{body}"
            );
        }
        if client.try_send(all).is_err() {
            return answered;
        }
        for id in ids {
            match client.try_response("POST") {
                Some(response) if response.status == 200 => answered.push(id),
                Some(response) => {
                    response.sentence(503);
                    return answered;
                }
                None => return answered,
            }
        }
    }
    unreachable!("the server stops");
}

#[test]
fn a_second_signal_exits_at_once() {
    for second in [Signal::TERM, Signal::INT] {
        let server = Server::start(&[]);
        let mut held = begin_publication(&server, 1_000);
        begin_to_stop(&server, Signal::TERM);
        server.signal(second);
        let status = server.wait();
        assert_ne!(status.code(), Some(0), "it was not done");
        assert!(held.is_closed());
    }
}

/// A stopped server's database is one file: nothing waits in a write-ahead log.
#[test]
fn a_clean_stop_leaves_no_write_ahead_log() {
    let server = Server::start(&[]);
    let setup = server.setup().clone();
    server.publish(&event("file", "1")).expect(200);
    let database = setup.database_path().display().to_string();
    let log = format!("{database}-wal");
    assert!(std::fs::metadata(&log).is_ok_and(|file| file.len() > 0));
    server.stop();
    for left in [log, format!("{database}-shm")] {
        assert!(!std::fs::exists(&left).unwrap(), "{left}");
    }
}

/// A restart on the same port does not wait for old connections to be forgotten.
#[test]
fn the_port_is_free_again_at_once() {
    let setup = Setup::with_fixed_address();
    let server = setup.start();
    let mut clients: Vec<Client> = (0..10).map(|_| server.client()).collect();
    for client in &mut clients {
        client.get("/health").expect(200);
    }
    server.stop();
    let again = setup.start();
    again.get("/health").expect(200);
}
