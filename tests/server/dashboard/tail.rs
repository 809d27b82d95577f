//! Events as they come: what is chosen, what waits, a flood, large ones, and one event with all that is in it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::{json, Value};

use crate::chromium::{Chromium, Page};
use crate::harness::{event, Server, Setup};

fn publish(server: &Server, topic: &str, ids: &[&str]) {
    let events: Vec<Value> = ids.iter().map(|id| event(topic, id)).collect();
    server.publish(&json!(events)).expect(200);
}

/// The ids of the events that are shown, the newest first.
fn shown(page: &Page) -> String {
    let ids = page.evaluate(IDS);
    ids.as_str().expect("it is text").to_owned()
}

const IDS: &str =
    "[...document.querySelectorAll('#events .id')].map(id => id.textContent).join(' ')";

fn wait_for_shown(page: &Page, ids: &str) {
    page.wait_for(&format!("{IDS} === {}", json!(ids)));
}

#[test]
fn events_arrive_of_the_topics_that_are_chosen() {
    let Some(browser) = Chromium::start("the dashboard's live events") else {
        return;
    };
    let server = Server::start(&[]);
    publish(&server, "a.one", &["first"]);
    let page = browser.open(&server);
    wait_for_shown(&page, "first");
    page.wait_for_text("#live-state", "live");
    publish(&server, "a.two", &["second"]);
    publish(&server, "b.one", &["third"]);
    wait_for_shown(&page, "third second first");

    page.fill("#words", "topic:a.*");
    page.press("Enter");
    wait_for_shown(&page, "second first");
    page.wait_for_text("#live-state", "live");
    publish(&server, "b.one", &["fourth"]);
    publish(&server, "a.two", &["fifth"]);
    wait_for_shown(&page, "fifth second first");

    // By the table as well.
    page.click("[data-tab=topics]");
    page.wait_for_text("#topics", "b.one");
    page.click("[title='Events of b.one']");
    wait_for_shown(&page, "fourth third");
    page.wait_for_text("#live-state", "live");
    publish(&server, "a.one", &["sixth"]);
    publish(&server, "b.one", &["seventh"]);
    wait_for_shown(&page, "seventh fourth third");

    // A topic that nobody has published to, until somebody does.
    page.click("#chips .remove");
    page.fill("#words", "topic:c");
    page.press("Enter");
    page.wait_for_text("#empty", "No event matches.");
    page.wait_for_text("#live-state", "live");
    publish(&server, "c", &["eighth"]);
    wait_for_shown(&page, "eighth");
    page.wait_for("!document.querySelector('#empty').checkVisibility()");
    assert_eq!(page.noticed(), Vec::<String>::new());
}

#[test]
fn what_comes_waits_while_older_events_are_read() {
    let Some(browser) = Chromium::start("waiting events in the dashboard") else {
        return;
    };
    let server = Server::start(&[]);
    let many: Vec<Value> = (0..80).map(|n| event("t", &format!("m{n}"))).collect();
    server.publish(&json!(many)).expect(200);
    let page = browser.open(&server);
    page.wait_for_text("#live-state", "live");
    publish(&server, "t", &["one"]);
    page.wait_for(&format!("{IDS}.startsWith('one m79 ')"));
    page.act(
        "document.querySelector('#events')",
        "element.scrollTop = 200",
    );
    publish(&server, "t", &["two", "three"]);
    page.wait_for_text("#held", "2 new");
    assert!(shown(&page).starts_with("one "));
    page.click("#held");
    page.wait_for(&format!("{IDS}.startsWith('three two one m79')"));
    page.wait_for("!document.querySelector('#held').checkVisibility()");

    // Nothing comes while it is switched off, and all of it when it is on again.
    page.click("#live");
    page.wait_for("document.querySelector('#live').ariaPressed === 'false'");
    // The list was read again.
    page.wait_for(&format!("{IDS}.startsWith('three two one')"));
    publish(&server, "t", &["four"]);
    page.wait_for("document.querySelector('#total-accepted').textContent.startsWith('84 ')");
    assert!(shown(&page).starts_with("three "));
    page.click("#live");
    page.wait_for(&format!("{IDS}.startsWith('four three two')"));

    // More than the page keeps while they come: the newest stay.
    page.wait_for_text("#live-state", "live");
    page.act(
        "document.querySelector('#events')",
        "element.scrollTop = 200",
    );
    let many: Vec<Value> = (0..600).map(|n| event("t", &format!("n{n}"))).collect();
    server.publish(&json!(many)).expect(200);
    page.wait_for_text("#held", "600 new");
    page.click("#held");
    page.wait_for(&format!("{IDS}.startsWith('n599 n598')"));
    page.wait_for_value("document.querySelectorAll('#events li').length", 500);
    assert_eq!(page.noticed(), Vec::<String>::new());
}

#[test]
fn an_event_is_shown_as_it_was_sent() {
    let Some(browser) = Chromium::start("an event's JSON in the dashboard") else {
        return;
    };
    let server = Server::start(&[]);
    // After one that is there when the page is opened, as a page of events brings it, one from the stream.
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
    page.wait_for_text("#live-state", "live");
    server.client().publish(sent("late")).expect(200);
    wait_for_shown(&page, "late early");
    page.click("#events li:nth-child(1) .entry");
    page.wait_for_text("#event-title", "Event 2");
    page.click("#event-json summary");
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
        let entry = format!("#events li:nth-child({row}) .entry");
        let preview = "z=12345678901234567890 1=0.10 a=1e400 a=[] deep.empty={} deep.list=1";
        assert!(page.text(&entry).contains(preview), "{}", page.text(&entry));
        page.click(&entry);
        page.wait_for_text("#event-title", &format!("Event {}", 3 - row));
        page.wait_for_text("#event-text", id);
        let text = page.text("#event-text");
        let head = format!("{{\n  \"seq\": {},\n  \"topic\": \"a/b?c\",\n", 3 - row);
        assert!(text.starts_with(&head) && text.contains(id), "{text}");
        assert!(text.contains(payload) && text.ends_with("\"\n}"), "{text}");
        let members = page.text("#event-members");
        for member in ["z\t12345678901234567890", "1\t0.10", "a\t1e400", "a\t[]"] {
            assert!(members.contains(member), "{member} in {members}");
        }
        let linked = "fetch(document.querySelector('#event-link').href).then(a => a.json())";
        assert_eq!(page.evaluate(linked)["event_id"], id);
        page.press("Escape");
        page.wait_for("document.querySelector('#detail').hidden");
        // The reader is back where it was opened.
        page.wait_for(&format!(
            "document.activeElement === document.querySelector({entry:?})"
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
    page.wait_for_text("#live-state", "live");
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
        page.wait_for_text("#live-state", "sampling: newest each second");
        page.wait_for_text("#events", "skipped");
        flows.store(false, Ordering::Relaxed);
    });
    // When it ebbs away the stream goes on, up to the last event.
    publish(&server, "t", &["last"]);
    page.wait_for_text("#live-state", "live");
    page.wait_for("document.querySelector('#events .id').textContent === 'last'");
    let seqs = page.evaluate(
        "[...document.querySelectorAll('#events .entry')].map(row => Number(row.dataset.seq))",
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
    wait_for_shown(&page, &ids.join(" "));
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
    let setup = Setup::with_fixed_address();
    let server = setup.start();
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
