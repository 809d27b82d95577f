//! Headless Chromium, driven by the DevTools protocol over two pipes: JSON objects with a NUL behind each.
//! What a page may not do without being noticed (an error, a dialog, a request elsewhere) is kept for the
//! test that asks.

use std::cell::{Cell, RefCell};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{channel, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{json, Value};

use super::{Server, TemporaryDirectory, PATIENCE};
use crate::report;

/// Makes the pipes what the browser expects: it reads from descriptor 3 and writes to descriptor 4.
const WITH_PIPES: &str = "exec 3<&0 4>&1 0</dev/null 1>/dev/null; exec \"$0\" \"$@\"";

const CLOSE: &[u8] = b"{\"id\":0,\"method\":\"Browser.close\"}\0";
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

/// A running browser with nothing in it. It is ended when this value goes.
pub struct Chromium {
    child: Child,
    to: RefCell<ChildStdin>,
    from: Receiver<Value>,
    sent: Cell<u64>,
    /// Of all pages, in the order in which they came.
    events: RefCell<Vec<Value>>,
    _profile: TemporaryDirectory,
}

/// One tab.
pub struct Page<'b> {
    browser: &'b Chromium,
    session: String,
}

impl Chromium {
    /// Starts it; where it is not installed says that `what` is skipped.
    pub fn start(what: &str) -> Option<Chromium> {
        let Some(program) = program() else {
            report::skipped(what, "chromium is not installed");
            return None;
        };
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
        let to = child.stdin.take().expect("it is piped");
        let from = messages(child.stdout.take().expect("it is piped"));
        Some(Chromium {
            child,
            to: RefCell::new(to),
            from,
            sent: Cell::new(0),
            events: RefCell::new(Vec::new()),
            _profile: profile,
        })
    }

    /// A new tab with the server's page in it. Tabs share what one browser's tabs share.
    pub fn open(&self, server: &Server) -> Page<'_> {
        let target = self.call(None, "Target.createTarget", &json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = self.call(None, "Target.attachToTarget", &attach);
        let session = attached["sessionId"]
            .as_str()
            .expect("a session")
            .to_owned();
        let page = Page {
            browser: self,
            session,
        };
        for domain in ["Page", "Runtime", "Log", "Network"] {
            page.call(&format!("{domain}.enable"), &json!({}));
        }
        let script = json!({"source": NOTE_VIOLATIONS});
        page.call("Page.addScriptToEvaluateOnNewDocument", &script);
        page.resize(1280, 900);
        page.call("Page.navigate", &json!({"url": server.url()}));
        page.wait_for("document.readyState === 'complete'");
        page
    }

    /// Calls a method and waits for its result.
    fn call(&self, session: Option<&str>, method: &str, parameters: &Value) -> Value {
        let id = self.sent.get() + 1;
        self.sent.set(id);
        let mut message = json!({"id": id, "method": method, "params": parameters});
        if let Some(session) = session {
            message["sessionId"] = json!(session);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        let sent = self.to.borrow_mut().write_all(&bytes);
        sent.expect("the browser reads");
        loop {
            let message = self.from.recv_timeout(PATIENCE);
            let mut message = message.unwrap_or_else(|e| panic!("{method}: {e}"));
            if message["id"] == id {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].take();
            }
            if message["method"].is_string() {
                self.events.borrow_mut().push(message);
            }
        }
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // Asked to close, it ends its own children first, which would write to the profile that is removed
        // next. It may also have ended by itself, or not listen any more.
        let _ = self.to.borrow_mut().write_all(CLOSE);
        let start = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && start.elapsed() < LAST_WORDS {
            thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads messages in a thread, so that the browser never waits for its reader.
fn messages(pipe: ChildStdout) -> Receiver<Value> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for message in BufReader::new(pipe).split(0) {
            let Ok(message) = message else { return };
            let message = serde_json::from_slice(&message).expect("the browser writes JSON");
            if sender.send(message).is_err() {
                return;
            }
        }
    });
    receiver
}

