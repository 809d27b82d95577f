//! The tokens file: how it is read at the start and at each hangup, and what is said of it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;

use crate::harness::{event, Server, Setup};
use crate::tokens::{
    bearer, get, publish, refused, reload, started, tells_no_token, with_file, write, BOTH, FILE,
    INSUFFICIENT, INVALID, PUBLISH, READ,
};

#[test]
fn the_log_says_how_many_tokens_there_are_and_none_of_them() {
    let (setup, path) = with_file(FILE);
    let server = setup
        .listen(["0.0.0.0:0"])
        .flags(["--log-level", "trace"])
        .start();
    let line = server.log().wait_for(1, "3 tokens").remove(0);
    assert!(line.contains(" INFO ") && line.contains(path.to_str().unwrap()));
    let mut client = server.client();
    publish(&mut client, "1", PUBLISH).expect(200);
    publish(&mut client, "1", PUBLISH).expect(200);
    refused(&get(&mut client, "/stats", PUBLISH), 403, INSUFFICIENT);
    refused(&get(&mut client, "/stats", "secret-unknown"), 401, INVALID);
    client.send("GET / HTTP/1.1\r\nAuthorization: Bearer secret-of-both\r\n\r\n");
    client.response().sentence(400);
    let log = server.stop();
    // The address is not loopback, and yet not everything is open.
    assert!(log.lines_with("no tokens are configured").is_empty());
    tells_no_token(&log);
}

#[test]
fn a_file_that_cannot_be_used_ends_the_start_with_2() {
    let fails = |setup: &Setup, parts: &[&str]| {
        let (code, text) = setup.fail();
        assert_eq!(code, 2, "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
        for part in ["--auth-tokens-file"].iter().chain(parts) {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("secret"), "{text}");
        // Nothing has been begun.
        assert!(!setup.database_path().exists());
    };
    for (text, line) in [
        (&b"app publish secret secret2\n"[..], "line 1:"),
        (b"# one\n\nsecret\n", "line 3:"),
        (b"a read secret1\nb write secret2\n", "line 2:"),
        (b"a read secret\nsecret2 secret3 b\n", "line 2:"),
        (b"a read secret\nb read secret\n", "line 2:"),
        (b"a read secret\na read secret2\n", "line 2:"),
        (b"a read secret\xff\n", "line 1:"),
        (b"\0\0\0\0\n", "line 1:"),
    ] {
        let (setup, path) = with_file(text);
        fails(&setup, &[path.to_str().unwrap(), line]);
    }
    let (setup, path) = with_file(vec![b'\n'; 1 << 20 | 1]);
    fails(&setup, &[path.to_str().unwrap(), "bytes"]);

    let (setup, path) = with_file("");
    fs::remove_file(&path).unwrap();
    fails(&setup, &[path.to_str().unwrap(), "No such file"]);
    fs::create_dir(&path).unwrap();
    fails(&setup, &[path.to_str().unwrap(), "not an ordinary file"]);
    fs::remove_dir(&path).unwrap();
    // A pipe that nobody writes to is not waited for.
    let fifo = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, &path, fifo, 0o600.into(), 0).unwrap();
    fails(&setup, &[path.to_str().unwrap(), "not an ordinary file"]);

    let setup = Setup::new().variable("AUTH_TOKENS_FILE", "/nowhere/tokens");
    fails(&setup, &["/nowhere/tokens", "AUTH_TOKENS_FILE"]);
}

#[test]
fn a_hangup_reads_the_file_again() {
    let (server, path) = started();
    let mut client = server.client();
    get(&mut client, "/stats", READ).expect(200);
    write(
        &path,
        "new read secret-of-new\napp read secret-of-publisher\n",
    );
    // Until then the old ones hold.
    refused(&get(&mut client, "/stats", "secret-of-new"), 401, INVALID);
    reload(&server, 1, " INFO 2 tokens");
    refused(&get(&mut client, "/stats", READ), 401, INVALID);
    refused(&publish(&mut client, "1", PUBLISH), 403, INSUFFICIENT);
    get(&mut client, "/stats", PUBLISH).expect(200);
    get(&mut client, "/stats", "secret-of-new").expect(200);
    // A file that another has been put in the place of, as editors and secret stores do.
    let other = path.with_extension("new");
    write(&other, "# nobody\n");
    fs::rename(&other, &path).unwrap();
    let warning = reload(&server, 1, "has no tokens").remove(0);
    assert!(warning.contains(" WARN "), "{warning}");
    refused(&get(&mut client, "/stats", "secret-of-new"), 401, INVALID);
    write(&path, FILE);
    reload(&server, 2, " INFO 3 tokens");
    get(&mut client, "/stats", READ).expect(200);
    tells_no_token(&server.stop());
}

