//! The addresses that a server listens on: ports, Unix sockets, IPv6.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};

use crate::harness::{event, wait_until_refused, Address, Client, Server, Setup};
use crate::report::skipped;

fn serves(address: &Address, event_id: &str) {
    let mut client = Client::connect(address);
    let answer = client.publish(event("t", event_id).to_string()).expect(200);
    assert_eq!(answer["accepted"], 1);
    assert_eq!(
        client.get("/events?limit=1").expect(200)["events"][0]["event_id"],
        event_id
    );
}

#[test]
fn a_unix_socket_is_served_and_its_file_goes_with_the_server() {
    let setup = Setup::new();
    let path = setup.directory().join("server.sock");
    let setup = setup.listen([format!("unix:{}", path.display())]);
    let server = setup.start();
    assert_eq!(server.address(), &Address::Unix(path.clone()));
    serves(server.address(), "1");
    server.stop();
    assert!(!path.exists());

    // What a killed server leaves behind is in nobody's way.
    let server = setup.start();
    server.kill();
    assert!(fs::symlink_metadata(&path).unwrap().file_type().is_socket());
    let server = setup.start();
    serves(server.address(), "2");
}

#[test]
fn only_a_stale_socket_is_replaced() {
    let setup = Setup::new();
    let path = setup.directory().join("server.sock");
    let listen = format!("unix:{}", path.display());
    fs::write(&path, "precious").unwrap();
    let (code, text) = setup.clone().listen([&listen]).fail();
    assert_eq!((code, text.lines().count()), (1, 1), "{text}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    fs::remove_file(&path).unwrap();

    // Another program listens there.
    let other = UnixListener::bind(&path).unwrap();
    let (code, text) = setup.clone().listen([&listen]).fail();
    assert_eq!(code, 1);
    assert!(text.contains("in use"), "{text}");
    assert!(path.exists());
    drop(other);
    wait_until_refused(|| UnixStream::connect(&path));

    let first = setup.clone().listen([&listen]).start();
    let (code, _) = Setup::new().listen([&listen]).fail();
    assert_eq!(code, 1);
    serves(first.address(), "1");
}

#[test]
fn several_addresses_are_served_at_once() {
    let setup = Setup::new();
    let path = setup.directory().join("server.sock");
    let server = setup
        .listen([
            "127.0.0.1:0".to_owned(),
            format!("unix:{}", path.display()),
            "localhost:0".to_owned(),
        ])
        .start();
    assert_eq!(server.addresses().len(), 3);
    for (number, address) in server.addresses().iter().enumerate() {
        serves(address, &number.to_string());
    }
    assert_eq!(server.json("/stats")["received"], 3);
}

#[test]
fn one_address_in_use_among_several_refuses_the_start_and_leaves_no_socket() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let setup = Setup::new();
    let path = setup.directory().join("server.sock");
    let addresses = [
        format!("unix:{}", path.display()),
        taken.local_addr().unwrap().to_string(),
    ];
    let (code, text) = setup.listen(addresses).fail();
    assert_eq!(code, 1);
    assert!(text.contains("in use"), "{text}");
    assert!(!path.exists());
}

#[test]
fn host_and_port_come_from_flags_and_variables() {
    let none: [&str; 0] = [];
    let setup = Setup::new().listen(none);
    let server = setup
        .clone()
        .flags(["--host", "localhost", "--port", "0"])
        .start();
    assert_eq!(server.addresses().len(), 1);
    serves(server.address(), "1");
    server.stop();
    let server = setup
        .variable("HOST", "127.0.0.1")
        .variable("PORT", "0")
        .start();
    serves(server.address(), "2");
}

#[test]
fn ipv6_is_served() {
    if let Err(error) = TcpListener::bind("[::1]:0") {
        skipped(
            "ipv6_is_served",
            format_args!("there is no IPv6 here, {error}"),
        );
        return;
    }
    let none: [&str; 0] = [];
    let server = Setup::new()
        .listen(none)
        .flags(["--host", "::1", "--port", "0"])
        .start();
    assert!(matches!(server.address(), Address::Tcp(address) if address.is_ipv6()));
    serves(server.address(), "1");
    let server = Server::start(&["--listen", "[::1]:0"]);
    serves(server.address(), "1");
}
