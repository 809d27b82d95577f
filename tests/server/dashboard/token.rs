//! A server with tokens: the page asks for one when it needs it, and keeps it for its tab alone.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::chromium::Chromium;
use crate::harness::{Server, Setup};

fn start() -> Server {
    let setup = Setup::new();
    let file = setup.directory().join("tokens");
    let lines = "reader read secret-r\nwriter publish secret-p\nboth read,publish secret-b\n";
    fs::write(&file, lines).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    setup.flags(["--auth-tokens-file".into(), file]).start()
}

const KEPT: &str = "JSON.stringify([{...sessionStorage}, {...localStorage}, document.cookie])";

#[test]
fn a_token_is_asked_for_and_kept_for_the_tab() {
    let Some(browser) = Chromium::start("tokens in the dashboard") else {
        return;
    };
    let server = start();
    let page = browser.open(&server);
    page.wait_for("document.querySelector('#token').open");
    page.wait_for_text("#token-why", "This server requires a token.");
    page.wait_for_text("#health", "healthy");
    page.fill("#token-input", "secret-x");
    page.press("Enter");
    page.wait_for_text("#token-why", "The server does not know this token.");
    page.fill("#token-input", "  secret-b ");
    page.click("#token-form [type=submit]");
    page.wait_for("!document.querySelector('#token').open");
    page.wait_for("document.querySelector('#notice').hidden");
    page.wait_for_text("#live-state", "live");
    page.click("#publish-open");
    page.click("#publish [type=submit]");
    page.wait_for_text("#publish-answer", "200 accepted, seq 1");
    page.press("Escape");
    page.wait_for_text("#events", "demo.hello");
    // Another tab of the same browser could not show this event.
    page.click("#events .entry");
    page.wait_for_text("#event-title", "Event 1");
    page.wait_for("document.querySelector('#event-link').hidden");
    page.press("Escape");
    page.wait_for_value(KEPT, r#"[{"token":"secret-b"},{},""]"#);
    page.wait_for_value("document.querySelector('#token-input').value", "");
    let requests = page.requests();
    assert!(
        !requests.iter().any(|url| url.contains("secret")),
        "{requests:?}"
    );

    // It stays while the tab loads the page again; another tab is asked.
    page.reload();
    page.wait_for_text("#events", "demo.hello");
    page.wait_for_value("document.querySelector('#token').open", false);
    let other = browser.open(&server);
    other.wait_for("document.querySelector('#token').open");
    other.wait_for_value(KEPT, r#"[{},{},""]"#);

    // Who does not enter one is told, and not asked again.
    other.press("Escape");
    other.wait_for_text("#notice", "This server requires a token");
    other.click("#publish-open");
    other.click("#publish [type=submit]");
    other.wait_for_text("#publish-answer", "401 ");
    other.wait_for_value("document.querySelector('#token').open", false);

    page.click("#token-open");
    page.click("#token-forget");
    page.wait_for("document.querySelector('#token').open");
    page.wait_for_text("#token-why", "This server requires a token.");
    page.wait_for_value(KEPT, r#"[{},{},""]"#);
    for page in [page, other] {
        assert_eq!(page.noticed(), Vec::<String>::new());
    }
}

#[test]
fn a_token_that_may_only_publish_does_that() {
    let Some(browser) = Chromium::start("scopes in the dashboard") else {
        return;
    };
    let server = start();
    let page = browser.open(&server);
    page.wait_for("document.querySelector('#token').open");
    page.fill("#token-input", "secret-p");
    page.press("Enter");
    page.wait_for_text("#notice", "read");
    page.click("#publish-open");
    page.click("#publish [type=submit]");
    page.wait_for_text("#publish-answer", "200 accepted, seq 1");
    assert_eq!(page.text("#events"), "");
    assert_eq!(page.noticed(), Vec::<String>::new());
}
