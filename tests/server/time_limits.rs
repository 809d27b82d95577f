//! Time limits of the server. Each test waits as long as its limit is, some ten seconds, and does nothing
//! else, so that all others run beside it. The longer ones run only where they are asked for by name
//! (`--ignored`). None asserts a time: that something ends is what counts.

use std::fs;
use std::thread;

use rustix::process::Signal;

use crate::harness::{event, Client, Response, Server, TIMEOUT};
use crate::wait::{wait_until, wait_within};

const PUBLISH: &str = "POST /publish HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n";

/// Each of these takes ten seconds. One test, so that it is one wait.
#[test]
fn ten_seconds_for_a_head_for_memory_and_for_the_end() {
    thread::scope(|scope| {
        scope.spawn(what_came_while_the_process_was_stopped_is_answered);
        scope.spawn(what_came_while_the_end_was_held_up_is_answered);
        scope.spawn(a_head_that_is_not_complete_is_408);
        scope.spawn(waiting_for_memory_ends_with_503);
        scope.spawn(the_end_does_not_wait_for_ever);
    });
}

fn a_head_that_is_not_complete_is_408() {
    let server = Server::start(&[]);
    let mut silent = server.client();
    silent.send("GET /health HTTP/1.1\r\nHo");
    let mut busy = server.client();
    busy.send("GET /health HTTP/1.1\r\nHost: test\r\nX: ");
    wait_until("a refusal", || {
        let is_closed = busy.try_send("y").is_err();
        is_closed || !server.log().lines_with("refused with 408").is_empty()
    });
    for mut client in [silent, busy] {
        let response = client.response();
        response.sentence(408);
        assert_eq!(response.header("connection"), Some("close"));
        assert!(client.is_closed());
    }
    // Meanwhile nothing has happened to an idle connection, which has more time.
    server.get("/health").expect(200);
}

/// Stops the process while its poll waits, which this ends without an event.
fn stop_while_it_waits(server: &Server) {
    server.get("/health").expect(200);
    stop_when_asleep(server);
}

fn stop_when_asleep(server: &Server) {
    let stat = format!("/proc/{}/stat", server.pid());
    let is_asleep = || fs::read_to_string(&stat).unwrap().contains(") S ");
    wait_until("the server to wait", is_asleep);
    server.signal(Signal::STOP);
}

/// The deadline passes while the process is stopped, as it does on a machine that is suspended. What arrived
/// meanwhile is looked at before the deadline is judged.
fn what_came_while_the_process_was_stopped_is_answered() {
    let (server, clock) = (Server::start(&[]), Server::start(&[]));
    let mut halves: Vec<Client> = (0..3).map(|_| server.client()).collect();
    let body = event("stopped", "1").to_string();
    let whole = format!("{PUBLISH}Content-Length: {}\r\n\r\n{body}", body.len());
    let (front, back) = whole.split_at(40);
    for half in &mut halves {
        half.send(front);
    }
    let mut fresh = server.client();
    fresh.get("/health").expect(200);
    stop_while_it_waits(&server);
    // This begins after the others, so they have had their time when this one is over.
    let mut slow = clock.client();
    slow.send(front);
    for half in &mut halves[..2] {
        half.send(back);
    }
    fresh.send(&whole);
    slow.response().sentence(408);
    // It lingers for two seconds more, which is a margin.
    wait_until("the refused one to be let go", || {
        clock.json("/stats")["connections"] == 1
    });
    server.signal(Signal::CONT);
    for half in halves[..2].iter_mut().chain([&mut fresh]) {
        assert_eq!(half.response().expect(200)["received"], 1);
    }
    // One that has sent nothing more has had its time.
    halves[2].response().sentence(408);
    assert_eq!(server.json("/stats")["unique_processed"], 1);
}

/// The time to end runs out while the process is stopped, and what was promised an answer has arrived.
fn what_came_while_the_end_was_held_up_is_answered() {
    let (server, clock) = (Server::start(&[]), Server::start(&[]));
    let body = event("held", "1").to_string();
    let mut held = server.client();
    held.send(format!(
        "{PUBLISH}Expect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        body.len()
    ));
    assert_eq!(held.response().status, 100);
    server.signal(Signal::TERM);
    server.log().wait_for(1, "then stopping");
    stop_when_asleep(&server);
    let mut slow = clock.client();
    slow.send("GET /health HTTP/1.1\r\nHo");
    held.send(body);
    slow.response().sentence(408);
    server.signal(Signal::CONT);
    assert_eq!(held.response().expect(200)["accepted"], 1);
    assert_eq!(server.wait().code(), Some(0));
}

