//! A flipped bit in what SQLite itself keeps on a page of the key index: the start names the command that makes the
//! index again, and that loses nothing but what was on a page that cannot be read and nowhere else.

use std::fs;
use std::time::Instant;

use logagg::limits::MEMTABLE_ENTRIES;
use logagg::store::{Dedup, Outcome, Store};

use crate::conversions::kill_conversion;
use crate::databases::{options, publication, Database, SMALL, TINY};
use crate::retention::of_removed_events;

const PAGE: usize = 4_096;

/// The root of a table, and the leaf that its first child leads to.
fn root_and_leaf(database: &Database, table: &str) -> (usize, usize) {
    let root = format!("SELECT rootpage FROM sqlite_schema WHERE name = '{table}'");
    let root = database.number(&root) as usize;
    let file = fs::read(&database.path).unwrap();
    let mut page = root;
    loop {
        let content = &file[(page - 1) * PAGE..page * PAGE];
        // An interior page of a table (SQLite file format §1.6).
        if content[0] != 5 {
            return (root, page);
        }
        let cell = usize::from(u16::from_be_bytes([content[12], content[13]]));
        page = u32::from_be_bytes(content[cell..cell + 4].try_into().unwrap()) as usize;
    }
}

/// Flips a bit in the kind of a page of SQLite's.
fn flip(database: &Database, page: usize) {
    let mut file = fs::read(&database.path).unwrap();
    file[(page - 1) * PAGE] ^= 2;
    fs::write(&database.path, file).unwrap();
}

/// The start names the command, and that makes a database that is right.
fn is_made_again(database: &Database) {
    let error = Store::open(&options(&database.path, None)).err().unwrap();
    let error = error.to_string();
    let command = "logagg convert --dedup index DATABASE";
    assert!(
        error.contains("the key index is damaged") && error.contains(command),
        "{error}"
    );
    database.has_problems(&[""]);
    let said = database.convert("index");
    assert_eq!(said.code, 0, "{}", said.error);
    assert_eq!(
        said.output,
        "the key index has been rebuilt from the events\n"
    );
    database.is_clean();
    let said = database.convert("index");
    assert_eq!(
        said.output,
        "the database has the duplicate check index already\n"
    );
}

fn outcomes(database: &Database, numbers: &[u64]) -> Vec<Outcome> {
    let mut store = Store::open(&options(&database.path, None)).unwrap();
    let mut outcomes = Vec::new();
    let publication = publication(numbers.iter().copied());
    store
        .commit([publication].iter(), 1, &mut outcomes)
        .unwrap();
    store.close().unwrap();
    database.is_clean();
    outcomes
}

#[test]
fn an_index_that_sqlite_cannot_read_is_made_again() {
    // One segment and some after it: a start reads a database of this size whole.
    const EVENTS: u64 = MEMTABLE_ENTRIES as u64 + 1_700;
    let original = Database::filled(Dedup::Index, EVENTS);
    for (table, is_leaf) in [
        ("segments", true),
        ("segment_pages_0", false),
        ("segment_pages_0", true),
    ] {
        let database = Database::new();
        fs::copy(&original.path, &database.path).unwrap();
        let content = database.content();
        let (root, leaf) = root_and_leaf(&database, table);
        flip(&database, if is_leaf { leaf } else { root });
        is_made_again(&database);
        assert_eq!(database.content(), content);
        let outcomes = outcomes(&database, &[0, 50_000, EVENTS - 1, EVENTS]);
        let known = |n| Outcome::Duplicate(n + 1);
        assert_eq!(outcomes[..3], [known(0), known(50_000), known(EVENTS - 1)]);
        assert!(matches!(outcomes[3], Outcome::Accepted(_)), "{outcomes:?}");
    }
}

/// Only the keys on the page that cannot be read are lost.
#[test]
fn the_keys_of_removed_events_are_kept_as_far_as_they_can_be_read() {
    let removed = MEMTABLE_ENTRIES as u64 + 100;
    let database = of_removed_events(SMALL, removed);
    let (_, leaf) = root_and_leaf(&database, "segment_pages_0");
    flip(&database, leaf);
    is_made_again(&database);
    let numbers: Vec<u64> = (0..removed).collect();
    let outcomes = outcomes(&database, &numbers);
    let known = outcomes.iter().zip(&numbers);
    let known = known.filter(|(outcome, n)| **outcome == Outcome::Duplicate(**n + 1));
    let lost = removed - known.count() as u64;
    assert!((1..=126).contains(&lost), "{lost} keys are lost");
}

