//! What is stored, read by a connection of its own, and whether it may be: every row belongs to a request
//! that the server has received and not answered yet; a request is there whole or not at all.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rusqlite::{Connection, OpenFlags};

use logagg::store::{check, CheckOptions};

use crate::request::{Event, Publish, Wanted};
use crate::world::World;

type Key = (String, String);

/// A connection and the index of a request on it.
pub type Name = (usize, usize);

/// An event that a request has offered, at this place in it.
struct Offer {
    by: Name,
    place: usize,
    event: Rc<Event>,
}

/// A stored event.
pub struct Row {
    pub seq: u64,
    pub event: Rc<Event>,
    pub processed_at: i64,
    /// In which turn it was seen for the first time.
    pub turn: u64,
    /// Who stored it, where only one can have.
    pub by: Option<Name>,
    /// An answer has said that it stored this.
    pub is_claimed: bool,
}

/// The row of the table `counters`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub last_seq: u64,
    pub unique: u64,
    pub duplicates: u64,
    pub conflicts: u64,
}

/// A row as it stands in the table.
type Stored = (u64, [String; 5], i64);

pub struct Database {
    path: PathBuf,
    observer: Option<Connection>,
    /// SQLite's count of other connections' changes, as it was at the last look.
    version: Option<i64>,
    /// What the table of events is called at the moment.
    pub table: &'static str,
    /// The observer must not stay: the server may want to open the database anew.
    pub is_shy: bool,
    pub rows: Vec<Row>,
    by_key: HashMap<Key, usize>,
    offers: HashMap<Key, Vec<Offer>>,
    pub counters: Counters,
    /// Events in all publications that were answered 200.
    pub answered: u64,
}

impl Database {
    pub fn new(path: &Path) -> Database {
        Database {
            path: path.to_owned(),
            observer: None,
            version: None,
            table: "events",
            is_shy: false,
            rows: Vec::new(),
            by_key: HashMap::new(),
            offers: HashMap::new(),
            counters: Counters::default(),
            answered: 0,
        }
    }

    /// From now on this file is looked at.
    pub fn look_at(&mut self, path: &Path) {
        self.look_away();
        self.path = path.to_owned();
    }

    /// Closes the observer.
    pub fn look_away(&mut self) {
        self.observer = None;
        self.version = None;
    }

    pub fn newest_seq(&self) -> u64 {
        self.rows.last().map_or(0, |row| row.seq)
    }

    pub fn find(&self, event: &Event) -> Option<&Row> {
        self.find_key(&event.key())
    }

    pub fn find_key(&self, key: &Key) -> Option<&Row> {
        self.by_key.get(key).map(|at| &self.rows[*at])
    }

    pub fn claim(&mut self, event: &Event) {
        let row = &mut self.rows[self.by_key[&event.key()]];
        assert!(!row.is_claimed, "seq {} is told as accepted twice", row.seq);
        row.is_claimed = true;
    }

    /// A request with these events is on its way.
    pub fn offer(&mut self, link: usize, index: usize, publish: &Publish) {
        for (place, event) in publish.events().enumerate() {
            self.offers.entry(event.key()).or_default().push(Offer {
                by: (link, index),
                place,
                event: event.clone(),
            });
        }
    }

    /// What has been stored after `seq`, and the counters; none if nothing has changed.
    fn changes(&mut self, seq: u64) -> rusqlite::Result<Option<(Vec<Stored>, Counters)>> {
        if self.observer.is_none() {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            self.observer = Some(Connection::open_with_flags(&self.path, flags)?);
        }
        let db = self.observer.as_ref().expect("it was just opened");
        let version = data_version(db)?;
        if self.version == Some(version) {
            return Ok(None);
        }
        self.version = Some(version);
        let moment = db.unchecked_transaction()?;
        let found = (stored(&moment, self.table, seq)?, counters(&moment)?);
        moment.finish()?;
        if self.is_shy {
            self.look_away();
        }
        Ok(Some(found))
    }

