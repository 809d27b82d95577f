//! The damaged pages that have been found: reads note them here, and repairs remove them. The list decides nothing
//! about an answer, because each read verifies its page's checksum itself.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::layout::Description;
use super::record::Part;
use crate::limits::DAMAGED_PAGES_MAX;

/// A page whose checksum is wrong, or that is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DamagedPage {
    /// The number of the table `segment_pages_N` that it is in.
    pub level: usize,
    pub id: i64,
    pub(super) part: Part,
    /// The seqs that its segment covers.
    pub first_seq: u64,
    pub last_seq: u64,
    /// It cannot be rebuilt from what the database has.
    pub is_lost: bool,
}

impl DamagedPage {
    /// The table that it is in.
    pub fn table(&self) -> String {
        format!("segment_pages_{}", self.level)
    }

    #[cfg(test)]
    pub(super) fn with_id(self, id: i64) -> Self {
        Self { id, ..self }
    }

    /// The part of the segment that it belongs to.
    pub fn part(&self) -> &'static str {
        self.part.name()
    }
}

impl std::fmt::Display for DamagedPage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            level,
            id,
            first_seq,
            last_seq,
            ..
        } = self;
        let part = self.part.name();
        write!(
            f,
            "page {id} of segment_pages_{level} ({part} of the segment of seq {first_seq} to {last_seq})"
        )
    }
}

type Found = BTreeMap<(usize, i64), DamagedPage>;

#[derive(Debug)]
struct Shared {
    is_silent: bool,
    /// Pages that are remembered.
    capacity: usize,
    /// A page was not noted, because the list was full.
    has_missed: AtomicBool,
    /// Their number, which is cheap to read.
    count: AtomicUsize,
    /// Pages that have ever been in `found`.
    noted: AtomicU64,
    found: Mutex<Found>,
}

/// The list, shared by all readers of one index.
#[derive(Clone, Debug)]
pub(crate) struct Damage(Arc<Shared>);

impl Default for Damage {
    fn default() -> Self {
        Self::new(false, DAMAGED_PAGES_MAX)
    }
}

impl Damage {
    fn new(is_silent: bool, capacity: usize) -> Self {
        Self(Arc::new(Shared {
            is_silent,
            capacity,
            has_missed: AtomicBool::new(false),
            count: AtomicUsize::new(0),
            noted: AtomicU64::new(0),
            found: Mutex::default(),
        }))
    }

    /// A list of at most `capacity` pages.
    #[cfg(test)]
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self::new(false, capacity)
    }

    /// A list that writes nothing to the log, for callers with messages of their own.
    pub(crate) fn silent() -> Self {
        Self::new(true, DAMAGED_PAGES_MAX)
    }

    /// Notes a page, and names it in the log the first time.
    pub(crate) fn note(&self, page: DamagedPage) {
        let mut found = self.lock();
        let key = (page.level, page.id);
        if found.contains_key(&key) {
            return;
        }
        if found.len() >= self.0.capacity {
            self.0.has_missed.store(true, Ordering::Relaxed);
            return;
        }
        found.insert(key, page);
        self.counted(&found);
        self.0.noted.fetch_add(1, Ordering::Relaxed);
        drop(found);
        if !self.0.is_silent {
            log::error!("{page} is damaged: it is rebuilt, and nothing is answered from it");
        }
    }

    /// Pages noted.
    pub(crate) fn count(&self) -> usize {
        self.0.count.load(Ordering::Relaxed)
    }

    /// Pages that have ever been noted.
    pub(crate) fn noted(&self) -> u64 {
        self.0.noted.load(Ordering::Relaxed)
    }

    /// Whether there may be damaged pages that are not noted.
    pub(crate) fn is_full(&self) -> bool {
        self.count() >= self.0.capacity
    }

    /// Whether pages were not noted that can be now. The caller has to look for them again.
    pub(crate) fn take_missed(&self) -> bool {
        !self.is_full() && self.0.has_missed.swap(false, Ordering::Relaxed)
    }

    /// Removes a page that has not been repaired, to make room for one that has to be repaired before it. It will be
    /// found again.
    pub(crate) fn make_room(&self, level: usize, id: i64) {
        let mut found = self.lock();
        found.remove(&(level, id));
        self.counted(&found);
        self.0.has_missed.store(true, Ordering::Relaxed);
    }

    /// The first pages noted, at most `limit`.
    pub(crate) fn first(&self, limit: usize) -> Vec<DamagedPage> {
        self.lock().values().take(limit).copied().collect()
    }

    /// Pages noted that can be rebuilt.
    pub(crate) fn can_be_repaired(&self) -> bool {
        self.count() > 0 && self.lock().values().any(|page| !page.is_lost)
    }

    /// The pages noted among these ids of a level.
    pub(crate) fn among(&self, level: usize, ids: Range<i64>) -> Vec<DamagedPage> {
        if self.count() == 0 || ids.is_empty() {
            return Vec::new();
        }
        let found = self.lock();
        let among = found.range((level, ids.start)..(level, ids.end));
        among.map(|(_, page)| *page).collect()
    }

    /// Whether a segment has damaged pages, or may have some that are not noted.
    pub(crate) fn is_in(&self, about: &Description) -> bool {
        self.is_full() || !self.among(about.level, about.layout().all()).is_empty()
    }

    /// Removes pages that have been rebuilt.
    pub(crate) fn repaired(&self, level: usize, ids: impl Iterator<Item = i64>) {
        let mut found = self.lock();
        for id in ids {
            if let Some(page) = found.remove(&(level, id)) {
                log::info!("{page} has been rebuilt");
            }
        }
        self.counted(&found);
    }

    /// Notes that pages cannot be rebuilt.
    pub(crate) fn give_up(&self, level: usize, ids: impl Iterator<Item = i64>, why: &str) {
        let mut found = self.lock();
        for id in ids {
            if let Some(page) = found.get_mut(&(level, id)) {
                page.is_lost = true;
                log::error!("{page} cannot be rebuilt: {why}");
            }
        }
    }

    /// Keeps only the pages of which this is true.
    pub(crate) fn retain(&self, is_kept: impl Fn(&DamagedPage) -> bool) {
        let mut found = self.lock();
        found.retain(|_, page| is_kept(page));
        self.counted(&found);
    }

    fn counted(&self, found: &Found) {
        self.0.count.store(found.len(), Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Found> {
        self.0.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