/// Half-sent bodies that stand still hold all the memory. One of them may go on; the others are refused
/// after a while, and get to know it although the server has not read what they sent. One that is read on
/// because others were refused before it has the time that any body has, and then its own refusal.
fn waiting_for_memory_ends_with_503() {
    const HOLDERS: usize = 5;
    let server = Server::start(&["--max-buffered-bytes", "1048576"]);
    let mut holders: Vec<Client> = (0..HOLDERS).map(|_| server.client()).collect();
    for holder in &mut holders {
        holder.send(format!("{PUBLISH}Content-Length: 600000\r\n\r\n"));
        holder.send(" ".repeat(500_000));
    }
    // Small requests have room of their own.
    let mut small = server.client();
    for number in 0..100 {
        let event = event("small", &number.to_string()).to_string();
        assert_eq!(small.publish(event).expect(200)["accepted"], 1);
    }
    let answers: Vec<Option<Response>> = thread::scope(|scope| {
        let read = |mut holder: Client| move || holder.try_response("POST");
        let readers: Vec<_> = holders.into_iter().map(|h| scope.spawn(read(h))).collect();
        wait_until("all but one to be refused", || {
            small.get("/stats").expect(200)["connections"].as_u64() <= Some(2)
        });
        server.kill();
        let join = |reader: thread::ScopedJoinHandle<_>| reader.join().unwrap();
        readers.into_iter().map(join).collect()
    });
    let refused: Vec<Response> = answers.into_iter().flatten().collect();
    assert!(refused.len() >= HOLDERS - 1);
    assert!(refused.iter().any(|response| response.status == 503));
    for response in refused {
        if response.status == 503 {
            assert!(response.header("retry-after").is_some());
            response.sentence(503);
        } else {
            response.sentence(408);
        }
        assert_eq!(response.header("connection"), Some("close"));
    }
}

/// A request that is never completed does not keep the server from ending, and with it end well those
/// that are complete.
fn the_end_does_not_wait_for_ever() {
    let server = Server::start(&[]);
    server.publish(&event("before", "1")).expect(200);
    let mut held = server.client();
    held.send(format!(
        "{PUBLISH}Expect: 100-continue\r\nContent-Length: 100\r\n\r\n"
    ));
    assert_eq!(held.response().status, 100);
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    assert!(held.is_closed());
}

#[test]
#[ignore = "takes 75 s"]
fn the_longer_limits() {
    thread::scope(|scope| {
        scope.spawn(a_body_that_does_not_get_on_is_408);
        scope.spawn(an_idle_connection_is_closed);
        scope.spawn(a_client_that_takes_nothing_is_closed);
    });
}

fn a_body_that_does_not_get_on_is_408() {
    let server = Server::start(&[]);
    let stopped = Server::start(&[]);
    let body = event("stopped", "1").to_string();
    let head = format!("{PUBLISH}Content-Length: {}\r\n\r\n", body.len());
    let mut late = stopped.client();
    late.send(head + &body[..9]);
    stop_while_it_waits(&stopped);
    let mut slow = server.client();
    slow.send(format!("{PUBLISH}Content-Length: 100\r\n\r\n[ "));
    late.send(&body[9..]);
    // Within the client's own timeout of 30 s.
    slow.response().sentence(408);
    assert!(slow.is_closed());
    assert_eq!(server.json("/stats")["received"], 0);
    // What has come to a process that was stopped meanwhile has come in time.
    stopped.signal(Signal::CONT);
    assert_eq!(late.response().expect(200)["accepted"], 1);
}

fn an_idle_connection_is_closed() {
    let server = Server::start(&[]);
    let mut silent = server.client();
    let mut used = server.client();
    used.get("/health").expect(200);
    wait_within(2 * TIMEOUT, "two idle connections to be closed", || {
        server.json("/stats")["connections"] == 1
    });
    assert!(silent.is_closed());
    assert!(used.is_closed());
}

fn a_client_that_takes_nothing_is_closed() {
    let server = Server::start(&[]);
    let mut large = event("large", "1");
    large["payload"]["text"] = "x".repeat(3_000_000).into();
    server.publish(&large).expect(200);
    let mut deaf = server.client();
    // Many times what the two sockets hold.
    deaf.send("GET /events HTTP/1.1\r\nHost: test\r\n\r\n".repeat(20));
    wait_until("the connection to be closed", || {
        server.json("/stats")["connections"] == 1
    });
}
