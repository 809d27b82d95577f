//! Bodies that become large when they are decoded, or are much work for little: refused after bounded
//! work, in bounded memory, and one after the other.

use std::io::Write;
use std::thread;
use std::time::Instant;

use flate2::write::{GzEncoder, ZlibEncoder};
use flate2::Compression;

use super::{assert_stored, descriptors_at_rest, peak, publish_each, wait_until_alone, MIB};
use crate::harness::{event, Client, Response, Server, TIMEOUT};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8], window_log: u32) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.window_log(window_log).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Their coding, what they are, and how they are refused.
fn bombs() -> Vec<(&'static str, Vec<u8>, u16)> {
    // 64 MiB where 16 are allowed.
    let mut large = event("bomb", "1").to_string().into_bytes();
    large.resize(64 << 20, b' ');
    vec![
        ("gzip", gzip(&large), 413),
        ("deflate", zlib(&large), 413),
        ("zstd", zstd(&large, 23), 413),
        // A window of 128 MiB, which nothing is decoded into.
        ("zstd", zstd(&large, 27), 422),
        // Nothing comes out of these, in a hundred thousand pieces.
        ("gzip", gzip(b"").repeat(100_000), 422),
        ("zstd", zstd(b"", 20).repeat(100_000), 422),
        // A bomb within a bomb is one that is no JSON.
        ("gzip", gzip(&gzip(&large)), 422),
    ]
}

fn send(client: &mut Client, coding: &str, body: &[u8]) {
    let coding = format!("Content-Encoding: {coding}");
    let headers = ["Content-Type: application/json", &coding];
    client.send_request("POST", "/publish", &headers, body);
}

fn publish(client: &mut Client, coding: &str, body: &[u8]) -> Response {
    send(client, coding, body);
    client.response()
}

/// Again while more compressed bodies wait than a slow machine takes in.
fn publish_in_turn(client: &mut Client, coding: &str, body: &[u8]) -> Response {
    let start = Instant::now();
    loop {
        let answer = publish(client, coding, body);
        if answer.status != 503 || start.elapsed() > TIMEOUT {
            return answer;
        }
    }
}

/// Lines of events, each with an id of its own and a payload that makes it some 600 bytes.
fn lines(topic: &str, count: usize) -> String {
    let line = |number: usize| {
        let mut event = event(topic, &number.to_string());
        event["payload"]["text"] = "x".repeat(500).into();
        event.to_string() + "\n"
    };
    (0..count).map(line).collect()
}

/// Bombs of each kind from many clients at once. Meanwhile others publish, with and without a coding,
/// among them one whose body is as long in the decoding as a bomb.
#[test]
fn a_flood_of_bombs_is_refused_in_bounded_memory() {
    const BOMBERS: usize = 4;
    let server = Server::start(&[]);
    let at_rest = descriptors_at_rest(&server);
    let bombs = bombs();
    let mut body = lines("large", 9_000);
    assert!(body.len() > 5_000_000);
    // White space up to the limit.
    body.push_str(&" ".repeat((16 << 20) - body.len()));
    let body = gzip(body.as_bytes());
    thread::scope(|scope| {
        for (coding, bomb, status) in &bombs {
            for _ in 0..BOMBERS {
                let mut client = server.client();
                scope.spawn(move || {
                    for _ in 0..2 {
                        let answer = publish_in_turn(&mut client, coding, bomb);
                        assert_eq!(answer.status, *status, "{coding}: {answer:?}");
                    }
                });
            }
        }
        let mut plain = server.client();
        scope.spawn(move || publish_each(&mut plain, "plain", 200));
        let mut coded = server.client();
        scope.spawn(move || {
            for number in 0..50 {
                let event = event("coded", &number.to_string()).to_string();
                let answer = publish_in_turn(&mut coded, "gzip", &gzip(event.as_bytes()));
                assert_eq!(answer.expect(200)["accepted"], 1);
            }
        });
        let mut large = server.client();
        let body = &body;
        scope.spawn(move || {
            let answer = publish_in_turn(&mut large, "gzip", body);
            assert_eq!(answer.expect(200)["accepted"], 9_000);
        });
    });
    let peak = peak(&server);
    assert!(peak < 128 * MIB, "{peak} bytes");
    println!(
        "FIGURE bomb-memory: the server peaked at {} MiB in a flood of {} bombs of 64 MiB",
        peak / MIB,
        2 * BOMBERS * bombs.len()
    );
    wait_until_alone(&server, at_rest);
    assert_stored(&server, "plain", 200);
    assert_stored(&server, "coded", 50);
    assert_stored(&server, "large", 9_000);
    let stats = server.json("/stats");
    assert_eq!(stats["received"], 9_250);
    // Those that do not decode and those that are no JSON.
    assert_eq!(stats["rejected"], 2 * BOMBERS * 2);
}

/// A body that is decoded over many turns keeps its place among the requests of its connection, and its
/// client may end its side meanwhile.
#[test]
fn a_body_that_takes_many_turns_is_answered_in_its_place() {
    let server = Server::start(&[]);
    let bomb = &bombs()[0].1;
    let mut client = server.client();
    for number in 0..3 {
        send(&mut client, "gzip", bomb);
        let event = event("behind", &number.to_string()).to_string();
        send(&mut client, "gzip", &gzip(event.as_bytes()));
    }
    client.shutdown_write();
    for _ in 0..3 {
        client.response().sentence(413);
        assert_eq!(client.response().expect(200)["accepted"], 1);
    }
    assert!(client.is_closed());
    assert_stored(&server, "behind", 3);
}

/// Bodies that wait to be decoded have been received: the server answers them before it stops.
#[test]
fn bodies_that_wait_to_be_decoded_are_answered_at_the_end() {
    let server = Server::start(&[]);
    let body = gzip(lines("last", 5_000).as_bytes());
    let bomb = &bombs()[0].1;
    let mut clients: Vec<Client> = (0..6).map(|_| server.client()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        let body = if number == 5 { &body } else { bomb };
        send(client, "gzip", body);
    }
    // All have been read when one that came later has been answered, and the turn has come that decodes.
    server.get("/health").expect(200);
    let setup = server.setup().clone();
    let stopping = thread::spawn(move || server.stop());
    for (number, client) in clients.iter_mut().enumerate() {
        let answer = client.response();
        if number == 5 {
            assert_eq!(answer.expect(200)["accepted"], 5_000);
        } else {
            answer.sentence(413);
        }
    }
    stopping.join().unwrap();
    assert_stored(&setup.start(), "last", 5_000);
}
