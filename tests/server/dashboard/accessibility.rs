//! What axe-core and Lighthouse find in the page, where `.ci/shippers` has installed them.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{json, Value};

use crate::chromium::{program, url, Chromium};
use crate::harness::{event, Server, TemporaryDirectory};
use crate::report;
use crate::shippers;

fn installed(part: &str) -> Option<PathBuf> {
    let path = shippers::folder().join("npm/node_modules").join(part);
    if path.exists() {
        return Some(path);
    }
    report::skipped(
        "the dashboard's accessibility",
        format!("{part} is not installed"),
    );
    None
}

/// The rules that are broken, each with the first element that breaks it.
const VIOLATIONS: &str =
    "axe.run().then(found => found.violations.map(one => [one.id, one.help, one.nodes[0].html.slice(0, 200)]))";

fn filled() -> Server {
    let server = Server::start(&[]);
    let levels = ["error", "warn", "info", "debug"];
    let events: Vec<Value> = (0..40)
        .map(|n| {
            let mut event = event(&format!("topic.{}", n % 9), &format!("evt-{n}"));
            event["payload"] = json!({"level": levels[n % 4], "msg": "payment declined", "ms": n});
            event
        })
        .collect();
    server.publish(&json!(events)).expect(200);
    let rejected = json!(["a", 17]).to_string();
    server
        .client()
        .publish_to("/publish?partial=true", rejected)
        .expect(200);
    let headers = ["Content-Type: application/json"];
    let answer =
        server
            .client()
            .request("PUT", "/subscriptions/billing", &headers, b"{\"after\":1}");
    answer.expect(200);
    server
}

#[test]
fn axe_finds_nothing_in_any_part_of_the_page() {
    let Some(axe) = installed("axe-core/axe.min.js") else {
        return;
    };
    let Some(browser) = Chromium::start("axe-core on the dashboard") else {
        return;
    };
    let axe = fs::read_to_string(axe).unwrap();
    let server = filled();
    for (width, scheme) in [(1440, "light"), (1440, "dark"), (390, "dark")] {
        let page = browser.open_at(&server, "/?q=declined&where=ms%3E3");
        page.resize(width, 800);
        page.prefer(scheme);
        page.evaluate(&format!("{axe};0"));
        page.wait_for("document.querySelectorAll('#events .entry').length === 36");
        page.wait_for_text("#matched", "36 of 40 events");
        let look = |what: &str| {
            let when = format!("/* {what}, {width} wide, {scheme} */");
            page.wait_for_value(&format!("{VIOLATIONS} {when}"), json!([]));
        };
        look("events");
        page.click("#events li:nth-child(2) .entry");
        page.wait_for_text("#event-members", "payment");
        page.act(
            "document.querySelector('#event-json')",
            "element.open = true",
        );
        look("an event");
        page.press("Escape");
        for (opener, menu) in [("#range", "#range-menu"), ("#export", "#export-menu")] {
            page.click(opener);
            page.wait_for(&format!("!document.querySelector('{menu}').hidden"));
            look(menu);
            page.press("Escape");
        }
        page.click("#publish-open");
        look("publishing");
        page.press("Escape");
        page.fill("#words", "\"open");
        page.press("Enter");
        page.wait_for("document.querySelector('#search-error').checkVisibility()");
        look("an error");
        for (tab, part) in [
            ("topics", "#topics tr"),
            ("subscriptions", "#subscriptions tr"),
            ("shippers", "#rejected tr"),
            ("server", "#plot-rates text"),
            ("api", "#api-events"),
        ] {
            page.click(&format!("[data-tab={tab}]"));
            page.wait_for(&format!("document.querySelector('{part}')"));
            look(tab);
        }
        assert_eq!(page.noticed(), Vec::<String>::new());
    }
}

/// The scores for accessibility and for what browsers complain about. Those of speed are of the machine.
#[test]
fn lighthouse_has_nothing_to_complain_about() {
    let Some(lighthouse) = installed("lighthouse/cli/index.js") else {
        return;
    };
    let Some(chromium) = program() else {
        report::skipped("Lighthouse on the dashboard", "chromium is not installed");
        return;
    };
    let server = filled();
    let folder = TemporaryDirectory::new();
    let file = folder.path().join("report.json");
    let output = Command::new("node")
        .arg(lighthouse)
        .arg(url(&server))
        .args([
            "--quiet",
            "--output=json",
            "--only-categories=accessibility,best-practices",
        ])
        .arg(format!("--output-path={}", file.display()))
        .arg(format!(
            "--chrome-flags=--headless=new --no-sandbox --disable-gpu --user-data-dir={}",
            folder.path().join("profile").display()
        ))
        .env("CHROME_PATH", chromium)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let found: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    for category in ["accessibility", "best-practices"] {
        let category = &found["categories"][category];
        let bad: Vec<&Value> = category["auditRefs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|audit| &found["audits"][audit["id"].as_str().unwrap()])
            .filter(|audit| audit["score"].as_f64().is_some_and(|score| score < 1.0))
            .collect();
        assert_eq!(category["score"], 1, "{}", json!(bad));
    }
}
