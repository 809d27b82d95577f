//! Headless Chromium, driven by the DevTools protocol over two pipes: JSON objects with a NUL after each.
//! What a page may not do without being noticed (an error, a dialog, a request elsewhere) is kept for the
//! test that asks.

mod page;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{json, Value};

pub use self::page::Page;
use crate::harness::{Address, Server, TemporaryDirectory, TIMEOUT};
use crate::report;

/// Makes the pipes what the browser expects: it reads from descriptor 3 and writes to descriptor 4.
const WITH_PIPES: &str = "exec 3<&0 4>&1 0</dev/null 1>/dev/null; exec \"$0\" \"$@\"";

/// How long it may take to close before it is killed.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Notes, for `Page::noticed`, what a page's policy has kept from happening.
const NOTE_VIOLATIONS: &str = "addEventListener('securitypolicyviolation', violation => \
     console.error('policy:', violation.violatedDirective, violation.blockedURI));";

/// Where Chromium is installed.
pub fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .flat_map(|folder| {
            ["chromium", "chromium-browser", "google-chrome"].map(|name| folder.join(name))
        })
        .find(|program| program.is_file())
}

/// What a browser is to open.
pub fn url(server: &Server) -> String {
    match server.address() {
        Address::Tcp(address) => format!("http://{address}/"),
        Address::Unix(path) => panic!("no browser opens {}", path.display()),
    }
}

/// The browser as one test sees it: it shares no tabs and nothing that pages keep with other tests.
pub struct Chromium {
    process: Arc<Process>,
    context: String,
}

impl Chromium {
    /// Starts it; where it is not installed says that `what` is skipped.
    pub fn start(what: &str) -> Option<Chromium> {
        let Some(program) = program() else {
            report::skipped(what, "chromium is not installed");
            return None;
        };
        let process = Process::shared(program);
        let made = process.call(None, "Target.createBrowserContext", &json!({}));
        let context = made["browserContextId"].as_str().expect("a context");
        Some(Chromium {
            context: context.to_owned(),
            process,
        })
    }

    /// A new tab with the server's page in it. Tabs share what one browser's tabs share.
    pub fn open(&self, server: &Server) -> Page<'_> {
        self.open_at(server, "/")
    }

    /// A new tab with what the server has at `path`.
    pub fn open_at(&self, server: &Server, path: &str) -> Page<'_> {
        let create = json!({"url": "about:blank", "browserContextId": self.context});
        let target = self.process.call(None, "Target.createTarget", &create);
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = self.process.call(None, "Target.attachToTarget", &attach);
        let session = attached["sessionId"]
            .as_str()
            .expect("a session")
            .to_owned();
        let page = Page::new(self, session);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            page.call(&format!("{domain}.enable"), &json!({}));
        }
        let script = json!({"source": NOTE_VIOLATIONS});
        page.call("Page.addScriptToEvaluateOnNewDocument", &script);
        page.resize(1280, 900);
        let address = format!("{}{path}", url(server).trim_end_matches('/'));
        page.load("Page.navigate", &json!({"url": address}));
        page
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // Not waited for: the test may be failing because the browser does not answer.
        let parameters = json!({"browserContextId": self.context});
        let _ = self
            .process
            .send(None, "Target.disposeBrowserContext", &parameters);
    }
}

/// The program. The tests that run at the same time share it, for it takes its time to start; it is ended
/// with the last of them.
struct Process {
    child: Mutex<Child>,
    to: Mutex<ChildStdin>,
    sent: AtomicU64,
    received: Arc<Received>,
    _profile: TemporaryDirectory,
}

#[derive(Default)]
struct Received {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// By the ids of their calls.
    answers: HashMap<u64, Value>,
    /// Of all pages, in the order in which they came.
    events: Vec<Value>,
}

impl Process {
    /// The one that runs, or a new one.
    fn shared(program: PathBuf) -> Arc<Process> {
        static RUNNING: Mutex<Weak<Process>> = Mutex::new(Weak::new());
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        running.upgrade().unwrap_or_else(|| {
            let process = Arc::new(Process::start(program));
            *running = Arc::downgrade(&process);
            process
        })
    }

