//! Summaries are made between publications and keep nobody waiting: the slice that a publication meets is a part of the
//! time since the last one, and in silence a slice is a whole one.

use std::time::Duration;

use logagg::limits::{SUMMARY_BLOCK_EVENTS, SUMMARY_SLICE_NS, SUMMARY_TURN_SHARE};
use logagg::store::Store;
use rusqlite::Connection;

use super::{Desk, Folder};

/// Events without summaries.
const EVENTS: u64 = 3 * SUMMARY_BLOCK_EVENTS;

/// A server that has to make summaries of all its events.
fn desk(folder: &Folder) -> Desk {
    let options = folder.options();
    let store = Store::open(&options).expect("a new database");
    store.close().expect("nothing is in the way of closing");
    let db = Connection::open(&options.path).unwrap();
    let at = 1_767_323_045_000_000_u64;
    db.execute_batch(&format!(
        "BEGIN;
        INSERT INTO topics(id, name, events, last_seq, last_processed_at)
            VALUES (1, 't', {EVENTS}, {EVENTS}, {at});
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {EVENTS})
            INSERT INTO events SELECT i, 1, 'e' || i, '2026-01-02', 's', '{{}}', {at} FROM n;
        UPDATE counters SET last_seq = {EVENTS}, unique_processed = {EVENTS}, topics_mark = {EVENTS},
            checksum = NULL, mark_checksum = NULL;
        COMMIT"
    ))
    .unwrap();
    drop(db);
    Desk::new(Store::open(&options).expect("a database that is right"))
}

impl Desk {
    fn through(&mut self) -> u64 {
        let (stats, _) = self.ask("/stats");
        stats["search_index_through"].as_u64().unwrap()
    }

    /// A publication, and the end of its turn.
    fn publish_one(&mut self, number: u64) {
        self.publish("t", &format!("new-{number}"));
        self.app.idle_work(self.now);
    }

    /// Quiet turns until all summaries are made, each so long after the last commit. A publication is before each, if
    /// `publishes`.
    fn turns(&mut self, quiet_ms: u64, publishes: bool) -> u64 {
        for turns in 0..20_000 {
            if turns % 16 == 0 && self.through() == EVENTS {
                return turns;
            }
            if publishes {
                self.publish_one(turns);
            }
            self.now.mono_ms += quiet_ms;
            self.turn(|desk, _| Some(desk.app.idle_work(desk.now)));
            self.check("a slice of summaries");
        }
        panic!("summaries are made up to {} only", self.through());
    }

    /// Turns each of which commits an event and takes so many microseconds after a wait of so many, until the full
    /// slots have summaries. Returns how many that were, up to `most`.
    fn busy_turns(&mut self, (took_us, waited_us): (u64, u64), most: u64) -> u64 {
        let (took, waited) = (
            Duration::from_micros(took_us),
            Duration::from_micros(waited_us),
        );
        for turns in 0..most {
            if turns % 64 == 0 && self.through() + SUMMARY_BLOCK_EVENTS > EVENTS + turns {
                return turns;
            }
            self.publish("t", &format!("busy-{turns}"));
            self.app.turn_took(took, waited);
            self.turn(|desk, _| Some(desk.app.idle_work(desk.now)));
            self.check("a slice of summaries beside a commit");
        }
        most
    }
}

#[test]
fn a_publisher_that_sends_again_at_once_meets_no_slice() {
    let folder = Folder::new("turns-at-once");
    let mut desk = desk(&folder);
    for number in 0..500 {
        desk.publish_one(number);
        // Other work than summaries comes to an end.
        let mut turns = 0;
        while desk.app.idle_work(desk.now) {
            turns += 1;
            assert!(turns < 100, "something is always to be done");
        }
        desk.app.tick(desk.now);
        // It is neither forgotten nor asked for without a pause.
        assert_eq!(desk.app.deadline(desk.now), Some(desk.now.mono_ms + 1));
    }
    assert_eq!(desk.through(), 0);
}

#[test]
fn slices_are_as_short_as_publications_are_close_to_each_other() {
    let mut needed = Vec::new();
    for (name, quiet_ms, publishes) in [
        ("turns-trickle", 2, true),
        ("turns-slow-trickle", 10, true),
        ("turns-silence", 1_000, false),
    ] {
        let folder = Folder::new(name);
        needed.push(desk(&folder).turns(quiet_ms, publishes));
    }
    let [trickle, slow, silence] = needed[..] else {
        panic!("three were measured");
    };
    // A slice takes an event more than its time, and what is written in one go is a part of it all.
    let slice_ns = 2_000_000 / SUMMARY_TURN_SHARE;
    assert!(SUMMARY_SLICE_NS >= 10 * slice_ns);
    assert!(trickle >= 3 * slow && slow >= silence, "{needed:?}");
    assert!(silence <= 64, "{needed:?}");
}

#[test]
fn what_is_behind_is_caught_up_with_while_every_turn_commits() {
    const MOST: u64 = 12_000;
    let mut needed = Vec::new();
    // A summary takes most of a microsecond an event.
    for (name, turn_us) in [
        ("turns-full", (4, 0)),
        ("turns-half", (24, 0)),
        ("turns-waits", (4, 24)),
    ] {
        let folder = Folder::new(name);
        needed.push(desk(&folder).busy_turns(turn_us, MOST));
    }
    let [full, half, waits] = needed[..] else {
        panic!("three were measured");
    };
    assert_eq!(
        full, MOST,
        "publishers pay no more than before for what does not keep pace"
    );
    assert!(waits < half && half < MOST, "{needed:?}");
}
