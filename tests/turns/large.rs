//! Events of megabytes: however much is asked of one, no turn does more than its share.

use logagg::app::{FeedStatus, Reply};
use logagg::limits::{
    READ_BYTES_PER_UNIT, READ_SLICES_PER_TURN, READ_UNITS_PER_SLICE, STREAM_LONG_SLICE_BYTES,
};
use logagg::search::{Candidate, Effort, Filters, Instant};
use logagg::store::{Bound, Limit, Retention, Slice, Stop, Store, Visit};
use serde_json::{json, Value};

use super::{Desk, Folder, BODY_MAX};

/// Bytes of the largest event.
const LARGE: usize = 5 << 20;

const _: () = assert!(LARGE + 4_096 < BODY_MAX);

/// Units that a step may take beyond its slice: it is broken off only where a window has been searched for each term.
const STEP_MAX: u64 = 2_048;
/// The same for a row that is read, and one that is written into an answer.
const ROW_UNITS: u64 = LARGE as u64 / READ_BYTES_PER_UNIT + 512;

/// An object of members with this number, and as many others as there is room for.
fn payload(number: u32, other: &str, bytes: usize) -> String {
    let mut payload = format!("{{\"number\":{number},\"level\":\"l{number}\"");
    let mut at = 0;
    while payload.len() < bytes {
        payload.push_str(&format!(",\"m{at}\":\"{other}\""));
        at += 1;
    }
    payload + "}"
}

/// As many terms and conditions as there may be, none of which is decided before all of the payload has been searched.
fn filters() -> String {
    let terms: Vec<String> = (1..=32).map(|n| format!("-{}", "5".repeat(n))).collect();
    let mut query = String::from("topic=large");
    for terms in terms.chunks(4) {
        query.push_str(&format!("&q={}", terms.join("+")));
    }
    for n in 0..31 {
        query.push_str(&format!("&where=m{n}!~{}", "5".repeat(n + 1)));
    }
    query + "&where=number%3E1"
}

/// A request that is answered over turns, and what has come.
enum Asked {
    /// A reading or a stream, and what it has brought.
    Open(Reply, Vec<u8>),
    Over(Vec<u8>),
}

impl Desk {
    fn begin(&mut self, target: &str) -> Asked {
        Asked::Open(self.get(target), Vec::new())
    }

    /// A slice for a request. Says whether it is over.
    fn go_on(&mut self, asked: &mut Asked) -> bool {
        let over = match asked {
            Asked::Open(Reply::Reading(reading), _) => {
                let answer = self.app.read_on(reading, self.now);
                answer.map(|answer| answer.body.into_owned())
            }
            Asked::Open(Reply::Stream(stream), out) => {
                let source = &mut stream.source;
                let status = self
                    .app
                    .feed(source, STREAM_LONG_SLICE_BYTES, out, self.now);
                let is_over = status.expect("it can be read") == FeedStatus::Ended;
                is_over.then(|| std::mem::take(out))
            }
            Asked::Open(answer, _) => panic!("{answer:?}"),
            Asked::Over(_) => return true,
        };
        let is_over = over.is_some();
        if let Some(body) = over {
            *asked = Asked::Over(body);
        }
        is_over
    }

    /// Asks for all of these at the same time. Returns the answers, and the units of the longest slice and turn.
    fn ask_at_once(&mut self, targets: &[String]) -> (Vec<Vec<u8>>, u64, u64, usize) {
        let mut all: Vec<Asked> = Vec::new();
        for target in targets {
            all.push(self.begin(target));
            self.conn
                .respond(&logagg::http::Response::empty(204), self.now);
            self.sent();
        }
        let (mut longest_slice, mut longest_turn, mut turns) = (0, 0, 0);
        while !all.iter().all(|asked| matches!(asked, Asked::Over(_))) {
            self.app.begin_turn(true);
            turns += 1;
            for asked in &mut all {
                if !self.app.begin_slice(1.0) {
                    break;
                }
                let before = self.app.units_in_turn();
                self.go_on(asked);
                longest_slice = longest_slice.max(self.app.units_in_turn() - before);
            }
            all.rotate_left(1);
            longest_turn = longest_turn.max(self.app.units_in_turn());
        }
        all.rotate_right(turns % targets.len());
        let bodies = all.into_iter().map(|asked| match asked {
            Asked::Over(body) => body,
            Asked::Open(..) => unreachable!("all are over"),
        });
        (bodies.collect(), longest_slice, longest_turn, turns)
    }
}

