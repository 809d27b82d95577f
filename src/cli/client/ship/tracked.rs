//! A file that is open and read from its position on, as far as its bytes cannot change any more.

use std::fs::File;
use std::io;
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::{seek, SeekFrom};
use rustix::io::Errno;

use super::decoding::{Encoding, HEAD_BYTES};
use super::folders::{nanos, read_at};
use super::lines::{self, Bounds, Next};
use super::nuls::{Look, Nuls};
use super::position::{Position, Tail};
use super::prefix::Prefix;
use super::records::{Lines, Source, View};
use super::state::{Entry, Pending};
use crate::client::Batch;
use crate::limits::{
    SHIP_HOLE_BYTES, SHIP_LINE_MAX_BYTES, SHIP_QUIET_MS, SHIP_READ_BYTES, SHIP_TAIL_BYTES,
};

/// A file that is read.
pub(super) struct Tracked {
    pub file: File,
    pub entry: Entry,
    /// Whether the path names it.
    pub is_current: bool,
    /// Whether what was before its end was left out in this run. Its last line was begun there, and is not
    /// taken for a whole one.
    pub is_begun_at_end: bool,
    /// Whether the files beside it were checked after it was first read. Before that it is not known whether it was
    /// truncated.
    pub is_placed: bool,
    /// Whether it was empty when it was taken up, beside the log file: it may be a copy that somebody is making.
    pub is_unproven: bool,
    /// When it was last found to hold what was read of it.
    pub known_at: SystemTime,
    /// Its version when everything that can be read had been read.
    read_at: Option<Version>,
    /// Whether it was read twice since then. Times of change are coarse, so that once is not enough.
    is_settled: bool,
    /// Since when there is nothing more to read.
    settled_at: Option<Instant>,
    /// Its version when it was last found to begin as it did when it was read.
    begun_at: Option<Version>,
    /// Whether all that is remembered of it must be compared with it before it is read on: it was opened again,
    /// or was longer before.
    must_prove: bool,
    hole: Option<Hole>,
    nuls: Nuls,
    /// Since when it has not changed.
    quiet_since: Option<(Version, Instant)>,
}

/// What shows that a file has changed.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Version {
    length: u64,
    modified: SystemTime,
    is_complete: bool,
}

/// NULs that have been looked at.
struct Hole {
    from: u64,
    to: u64,
    version: Version,
}

/// What comes after NULs.
enum AfterHole {
    /// Other bytes, from here on.
    Bytes(u64),
    /// The end of the file, or bytes before which text may still arrive.
    Nothing,
    /// It is not known before the next read.
    Unknown,
}

/// The result of reading a file.
pub(super) enum FileRead {
    /// There is nothing new.
    Nothing,
    /// It was truncated, and is to be read again; or it is not read any more.
    Truncated,
    /// There were no lines yet.
    More,
    Lines(Reading),
}

/// Lines that have been read and are to be published.
pub(super) struct Reading {
    pub position: Position,
    pub prefix: Prefix,
    /// How the file begins; empty where this is not its beginning.
    pub head: Vec<Tail>,
    /// The time of reading, where this is to be remembered before it is published.
    time: Option<String>,
}

impl Tracked {
    pub(super) fn new(file: File, entry: Entry, is_current: bool, known_at: SystemTime) -> Tracked {
        Tracked {
            is_placed: entry.has_been_read(),
            begun_at: None,
            must_prove: true,
            file,
            entry,
            is_current,
            is_begun_at_end: false,
            is_unproven: false,
            known_at,
            read_at: None,
            is_settled: false,
            settled_at: None,
            hole: None,
            nuls: Nuls::default(),
            quiet_since: None,
        }
    }