impl Page<'_> {
    pub fn call(&self, method: &str, parameters: &Value) -> Value {
        self.browser.call(Some(&self.session), method, parameters)
    }

    /// The value of an expression, awaited where it is a promise.
    pub fn evaluate(&self, expression: &str) -> Value {
        let parameters = json!({
            "expression": expression, "awaitPromise": true, "returnByValue": true,
        });
        let mut answer = self.call("Runtime.evaluate", &parameters);
        let failure = &answer["exceptionDetails"];
        assert!(failure.is_null(), "{expression}: {failure}");
        answer["result"]["value"].take()
    }

    /// Waits until an expression is true.
    pub fn wait_for(&self, expression: &str) {
        let start = Instant::now();
        while self.evaluate(&format!("Boolean({expression})")) != true {
            if start.elapsed() > PATIENCE {
                let text = self.evaluate("document.body.innerText");
                panic!("waited in vain for {expression}; the page says:\n{text}");
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The text that an element shows.
    pub fn text(&self, selector: &str) -> String {
        let text = self.evaluate(&format!("document.querySelector({selector:?}).innerText"));
        text.as_str().expect("it is text").to_owned()
    }

    /// Waits until the text of an element contains `part`.
    pub fn wait_for_text(&self, selector: &str, part: &str) {
        let part = json!(part);
        self.wait_for(&format!(
            "document.querySelector({selector:?})?.innerText.includes({part})"
        ));
    }

    /// Clicks with the mouse in the middle of an element, which must be what is seen there.
    pub fn click(&self, selector: &str) {
        let place = self.evaluate(&format!(
            "(() => {{
                const target = document.querySelector({selector:?});
                target.scrollIntoView({{ block: 'center', behavior: 'instant' }});
                const box = target.getBoundingClientRect();
                const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
                return {{ x, y, isSeen: target.contains(document.elementFromPoint(x, y)) }};
            }})()"
        ));
        assert_eq!(place["isSeen"], true, "{selector} is covered: {place}");
        for kind in ["mousePressed", "mouseReleased"] {
            let parameters = json!({
                "type": kind, "x": place["x"], "y": place["y"], "button": "left", "clickCount": 1,
            });
            self.call("Input.dispatchMouseEvent", &parameters);
        }
    }

    /// Puts a text in place of what a field holds, as if it were pasted.
    pub fn fill(&self, selector: &str, text: &str) {
        self.evaluate(&format!("document.querySelector({selector:?}).select()"));
        self.evaluate(&format!("document.querySelector({selector:?}).focus()"));
        if text.is_empty() {
            self.press("Delete");
        } else {
            self.call("Input.insertText", &json!({"text": text}));
        }
    }

    /// Presses a key, named as in `KeyboardEvent.key`.
    pub fn press(&self, key: &str) {
        let (code, text) = match key {
            "Tab" => (9, ""),
            "Enter" => (13, "\r"),
            "Escape" => (27, ""),
            "End" => (35, ""),
            "Home" => (36, ""),
            "ArrowUp" => (38, ""),
            "ArrowDown" => (40, ""),
            "Delete" => (46, ""),
            _ => panic!("no test presses {key}"),
        };
        for kind in ["keyDown", "keyUp"] {
            let mut parameters =
                json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code});
            if kind == "keyDown" && !text.is_empty() {
                parameters["text"] = json!(text);
            }
            self.call("Input.dispatchKeyEvent", &parameters);
        }
    }

    /// Makes the window so large, in CSS's pixels.
    pub fn resize(&self, width: u32, height: u32) {
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false,
        });
        self.call("Emulation.setDeviceMetricsOverride", &metrics);
    }

    /// `light` or `dark`, as the reader's system prefers.
    pub fn prefer(&self, scheme: &str) {
        let feature = json!({"name": "prefers-color-scheme", "value": scheme});
        self.call(
            "Emulation.setEmulatedMedia",
            &json!({"features": [feature]}),
        );
    }

    /// What a page must not do: exceptions, errors on the console, violations of its policy, dialogs. An
    /// answer that is no success is none of these.
    pub fn noticed(&self) -> Vec<String> {
        let mut noticed = Vec::new();
        for event in self.seen() {
            let parameters = &event["params"];
            let is_bad = match event["method"].as_str() {
                Some("Runtime.exceptionThrown" | "Page.javascriptDialogOpening") => true,
                Some("Runtime.consoleAPICalled") => {
                    parameters["type"] == "error" || parameters["type"] == "warning"
                }
                Some("Log.entryAdded") => parameters["entry"]["source"] != "network",
                _ => false,
            };
            if is_bad {
                noticed.push(parameters.to_string());
            }
        }
        noticed
    }

    /// The addresses of all requests of the page so far.
    pub fn requests(&self) -> Vec<String> {
        let mut addresses = Vec::new();
        for event in self.seen() {
            if event["method"] == "Network.requestWillBeSent" {
                let url = event["params"]["request"]["url"].as_str();
                addresses.push(url.expect("a request has an address").to_owned());
            }
        }
        addresses
    }

    /// The events of this page so far.
    fn seen(&self) -> Vec<Value> {
        // What the browser has written before this answer has been read with it.
        self.evaluate("new Promise(resolve => setTimeout(resolve, 0))");
        let events = self.browser.events.borrow();
        let is_ours = |event: &&Value| event["sessionId"] == self.session.as_str();
        events.iter().filter(is_ours).cloned().collect()
    }
}