#[test]
fn each_turn_is_short_with_events_of_megabytes() {
    let folder = Folder::new("large");
    let store = Store::open(&folder.options()).expect("a new database");
    let mut desk = Desk::new(store);
    // Long strings with escapes, many members, digits without an end, and little.
    let lines = "line\\n".repeat(2_000);
    let digits = "5"
        .repeat(100_000)
        .replace("55555555555555555555", "4555555555555555555_");
    for (number, (other, bytes)) in [
        ("x", 100),
        (&*lines, 1 << 20),
        ("value", LARGE),
        (&digits, 150_000),
        ("value", 100),
    ]
    .into_iter()
    .enumerate()
    {
        desk.publish_with(
            &format!("large{number}"),
            "new",
            &payload(number as u32, other, bytes),
        );
    }
    let filters = filters().replace("topic=large", "topic=large*");
    let targets = [
        format!("/events?{filters}&after=0"),
        format!("/histogram?{filters}&since=2026-01-01&until=2026-01-03&by=level"),
        format!("/fields?{filters}&by=level&by=topic"),
        format!("/fields?{filters}"),
        format!("/subscribe?{filters}&follow=false&after=0"),
        format!("/events?{filters}&after=3"),
    ];
    let (answers, longest_slice, longest_turn, turns) = desk.ask_at_once(&targets);
    let slice_max = READ_UNITS_PER_SLICE + STEP_MAX + 3 * ROW_UNITS;
    assert!(
        longest_slice <= slice_max,
        "a slice took {longest_slice} units"
    );
    // Of a turn the last slice of each kind may go beyond its share.
    let turn_max = READ_SLICES_PER_TURN * READ_UNITS_PER_SLICE + 2 * slice_max;
    assert!(longest_turn <= turn_max, "a turn took {longest_turn} units");
    assert!(turns > 20, "{turns} turns");

    let json = |at: usize| -> Value { serde_json::from_slice(&answers[at]).unwrap() };
    // A page ends with an event of its size.
    for (at, wanted, scanned, through) in [(0, json!([3]), 3, 3), (5, json!([4, 5]), 2, 5)] {
        let page = json(at);
        let events = page["events"].as_array().unwrap();
        let seqs: Value = events.iter().map(|event| event["seq"].clone()).collect();
        assert_eq!((&seqs, &page["scanned"]), (&wanted, &json!(scanned)));
        assert_eq!(page["through"], through);
    }
    let histogram = json(1);
    assert_eq!(
        (&histogram["matched"], &histogram["scanned"]),
        (&json!(3), &json!(5))
    );
    let series = histogram["series"].as_array().unwrap();
    let values: Vec<_> = series
        .iter()
        .map(|one| (&one["value"], &one["count"]))
        .collect();
    let one = json!(1);
    assert_eq!(
        values,
        [
            (&json!("l2"), &one),
            (&json!("l3"), &one),
            (&json!("l4"), &one)
        ]
    );
    let fields = json(2);
    assert_eq!(
        (&fields["matched"], &fields["complete"]),
        (&json!(3), &json!(true))
    );
    assert_eq!(fields["fields"][0]["count"], 3);
    let found = json(3);
    assert_eq!(found["matched"], 3);
    let count_of = |name: &str| {
        let fields = found["fields"].as_array().unwrap();
        let field = fields.iter().find(|field| field["field"] == name);
        field.map(|field| field["count"].clone())
    };
    assert_eq!(
        (count_of("number"), count_of("m0")),
        (Some(json!(3)), Some(json!(3)))
    );
    let lines = answers[4].split(|byte| *byte == b'\n');
    let sent = lines.filter_map(|line| line.strip_prefix(b"data: "));
    let sent: Vec<Value> = sent
        .map(|event| serde_json::from_slice(event).unwrap())
        .collect();
    let sent: Vec<&Value> = sent.iter().map(|event| &event["seq"]).collect();
    assert_eq!(sent, [&json!(3), &json!(4), &json!(5)]);
}

/// The event that a walk has not finished is gone when it goes on.
#[test]
fn an_event_that_is_removed_between_two_slices_is_passed() {
    const KEPT_US: i64 = 1_000_000_000;
    let folder = Folder::new("removed");
    let mut options = folder.options();
    options.retention = Retention {
        events: Some(Limit::Age(KEPT_US)),
        ..Retention::default()
    };
    let mut desk = Desk::new(Store::open(&options).expect("a new database"));
    desk.publish_with("old", "new", &payload(1, "value", 100_000));
    desk.now.unix_us += 2 * KEPT_US;
    desk.publish_with("new", "new", &payload(2, "value", 100_000));
    drop(desk.app);
    let mut store = Store::open(&options).expect("a database");

    let filters = Filters::parse([].into_iter(), Instant::from_unix_us(0)).unwrap();
    let slice = Slice {
        units: 1,
        time: std::time::Duration::ZERO,
        spent: &|| std::time::Duration::ZERO,
    };
    let mut walk = store.begin_walk(Bound::After(0), 10);
    let mut shown = Vec::new();
    let mut visit = |seq: u64, event: &Candidate, _: &mut Effort| {
        shown.push((seq, event.topic == b"new"));
        match shown.len() {
            1..=3 => Visit::Unfinished,
            _ => Visit::GoOn,
        }
    };
    for _ in 0..2 {
        let stop = store.walk(&mut walk, &filters, &slice, &mut visit).unwrap();
        assert_eq!(
            (stop, walk.scanned(), walk.unfinished()),
            (Stop::Slice, 0, Some(1))
        );
    }
    while store.retain(desk.now.unix_us + 1).unwrap() {}
    assert_eq!(store.first_seq(), 2);
    let stop = store.walk(&mut walk, &filters, &slice, &mut visit).unwrap();
    assert_eq!((stop, walk.unfinished()), (Stop::Slice, Some(2)));
    let stop = store.walk(&mut walk, &filters, &slice, &mut visit).unwrap();
    assert_eq!((stop, walk.through(), walk.scanned()), (Stop::End, 2, 1));
    assert_eq!(shown, [(1, false), (1, false), (2, true), (2, true)]);
}