    /// Reads lines into a batch.
    pub(super) fn read(
        &mut self,
        source: &Source,
        buffer: &mut Vec<u8>,
        batch: &mut Batch,
    ) -> io::Result<FileRead> {
        let version = self.version(source.is_complete)?;
        if let Some(read) = self.without_reading(version) {
            return Ok(read);
        }
        let look = (!source.is_complete).then(|| Look::now(version.length));
        let encoding = encoding(&self.file)?;
        let mut most = SHIP_READ_BYTES;
        loop {
            let is_end = self.fill(buffer, most)?;
            // After reading: what is written again from here on has not been read.
            let is_other = self.was_written_again(self.version(source.is_complete)?)?;
            let Some(bytes) = self.entry.position.after_tail(buffer).filter(|_| !is_other) else {
                return Ok(FileRead::Truncated);
            };
            self.known_at = SystemTime::now();
            let tail = buffer.len() - bytes.len();
            let (bytes, ends) = self.before_young(bytes, is_end, version, look, encoding);
            let mut view = View::new(source, &buffer[..tail + bytes.len()], bytes, ends, encoding);
            let Some(mut lines) = Lines::new(source, &self.entry, &mut view, batch) else {
                return Ok(FileRead::Truncated);
            };
            let (at, written) = lines.take(&view);
            lines.position.remember_tail(&buffer[..tail + at]);
            if !lines.batch.is_empty() {
                return Ok(reading(lines, &bytes[..at], &self.entry));
            }
            let offset = self.entry.position.offset;
            self.entry.prefix = self.entry.prefix.with(offset, &bytes[..at]);
            self.entry.position = lines.position.clone();
            if self.entry.drop_pending() {
                continue;
            }
            if view.is_end {
                self.note_end(version, at + written == bytes.len() && !lines.is_waiting);
                return Ok(FileRead::Nothing);
            }
            if at > 0 {
                continue;
            }
            let longest = SHIP_LINE_MAX_BYTES + encoding.width();
            if written > 0 && std::mem::replace(&mut most, longest) < longest {
                continue;
            }
            if lines.is_waiting {
                return Ok(FileRead::Nothing);
            }
            let is_between_lines = written == 0 && lines.position.part == 0;
            let hole = lines.position.offset + written as u64;
            let read_to = lines.position.offset + bytes.len() as u64;
            match self.after_hole(hole, version, look)? {
                AfterHole::Unknown => return Ok(FileRead::More),
                // It has been written to since it was read.
                AfterHole::Bytes(at) if at == hole || at < read_to => {}
                AfterHole::Bytes(at) if is_between_lines => self.skip_to(at, encoding)?,
                AfterHole::Nothing if written == 0 || look.is_some() => {
                    return Ok(FileRead::Nothing)
                }
                AfterHole::Bytes(_) | AfterHole::Nothing => {
                    lines.push_before_hole(&view, tail, written);
                    return Ok(reading(lines, &bytes[..written], &self.entry));
                }
            }
        }
    }

    /// It was read to its end; `is_all` where nothing there waits for more.
    fn note_end(&mut self, version: Version, is_all: bool) {
        self.is_settled = self.read_at == Some(version) && is_all;
        self.read_at = Some(version);
        self.settled_at = self.is_settled.then(Instant::now);
    }

    /// What the version alone says about a file.
    fn without_reading(&mut self, version: Version) -> Option<FileRead> {
        if version.length < self.entry.position.offset {
            return Some(FileRead::Truncated);
        }
        let is_known = self.read_at == Some(version) && self.is_settled;
        is_known.then(|| {
            self.known_at = SystemTime::now();
            FileRead::Nothing
        })
    }

    /// Whether it holds other bytes than those that were read, although those before the position are the same. Its
    /// first bytes are compared whenever it has changed, and more of them if it may be another file.
    fn was_written_again(&mut self, version: Version) -> io::Result<bool> {
        let entry = &self.entry;
        if !entry.has_been_read() || self.begun_at == Some(version) {
            return Ok(false);
        }
        let is_shorter = self
            .begun_at
            .is_some_and(|known| version.length < known.length);
        if !entry.head.is_empty() && !entry.is_begun_like(&self.file)? {
            return Ok(true);
        }
        let is_the_same =
            version.length == entry.position.offset && entry.modified == nanos(version.modified);
        if is_shorter || self.must_prove && !is_the_same {
            if !entry.prefix.is_of(&self.file)? {
                return Ok(true);
            }
            self.must_prove = false;
        }
        self.begun_at = Some(version);
        Ok(false)
    }

