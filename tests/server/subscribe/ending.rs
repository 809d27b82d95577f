//! How streams end: with the server, with their token, with a database that cannot be read.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;

use super::{publish, publish_large};
use crate::harness::{Server, Setup, Stream};

#[test]
fn a_server_that_stops_ends_its_streams_behind_what_it_has_answered() {
    let server = Server::start(&[]);
    let mut live: Vec<Stream> = (0..20).map(|_| Stream::lines(&server, "")).collect();
    publish(&server, "t", "e", 100);
    let setup = server.setup().clone();
    server.stop();
    for stream in &mut live {
        assert_eq!(stream.rest().len(), 100);
        assert!(stream.client.is_closed());
    }
    // They come back and go on.
    let server = setup.start();
    let mut again = Stream::open(&server, "", &["Last-Event-ID: 100"]);
    publish(&server, "t", "f", 1);
    assert_eq!(again.seqs(1), [101]);
}

#[test]
fn one_that_is_far_behind_when_the_server_stops_can_tell() {
    let server = Server::start(&[]);
    publish_large(&server, "e", 2_000, 16 * 1024);
    let mut behind = Stream::lines(&server, "?after=0");
    let first = behind.seqs(1);
    server.signal(Signal::TERM);
    let mut last = first[0];
    let end = loop {
        match behind.try_next() {
            Ok(Some(crate::harness::Item::Event(event))) => {
                assert_eq!(event["seq"], last + 1);
                last += 1;
            }
            Ok(Some(other)) => panic!("{other:?}"),
            Ok(None) => break Ok(()),
            Err(why) => break Err(why),
        }
    };
    assert!(end.is_err() && last < 2_000, "{end:?} behind {last}");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_kill_loses_nothing_for_those_who_come_back() {
    let mut server = Server::start(&[]);
    let mut seen = Vec::new();
    for round in 0..5 {
        let after = seen.len();
        let mut stream = Stream::lines(&server, &format!("?after={after}"));
        publish(&server, "t", &format!("{round}-"), 50);
        seen.extend(stream.seqs(30));
        let setup = server.setup().clone();
        server.kill();
        server = setup.start();
    }
    let mut stream = Stream::lines(&server, &format!("?after={}", seen.len()));
    seen.extend(stream.seqs(250 - seen.len()));
    assert_eq!(seen, (1..=250).collect::<Vec<u64>>());
}

#[test]
fn a_token_that_is_taken_away_ends_its_streams() {
    let setup = Setup::new();
    let path = setup.directory().join("tokens");
    let write = |text: &str| {
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    };
    write("a read one\nb read,publish two\n");
    let server = setup
        .flags(["--auth-tokens-file".into(), path.clone()])
        .start();
    let bearer = |token: &str| format!("Authorization: Bearer {token}");
    let mut first = Stream::open(&server, "", &[&bearer("one")]);
    let mut second = Stream::open(&server, "", &[&bearer("two")]);
    let mut client = server.client();
    let count = |client: &mut crate::harness::Client| {
        let stats = client.request("GET", "/stats", &[&bearer("two")], b"");
        stats.expect(200)["subscribers"].clone()
    };
    assert_eq!(count(&mut client), 2);
    write("b read,publish two\n");
    server.signal(Signal::HUP);
    assert!(first.try_next().is_err());
    assert_eq!(count(&mut client), 1);
    let headers = ["Content-Type: application/json", &bearer("two")];
    let body = crate::harness::event("t", "e").to_string();
    client
        .request("POST", "/publish", &headers, body.as_bytes())
        .expect(200);
    assert_eq!(second.seqs(1), [1]);
    for (method, target) in [
        ("GET", "/subscribe"),
        ("GET", "/subscriptions"),
        ("PUT", "/subscriptions/x"),
    ] {
        let answer = client.request(method, target, &["Content-Type: application/json"], b"");
        answer.sentence(401);
    }
}
