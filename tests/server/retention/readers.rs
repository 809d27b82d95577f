//! Retention under readers: who comes too late is told which events have gone, and gets each of the
//! others once, in order.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::{json, Value};

use super::{numbered, publish, rows, setup};
use crate::checking::check_beside;
use crate::harness::{event, seqs_of, Item, Server, Stream};
use crate::wait::wait_until;

fn gap(from: u64, to: u64) -> Item {
    Item::Gap(json!({"from": from, "to": to}))
}

fn change(server: &Server, method: &str, target: &str, body: &Value) -> Value {
    let headers = ["Content-Type: application/json"];
    let mut client = server.client();
    let answer = client.request(method, target, &headers, body.to_string().as_bytes());
    answer.expect(200)
}

fn put(server: &Server, name: &str, after: u64) {
    let target = format!("/subscriptions/{name}");
    change(server, "PUT", &target, &json!({ "after": after }));
}

#[test]
fn who_comes_too_late_is_told_and_gets_all_that_is_left() {
    for dedup in ["index", "constraint"] {
        let keeping = setup(dedup, &[]);
        let removing = keeping.clone().flags(["--retain-events", "1s"]);
        let server = keeping.start();
        for n in 0..20 {
            publish(&server, &numbered(n));
        }
        put(&server, "late", 4);
        put(&server, "edge", 20);
        server.stop();

        let server = removing.start();
        wait_until("the events to be removed", || rows(&removing) == 0);
        let mut empty = Stream::lines(&server, "?after=0&follow=false");
        assert_eq!(empty.next(), gap(1, 20));
        assert_eq!(empty.try_next(), Ok(None));
        assert_eq!(Stream::lines(&server, "?follow=false").try_next(), Ok(None));
        let stats = server.json("/stats");
        assert_eq!(
            (&stats["first_seq"], &stats["last_seq"]),
            (&json!(21), &json!(20))
        );
        assert_eq!(server.json("/subscriptions/late")["lag"], 0);
        server.stop();

        let server = keeping.start();
        for n in 20..30 {
            publish(&server, &numbered(n));
        }
        let left: Vec<u64> = (21..=30).collect();
        for (query, header, from) in [
            ("?after=0", "", 1),
            ("?after=7", "", 8),
            ("?after=19", "", 20),
            ("", "Last-Event-ID: 3", 4),
            ("?subscription=late", "", 5),
        ] {
            for media_type in ["text/event-stream", "application/x-ndjson"] {
                let accept = format!("Accept: {media_type}");
                let headers = [accept.as_str(), header];
                let headers = &headers[..1 + usize::from(!header.is_empty())];
                let mut stream = Stream::open(&server, query, headers);
                assert_eq!(stream.next(), gap(from, 20), "{query} {header}");
                assert_eq!(stream.seqs(10), left);
            }
        }
        for query in ["?after=20", "?subscription=edge", "?follow=false"] {
            assert_eq!(Stream::lines(&server, query).seqs(10), left, "{query}");
        }
        let mut of_topic = Stream::lines(&server, "?topic=topic%201&after=0&follow=false");
        assert_eq!(of_topic.next(), gap(1, 20));
        let seqs: Vec<Value> = of_topic.rest().iter().map(|e| e["seq"].clone()).collect();
        assert_eq!(seqs, [23, 26, 29]);

        // A position among the removed events is as good as one in front of them.
        assert_eq!(server.json("/subscriptions/late")["lag"], 10);
        let seq = json!({"seq": 10});
        let moved = change(&server, "POST", "/subscriptions/late/ack", &seq);
        assert_eq!((&moved["after"], &moved["lag"]), (&json!(10), &json!(10)));
        let mut stream = Stream::lines(&server, "?subscription=late");
        assert_eq!(stream.next(), gap(11, 20));
        assert_eq!(stream.seqs(10), left);
        publish(&server, &numbered(30));
        assert_eq!(stream.seqs(1), [31]);
        let page = server.json("/events?after=3&limit=2");
        assert_eq!(
            (seqs_of(&page), &page["next"]),
            (vec![21, 22], &json!("/events?limit=2&after=22"))
        );
        check_beside(&server);
    }
}

const REQUESTS: u64 = 300;
const EVENTS_PER_REQUEST: u64 = 20;
/// Some 18 MB, while the database is held at 1 MB.
const TOTAL: u64 = REQUESTS * EVENTS_PER_REQUEST;
const TOPICS: u64 = 7;

/// Compares what comes out of streams with what has been published.
struct Reader {
    /// None reads all topics.
    topic: Option<u64>,
    /// Everything up to here has come or was said to have gone.
    last: u64,
    events: u64,
    gaps: u64,
}

impl Reader {
    fn new(topic: Option<u64>, after: u64) -> Reader {
        Reader {
            topic,
            last: after,
            events: 0,
            gaps: 0,
        }
    }

    fn misses_nothing_between(&self, seq: u64) {
        let is_wanted = |seq: u64| self.topic.is_none_or(|topic| seq % TOPICS == topic);
        let missing = (self.last + 1..seq).find(|seq| is_wanted(*seq));
        assert_eq!(missing, None, "{} events came", self.events);
    }

