//! Goes through the pages of `GET /events`, one after another.

use std::collections::VecDeque;
use std::io::{stderr, IsTerminal};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::cli::progress::TransferProgress;
use crate::cli::terminal::grouped;
use crate::client::{Client, Error};
use crate::limits::PAGE_MAX_EVENTS;

/// The pages from an address on.
pub(super) struct Pages<'c> {
    client: &'c Client,
    /// The address of the next page; none after the last.
    next: Option<String>,
    pub(super) progress: ScanProgress,
}

#[derive(Deserialize)]
struct Page {
    events: Vec<Box<RawValue>>,
    next: Option<String>,
    /// Seqs that were decided for this page; only where there are filters.
    #[serde(default)]
    scanned: u64,
}

impl<'c> Pages<'c> {
    pub(super) fn new(client: &'c Client, target: String) -> Self {
        Pages {
            client,
            next: Some(target),
            progress: ScanProgress::default(),
        }
    }

    /// The events of the next page; none after the last page. `found` is how many there were before it.
    pub(super) fn next(&mut self, found: usize) -> Result<Option<Vec<Box<RawValue>>>, Error> {
        let Some(target) = self.next.take() else {
            return Ok(None);
        };
        let client = self.client;
        let page: Page = client.persist(|| client.json(&target))?;
        let is_address = |next: &String| next.starts_with('/');
        self.next = page.next.filter(is_address);
        if self.next.is_some() {
            let found = found + page.events.len();
            self.progress.show(client, page.scanned, found as u64);
        }
        Ok(Some(page.events))
    }
}

/// Collects the newest events that a query asks for, at most `number`, the oldest of them first.
pub(super) fn collect_newest(
    client: &Client,
    query: &str,
    number: usize,
    events: &mut VecDeque<Box<RawValue>>,
) -> Result<(), Error> {
    let target = format!("/events?limit={}{query}", number.clamp(1, PAGE_MAX_EVENTS));
    let mut pages = Pages::new(client, target);
    while events.len() < number {
        let page = pages.next(events.len());
        match page {
            Ok(Some(page)) => {
                let room = number - events.len();
                page.into_iter()
                    .take(room)
                    .for_each(|event| events.push_front(event));
            }
            Ok(None) => break,
            Err(error) => {
                pages.progress.end();
                return Err(error);
            }
        }
    }
    pages.progress.end();
    Ok(())
}

/// How far a search has come, on standard error. It is shown only where one answer is not enough.
#[derive(Default)]
pub(super) struct ScanProgress {
    shown: Option<(TransferProgress, u64)>,
    scanned: u64,
}

impl ScanProgress {
    /// Counts an answer that is not the last.
    pub(super) fn show(&mut self, client: &Client, scanned: u64, found: u64) {
        #[derive(Deserialize)]
        struct Seqs {
            first_seq: u64,
            last_seq: u64,
        }
        self.scanned += scanned;
        if !stderr().is_terminal() || self.scanned == 0 {
            return;
        }
        let (bar, total) = self.shown.get_or_insert_with(|| {
            // If it is not known, it is left out.
            let seqs: Result<Seqs, Error> = client.json("/stats");
            let count = |seqs: Seqs| (seqs.last_seq + 1).saturating_sub(seqs.first_seq);
            (TransferProgress::of_text(), seqs.map_or(0, count))
        });
        bar.show(0, || {
            let (scanned, total) = (grouped(self.scanned), grouped(*total));
            format!("scanned {scanned} of {total}, {} found", grouped(found))
        });
    }

    /// Writes without the progress in between.
    pub(super) fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.shown {
            Some((bar, _)) => bar.suspend(write),
            None => write(),
        }
    }

    /// Removes it.
    pub(super) fn end(&mut self) {
        if let Some((bar, _)) = self.shown.take() {
            bar.end();
        }
    }
}
