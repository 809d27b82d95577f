//! Streams of fronts, and publications that come to several of them at the same moment.

use std::thread;

use serde_json::{json, Value};

use crate::engine::{shared, url_at, Engine};
use crate::front::{front, results};
use crate::harness::{event, Item, Server, Stream};
use crate::model::{events_of_node, events_of_store};
use crate::proxy::Proxy;
use crate::wait::wait_until;

fn batch(numbers: std::ops::Range<u32>) -> Value {
    numbers
        .map(|number| event("t", &number.to_string()))
        .collect()
}

#[test]
fn a_follower_at_any_front_gets_all_in_order_although_the_engine_is_cut_off() {
    let Some(engine) = shared() else {
        return;
    };
    engine.database("streams");
    let proxy = Proxy::start(engine.address());
    let reading = front(&url_at(&[proxy.address()], "streams"));
    let writing = front(&engine.url("streams"));
    writing.publish(&batch(0..2_000)).expect(200);
    // One replays, one begins now.
    let mut replay = Stream::lines(&reading, "?after=0");
    let mut live = Stream::events(&reading, "");
    writing.publish(&batch(2_000..2_100)).expect(200);
    assert_eq!(live.seqs(100), (2_001..=2_100).collect::<Vec<_>>());
    proxy.cut();
    writing.publish(&batch(2_100..2_200)).expect(200);
    assert_eq!(live.seqs(100), (2_101..=2_200).collect::<Vec<_>>());
    assert_eq!(replay.seqs(2_200), (1..=2_200).collect::<Vec<_>>());
    // A position of another history.
    let mut ahead = Stream::lines(&reading, "?after=9999");
    assert!(matches!(ahead.next(), Item::Reset(_)));
    writing.publish(&batch(2_200..2_201)).expect(200);
    assert_eq!(ahead.seqs(1), [2_201]);
    assert_eq!(live.seqs(1), [2_201]);
}

#[test]
fn the_same_keys_at_the_same_moment_are_stored_once() {
    let Some(engine) = shared() else {
        return;
    };
    let url = engine.database("moment");
    let fronts = [front(&url), front(&url)];
    let accepted: Vec<usize> = thread::scope(|scope| {
        let publishers = (0..8).map(|publisher: u32| {
            let server = &fronts[publisher as usize % 2];
            scope.spawn(move || {
                let mut accepted = 0;
                for round in 0..10 {
                    let mut numbers: Vec<u32> = (round * 20..(round + 1) * 20).collect();
                    if publisher.is_multiple_of(3) {
                        numbers.reverse();
                    }
                    let events = numbers
                        .iter()
                        .map(|number| event(["p", "q"][*number as usize % 2], &number.to_string()));
                    let outcomes = results(server, &events.collect::<Value>());
                    let is_new = |outcome: &&String| outcome.starts_with("accepted");
                    accepted += outcomes.iter().filter(is_new).count();
                }
                accepted
            })
        });
        let publishers: Vec<_> = publishers.collect();
        publishers
            .into_iter()
            .map(|publisher| publisher.join().unwrap())
            .collect()
    });
    assert_eq!(accepted.iter().sum::<usize>(), 200, "{accepted:?}");
    let stored = events_of_store(engine, "moment");
    assert_eq!(stored.len(), 200);
    // Pages through a front are the table.
    assert_eq!(events_of_node(&fronts[0]), stored);
    let sums =
        "SELECT sum(events), sum(stored), sum(duplicates), sum(conflicts) FROM logagg.batches";
    assert_eq!(engine.sql("moment", sums), "1600|200|1400|0");
}

#[test]
fn requests_of_one_connection_keep_their_order() {
    let Some(engine) = shared() else {
        return;
    };
    let front = front(&engine.database("ordered"));
    let mut client = front.client();
    for number in 0..40 {
        let body = json!([event("t", &number.to_string())]).to_string();
        let headers = ["Content-Type: application/json"];
        client.send_request("POST", "/publish?results=true", &headers, body.as_bytes());
    }
    for seq in 1..=40 {
        let answer = client.response().expect(200);
        assert_eq!(answer["results"][0]["seq"], seq);
    }
}

/// An engine whose commits wait for a standby that follows it.
fn with_standby() -> Option<(Engine, Engine)> {
    let primary = Engine::start()?;
    primary.database("fleet");
    let standby = primary.standby("second");
    let sql = "ALTER SYSTEM SET synchronous_standby_names = 'second'; SELECT pg_reload_conf()";
    primary.sql("postgres", sql);
    wait_until("the standby to be synchronous", || {
        primary.sql("postgres", "SELECT sync_state FROM pg_stat_replication") == "sync"
    });
    Some((primary, standby))
}

/// Publishes until it is answered with 200, as a client does.
fn publish_patiently(server: &Server, events: &Value) {
    wait_until("the events to be taken", || {
        let answer = server.publish(events);
        assert!([200, 503].contains(&answer.status), "{}", answer.text());
        answer.status == 200
    });
}

#[test]
fn what_was_answered_outlives_the_primary() {
    let Some((mut primary, standby)) = with_standby() else {
        return;
    };
    let front = front(&url_at(&[standby.address(), primary.address()], "fleet"));
    publish_patiently(&front, &batch(0..100));
    // A commit that waits and is cancelled is visible, and not confirmed.
    let sql = "ALTER SYSTEM SET synchronous_standby_names = 'nobody'; SELECT pg_reload_conf()";
    primary.sql("postgres", sql);
    let mut client = front.client();
    let body = batch(100..110).to_string();
    let headers = ["Content-Type: application/json"];
    client.send_request("POST", "/publish", &headers, body.as_bytes());
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND application_name = 'logagg'";
    wait_until("the commit to wait", || {
        primary.sql("postgres", waiting) != "0"
    });
    let cancel =
        "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    primary.sql("postgres", cancel);
    assert_eq!(client.response().status, 503);
    let sql = "ALTER SYSTEM SET synchronous_standby_names = 'second'; SELECT pg_reload_conf()";
    primary.sql("postgres", sql);
    publish_patiently(&front, &batch(100..110));
    primary.kill();
    standby.promote();
    publish_patiently(&front, &batch(110..120));
    let stored = events_of_store(&standby, "fleet");
    assert_eq!(stored.len(), 120);
    assert_eq!(events_of_node(&front), stored);
}
