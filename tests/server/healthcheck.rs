//! `logagg healthcheck`: its exit code and its one sentence, whatever it meets.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};
use std::thread;

use rustix::process::{kill_process, Pid, Signal};

use crate::harness::{Address, Server, Setup};
use crate::wait::wait_until;

/// The exit code and what was said, the one line of it.
fn check(variables: &[(&str, &str)], flags: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_logagg"));
    command.arg("healthcheck").args(flags).env_clear();
    let output = command
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .expect("the program can be started");
    let code = output.status.code().expect("it ends by itself");
    let (said, other) = match code {
        0 => (output.stdout, output.stderr),
        _ => (output.stderr, output.stdout),
    };
    assert!(other.is_empty(), "{}", String::from_utf8_lossy(&other));
    let said = String::from_utf8(said).expect("a sentence is UTF-8");
    if code < 2 {
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    (code, said)
}

fn port(server: &Server) -> String {
    let Address::Tcp(address) = server.address() else {
        panic!("the server listens on TCP");
    };
    address.port().to_string()
}

/// Answers one connection with these bytes, or with nothing at all until the asker goes.
fn other_service(answer: Option<&'static str>) -> (String, thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serving = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = [0; 1024];
        let count = stream.read(&mut head).unwrap();
        let asked = &head[..count];
        // On a busy machine the asker's time may be over before it has asked.
        let has_asked = asked.starts_with(b"GET /health HTTP/1.0\r\nHost: 127.0.0.1:");
        assert!(has_asked || answer.is_none(), "{asked:?}");
        match answer {
            Some(answer) => stream.write_all(answer.as_bytes()).unwrap(),
            None => while stream.read(&mut head).is_ok_and(|count| count > 0) {},
        }
    });
    (url, serving)
}

#[test]
fn a_healthy_server_is_found_by_the_settings_of_the_server() {
    let server = Setup::new().listen(["0.0.0.0:0"]).start();
    let port = port(&server);
    let url = format!("http://127.0.0.1:{port}");
    let listen = format!("127.0.0.1:{port},unix:/nobody");
    for (variables, flags) in [
        (vec![("PORT", port.as_str())], vec![]),
        (vec![("PORT", port.as_str()), ("HOST", "0.0.0.0")], vec![]),
        (vec![("PORT", port.as_str()), ("HOST", "localhost")], vec![]),
        (
            vec![("PORT", "1"), ("HOST", "")],
            vec!["--port", port.as_str()],
        ),
        (vec![("LISTEN", listen.as_str())], vec![]),
        // An address beats all settings.
        (
            vec![("PORT", "1"), ("HOST", "nowhere")],
            vec!["--url", url.as_str()],
        ),
    ] {
        let (code, said) = check(&variables, &flags);
        assert_eq!(code, 0, "{variables:?} {flags:?}: {said}");
        assert!(said.ends_with(" is healthy\n"), "{said}");
    }
    let (code, said) = check(&[], &["--url", &format!("{url}/stats")]);
    assert_eq!(code, 1, "{said}");
}

#[test]
fn a_unix_socket_is_asked_too() {
    let setup = Setup::new();
    let path = setup.directory().join("s");
    let address = format!("unix:{}", path.display());
    let server = setup.clone().listen([&address]).start();
    for (variables, flags) in [
        (vec![("LISTEN", address.as_str())], vec![]),
        (vec![], vec!["--url", address.as_str()]),
    ] {
        assert_eq!(check(&variables, &flags).0, 0);
    }
    server.stop();
    let (code, said) = check(&[], &["--url", &address]);
    assert_eq!(code, 1);
    assert!(said.contains("cannot be asked"), "{said}");
    // One that listens, and never accepts.
    let mute = UnixListener::bind(&path).unwrap();
    let (code, said) = check(&[], &["--url", &address, "--timeout", "50"]);
    assert_eq!(code, 1);
    assert!(said.contains("no answer within 50 ms"), "{said}");
    drop(mute);
}

