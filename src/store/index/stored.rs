//! Comparisons with the stored events that a fingerprint leads to: the rows are the truth.

use rusqlite::{Connection, OptionalExtension};

use super::fingerprint::EventParts;
use crate::event::Filled;
use crate::store::error::no_event;
use crate::store::retention::horizons::Horizons;
use crate::store::topics::topic::TopicId;

/// Two events with one fingerprint, by their seqs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Collision {
    pub first: u64,
    pub second: u64,
}

/// How a stored event relates to a new one.
pub(crate) enum Compared {
    OtherKey,
    Same,
    Differs,
}

/// Compares the event that is stored as `seq` with one that came, but for what was `filled` in there.
pub(crate) fn compare(
    db: &Connection,
    seq: u64,
    event: &EventParts,
    filled: Filled,
) -> rusqlite::Result<Compared> {
    let mut statement = db.prepare_cached(
        "SELECT topic_id, event_id, timestamp, source, payload FROM events WHERE seq = ?1",
    )?;
    let mut rows = statement.query([seq as i64])?;
    let row = rows.next()?.ok_or_else(|| no_event(seq))?;
    let text = |column| {
        row.get_ref(column)
            .map(|value| value.as_bytes().unwrap_or_default())
    };
    if row.get::<_, TopicId>(0)? != event.topic || text(1)? != event.event_id {
        return Ok(Compared::OtherKey);
    }
    let same = event.has_content(filled, text(2)?, text(3)?, text(4)?);
    Ok(if same {
        Compared::Same
    } else {
        Compared::Differs
    })
}

/// Whether the event that is stored as `seq` has this key.
pub(crate) fn has_key(
    db: &Connection,
    seq: u64,
    topic: TopicId,
    event_id: &[u8],
) -> rusqlite::Result<bool> {
    let mut statement =
        db.prepare_cached("SELECT topic_id, event_id FROM events WHERE seq = ?1")?;
    let found = statement.query_row([seq as i64], |row| {
        Ok(row.get::<_, TopicId>(0)? == topic && row.get_ref(1)?.as_bytes()? == event_id)
    });
    found.optional()?.ok_or_else(|| no_event(seq))
}

/// Whether two events have one key, which must never be unless the key of the first has expired. If one of them has
/// been removed, the shared fingerprint decides.
pub(crate) fn have_one_key(
    db: &Connection,
    collision: Collision,
    horizons: Horizons,
) -> rusqlite::Result<bool> {
    let first = collision.first.min(collision.second);
    if first <= horizons.keys {
        return Ok(false);
    }
    if first <= horizons.events {
        return Ok(true);
    }
    let mut statement = db.prepare_cached(
        "SELECT 1 FROM events a JOIN events b ON a.topic_id = b.topic_id AND a.event_id = b.event_id \
         WHERE a.seq = ?1 AND b.seq = ?2",
    )?;
    statement.exists((collision.first as i64, collision.second as i64))
}

/// Two equal fingerprints have met in a merge. With 128 bits that means that one key is stored twice; the rows decide.
pub(crate) fn report_collision(
    db: &Connection,
    collision: Collision,
    horizons: Horizons,
) -> rusqlite::Result<()> {
    if have_one_key(db, collision, horizons)? {
        let Collision { first, second } = collision;
        log::error!(
            "the database is damaged: the events with seq {first} and {second} have one key"
        );
    }
    Ok(())
}
