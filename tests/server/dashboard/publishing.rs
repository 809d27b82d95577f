//! The form that publishes: what it sends, and what it shows of the answer.

use serde_json::json;

use crate::chromium::Chromium;
use crate::harness::{events_of, Server};

#[test]
fn the_form_publishes_and_shows_the_answer_to_the_same_event_again() {
    let Some(browser) = Chromium::start("publishing in the dashboard") else {
        return;
    };
    let server = Server::start(&[]);
    let page = browser.open_at(&server, "/?_tab=server");
    page.click("#publish-open");
    page.fill("[name=topic]", "order.paid");
    page.fill(
        "[name=payload]",
        r#"{"b": 12345678901234567890, "a": 0.10}"#,
    );
    page.click("#publish [type=submit]");
    page.wait_for_text("#publish-answer", "200 accepted, seq 1");
    page.click("#publish [type=submit]");
    page.wait_for_text("#publish-answer", "200 duplicate, seq 1");
    page.fill("[name=payload]", "{}");
    page.click("#publish [type=submit]");
    page.wait_for_text("#publish-answer", "200 conflict, seq 1");
    page.wait_for_text("#total-accepted", "1 total");
    page.wait_for_text("#total-duplicates", "2 total");
    page.wait_for_text("#total-conflicts", "1 total");

    page.click("#publish-new");
    page.wait_for_value("document.querySelector('#publish-answer').innerText", "");
    page.click("#publish [type=submit]");
    page.wait_for_text("#publish-answer", "200 accepted, seq 2");
    // What was sent is what was written.
    let events = server.get("/events?after=0").text();
    let payload = r#""payload":{"b":12345678901234567890,"a":0.10}"#;
    assert!(events.contains(payload), "{events}");
    assert_eq!(events_of(&server.json("/events")).len(), 2);
    assert_eq!(page.noticed(), Vec::<String>::new());
}

#[test]
fn what_is_refused_says_why() {
    let Some(browser) = Chromium::start("refusals in the dashboard") else {
        return;
    };
    let server = Server::start(&[]);
    let page = browser.open(&server);
    page.wait_for_text("#live-state", "live");
    page.click("#publish-open");
    page.fill("[name=payload]", "{\"a\":");
    page.click("#publish [type=submit]");
    page.wait_for_text("#publish-answer", "The payload is not JSON");
    page.fill("[name=payload]", "[]");
    page.click("#publish [type=submit]");
    page.wait_for_text("#publish-answer", "422 body.payload: ");
    page.fill("[name=payload]", "");
    page.fill("[name=timestamp]", "yesterday");
    page.click("#publish [type=submit]");
    page.wait_for_text("#publish-answer", "422 body.timestamp: ");
    // A field that must be filled is, before anything is sent.
    page.fill("[name=topic]", "");
    page.click("#publish [type=submit]");
    page.wait_for("document.activeElement.name === 'topic'");
    assert_eq!(server.json("/stats")["received"], json!(0));

    server.stop();
    page.fill("[name=topic]", "t");
    page.click("#publish [type=submit]");
    page.wait_for_text("#publish-answer", "Sending it again is safe.");
    page.wait_for_text("#health", "no answer");
    page.wait_for_text("#notice", "The server does not answer.");
    page.wait_for_text("#live-state", "not connected");
    assert_eq!(page.noticed(), Vec::<String>::new());
}
