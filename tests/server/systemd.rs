//! What systemd has to do with a server: it is told what state the server is in, it passes listening sockets
//! that outlive the server, and it reads the units in `deploy/`.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{self, UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;
use std::thread;

use rustix::process::Signal;
use serde_json::json;

use crate::harness::{event, Address, Client, Server, Setup, TemporaryDirectory, TIMEOUT};
use crate::report::skipped;
use crate::wait::wait_until;

/// Stands for systemd's end of `NOTIFY_SOCKET`.
struct Notified(UnixDatagram);

impl Notified {
    fn at(path: &Path) -> Notified {
        Notified::on(UnixDatagram::bind(path).unwrap())
    }

    fn on(socket: UnixDatagram) -> Notified {
        socket.set_read_timeout(Some(TIMEOUT)).unwrap();
        Notified(socket)
    }

    /// The next message.
    fn next(&self) -> String {
        self.receive().expect("a message comes")
    }

    fn receive(&self) -> io::Result<String> {
        let mut message = [0; 512];
        let count = loop {
            match self.0.recv(&mut message) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                received => break received?,
            }
        };
        Ok(String::from_utf8(message[..count].to_vec()).expect("messages are ASCII"))
    }

    /// The messages that have come and nobody has read. To be called when the server has ended.
    fn rest(&self) -> Vec<String> {
        self.0.set_nonblocking(true).unwrap();
        let mut found = Vec::new();
        loop {
            match self.receive() {
                Ok(message) => found.push(message),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return found,
                Err(e) => panic!("{e}"),
            }
        }
    }
}

/// A setup whose server has somebody to tell.
fn notifying() -> (Setup, Notified) {
    let setup = Setup::new();
    let path = setup.directory().join("notify");
    let notified = Notified::at(&path);
    (
        setup.variable("NOTIFY_SOCKET", path.to_str().unwrap()),
        notified,
    )
}

/// A listener of this process', and its address.
fn listener(address: &str) -> (TcpListener, Address) {
    let listener = TcpListener::bind(address).unwrap();
    let address = Address::Tcp(listener.local_addr().unwrap());
    (listener, address)
}

#[test]
fn a_server_says_when_it_answers_and_when_it_stops() {
    let (setup, notified) = notifying();
    let (listener, address) = listener("127.0.0.1:0");
    let setup = setup.inherit([listener.into()]);
    let server = setup.start_at(address.clone());
    assert_eq!(notified.next(), "READY=1");
    // By now all of it is there, also the log's line with the address.
    assert_eq!(server.log().wait_for(1, "listening on").len(), 1);
    Client::connect(&address).get("/health").expect(200);
    server.signal(Signal::TERM);
    assert_eq!(notified.next(), "STOPPING=1");
    assert_eq!(server.wait().code(), Some(0));
    assert_eq!(
        notified.rest(),
        [""; 0],
        "without a watchdog there are no signs of life"
    );
}

#[test]
fn a_server_that_cannot_start_is_never_ready() {
    let (setup, notified) = notifying();
    fs::write(setup.database_path(), "no database").unwrap();
    assert_eq!(setup.fail().0, 1);
    assert_eq!(notified.rest(), [""; 0]);
}

#[test]
fn signs_of_life_come_as_long_as_the_loop_turns() {
    let (setup, notified) = notifying();
    let server = setup.variable("WATCHDOG_USEC", "40000").start();
    assert_eq!(notified.next(), "READY=1");
    for _ in 0..5 {
        // Nobody asks the server for anything, so it wakes for this alone.
        assert_eq!(notified.next(), "WATCHDOG=1");
    }
    // A hung process is silent.
    server.signal(Signal::STOP);
    wait_until("the stop", || state_of(&server) == 'T');
    notified.rest();
    assert_eq!(notified.rest(), [""; 0]);
    notified.0.set_nonblocking(false).unwrap();
    server.signal(Signal::CONT);
    assert_eq!(notified.next(), "WATCHDOG=1");
    server.stop();
    let rest = notified.rest();
    assert_eq!(
        rest.iter()
            .filter(|message| *message == "STOPPING=1")
            .count(),
        1
    );
}

/// The state of a server's process, as proc_pid_stat(5) has it.
fn state_of(server: &Server) -> char {
    let path = format!("/proc/{}/stat", server.pid().as_raw_nonzero());
    let stat = fs::read_to_string(path).unwrap();
    let (_, rest) = stat.rsplit_once(") ").unwrap();
    rest.chars().next().unwrap()
}

