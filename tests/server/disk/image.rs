//! What a disk may hold after a loss of power: all that was synced, and of the rest any choice of
//! sectors, each in any of its versions since.
//!
//! This is worse than any journalling file system: writes are reordered and torn at 512 bytes, sizes and
//! data are independent, what a lost write would have extended may be garbage, and each name in the
//! folder may be as old as the folder's last sync. That goes for what is cut off a file as well: its old length may
//! come back with zeros in any of its sectors, as where a file system frees a long file piece by piece, from its end,
//! and notes the length last (ZFS, `zfs_trunc`). What a failed sync left behind may be lost for good,
//! also if a later sync succeeds: the kernel has marked those pages clean (fsync(2)).

use std::collections::BTreeMap;
use std::path::Path;

use super::{Entry, File};
use crate::random::Random;

const SECTOR: usize = 512;

/// What survives of what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Nothing.
    None,
    /// All: what a kill of the process leaves.
    All,
    /// The first operations, in their order, and the sectors of the next one or not.
    Ordered,
    /// Each sector in any of its versions.
    Any,
    /// Each sector's last version in seven of eight cases.
    Most,
    /// Each sector's last version in one of eight cases.
    Few,
    /// Of each file the sectors before some place as they were synced, and the last version of all others.
    Front,
}

impl Cut {
    pub fn choose(random: &mut Random) -> Cut {
        match random.below(9) {
            0 => Cut::None,
            1 => Cut::All,
            2 | 3 => Cut::Ordered,
            4 | 5 => Cut::Any,
            6 => Cut::Most,
            7 => Cut::Few,
            _ => Cut::Front,
        }
    }
}

/// A choice between what was synced and what came since.
struct Choice {
    cut: Cut,
    /// The last operation that survives, where they survive in order.
    last: u64,
}

impl Choice {
    /// Which of `count` versions survives; none is what was synced. `operation` tells when a version
    /// was made.
    fn of(
        &self,
        count: usize,
        operation: impl Fn(usize) -> u64,
        random: &mut Random,
    ) -> Option<usize> {
        let newest = count.checked_sub(1);
        match self.cut {
            Cut::None => None,
            Cut::All => newest,
            Cut::Any => (random.below(count as u64 + 1) as usize).checked_sub(1),
            Cut::Most => newest.filter(|_| !random.chance(8)),
            Cut::Few => newest.filter(|_| random.chance(8)),
            Cut::Front => newest.filter(|_| random.chance(2)),
            Cut::Ordered => {
                let torn = random.chance(2);
                (0..count)
                    .rev()
                    .find(|at| operation(*at) < self.last || operation(*at) == self.last && torn)
            }
        }
    }
}

/// The versions of one sector since the last sync.
#[derive(Clone, Default)]
struct Sector {
    versions: Vec<(u64, [u8; SECTOR])>,
    /// The next sync will write the last version. Not so what a failed sync left behind.
    is_dirty: bool,
}

/// One file: its content as the disk has it, and as the operating system shows it.
#[derive(Clone, Default)]
struct Content {
    durable: Vec<u8>,
    shown: Vec<u8>,
    sectors: BTreeMap<usize, Sector>,
    /// Lengths since the last sync.
    lengths: Vec<(u64, usize)>,
}

impl Content {
    fn write(&mut self, operation: u64, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        if end > self.shown.len() {
            self.shown.resize(end, 0);
            self.lengths.push((operation, end));
        }
        self.shown[offset..end].copy_from_slice(bytes);
        self.touch(operation, offset, end);
    }

    fn truncate(&mut self, operation: u64, length: usize) {
        let before = self.shown.len();
        self.shown.resize(length, 0);
        self.lengths.push((operation, length));
        self.touch(operation, length.min(before), length.max(before));
    }

