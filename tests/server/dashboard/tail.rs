//! The live tail: what arrives, what is chosen, held back and found, and one event's full JSON.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::{json, Value};

use crate::chromium::{url, Chromium, Page};
use crate::harness::{event, Server};

fn publish(server: &Server, topic: &str, ids: &[&str]) {
    let events: Vec<Value> = ids.iter().map(|id| event(topic, id)).collect();
    server.publish(&json!(events)).expect(200);
}

/// The ids of the events that are shown, the newest first.
fn shown(page: &Page) -> String {
    let ids = page.evaluate(IDS);
    ids.as_str().expect("it is text").to_owned()
}

const IDS: &str = "[...document.querySelectorAll('#events li:not([hidden]) .id')]\
                   .map(id => id.innerText).join(' ')";

fn wait_for_shown(page: &Page, ids: &str) {
    page.wait_for(&format!("{IDS} === {}", json!(ids)));
}

#[test]
fn events_arrive_of_the_topics_that_are_chosen() {
    let Some(browser) = Chromium::start("the dashboard's tail") else {
        return;
    };
    let server = Server::start(&[]);
    publish(&server, "a.one", &["first"]);
    let page = browser.open(&server);
    wait_for_shown(&page, "first");
    page.wait_for_text("#tail-state", "live");
    publish(&server, "a.two", &["second"]);
    publish(&server, "b.one", &["third"]);
    wait_for_shown(&page, "third second first");

    page.fill("#tail-topic", "a.*");
    page.press("Enter");
    wait_for_shown(&page, "second first");
    publish(&server, "b.one", &["fourth"]);
    publish(&server, "a.two", &["fifth"]);
    wait_for_shown(&page, "fifth second first");

    // By the table as well.
    page.wait_for_text("#topics", "b.one");
    page.click("[title='Follow b.one']");
    wait_for_shown(&page, "fourth third");
    publish(&server, "a.one", &["sixth"]);
    publish(&server, "b.one", &["seventh"]);
    wait_for_shown(&page, "seventh fourth third");

    // A topic that nobody has published to, until somebody does.
    page.fill("#tail-topic", "c");
    page.press("Enter");
    page.wait_for_text("#tail-state", "live");
    publish(&server, "c", &["eighth"]);
    wait_for_shown(&page, "eighth");
    page.click("#tail-clear");
    wait_for_shown(&page, "");
    assert_eq!(page.noticed(), Vec::<String>::new());
}

#[test]
fn a_pause_holds_events_back_and_a_search_hides_what_does_not_match() {
    let Some(browser) = Chromium::start("pause and search in the dashboard") else {
        return;
    };
    let server = Server::start(&[]);
    let page = browser.open(&server);
    publish(&server, "t", &["one"]);
    wait_for_shown(&page, "one");
    page.click("#tail-pause");
    publish(&server, "t", &["two", "three"]);
    page.wait_for_text("#tail-state", "paused, 2 waiting");
    assert_eq!(shown(&page), "one");
    page.click("#tail-pause");
    wait_for_shown(&page, "three two one");

    page.fill("#tail-search", "T");
    wait_for_shown(&page, "three two one");
    page.fill("#tail-search", "TW");
    wait_for_shown(&page, "two");
    page.wait_for_text("#tail-state", "live, 1 of 3 match");
    publish(&server, "t", &["four", "twelve"]);
    wait_for_shown(&page, "twelve two");
    page.fill("#tail-search", "");
    wait_for_shown(&page, "twelve four three two one");

    // More than the page keeps: the newest stay, and the rest are named.
    page.click("#tail-pause");
    let many: Vec<Value> = (0..600).map(|n| event("t", &format!("m{n}"))).collect();
    server.publish(&json!(many)).expect(200);
    page.wait_for_text("#tail-state", "paused, 600 waiting");
    page.click("#tail-pause");
    page.wait_for_text("#events", "m599");
    let rows = page.evaluate("document.querySelectorAll('#events li').length");
    assert_eq!(rows, 500);
    assert_eq!(page.noticed(), Vec::<String>::new());
}