    /// For how long there has been nothing more to read; none while there may be.
    pub(super) fn quiet_time(&self) -> Option<Duration> {
        let version = self.version(self.read_at?.is_complete).ok()?;
        let is_settled = self.is_settled && self.read_at == Some(version);
        let is_at_end =
            version.length == self.entry.position.offset && self.entry.pending.is_none();
        let since = self.settled_at.filter(|_| is_settled && is_at_end);
        since.map(|since| since.elapsed())
    }

    /// When it was last written to, if all of it had been read when it was last looked at.
    pub(super) fn modified_at_end(&self) -> Option<u64> {
        let offset = self.entry.position.offset;
        let version = self.read_at.filter(|version| version.length == offset);
        version.and_then(|version| nanos(version.modified))
    }

    /// Begins again in a file that was truncated.
    pub(super) fn restart(&mut self, source: &str) {
        let entry = &mut self.entry;
        entry.generation += 1;
        entry.position = Position::start(entry.identity, entry.generation, source, 0);
        entry.pending = None;
        entry.head.clear();
        entry.prefix = Prefix::default();
        self.is_placed = false;
        self.read_at = None;
        self.hole = None;
        self.nuls = Nuls::default();
        self.known_at = SystemTime::now();
    }

    fn version(&self, is_complete: bool) -> io::Result<Version> {
        let about = self.file.metadata()?;
        Ok(Version {
            length: about.len(),
            modified: about.modified()?,
            is_complete,
        })
    }

    /// Whether all was read that is there, with the last line as it is.
    pub(super) fn is_exhausted(&self) -> io::Result<bool> {
        Ok(self.read_at == Some(self.version(true)?))
    }

    /// Whether nothing has been written to it for so long that the last record counts as whole.
    fn is_quiet(&mut self, version: Version) -> bool {
        let known = self.quiet_since.filter(|(known, _)| *known == version);
        let (_, since) = *self
            .quiet_since
            .insert(known.unwrap_or((version, Instant::now())));
        since.elapsed() >= Duration::from_millis(SHIP_QUIET_MS)
    }

    /// What it holds after the position, as a sentence; `None` if that is nothing.
    pub(super) fn rest(&self) -> Option<String> {
        let offset = self.entry.position.offset;
        let length = self.file.metadata().ok()?.len().checked_sub(offset)?;
        let mut head = vec![0; SHIP_READ_BYTES];
        let count = read_at(&self.file, &mut head, offset).ok()?;
        let head = &head[..count];
        let is_mark = offset == 0 && length as usize == Encoding::of(head).mark_length(head);
        let is_nul = head.iter().all(|byte| *byte == 0);
        match (length, is_nul) {
            (0, _) => None,
            _ if is_mark => None,
            (_, true) => Some(format!(
                "{length} bytes of NUL at its end are not shipped; a later run ships what is written there"
            )),
            (_, false) => Some(format!(
                "{length} bytes at its end are not shipped; a later run goes on with them"
            )),
        }
    }

    /// Reads into `buffer` from the tail of the position on; true where it comes to the file's end.
    fn fill(&self, buffer: &mut Vec<u8>, most: usize) -> io::Result<bool> {
        buffer.resize(SHIP_TAIL_BYTES + most, 0);
        let count = read_at(&self.file, buffer, self.entry.position.read_from())?;
        buffer.truncate(count);
        Ok(count < SHIP_TAIL_BYTES + most)
    }

