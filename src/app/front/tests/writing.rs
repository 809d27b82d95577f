//! Publications whose engine is slow or fails.

use std::cell::Cell;

use super::{usual, Asked, Said, World};
use crate::app::front::EngineLinks;
use crate::limits::FRONT_WRITERS;

/// What the engine is at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    WaitsForKeys,
    FailsKeys,
    WaitsForCommit,
    /// It lets nobody in.
    Away,
    Works,
}

/// An engine in that mood.
fn world(mood: &Cell<Mood>) -> World<'_> {
    World::new(|asked: &Asked| {
        let is_keys = asked.sql.contains("INTO logagg.keys");
        match mood.get() {
            Mood::WaitsForKeys | Mood::Away if is_keys => Said::Waits,
            Mood::FailsKeys if is_keys => Said::Fails("40P01"),
            Mood::WaitsForCommit if asked.sql == "COMMIT" => Said::Waits,
            Mood::Away if asked.sql.contains("transaction_read_only") => Said::Waits,
            _ => usual(asked),
        }
    })
}

#[test]
fn a_request_that_has_waited_long_does_not_cost_a_younger_one_its_transaction() {
    let mood = Cell::new(Mood::Works);
    let mut world = world(&mood);
    world.publish(1, "0");
    assert_eq!(world.status(1), Some(200));
    mood.set(Mood::WaitsForKeys);
    world.publish(2, "1");
    world.pass(8_000);
    // It is tried again, beside another one.
    mood.set(Mood::FailsKeys);
    world.publish(3, "2");
    mood.set(Mood::WaitsForCommit);
    world.pass(3_000);
    assert_eq!((world.status(2), world.status(3)), (Some(503), None));
    mood.set(Mood::Works);
    world.pass(100);
    assert_eq!(world.status(3), Some(200));
}

#[test]
fn each_request_is_answered_within_its_time_in_whatever_order_connections_fail() {
    let mood = Cell::new(Mood::WaitsForKeys);
    let mut world = world(&mood);
    world.publish(1, "1");
    world.pass(6_000);
    world.publish(2, "2");
    world.pass(200);
    mood.set(Mood::Away);
    for link in 0..FRONT_WRITERS {
        world.front.lost(link, "cut", world.now);
    }
    world.pass(3_700);
    assert_eq!((world.status(1), world.status(2)), (None, None));
    world.pass(200);
    assert_eq!((world.status(1), world.status(2)), (Some(503), None));
    world.pass(6_000);
    assert_eq!(world.status(2), Some(503));
    mood.set(Mood::Works);
    world.pass(3_000);
    world.publish(3, "3");
    world.pass(1_000);
    assert_eq!(world.status(3), Some(200));
}