    fn take(&mut self, item: &Item) {
        match item {
            Item::Heartbeat | Item::Progress(_) | Item::Id(_) => {}
            Item::Reset(reset) => panic!("a reset behind {}: {reset}", self.last),
            Item::Event(event) => {
                let seq = event["seq"].as_u64().expect("an event has a seq");
                assert!(seq > self.last, "{seq} comes behind {}", self.last);
                assert_eq!(event["event_id"], seq.to_string());
                self.misses_nothing_between(seq);
                self.last = seq;
                self.events += 1;
            }
            Item::Gap(gap) => {
                let [from, to] = ["from", "to"].map(|end| gap[end].as_u64().expect("a seq"));
                assert!(from > self.last && to >= from, "{gap} behind {}", self.last);
                self.misses_nothing_between(from);
                self.last = to;
                self.gaps += 1;
            }
        }
    }

    /// Whether everything that will have been published has come or gone.
    fn is_done(&self) -> bool {
        let is_wanted = |seq: u64| self.topic.is_none_or(|topic| seq % TOPICS == topic);
        !(self.last + 1..=TOTAL).any(is_wanted)
    }

    fn read_to_the_end(mut self, mut stream: Stream) -> Reader {
        while !self.is_done() {
            self.take(&stream.next());
        }
        self
    }
}

fn publish_all(server: &Server) {
    let mut client = server.client();
    for request in 0..REQUESTS {
        let first = request * EVENTS_PER_REQUEST + 1;
        let events: Vec<Value> = (first..first + EVENTS_PER_REQUEST)
            .map(|seq| {
                let mut event = event(&format!("topic {}", seq % TOPICS), &seq.to_string());
                event["payload"] = json!({"filling": "f".repeat(3_000)});
                event
            })
            .collect();
        let answer = client.publish(Value::from(events).to_string()).expect(200);
        assert_eq!(answer["accepted"], EVENTS_PER_REQUEST);
    }
}

/// Reads and acknowledges as a consumer does that often loses its connection.
fn consume(server: &Server) -> Reader {
    let mut reader = Reader::new(None, 0);
    while !reader.is_done() {
        let mut stream = Stream::lines(server, "?subscription=worker");
        for _ in 0..100 {
            reader.take(&stream.next());
            if reader.is_done() {
                break;
            }
        }
        let seq = json!({"seq": reader.last});
        let moved = change(server, "POST", "/subscriptions/worker/ack", &seq);
        assert_eq!(moved["after"], reader.last);
    }
    reader
}

/// Reads everything that is there, again and again.
fn replay(server: &Server, done: &AtomicBool) -> Vec<Reader> {
    let mut readers = Vec::new();
    while !done.load(Ordering::Relaxed) {
        let head = server.json("/stats")["last_seq"].as_u64().expect("a seq");
        let mut stream = Stream::events(server, "?after=0&follow=false");
        let mut reader = Reader::new(None, 0);
        while let Some(item) = stream.try_next().expect("it ends well") {
            reader.take(&item);
        }
        assert!(reader.last >= head, "{} of {head}", reader.last);
        readers.push(reader);
    }
    readers
}

#[test]
fn readers_get_exact_sequences_while_events_are_removed() {
    let flags = ["--retain-events", "1MB", "--durability", "normal"];
    let server = setup("index", &flags).start();
    put(&server, "worker", 0);
    put(&server, "late", 0);
    let live = Stream::lines(&server, "");
    let of_topic = Stream::events(&server, "?topic=topic%203");
    let stopped = Stream::lines(&server, "?after=0");
    let done = AtomicBool::new(false);
    let (all, slow) = thread::scope(|scope| {
        let (server, done) = (&server, &done);
        let live = scope.spawn(|| Reader::new(None, 0).read_to_the_end(live));
        let of_topic = scope.spawn(|| Reader::new(Some(3), 0).read_to_the_end(of_topic));
        let worker = scope.spawn(|| consume(server));
        let replayed = scope.spawn(|| replay(server, done));
        publish_all(server);
        done.store(true, Ordering::Relaxed);
        // It has taken nothing meanwhile: the sockets hold less than what has been published and gone.
        let slow = Reader::new(None, 0).read_to_the_end(stopped);
        let mut all = replayed.join().expect("nothing is missing");
        for reader in [live, of_topic, worker] {
            all.push(reader.join().expect("nothing is missing"));
        }
        (all, slow)
    });
    assert!(slow.gaps > 0 && slow.events < TOTAL, "{} gaps", slow.gaps);
    let mut late = Stream::lines(&server, "?subscription=late");
    let first = late.next();
    assert!(
        matches!(&first, Item::Gap(gap) if gap["from"] == 1),
        "{first:?}"
    );
    let mut reader = Reader::new(None, 0);
    reader.take(&first);
    let late = reader.read_to_the_end(late);
    wait_until("the statistics to agree", || {
        let stats = server.json("/stats");
        let number = |name: &str| stats[name].as_u64().expect("a number");
        assert_eq!(number("unique_processed"), TOTAL);
        assert_eq!(number("events_removed"), number("first_seq") - 1);
        let lag = server.json("/subscriptions/late")["lag"].as_u64();
        number("first_seq") > 1 && lag == Some(TOTAL + 1 - number("first_seq"))
    });
    check_beside(&server);
    let readers: Vec<Reader> = all.into_iter().chain([slow, late]).collect();
    println!(
        "FIGURE retention-readers: {TOTAL} events published into a database held at 1 MB under {} readers, live, \
         replaying, stopped and by named subscriptions: {} events came, each once and in order, and {} gaps told \
         exactly what had gone",
        readers.len(),
        readers.iter().map(|reader| reader.events).sum::<u64>(),
        readers.iter().map(|reader| reader.gaps).sum::<u64>(),
    );
}