    fn start(program: PathBuf) -> Process {
        let profile = TemporaryDirectory::new();
        let mut child = Command::new("/bin/sh")
            .arg("-c")
            .arg(WITH_PIPES)
            .arg(program)
            .args(["--headless=new", "--no-sandbox", "--disable-gpu"])
            .args(["--disable-dev-shm-usage", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-extensions"])
            .arg("--remote-debugging-pipe")
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the browser starts");
        let received = Arc::default();
        read(child.stdout.take().expect("it is piped"), &received);
        Process {
            to: Mutex::new(child.stdin.take().expect("it is piped")),
            child: Mutex::new(child),
            sent: AtomicU64::new(0),
            received,
            _profile: profile,
        }
    }

    /// Sends a call; returns its id.
    fn send(
        &self,
        session: Option<&str>,
        method: &str,
        parameters: &Value,
    ) -> std::io::Result<u64> {
        let id = self.sent.fetch_add(1, Ordering::Relaxed) + 1;
        let mut message = json!({"id": id, "method": method, "params": parameters});
        if let Some(session) = session {
            message["sessionId"] = json!(session);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        let mut to = self.to.lock().unwrap_or_else(PoisonError::into_inner);
        to.write_all(&bytes)?;
        Ok(id)
    }

    /// Calls a method and waits for its result.
    fn call(&self, session: Option<&str>, method: &str, parameters: &Value) -> Value {
        let sent = self.send(session, method, parameters);
        let id = sent.expect("the browser reads");
        let state = self.received.state();
        let (mut state, _) = self
            .received
            .changed
            .wait_timeout_while(state, TIMEOUT, |state| !state.answers.contains_key(&id))
            .unwrap_or_else(PoisonError::into_inner);
        let answer = state.answers.remove(&id);
        drop(state);
        let mut answer = answer.unwrap_or_else(|| panic!("{method} is not answered"));
        assert!(answer["error"].is_null(), "{method}: {answer}");
        answer["result"].take()
    }

    /// How many events with this name a tab has sent.
    fn count(&self, session: &str, event: &str) -> usize {
        self.received.state().count(session, event)
    }

    /// Waits until a tab has sent more than `count` events with this name.
    fn wait_for_event(&self, session: &str, event: &str, count: usize) {
        let state = self.received.state();
        let (state, _) = self
            .received
            .changed
            .wait_timeout_while(state, TIMEOUT, |state| state.count(session, event) <= count)
            .unwrap_or_else(PoisonError::into_inner);
        assert!(state.count(session, event) > count, "no {event} came");
    }
}

impl State {
    fn count(&self, session: &str, event: &str) -> usize {
        let is_it = |one: &&Value| one["sessionId"] == session && one["method"] == event;
        self.events.iter().filter(is_it).count()
    }
}

impl Received {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Asked to close, it ends its own children first, which would write to the profile that is removed
        // next. It may also have ended by itself, or not listen any more.
        let _ = self.send(None, "Browser.close", &json!({}));
        let child = self.child.get_mut();
        let child = child.unwrap_or_else(PoisonError::into_inner);
        let start = Instant::now();
        while matches!(child.try_wait(), Ok(None)) && start.elapsed() < LAST_WORDS {
            thread::sleep(Duration::from_millis(10));
        }
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// Reads messages in a thread, so that the browser never waits for its reader.
fn read(pipe: ChildStdout, received: &Arc<Received>) {
    let received = received.clone();
    thread::spawn(move || {
        for message in BufReader::new(pipe).split(0).map_while(Result::ok) {
            let message: Value = serde_json::from_slice(&message).expect("the browser writes JSON");
            let mut state = received.state();
            match message["id"].as_u64() {
                Some(id) => {
                    state.answers.insert(id, message);
                }
                None => state.events.push(message),
            }
            drop(state);
            received.changed.notify_all();
        }
    });
}
