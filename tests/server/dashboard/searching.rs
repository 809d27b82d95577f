//! Searching: what is typed and chosen, the address, lists, histogram, marks, older events, and what is taken away.

use serde_json::{json, Value};

use crate::chromium::{Chromium, Page};
use crate::harness::{event, Server};

const LEVELS: [&str; 4] = ["error", "warn", "info", "debug"];

/// An event `n` minutes after three o'clock.
fn logged(n: usize, payload: Value) -> Value {
    let mut event = event(&format!("topic.{}", n % 3), &format!("e{n}"));
    event["source"] = json!(format!("web-{}", n % 2));
    event["timestamp"] = json!(format!("2026-01-02T03:{:02}:00Z", n % 60));
    event["payload"] = payload;
    event
}

/// With 40 events: one in four is an error, one in eight was declined.
fn filled() -> Server {
    let server = Server::start(&[]);
    let message = |n: usize| {
        if n.is_multiple_of(8) {
            "card Declined: expired"
        } else {
            "done"
        }
    };
    let events: Vec<Value> = (0..40)
        .map(|n| {
            logged(
                n,
                json!({"level": LEVELS[n % 4], "msg": message(n), "http": {"status": 200 + n}}),
            )
        })
        .collect();
    server.publish(&json!(events)).expect(200);
    server
}

fn wait_for_count(page: &Page, count: usize) {
    page.wait_for(&format!(
        "document.querySelectorAll('#events .entry').length === {count}"
    ));
}

fn search(page: &Page, line: &str) {
    page.fill("#words", line);
    page.press("Enter");
}

fn wait_for_address(page: &Page, expected: &str) {
    page.wait_for_value("decodeURIComponent(location.search)", expected);
}

/// The value of a list with this text.
fn value(field: &str, text: &str) -> String {
    format!(
        "[...document.querySelectorAll('#fields .value')].find(one => one.dataset.key === {})",
        json!(format!("{field}\n{text}"))
    )
}

#[test]
fn what_is_typed_stands_in_the_address_and_a_link_is_a_search() {
    let Some(browser) = Chromium::start("searching in the dashboard") else {
        return;
    };
    let server = filled();
    let page = browser.open(&server);
    wait_for_count(&page, 40);
    search(&page, "declined level=error http.status>=208 source:web-0");
    wait_for_count(&page, 4);
    let expected =
        "?source=web-0&where=level=error&where=http.status>=208&q=declined&since=1h&time=received";
    wait_for_address(&page, expected);
    page.wait_for_value("document.querySelector('#words').value", "");
    page.wait_for_text("#matched", "4 of 40 events match");
    // The same address is the same search, here and in another tab.
    let there = page.evaluate("location.pathname + location.search");
    let other = browser.open_at(&server, there.as_str().unwrap());
    wait_for_count(&other, 4);
    let chips =
        "[...document.querySelectorAll('#chips .label')].map(chip => chip.textContent).join(' ')";
    other.wait_for_value(chips, "source:web-0 level=error http.status>=208 declined");
    page.reload();
    wait_for_count(&page, 4);
    // One filter less, and back.
    page.click("#chips li:last-child .remove");
    wait_for_count(&page, 8);
    page.evaluate("history.back()");
    wait_for_count(&page, 4);
    // The members of the interface are understood as they are.
    let other = browser.open_at(
        &server,
        "/?topic=topic.*&event_id=e1*&since=2026-01-02T03:10:00Z&until=2026-01-02T03:15:00Z",
    );
    wait_for_count(&other, 5);
    other.wait_for_text("#range-text", "01-02 03:10:00 + 5 min");
    other.wait_for("document.querySelector('#live').disabled");
    // What the server refuses is said with its words.
    search(&page, "\"open");
    page.wait_for_text("#search-error", "query.q");
    wait_for_count(&page, 0);
    page.click("#chips li:last-child .remove");
    wait_for_count(&page, 4);
    page.wait_for("document.querySelector('#search-error').hidden");
    assert_eq!(page.noticed(), Vec::<String>::new());
}

