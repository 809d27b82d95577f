//! Events that would be something else than text, if a page let them.

use serde_json::json;

use crate::chromium::{url, Chromium};
use crate::harness::Server;

const IMAGE: &str = "<img src=x onerror=alert(1)>";
const SCRIPT: &str = "\"><script>alert(2)</script>";
const QUOTES: &str = "' onmouseover='alert(3)' \\\" x=\"`${alert(4)}`";
const BACKWARDS: &str = "exe.\u{202e}gnp\u{2066}\u{200f}";

#[test]
fn hostile_events_are_text_and_nothing_is_loaded_from_elsewhere() {
    let Some(browser) = Chromium::start("hostile events in the dashboard") else {
        return;
    };
    let server = Server::start(&[]);
    let hostile = |topic: &str, id: &str, source: &str| {
        json!({
            "topic": topic, "event_id": id, "source": source, "timestamp": "2026-01-02",
            "payload": {
                "</pre></dialog><script>alert(5)</script>": IMAGE, "__proto__": {"tail": SCRIPT},
                "constructor": BACKWARDS, "url": "https://elsewhere.example/x.png",
                "css": "</style><style>body{background:url(//elsewhere.example)}", "quotes": QUOTES,
            },
        })
    };
    let names = [IMAGE, SCRIPT, QUOTES, BACKWARDS];
    // Each in each place: half of them before the page is there, and half of them while it looks.
    let events: Vec<_> = (0..4)
        .map(|n| hostile(names[n], names[(n + 1) % 4], names[(n + 2) % 4]))
        .collect();
    server.publish(&json!(events[..2])).expect(200);
    let page = browser.open(&server);
    page.wait_for_text("#live-state", "live");
    server.publish(&json!(events[2..])).expect(200);
    page.wait_for("document.querySelectorAll('#events .entry').length === 4");
    page.wait_for("document.querySelectorAll('#fields section:first-child .value').length === 4");
    page.click("[data-tab=topics]");
    page.wait_for("document.querySelectorAll('#topics .entry').length === 4");
    let text = page.text("#topics");
    page.click("[data-tab=events]");
    for text in [text, page.text("#events"), page.text("#fields")] {
        for name in [IMAGE, SCRIPT, QUOTES] {
            assert!(text.contains(name), "{name} in {text}");
        }
        assert!(text.contains("exe.\\u202egnp\\u2066\\u200f"), "{text}");
    }
    // Each is chosen in a list, and opened.
    for row in 1..=4 {
        page.click(&format!(
            "#fields section:first-child li:nth-child({row}) .value"
        ));
        page.wait_for("document.querySelectorAll('#events .entry').length === 1");
        page.click("#events .entry");
        page.wait_for("document.querySelector('#detail').checkVisibility()");
        page.act(
            "document.querySelector('#event-json')",
            "element.open = true",
        );
        page.wait_for_text("#event-text", "constructor");
        let text = page.text("#event-text");
        let key = "\"</pre></dialog><script>alert(5)</script>\": \"<img src=x onerror=alert(1)>\"";
        assert!(text.contains(key), "{text}");
        assert!(text.contains("\"constructor\": \"exe.\\u202egnp"), "{text}");
        let members = page.text("#event-members");
        assert!(
            members.contains("__proto__.tail") && members.contains(SCRIPT),
            "{members}"
        );
        let linked = "fetch(document.querySelector('#event-link').href).then(a => a.status)";
        page.wait_for_value(linked, 200);
        page.press("Escape");
        page.click("#chips .remove");
        page.wait_for("document.querySelectorAll('#events .entry').length === 4");
        page.wait_for("document.querySelectorAll('#fields [aria-pressed=true]').length === 0");
    }
    // What is typed is shown as text, and so is what the server says of it.
    page.fill(
        "#words",
        "where<img/src=x/onerror=alert(6)> \"<script>alert(7)</script>\"",
    );
    page.press("Enter");
    page.wait_for_text("#chips", "<script>alert(7)</script>");
    page.evaluate("history.back()");
    page.wait_for("document.querySelectorAll('#events .entry').length === 4");
    // The form shows what the server says of it, which names what was sent.
    page.click("#publish-open");
    page.fill("[name=topic]", IMAGE);
    page.fill("[name=timestamp]", IMAGE);
    page.fill("[name=payload]", "<img src=x onerror=alert(1)>");
    page.click("#publish [type=submit]");
    page.wait_for_text("#publish-answer", "The payload is not JSON");
    page.fill("[name=payload]", "{}");
    page.click("#publish [type=submit]");
    page.wait_for_text("#publish-answer", "422 body.timestamp");
    page.press("Escape");

    let made =
        "document.querySelectorAll('img, iframe, style, [onerror], [onmouseover], [style]').length";
    assert_eq!(page.evaluate(made), 0);
    assert_eq!(page.evaluate("document.scripts.length"), 1);
    let turned = "/[\\u200f\\u202e\\u2066]/.test(document.body.textContent)";
    assert_eq!(page.evaluate(turned), false);
    assert_eq!(page.evaluate("({}).tail === undefined"), true);
    assert_eq!(page.noticed(), Vec::<String>::new());
    let here = url(&server);
    let elsewhere: Vec<String> = page
        .requests()
        .into_iter()
        .filter(|url| !url.starts_with(&here))
        .collect();
    assert_eq!(elsewhere, Vec::<String>::new());
}