#[test]
fn a_watchdog_that_waits_for_another_process_gets_nothing() {
    for (name, value) in [
        ("WATCHDOG_PID", "1"),
        ("WATCHDOG_USEC", "0"),
        ("WATCHDOG_USEC", "soon"),
    ] {
        let (setup, notified) = notifying();
        let setup = setup
            .variable("WATCHDOG_USEC", "1000")
            .variable(name, value);
        let server = setup.start();
        server.json("/health");
        server.stop();
        assert_eq!(notified.rest(), ["READY=1", "STOPPING=1"], "{name}={value}");
    }
}

#[test]
fn an_abstract_address_is_told_too() {
    let name = format!("logagg-test-{}", std::process::id());
    let address = net::SocketAddr::from_abstract_name(&name).unwrap();
    let notified = Notified::on(UnixDatagram::bind_addr(&address).unwrap());
    let server = Setup::new()
        .variable("NOTIFY_SOCKET", &format!("@{name}"))
        .start();
    assert_eq!(notified.next(), "READY=1");
    server.stop();
}

#[test]
fn a_supervisor_that_is_gone_or_does_not_read_stops_nobody() {
    for address in ["/nowhere/notify", "@logagg-test-nobody", "nonsense", "@"] {
        let server = Setup::new().variable("NOTIFY_SOCKET", address).start();
        server.json("/health");
        let log = server.stop();
        assert_eq!(log.lines_with("NOTIFY_SOCKET").len(), 1, "{}", log.text());
    }
    let (setup, notified) = notifying();
    let server = setup.variable("WATCHDOG_USEC", "2000").start();
    // Until the queue of messages is full; the system's limit is some hundred.
    server.log().wait_for(1, "WATCHDOG=1 could not be sent");
    server.json("/health");
    server.publish(&event("t", "1")).expect(200);
    let first = notified.rest();
    assert_eq!(first[0], "READY=1");
    // It is told again once it reads.
    notified.0.set_nonblocking(false).unwrap();
    assert_eq!(notified.next(), "WATCHDOG=1");
    server.kill();
}

#[test]
fn who_connects_before_the_server_is_answered_when_it_has_started() {
    for ip in ["127.0.0.1:0", "[::1]:0"] {
        let Ok(socket) = TcpListener::bind(ip) else {
            skipped(
                "who_connects_before_the_server_is_answered_when_it_has_started",
                format_args!("this machine has no address {ip}"),
            );
            continue;
        };
        let address = Address::Tcp(socket.local_addr().unwrap());
        let mut early = Client::connect(&address);
        let body = event("t", "1").to_string();
        early.send_request(
            "POST",
            "/publish",
            &["Content-Type: application/json"],
            body.as_bytes(),
        );
        // The address of the settings is not listened on: there is one line, with the one that was passed.
        let server = Setup::new().inherit([socket.into()]).start();
        assert_eq!(server.address(), &address);
        assert_eq!(early.response().expect(200)["accepted"], 1);
        assert_eq!(server.json("/stats")["received"], 1);
        let log = server.stop();
        assert_eq!(log.lines_with("listening on").len(), 1);
    }
}

#[test]
fn a_unix_socket_that_was_passed_keeps_its_file() {
    let setup = Setup::new();
    let path = setup.directory().join("s");
    let unix = UnixListener::bind(&path).unwrap();
    let (tcp, _) = listener("127.0.0.1:0");
    let setup = setup.inherit([unix.into(), OwnedFd::from(tcp)]);
    for round in 0..2 {
        let mut early = Client::connect(&Address::Unix(path.clone()));
        early.send_request("GET", "/stats", &[], b"");
        let server = setup.start();
        assert_eq!(server.addresses()[0], Address::Unix(path.clone()));
        assert_eq!(early.response().expect(200)["received"], round);
        let mut other = Client::connect(&server.addresses()[1]);
        other
            .publish(event("t", &round.to_string()).to_string())
            .expect(200);
        server.stop();
        assert!(path.exists());
    }
}

#[test]
fn what_is_no_listening_socket_is_refused_in_a_sentence() {
    let setup = Setup::new();
    let file = fs::File::create(setup.directory().join("f")).unwrap();
    let (listener, address) = listener("127.0.0.1:0");
    let Address::Tcp(address) = address else {
        unreachable!("it was made from one")
    };
    let connected = TcpStream::connect(address).unwrap();
    let datagrams = UnixDatagram::unbound().unwrap();
    for descriptor in [OwnedFd::from(file), connected.into(), datagrams.into()] {
        let (code, text) = setup.clone().inherit([descriptor]).fail();
        assert_eq!((code, text.lines().count()), (1, 1), "{text}");
        assert!(text.contains("LISTEN_FDS: socket 0"), "{text}");
    }
    drop(listener);
    let (code, text) = setup.variable("LISTEN_FDS", "1000").fail();
    assert_eq!((code, text.lines().count()), (1, 1), "{text}");
}

