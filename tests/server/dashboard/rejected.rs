//! The records that could not become events, as the page shows them.

use serde_json::{json, Value};

use crate::chromium::{Chromium, Page};
use crate::harness::{event, Server, Setup};

const MARKUP: &str = "<img src=x onerror=alert(1)><script>alert(2)</script>";
const BACKWARDS: &str = "exe.\u{202e}gnp\u{0085}";

/// Publishes these values, of which none is an event.
fn reject(server: &Server, records: &Value) {
    let mut client = server.client();
    let answer = client.publish_to("/publish?partial=true", records.to_string());
    assert_eq!(
        answer.expect(200)["rejected"],
        records.as_array().unwrap().len()
    );
}

fn wait_for_rows(page: &Page, count: usize) {
    page.wait_for(&format!(
        "document.querySelectorAll('#rejected tr').length === {count}"
    ));
}

const IS_HIDDEN: &str = "!document.querySelector('#rejected-section').checkVisibility()";

/// That the table of protocols has these counts for `publish`.
fn row_of_publish(counts: [u64; 4]) -> String {
    let counts = counts.map(|count| count.to_string()).join(" ");
    format!(
        "[...document.querySelectorAll('#shippers tr')].some(row => \
         [...row.children].map(cell => cell.textContent).slice(0, 5).join(' ') === 'publish {counts}')"
    )
}

fn requests(page: &Page) -> usize {
    let requests = page.requests();
    let of_rejected = requests.iter().filter(|url| url.contains("/rejected?"));
    of_rejected.count()
}

#[test]
fn rejected_records_are_shown_as_text_and_only_if_there_are_some() {
    let Some(browser) = Chromium::start("rejected records in the dashboard") else {
        return;
    };
    let server = Server::start(&[]);
    let page = browser.open_at(&server, "/?_tab=shippers");
    page.wait_for_text("#shippers-more", "Nothing has come in");
    server.publish(&json!([event("t", "1")])).expect(200);
    page.wait_for(&row_of_publish([1, 0, 0, 0]));
    assert_eq!(page.evaluate(IS_HIDDEN), true);

    reject(&server, &json!([MARKUP, BACKWARDS]));
    wait_for_rows(&page, 2);
    page.wait_for(&row_of_publish([1, 0, 0, 2]));
    page.wait_for_value(IS_HIDDEN, false);
    let text = page.text("#rejected");
    for part in [
        MARKUP,
        "exe.\\u202egnp\\u0085",
        "publish",
        "127.0.0.1",
        "55 B",
        "event must be an object",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let made = "document.querySelectorAll('img, [onerror]').length + document.scripts.length - 1";
    assert_eq!(page.evaluate(made), 0);
    let turned = "/[\\u202e\\u0085]/.test(document.body.textContent)";
    assert_eq!(page.evaluate(turned), false);
    // Bytes that are not UTF-8, of a shipper's protocol.
    let mut client = server.client();
    let headers = ["Content-Type: application/json"];
    let refused = client.request("POST", "/v1/logs", &headers, b"{\"\xff\0<b>");
    assert_eq!(refused.status, 400);
    page.wait_for_text("#rejected tr:first-child", "{\"\u{fffd}\\u0000<b>");
    page.wait_for_text("#rejected tr:first-child .protocol", "otlp");
    wait_for_rows(&page, 3);

    // No request as long as no record comes.
    let before = requests(&page);
    server.publish(&json!([event("t", "2")])).expect(200);
    page.wait_for(&row_of_publish([2, 0, 0, 2]));
    server
        .publish(&json!([event("t", "3"), event("t", "3")]))
        .expect(200);
    page.wait_for(&row_of_publish([3, 1, 0, 2]));
    assert_eq!(requests(&page), before);

    // The newest ten, of a long one its beginning.
    let mut records: Vec<_> = (0..10).map(|n| json!(format!("number {n}"))).collect();
    records.push(json!("x".repeat(100_000)));
    reject(&server, &json!(records));
    page.wait_for_text("#rejected tr:first-child", "xxx…");
    wait_for_rows(&page, 10);
    assert!(page.text("#rejected tr:first-child").len() < 400);
    page.wait_for_text("#rejected tr:last-child", "\"number 1\"");
    assert_eq!(page.noticed(), Vec::<String>::new());
}

#[test]
fn rejected_records_are_shown_after_a_restart_too() {
    let Some(browser) = Chromium::start("rejected records after a restart") else {
        return;
    };
    let setup = Setup::with_fixed_address();
    let server = setup.start();
    let page = browser.open_at(&server, "/?_tab=shippers");
    reject(&server, &json!(["before"]));
    page.wait_for_text("#rejected", "\"before\"");
    server.kill();
    page.wait_for_text("#health", "no answer");
    let server = setup.start();
    page.wait_for_text("#health", "healthy");
    reject(&server, &json!(["between", "after"]));
    page.wait_for_text("#rejected", "\"after\"");
    page.wait_for_text("#rejected", "\"before\"");
    let other = browser.open_at(&server, "/?_tab=shippers");
    wait_for_rows(&other, 3);
    other.wait_for_text("#rejected tr:last-child", "\"before\"");
    for page in [page, other] {
        assert_eq!(page.noticed(), Vec::<String>::new());
    }
}
