//! Where syslog is taken, and what a start says of it.

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixDatagram;

use crate::harness::{wait_until_refused, Setup};
use crate::ingest::sockets::{self, events, unix_path};

use super::start;

#[test]
fn it_is_off_unless_it_is_asked_for() {
    let server = Setup::new().start();
    server.json("/stats");
    assert!(server.log().lines_with("taking").is_empty());
    assert!(server.log().lines_with("syslog").is_empty());
}

#[test]
fn addresses_come_from_the_flag_or_its_variable() {
    let setup = Setup::new().variable("SYSLOG_LISTEN", "udp:127.0.0.1:0, tcp:localhost:0");
    let server = setup.start();
    let lines = server.log().wait_for(2, "taking syslog on ");
    assert!(
        lines.iter().any(|line| line.contains(" on udp:127.0.0.1:")),
        "{lines:?}"
    );
    assert!(
        lines.iter().any(|line| line.contains(" on tcp:")),
        "{lines:?}"
    );
}

#[test]
fn a_bad_value_is_named() {
    for value in [
        "127.0.0.1:514",
        "udp:127.0.0.1",
        "udp:127.0.0.1:x",
        "tcp:",
        "tls:127.0.0.1:6514",
        "unix:",
        "",
        "udp:::1:514",
    ] {
        let (code, text) = Setup::new().flags(["--syslog", value]).fail();
        assert_eq!(code, 2, "{value:?}: {text}");
        assert!(text.contains("--syslog"), "{value:?}: {text}");
    }
    let long = format!("unix:/{}", "a".repeat(200));
    let (code, text) = Setup::new().flags(["--syslog", &long]).fail();
    assert_eq!((code, text.contains("--syslog")), (2, true), "{text}");
}

#[test]
fn an_address_in_use_ends_the_start() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    for address in [
        format!("tcp:{}", tcp.local_addr().unwrap()),
        format!("udp:{}", udp.local_addr().unwrap()),
    ] {
        let (code, text) = Setup::new().flags(["--syslog", &address]).fail();
        assert_eq!(code, 1, "{text}");
        assert!(text.contains("in use") && text.contains(&address), "{text}");
    }
}

#[test]
fn only_a_stale_unix_socket_is_replaced() {
    let setup = Setup::new();
    let path = setup.directory().join("log");
    let with_socket = setup
        .clone()
        .flags(["--syslog", &format!("unix:{}", path.display())]);
    fs::write(&path, "precious").unwrap();
    assert_eq!(with_socket.fail().0, 1);
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    fs::remove_file(&path).unwrap();

    let other = UnixDatagram::bind(&path).unwrap();
    let (code, text) = with_socket.fail();
    assert_eq!((code, text.contains("in use")), (1, true), "{text}");
    drop(other);
    wait_until_refused(|| UnixDatagram::unbound()?.connect(&path));
    assert!(fs::symlink_metadata(&path).unwrap().file_type().is_socket());

    let server = with_socket.start();
    server.log().wait_for(1, "taking syslog on unix:");
    server.kill();
    assert!(path.exists());
    let server = with_socket.start();
    server.log().wait_for(1, "taking syslog on unix:");
    let socket = UnixDatagram::unbound().unwrap();
    socket.connect(&path).unwrap();
    socket.send(b"<1>a").unwrap();
    events(&server, 1);
    server.stop();
    assert!(!path.exists(), "its file goes with the server");
}

#[test]
fn the_log_says_that_tokens_are_not_asked_for() {
    let server = start();
    assert!(server.log().lines_with("tokens and").is_empty());
    assert!(unix_path(&server).exists());
    let setup = Setup::new();
    let tokens = setup.directory().join("tokens");
    fs::write(&tokens, "one publish 0123456789abcdef0123456789abcdef\n").unwrap();
    let flags = ["--auth-tokens-file", tokens.to_str().unwrap()];
    let server = sockets::start(setup.clone().flags(flags), "--syslog", &["udp:127.0.0.1:0"]);
    let lines = server.log().wait_for(1, "syslog knows no tokens");
    assert!(lines[0].contains("udp:127.0.0.1:"), "{}", lines[0]);
    sockets::udp(&server).send(b"<1>a").unwrap();
}