#[test]
fn lists_show_counts_and_choose() {
    let Some(browser) = Chromium::start("lists of values in the dashboard") else {
        return;
    };
    let server = filled();
    let page = browser.open(&server);
    page.wait_for(&format!(
        "{}?.innerText.includes('10')",
        value("level", "error")
    ));
    page.click_on(&value("level", "error"));
    wait_for_count(&page, 10);
    // A list says what another choice would give; the others what is left.
    page.wait_for(&format!(
        "{}?.ariaPressed === 'true'",
        value("level", "error")
    ));
    page.wait_for(&format!(
        "{}?.innerText.includes('10')",
        value("level", "warn")
    ));
    page.wait_for(&format!(
        "{}?.innerText.includes('4')",
        value("topic", "topic.0")
    ));
    page.click_on(&value("level", "warn"));
    wait_for_count(&page, 20);
    page.click_on(&value("level", "error"));
    wait_for_count(&page, 10);
    let summaries = "[...document.querySelectorAll('#fields summary')]";
    page.click_on(&format!(
        "{summaries}.find(one => one.textContent.startsWith('http.status'))"
    ));
    page.click_on(&value("http.status", "205"));
    wait_for_count(&page, 1);
    wait_for_address(
        &page,
        "?where=level=warn&where=http.status=205&since=1h&time=received",
    );
    assert_eq!(page.noticed(), Vec::<String>::new());
}

#[test]
fn the_histogram_shows_levels_and_a_part_of_it_is_searched() {
    let Some(browser) = Chromium::start("the dashboard's histogram") else {
        return;
    };
    let server = filled();
    let page = browser.open_at(
        &server,
        "/?since=2026-01-02T03:00:00Z&until=2026-01-02T04:00:00Z",
    );
    page.wait_for_text("#matched", "40 events");
    for level in LEVELS {
        page.wait_for(&format!(
            "document.querySelectorAll('#histogram .{level}').length === 10"
        ));
    }
    page.wait_for_text("#from", "01-02 03:00");
    page.drag("#histogram", 0.01, 0.245);
    wait_for_count(&page, 15);
    wait_for_address(
        &page,
        "?since=2026-01-02T03:00:00Z&until=2026-01-02T03:15:00Z",
    );
    page.wait_for_text("#matched", "15 events");
    page.evaluate("history.back()");
    wait_for_count(&page, 40);
    search(&page, "declined");
    page.wait_for_text("#matched", "5 of 40 events match");
    page.wait_for("document.querySelectorAll('#histogram .error').length === 5");
    page.wait_for("document.querySelectorAll('#histogram .all').length === 40");
    assert_eq!(page.noticed(), Vec::<String>::new());
}

#[test]
fn words_are_marked_where_the_search_finds_them() {
    let Some(browser) = Chromium::start("marks in the dashboard") else {
        return;
    };
    let server = Server::start(&[]);
    let text = "Declined, undeclined; re-DECLINED_by declined: a.b declinedé \"quoted text\"";
    server
        .publish(&json!([logged(0, json!({"n": 8080, "z": text}))]))
        .expect(200);
    let page = browser.open(&server);
    wait_for_count(&page, 1);
    let marks =
        "[...document.querySelectorAll('#events mark')].map(mark => mark.textContent).join('|')";
    for (words, found) in [
        ("declined", "Declined|declined"),
        ("declined*", "Declined|DECLINED|declined|declined"),
        ("*declined", "Declined|declined|declined"),
        ("*CLINE*", "cline|cline|CLINE|cline|cline"),
        ("a.b -absent", "a.b"),
        ("\"quoted text\" 8080", "8080|quoted text"),
        ("z~declined", "Declined|declined"),
        ("topic.0 web-0 e0", "topic.0|web-0|e0"),
    ] {
        let query = if words.contains('~') { "where" } else { "q" };
        let page = browser.open_at(&server, &format!("/?{query}={}", words.replace(' ', "%20")));
        wait_for_count(&page, 1);
        page.wait_for_value(marks, found);
    }
    assert_eq!(page.noticed(), Vec::<String>::new());
}