    fn touch(&mut self, operation: u64, from: usize, to: usize) {
        for number in from / SECTOR..to.div_ceil(SECTOR) {
            let mut version = [0; SECTOR];
            let at = (number * SECTOR).min(self.shown.len());
            let part = &self.shown[at..(at + SECTOR).min(self.shown.len())];
            version[..part.len()].copy_from_slice(part);
            let sector = self.sectors.entry(number).or_default();
            sector.versions.push((operation, version));
            sector.is_dirty = true;
        }
    }

    fn sync(&mut self) {
        self.durable.resize(self.shown.len(), 0);
        self.lengths.clear();
        let durable = &mut self.durable;
        self.sectors.retain(|number, sector| {
            if sector.is_dirty {
                let (_, version) = sector
                    .versions
                    .last()
                    .expect("a dirty sector has a version");
                put(durable, *number, version);
            }
            !sector.is_dirty
        });
    }

    fn sync_failed(&mut self) {
        for sector in self.sectors.values_mut() {
            sector.is_dirty = false;
        }
    }

    fn materialise(&self, choice: &Choice, random: &mut Random) -> Vec<u8> {
        let mut content = self.durable.clone();
        let lengths = &self.lengths;
        let length = match choice.of(lengths.len(), |at| lengths[at].0, random) {
            Some(at) => lengths[at].1,
            None => self.durable.len(),
        };
        // A file that grew without its data shows zeros on most file systems, and anything on some.
        let garbage = random.chance(4);
        let durable = content.len();
        content.resize(length, 0);
        if garbage {
            for byte in content.iter_mut().skip(durable) {
                *byte = random.next() as u8;
            }
        }
        let last = self.sectors.keys().last().map_or(0, |last| last + 1);
        // More often a short one: where a log begins anew, what counts is far before the file's end.
        let most = random.below(last as u64 + 1);
        let front = random.below(most + 1) as usize;
        for (number, sector) in &self.sectors {
            let versions = &sector.versions;
            if choice.cut == Cut::Front {
                let (_, last) = versions.last().expect("a sector here has a version");
                if *number >= front {
                    put(&mut content, *number, last);
                }
            } else if let Some(at) = choice.of(versions.len(), |at| versions[at].0, random) {
                put(&mut content, *number, &versions[at].1);
            }
        }
        content
    }
}

/// Puts a sector into `content`, as far as that reaches.
fn put(content: &mut [u8], number: usize, version: &[u8; SECTOR]) {
    let at = (number * SECTOR).min(content.len());
    let part = &mut content[at..];
    let length = part.len().min(SECTOR);
    part[..length].copy_from_slice(&version[..length]);
}

/// What a name in the folder leads to.
#[derive(Clone, Default)]
struct Name {
    durable: Option<usize>,
    since: Vec<(u64, Option<usize>)>,
}

impl Name {
    fn shown(&self) -> Option<usize> {
        self.since.last().map_or(self.durable, |(_, file)| *file)
    }
}

/// A disk to which the entries of a record are applied one by one.
#[derive(Clone, Default)]
pub struct Image {
    operation: u64,
    contents: Vec<Content>,
    names: [Name; 3],
}

/// The files that a disk is made of, and what is behind `events.db` in their names.
const FILES: [(File, &str); 3] = [
    (File::Database, ""),
    (File::Log, "-wal"),
    (File::Journal, "-journal"),
];

impl Image {
    fn name(&mut self, file: File) -> Option<&mut Name> {
        let at = FILES.iter().position(|(known, _)| *known == file)?;
        Some(&mut self.names[at])
    }

    fn content(&mut self, file: File) -> Option<&mut Content> {
        let at = self.name(file)?.shown()?;
        Some(&mut self.contents[at])
    }

    /// Begins with the files of a folder, as they are.
    pub fn of_files(folder: &Path) -> Image {
        let mut image = Image::default();
        for (file, suffix) in FILES {
            if let Ok(bytes) = std::fs::read(folder.join(format!("events.db{suffix}"))) {
                let content = Content {
                    durable: bytes.clone(),
                    shown: bytes,
                    ..Content::default()
                };
                image.contents.push(content);
                let at = image.contents.len() - 1;
                image.name(file).expect("it has a name").durable = Some(at);
            }
        }
        image
    }

