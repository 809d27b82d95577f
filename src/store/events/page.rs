//! Pages of events, found in slices.
//!
//! A page over a few topics is found at once. One over the topics of a prefix can be a search of the whole
//! table, so it is a value that remembers how far it is ([`PageSearch`]), and each call goes on with it for as
//! much work as it is given. What has been found is kept as seqs, so a search takes a few kilobytes of memory
//! whatever it goes through; the events themselves are read when all have been found.

use std::collections::BinaryHeap;
use std::rc::Rc;

use crate::event::NameFilter;
use crate::limits::{EVENT_UNITS, LOOK_UP_UNITS, PAGE_MAX_BYTES, TOPIC_SEQS_BUFFERED};
use crate::store::error::{no_event, StoreError};
use crate::store::events::row::{stored_event, StoredEvent};
use crate::store::range::{Bound, PageQuery, TopicRange};
use crate::store::rows::{clamp, COLUMNS};
use crate::store::state::Store;
use crate::store::topics::topic::TopicId;

/// What a page held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Page {
    pub count: usize,
    /// The seq after which the next page begins, where there are more events for one.
    pub more_after: Option<u64>,
}

/// A page that is being searched for.
#[derive(Debug)]
pub struct PageSearch {
    filter: NameFilter,
    /// Where the search goes on.
    bound: Bound,
    /// The greatest seq when it began. What is committed later is not on the page.
    head: u64,
    limit: usize,
    /// The seqs that have been found, in the order of the page, and one more where there is one.
    found: Vec<u64>,
    stage: Stage,
}

/// What a search still has to do.
#[derive(Debug)]
enum Stage {
    /// Scanning the events in their order, at most this many. That is as much work as looking into the order of each
    /// topic, so a search takes at most twice as long as the shorter of the two.
    Events { rows_left: u64 },
    /// Looking into the order of each topic.
    Topics(TopicSearch),
    /// Nothing: all that will be on the page is known.
    Over,
}

/// A search in the orders of topics, one after the other.
#[derive(Debug, Default)]
struct TopicSearch {
    /// The keys ([`Bound::key`]) of the best seqs so far, the worst on top.
    best: BinaryHeap<u64>,
    /// Patterns all of whose topics have been looked at.
    patterns_done: usize,
    /// The last topic of the next pattern that has been looked at.
    after: Option<Rc<str>>,
}

impl PageSearch {
    /// Whether all that will be on the page is known.
    pub fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    /// Seqs that are still wanted, the one included that tells that there are more.
    fn wanted(&self) -> usize {
        self.limit + 1 - self.found.len()
    }
}

impl TopicSearch {
    /// Whether an event of this key would be among the `wanted` best.
    fn takes(&self, key: u64, wanted: usize) -> bool {
        self.best.len() < wanted || self.best.peek().is_some_and(|worst| key < *worst)
    }

    fn add(&mut self, key: u64, wanted: usize) {
        self.best.push(key);
        if self.best.len() > wanted {
            self.best.pop();
        }
    }
}

impl Store {
    /// Begins to search for a page.
    pub fn begin_page(&self, query: &PageQuery) -> PageSearch {
        let filter = NameFilter::new(query.topics);
        let stage = if filter.is_all() {
            Stage::Over
        } else if self.few_topics(&filter).is_some() {
            Stage::Topics(TopicSearch::default())
        } else {
            let segments = self
                .parts
                .index
                .as_ref()
                .map_or(0, |keys| keys.segments().len());
            let look_up = LOOK_UP_UNITS * (1 + segments as u64);
            Stage::Events {
                rows_left: self.parts.topics.count_matching(&filter) as u64 * look_up,
            }
        };
        PageSearch {
            filter,
            bound: query.bound,
            head: self.last_seq(),
            limit: query.limit,
            found: Vec::new(),
            stage,
        }
    }

    /// Continues a search for about `units` units of work, or until it is over. Of events that are not asked for it
    /// reads only the topics.
    pub fn search_page(&self, search: &mut PageSearch, units: u64) -> Result<(), StoreError> {
        let until = self.work.done() + units;
        while !search.is_over() && self.work.done() < until {
            match &mut search.stage {
                Stage::Events { rows_left } => {
                    let rows = (until - self.work.done()).min(*rows_left);
                    *rows_left -= rows;
                    let is_last = *rows_left == 0;
                    let is_over = self.search_events(search, rows)?;
                    if is_over {
                        search.stage = Stage::Over;
                    } else if is_last {
                        search.stage = Stage::Topics(TopicSearch::default());
                    }
                }
                Stage::Topics(_) => self.search_topics(search, until)?,
                Stage::Over => {}
            }
        }
        Ok(())
    }

    /// Checks the topics of `rows` events. Returns whether the page is complete.
    fn search_events(&self, search: &mut PageSearch, rows: u64) -> rusqlite::Result<bool> {
        let sql = match search.bound {
            Bound::After(_) => {
                "SELECT seq, topic_id FROM events WHERE seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3"
            }
            Bound::Before(_) => {
                "SELECT seq, topic_id FROM events WHERE seq < ?1 AND seq <= ?2 ORDER BY seq DESC LIMIT ?3"
            }
        };
        let mut statement = self.db.prepare_cached(sql)?;
        let from = clamp(search.bound.seq());
        let mut found = statement.query((from, clamp(search.head), clamp(rows)))?;
        let mut rows_read = 0;
        while let Some(row) = found.next()? {
            let seq = row.get::<_, i64>(0)? as u64;
            rows_read += 1;
            self.work.add(1);
            search.bound = search.bound.after(seq);
            let topic = self.parts.topics.stored(row.get(1)?)?;
            if search.filter.matches(topic.name.as_bytes()) {
                search.found.push(seq);
                if search.wanted() == 0 {
                    return Ok(true);
                }
            }
        }
        Ok(rows_read < rows)
    }

