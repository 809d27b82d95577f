//! Who can connect to a server without settings, and which names a request may have in `Host` there.

use std::net::TcpListener;

use crate::harness::{event, Address, Client, Server, Setup};

/// A server that checks names, on loopback unless `setup` says otherwise.
fn strict(setup: Setup) -> Server {
    setup.variable("ALLOWED_HOSTS", "").start()
}

/// The status of `GET target` with this `Host`.
fn status(client: &mut Client, target: &str, host: &str) -> u16 {
    client.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    client.response().status
}

#[test]
fn without_tokens_and_host_only_this_machine_can_connect() {
    let none: [&str; 0] = [];
    let server = Setup::new().listen(none).flags(["--port", "0"]).start();
    let line = server.log().wait_for(1, "only programs of this machine");
    assert!(line[0].contains("--host 0.0.0.0 (HOST)"), "{}", line[0]);
    let listening = server.log().lines_with("listening on ");
    assert!(listening[0].contains("listening on http://127.0.0.1:"));
    let Address::Tcp(first) = server.address() else {
        panic!("the address is TCP's");
    };
    server.json("/health");
    // The port is free on ::1 with all likelihood, but it need not be.
    if listening.len() == 2 {
        let second = format!("listening on http://[::1]:{}", first.port());
        assert!(listening[1].ends_with(&second), "{}", listening[1]);
        let address = format!("[::1]:{}", first.port()).parse().unwrap();
        Client::connect(&Address::Tcp(address))
            .get("/health")
            .expect(200);
    }
    // Nothing else is listened on.
    TcpListener::bind(("127.0.0.2", first.port())).expect("the address is free");
}

#[test]
fn with_tokens_or_a_host_the_log_does_not_say_how_to_open_the_server() {
    let none: [&str; 0] = [];
    let setup = Setup::new();
    let path = setup.directory().join("tokens");
    std::fs::write(&path, "a publish,read secret-of-a\n").unwrap();
    let setup = setup.listen(none).flags(["--port", "0"]);
    let tokens = path.to_str().unwrap();
    let with_tokens = setup.clone().flags(["--auth-tokens-file", tokens]).start();
    let line = with_tokens.log().lines_with("listening on ").remove(0);
    assert!(line.contains("listening on http://0.0.0.0:"), "{line}");
    let log = with_tokens.stop();
    assert!(log.lines_with("only programs of this machine").is_empty());
    let log = setup.flags(["--host", "localhost"]).start().stop();
    assert!(log.lines_with("only programs of this machine").is_empty());
}

#[test]
fn on_loopback_a_request_for_another_name_is_421() {
    let server = strict(Setup::new());
    let mut client = server.client();
    let body = event("t", "1").to_string();
    let length = body.len();
    let publish = format!(
        "POST /publish HTTP/1.1\r\nHost: evil.example:8080\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    client.send(publish);
    let sentence = client.response().sentence(421);
    assert!(sentence.contains("--allowed-hosts"), "{sentence}");
    for target in ["/", "/health", "/events", "/docs", "/metrics", "/unknown"] {
        assert_eq!(status(&mut client, target, "evil.example"), 421, "{target}");
    }
    for method in ["OPTIONS", "HEAD", "DELETE"] {
        client.send(format!(
            "{method} /events HTTP/1.1\r\nHost: localhost.evil.example\r\n\r\n"
        ));
        assert_eq!(client.response_to(method).status, 421, "{method}");
    }
    // Refused by its head alone, before its body is asked for.
    client.send(
        "POST /publish HTTP/1.1\r\nHost: evil.example\r\nContent-Type: application/json\r\n\
         Content-Length: 5\r\nExpect: 100-continue\r\n\r\n",
    );
    client.response().sentence(421);
    // Names of this server.
    let mut client = server.client();
    for host in [
        "localhost",
        "LOCALHOST:1",
        "logs.localhost",
        "127.0.0.1:8080",
        "[::1]",
        "10.0.0.1",
    ] {
        assert_eq!(status(&mut client, "/health", host), 200, "{host}");
    }
    assert_eq!(server_stats(&mut client)["received"], 0);
    // Faults of HTTP come first.
    for head in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    ] {
        let mut client = server.client();
        client.send(head);
        client.response().sentence(400);
    }
    // HTTP/1.0 needs no Host, and no browser speaks it.
    let mut client = server.client();
    client.send("GET /health HTTP/1.0\r\n\r\n");
    assert_eq!(client.response().status, 200);
}

fn server_stats(client: &mut Client) -> serde_json::Value {
    client.send("GET /stats HTTP/1.1\r\nHost: localhost\r\n\r\n");
    client.response().expect(200)
}

#[test]
fn names_that_are_allowed_pass() {
    let named = Setup::new()
        .variable("ALLOWED_HOSTS", "logs.example, b")
        .start();
    let mut client = named.client();
    assert_eq!(status(&mut client, "/health", "LOGS.example:80"), 200);
    assert_eq!(status(&mut client, "/health", "b."), 200);
    assert_eq!(status(&mut client, "/health", "c"), 421);
    let any = Setup::new().flags(["--allowed-hosts", "*"]).start();
    assert_eq!(status(&mut any.client(), "/health", "c"), 200);
}

#[test]
fn only_on_loopback_and_without_tokens_names_are_compared() {
    // Others can connect, by whatever name they know the machine.
    let public = strict(Setup::new().listen(["0.0.0.0:0", "127.0.0.1:0"]));
    for address in public.addresses() {
        let mut client = Client::connect(&local(address));
        assert_eq!(status(&mut client, "/health", "evil.example"), 200);
    }
    let setup = Setup::new();
    let path = setup.directory().join("tokens");
    std::fs::write(&path, "a publish,read secret-of-a\n").unwrap();
    let with_tokens = strict(setup.flags(["--auth-tokens-file", path.to_str().unwrap()]));
    let mut client = with_tokens.client();
    assert_eq!(status(&mut client, "/health", "evil.example"), 200);
    assert_eq!(status(&mut client, "/events", "evil.example"), 401);
    // No page can make a browser connect to a Unix socket.
    let setup = Setup::new();
    let socket = format!("unix:{}", setup.directory().join("s").display());
    let unix = strict(setup.clone().listen([&socket]));
    assert_eq!(status(&mut unix.client(), "/health", "evil.example"), 200);
    unix.stop();
    let both = strict(setup.listen([socket, "127.0.0.1:0".to_owned()]));
    let statuses = both
        .addresses()
        .iter()
        .map(|address| status(&mut Client::connect(address), "/health", "evil.example"));
    assert_eq!(statuses.collect::<Vec<u16>>(), [200, 421]);
}

/// The address at which a program of this machine reaches a listener.
fn local(address: &Address) -> Address {
    match address {
        Address::Tcp(address) => Address::Tcp(([127, 0, 0, 1], address.port()).into()),
        Address::Unix(_) => address.clone(),
    }
}
