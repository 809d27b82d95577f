//! Lines from files and from standard input, one after another, with the place of each. A signal ends a
//! wait for them, and a line that is longer than any event is skipped without being held in memory.

use std::fs::{self, File};
use std::io::{self, stdin, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::PollFlags;
use rustix::fs::OFlags;

use crate::cli::failure::Failure;
use crate::client::Interrupt;
use crate::limits::{CLIENT_BUFFER_BYTES, CLIENT_LINE_MAX_BYTES};

/// Where a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The number of the file among the arguments.
    file: usize,
    /// Counted from 1.
    pub line: u64,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<'a> {
    /// A line that is not blank, without white space around it.
    Line(Place, &'a [u8]),
    /// A line that was skipped.
    TooLong(Place),
    /// The time was up.
    Idle,
    End,
}

/// The lines of several files. `-` is standard input, and so is no file at all.
pub(super) struct Input {
    paths: Vec<PathBuf>,
    /// The number of the file that is read or, without one, comes next.
    file: usize,
    open: Option<Lines>,
    /// Bytes of all files together; none if that cannot be known.
    total: Option<u64>,
    max_bytes: usize,
    from_line: u64,
}

/// One file that is being read.
struct Lines {
    source: File,
    /// Lines whose end has been seen.
    line: u64,
    received: Vec<u8>,
    /// What is before it has been handed out.
    read: usize,
    /// Up to here there is no line end after `read`.
    searched: usize,
    is_at_end: bool,
    /// Whether the rest of a line is skipped.
    skips: bool,
}

impl Input {
    /// # Errors
    /// A file cannot be read, as far as that shows before it is read.
    pub(super) fn open(paths: &[PathBuf], from_line: u64) -> Result<Input, Failure> {
        let standard = [PathBuf::from("-")];
        let paths = if paths.is_empty() { &standard } else { paths };
        let mut total = Some(0);
        for path in paths {
            if is_standard(path) {
                total = None;
                continue;
            }
            let metadata = fs::metadata(path).map_err(|error| cannot_read(path, &error))?;
            if metadata.is_dir() {
                let error = io::Error::from(io::ErrorKind::IsADirectory);
                return Err(cannot_read(path, &error));
            }
            let length = metadata.is_file().then_some(metadata.len());
            total = total.zip(length).map(|(total, length)| total + length);
        }
        Ok(Input {
            paths: paths.to_vec(),
            file: 0,
            open: None,
            total,
            max_bytes: CLIENT_LINE_MAX_BYTES,
            from_line,
        })
    }

    /// Bytes of all files together; none if that cannot be known.
    pub(super) fn total(&self) -> Option<u64> {
        self.total
    }

    /// The place as a person reads it: `FILE:LINE`.
    pub(super) fn name_of(&self, place: Place) -> String {
        let path = &self.paths[place.file];
        match is_standard(path) {
            true => format!("standard input:{}", place.line),
            false => format!("{}:{}", path.display(), place.line),
        }
    }

    /// Waits for the next line, at most for a time. `passed` grows by the bytes that were read.
    pub(super) fn next(
        &mut self,
        interrupt: &Interrupt,
        wait: Option<Duration>,
        passed: &mut u64,
    ) -> Result<Next<'_>, Failure> {
        let (place, range) = loop {
            let Some(lines) = &mut self.open else {
                let Some(path) = self.paths.get(self.file) else {
                    return Ok(Next::End);
                };
                self.open = Some(Lines::open(path).map_err(|error| cannot_read(path, &error))?);
                continue;
            };
            let range = lines.take(self.max_bytes);
            let place = Place {
                file: self.file,
                line: lines.line,
            };
            let is_wanted = place.file > 0 || place.line >= self.from_line;
            match range {
                Taken::Line(range) if is_wanted && !range.is_empty() => break (place, range),
                Taken::TooLong if is_wanted => return Ok(Next::TooLong(place)),
                Taken::Line(_) | Taken::TooLong => continue,
                Taken::End => {
                    self.open = None;
                    self.file += 1;
                    continue;
                }
                Taken::Nothing => {}
            }
            if !interrupt.wait(lines.source.as_fd(), PollFlags::IN, wait)? {
                return Ok(Next::Idle);
            }
            let count = lines.receive();
            *passed += count.map_err(|error| cannot_read(&self.paths[self.file], &error))? as u64;
        };
        let lines = self.open.as_ref().expect("the line was taken from it");
        Ok(Next::Line(place, &lines.received[range]))
    }
}

/// What the received bytes begin with.
enum Taken {
    /// The range of a line in the buffer.
    Line(std::ops::Range<usize>),
    TooLong,
    /// More must be read.
    Nothing,
    End,
}

