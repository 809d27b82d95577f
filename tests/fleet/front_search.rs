//! What a front finds and counts is what a node does: the same questions to both, and the answers compared.

use std::thread;

use serde_json::{json, Value};

use crate::engine::{shared, url_at};
use crate::front::front;
use crate::front_reads::without;
use crate::harness::{event, Server};
use crate::proxy::Proxy;
use crate::random::{number_from, Random};
use crate::wait::wait_until;

const TOPICS: [&str; 5] = ["a.x", "a.y", "b", "ü\"", "a%"];
const SOURCES: [&str; 5] = ["web-1", "web-2", "Web-1", "ß 1", "web_1"];
const LEVELS: [&str; 4] = ["info", "error", "warn", "404"];

/// Random events, each with its own id.
fn events(random: &mut Random, numbers: std::ops::Range<usize>) -> Value {
    let mut one = |number: usize| {
        let mut of = |texts: &[&'static str]| texts[random.below(texts.len() as u64) as usize];
        let mut event = event(of(&TOPICS), &format!("{}{number}", of(&["e-", "E-", "e_"])));
        event["source"] = json!(of(&SOURCES));
        let offset = of(&["Z", "+01:00", "-03:30", ".25Z", ""]);
        let (day, hour) = (random.below(28) + 1, random.below(24));
        event["timestamp"] = json!(format!("2026-01-{day:02}T{hour:02}:00:00{offset}"));
        let level = LEVELS[random.below(4) as usize];
        event["payload"] = match random.below(4) {
            0 => json!({"level": level, "ms": random.below(1_000), "a": {"b": [1, "x", level]}}),
            1 => json!({"level": 404, "text": format!("word{} common", random.below(5))}),
            2 => json!({"a.b": level, "tags": ["common", random.below(30)]}),
            _ => json!({}),
        };
        event
    };
    numbers.map(&mut one).collect()
}

/// One filter of a query.
fn filter(random: &mut Random) -> String {
    let filters = [
        "topic=a.x",
        "topic=a.*",
        "topic=%C3%BC%22",
        "topic=none",
        "topic=*",
        "topic=a%25",
        "source=web-1",
        "source=web*",
        "source=Web-1",
        "source=web_1",
        "source=%C3%9F*",
        "source=nobody",
        "source=*",
        "event_id=e-*",
        "event_id=e_1*",
        "event_id=E-7",
        "event_id=no",
        "q=word3",
        "q=common%20-word1",
        "q=web*",
        "where=level=error",
        "where=level=404",
        "where=ms%3E500",
        "where=!level",
        "where=a.b=x",
        "where=tags=7",
    ];
    if random.chance(4) {
        let id = random.below(400);
        return format!("event_id={}{id}", ["e-", "E-", "e_"][id as usize % 3]);
    }
    filters[random.below(filters.len() as u64) as usize].to_owned()
}

/// A range of times, which counts need: the bounds have to be the same at both.
fn range(random: &mut Random) -> String {
    match random.below(4) {
        0 => "since=2000-01-01&until=2100-01-01&time=received".to_owned(),
        1 => "since=2000-01-01&until=2010-01-01&time=received".to_owned(),
        2 => "since=2025-12-31&until=2026-02-01".to_owned(),
        _ => {
            let (from, days) = (random.below(20) + 1, random.below(8));
            format!(
                "since=2026-01-{from:02}T11:30&until=2026-01-{:02}T12:00:00.5&time=event",
                from + days
            )
        }
    }
}

fn question(random: &mut Random) -> String {
    let mut members: Vec<String> = (0..random.below(4)).map(|_| filter(random)).collect();
    let fields = ["topic", "source", "level", "a.b", "tags", "ms", "none"];
    let mut by = || format!("by={}", fields[random.below(fields.len() as u64) as usize]);
    let route = match members.len() % 3 {
        0 => {
            members.extend([by(), range(random)]);
            if random.chance(3) {
                members.push(format!("buckets={}", random.below(500) + 1));
            }
            if random.chance(5) {
                members.push(format!("before={}", random.below(500)));
            }
            if random.chance(4) {
                members.retain(|member| !member.starts_with("by="));
            }
            "histogram"
        }
        1 => {
            for _ in 0..random.below(3) {
                members.push(format!("by={}", fields[random.below(7) as usize]));
            }
            if random.chance(2) {
                members.push(range(random));
            }
            if random.chance(3) {
                members.push(format!("sample={}&limit=2", random.below(400) + 1));
            }
            "fields"
        }
        _ => {
            members.push(range(random));
            members.push(format!("limit={}", random.below(60) + 1));
            if random.chance(2) {
                members.push(format!("after={}", random.below(400)));
            }
            "events"
        }
    };
    format!("/{route}?{}", members.join("&"))
}

/// Asks both, and compares all but these members.
fn same(servers: &[&Server; 2], target: &str, but: &[&str]) {
    let answers = servers.map(|server| {
        let answer = server.get(target);
        (answer.status, without(&answer.text(), but))
    });
    assert_eq!(answers[0], answers[1], "{target}");
}

#[test]
fn what_is_found_and_counted_is_what_a_node_finds_and_counts() {
    let Some(engine) = shared() else {
        return;
    };
    let seed = number_from("FLEET_SEED", 1);
    let rounds = number_from("FLEET_QUESTIONS", 150);
    let front = front(&engine.database("search"));
    let node = Server::start(&[]);
    let servers = [&front, &node];
    let random = &mut Random::new(seed);
    let own = ["elapsed_ms", "processed_at"];
    for target in [
        "/histogram?since=2026-01-01&until=2026-02-01",
        "/histogram?until=2026-01-01&since=2026-01-01",
        "/histogram?interval=1s&since=2026-01-01&until=2026-02-01",
        "/histogram?limit=1",
        "/fields",
        "/fields?by=",
        "/fields?sample=0",
        "/fields?sorce=x",
    ] {
        same(&servers, target, &own);
    }
    for batch in 0..4 {
        let body = events(random, batch * 100..(batch + 1) * 100);
        for server in servers {
            server.publish(&body).expect(200);
        }
        for _ in 0..rounds / 4 {
            same(&servers, &question(random), &own);
        }
    }
    for target in ["/histogram", "/fields?q=word1", "/events?q=word1"] {
        let heads = servers.map(|server| {
            let mut client = server.client();
            client.send_request("HEAD", target, &[], b"");
            let answer = client.response_to("HEAD");
            (answer.status, answer.header("Content-Length").is_some())
        });
        assert_eq!(heads[0], heads[1], "{target}");
    }
    // Seqs with gaps, and a batch that is removed.
    let again = events(&mut Random::new(seed), 0..100);
    front.publish(&again).expect(200);
    let more = events(random, 1_000..1_050);
    for server in servers {
        server.publish(&more).expect(200);
    }
    let own = [
        "elapsed_ms",
        "processed_at",
        "scanned",
        "through",
        "seq",
        "next",
    ];
    for _ in 0..rounds / 3 {
        let target = question(random);
        let is_by_seq = ["before=", "after=", "sample="];
        if !is_by_seq.iter().any(|member| target.contains(member)) {
            same(&servers, &target, &own);
        }
    }
    let page = front.get("/metrics").text();
    let counted = |name: &str| page.contains(&format!("\nlog_aggregator_{name} 0\n"));
    assert!(counted("searches") && !counted("searches_total"), "{page}");
}

#[test]
fn the_time_of_storing_is_compared_to_the_microsecond() {
    let Some(engine) = shared() else {
        return;
    };
    let front = front(&engine.database("received"));
    for number in 0..40 {
        front.publish(&event("t", &number.to_string())).expect(200);
    }
    let all = front.json("/events?after=0");
    let times: Vec<String> = all["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["processed_at"].as_str().unwrap().to_owned())
        .collect();
    let middle = &times[20];
    let (front_part, _) = middle.split_once('Z').unwrap();
    let later = times.iter().filter(|time| *time > middle).count();
    let equal = times.iter().filter(|time| *time == middle).count();
    let count = |query: &str| {
        let counts = front.json(&format!("/fields?time=received&{query}"));
        let page = front.json(&format!("/events?time=received&limit=1000&{query}"));
        assert_eq!(counts["matched"], page["count"]);
        counts["matched"].as_u64().unwrap() as usize
    };
    assert_eq!(count(&format!("since={middle}")), later + equal);
    assert_eq!(count(&format!("since={front_part}001Z")), later);
    assert_eq!(
        count(&format!("until={middle}")),
        times.len() - later - equal
    );
    assert_eq!(
        count(&format!("until={front_part}001Z")),
        times.len() - later
    );
    assert_eq!(count("since=0000-01-01&until=9999-01-01"), times.len());
    assert_eq!(count("since=999999999w"), times.len());
}

#[test]
fn searches_are_refused_while_the_engine_is_away_and_go_on_when_it_is_back() {
    let Some(engine) = shared() else {
        return;
    };
    engine.database("search_away");
    let proxy = Proxy::start(engine.address());
    let front = front(&url_at(&[proxy.address()], "search_away"));
    front.publish(&event("t", "1")).expect(200);
    let targets = ["/histogram", "/fields", "/events?q=test"];
    let all = |what: &str| -> Vec<u16> {
        let asked = targets.map(|target| {
            let mut client = front.client();
            client.send_request("GET", target, &[], b"");
            client
        });
        let answers = asked.map(|mut client| client.response());
        assert!(
            answers
                .iter()
                .all(|answer| answer.status == 200 || answer.header("Retry-After").is_some()),
            "{what}"
        );
        answers.iter().map(|answer| answer.status).collect()
    };
    assert_eq!(all("before"), [200; 3]);
    proxy.hang();
    assert_eq!(all("hanging"), [503; 3]);
    proxy.pass();
    wait_until("the engine to be back", || all("after") == [200; 3]);
    front.publish(&event("t", "2")).expect(200);
    assert_eq!(front.json("/fields")["matched"], 2);
}

#[test]
fn a_search_ends_with_its_client() {
    let Some(engine) = shared() else {
        return;
    };
    let front = front(&engine.database("search_gone"));
    front.publish(&event("t", "1")).expect(200);
    let at_work = || {
        let page = front.get("/metrics").text();
        let mut lines = page.lines();
        let line = lines.find_map(|line| line.strip_prefix("log_aggregator_searches "));
        line.unwrap().to_owned()
    };
    // What asks for keys waits for this one.
    let lock = engine.hold("search_gone", "BEGIN; LOCK TABLE logagg.keys;\n");
    let waiting =
        "SELECT count(*) FROM pg_locks WHERE relation = 'logagg.keys'::regclass AND granted \
                   AND mode = 'AccessExclusiveLock'";
    wait_until("the lock", || engine.sql("search_gone", waiting) == "1");
    let mut client = front.client();
    client.send_request("GET", "/fields?event_id=1", &[], b"");
    wait_until("the search to begin", || at_work() == "1");
    drop(client);
    wait_until("the search to end", || at_work() == "0");
    drop(lock);
    assert_eq!(front.json("/fields?event_id=1")["matched"], 1);
    front.publish(&event("t", "2")).expect(200);
    let both = thread::scope(|scope| {
        let asked = ["1", "2"].map(|id| {
            let front = &front;
            scope.spawn(move || front.json(&format!("/fields?event_id={id}"))["matched"].clone())
        });
        asked.map(|asked| asked.join().unwrap())
    });
    assert_eq!(both, [json!(1), json!(1)]);
}
