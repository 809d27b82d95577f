//! Reads the tables of the key index as docs/internals/store.md documents them, on its own, and asserts that
//! they say what the events do.

use std::hash::Hasher;
use std::path::Path;

use rusqlite::Connection;
use siphasher::sip::SipHasher13 as SipHasher13x64;
use siphasher::sip128::{Hasher128, SipHasher13};

use logagg::limits::{FILTER_BITS_PER_KEY, SEGMENT_LEVELS, SEGMENT_PAGE_BYTES};

const CHECKSUM_BYTES: usize = 4;

/// What an audit has counted.
#[derive(Debug, Default)]
pub struct Audit {
    /// Segments of each level.
    pub by_level: [usize; SEGMENT_LEVELS],
    /// Pages that no segment refers to.
    pub orphans: i64,
}

struct Segment {
    first_seq: i64,
    last_seq: i64,
    level: usize,
    entries: i64,
    first_page: i64,
}

/// Asserts that SQLite finds the file whole, that the segments follow each other without a gap, and that
/// each lists each of its events once, sorted, under its fingerprint and its topic.
pub fn audit(path: &Path, fingerprint_bits: u32) -> Audit {
    let db = Connection::open(path).unwrap();
    let whole: String = db
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(whole, "ok");
    let key = "SELECT value FROM meta WHERE name = 'fingerprint_key'";
    let key: [u8; 16] = db.query_row(key, [], |row| row.get(0)).unwrap();
    let mask = u128::MAX << (128 - fingerprint_bits);
    let sql = "SELECT first_seq, last_seq, level, entries, first_page FROM segments ORDER BY 1";
    let segments: Vec<Segment> = db
        .prepare(sql)
        .unwrap()
        .query_map([], |row| {
            Ok(Segment {
                first_seq: row.get(0)?,
                last_seq: row.get(1)?,
                level: row.get::<_, u32>(2)? as usize,
                entries: row.get(3)?,
                first_page: row.get(4)?,
            })
        })
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let mut result = Audit::default();
    let mut pages_owned = 0;
    let mut covered = 0;
    for segment in &segments {
        assert_eq!(segment.first_seq, covered + 1);
        covered = segment.last_seq;
        result.by_level[segment.level] += 1;
        pages_owned += check_segment(&db, segment, key, mask);
    }
    let stored: i64 = (0..SEGMENT_LEVELS)
        .map(|level| {
            let sql = format!("SELECT count(*) FROM segment_pages_{level}");
            db.query_row(&sql, [], |row| row.get::<_, i64>(0)).unwrap()
        })
        .sum();
    result.orphans = stored - pages_owned;
    result
}

/// Checks one segment and says how many pages it has.
fn check_segment(db: &Connection, segment: &Segment, key: [u8; 16], mask: u128) -> i64 {
    let per_page = |bytes: usize| (SEGMENT_PAGE_BYTES / bytes) as i64;
    let pages = |records: i64, bytes: usize| (records + per_page(bytes) - 1) / per_page(bytes);
    let bits_per_key = FILTER_BITS_PER_KEY[segment.level] as i64;
    let blocks = (segment.entries * bits_per_key + 511) / 512;
    let keys_at = segment.first_page;
    let filter_at = keys_at + pages(segment.entries, 32);
    let key_fences_at = filter_at + pages(blocks, 64);
    let postings_at = key_fences_at + pages(filter_at - keys_at, 8);
    let posting_fences_at = postings_at + pages(segment.entries, 12);
    let end = posting_fences_at + pages(posting_fences_at - postings_at, 12);
    let part = |from: i64, to: i64| read(db, segment.level, from, to);

    let mut expected_keys = Vec::new();
    let mut expected_postings = Vec::new();
    let sql = "SELECT seq, topic_id, event_id, timestamp, source, payload FROM events \
               WHERE seq BETWEEN ?1 AND ?2";
    let mut statement = db.prepare(sql).unwrap();
    let mut rows = statement
        .query((segment.first_seq, segment.last_seq))
        .unwrap();
    while let Some(row) = rows.next().unwrap() {
        let (seq, topic) = (row.get::<_, i64>(0).unwrap(), row.get::<_, u32>(1).unwrap());
        let mut hasher = SipHasher13::new_with_key(&key);
        hasher.write(&topic.to_le_bytes());
        let parts: Vec<&[u8]> = (2..6)
            .map(|column| row.get_ref(column).unwrap().as_bytes().unwrap())
            .collect();
        hasher.write(parts[0]);
        let mut whole = SipHasher13x64::new_with_key(&key);
        let lengths = [parts[0], parts[1], parts[2], &[]].map(|part| part.len() as u8);
        whole.write(&lengths);
        whole.write(&topic.to_le_bytes());
        parts.iter().for_each(|part| whole.write(part));
        expected_keys.push((
            hasher.finish128().as_u128() & mask,
            seq as u64,
            whole.finish(),
        ));
        expected_postings.push((topic, seq as u64));
    }
    assert_eq!(expected_keys.len() as i64, segment.entries);
    expected_keys.sort_unstable();
    expected_postings.sort_unstable();
    let bytes = |(fingerprint, seq, event_hash): &(u128, u64, u64)| {
        let numbers = [seq.to_be_bytes(), event_hash.to_be_bytes()];
        fingerprint
            .to_be_bytes()
            .into_iter()
            .chain(numbers.concat())
            .collect::<Vec<u8>>()
    };
    let keys: Vec<u8> = expected_keys.iter().flat_map(bytes).collect();
    assert!(part(keys_at, filter_at) == keys, "the keys");
    let fences: Vec<u8> = keys
        .chunks(32 * per_page(32) as usize)
        .flat_map(|page| page[..8].to_vec())
        .collect();
    assert!(part(key_fences_at, postings_at) == fences, "the fences");
    let filter = part(filter_at, key_fences_at);
    assert_eq!(filter.len() as i64, blocks * 64, "the filter");
    let bytes = |(topic, seq): &(u32, u64)| {
        let (topic, seq) = (topic.to_be_bytes(), seq.to_be_bytes());
        topic.into_iter().chain(seq).collect::<Vec<u8>>()
    };
    let postings: Vec<u8> = expected_postings.iter().flat_map(bytes).collect();
    assert!(part(postings_at, posting_fences_at) == postings, "postings");
    let fences: Vec<u8> = postings
        .chunks(12 * per_page(12) as usize)
        .flat_map(|page| page[..12].to_vec())
        .collect();
    assert!(part(posting_fences_at, end) == fences, "posting fences");
    end - keys_at
}

fn read(db: &Connection, level: usize, from: i64, to: i64) -> Vec<u8> {
    let sql = format!(
        "SELECT id, content FROM segment_pages_{level} WHERE id >= ?1 AND id < ?2 ORDER BY id"
    );
    let mut statement = db.prepare(&sql).unwrap();
    let mut rows = statement.query((from, to)).unwrap();
    let mut content = Vec::new();
    let mut count = 0;
    while let Some(row) = rows.next().unwrap() {
        let page = row.get_ref(1).unwrap().as_blob().unwrap();
        content.extend_from_slice(&page[..page.len() - CHECKSUM_BYTES]);
        count += 1;
    }
    assert_eq!(count, to - from, "all pages are there");
    content
}