/// Events exist nowhere else.
#[test]
fn a_damaged_table_of_events_is_not_made_again() {
    let database = Database::small(Dedup::Index);
    let (_, leaf) = root_and_leaf(&database, "events");
    flip(&database, leaf);
    let (root, _) = root_and_leaf(&database, "segments");
    flip(&database, root);
    let error = Store::open(&options(&database.path, None)).err().unwrap();
    assert!(!error.to_string().contains("convert"), "{error}");
    let said = database.convert("index");
    assert_eq!(said.code, 1);
    assert!(
        said.error.contains("the table events is damaged"),
        "{}",
        said.error
    );
    let tables = "SELECT count(*) FROM sqlite_schema WHERE name GLOB 'segment*'";
    assert_eq!(database.number(tables), 8);
}

/// The pages of an index of SQLite's, from its root to its first leaf.
fn pages_of_index(database: &Database, name: &str) -> Vec<usize> {
    let root = format!("SELECT rootpage FROM sqlite_schema WHERE name = '{name}'");
    let mut pages = vec![database.number(&root) as usize];
    let file = fs::read(&database.path).unwrap();
    loop {
        let page = pages[pages.len() - 1];
        let content = &file[(page - 1) * PAGE..page * PAGE];
        // An interior page of an index (SQLite file format §1.6).
        if content[0] != 2 {
            assert_eq!(content[0], 10);
            return pages;
        }
        let cell = usize::from(u16::from_be_bytes([content[12], content[13]]));
        let child = content[cell..cell + 4].try_into().unwrap();
        pages.push(u32::from_be_bytes(child) as usize);
    }
}

/// Flips a bit in the kind of the first leaf of an index of SQLite's: SQLite cannot read the page.
fn break_index(database: &Database, name: &str) {
    flip(database, *pages_of_index(database, name).last().unwrap());
}

const CHECKS: [(Dedup, &str); 3] = [
    (Dedup::Index, "sqlite_autoindex_topics_1"),
    (Dedup::Constraint, "events_key"),
    (Dedup::Constraint, "events_by_topic"),
];

/// SQLite says only on which page it begins.
#[test]
fn the_check_names_an_index_that_sqlite_cannot_read() {
    for (dedup, name) in CHECKS {
        let database = Database::tiny(dedup);
        break_index(&database, name);
        let said = database.check(&[]);
        assert_eq!(said.code, 1);
        let named = format!("problem: sqlite: index {name} of the table ");
        assert!(said.output.contains(&named), "{}", said.output);
    }
}

/// The command makes the indexes of SQLite's again, and nothing else changes.
fn are_remade(database: &Database, dedup: Dedup, content: u64) {
    assert_eq!(database.check(&[]).code, 1);
    let said = database.convert(dedup.name());
    assert_eq!(said.code, 0, "{}", said.error);
    let sentence = "SQLite's indexes have been rebuilt from their tables\n";
    assert_eq!(said.output, sentence);
    database.is_clean();
    assert_eq!(database.content(), content);
    let said = database.convert(dedup.name());
    assert!(said.output.contains("already"), "{}", said.output);
    let numbers = [0, 77, TINY - 1, 1_000_000];
    let outcomes = outcomes(database, &numbers);
    let known = [0, 77, TINY - 1].map(|n| Outcome::Duplicate(n + 1));
    assert_eq!(outcomes[..3], known);
    assert!(matches!(outcomes[3], Outcome::Accepted(_)), "{outcomes:?}");
}

#[test]
fn indexes_of_sqlites_that_cannot_be_read_are_made_again() {
    let others = [
        (Dedup::Constraint, "sqlite_autoindex_topics_1"),
        (Dedup::Constraint, "added"),
    ];
    for (dedup, name) in CHECKS.into_iter().chain(others) {
        for at in 0..2 {
            let database = Database::tiny(dedup);
            if name == "added" {
                database.damage("CREATE INDEX added ON events(source)");
            }
            let content = database.content();
            let pages = pages_of_index(&database, name);
            if let Some(page) = pages.get(at) {
                flip(&database, *page);
                are_remade(&database, dedup, content);
            }
        }
    }
    // A page between the root and the leaves.
    let database = Database::small(Dedup::Constraint);
    let content = database.content();
    let pages = pages_of_index(&database, "events_key");
    assert_eq!(pages.len(), 3);
    flip(&database, pages[1]);
    are_remade(&database, Dedup::Constraint, content);
}

