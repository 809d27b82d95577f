//! The built program as a process: with what settings it starts, and how it ends.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;

use rustix::process::{kill_process, Pid, Signal};
use serde_json::Value;

use super::{fixed_address, Address, Client, Log, Response, TemporaryDirectory};

/// What a server is started with. Clones share one folder, and so one database.
#[derive(Clone)]
pub struct Setup {
    directory: Arc<TemporaryDirectory>,
    listen: Vec<OsString>,
    database: PathBuf,
    store: Option<String>,
    flags: Vec<OsString>,
    variables: Vec<(String, String)>,
    file_limit: Option<u32>,
    inherited: Vec<Arc<OwnedFd>>,
}

impl Setup {
    /// A folder and a database of its own, and a free port on 127.0.0.1.
    pub fn new() -> Setup {
        let directory = TemporaryDirectory::new();
        Setup {
            database: directory.join("events.db"),
            directory: Arc::new(directory),
            listen: vec!["127.0.0.1:0".into()],
            store: None,
            flags: Vec::new(),
            variables: Vec::new(),
            file_limit: None,
            inherited: Vec::new(),
        }
    }

    /// The same with an address that a server has again after each start.
    pub fn with_fixed_address() -> Setup {
        Setup::new().listen([fixed_address().to_string()])
    }

    /// Further flags.
    pub fn flags<F: Into<OsString>>(mut self, flags: impl IntoIterator<Item = F>) -> Setup {
        self.flags.extend(flags.into_iter().map(Into::into));
        self
    }

