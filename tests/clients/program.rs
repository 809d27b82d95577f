//! The built program as a client: with what it is started, and what it says.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use rustix::process::{kill_process, Pid, Signal};

use crate::harness::{Address, Server, TIMEOUT};
use crate::wait::wait_until;

/// What a client has said, and how it ended.
#[derive(Debug)]
pub struct Output {
    /// None if a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    /// The value of a line `name: value` of standard output.
    pub fn sum(&self, name: &str) -> u64 {
        let prefix = format!("{name}: ");
        let line = self
            .stdout
            .lines()
            .find_map(|line| line.strip_prefix(&prefix));
        let value = line.and_then(|value| value.split(' ').next()?.parse().ok());
        value.unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }

    /// Checks the exit code.
    pub fn expect(self, code: i32) -> Output {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }
}

/// The URL of a server as `--server` takes it.
pub fn url(address: &Address) -> String {
    match address {
        Address::Tcp(address) => format!("http://{address}"),
        Address::Unix(path) => format!("unix:{}", path.display()),
    }
}

/// A command with its arguments, without those of the test's own environment.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_logagg"));
    command
        .env_clear()
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs a client of `server` to its end.
pub fn run(server: &Server, arguments: &[&str], input: &[u8]) -> Output {
    run_at(&url(server.address()), arguments, input)
}

/// Runs a client of the server at `url` to its end.
pub fn run_at(url: &str, arguments: &[&str], input: &[u8]) -> Output {
    let mut running = Running::start_at(url, arguments);
    running.send(input);
    running.finish()
}

/// A client that runs.
pub struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Collected,
    stderr: Collected,
}

impl Running {
    pub fn start(server: &Server, arguments: &[&str]) -> Running {
        Running::start_at(&url(server.address()), arguments)
    }

    pub fn start_at(url: &str, arguments: &[&str]) -> Running {
        let mut command = command(arguments);
        command.args(["--server", url]);
        Running::spawn(&mut command)
    }

    pub fn spawn(command: &mut Command) -> Running {
        let mut child = command.spawn().expect("the program can be started");
        Running {
            stdin: child.stdin.take(),
            stdout: Collected::of(child.stdout.take()),
            stderr: Collected::of(child.stderr.take()),
            child,
        }
    }

    /// Writes to standard input. A client that has ended takes nothing.
    pub fn send(&mut self, bytes: &[u8]) {
        let stdin = self.stdin.as_mut().expect("standard input is open");
        let _ = stdin.write_all(bytes);
    }

    /// Standard input, to be written to elsewhere. It ends where that goes.
    pub fn take_stdin(&mut self) -> ChildStdin {
        self.stdin.take().expect("standard input is open")
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the child is ours");
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Waits until standard output has `count` lines, and returns them all.
    pub fn wait_for_lines(&self, count: usize) -> Vec<String> {
        let lines = || -> Vec<String> {
            let text = self.stdout.text();
            let whole = text
                .split_inclusive('\n')
                .filter(|line| line.ends_with('\n'));
            whole.map(|line| line.trim_end().to_owned()).collect()
        };
        let what = format!("{count} lines");
        wait_until(&what, || lines().len() >= count);
        lines()
    }

    /// Waits until standard error holds `part`.
    pub fn wait_for_word(&self, part: &str) {
        let what = format!("{part:?} on standard error");
        wait_until(&what, || self.stderr().contains(part));
    }

    /// Ends standard input and waits for the end.
    pub fn finish(mut self) -> Output {
        self.stdin = None;
        self.wait()
    }

    /// Waits for the end, with standard input left open.
    pub fn wait(mut self) -> Output {
        let until = Instant::now() + TIMEOUT;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("the child is ours") {
                break status;
            }
            assert!(
                Instant::now() < until,
                "the client does not end: {:?}",
                (self.stdout(), self.stderr())
            );
            thread::sleep(std::time::Duration::from_millis(2));
        };
        Output {
            code: status.code(),
            stdout: self.stdout.end(),
            stderr: self.stderr.end(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only where it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a pipe brings, read by a thread.
#[derive(Default)]
struct Collected {
    text: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Collected {
    fn of(pipe: Option<impl Read + Send + 'static>) -> Collected {
        let text = Arc::new(Mutex::new(Vec::new()));
        let shared = text.clone();
        let reader = pipe.map(|mut pipe| {
            thread::spawn(move || {
                let mut piece = [0; 65_536];
                while let Ok(count @ 1..) = pipe.read(&mut piece) {
                    shared.lock().unwrap().extend_from_slice(&piece[..count]);
                }
            })
        });
        Collected { text, reader }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.text.lock().unwrap()).into_owned()
    }

    fn end(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.text()
    }
}