#[test]
fn sockets_that_are_meant_for_another_process_are_left_alone() {
    let setup = Setup::new()
        .variable("LISTEN_FDS", "1")
        .variable("LISTEN_PID", "1");
    setup.start().json("/health");
}

/// Publishes events, each over a new connection and until it is answered 200, while servers come and go.
/// Counts those that were not answered at once.
fn publish_on(address: SocketAddr, name: usize, done: &AtomicBool, again: &AtomicUsize) -> usize {
    let mut count = 0;
    while !done.load(Ordering::Relaxed) {
        let body = event(&format!("t{name}"), &count.to_string()).to_string();
        loop {
            // This is what must never fail.
            let mut client = Client::connect(&Address::Tcp(address));
            let request = format!(
                "POST /publish HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n\
                 Content-Length: {}\r\n\r\n{body}",
                body.len()
            );
            let answer = match client.try_send(request) {
                Ok(()) => client.try_response("POST"),
                Err(_) => None,
            };
            if answer.is_some_and(|answer| answer.status == 200) {
                break;
            }
            again.fetch_add(1, Ordering::Relaxed);
        }
        count += 1;
    }
    count
}

#[test]
fn across_restarts_nobody_is_refused() {
    const PUBLISHERS: usize = 4;
    const RESTARTS: u64 = 4;
    let (socket, address) = listener("127.0.0.1:0");
    let Address::Tcp(tcp) = address else {
        unreachable!("it was made from one")
    };
    let setup = Setup::new().inherit([socket.into()]);
    let (done, again) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let publishers: Vec<_> = (0..PUBLISHERS)
        .map(|name| {
            let (done, again) = (done.clone(), again.clone());
            thread::spawn(move || publish_on(tcp, name, &done, &again))
        })
        .collect();
    let mut received = 0;
    for _ in 0..RESTARTS {
        let server = setup.start();
        let before = received;
        wait_until("events", || {
            received = server.json("/stats")["received"].as_u64().unwrap();
            received >= before + 50
        });
        server.stop();
    }
    let server = setup.start();
    done.store(true, Ordering::Relaxed);
    let counts: Vec<usize> = publishers
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect();
    let topics = server.json("/topics");
    for (name, count) in counts.iter().enumerate() {
        let topic = format!("t{name}");
        let topics = topics["topics"].as_array().unwrap();
        let stored = topics
            .iter()
            .find(|stored| stored["topic"] == topic)
            .unwrap();
        assert_eq!(stored["events"], json!(count), "{topic}");
    }
    println!(
        "FIGURE restarts-with-socket-activation: {RESTARTS} restarts under {PUBLISHERS} publishers that connect \
         anew for each of {} events: no connection was refused, every event is stored once, {} requests were \
         sent again",
        counts.iter().sum::<usize>(),
        again.load(Ordering::Relaxed)
    );
}

/// The units with the built program in place of the installed one.
fn units() -> (TemporaryDirectory, Vec<PathBuf>) {
    let directory = TemporaryDirectory::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
    let units = ["logagg.service", "logagg.socket"].map(|name| {
        let text = fs::read_to_string(folder.join(name)).unwrap();
        let text = text.replace(
            "ExecStart=logagg",
            concat!("ExecStart=", env!("CARGO_BIN_EXE_logagg")),
        );
        let path = directory.join(name);
        fs::write(&path, text).unwrap();
        path
    });
    (directory, units.into())
}

#[test]
fn systemd_takes_the_units() {
    let (_directory, units) = units();
    let analyze = |arguments: &[&str], units: &[PathBuf]| {
        let mut command = Command::new("systemd-analyze");
        match command.args(arguments).args(units).output() {
            Ok(output) => {
                let said = [output.stdout, output.stderr].concat();
                let said = String::from_utf8_lossy(&said);
                assert!(output.status.success(), "{arguments:?}: {said}");
                // A line about one of these units is a complaint, even where the exit code is 0.
                assert!(
                    arguments[0] != "verify" || !said.contains("logagg."),
                    "{said}"
                );
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                skipped(
                    "systemd-analyze",
                    "it is not installed; apt-get install systemd has it",
                );
            }
            Err(e) => panic!("systemd-analyze cannot be run: {e}"),
        }
    };
    analyze(&["verify"], &units);
    // Tenths of points of exposure: what serves the network without any right has some 12.
    analyze(
        &["security", "--offline=yes", "--no-pager", "--threshold=15"],
        &units[..1],
    );
}