#[test]
fn a_broken_file_leaves_the_old_tokens() {
    let (server, path) = started();
    let mut client = server.client();
    let mut errors = 0;
    let mut still_holds = |part: &str| {
        errors += 1;
        let line = reload(&server, errors, " ERROR ").pop().unwrap();
        assert!(line.contains(path.to_str().unwrap()), "{line}");
        assert!(line.contains(part), "{part}: {line}");
        get(&mut client, "/stats", READ).expect(200);
        refused(&get(&mut client, "/stats", PUBLISH), 403, INSUFFICIENT);
        refused(&get(&mut client, "/stats", "secret-of-new"), 401, INVALID);
    };
    write(&path, "new read secret-of-new\nold secret-of-old\n");
    still_holds("line 2:");
    write(&path, "new read secret-of-new\nnew read secret-of-old\n");
    still_holds("line 2:");
    fs::remove_file(&path).unwrap();
    still_holds("No such file");
    fs::create_dir(&path).unwrap();
    still_holds("not an ordinary file");
    fs::remove_dir(&path).unwrap();
    let fifo = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, &path, fifo, 0o600.into(), 0).unwrap();
    still_holds("not an ordinary file");
    fs::remove_file(&path).unwrap();
    write(&path, "new read secret-of-new\n");
    reload(&server, 1, " INFO 1 tokens");
    get(&mut client, "/stats", "secret-of-new").expect(200);
    tells_no_token(&server.stop());
}

#[test]
fn a_hangup_without_a_tokens_file_changes_nothing() {
    let server = Server::start(&[]);
    let line = reload(&server, 1, "SIGHUP").remove(0);
    assert!(line.contains(" INFO ") && line.contains("no tokens file"));
    server.publish(&event("t", "1")).expect(200);
    server.stop();
}

/// While a server stops, a hangup is no second signal, and tokens are still looked at first.
#[test]
fn a_hangup_does_not_hurry_the_end() {
    let (server, path) = started();
    let body = event("t", "1").to_string();
    let head = |token: &str| {
        format!(
            "POST /publish HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n{}\r\n\
             Expect: 100-continue\r\nContent-Length: {}\r\n\r\n",
            bearer(token),
            body.len()
        )
    };
    let mut senders = [PUBLISH, BOTH].map(|token| {
        let mut sender = server.client();
        sender.send(head(token));
        assert_eq!(sender.response().status, 100);
        sender
    });
    let mut late = [(); 2].map(|()| server.client());
    for client in &mut late {
        client.get("/health").expect(200);
    }
    server.signal(Signal::TERM);
    server.log().wait_for(1, "then stopping");
    write(&path, "admin publish secret-of-both\n");
    reload(&server, 1, " INFO 1 tokens");
    late[0].send("GET /stats HTTP/1.1\r\nHost: test\r\n\r\n");
    late[1].send_request("GET", "/health", &[], b"");
    let [stranger, known] = &mut late;
    let answer = stranger.response();
    refused(&answer, 401, "Bearer");
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(stranger.is_closed());
    known.response().expect(503);

    // One token has been taken away while its body was on the way.
    let [revoked, kept] = &mut senders;
    revoked.send(&body);
    refused(&revoked.response(), 401, INVALID);
    kept.send(&body);
    assert_eq!(kept.response().expect(200)["accepted"], 1);
    let log = server.log().clone();
    assert_eq!(server.wait().code(), Some(0), "{}", log.text());
    tells_no_token(&log);
}

#[test]
fn a_file_that_others_may_read_or_write_is_warned_of() {
    let (setup, path) = with_file(FILE);
    let allow = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    allow(0o644);
    let server = setup.start();
    let warning = server.log().wait_for(1, " WARN ").remove(0);
    assert!(warning.contains(path.to_str().unwrap()) && warning.contains("others"));
    get(&mut server.client(), "/stats", READ).expect(200);
    // Its group is the server's own.
    for (mode, count) in [(0o600, 2), (0o640, 3)] {
        allow(mode);
        reload(&server, count, " INFO 3 tokens");
        assert_eq!(server.log().lines_with(" WARN ").len(), 1);
    }
    allow(0o604);
    reload(&server, 2, " WARN ");
    // Whoever may write it lets himself in.
    allow(0o602);
    reload(&server, 1, "can be written by others");
    allow(0o620);
    reload(&server, 2, "can be written by others");
    let log = server.stop();
    assert_eq!(log.lines_with(" WARN ").len(), 4);
}