    /// What comes before NULs that may still become text; and whether it is the end, and quiet.
    fn before_young<'a>(
        &mut self,
        bytes: &'a [u8],
        is_end: bool,
        version: Version,
        look: Option<Look>,
        encoding: Encoding,
    ) -> (&'a [u8], (bool, bool)) {
        let is_quiet = look.is_none() || self.is_quiet(version);
        let from = self.entry.position.offset;
        // What has perhaps been published is read again as it was.
        let look = look.filter(|_| self.entry.pending.is_none());
        match look.and_then(|look| self.nuls.find_young(bytes, from, look, encoding)) {
            Some(nul) => (&bytes[..nul], (false, false)),
            None => (bytes, (is_end, is_quiet)),
        }
    }

    /// Finds what comes after NULs that begin at `from`, within a bounded number of bytes.
    fn after_hole(
        &mut self,
        from: u64,
        version: Version,
        look: Option<Look>,
    ) -> io::Result<AfterHole> {
        let known = self.hole.as_ref();
        let known = known.filter(|hole| hole.from == from && hole.version == version);
        let mut at = known.map_or(from, |hole| hole.to);
        // Most are holes of the file system as well, which need not be read.
        match seek(&self.file, SeekFrom::Data(at)) {
            Ok(data) => at = data,
            Err(Errno::NXIO) => at = version.length,
            Err(_) => {}
        }
        let until = at.saturating_add(SHIP_HOLE_BYTES);
        let mut piece = vec![0; SHIP_READ_BYTES];
        while at < version.length.min(until) {
            let count = read_at(&self.file, &mut piece, at)?;
            if let Some(length) = piece[..count].iter().position(|byte| *byte != 0) {
                let to = at + length as u64;
                let is_young =
                    to > from && look.is_some_and(|look| self.nuls.are_young(from, look));
                return Ok(match is_young {
                    true => AfterHole::Nothing,
                    false => AfterHole::Bytes(to),
                });
            }
            at += count as u64;
            if count == 0 {
                at = version.length;
            }
        }
        let to = at.min(version.length);
        self.hole = Some(Hole { from, to, version });
        Ok(match to == version.length {
            true => AfterHole::Nothing,
            false => AfterHole::Unknown,
        })
    }

    /// Moves the position past NULs.
    fn skip_to(&mut self, offset: u64, encoding: Encoding) -> io::Result<()> {
        let offset = offset - offset % encoding.width() as u64;
        let position = &mut self.entry.position;
        position.skip((offset - position.offset) as usize);
        position.read_tail(&self.file)
    }
}

/// Lines that have been put together, and their bytes.
fn reading(lines: Lines, bytes: &[u8], before: &Entry) -> FileRead {
    FileRead::Lines(Reading {
        prefix: before.prefix.with(before.position.offset, bytes),
        head: match lines.position.offset == bytes.len() as u64 {
            true => Tail::heads(bytes),
            false => Vec::new(),
        },
        position: lines.position,
        time: lines.must_announce.then_some(lines.time),
    })
}

impl Reading {
    /// What is remembered before it is published; none if nothing need be.
    pub(super) fn pending(&self) -> Option<Pending> {
        self.time.as_ref().map(|time| Pending {
            until: self.position.offset,
            read_at: time.clone(),
            tail: Some(self.position.tail()),
        })
    }
}

/// How the characters of a file are written.
pub(super) fn encoding(file: &File) -> io::Result<Encoding> {
    let mut head = [0; HEAD_BYTES];
    let count = read_at(file, &mut head, 0)?;
    Ok(Encoding::of(&head[..count]))
}

/// The position of a state of the first version, which skipped NULs at the end of a file: where its lines
/// end. None if that cannot be found.
pub(super) fn without_nuls(
    file: &File,
    entry: &Entry,
    source: &str,
) -> io::Result<Option<Position>> {
    let mut last = [1];
    if let Some(at) = entry.position.offset.checked_sub(1) {
        read_at(file, &mut last, at)?;
    }
    if last != [0] && !entry.position.has_tail_of_nuls() {
        return Ok(None);
    }
    let bounds = Bounds {
        is_complete: false,
        encoding: Encoding::Bytes,
    };
    let mut position = Position::start(entry.identity, entry.generation, source, 0);
    let mut buffer = vec![0; SHIP_LINE_MAX_BYTES + 1];
    while !position.has_read_the_same(&entry.position) {
        let from = position.offset;
        let count = read_at(file, &mut buffer, from)?;
        let mut at = 0;
        while !position.has_read_the_same(&entry.position) {
            match lines::next(&buffer[at..count], position.part, bounds) {
                Next::Hole(length) => {
                    at += length;
                    position.skip(length);
                }
                Next::Line(line) => {
                    at += line.length;
                    position.pass(&line);
                }
                Next::Unfinished(_) => break,
            }
        }
        if position.offset == from || position.offset > entry.position.offset {
            return Ok(None);
        }
    }
    position.read_tail(file)?;
    Ok(Some(position))
}