#[test]
fn an_event_is_shown_as_it_was_sent() {
    let Some(browser) = Chromium::start("an event's JSON in the dashboard") else {
        return;
    };
    let server = Server::start(&[]);
    // Behind one that is there when the page is opened, as a page of events brings it, one from the stream.
    let sent = |id: &str| {
        format!(
            r#"{{"topic":"a/b?c","event_id":"{id}","timestamp":"2026-01-02","source":"s","payload":{{
              "z":12345678901234567890, "1":0.10, "a":1e400, "a":[],
              "deep":{{"empty":{{}},"list":[1,"\",\"events\":[{{"]}}
            }}}}"#
        )
    };
    server.client().publish(sent("early")).expect(200);
    let page = browser.open(&server);
    wait_for_shown(&page, "early");
    page.wait_for_text("#tail-state", "live");
    server.client().publish(sent("late")).expect(200);
    wait_for_shown(&page, "late early");
    let payload = r#"
  "payload": {
    "z": 12345678901234567890,
    "1": 0.10,
    "a": 1e400,
    "a": [],
    "deep": {
      "empty": {},
      "list": [
        1,
        "\",\"events\":[{"
      ]
    }
  },
  "processed_at": "2"#;
    for (row, id) in [(1, "late"), (2, "early")] {
        let button = format!("#events li:nth-child({row}) .entry");
        assert!(page
            .text(&button)
            .contains(r#"{"z":12345678901234567890,"1":0.10,"a":1e400"#));
        page.click(&button);
        page.wait_for("document.querySelector('#event').open");
        let text = page.text("#event-text");
        let head = format!("{{\n  \"seq\": {},\n  \"topic\": \"a/b?c\",\n", 3 - row);
        assert!(text.starts_with(&head) && text.contains(id), "{text}");
        assert!(text.contains(payload) && text.ends_with("\"\n}"), "{text}");
        let linked = "fetch(document.querySelector('#event-link').href).then(a => a.json())";
        assert_eq!(page.evaluate(linked)["event_id"], id);
        page.press("Escape");
        page.wait_for("!document.querySelector('#event').open");
        // The reader is back where it was opened.
        page.wait_for(&format!(
            "document.activeElement === document.querySelector({button:?})"
        ));
    }
    assert_eq!(page.noticed(), Vec::<String>::new());
}

#[test]
fn a_flood_is_followed_by_its_newest_events() {
    let Some(browser) = Chromium::start("a flood in the dashboard") else {
        return;
    };
    let server = Server::start(&[]);
    let page = browser.open(&server);
    page.wait_for_text("#tail-state", "live");
    let flows = AtomicBool::new(true);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut client = server.client();
            let mut number = 0;
            while flows.load(Ordering::Relaxed) {
                let events: Vec<Value> = (number..number + 500)
                    .map(|n| event("t", &format!("e{n}")))
                    .collect();
                client.publish(json!(events).to_string()).expect(200);
                number += 500;
            }
        });
        page.wait_for_text("#tail-state", "sampling: newest each second");
        page.wait_for_text("#events", "skipped");
        flows.store(false, Ordering::Relaxed);
    });
    // When it ebbs away the stream goes on, up to the last event.
    publish(&server, "t", &["last"]);
    page.wait_for_text("#tail-state", "live");
    page.wait_for("document.querySelector('#events .id').innerText === 'last'");
    let seqs = page.evaluate(
        "[...document.querySelectorAll('#events .seq')].map(seq => Number(seq.innerText))",
    );
    let seqs: Vec<u64> = serde_json::from_value(seqs).unwrap();
    assert!(seqs.len() <= 500 && seqs.windows(2).all(|pair| pair[0] > pair[1]));
    assert_eq!(page.noticed(), Vec::<String>::new());
}

/// A page of events ends where its payloads are large, with fewer rows than were asked for.
#[test]
fn the_newest_events_are_shown_although_a_large_one_is_among_them() {
    let Some(browser) = Chromium::start("large events in the dashboard") else {
        return;
    };
    let server = Server::start(&[]);
    let mut ids: Vec<String> = (0..60).map(|n| format!("e{n}")).collect();
    for id in &ids {
        let mut event = event("t", id);
        // Of two large ones one has more than a page holds, and the other ends its page with what follows.
        event["payload"] = match id.as_str() {
            "e57" => json!({"text": "x".repeat(5_000_000)}),
            "e30" => json!({"text": ",\"next\":\"/none\"".repeat(100_000)}),
            _ => json!({}),
        };
        server.publish(&event).expect(200);
    }
    let page = browser.open(&server);
    ids.reverse();
    wait_for_shown(&page, &ids[..50].join(" "));
    publish(&server, "t", &["later"]);
    page.wait_for_text("#events", "later");
    assert_eq!(page.noticed(), Vec::<String>::new());
}

/// The same seqs, and more of them, are other events.
#[test]
fn a_restored_database_is_shown_from_its_beginning() {
    let Some(browser) = Chromium::start("the dashboard after a restore") else {
        return;
    };
    let server = Server::start(&[]);
    publish(&server, "t", &["a", "b"]);
    let database = server.setup().database_path().to_owned();
    let copy = server.setup().directory().join("copy");
    let run = |verb: &str, from: &std::path::Path, to: &std::path::Path| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_logagg"));
        command
            .args([verb, "--force", "--from"])
            .arg(from)
            .arg("--to")
            .arg(to);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    run("backup", &database, &copy);
    publish(&server, "t", &["c", "d"]);
    let page = browser.open(&server);
    wait_for_shown(&page, "d c b a");
    let authority = url(&server).trim_start_matches("http://").replace('/', "");
    let setup = server.setup().clone().listen([authority]);
    let mut server = Some(server);
    // With more events than before, with as many, and with fewer.
    for (published, shown) in [
        (&["e", "f", "g"][..], "g f e b a"),
        (&["h", "i", "j"], "j i h b a"),
        (&["k"], "k b a"),
    ] {
        server.take().expect("it runs").stop();
        run("restore", &copy, &database);
        let next = setup.start();
        publish(&next, "t", published);
        server = Some(next);
        wait_for_shown(&page, shown);
    }
    let server = server.expect("it runs");
    publish(&server, "t", &["l"]);
    wait_for_shown(&page, "l k b a");
}
