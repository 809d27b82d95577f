//! The built program as a forwarder.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use rustix::process::{kill_process, Pid, Signal};

use crate::harness::{Address, Server, TIMEOUT};
use crate::wait::wait_until;

/// The URL of a server as `--server` takes it.
pub fn url_of(address: &Address) -> String {
    match address {
        Address::Tcp(address) => format!("http://{address}"),
        Address::Unix(path) => format!("unix:{}", path.display()),
    }
}

/// The program, without the variables of the test's own environment.
pub fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_logagg"));
    command
        .env_clear()
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs it to its end; the exit code, what it printed, and what it said.
pub fn run(arguments: &[&str]) -> (i32, String, String) {
    let output = program(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let code = output.status.code().unwrap_or(-1);
    (code, text(output.stdout), text(output.stderr))
}

/// Brings all that a server has into a store.
pub fn forward_once(server: &Server, to: &str) -> String {
    let node = url_of(server.address());
    let (code, _, said) = run(&["forward", "--once", "--server", &node, "--to", to]);
    assert_eq!(code, 0, "{said}");
    said
}

/// A forwarder that runs.
pub struct Forwarder {
    child: Child,
    said: Arc<Mutex<String>>,
    /// Where its metrics are.
    address: String,
}

impl Forwarder {
    pub fn start(node: &Address, to: &str) -> Forwarder {
        Forwarder::start_with(node, to, &[])
    }

    pub fn start_with(node: &Address, to: &str, flags: &[&str]) -> Forwarder {
        let node = url_of(node);
        let own = [
            "forward",
            "--server",
            &node,
            "--to",
            to,
            "--listen",
            "127.0.0.1:0",
        ];
        let mut child = program(&[&own, flags].concat()).spawn().unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let (stderr, log) = (child.stderr.take().unwrap(), said.clone());
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                *log.lock().unwrap() += &(line + "\n");
            }
        });
        let mut address = String::new();
        wait_until("the forwarder to listen", || {
            let said = said.lock().unwrap();
            let found = said.split_once("listening on http://");
            let found = found.and_then(|(_, rest)| rest.split_once(" for"));
            address = found.map_or_else(String::new, |(found, _)| found.to_owned());
            !address.is_empty()
        });
        Forwarder {
            child,
            said,
            address,
        }
    }

    /// What it has said on standard error.
    pub fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    pub fn page(&self, path: &str) -> String {
        let mut socket = TcpStream::connect(&self.address).unwrap();
        socket.set_read_timeout(Some(TIMEOUT)).unwrap();
        write!(socket, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        answer
    }

    /// A value of its metrics.
    pub fn metric(&self, name: &str) -> f64 {
        let page = self.page("/metrics");
        let line = page
            .lines()
            .find_map(|line| line.strip_prefix(&format!("logagg_forward_{name} ")));
        line.unwrap_or_else(|| panic!("{name} in {page}"))
            .parse()
            .unwrap()
    }

    pub fn wait_for_position(&self, seq: u64) {
        wait_until("the position", || self.metric("position") == seq as f64);
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Ends it with SIGTERM; its exit code.
    pub fn stop(mut self) -> i32 {
        self.signal(Signal::TERM);
        wait_until("the forwarder to end", || {
            self.child.try_wait().unwrap().is_some()
        });
        self.child.wait().unwrap().code().unwrap_or(-1)
    }

    /// Its exit code, if it has ended.
    pub fn ended(&mut self) -> Option<i32> {
        self.child
            .try_wait()
            .unwrap()
            .map(|status| status.code().unwrap_or(-1))
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
