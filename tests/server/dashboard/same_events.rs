//! The same filters show the same events everywhere: in the page, in both forms of a stream, in `logagg tail`, and
//! afterwards in `/events`.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::{json, Value};

use crate::chromium::{url, Chromium};
use crate::harness::{event, Item, Server, Stream};
use crate::wait::wait_until;

/// The same filters for an address and for the command line. All of them are in here.
const FILTERS: [(&str, &[&str]); 4] = [
    (
        "topic=order.*&topic=user&source=web*&where=level%3Derror&where=level%3Dwarn",
        &[
            "--topic",
            "order.*",
            "--topic",
            "user",
            "--source",
            "web*",
            "--where",
            "level=error",
            "--where",
            "level=warn",
        ],
    ),
    (
        "event_id=e1*&since=1h&time=received&q=declined%20-retry",
        &[
            "--event-id",
            "e1*",
            "--since",
            "1h",
            "--received",
            "--grep",
            "declined -retry",
        ],
    ),
    (
        "where=ms%3E500&where=!gone&q=%22card%20exp%22*&since=2026-01-02T03:04:05Z",
        &[
            "--where",
            "ms>500",
            "--where",
            "!gone",
            "--q",
            "\"card exp\"*",
            "--since",
            "2026-01-02T03:04:05Z",
        ],
    ),
    // A time that ends is not followed by the page.
    (
        "where=level!%3Ddebug&until=2026-01-02T03:04:30Z",
        &["--where", "level!=debug", "--until", "2026-01-02T03:04:30Z"],
    ),
];

/// All filters let the last one through.
const LAST: &str = "e1-last";

fn events() -> Vec<Value> {
    let some = |n: usize, from: &[&str]| from[n % from.len()].to_owned();
    let mut events: Vec<Value> = (0..60)
        .map(|n| {
            let mut event = event(&some(n, &["order.new", "user", "job"]), &format!("e{n}"));
            event["source"] = json!(some(n / 2, &["web-1", "worker", "web-2"]));
            event["timestamp"] = json!(format!("2026-01-02T03:04:{n:02}Z"));
            let msg = [
                "card expired",
                "Declined: card expired",
                "declined, retry",
                "done",
            ];
            let level = some(n / 3, &["error", "warn", "info", "debug"]);
            event["payload"] = json!({"level": level, "msg": some(n, &msg), "ms": 37 * n % 1000});
            if n.is_multiple_of(7) {
                event["payload"]["gone"] = json!(null);
            }
            event
        })
        .collect();
    let mut last = event("order.last", LAST);
    last["source"] = json!("web-9");
    last["timestamp"] = json!("2026-01-02T03:04:29.9Z");
    last["payload"] = json!({"level": "error", "msg": "declined: card expired", "ms": 900});
    events.push(last);
    events
}

fn id_of(event: &Value) -> String {
    event["event_id"].as_str().expect("it has an id").to_owned()
}

fn tail(server: &Server, filters: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_logagg"))
        .args(["tail", "--json", "--server", &url(server)])
        .args(filters)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program can be started")
}

/// The ids that a tail prints, up to the last one.
fn printed(tail: &mut Child) -> Vec<String> {
    let lines = BufReader::new(tail.stdout.take().expect("it is piped")).lines();
    let mut ids = Vec::new();
    for line in lines {
        ids.push(id_of(&serde_json::from_str(&line.unwrap()).unwrap()));
        if ids.last().is_some_and(|id| id == LAST) {
            break;
        }
    }
    ids
}

fn streamed(mut stream: Stream) -> Vec<String> {
    let mut ids = Vec::new();
    while ids.last().is_none_or(|id| id != LAST) {
        match stream.try_next().unwrap() {
            Some(Item::Event(event)) => ids.push(id_of(&event)),
            Some(_) => {}
            None => break,
        }
    }
    ids
}

const SHOWN: &str =
    "[...document.querySelectorAll('#events .id')].map(id => id.textContent).join(' ')";

#[test]
fn the_same_filters_show_the_same_events_everywhere() {
    let Some(browser) = Chromium::start("the same events everywhere") else {
        return;
    };
    let server = Server::start(&[]);
    let follow = |(query, flags): (&str, &[&str])| {
        let query = format!("?{query}");
        let streams = [
            Stream::lines(&server, &query),
            Stream::events(&server, &query),
        ];
        (streams, tail(&server, flags))
    };
    let readers: Vec<_> = FILTERS.into_iter().map(follow).collect();
    wait_until("all to follow", || {
        server.json("/stats")["subscribers"].as_u64() == Some(3 * FILTERS.len() as u64)
    });
    let open = |(query, _): (&str, &[&str])| {
        let page = browser.open_at(&server, &format!("/?{query}"));
        if !query.contains("until") {
            page.wait_for_text("#live-state", "live");
        }
        page
    };
    let pages: Vec<_> = FILTERS.into_iter().map(open).collect();
    for part in events().chunks(7) {
        server.publish(&json!(part)).expect(200);
    }
    for (((query, _), (streams, mut tail)), page) in FILTERS.into_iter().zip(readers).zip(pages) {
        let found = server.json(&format!("/events?{query}&after=0&limit=1000"));
        let found: Vec<String> = found["events"]
            .as_array()
            .unwrap()
            .iter()
            .map(id_of)
            .collect();
        let some = 4..events().len();
        assert!(some.contains(&found.len()), "{query}: {found:?}");
        for stream in streams {
            assert_eq!(streamed(stream), found, "{query}");
        }
        assert_eq!(printed(&mut tail), found, "tail with {query}");
        tail.kill().unwrap();
        tail.wait().unwrap();
        // A page that is not seen does not follow.
        page.call("Page.bringToFront", &json!({}));
        if query.contains("until") {
            page.reload();
        }
        let newest_first: Vec<String> = found.into_iter().rev().collect();
        page.wait_for_value(SHOWN, newest_first.join(" "));
        assert_eq!(page.noticed(), Vec::<String>::new());
    }
}