#[test]
fn an_unhealthy_server_is_named_with_its_reason() {
    let server = Server::start(&[]);
    let port = port(&server);
    let database = rusqlite::Connection::open(server.setup().database_path()).unwrap();
    database.execute_batch("BEGIN IMMEDIATE").unwrap();
    server
        .publish(&crate::harness::event("t", "1"))
        .sentence(503);
    let (code, said) = check(&[("PORT", &port)], &[]);
    assert_eq!(code, 1);
    assert!(
        said.contains("is not healthy") && said.contains("locked"),
        "{said}"
    );
    database.execute_batch("ROLLBACK").unwrap();
    wait_until("health", || check(&[("PORT", &port)], &[]).0 == 0);
}

#[test]
fn a_server_that_is_gone_or_stands_still_is_not_healthy() {
    let server = Server::start(&[]);
    let port = port(&server);
    server.signal(Signal::STOP);
    let (code, said) = check(&[("PORT", &port)], &["--timeout", "100"]);
    assert_eq!(code, 1);
    assert!(said.contains("no answer within 100 ms"), "{said}");
    server.signal(Signal::CONT);
    server.stop();
    let (code, said) = check(&[("PORT", &port)], &[]);
    assert_eq!(code, 1);
    assert!(said.contains("cannot be asked"), "{said}");
}

/// The time runs out while the process is stopped, and the answer has arrived before it goes on.
#[test]
fn an_answer_that_came_while_the_check_was_stopped_counts() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut command = Command::new(env!("CARGO_BIN_EXE_logagg"));
    command.args(["healthcheck", "--timeout", "8000", "--url", &url]);
    let mut child = command.env_clear().stdout(Stdio::null()).spawn().unwrap();
    let pid = Pid::from_child(&child);
    let (mut stream, _) = listener.accept().unwrap();
    assert!(stream.read(&mut [0; 1024]).unwrap() > 0);
    let stat = format!("/proc/{}/stat", pid.as_raw_nonzero());
    wait_until("the check to wait", || {
        fs::read_to_string(&stat).unwrap().contains(") S ")
    });
    kill_process(pid, Signal::STOP).unwrap();
    let answer = "HTTP/1.1 200 OK\r\n\r\n{\"status\":\"healthy\"}";
    stream.write_all(answer.as_bytes()).unwrap();
    drop(stream);
    // Another check begins now and has the same time.
    let (mute, serving) = other_service(None);
    assert_eq!(check(&[], &["--timeout", "8000", "--url", &mute]).0, 1);
    serving.join().unwrap();
    kill_process(pid, Signal::CONT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn another_service_is_not_healthy() {
    for answer in [
        "HTTP/1.1 200 OK\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\n\r\n{\"status\":\"ok\"}",
        "HTTP/1.1 404 Not Found\r\n\r\n{\"status\":\"healthy\"}",
        "HTTP/1.1 500 X\r\n",
        "SSH-2.0-OpenSSH\r\n",
        "",
    ] {
        let (url, serving) = other_service(Some(answer));
        let (code, said) = check(&[], &["--url", &url]);
        assert_eq!(code, 1, "{answer:?}: {said}");
        serving.join().unwrap();
    }
    let (url, serving) = other_service(None);
    let (code, said) = check(&[], &["--url", &url, "--timeout", "50"]);
    assert_eq!(code, 1);
    assert!(said.contains("no answer within 50 ms"), "{said}");
    serving.join().unwrap();
}

#[test]
fn arguments_that_are_wrong_are_named() {
    for flags in [
        ["--url", "https://localhost"],
        ["--url", "localhost:8080"],
        ["--timeout", "0"],
        ["--port", "70000"],
    ] {
        let (code, said) = check(&[], &flags);
        assert_eq!(code, 2, "{said}");
        assert!(said.contains(flags[0]), "{said}");
    }
    let (code, said) = check(&[("PORT", "x")], &[]);
    assert_eq!(code, 2);
    assert!(said.contains("variable PORT"), "{said}");
}