    /// Compares every row with what it was when it was stored.
    pub fn check_rows(&mut self) {
        self.look_away();
        let (all, counters) = self
            .changes(0)
            .expect("the database can be read")
            .expect("a new observer sees a change");
        self.look_away();
        assert_eq!(all.len(), self.rows.len(), "rows");
        for ((seq, texts, processed_at), row) in all.iter().zip(&self.rows) {
            assert_eq!((*seq, *processed_at), (row.seq, row.processed_at));
            assert_eq!(*texts, texts_of(&row.event));
        }
        assert_eq!(counters, self.counters);
    }

    /// Lets `logagg check` look as well.
    pub fn check_all(&mut self) {
        self.check_rows();
        let path = self.path.clone();
        let report = check(&CheckOptions { path, quick: true }, &mut |_| {});
        let report = report.expect("the database can be checked");
        assert!(report.problems.is_empty(), "{:?}", report.problems);
        assert_eq!(report.events, self.rows.len() as u64);
    }
}

fn texts_of(event: &Event) -> [String; 5] {
    let texts = [
        &event.topic,
        &event.event_id,
        event.timestamp,
        &event.source,
        &event.payload,
    ];
    texts.map(str::to_owned)
}

fn stored(db: &Connection, table: &str, seq: u64) -> rusqlite::Result<Vec<Stored>> {
    let sql = format!(
        "SELECT seq, (SELECT name FROM topics WHERE id = topic_id), event_id, timestamp, source, payload, \
         processed_at FROM {table} WHERE seq > ?1 ORDER BY seq"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query_map([seq as i64], |row| {
        let mut texts = [const { String::new() }; 5];
        for (at, text) in texts.iter_mut().enumerate() {
            *text = row.get(at + 1)?;
        }
        Ok((row.get::<_, i64>(0)? as u64, texts, row.get(6)?))
    })?;
    rows.collect()
}

fn data_version(db: &Connection) -> rusqlite::Result<i64> {
    let mut statement = db.prepare_cached("PRAGMA data_version")?;
    statement.query_row([], |row| row.get(0))
}

fn counters(db: &Connection) -> rusqlite::Result<Counters> {
    let sql = "SELECT last_seq, unique_processed, duplicate_dropped, conflicts FROM counters";
    db.prepare_cached(sql)?.query_row([], |row| {
        let number = |column| row.get::<_, i64>(column).map(|n| n as u64);
        Ok(Counters {
            last_seq: number(0)?,
            unique: number(1)?,
            duplicates: number(2)?,
            conflicts: number(3)?,
        })
    })
}

impl World {
    /// Looks at what has been committed since the last look.
    pub fn observe(&mut self) {
        let newest = self.database.newest_seq();
        let changes = self.database.changes(newest);
        let Some((stored, counters)) = changes.expect("the database can be read") else {
            return;
        };
        let first = self.database.rows.len();
        let mut last = newest;
        for (seq, texts, processed_at) in stored {
            assert!(seq > last, "seq {seq} behind {last}");
            // The wall clock may have gone back a little meanwhile.
            let is_past = processed_at <= self.now.unix_us + 1_000;
            assert!(is_past, "seq {seq} is stored in the future");
            last = seq;
            self.add_row(seq, texts, processed_at);
        }
        let requests = self.check_order(first);
        if requests > 1 {
            self.trace.mark("several publications in one commit");
        }
        for at in first..self.database.rows.len() {
            if let Some((link, index)) = self.database.rows[at].by {
                self.check_whole(link, index);
            }
        }
        let before = self.database.counters;
        assert_eq!(
            counters.unique,
            self.database.rows.len() as u64,
            "unique_processed"
        );
        assert_eq!(counters.last_seq, last, "last_seq");
        assert!(counters.duplicates >= before.duplicates && counters.conflicts >= before.conflicts);
        assert!(counters.conflicts <= counters.duplicates, "{counters:?}");
        if counters.unique == before.unique && counters.duplicates > before.duplicates {
            self.trace.mark("a batch of duplicates");
        }
        self.trace.note("rows are stored", 0, last);
        self.database.counters = counters;
    }

    fn add_row(&mut self, seq: u64, texts: [String; 5], processed_at: i64) {
        let key = (texts[0].clone(), texts[1].clone());
        let offers = self
            .database
            .offers
            .get(&key)
            .map_or(&[][..], Vec::as_slice);
        // Of a key that a request has several times, the first is stored.
        let mut seen = HashSet::new();
        let able = offers.iter().filter(|offer| {
            let asked = &self.links[offer.by.0].asked[offer.by.1];
            let is_first = seen.insert(offer.by);
            is_first
                && asked.complete_in.is_some()
                && asked.status.is_none()
                && texts_of(&offer.event) == texts
        });
        let able: Vec<&Offer> = able.collect();
        let Some(offer) = able.first() else {
            panic!("seq {seq} was sent by nobody, or refused, or answered before: {texts:?}");
        };
        let row = Row {
            seq,
            event: offer.event.clone(),
            processed_at,
            turn: self.turn,
            by: (able.len() == 1).then_some(offer.by),
            is_claimed: false,
        };
        if let Some((link, index)) = row.by {
            let place = offer.place;
            let asked = &mut self.links[link].asked[index];
            assert!(
                asked.stored.is_none_or(|before| before < place),
                "events of one request change their order"
            );
            asked.stored = Some(place);
        }
        let at = self.database.rows.len();
        self.database.rows.push(row);
        let twice = self.database.by_key.insert(key, at);
        assert!(
            twice.is_none(),
            "seq {seq} has a key that was stored before"
        );
    }

    /// Requests are stored one after the other, those of one connection in their order. Says how many of
    /// the rows from `first` on can be told apart.
    fn check_order(&self, first: usize) -> usize {
        let rows = &self.database.rows[first..];
        let mut done = HashSet::new();
        let mut newest = HashMap::new();
        let mut current = None;
        for row in rows {
            let offers = &self.database.offers[&row.event.key()];
            let may_go_on = current.is_some_and(|name| offers.iter().any(|offer| offer.by == name));
            if row.by == current || (row.by.is_none() && may_go_on) {
                continue;
            }
            done.extend(current);
            current = row.by;
            let Some((link, index)) = row.by else {
                continue;
            };
            assert!(!done.contains(&(link, index)), "a request was torn apart");
            let before = newest.insert(link, index);
            assert!(
                before.is_none_or(|before| before < index),
                "{link}'s requests changed places"
            );
        }
        newest.len()
    }

    /// Every event of a request is stored, if not by it then by another.
    fn check_whole(&self, link: usize, index: usize) {
        let Wanted::Publish(publish) = &self.links[link].asked[index].wanted else {
            panic!("{link}'s request {index} is refused, and stored");
        };
        for event in publish.events() {
            assert!(
                self.database.find(event).is_some(),
                "{link}'s request {index} is stored without {:?}",
                event.key()
            );
        }
    }

    /// The counters have room for what was answered, and for nothing that was not sent.
    pub fn check_counts(&self) {
        let counters = self.database.counters;
        let counted = counters.unique + counters.duplicates;
        let mut unknown = 0;
        for asked in self.links.iter().flat_map(|link| &link.asked) {
            if let (Wanted::Publish(publish), None, Some(_)) =
                (&asked.wanted, asked.status, asked.complete_in)
            {
                unknown += publish.events().count() as u64;
            }
        }
        let answered = self.database.answered;
        assert!(
            (answered..=answered + unknown).contains(&counted),
            "{counters:?}, but {answered} events were answered and {unknown} may have been stored"
        );
    }

    /// A publication is being answered 200: all of it must be committed.
    pub fn check_promise(&mut self, link: usize, index: usize) {
        self.observe();
        self.check_whole(link, index);
        let Wanted::Publish(publish) = &self.links[link].asked[index].wanted else {
            unreachable!("it was just looked at");
        };
        let received = self.database.answered + publish.events().count() as u64;
        let counters = self.database.counters;
        assert!(
            received <= counters.unique + counters.duplicates,
            "{received} events were answered, and counted are {counters:?}"
        );
    }
}