#[test]
fn older_events_come_as_one_scrolls() {
    let Some(browser) = Chromium::start("older events in the dashboard") else {
        return;
    };
    let server = Server::start(&[]);
    let events: Vec<Value> = (0..450).map(|n| logged(n, json!({"n": n}))).collect();
    server.publish(&json!(events)).expect(200);
    let page = browser.open(&server);
    wait_for_count(&page, 100);
    for count in [200, 300, 400, 450] {
        page.act(
            "document.querySelector('#events')",
            "element.scrollTo(0, 1e6)",
        );
        wait_for_count(&page, count);
    }
    page.wait_for_text("#list-state", "no older events");
    let seqs = page.evaluate(
        "[...document.querySelectorAll('#events .entry')].map(row => Number(row.dataset.seq))",
    );
    let seqs: Vec<usize> = serde_json::from_value(seqs).unwrap();
    assert!(seqs.into_iter().eq((1..=450).rev()));
    assert_eq!(page.noticed(), Vec::<String>::new());
}

#[test]
fn an_event_leads_to_others_like_it_and_to_those_beside_it() {
    let Some(browser) = Chromium::start("an event's filters in the dashboard") else {
        return;
    };
    let server = Server::start(&[]);
    let events: Vec<Value> = (0..200)
        .map(|n| {
            logged(
                n,
                json!({"level": LEVELS[n % 4], "a.b": {"c": n % 2}, "text": "a \"b\"*"}),
            )
        })
        .collect();
    server.publish(&json!(events)).expect(200);
    let page = browser.open_at(&server, "/?event_id=e100");
    wait_for_count(&page, 1);
    page.click("#events .entry");
    page.wait_for_text("#event-title", "Event 101");
    page.wait_for("new URLSearchParams(location.search).get('_event') === '101'");
    page.click("#event-around");
    wait_for_count(&page, 101);
    wait_for_address(&page, "?after=50&limit=101&_event=101");
    page.wait_for("document.querySelector('.entry[aria-current]').dataset.seq === '101'");
    page.wait_for_text("#event-title", "Event 101");
    let other = browser.open_at(&server, "/?after=50&limit=101&_event=101");
    wait_for_count(&other, 101);
    other.wait_for_text("#event-title", "Event 101");

    // Only such events, and all but such: each condition means what the event has.
    for (title, expected, count) in [
        ("Only level error", "where=level=error", 50),
        ("Without level error", "where=level!=error", 150),
        ("Only \"a.b\".c 0", "where=\"a.b\".c=0", 100),
        ("Only text a \"b\"*", "where=text=\"a \\\"b\\\"*\"", 200),
        ("Only topic topic.1", "topic=topic.1", 67),
        ("Without the words topic.1", "q=-\"topic.1\"", 133),
        ("Only event_id e100", "event_id=e100", 1),
    ] {
        let page = browser.open_at(&server, "/?event_id=e100&_event=101");
        page.wait_for_text("#event-members", "level");
        page.evaluate("history.replaceState(null, '', '/?_all=1&_event=101')");
        page.evaluate("dispatchEvent(new PopStateEvent('popstate'))");
        // The event that is open is the last of the first page, so the next one may be there already.
        page.wait_for("document.querySelectorAll('#events .entry').length >= 100");
        page.wait_for_text("#event-members", "level");
        page.click(&format!("[title={}]", json!(title)));
        page.wait_for(&format!(
            "decodeURIComponent(location.search) === {}",
            json!(format!("?{expected}"))
        ));
        page.wait_for_text("#matched", &format!("{count} of 200 events match"));
    }
    // As a command, and as a link.
    page.evaluate("navigator.clipboard.writeText = async text => { window.copied = text; }");
    page.click("#event-curl");
    page.wait_for("window.copied?.startsWith('curl http://') && window.copied.endsWith('/events/topic.1/e100')");
    page.click("#event-search");
    page.wait_for("window.copied.endsWith('/?topic=topic.1&event_id=e100&_event=101')");
    page.click("#event-copy");
    page.wait_for("JSON.parse(window.copied).payload['a.b'].c === 0");
    assert_eq!(page.noticed(), Vec::<String>::new());
}