/// SQLite can read the page, but not all keys are there.
#[test]
fn an_index_that_does_not_hold_what_its_table_holds_is_made_again() {
    let database = Database::tiny(Dedup::Constraint);
    let content = database.content();
    let pages = pages_of_index(&database, "events_key");
    let mut file = fs::read(&database.path).unwrap();
    let page = pages[1] * PAGE;
    // Cells lie at the end of a page: the last byte of one is of its row's number.
    file[page - 1] ^= 1;
    fs::write(&database.path, file).unwrap();
    are_remade(&database, Dedup::Constraint, content);
}

#[test]
fn indexes_of_a_damaged_table_are_not_made_again() {
    let database = Database::tiny(Dedup::Constraint);
    let (_, leaf) = root_and_leaf(&database, "events");
    flip(&database, leaf);
    break_index(&database, "events_key");
    let before = fs::read(&database.path).unwrap();
    let said = database.convert("constraint");
    assert_eq!(said.code, 1);
    let sentence = "the table events is damaged, and cannot be made again; restore a backup";
    assert!(said.error.contains(sentence), "{}", said.error);
    assert_eq!(fs::read(&database.path).unwrap(), before);
}

#[test]
fn the_key_index_and_an_index_of_sqlites_are_made_again_at_once() {
    let database = Database::small(Dedup::Index);
    let content = database.content();
    break_index(&database, "sqlite_autoindex_topics_1");
    let (root, _) = root_and_leaf(&database, "segments");
    flip(&database, root);
    let said = database.convert("index");
    assert_eq!(said.code, 0, "{}", said.error);
    database.is_clean();
    assert_eq!(database.content(), content);
}

/// Wherever it is ended, the same command goes on.
#[test]
fn making_sqlites_indexes_again_may_be_killed_at_any_moment() {
    let original = Database::small(Dedup::Constraint);
    let content = original.content();
    break_index(&original, "events_key");
    break_index(&original, "sqlite_autoindex_topics_1");
    let timed = copy_of(&original);
    let begun = Instant::now();
    let said = timed.convert("constraint");
    assert_eq!(said.code, 0, "{}", said.error);
    let whole = begun.elapsed();
    for part in 1..6 {
        let database = copy_of(&original);
        for moment in [whole * part / 6, whole * (6 - part) / 6] {
            kill_conversion(&database, "constraint", moment);
        }
        let said = database.convert("constraint");
        assert_eq!(said.code, 0, "{}", said.error);
        assert_eq!(database.content(), content, "part {part}");
        database.is_clean();
    }
}

/// Wherever it is ended, nothing is lost: the start names the command, or knows each event, and the command goes on.
#[test]
fn making_the_index_again_may_be_killed_at_any_moment() {
    let original = Database::small(Dedup::Index);
    let content = original.content();
    let (root, _) = root_and_leaf(&original, "segments");
    flip(&original, root);
    let copy = || {
        let copy = Database::new();
        fs::copy(&original.path, &copy.path).unwrap();
        copy
    };
    let timed = copy();
    let begun = Instant::now();
    assert_eq!(timed.convert("index").code, 0);
    let whole = begun.elapsed();
    let numbers = [0, 77, 50_000, SMALL - 1];
    let known = numbers.map(|n| Outcome::Duplicate(n + 1));
    for part in 1..6 {
        let database = copy();
        // Ended twice, at two places.
        for moment in [whole * part / 6, whole * (6 - part) / 6] {
            kill_conversion(&database, "index", moment);
        }
        let opened = copy_of(&database);
        match Store::open(&options(&opened.path, None)) {
            Ok(store) => {
                store.close().unwrap();
                assert_eq!(outcomes(&opened, &numbers), known, "part {part}");
            }
            Err(error) => {
                let command = "logagg convert --dedup index DATABASE";
                assert!(error.to_string().contains(command), "{error}");
            }
        }
        let said = database.convert("index");
        assert_eq!(said.code, 0, "{}", said.error);
        assert_eq!(database.content(), content);
        database.is_clean();
        assert_eq!(outcomes(&database, &numbers), known, "part {part}");
    }
}

/// A copy of a database that nobody has open, with its log.
fn copy_of(database: &Database) -> Database {
    let copy = Database::new();
    for end in ["", "-wal"] {
        let path = |database: &Database| {
            let mut path = database.path.clone().into_os_string();
            path.push(end);
            path
        };
        if fs::exists(path(database)).unwrap() {
            fs::copy(path(database), path(&copy)).unwrap();
        }
    }
    copy
}
