//! A segment's filter, made again from its keys and compared with the one that is stored. The keys ascend, and so
//! do their places in the filter, so that one page at a time is enough.

use rusqlite::Connection;

use super::run::unless_damaged;
use crate::store::index::filter::{page_bytes, pages_for, place_of, Maker};
use crate::store::index::layout::Description;
use crate::store::index::pages::Pages;
use crate::store::index::record::KeyRecord;

/// The pages of one filter.
pub(super) struct FilterPages {
    about: Description,
    pages: Pages,
    blocks: Maker,
    /// The page that is being made, counted from the filter's first.
    at: usize,
    page: Vec<u8>,
    /// Ids of pages that are not as they must be, and how they are.
    pub wrong: Vec<(i64, &'static str)>,
}

impl FilterPages {
    pub(super) fn of(pages: &Pages) -> Self {
        let about = pages.about;
        let mut pages = Self {
            about,
            pages: pages.clone(),
            blocks: Maker::new(about.filter_blocks()),
            at: 0,
            page: Vec::new(),
            wrong: Vec::new(),
        };
        pages.begin();
        pages
    }

    fn begin(&mut self) {
        self.page.clear();
        if self.at < pages_for(self.about.filter_blocks()) {
            self.page
                .resize(page_bytes(self.about.filter_blocks(), self.at), 0);
        }
    }

    /// Takes the next key.
    pub(super) fn see(&mut self, db: &Connection, key: KeyRecord) -> rusqlite::Result<()> {
        let (page, _) = place_of(key.fingerprint, self.about.filter_blocks());
        // A key that is not in order has been reported.
        if page >= self.at {
            self.go_to(db, page)?;
            if let Some(made) = self.blocks.take(key.fingerprint) {
                made.write(&mut self.page);
            }
        }
        Ok(())
    }

    /// Compares the pages up to `page`, and begins that one.
    pub(super) fn go_to(&mut self, db: &Connection, page: usize) -> rusqlite::Result<()> {
        while self.at < page {
            if let Some(made) = self.blocks.finish() {
                made.write(&mut self.page);
            }
            let id = self.about.layout().filter_at() + self.at as i64;
            let wanted = &self.page;
            let is_right = unless_damaged(self.pages.with(db, id, |found| found == wanted))?;
            match is_right {
                Some(true) => {}
                Some(false) => self.wrong.push((id, "does not have the bits of the keys")),
                None => self.wrong.push((id, "is missing or its checksum is wrong")),
            }
            self.at += 1;
            self.begin();
        }
        Ok(())
    }
}
