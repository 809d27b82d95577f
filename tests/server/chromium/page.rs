//! What a test does in a tab. A page renders when its answers have come, and may render again at any time: whatever
//! acts on an element waits until it is there, and acts in the same evaluation or sees whether it was met.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{json, Value};

use super::Chromium;
use crate::harness::TIMEOUT;

/// Between two looks at a page.
const PAUSE: Duration = Duration::from_millis(20);

/// The event of a document that is loaded with its scripts.
const LOADED: &str = "Page.loadEventFired";

/// One tab.
pub struct Page<'b> {
    browser: &'b Chromium,
    session: String,
}

impl<'b> Page<'b> {
    pub(super) fn new(browser: &'b Chromium, session: String) -> Page<'b> {
        Page { browser, session }
    }

    pub fn call(&self, method: &str, parameters: &Value) -> Value {
        let session = Some(&*self.session);
        self.browser.process.call(session, method, parameters)
    }

    /// Calls a method that loads a document, and waits until it is loaded.
    pub(super) fn load(&self, method: &str, parameters: &Value) {
        let process = &self.browser.process;
        let before = process.count(&self.session, LOADED);
        self.call(method, parameters);
        process.wait_for_event(&self.session, LOADED, before);
    }

    pub fn reload(&self) {
        self.load("Page.reload", &json!({}));
    }

    /// The value of an expression, awaited where it is a promise; or what it throws.
    fn try_evaluate(&self, expression: &str) -> Result<Value, Value> {
        let parameters = json!({
            "expression": expression, "awaitPromise": true, "returnByValue": true,
        });
        let mut answer = self.call("Runtime.evaluate", &parameters);
        match answer["exceptionDetails"].take() {
            Value::Null => Ok(answer["result"]["value"].take()),
            thrown => Err(thrown),
        }
    }

    /// The value that an expression has now, awaited where it is a promise. What the page may still render or change
    /// is waited for with `wait_for_value`, and met with `act`.
    pub fn evaluate(&self, expression: &str) -> Value {
        let value = self.try_evaluate(expression);
        value.unwrap_or_else(|thrown| panic!("{expression}: {thrown}"))
    }

    /// Evaluates an expression until its value is one that `is_it` takes, and returns it. An expression that throws
    /// has no value yet: what it names may not be there.
    fn wait_until(&self, what: &str, expression: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let value = self.try_evaluate(expression);
            match value {
                Ok(value) if is_it(&value) => return value,
                _ if start.elapsed() < TIMEOUT => thread::sleep(PAUSE),
                _ => {
                    let text = self.evaluate("document.body.innerText");
                    panic!("waited in vain for {what}, last {value:?}; the page says:\n{text}");
                }
            }
        }
    }

    /// Waits until an expression is true.
    pub fn wait_for(&self, expression: &str) {
        let is_true = format!("Boolean({expression})");
        self.wait_until(expression, &is_true, |value| value == true);
    }

    /// Waits until an expression has this value.
    pub fn wait_for_value(&self, expression: &str, expected: impl Into<Value>) {
        let expected = expected.into();
        let what = format!("{expression} to be {expected}");
        self.wait_until(&what, expression, |value| *value == expected);
    }