    /// An environment variable. Those of the test's own process are not passed on.
    pub fn variable(mut self, name: &str, value: &str) -> Setup {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The addresses, as `--listen` takes them, in place of 127.0.0.1. With none, host and port are left
    /// to the flags and variables, and there is one address.
    pub fn listen<A: Into<OsString>>(mut self, addresses: impl IntoIterator<Item = A>) -> Setup {
        self.listen = addresses.into_iter().map(Into::into).collect();
        self
    }

    /// Another file as database.
    pub fn database(mut self, path: impl Into<PathBuf>) -> Setup {
        self.database = path.into();
        self
    }

    /// The most descriptors that the server can have open.
    /// Serves a store that many servers share, in place of a database.
    #[allow(dead_code, reason = "only the tests of a fleet have one")]
    pub fn store(mut self, url: &str) -> Setup {
        self.store = Some(url.to_owned());
        self
    }

    pub fn file_limit(mut self, limit: u32) -> Setup {
        self.file_limit = Some(limit);
        self
    }

    /// Passes the server descriptors as systemd does, at most two, in place of the addresses.
    pub fn inherit(mut self, descriptors: impl IntoIterator<Item = OwnedFd>) -> Setup {
        self.inherited = descriptors.into_iter().map(Arc::new).collect();
        assert!(self.inherited.len() <= 2);
        self
    }

    pub fn directory(&self) -> &TemporaryDirectory {
        &self.directory
    }

    pub fn database_path(&self) -> &Path {
        &self.database
    }

    fn spawn(&self) -> (Child, Log) {
        let program = env!("CARGO_BIN_EXE_logagg");
        // A shell makes the process what it is to be, and then becomes the server.
        let mut script = String::new();
        if let Some(limit) = self.file_limit {
            script.push_str(&format!("ulimit -n {limit}; "));
        }
        if !self.inherited.is_empty() {
            let count = self.inherited.len();
            script.push_str("exec 3<&0 4<&1 0</dev/null 1>/dev/null; ");
            script.push_str(&format!("export LISTEN_FDS={count} LISTEN_PID=$$; "));
        }
        let mut command = if script.is_empty() {
            Command::new(program)
        } else {
            let mut shell = Command::new("/bin/sh");
            let script = format!("{script}exec \"$0\" \"$@\"");
            shell.arg("-c").arg(script).arg(program);
            shell
        };
        // Requests of tests have any name in Host.
        command.env_clear().env("ALLOWED_HOSTS", "*");
        command.envs(self.variables.iter().cloned());
        command.arg("serve");
        match &self.store {
            Some(store) => command.arg("--store").arg(store),
            None => command.arg("--database").arg(&self.database),
        };
        for address in &self.listen {
            command.arg("--listen").arg(address);
        }
        command
            .args(&self.flags)
            .current_dir(self.directory.path())
            .stdin(self.inherited_as(0))
            .stdout(self.inherited_as(1))
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program can be started");
        let log = Log::read(child.stderr.take().expect("standard error is piped"));
        (child, log)
    }

    fn inherited_as(&self, at: usize) -> Stdio {
        let copy = |fd: &Arc<OwnedFd>| fd.try_clone().expect("there are descriptors left");
        self.inherited
            .get(at)
            .map(copy)
            .map_or(Stdio::null(), Stdio::from)
    }

    /// Starts a server and waits until it says that it listens.
    pub fn start(&self) -> Server {
        let (child, log) = self.spawn();
        let mut server = Server {
            setup: self.clone(),
            child,
            log,
            addresses: Vec::new(),
        };
        let addresses = match self.inherited.len() {
            0 => self.listen.len().max(1),
            inherited => inherited,
        };
        // In either log format the address ends at a quote or at the end of the line.
        for line in server.log.wait_for(addresses, "listening on ") {
            let (_, address) = line.split_once("listening on ").expect("it was asked for");
            let address = address.split('"').next().unwrap_or(address);
            server.addresses.push(Address::parse(address));
        }
        server
    }

    /// Starts a server that listens on an address that is known, without waiting for it.
    pub fn start_at(&self, address: Address) -> Server {
        let (child, log) = self.spawn();
        Server {
            setup: self.clone(),
            child,
            log,
            addresses: vec![address],
        }
    }

    /// Starts a server that is expected to end by itself at once; returns its exit code and its log.
    pub fn fail(&self) -> (i32, String) {
        let (child, log) = self.spawn();
        let mut server = Server {
            setup: self.clone(),
            child,
            log,
            addresses: Vec::new(),
        };
        server.log.wait_for_end();
        let status = server.child.wait().expect("the child is ours");
        let code = status.code().expect("no signal was sent");
        (code, server.log.text())
    }
}

/// A running server. It is killed when this value goes.
pub struct Server {
    setup: Setup,
    child: Child,
    log: Log,
    addresses: Vec<Address>,
}

impl Server {
    /// A server with these flags and a new database.
    pub fn start(flags: &[&str]) -> Server {
        Setup::new().flags(flags).start()
    }

    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The first address that it listens on.
    pub fn address(&self) -> &Address {
        &self.addresses[0]
    }

    /// All of them, in the order of the settings.
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// A new connection.
    pub fn client(&self) -> Client {
        Client::connect(self.address())
    }

    /// `GET` over a new connection.
    pub fn get(&self, target: &str) -> Response {
        self.client().get(target)
    }

    /// `GET` whose answer is 200 with JSON.
    pub fn json(&self, target: &str) -> Value {
        self.get(target).expect(200)
    }

    /// `POST /publish` over a new connection.
    pub fn publish(&self, body: &Value) -> Response {
        self.client().publish(body.to_string())
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("the child is ours and has not been waited for");
    }

    /// Stops by SIGTERM and waits for exit code 0. What it logged stays readable.
    pub fn stop(self) -> Log {
        self.signal(Signal::TERM);
        let log = self.log.clone();
        let status = self.wait();
        assert_eq!(status.code(), Some(0), "the log:\n{}", log.text());
        log
    }

    /// Ends the process without a chance to do anything.
    pub fn kill(self) -> Log {
        self.signal(Signal::KILL);
        let log = self.log.clone();
        self.wait();
        log
    }

    /// Stops by SIGTERM and starts again with the same settings and the same database.
    pub fn restart(self) -> Server {
        let setup = self.setup.clone();
        self.stop();
        setup.start()
    }

    /// Waits until the process ends.
    pub fn wait(mut self) -> ExitStatus {
        self.log.wait_for_end();
        self.child.wait().expect("the child is ours")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only where the process has been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