/// Payloads of millions of characters, deep and with thousands of members, are shown in part and opened at once.
#[test]
fn payloads_that_are_long_or_deep_or_wide_can_be_opened() {
    let Some(browser) = Chromium::start("long payloads in the dashboard") else {
        return;
    };
    let server = Server::start(&[]);
    let deep = format!("{}{}", "{\"d\":".repeat(127), "{}") + &"}".repeat(127);
    let wide: Vec<String> = (0..5000).map(|n| format!("\"m{n}\":\"v{n}\"")).collect();
    let wide = format!("{{{}}}", wide.join(","));
    let long = format!(r#"{{"text":"{}\u0007 the end"}}"#, "x ".repeat(2_500_000));
    for (id, payload) in [("deep", &deep), ("wide", &wide), ("long", &long)] {
        let event = format!(
            r#"{{"topic":"t","event_id":"{id}","timestamp":"2026-01-02","source":"s","payload":{payload}}}"#
        );
        server.client().publish(event).expect(200);
    }
    let page = browser.open(&server);
    page.wait_for("document.querySelectorAll('#events .entry').length === 3");
    assert!(page.text("#events").len() < 3000);
    page.click("#events li:nth-child(1) .entry");
    page.wait_for_text("#event-members", "show all, 5,000,0");
    assert!(page.text("#event-members").len() < 10_000);
    page.click("#event-members td .plain");
    page.wait_for(
        "document.querySelector('#event-members').textContent.endsWith('\\\\u0007 the end')",
    );
    page.click("#event-json summary");
    page.wait_for_text("#event-text", "Copy JSON copies all of it");
    page.click("#events li:nth-child(2) .entry");
    page.wait_for_text("#event-members", "m299");
    page.wait_for_text("#event-members", "The JSON below has all of it.");
    page.wait_for_text("#event-text", "\"m4999\": \"v4999\"");
    page.click("#events li:nth-child(3) .entry");
    page.wait_for_text("#event-members", "d.d.d.d");
    assert_eq!(page.noticed(), Vec::<String>::new());
}

/// That the first test would see it: the policy keeps a page from what it tries, and this is noticed.
#[test]
fn what_a_page_must_not_do_is_kept_from_it_and_noticed() {
    let Some(browser) = Chromium::start("the dashboard's policy") else {
        return;
    };
    let server = Server::start(&[]);
    let page = browser.open(&server);
    for attempt in [
        "document.body.insertAdjacentHTML('beforeend', '<img src=/x onerror=\"window.ran = 1\">')",
        "document.body.append(Object.assign(document.createElement('script'), {text: 'window.ran = 1'}))",
        "document.body.append(Object.assign(new Image(), {src: 'http://192.0.2.1/x.png'}))",
        "fetch('http://192.0.2.1/').catch(() => 0)",
        "document.body.insertAdjacentHTML('beforeend', '<p style=\"color:red\">')",
    ] {
        let before = page.noticed().len();
        page.evaluate(&format!("void ({attempt})"));
        crate::wait::wait_until(attempt, || page.noticed().len() > before);
    }
    assert_eq!(page.evaluate("window.ran === undefined"), true);
    page.evaluate("console.error('an error')");
    page.evaluate("void setTimeout(() => { throw new Error('an exception'); })");
    crate::wait::wait_until("the error and the exception", || {
        let noticed = page.noticed().join("\n");
        noticed.contains("an error") && noticed.contains("an exception")
    });
}