#[test]
fn the_export_is_what_matches() {
    let Some(browser) = Chromium::start("exporting in the dashboard") else {
        return;
    };
    let server = filled();
    let page = browser.open(&server);
    search(&page, "declined");
    wait_for_count(&page, 5);
    page.evaluate("URL.createObjectURL = blob => { blob.text().then(text => { window.saved = text; }); return '#'; }");
    page.click("#export");
    page.click("#export-file");
    page.wait_for("window.saved");
    let saved = page.evaluate(
        "window.saved.trim().split('\\n').map(line => JSON.parse(line).event_id).join(' ')",
    );
    assert_eq!(saved, "e0 e8 e16 e24 e32");
    page.wait_for_text("#export-state", "exported");
    assert_eq!(page.noticed(), Vec::<String>::new());
}

#[test]
fn ten_thousand_topics_are_listed_in_part_and_all_are_found() {
    let Some(browser) = Chromium::start("many topics in the dashboard") else {
        return;
    };
    let server = Server::start(&[]);
    for from in [0, 5000] {
        let events: Vec<Value> = (from..from + 5000)
            .map(|n| event(&format!("t.{n:05}"), "e"))
            .collect();
        server.publish(&json!(events)).expect(200);
    }
    let page = browser.open(&server);
    page.wait_for_text("#fields", "more …");
    page.click("#fields .more");
    page.wait_for("document.querySelectorAll('#fields section:first-child .value').length === 100");
    search(&page, "topic:t.0123*");
    wait_for_count(&page, 10);
    page.click("[data-tab=topics]");
    page.wait_for_text("#topics-more", "9,500 more");
    page.fill("#topics-filter", "t.09999");
    page.wait_for("document.querySelectorAll('#topics .entry').length === 1");
    page.click("#topics .entry");
    wait_for_count(&page, 1);
    page.wait_for_text("#events", "t.09999");
    assert_eq!(page.noticed(), Vec::<String>::new());
}

/// Of a field the most frequent values are listed. One that is chosen has its count all the same.
#[test]
fn a_chosen_value_that_is_rare_has_its_count() {
    let Some(browser) = Chromium::start("rare values in the dashboard") else {
        return;
    };
    let server = Server::start(&[]);
    let events: Vec<Value> = (0..23)
        .map(|n| {
            let mut event = event("t", &format!("e{n}"));
            event["source"] = json!(format!("web-{}", n % 8));
            event["payload"] = json!({"n": n % 8});
            event
        })
        .collect();
    server.publish(&json!(events)).expect(200);
    for (filter, field, name) in [("source=web-7", "source", "web-7"), ("where=n=7", "n", "7")] {
        let page = browser.open_at(&server, &format!("/?{filter}&_all=1"));
        let row = value(field, name);
        page.wait_for(&format!("{row}?.ariaPressed === 'true'"));
        page.wait_for_value(&format!("{row}?.querySelector('.count').textContent"), "2");
        // It comes before the others that could be chosen.
        let others = format!("{row}.closest('ul').querySelectorAll('.value').length");
        page.wait_for_value(&others, 7);
        page.wait_for_text("#fields", "1 more …");
        assert_eq!(page.noticed(), Vec::<String>::new());
    }
}

