//! What is bounded: connections, descriptors and memory. Whoever has to wait for them is served in the
//! end, and those who are being served do not notice.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Barrier;
use std::thread;

use rustix::process::{getrlimit, prlimit, setrlimit, Resource, Rlimit, Signal};

use crate::harness::{event, Address, Client, Response, Server, Setup};
use crate::wait::wait_until;

/// Whether the server has sent nothing on a connection so far.
fn is_unanswered(stream: &mut TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let result = stream.read(&mut [0; 1]);
    stream.set_nonblocking(false).unwrap();
    matches!(result, Err(e) if e.kind() == ErrorKind::WouldBlock)
}

#[test]
fn a_thousand_connections_are_served_at_once() {
    const COUNT: usize = 1_000;
    // The test has as many descriptors as the server.
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).unwrap();
    let server = Server::start(&[]);
    let mut clients: Vec<Client> = (0..COUNT).map(|_| server.client()).collect();
    for round in 0..2 {
        for (number, client) in clients.iter_mut().enumerate() {
            let body = event("many", &format!("{round}-{number}")).to_string();
            let json = ["Content-Type: application/json"];
            client.send_request("POST", "/publish", &json, body.as_bytes());
        }
        for client in &mut clients {
            assert_eq!(client.response().expect(200)["accepted"], 1);
        }
    }
    let stats = clients[0].get("/stats").expect(200);
    assert_eq!(stats["connections"], COUNT);
    assert_eq!(stats["unique_processed"], 2 * COUNT);
    // They shared commits.
    assert!(stats["batches"].as_u64().unwrap() < 2 * COUNT as u64);
}

#[test]
fn connections_over_the_limit_wait_until_there_is_room() {
    let server = Server::start(&["--max-connections", "2"]);
    let Address::Tcp(address) = server.address() else {
        panic!("the server listens on TCP");
    };
    let mut served = [server.client(), server.client()];
    for client in &mut served {
        client.get("/health").expect(200);
    }
    let mut waiting = TcpStream::connect(address).unwrap();
    waiting
        .write_all(b"GET /stats HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        .unwrap();
    // Each of these is a turn of the loop in which it could be accepted.
    for number in 0..50 {
        let stats = served[number % 2].get("/stats").expect(200);
        assert_eq!(stats["connections"], 2);
    }
    assert!(is_unanswered(&mut waiting));
    let [first, mut second] = served;
    drop(first);
    let mut answer = String::new();
    waiting.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains("\"connections\":2"), "{answer}");
    second.get("/health").expect(200);
}

/// Without a free descriptor nobody can be accepted; those who are connected go on, and the others'
/// turn comes.
#[test]
fn running_out_of_descriptors_stops_nobody_for_good() {
    let server = Server::start(&[]);
    let mut old = server.client();
    old.publish(event("before", "1").to_string()).expect(200);
    let folder = format!("/proc/{}/fd", server.pid().as_raw_nonzero());
    let open = || fs::read_dir(&folder).unwrap().count();
    let few = Rlimit {
        current: Some(open() as u64 + 2),
        maximum: Some(open() as u64 + 2),
    };
    prlimit(Some(server.pid()), Resource::Nofile, few).unwrap();
    let mut clients: Vec<Client> = (0..20).map(|_| server.client()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        let body = event("scarce", &number.to_string()).to_string();
        let json = ["Content-Type: application/json"];
        client.send_request("POST", "/publish", &json, body.as_bytes());
    }
    server.log().wait_for(1, "accepting pauses");
    for number in 0..100 {
        let event = event("meanwhile", &number.to_string()).to_string();
        assert_eq!(old.publish(event).expect(200)["accepted"], 1);
    }
    // Who connected first is served first, and makes room by leaving.
    for mut client in clients {
        assert_eq!(client.response().expect(200)["accepted"], 1);
    }
    let stats = old.get("/stats").expect(200);
    assert_eq!(stats["unique_processed"], 121);
    drop(old);
    server.get("/health").expect(200);
    server.stop();
}

/// The file limit counts as a limit of connections, so that descriptors never run out by themselves.
#[test]
fn a_small_file_limit_is_found_out_at_start() {
    // 32 of them are kept for other things.
    let server = Setup::new().file_limit(40).start();
    let mut clients: Vec<Client> = (0..40).map(|_| server.client()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        let body = event("queue", &number.to_string()).to_string();
        let json = ["Content-Type: application/json"];
        client.send_request("POST", "/publish", &json, body.as_bytes());
    }
    for mut client in clients {
        assert_eq!(client.response().expect(200)["accepted"], 1);
        let stats = client.get("/stats").expect(200);
        assert!(stats["connections"].as_u64().unwrap() <= 8, "{stats}");
    }
    assert!(server.log().lines_with("accepting pauses").is_empty());
}

/// An event of about this many bytes.
fn large_event(event_id: &str, bytes: usize) -> String {
    let mut large = event("large", event_id);
    large["payload"]["text"] = "x".repeat(bytes).into();
    large.to_string()
}

