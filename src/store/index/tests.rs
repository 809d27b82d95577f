//! Builds, merges and segments against lists that are searched from end to end.

use rusqlite::Connection;

use super::build::SegmentBuilder;
use super::filter::Filter;
use super::fingerprint::{EventParts, Fingerprinter};
use super::layout::Description;
use super::merge::Source;
use super::record::{Fingerprint, KeyRecord, Posting, Record};
use super::segment::Segment;
use super::stored::Collision;
use super::{Damage, KeyIndex};
use crate::limits::{FILTER_BITS_PER_KEY, SEGMENT_PAGE_BYTES};
use crate::store::options::Dedup;
use crate::store::range::{Bound, TopicRange};
use crate::store::retention::horizons::Horizons;
use crate::store::schema::create_tables;

const TOPICS: u64 = 5;

fn database() -> Connection {
    let db = Connection::open_in_memory().unwrap();
    create_tables(&db, Dedup::Index).unwrap();
    db
}

fn mix(n: u64) -> u64 {
    let n = (n ^ n >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let n = (n ^ n >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    n ^ n >> 31
}

/// Most fingerprints differ; those of every third seq are one of four, whose keys fill several pages.
fn key(seq: u64) -> KeyRecord {
    let fingerprint = if seq.is_multiple_of(3) {
        u128::from(mix(1 + mix(seq) % 4)) << 64 | u128::from(mix(seq) % 2)
    } else {
        u128::from(mix(seq)) << 64 | u128::from(mix(!seq))
    };
    KeyRecord {
        fingerprint,
        seq,
        event_hash: !seq,
    }
}

fn posting(seq: u64) -> Posting {
    Posting {
        topic: 1 + (mix(seq) % TOPICS) as u32,
        seq,
    }
}

fn sorted<R: Record>(seqs: std::ops::Range<u64>, record: impl Fn(u64) -> R) -> Vec<R> {
    let mut records: Vec<R> = seqs.map(record).collect();
    records.sort_unstable();
    records
}

fn about(level: usize, seqs: &std::ops::Range<u64>, first_page: i64) -> Description {
    Description {
        level,
        first_seq: seqs.start,
        last_seq: seqs.end - 1,
        entries: seqs.end - seqs.start,
        first_page,
        filter_bits: FILTER_BITS_PER_KEY[level],
        has_checksums: true,
    }
}

/// Takes a build to its end, a little at a time.
fn run(db: &Connection, mut build: SegmentBuilder, budget: usize) -> (Segment, Vec<Collision>) {
    let mut collisions = Vec::new();
    while !build.is_complete() {
        build
            .step(db, budget, &mut |collision| {
                collisions.push(collision);
                Ok(())
            })
            .unwrap();
    }
    (build.into_segment(0), collisions)
}

fn filter_of(segment: &Segment) -> Option<&[u8]> {
    segment.filter.as_ref().map(Filter::as_bytes)
}

fn segment_of(db: &Connection, seqs: std::ops::Range<u64>, first_page: i64) -> Segment {
    let build = SegmentBuilder::new(
        about(0, &seqs, first_page),
        vec![Source::memory(sorted(seqs.clone(), key))],
        vec![Source::memory(sorted(seqs, posting))],
        true,
        &Damage::silent(),
    );
    run(db, build, 100).0
}

/// An index with one segment of `events` events, which are stored too.
fn index_of(events: u64, damage: Damage) -> (Connection, KeyIndex) {
    let db = database();
    let fingerprinter = Fingerprinter::new([3; 16], 128);
    let mut index = KeyIndex::load(&db, fingerprinter, usize::MAX, Horizons::default()).unwrap();
    index.damage = damage;
    index.set_memtable_slots(events.next_power_of_two() as usize * 2);
    for seq in 1..=events {
        let event_id = seq.to_string();
        let sql = "INSERT INTO events VALUES (?1, 1, ?2, '', '', '', 0)";
        db.execute(sql, (seq as i64, &event_id)).unwrap();
        let parts = EventParts {
            topic: 1,
            event_id: event_id.as_bytes(),
            timestamp: b"",
            source: b"",
            payload: b"",
        };
        index.add(fingerprinter.record(&parts, seq), 1);
    }
    index.committed();
    index.set_memtable_slots(64);
    while index.has_work() {
        index.compact(&db, 1_000).unwrap();
        index.committed();
    }
    assert_eq!(index.segments().len(), 1);
    (db, index)
}

/// A page of keys cannot be noted while the list is full. A filter that is made of it must not be given up for that.
#[test]
fn a_full_list_of_damage_gives_no_page_up() {
    let (db, mut index) = index_of(2_000, Damage::with_capacity(2));
    let flip = |id: i64| {
        let sql = "UPDATE segment_pages_0 SET content = zeroblob(4036) WHERE id = ?1";
        assert_eq!(db.execute(sql, [id]).unwrap(), 1);
    };
    // The first page of the filter, the first page of keys and one that is not next to it.
    let layout = index.segments()[0].layout;
    let filter = layout.filter_at();
    for id in [layout.first_page, layout.first_page + 2, filter] {
        flip(id);
    }
    let read = |index: &KeyIndex, id: i64| index.segments()[0].pages.with(&db, id, |_| ()).is_ok();
    assert!(!read(&index, filter) && !read(&index, layout.first_page));
    let other = index.damage.first(1)[0].with_id(layout.end() - 1);
    let mut is_whole = false;
    for turn in 0..100 {
        // What is found meanwhile keeps the list full.
        if turn < 20 {
            index.damage.note(other);
        }
        while index.needs_repair() {
            if index.collect(&db).unwrap() {
                index.remake(&db).unwrap();
                index.committed();
            }
            if turn < 20 {
                break;
            }
        }
        if turn >= 20 {
            index.scrub(&db, turn * 1_000).unwrap();
        }
        assert!(index.damage.first(9).iter().all(|page| !page.is_lost));
        is_whole = index.damage.count() == 0 && layout.all().all(|id| read(&index, id));
    }
    assert!(is_whole);
}

fn page(db: &Connection, segment: &Segment, id: i64) -> Vec<u8> {
    segment.pages.with(db, id, <[u8]>::to_vec).unwrap()
}

fn find(db: &Connection, segment: &Segment, fingerprint: Fingerprint) -> Vec<u64> {
    let mut seqs = Vec::new();
    let mut take = |record: KeyRecord| {
        seqs.push(record.seq);
        Ok(false)
    };
    assert!(!segment.find(db, fingerprint, &mut take).unwrap());
    seqs
}

#[test]
fn a_segment_holds_its_records_and_its_fences_are_their_first() {
    let db = database();
    for entries in [1, 167, 168, 169, 336, 337, 504 * 168, 504 * 168 + 1] {
        db.execute("DELETE FROM segment_pages_0", []).unwrap();
        let seqs = 1..entries + 1;
        let segment = segment_of(&db, seqs.clone(), 7);
        let layout = segment.layout;
        let count: i64 = db
            .query_row("SELECT count(*) FROM segment_pages_0", [], |row| row.get(0))
            .unwrap();
        assert_eq!(count, layout.end() - layout.first_page);

        let expected = sorted(seqs.clone(), key);
        let pages = expected.chunks(KeyRecord::PER_PAGE);
        assert_eq!(pages.len() as i64, layout.keys);
        for (at, records) in pages.enumerate() {
            let mut bytes = Vec::new();
            records.iter().for_each(|record| record.write(&mut bytes));
            assert_eq!(page(&db, &segment, layout.first_page + at as i64), bytes);
            assert!(bytes.len() <= SEGMENT_PAGE_BYTES);
            assert_eq!(segment.key_fences[at], records[0].fence());
        }
        for (at, records) in sorted(seqs, posting).chunks(Posting::PER_PAGE).enumerate() {
            let mut bytes = Vec::new();
            records.iter().for_each(|record| record.write(&mut bytes));
            assert_eq!(page(&db, &segment, layout.postings_at() + at as i64), bytes);
            assert_eq!(segment.posting_fences[at], records[0]);
        }
        let mut loaded = Segment::load(&db, segment.about, true, &Damage::silent()).unwrap();
        loaded.read_filter(&db, usize::MAX).unwrap();
        assert_eq!(loaded.key_fences, segment.key_fences);
        assert_eq!(loaded.posting_fences, segment.posting_fences);
        assert_eq!(filter_of(&loaded), filter_of(&segment));
        assert_eq!(loaded.memory_bytes(), segment.memory_bytes());
    }
}

#[test]
fn a_key_is_found_with_the_filter_in_memory_and_on_disk() {
    let db = database();
    let mut segment = segment_of(&db, 1..5_000, 1);
    let mut shared = 0;
    for _ in 0..2 {
        for seq in (1..5_000).step_by(7) {
            let fingerprint = key(seq).fingerprint;
            let mut expected: Vec<u64> = (1..5_000)
                .filter(|other| key(*other).fingerprint == fingerprint)
                .collect();
            expected.sort_unstable();
            shared = shared.max(expected.len());
            assert_eq!(find(&db, &segment, fingerprint), expected);
            for absent in [
                fingerprint ^ 2,
                fingerprint ^ 1 << 127,
                fingerprint ^ 1 << 64,
            ] {
                assert_eq!(find(&db, &segment, absent), [] as [u64; 0]);
            }
        }
        for edge in [0, u128::MAX] {
            assert_eq!(find(&db, &segment, edge), [] as [u64; 0]);
        }
        segment.filter = None;
    }
    assert!(shared > KeyRecord::PER_PAGE, "some fill more than a page");

    let mut asked = 0;
    let mut take_second = |_| {
        asked += 1;
        Ok(asked == 2)
    };
    let fingerprint = key(3).fingerprint;
    assert!(segment.find(&db, fingerprint, &mut take_second).unwrap());
    assert_eq!(asked, 2, "it ends when it is told to");
}

/// Whatever part of a filter is in memory, no key is missed, and memory has in the end what the disk has.
#[test]
fn a_key_is_found_while_its_filter_is_being_read() {
    let db = database();
    let whole = segment_of(&db, 1..20_000, 1);
    let damage = Damage::silent();
    let mut segment = Segment::load(&db, whole.about, true, &damage).unwrap();
    let pages = whole.layout.filter as usize;
    assert!(pages > 5);
    let (mut read, mut passed) = (0, Vec::new());
    loop {
        let seqs = (1..20_000).step_by(7).filter(|seq| seq % 3 != 0);
        let mut candidates = 0;
        for fingerprint in seqs.map(|seq| key(seq).fingerprint) {
            let filter = segment.filter.as_ref().unwrap();
            assert!(filter.may_contain(fingerprint));
            assert_eq!(find(&db, &segment, fingerprint).len(), 1);
            let absent = fingerprint ^ 2;
            candidates += usize::from(filter.may_contain(absent));
            assert_eq!(find(&db, &segment, absent), [] as [u64; 0]);
        }
        passed.push(candidates);
        if read == pages {
            break;
        }
        assert!(segment.has_unread_filter());
        assert_eq!(segment.read_filter(&db, 1).unwrap(), 1);
        read += 1;
    }
    assert!(passed.is_sorted_by(|before, after| before > after));
    assert!(!segment.has_unread_filter());
    assert_eq!(segment.read_filter(&db, 1).unwrap(), 0);
    assert_eq!(filter_of(&segment), filter_of(&whole));
}

/// The blocks of a damaged page pass every key, and the page is noted, whether look-ups find it or reading does.
#[test]
fn damage_that_is_met_while_filters_are_read_is_rebuilt() {
    for read_before in [0, 1, 2, 3, usize::MAX] {
        let (db, mut index) = index_of(3_000, Damage::silent());
        let about = index.segments()[0].about;
        let filter = filter_of(&index.segments()[0]).unwrap().to_vec();
        let segment = Segment::load(&db, about, true, &index.damage).unwrap();
        index.segments.replace(segment);
        assert!(index.has_unread_filters());
        let damaged = about.layout().filter_at() + 1;
        let sql = "UPDATE segment_pages_0 SET content = zeroblob(4036) WHERE id = ?1";
        assert_eq!(db.execute(sql, [damaged]).unwrap(), 1);
        index.read_filters(&db, read_before).unwrap();
        for seq in 1..=3_000_u64 {
            let found = index.find(&db, 1, seq.to_string().as_bytes()).unwrap();
            assert_eq!(found, Some(seq));
        }
        assert_eq!(index.damage.count(), 1);
        while index.needs_repair() {
            if index.collect(&db).unwrap() {
                index.remake(&db).unwrap();
                index.committed();
            }
        }
        index.read_filters(&db, usize::MAX).unwrap();
        assert!(!index.has_unread_filters());
        assert_eq!(filter_of(&index.segments()[0]), Some(&filter[..]));
    }
}

/// Filters that SQLite cannot read do not keep quiet turns from everything else.
#[test]
fn filters_that_sqlite_cannot_read_stay_on_disk() {
    let (db, mut index) = index_of(3_000, Damage::silent());
    let about = index.segments()[0].about;
    let segment = Segment::load(&db, about, true, &index.damage).unwrap();
    index.segments.replace(segment);
    // The root of an index is none of a table.
    db.execute_batch(
        "PRAGMA writable_schema = ON;
         UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE type = 'index')
         WHERE name = 'segment_pages_0';
         PRAGMA writable_schema = RESET",
    )
    .unwrap();
    index.read_filters(&db, usize::MAX).unwrap();
    assert!(!index.has_unread_filters());
    assert!(index.segments()[0].filter.is_none());
}

#[test]
fn the_seqs_of_a_topic_come_in_order_and_within_their_bounds() {
    let db = database();
    let segment = segment_of(&db, 100..5_000, 1);
    for topic in 0..=TOPICS as u32 + 1 {
        let all: Vec<u64> = (100..5_000)
            .filter(|seq| posting(*seq).topic == topic)
            .collect();
        let edges = [0, 99, 100, 101, 4_999, 5_000, u64::MAX];
        for from in edges.into_iter().chain((100..5_000).step_by(331)) {
            for limit in [0, 1, 64, 335, 336, 337, 10_000] {
                let bounds = [Bound::After(from), Bound::Before(from)];
                let ranges = bounds.map(|bound| [0, 1_000, 4_999].map(|removed| (bound, removed)));
                for (bound, removed) in ranges.into_iter().flatten() {
                    let stored = all.iter().filter(|seq| **seq > removed);
                    let expected: Vec<u64> = if bound == Bound::After(from) {
                        let after = stored.filter(|seq| **seq > from);
                        after.take(limit).copied().collect()
                    } else {
                        let before = stored.rev().filter(|seq| **seq < from);
                        before.take(limit).copied().collect()
                    };
                    let mut seqs = vec![1, 2, 3];
                    let range = TopicRange {
                        topic,
                        bound,
                        removed,
                        newest: u64::MAX,
                        limit: limit + seqs.len(),
                    };
                    segment.seqs_of(&db, &range, &mut seqs).unwrap();
                    assert_eq!(seqs[..3], [1, 2, 3]);
                    assert_eq!(seqs[3..], expected, "{range:?}");
                }
            }
        }
    }
}

#[test]
fn a_merge_makes_what_one_build_of_all_would() {
    let db = database();
    let ranges = [1..2_000, 2_000..2_001, 2_001..6_000];
    let mut inputs: Vec<Segment> = Vec::new();
    for range in ranges {
        let first_page = inputs.last().map_or(1, |segment| segment.layout.end());
        inputs.push(segment_of(&db, range, first_page));
    }
    let keys = |s: &Segment| Source::of(&s.pages);
    let postings = |s: &Segment| Source::of(&s.pages);
    let build = SegmentBuilder::new(
        about(1, &(1..6_000), 1),
        inputs.iter().map(keys).collect(),
        inputs.iter().map(postings).collect(),
        true,
        &Damage::silent(),
    );
    let (merged, collisions) = run(&db, build, 1);
    db.execute("DELETE FROM segment_pages_0", []).unwrap();
    let whole = segment_of(&db, 1..6_000, 1);
    for id in whole.layout.first_page..whole.layout.end() {
        assert_eq!(page(&db, &merged, id), page(&db, &whole, id));
    }
    assert_eq!(merged.key_fences, whole.key_fences);
    assert_eq!(filter_of(&merged), filter_of(&whole));
    let records = sorted(1..6_000, key);
    let expected = records
        .windows(2)
        .filter(|pair| pair[0].fingerprint == pair[1].fingerprint)
        .map(|pair| Collision {
            first: pair[0].seq,
            second: pair[1].seq,
        });
    assert_eq!(collisions, expected.collect::<Vec<_>>());
}

#[test]
fn a_build_whose_inputs_have_other_counts_than_they_said_is_an_error() {
    for (said, keys, postings) in [
        (500, 499, 500),
        (500, 501, 500),
        (504, 505, 504),
        (500, 100, 500),
        (500, 500, 499),
        (500, 500, 501),
        (672, 672, 673),
    ] {
        let db = database();
        let mut build = SegmentBuilder::new(
            about(0, &(1..said + 1), 1),
            vec![Source::memory(sorted(1..keys + 1, key))],
            vec![Source::memory(sorted(1..postings + 1, posting))],
            true,
            &Damage::silent(),
        );
        let result = build.step(&db, usize::MAX, &mut |_| Ok(()));
        assert!(result.is_err(), "{said} {keys} {postings}");
    }
}

#[test]
fn a_filter_that_memory_does_not_hold_is_made_of_the_pages() {
    for entries in [1, 2_000, 6_000] {
        let pages = [true, false].map(|holds_filter| {
            let db = database();
            let build = SegmentBuilder::new(
                about(0, &(1..entries + 1), 1),
                vec![Source::memory(sorted(1..entries + 1, key))],
                vec![Source::memory(sorted(1..entries + 1, posting))],
                holds_filter,
                &Damage::silent(),
            );
            let (segment, _) = run(&db, build, 100);
            assert_eq!(segment.filter.is_some(), holds_filter);
            let mut statement = db
                .prepare("SELECT id, content FROM segment_pages_0")
                .unwrap();
            let page = |row: &rusqlite::Row| Ok((row.get(0)?, row.get(1)?));
            let pages: Vec<(i64, Vec<u8>)> = statement
                .query_map([], page)
                .unwrap()
                .map(Result::unwrap)
                .collect();
            pages
        });
        assert!(pages[0] == pages[1], "{entries} entries");
    }
}