    pub fn apply(&mut self, entry: &Entry) {
        self.operation += 1;
        let operation = self.operation;
        match entry {
            Entry::Write {
                file,
                offset,
                bytes,
            } => {
                if let Some(content) = self.content(*file) {
                    content.write(operation, *offset as usize, bytes);
                }
            }
            Entry::Truncate { file, length } => {
                if let Some(content) = self.content(*file) {
                    content.truncate(operation, *length as usize);
                }
            }
            Entry::Sync(File::Folder) => {
                for name in &mut self.names {
                    name.durable = name.shown();
                    name.since.clear();
                }
            }
            Entry::Sync(file) => {
                if let Some(content) = self.content(*file) {
                    content.sync();
                }
            }
            Entry::SyncFailed(file) => {
                if let Some(content) = self.content(*file) {
                    content.sync_failed();
                }
            }
            Entry::Create(file) => {
                let at = self.contents.len();
                if let Some(name) = self.name(*file) {
                    name.since.push((operation, Some(at)));
                    self.contents.push(Content::default());
                }
            }
            Entry::Unlink(file) => {
                if let Some(name) = self.name(*file) {
                    name.since.push((operation, None));
                }
            }
            Entry::Sent { .. } => {}
        }
    }

    /// The operations since which something may be lost.
    fn first_unsynced(&self) -> u64 {
        let names = &self.names;
        let in_names = names.iter().flat_map(|name| name.since.iter().map(|v| v.0));
        let files = names.iter().filter_map(|name| name.shown());
        let in_files = files.flat_map(|at| {
            let sectors = self.contents[at].sectors.values();
            sectors.filter_map(|sector| sector.versions.first().map(|v| v.0))
        });
        in_names.chain(in_files).min().unwrap_or(self.operation)
    }

    /// Writes what a loss of power at this moment may leave as `events.db` into `folder`.
    pub fn write_to(&self, folder: &Path, cut: Cut, random: &mut Random) {
        let first = self.first_unsynced();
        let last = first + random.below(self.operation - first + 1);
        let choice = Choice { cut, last };
        for (name, (_, suffix)) in self.names.iter().zip(FILES) {
            let since = &name.since;
            let file = match choice.of(since.len(), |at| since[at].0, random) {
                Some(at) => since[at].1,
                None => name.durable,
            };
            if let Some(at) = file {
                let bytes = self.contents[at].materialise(&choice, random);
                std::fs::write(folder.join(format!("events.db{suffix}")), bytes).unwrap();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::TemporaryDirectory;

    #[test]
    fn what_a_file_is_emptied_of_may_come_back_in_part() {
        let mut image = Image::default();
        let bytes = vec![b'x'; 4 * SECTOR];
        let write = Entry::Write {
            file: File::Log,
            offset: 0,
            bytes: bytes.clone(),
        };
        let synced = [Entry::Sync(File::Log), Entry::Sync(File::Folder)];
        let length = 0;
        let file = File::Log;
        let emptied = [Entry::Truncate { file, length }, Entry::Unlink(file)];
        for entry in [&[Entry::Create(File::Log), write][..], &synced, &emptied].concat() {
            image.apply(&entry);
        }
        let mut random = Random::new(1);
        let mut found = std::collections::BTreeSet::new();
        for _ in 0..500 {
            let folder = TemporaryDirectory::new();
            image.write_to(folder.path(), Cut::Front, &mut random);
            let left = std::fs::read(folder.join("events.db-wal"));
            found.insert(left.ok().map(|left| {
                let front = left.iter().take_while(|byte| **byte == b'x').count();
                assert!(left[front..].iter().all(|byte| *byte == 0));
                (left.len(), front)
            }));
        }
        let mut expected: Vec<_> = (0..=4)
            .map(|front| Some((bytes.len(), front * SECTOR)))
            .collect();
        expected.extend([None, Some((0, 0))]);
        assert_eq!(found, expected.into_iter().collect());
    }
}
