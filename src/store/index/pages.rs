//! The pages of segments on disk: reading them, which verifies their checksums, writing and deleting them.

use rusqlite::{CachedStatement, Connection, OptionalExtension};

use super::damage::{Damage, DamagedPage};
use super::layout::{Description, Layout};
use crate::limits::{SEGMENT_LEVELS, SEGMENT_PAGE_BYTES};
use crate::store::page_checksum::{PageOwner, CHECKSUM_BYTES};

/// The longest row without an overflow page in an SQLite page of 4 KiB (SQLite file format §1.6).
const ROW_MAX_BYTES: usize = 4_096 - 35;
/// The header of a row with a page: its own length, the NULL in place of the id, the length of the BLOB.
const ROW_HEADER_BYTES: usize = 4;

const _: () = assert!(SEGMENT_PAGE_BYTES + CHECKSUM_BYTES + ROW_HEADER_BYTES <= ROW_MAX_BYTES);

/// Statements that name a level's table, one for each level.
macro_rules! for_levels {
    ($before:literal, $after:literal) => {
        [
            concat!($before, "0", $after),
            concat!($before, "1", $after),
            concat!($before, "2", $after),
            concat!($before, "3", $after),
            concat!($before, "4", $after),
            concat!($before, "5", $after),
            concat!($before, "6", $after),
        ]
    };
}

const SELECT_PAGE: [&str; SEGMENT_LEVELS] =
    for_levels!("SELECT content FROM segment_pages_", " WHERE id = ?1");
const INSERT_PAGE: [&str; SEGMENT_LEVELS] = for_levels!(
    "INSERT INTO segment_pages_",
    "(id, content) VALUES (?1, ?2)"
);
const REPLACE_PAGE: [&str; SEGMENT_LEVELS] = for_levels!(
    "INSERT OR REPLACE INTO segment_pages_",
    "(id, content) VALUES (?1, ?2)"
);
const DELETE_PAGES: [&str; SEGMENT_LEVELS] =
    for_levels!("DELETE FROM segment_pages_", " WHERE id >= ?1 AND id < ?2");
const NEXT_PAGE: [&str; SEGMENT_LEVELS] = for_levels!(
    "SELECT id FROM segment_pages_",
    " WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT 1"
);
const LAST_PAGE: [&str; SEGMENT_LEVELS] = for_levels!("SELECT max(id) FROM segment_pages_", "");

/// The pages of one segment, also of one that is being made.
#[derive(Clone, Debug)]
pub(crate) struct Pages {
    pub about: Description,
    pub layout: Layout,
    owner: PageOwner,
    damage: Damage,
}

impl Pages {
    /// `damage` is where pages are noted that turn out to be damaged.
    pub(crate) fn of(about: Description, damage: &Damage) -> Self {
        Self {
            about,
            layout: about.layout(),
            owner: about.owner(),
            damage: damage.clone(),
        }
    }

    /// Lends a page's records to `look`. A page that is missing or whose checksum is wrong is an error that
    /// [`is_damaged_page`] knows, and is noted.
    pub(crate) fn with<T>(
        &self,
        db: &Connection,
        id: i64,
        look: impl FnOnce(&[u8]) -> T,
    ) -> rusqlite::Result<T> {
        LevelPages::of_level(db, self.about.level)?.with(self, id, look)
    }

    /// Writes a page of these records.
    pub(crate) fn write(
        &self,
        db: &Connection,
        id: i64,
        page: &mut Vec<u8>,
    ) -> rusqlite::Result<()> {
        self.execute(db, INSERT_PAGE[self.about.level], id, page)
    }

    /// The same in the place of a page that may be there.
    pub(crate) fn replace(
        &self,
        db: &Connection,
        id: i64,
        page: &mut Vec<u8>,
    ) -> rusqlite::Result<()> {
        self.execute(db, REPLACE_PAGE[self.about.level], id, page)
    }

    fn execute(
        &self,
        db: &Connection,
        sql: &str,
        id: i64,
        page: &mut Vec<u8>,
    ) -> rusqlite::Result<()> {
        self.owner.seal(id, page);
        db.prepare_cached(sql)?.execute((id, &page[..])).map(|_| ())
    }

    /// The records of a page as it is stored; none if it is damaged. Of a segment that is getting its
    /// checksums, the length of a page tells whether it has one.
    fn content<'p>(&self, id: i64, page: &'p [u8]) -> Option<&'p [u8]> {
        let bytes = self.about.content_bytes(&self.layout, id);
        if page.len() == bytes && !self.about.has_checksums {
            return Some(page);
        }
        let content = self.owner.content(id, page)?;
        (content.len() == bytes).then_some(content)
    }

    /// Notes that a page is damaged, and says so as an error.
    pub(crate) fn damaged(&self, id: i64) -> rusqlite::Error {
        let page = DamagedPage {
            level: self.about.level,
            id,
            part: self.layout.part_of(id),
            first_seq: self.about.first_seq,
            last_seq: self.about.last_seq,
            is_lost: false,
        };
        self.damage.note(page);
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT_INDEX);
        rusqlite::Error::SqliteFailure(code, Some(format!("{page} is damaged")))
    }
}

/// Reads pages of a level, one after the other.
pub(crate) struct LevelPages<'db> {
    statement: CachedStatement<'db>,
}

impl<'db> LevelPages<'db> {
    pub(crate) fn of_level(db: &'db Connection, level: usize) -> rusqlite::Result<Self> {
        let statement = db.prepare_cached(SELECT_PAGE[level])?;
        Ok(Self { statement })
    }

    /// As [`Pages::with`] does, for a segment of the level.
    pub(crate) fn with<T>(
        &mut self,
        pages: &Pages,
        id: i64,
        look: impl FnOnce(&[u8]) -> T,
    ) -> rusqlite::Result<T> {
        self.statement.raw_bind_parameter(1, id)?;
        let mut rows = self.statement.raw_query();
        if let Some(row) = rows.next()? {
            if let Some(content) = pages.content(id, row.get_ref(0)?.as_blob()?) {
                return Ok(look(content));
            }
        }
        Err(pages.damaged(id))
    }
}

/// Deletes the first pages of a range, at most `rows` of them, and returns where the rest begins.
pub(crate) fn delete_pages(
    db: &Connection,
    level: usize,
    first: i64,
    end: i64,
    rows: i64,
) -> rusqlite::Result<i64> {
    let mut next = db.prepare_cached(NEXT_PAGE[level])?;
    let Some(from) = next
        .query_row((first, end), |row| row.get::<_, i64>(0))
        .optional()?
    else {
        return Ok(end);
    };
    let to = (from + rows).min(end);
    db.prepare_cached(DELETE_PAGES[level])?
        .execute((from, to))?;
    Ok(to)
}

/// The id of the last page of a level, 0 where there is none.
pub(crate) fn last_page(db: &Connection, level: usize) -> rusqlite::Result<i64> {
    db.query_row(LAST_PAGE[level], [], |row| {
        Ok(row.get::<_, Option<i64>>(0)?.unwrap_or(0))
    })
}
