//! What is stored when the server is stopped or killed, or its store is away.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use super::{start, start_with};
use crate::harness::{Server, Setup};
use crate::ingest::sockets::{
    self, address, events, lock, members, tcp, udp, unix_path, wait_until_unhealthy,
};
use crate::wait::wait_until;

fn numbered(from: usize, count: usize) -> String {
    (from..from + count)
        .map(|number| format!("<14>app: {number}\n"))
        .collect()
}

fn expect_numbers(server: &Server, count: usize) {
    let found = members(&events(server, count), "message");
    let expected: Vec<_> = (0..count).map(|number| number.to_string()).collect();
    assert!(found == expected, "{count} messages in order");
}

#[test]
fn nothing_is_lost_on_streams_while_the_store_is_away() {
    let server = start();
    let mut stream = tcp(&server);
    stream.write_all(numbered(0, 10).as_bytes()).unwrap();
    events(&server, 10);
    let other = lock(&server);
    let address = address(&server, "tcp");
    let count = 200_000;
    let sender = thread::spawn(move || {
        // More than the sockets' buffers hold: the server does not read on.
        for from in (10..count).step_by(1_000) {
            stream
                .write_all(numbered(from, 1_000.min(count - from)).as_bytes())
                .unwrap();
        }
        stream
    });
    wait_until_unhealthy(&server);
    // A second connection is taken, and waits as well.
    let mut second = TcpStream::connect(address).unwrap();
    second.write_all(b"<14>other: second\n").unwrap();
    other.execute_batch("ROLLBACK").unwrap();
    sender.join().unwrap();
    let all = events(&server, count + 1);
    let of_app: Vec<_> = all
        .iter()
        .filter(|event| event["topic"] == "app")
        .cloned()
        .collect();
    let expected: Vec<_> = (0..count).map(|number| number.to_string()).collect();
    assert!(
        members(&of_app, "message") == expected,
        "all of them in order"
    );
    assert_eq!(server.get("/health").status, 200);
}

#[test]
fn nothing_is_lost_on_a_unix_socket_while_the_store_is_away() {
    let server = start();
    let socket = UnixDatagram::unbound().unwrap();
    socket.connect(unix_path(&server)).unwrap();
    let other = lock(&server);
    let sender = thread::spawn(move || {
        for number in 0..1_000 {
            // It waits while the queue is full.
            socket
                .send(format!("<14>app: {number}").as_bytes())
                .unwrap();
        }
    });
    wait_until_unhealthy(&server);
    other.execute_batch("ROLLBACK").unwrap();
    sender.join().unwrap();
    expect_numbers(&server, 1_000);
}

#[test]
fn a_small_ring_takes_a_long_write() {
    let server = start_with(Setup::new().flags(["--ring-capacity", "7"]));
    tcp(&server)
        .write_all(numbered(0, 20_000).as_bytes())
        .unwrap();
    expect_numbers(&server, 20_000);
}

#[test]
fn sigterm_commits_what_has_arrived() {
    let server = start();
    let mut stream = tcp(&server);
    stream.write_all(numbered(0, 1_000).as_bytes()).unwrap();
    stream.write_all(b"<14>app: 1000").unwrap();
    let datagrams = udp(&server);
    datagrams.send(b"<14>other: datagram").unwrap();
    let socket = UnixDatagram::unbound().unwrap();
    socket.connect(unix_path(&server)).unwrap();
    socket.send(b"<14>other: local").unwrap();
    let setup = server.setup().clone();
    server.stop();
    let server = setup.start();
    assert_eq!(events(&server, 1_003).len(), 1_003);
}

#[test]
fn a_killed_server_has_what_it_had_committed_and_takes_more() {
    let server = start();
    let mut stream = tcp(&server);
    stream.write_all(numbered(0, 100).as_bytes()).unwrap();
    events(&server, 100);
    let setup = server.setup().clone();
    server.kill();
    let server = setup.start();
    server.log().wait_for(3, "taking ");
    tcp(&server)
        .write_all(numbered(100, 100).as_bytes())
        .unwrap();
    expect_numbers(&server, 200);
}

#[test]
fn an_idle_connection_stays_and_the_limit_of_connections_holds() {
    let server = sockets::start(
        Setup::new().flags(["--max-connections", "3"]),
        "--syslog",
        &["tcp:127.0.0.1:0"],
    );
    let mut idle = tcp(&server);
    let mut other = tcp(&server);
    wait_until("two connections", || {
        server.json("/stats")["connections"] == 3
    });
    let third = tcp(&server);
    // The third waits in the backlog, or took the place of a request that is over; then requests wait.
    drop(third);
    other.write_all(b"<14>app: 0\n").unwrap();
    idle.write_all(b"<14>app: 1\n").unwrap();
    drop(other);
    events(&server, 2);
    idle.set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    let error = idle.read(&mut [0; 1]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock, "it is still open");
}

#[test]
fn requests_are_answered_beside_a_flood() {
    let server = start();
    let floods: Vec<_> = (0..3)
        .map(|_| {
            let mut stream = tcp(&server);
            thread::spawn(move || {
                let text = numbered(0, 1_000);
                while stream.write_all(text.as_bytes()).is_ok() {}
            })
        })
        .collect();
    wait_until("the flood", || {
        server.json("/stats")["unique_processed"] != 0
    });
    let body = crate::harness::event("t", "1");
    for _ in 0..20 {
        server.publish(&body).expect(200);
        server.json("/health");
    }
    server.signal(Signal::KILL);
    for flood in floods {
        flood.join().unwrap();
    }
}

/// Also those after the last that was received: nothing comes that would tell of them.
#[test]
fn datagrams_that_the_kernel_drops_are_counted() {
    if !std::path::Path::new("/proc/self/net/udp").exists() {
        return crate::report::skipped("dropped datagrams", "the kernel does not tell of them");
    }
    let server = start();
    let socket = udp(&server);
    let message = format!("<14>app: {}", "x".repeat(1_000));
    let sent = 20_000;
    server.signal(Signal::STOP);
    for _ in 0..sent {
        socket.send(message.as_bytes()).unwrap();
    }
    server.signal(Signal::CONT);
    let count = |page: &str, name: &str| -> u64 {
        let line = page.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().trim().parse().unwrap()
    };
    wait_until("each datagram to be stored or counted", || {
        let page = server.get("/metrics").text();
        let dropped = count(&page, "log_aggregator_datagrams_dropped_total ");
        let received = count(&page, "log_aggregator_received_total ");
        dropped > 0 && dropped + received == sent
    });
    server.log().wait_for(1, "the kernel has dropped ");
}