impl Lines {
    fn open(path: &Path) -> io::Result<Lines> {
        let source = match is_standard(path) {
            true => File::from(stdin().as_fd().try_clone_to_owned()?),
            // A pipe without a writer is waited for later, where a signal can end the wait.
            false => {
                let flags = OFlags::NONBLOCK.bits() as i32;
                let mut options = File::options();
                options.read(true).custom_flags(flags).open(path)?
            }
        };
        Ok(Lines::of(source))
    }

    fn of(source: File) -> Lines {
        Lines {
            source,
            line: 0,
            received: Vec::new(),
            read: 0,
            searched: 0,
            is_at_end: false,
            skips: false,
        }
    }

    fn take(&mut self, max_bytes: usize) -> Taken {
        let start = self.read;
        let end = memchr::memchr(b'\n', &self.received[self.searched..]);
        let range = match end {
            Some(length) => {
                let end = self.searched + length;
                self.read = end + 1;
                start..end
            }
            None if self.is_at_end && (start < self.received.len() || self.skips) => {
                self.read = self.received.len();
                start..self.read
            }
            None if self.is_at_end => return Taken::End,
            None => {
                self.searched = self.received.len();
                if self.searched - start > max_bytes {
                    self.skips = true;
                }
                if self.skips {
                    self.read = self.searched;
                }
                return Taken::Nothing;
            }
        };
        self.searched = self.read;
        self.line += 1;
        if std::mem::take(&mut self.skips) || range.len() > max_bytes {
            return Taken::TooLong;
        }
        Taken::Line(self.trimmed(range))
    }

    /// The range without white space at its ends and, at the start of a file, without a byte order mark.
    fn trimmed(&self, range: std::ops::Range<usize>) -> std::ops::Range<usize> {
        let mut text = &self.received[range.clone()];
        if self.line == 1 {
            text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
        }
        let start = range.end - text.trim_ascii_start().len();
        let length = text.trim_ascii().len();
        start..start + length
    }

    /// Reads once; the number of bytes.
    fn receive(&mut self) -> io::Result<usize> {
        self.received.drain(..self.read);
        self.searched -= self.read;
        self.read = 0;
        let length = self.received.len();
        self.received.resize(length + CLIENT_BUFFER_BYTES, 0);
        let result = loop {
            match self.source.read(&mut self.received[length..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Standard input may be shared with a program that has made it non-blocking.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.received.truncate(length);
                    return Ok(0);
                }
                result => break result,
            }
        };
        let count = *result.as_ref().unwrap_or(&0);
        self.received.truncate(length + count);
        self.is_at_end = count == 0;
        result
    }
}

fn is_standard(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn cannot_read(path: &Path, error: &io::Error) -> Failure {
    let name = match is_standard(path) {
        true => "standard input".into(),
        false => path.to_string_lossy(),
    };
    Failure::Failed(format!("cannot read {name}: {error}"))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// A pipe that is written to in pieces, as lines.
    fn lines(pieces: &[&[u8]], max_bytes: usize) -> Vec<(u64, Option<String>)> {
        let (source, mut sink) = io::pipe().unwrap();
        let mut lines = Lines::of(File::from(std::os::fd::OwnedFd::from(source)));
        let mut found = Vec::new();
        let mut drain = |lines: &mut Lines| loop {
            match lines.take(max_bytes) {
                Taken::Line(range) => {
                    let text = String::from_utf8(lines.received[range].to_vec()).unwrap();
                    found.push((lines.line, Some(text)));
                }
                Taken::TooLong => found.push((lines.line, None)),
                Taken::Nothing => return true,
                Taken::End => return false,
            }
        };
        for piece in pieces {
            sink.write_all(piece).unwrap();
            lines.receive().unwrap();
            assert!(drain(&mut lines));
        }
        drop(sink);
        lines.receive().unwrap();
        assert!(!drain(&mut lines));
        found
    }

    #[test]
    fn lines_are_found_however_they_come() {
        let text = "\u{feff} one \r\n\n  \ntwo\nthree".as_bytes();
        let expected = [(1, "one"), (2, ""), (3, ""), (4, "two"), (5, "three")]
            .map(|(line, text)| (line, Some(text.to_owned())));
        assert_eq!(lines(&[text], 100), expected);
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(lines(&bytes, 100), expected);
        assert_eq!(lines(&[], 100), []);
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over() {
        let some = |line, text: &str| (line, Some(text.to_owned()));
        for pieces in [
            &[&b"a\n123456\nb\n"[..]][..],
            &[b"a\n12", b"34", b"56", b"78", b"90\nb", b"\n"],
            &[b"a\n12345678\n", b"b"],
        ] {
            assert_eq!(lines(pieces, 5), [some(1, "a"), (2, None), some(3, "b")]);
        }
        assert_eq!(lines(&[b"123456", b"7"], 5), [(1, None)]);
        assert_eq!(lines(&[b"12345", b"\n"], 5), [some(1, "12345")]);
    }
}