/// Sends one body in two halves from each of `count` clients at once, the second halves only when all
/// first halves have gone to the kernel.
fn publish_in_halves(server: &Server, count: usize, bytes: usize) -> Vec<Response> {
    let barrier = Barrier::new(count);
    thread::scope(|scope| {
        let publishers: Vec<_> = (0..count)
            .map(|number| {
                let barrier = &barrier;
                scope.spawn(move || {
                    let body = large_event(&number.to_string(), bytes);
                    let (front, back) = body.split_at(body.len() / 2);
                    let mut client = server.client();
                    client.send(format!(
                        "POST /publish HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n\
                         Content-Length: {}\r\n\r\n{front}",
                        body.len()
                    ));
                    barrier.wait();
                    client.send(back);
                    client.response()
                })
            })
            .collect();
        let join = |publisher: thread::ScopedJoinHandle<Response>| publisher.join().unwrap();
        publishers.into_iter().map(join).collect()
    })
}

/// Twenty bodies of 400 kB against a limit of 1 MiB: they are received one after the other, and nobody
/// who goes on sending is turned away.
#[test]
fn bodies_beyond_the_memory_limit_wait_for_each_other() {
    let flags = ["--max-buffered-bytes", "1048576", "--log-level", "debug"];
    let server = Server::start(&flags);
    for response in publish_in_halves(&server, 20, 400_000) {
        assert_eq!(response.expect(200)["accepted"], 1);
    }
    assert_eq!(server.json("/stats")["unique_processed"], 20);
    assert_eq!(server.json("/health")["status"], "healthy");
}

/// Four bodies of which half has come take all the memory, and a fifth may exceed it. When that is done
/// it is the turn of the next, although the limit is still reached.
#[test]
fn the_turn_of_those_who_wait_for_memory_comes() {
    const HALF: usize = 262_144;
    let server = Server::start(&["--max-buffered-bytes", "1048576"]);
    let mut observer = server.client();
    let body = |number: usize| large_event(&number.to_string(), 2 * HALF);
    let mut clients: Vec<Client> = (0..5).map(|_| server.client()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        let body = body(number);
        client.send(format!(
            "POST /publish HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n\
             Expect: 100-continue\r\nContent-Length: {}\r\n\r\n",
            body.len()
        ));
        assert_eq!(client.response().status, 100);
        if number < 4 {
            client.send(&body[..HALF]);
            // Turns of the loop in which it is read.
            for _ in 0..20 {
                observer.get("/health").expect(200);
            }
        }
    }
    let mut fifth = clients.pop().unwrap();
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(&body(number)[HALF..]);
    }
    for piece in body(4).as_bytes().chunks(10_000) {
        fifth.send(piece);
    }
    clients.push(fifth);
    for client in &mut clients {
        assert_eq!(client.response().expect(200)["accepted"], 1);
    }
}

/// A client that waits for memory may be read before it is woken: when the only one that was being read has sent
/// its last bytes in the same turn. Then it waits no more.
#[test]
fn a_client_that_is_read_while_it_waits_for_memory_is_answered() {
    let server = Server::start(&["--max-buffered-bytes", "1048576"]);
    let mut observer = server.client();
    let mut begin = |number: usize, bytes: usize, held_back: usize| {
        let mut body = large_event(&number.to_string(), bytes);
        let rest = body.split_off(body.len() - held_back);
        let mut client = server.client();
        client.send(format!(
            "POST /publish HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len() + rest.len()
        ));
        // Turns of the loop in which it is read.
        for _ in 0..20 {
            observer.get("/health").expect(200);
        }
        (client, rest)
    };
    // More than the memory for large requests, so that no other is read beside it.
    let (mut first, first_rest) = begin(1, 700_000, 100);
    let (mut second, second_rest) = begin(2, 40_000, 20_000);
    server.signal(Signal::STOP);
    first.send(first_rest);
    second.send(second_rest);
    server.signal(Signal::CONT);
    for client in [&mut first, &mut second] {
        assert_eq!(client.response().expect(200)["accepted"], 1);
    }
}

/// One body alone may be larger than the limit for all.
#[test]
fn a_body_over_the_memory_limit_arrives() {
    let server = Server::start(&["--max-buffered-bytes", "1048576"]);
    let mut client = server.client();
    let answer = client.publish(large_event("1", 5_000_000)).expect(200);
    assert_eq!(answer["accepted"], 1);
    let page = client.get("/events").expect(200);
    assert_eq!(page["count"], 1);
}

/// Memory that vanished clients have held is free again.
#[test]
fn half_sent_bodies_give_their_memory_back() {
    let server = Server::start(&["--max-buffered-bytes", "1048576"]);
    for _ in 0..3 {
        let mut clients: Vec<Client> = (0..8).map(|_| server.client()).collect();
        for client in &mut clients {
            client.send(
                "POST /publish HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n\
                 Content-Length: 400000\r\n\r\n",
            );
            client.send(" ".repeat(300_000));
        }
        drop(clients);
        let mut client = server.client();
        wait_until("the clients to be gone", || {
            client.get("/stats").expect(200)["connections"] == 1
        });
    }
    assert_eq!(
        server.publish(&event("after", "1")).expect(200)["accepted"],
        1
    );
}