    /// Looks into the orders of topics until this much work has been done.
    fn search_topics(&self, page: &mut PageSearch, until: u64) -> rusqlite::Result<()> {
        let wanted = page.wanted();
        let Stage::Topics(search) = &mut page.stage else {
            return Ok(());
        };
        while let Some(pattern) = page.filter.pattern_at(search.patterns_done) {
            let after = search.after.take();
            for id in self.parts.topics.matching(pattern, after.as_deref()) {
                self.search_topic(id, page.bound, page.head, search, wanted)?;
                if self.work.done() >= until {
                    search.after = Some(Rc::clone(&self.parts.topics.get(id).name));
                    return Ok(());
                }
            }
            search.patterns_done += 1;
        }
        let best = std::mem::take(&mut search.best).into_sorted_vec();
        let seqs = best.into_iter().map(|key| page.bound.key(key));
        page.found.extend(seqs);
        page.stage = Stage::Over;
        Ok(())
    }

    /// Adds the best events of a topic, if it has some that are better than those so far.
    fn search_topic(
        &self,
        id: TopicId,
        bound: Bound,
        head: u64,
        search: &mut TopicSearch,
        wanted: usize,
    ) -> rusqlite::Result<()> {
        self.work.add(1);
        let newest = self.parts.topics.get(id).last_seq;
        let mut bound = match bound {
            Bound::After(seq) => Bound::After(seq.max(self.horizon())),
            Bound::Before(seq) => Bound::Before(seq.min(head.saturating_add(1))),
        };
        let mut seqs = Vec::new();
        loop {
            let may_have_some = match bound {
                Bound::After(seq) => newest > seq && search.takes(bound.key(seq), wanted),
                // The newest one may be known without a read.
                Bound::Before(seq) => {
                    newest > self.horizon()
                        && search.takes(bound.key(newest.min(seq.saturating_sub(1))), wanted)
                }
            };
            if !may_have_some {
                return Ok(());
            }
            seqs.clear();
            let range = TopicRange {
                topic: id,
                bound,
                removed: self.horizon(),
                newest,
                limit: TOPIC_SEQS_BUFFERED.min(wanted),
            };
            self.topic_seqs(&range, &mut seqs)?;
            for seq in &seqs {
                let key = bound.key(*seq);
                if *seq > head || !search.takes(key, wanted) {
                    return Ok(());
                }
                search.add(key, wanted);
            }
            let Some(last) = seqs.last().filter(|_| range.room(&seqs) == 0) else {
                return Ok(());
            };
            bound = bound.after(*last);
        }
    }

    /// Hands the events of a page whose search is over to `take`, in order. A page ends early once it holds
    /// [`PAGE_MAX_BYTES`]; `more_after` then says where to go on. What retention has removed meanwhile is
    /// left out.
    pub fn read_page(
        &self,
        search: &PageSearch,
        mut take: impl FnMut(StoredEvent),
    ) -> Result<Page, StoreError> {
        let mut page = PageFill {
            page: Page::default(),
            bytes: 0,
            limit: search.limit,
            last_seq: 0,
        };
        if search.filter.is_all() {
            self.read_any(search.bound, |event| page.add(self, event, &mut take))?;
            return Ok(page.page);
        }
        let sql = format!("SELECT {COLUMNS} FROM events WHERE seq = ?1");
        let mut statement = self.db.prepare_cached(&sql)?;
        for seq in &search.found {
            let mut rows = statement.query([clamp(*seq)])?;
            let Some(row) = rows.next()? else {
                if *seq <= self.horizon() {
                    page.last_seq = *seq;
                    continue;
                }
                return Err(no_event(*seq).into());
            };
            if !page.add(self, stored_event(&self.parts.topics, row)?, &mut take) {
                break;
            }
        }
        Ok(page.page)
    }

    /// Hands the events from a place on to `take` until that has enough.
    fn read_any(
        &self,
        bound: Bound,
        mut take: impl FnMut(StoredEvent) -> bool,
    ) -> Result<(), StoreError> {
        let sql = match bound {
            Bound::After(_) => format!("SELECT {COLUMNS} FROM events WHERE seq > ?1 ORDER BY seq"),
            Bound::Before(_) => {
                format!("SELECT {COLUMNS} FROM events WHERE seq < ?1 ORDER BY seq DESC")
            }
        };
        let mut statement = self.db.prepare_cached(&sql)?;
        let mut rows = statement.query([clamp(bound.seq())])?;
        while let Some(row) = rows.next()? {
            if !take(stored_event(&self.parts.topics, row)?) {
                break;
            }
        }
        Ok(())
    }
}

/// Fills a page and notices when it is full.
struct PageFill {
    page: Page,
    bytes: usize,
    limit: usize,
    last_seq: u64,
}

impl PageFill {
    /// Takes an event, or says that the page is full.
    fn add(
        &mut self,
        store: &Store,
        event: StoredEvent,
        take: &mut impl FnMut(StoredEvent),
    ) -> bool {
        if self.page.count == self.limit || self.bytes >= PAGE_MAX_BYTES {
            self.page.more_after = Some(self.last_seq);
            return false;
        }
        self.page.count += 1;
        self.bytes += event.payload.len();
        self.last_seq = event.seq;
        store.work.add(EVENT_UNITS);
        store.work.add_bytes(event.payload.len());
        take(event);
        true
    }
}
