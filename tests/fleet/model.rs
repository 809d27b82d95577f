//! What a store must hold, from what the nodes hold: an independent account of it, which asks the nodes' pages and
//! compares them with the tables.

use std::collections::HashMap;

use serde_json::Value;

use crate::engine::Engine;
use crate::harness::{events_of, Server};

/// An event as a node gives it out: its key, and the rest as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub key: (String, String),
    pub content: [String; 3],
}

/// All events of a node, in order.
pub fn events_of_node(server: &Server) -> Vec<Stored> {
    let (mut events, mut after) = (Vec::new(), 0);
    loop {
        let page = server.json(&format!("/events?limit=1000&after={after}"));
        let found = events_of(&page);
        let Some(last) = found.last() else {
            return events;
        };
        after = last["seq"].as_u64().unwrap();
        events.extend(found.iter().map(stored));
    }
}

fn text(event: &Value, member: &str) -> String {
    event[member].as_str().unwrap().to_owned()
}

fn stored(event: &Value) -> Stored {
    Stored {
        key: (text(event, "topic"), text(event, "event_id")),
        content: [
            text(event, "timestamp"),
            text(event, "source"),
            event["payload"].to_string(),
        ],
    }
}

/// All events of a store, in order.
pub fn events_of_store(engine: &Engine, database: &str) -> Vec<Stored> {
    let sql = "SELECT json_build_array(seq, topic, event_id, timestamp, source, payload) \
               FROM logagg.event_log ORDER BY seq";
    let rows = engine.sql(database, sql);
    let mut last = 0;
    let read = |row: &str| {
        let row: Value = serde_json::from_str(row).unwrap();
        let seq = row[0].as_u64().unwrap();
        assert!(seq > last, "seq {seq} after {last}");
        last = seq;
        let column = |at: usize| row[at].as_str().unwrap().to_owned();
        let payload: Value = serde_json::from_str(&column(5)).unwrap();
        Stored {
            key: (column(1), column(2)),
            content: [column(3), column(4), payload.to_string()],
        }
    };
    rows.lines().map(read).collect()
}

/// Checks that a store has each event of the nodes once, nothing else, one of the contents that its key has, the order
/// of each node, and that its own records agree.
pub fn check(engine: &Engine, database: &str, nodes: &[Vec<Stored>]) {
    let store = events_of_store(engine, database);
    let mut places = HashMap::new();
    for (at, event) in store.iter().enumerate() {
        let before = places.insert(&event.key, at);
        assert!(before.is_none(), "{:?} is there twice", event.key);
    }
    let mut contents: HashMap<&(String, String), Vec<&[String; 3]>> = HashMap::new();
    for event in nodes.iter().flatten() {
        contents.entry(&event.key).or_default().push(&event.content);
    }
    assert_eq!(store.len(), contents.len(), "as many events as keys");
    for event in &store {
        let legal = contents.get(&event.key);
        assert!(
            legal.is_some_and(|legal| legal.contains(&&event.content)),
            "{event:?}"
        );
    }
    for node in nodes {
        // What this node alone has, it was the first to bring.
        let own = node.iter().filter(|event| contents[&event.key].len() == 1);
        let own: Vec<usize> = own.map(|event| places[&event.key]).collect();
        assert!(own.is_sorted(), "the order of a node is kept");
    }
    check_records(engine, database, store.len());
}

/// The batches add up, and each node's are a chain without a hole.
fn check_records(engine: &Engine, database: &str, events: usize) {
    let sums = "SELECT coalesce(sum(stored), 0), coalesce(sum(events - stored - duplicates), 0), \
                count(*) FILTER (WHERE conflicts > duplicates), (SELECT count(*) FROM logagg.keys) FROM logagg.batches";
    assert_eq!(engine.sql(database, sums), format!("{events}|0|0|{events}"));
    let broken = "SELECT * FROM (SELECT node, after, lag(upto, 1, 0::bigint) \
                  OVER (PARTITION BY node ORDER BY after) AS before FROM logagg.batches \
                  WHERE node IS NOT NULL) x WHERE after <> before";
    assert_eq!(engine.sql(database, broken), "", "the chains have no holes");
    let wrong = "SELECT e.seq FROM logagg.events e JOIN logagg.keys k USING (event_id, topic_id) \
                 JOIN logagg.batches b ON b.id = k.batch WHERE e.seq <> b.first_seq + k.idx";
    assert_eq!(engine.sql(database, wrong), "", "a key leads to its event");
}