    /// Waits until `element` is the expression of an element, and evaluates `action` with it as `element`.
    pub fn act(&self, element: &str, action: &str) {
        let expression = format!(
            "(() => {{
                const element = {element};
                if (!element?.isConnected) return false;
                {action};
                return true;
            }})()"
        );
        self.wait_until(element, &expression, |value| value == true);
    }

    /// Clicks the element of an expression, without the mouse.
    pub fn click_on(&self, element: &str) {
        self.act(element, "element.click()");
    }

    pub fn focus(&self, selector: &str) {
        self.act(&one(selector), "element.focus()");
        self.wait_for(&format!("document.activeElement === {}", one(selector)));
    }

    /// The text that an element shows.
    pub fn text(&self, selector: &str) -> String {
        let expression = format!("{}.innerText", one(selector));
        let text = self.wait_until(selector, &expression, Value::is_string);
        text.as_str().expect("it is text").to_owned()
    }

    /// Waits until the text of an element contains `part`.
    pub fn wait_for_text(&self, selector: &str, part: &str) {
        let part = json!(part);
        self.wait_for(&format!("{}.innerText.includes({part})", one(selector)));
    }

    /// Drags the mouse over an element, from and to these parts of its width.
    pub fn drag(&self, selector: &str, from: f64, to: f64) {
        self.wait_until_still(selector);
        let at = |part: f64| {
            self.evaluate(&format!(
                "(() => {{
                    const box = {}.getBoundingClientRect();
                    return {{ x: box.x + box.width * {part}, y: box.y + box.height / 2 }};
                }})()",
                one(selector)
            ))
        };
        let (start, end) = (at(from), at(to));
        self.mouse("mousePressed", &start);
        self.mouse("mouseMoved", &end);
        self.mouse("mouseReleased", &end);
    }

    fn mouse(&self, kind: &str, place: &Value) {
        let parameters = json!({
            "type": kind, "x": place["x"], "y": place["y"], "button": "left", "buttons": 1, "clickCount": 1,
        });
        self.call("Input.dispatchMouseEvent", &parameters);
    }

    /// Waits until an element can be met with the mouse: it is enabled, it is what is seen in its middle, and that
    /// is where it was a moment ago. Returns the place.
    fn wait_until_still(&self, selector: &str) -> Value {
        let expression = format!(
            "(async () => {{
                const place = () => {{
                    const element = {};
                    element.scrollIntoView({{ block: 'center', behavior: 'instant' }});
                    const box = element.getBoundingClientRect();
                    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
                    const isSeen = element.contains(document.elementFromPoint(x, y));
                    return {{ element, x, y, isReady: isSeen && !element.disabled }};
                }};
                const before = place();
                await new Promise(resolve => setTimeout(resolve, 10));
                const {{ element, x, y, isReady }} = place();
                const isStill = element === before.element && x === before.x && y === before.y;
                return {{ x, y, isStill, isReady }};
            }})()",
            one(selector)
        );
        let what = format!("{selector} to be seen, enabled and still");
        self.wait_until(&what, &expression, |place| {
            place["isReady"] == true && place["isStill"] == true
        })
    }

    /// Clicks with the mouse in the middle of an element. If the page renders it again between press and release,
    /// the browser tells no element of a click: then once more.
    pub fn click(&self, selector: &str) {
        let start = Instant::now();
        while !self.try_click(selector) {
            assert!(start.elapsed() < TIMEOUT, "no click meets {selector}");
        }
    }

    /// Returns whether the element was met.
    fn try_click(&self, selector: &str) -> bool {
        let place = self.wait_until_still(selector);
        self.evaluate(&format!(
            "window.isMet = false;
            addEventListener('click', clicked => {{
                window.isMet = {}?.contains(clicked.target) ?? false;
            }}, {{ capture: true, once: true }})",
            one(selector)
        ));
        self.mouse("mousePressed", &place);
        self.mouse("mouseReleased", &place);
        self.evaluate("window.isMet") == true
    }

    /// Puts a text in place of what a field holds, as if it were pasted.
    pub fn fill(&self, selector: &str, text: &str) {
        self.focus(selector);
        self.act(&one(selector), "element.select()");
        if text.is_empty() {
            self.press("Delete");
        } else {
            self.call("Input.insertText", &json!({"text": text}));
        }
        self.wait_for_value(&format!("{}.value", one(selector)), text);
    }

    /// Presses a key, named as in `KeyboardEvent.key`.
    pub fn press(&self, key: &str) {
        let (code, text) = match key {
            "Backspace" => (8, ""),
            "Tab" => (9, ""),
            "Enter" => (13, "\r"),
            "Escape" => (27, ""),
            "End" => (35, ""),
            "Home" => (36, ""),
            "ArrowLeft" => (37, ""),
            "ArrowUp" => (38, ""),
            "ArrowRight" => (39, ""),
            "ArrowDown" => (40, ""),
            "Delete" => (46, ""),
            "j" => (74, "j"),
            "k" => (75, "k"),
            "/" => (191, "/"),
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
        let state = self.browser.process.received.state();
        let is_ours = |event: &&Value| event["sessionId"] == self.session.as_str();
        state.events.iter().filter(is_ours).cloned().collect()
    }
}

/// The expression of the first element that a selector finds.
fn one(selector: &str) -> String {
    format!("document.querySelector({})", json!(selector))
}