/// Lists are asked for again while the page is live; such an answer may come after that to a click.
#[test]
fn a_list_that_was_unfolded_stays_so_when_an_older_answer_comes() {
    let Some(browser) = Chromium::start("late answers in the dashboard") else {
        return;
    };
    let server = Server::start(&[]);
    let events: Vec<Value> = (0..20).map(|n| event(&format!("t.{n}"), "e")).collect();
    server.publish(&json!(events)).expect(200);
    let page = browser.open(&server);
    page.wait_for_text("#fields", "14 more …");
    page.evaluate(
        "window.plain = fetch; window.held = []; window.histograms = 0;
        window.fetch = async (path, options) => {
          if (String(path).startsWith('/histogram')) histograms += 1;
          if (held.length > 0 || !String(path).startsWith('/fields')) return plain(path, options);
          const answer = await plain(path, options);
          await new Promise(resolve => held.push(resolve));
          return answer;
        };",
    );
    page.wait_for("held.length === 1");
    page.click("#fields .more");
    let all = "document.querySelectorAll('#fields section:first-child .value').length === 20";
    page.wait_for(all);
    // The histogram is asked for when the lists have been shown.
    page.evaluate("histograms = 0; held[0]()");
    page.wait_for("histograms > 0");
    assert_eq!(page.evaluate(all), json!(true));
    assert_eq!(page.noticed(), Vec::<String>::new());
}

/// Stored two days ago, so the last hour, which is what is shown at first, has nothing.
#[test]
fn where_nothing_came_lately_all_time_is_searched() {
    let Some(browser) = Chromium::start("all time in the dashboard") else {
        return;
    };
    let server = filled();
    let setup = server.setup().clone();
    server.stop();
    let db = rusqlite::Connection::open(setup.database_path()).unwrap();
    let earlier = "UPDATE events SET processed_at = processed_at - 172800000000";
    db.execute(earlier, []).unwrap();
    drop(db);
    let server = setup.start();
    // Nothing was asked for: the page shows all by itself.
    let page = browser.open(&server);
    wait_for_count(&page, 40);
    page.wait_for_text("#range-text", "All time");
    wait_for_address(&page, "?_all=1");
    // Something was asked for within a time: the page proposes it.
    let page = browser.open_at(&server, "/?q=declined&since=1h&time=received");
    page.wait_for_text("#empty-text", "No event matches.");
    page.wait_for("!document.querySelector('#empty').hidden");
    page.click("#empty-all");
    wait_for_count(&page, 5);
    page.wait_for_text("#range-text", "All time");
    page.wait_for("document.querySelector('#empty').hidden");
    wait_for_address(&page, "?q=declined");
    // There is no more to propose.
    search(&page, "nowhere");
    page.wait_for_text("#empty-text", "No event matches.");
    page.wait_for("!document.querySelector('#empty').hidden");
    page.wait_for("document.querySelector('#empty-all').hidden");
    assert_eq!(page.noticed(), Vec::<String>::new());
}

#[test]
fn the_server_tab_shows_the_last_hour_at_once() {
    let Some(browser) = Chromium::start("the last hour in the dashboard") else {
        return;
    };
    let server = filled();
    let page = browser.open_at(&server, "/?_tab=server");
    let text = "document.querySelector('#hour-commits').textContent";
    let form = "/^[0-9]+ commits: median [0-9.]+ .?s, p99 [0-9.]+ .?s, max [0-9.]+ .?s$/";
    page.wait_for(&format!("{form}.test({text})"));
    assert_eq!(page.noticed(), Vec::<String>::new());
}

/// A stack trace, with something in it that cannot be seen.
#[test]
fn a_text_of_several_lines_is_shown_with_them() {
    let Some(browser) = Chromium::start("lines in the dashboard") else {
        return;
    };
    let server = Server::start(&[]);
    let trace = "first\r\n\tsecond\n\u{0}third";
    let event = logged(0, json!({"trace": trace}));
    server.publish(&event).expect(200);
    let page = browser.open(&server);
    wait_for_count(&page, 1);
    page.wait_for_text("#events", r#"trace="first\r\n\tsecond\n\u0000third""#);
    page.click("#events .entry");
    let shown = json!("first\n\tsecond\n\\u0000third");
    page.wait_for(&format!(
        "[...document.querySelectorAll('#event-members td')].some(one => one.textContent === {shown})"
    ));
    assert_eq!(page.noticed(), Vec::<String>::new());
}
