//! The figures, the plots and the topics, which follow what the server does.

use rustix::process::Signal;
use serde_json::{json, Value};

use crate::chromium::Chromium;
use crate::harness::{event, Server, Setup};

fn publish(server: &Server, topic: &str, prefix: &str, count: usize) {
    let events: Vec<Value> = (0..count)
        .map(|n| event(topic, &format!("{prefix}{n}")))
        .collect();
    server.publish(&json!(events)).expect(200);
}

/// The rows of the table, each with its cells parted by a bar.
const ROWS: &str = "[...document.querySelectorAll('#topics tr')].map(row => \
                    [...row.children].map(cell => cell.innerText).slice(0, 2).join('|')).join(' ')";

#[test]
fn figures_plots_and_topics_follow_the_server() {
    let Some(browser) = Chromium::start("the dashboard's figures") else {
        return;
    };
    let server = Server::start(&[]);
    let page = browser.open_at(&server, "/?_tab=server");
    let table = browser.open_at(&server, "/?_tab=topics");
    page.wait_for_text("#health", "healthy");
    page.wait_for_text("#total-accepted", "0 total");
    table.wait_for_text("#topics-more", "No topics yet.");
    page.wait_for_text("#commit-more", "none yet");
    publish(&server, "b.many", "e", 300);
    publish(&server, "a.few", "e", 20);
    publish(&server, "a.few", "e", 20);
    page.wait_for_text("#total-accepted", "320 total");
    page.wait_for_text("#total-duplicates", "20 total");
    table.wait_for(&format!("{ROWS} === 'b.many|300 a.few|20'"));
    page.wait_for("/^[0-9.]+$/.test(document.querySelector('#commit-median').innerText)");
    page.wait_for("/^[0-9.]+$/.test(document.querySelector('.figures [data-figure=database-size]').innerText)");
    page.wait_for_text("#clients-more", "streaming");
    // A rate that is not nothing has been drawn: its line leaves the ground.
    let rises = |plot: &str, name: &str| {
        format!(
            "(() => {{
                const line = document.querySelector('#{plot} path.{name}:not(.area)');
                return line && line.getBBox().height > 3;
            }})()"
        )
    };
    page.wait_for(&rises("plot-rates", "accepted"));
    page.wait_for(&rises("plot-rates", "duplicates"));
    page.wait_for("document.querySelector('#plot-commit .slowest')");

    table.click("[data-order=topic]");
    table.wait_for(&format!("{ROWS} === 'a.few|20 b.many|300'"));
    table.click("[data-order=last]");
    table.wait_for(&format!("{ROWS} === 'a.few|20 b.many|300'"));
    publish(&server, "b.many", "f", 1);
    table.wait_for(&format!("{ROWS} === 'b.many|301 a.few|20'"));
    table.fill("#topics-filter", "FEW");
    table.wait_for(&format!("{ROWS} === 'a.few|20'"));
    table.fill("#topics-filter", "none");
    table.wait_for_text("#topics-more", "No topic matches.");
    for page in [page, table] {
        assert_eq!(page.noticed(), Vec::<String>::new());
    }
}

#[test]
fn the_page_goes_on_when_the_server_has_been_away() {
    let Some(browser) = Chromium::start("the dashboard after a restart") else {
        return;
    };
    let setup = Setup::with_fixed_address();
    let server = setup.start();
    let page = browser.open(&server);
    publish(&server, "t", "before", 1);
    page.wait_for_text("#events", "before0");
    server.kill();
    page.wait_for_text("#health", "no answer");
    // What is shown is of before, and looks so.
    page.wait_for("getComputedStyle(document.querySelector('.head-figures')).opacity < 1");
    let server = setup.start();
    page.wait_for_text("#health", "healthy");
    page.wait_for("document.querySelector('#notice').hidden");
    page.wait_for("getComputedStyle(document.querySelector('.head-figures')).opacity === '1'");
    publish(&server, "t", "after", 1);
    page.wait_for_text("#events", "after0");
    page.wait_for_value("document.querySelectorAll('#events .entry').length", 2);
    assert_eq!(page.noticed(), Vec::<String>::new());
}

/// It takes connections, as the kernel does for it, and does nothing more.
#[test]
fn a_server_that_hangs_does_not_look_healthy() {
    let Some(browser) = Chromium::start("the dashboard of a server that hangs") else {
        return;
    };
    let server = Server::start(&[]);
    let page = browser.open(&server);
    page.wait_for_text("#health", "healthy");
    server.signal(Signal::STOP);
    page.wait_for_text("#health", "no answer");
    page.wait_for("getComputedStyle(document.querySelector('.head-figures')).opacity < 1");
    server.signal(Signal::CONT);
    page.wait_for_text("#health", "healthy");
    page.wait_for("getComputedStyle(document.querySelector('.head-figures')).opacity === '1'");
    assert_eq!(page.noticed(), Vec::<String>::new());
}
