//! The bounded queue of lines between the program and standard error, and the count of what was lost.
//!
//! Owns the bytes and the bookkeeping, and does no I/O. Lines leave in the order in which they came; where some were
//! lost, a report of how many takes their place once there is room again.

use crate::limits::LOG_BUFFER_BYTES;

/// Whole lines that wait, at most [`LOG_BUFFER_BYTES`]. The first may be partly written already.
///
/// Invariant: `head <= bytes.len()`, `bytes` ends with a line end, `bytes.len() - head` is within the
/// bound, and `head` stays below half the bound.
#[derive(Default)]
pub(super) struct LineBuffer {
    bytes: Vec<u8>,
    /// Bytes at the start of `bytes` that are written.
    head: usize,
    /// Whether what was written last is not the end of a line.
    mid_line: bool,
    /// The report of lost lines that waits in `bytes`. There is at most one at a time.
    report: Option<Report>,
    /// Lines lost since the start.
    dropped: u64,
    /// Those of them that no report has named.
    unreported: u64,
}

struct Report {
    /// The offset in `bytes` after the report.
    end: usize,
    /// How many lines it names.
    lines: u64,
}

impl LineBuffer {
    /// Whether everything has been written or dropped.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What is to be written next.
    pub(super) fn unwritten(&self) -> &[u8] {
        &self.bytes[self.head..]
    }

    /// Lines lost since the start.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Adds the line that `format` appends, without its line end, or counts it as dropped: where it
    /// does not fit, and where lines before it were lost and are not reported yet.
    pub(super) fn push(&mut self, format: impl FnOnce(&mut Vec<u8>)) {
        if self.unreported > 0 || !self.append(format) {
            self.dropped += 1;
            self.unreported += 1;
        }
    }

    /// The number of lost lines to report with [`push_report`](Self::push_report) now. `None` where none
    /// were lost, the last report still waits, or half the room is not free yet (so that a reader that is
    /// a little too slow does not get a report for every other line).
    pub(super) fn owed(&self) -> Option<u64> {
        let has_room = self.unwritten().len() <= LOG_BUFFER_BYTES / 2;
        (self.unreported > 0 && self.report.is_none() && has_room).then_some(self.unreported)
    }

    /// Adds the line that `format` appends as the report of [`owed`](Self::owed) lines.
    pub(super) fn push_report(&mut self, format: impl FnOnce(&mut Vec<u8>)) {
        if self.append(format) {
            self.report = Some(Report {
                end: self.bytes.len(),
                lines: self.unreported,
            });
            self.unreported = 0;
        }
    }

    /// Takes away the first `count` of the [`unwritten`](Self::unwritten) bytes, which are written.
    pub(super) fn consume(&mut self, count: usize) {
        if count == 0 {
            return;
        }
        self.head += count;
        self.mid_line = self.bytes[self.head - 1] != b'\n';
        if self
            .report
            .as_ref()
            .is_some_and(|report| report.end <= self.head)
        {
            self.report = None;
        }
        if self.head == self.bytes.len() {
            self.bytes.clear();
            self.head = 0;
        } else if self.head >= LOG_BUFFER_BYTES / 2 {
            self.bytes.drain(..self.head);
            if let Some(report) = &mut self.report {
                report.end -= self.head;
            }
            self.head = 0;
        }
    }

    /// Drops all that waits and counts its lines, a partly written one included.
    pub(super) fn discard(&mut self) {
        let lost = self.unwritten();
        let line_ends = memchr::memchr_iter(b'\n', lost).count() as u64;
        // A line end alone is the rest of a line that was complete but for it, or the end that `append`
        // gave to a torn one: in neither case has a record been lost with it.
        let mut lines = line_ends - u64::from(lost.first() == Some(&b'\n'));
        if let Some(report) = self.report.take() {
            self.unreported += report.lines;
            lines -= 1;
        }
        self.dropped += lines;
        self.unreported += lines;
        self.bytes.clear();
        self.head = 0;
    }

    fn append(&mut self, format: impl FnOnce(&mut Vec<u8>)) -> bool {
        let start = self.bytes.len();
        if start == 0 && self.mid_line {
            // The rest of the line that was being written has been discarded.
            self.bytes.push(b'\n');
        }
        format(&mut self.bytes);
        self.bytes.push(b'\n');
        let fits = self.bytes.len() - self.head <= LOG_BUFFER_BYTES;
        if !fits {
            self.bytes.truncate(start);
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn push(buffer: &mut LineBuffer, line: &str) {
        if let Some(lines) = buffer.owed() {
            buffer.push_report(|out| out.extend_from_slice(format!("lost {lines}").as_bytes()));
        }
        buffer.push(|out| out.extend_from_slice(line.as_bytes()));
    }

    #[test]
    fn lines_leave_in_order_and_in_any_pieces() {
        let mut buffer = LineBuffer::default();
        let mut written = Vec::new();
        for number in 0..100 {
            push(&mut buffer, &format!("line {number}"));
            let piece = buffer.unwritten().len().min(number % 13);
            written.extend_from_slice(&buffer.unwritten()[..piece]);
            buffer.consume(piece);
        }
        written.extend_from_slice(buffer.unwritten());
        let expected: String = (0..100).map(|number| format!("line {number}\n")).collect();
        assert_eq!(String::from_utf8(written).unwrap(), expected);
    }

    #[test]
    fn a_line_torn_by_a_failure_does_not_run_into_the_next() {
        let mut buffer = LineBuffer::default();
        push(&mut buffer, "torn");
        buffer.consume(2);
        buffer.discard();
        push(&mut buffer, "next");
        assert_eq!(buffer.unwritten(), b"\nlost 1\nnext\n");
        buffer.discard();
        assert_eq!(
            buffer.dropped(),
            2,
            "the report and the torn line's end are not lines that were lost"
        );
        push(&mut buffer, "last");
        assert_eq!(buffer.unwritten(), b"\nlost 2\nlast\n");
    }

    #[test]
    fn a_line_that_lost_only_its_end_is_not_lost() {
        let mut buffer = LineBuffer::default();
        push(&mut buffer, "whole");
        buffer.consume(5);
        buffer.discard();
        buffer.discard();
        push(&mut buffer, "next");
        assert_eq!(buffer.unwritten(), b"\nnext\n");
        assert_eq!(buffer.dropped(), 0);
    }

    #[test]
    fn a_line_longer_than_the_buffer_is_dropped_alone() {
        let mut buffer = LineBuffer::default();
        push(&mut buffer, &"x".repeat(LOG_BUFFER_BYTES));
        assert!(buffer.is_empty());
        push(&mut buffer, "next");
        assert_eq!(buffer.unwritten(), b"lost 1\nnext\n");
    }

    /// Writes the first `size` waiting bytes, less the line end that a torn line left.
    fn write(buffer: &mut LineBuffer, size: usize, torn: &mut bool, written: &mut String) {
        let piece =
            std::str::from_utf8(&buffer.unwritten()[..buffer.unwritten().len().min(size)]).unwrap();
        if *torn && !piece.is_empty() {
            written.push_str(
                piece
                    .strip_prefix('\n')
                    .expect("a torn line is ended first"),
            );
            *torn = false;
        } else {
            written.push_str(piece);
        }
        buffer.consume(piece.len());
    }

    proptest! {
        /// Whatever is written, stuck or failed: each line is seen whole, once and in order, or is named
        /// as lost at its place by exactly one report.
        #[test]
        fn every_line_is_written_or_reported(steps in prop::collection::vec((0_u8..10, 1_usize..200_000), 1..200)) {
            let mut buffer = LineBuffer::default();
            let mut written = String::new();
            let (mut pushed, mut torn) = (0_u64, false);
            for (step, size) in steps {
                match step {
                    0..=5 => {
                        push(&mut buffer, &format!("line {pushed} {}.", "x".repeat(size)));
                        pushed += 1;
                    }
                    6..=8 => write(&mut buffer, size, &mut torn, &mut written),
                    _ => {
                        let ends_with_line = written.is_empty() || written.ends_with('\n');
                        let mut lines = buffer.unwritten().split(|&byte| byte == b'\n');
                        let rest = lines.next().unwrap_or_default();
                        if !torn && !ends_with_line && !rest.is_empty() {
                            written.truncate(written.rfind('\n').map_or(0, |at| at + 1));
                            torn = true;
                        }
                        buffer.discard();
                    }
                }
                prop_assert!(buffer.unwritten().len() <= LOG_BUFFER_BYTES);
                prop_assert!(buffer.bytes.len() <= LOG_BUFFER_BYTES / 2 * 3);
            }
            write(&mut buffer, usize::MAX, &mut torn, &mut written);
            push(&mut buffer, "end");
            write(&mut buffer, usize::MAX, &mut torn, &mut written);

            let (mut next, mut reported) = (0_u64, 0_u64);
            for line in written.lines() {
                if let Some(lines) = line.strip_prefix("lost ") {
                    let lines: u64 = lines.parse().unwrap();
                    next += lines;
                    reported += lines;
                } else if line != "end" {
                    prop_assert!(line.starts_with(&format!("line {next} ")) && line.ends_with('.'), "at {}", next);
                    next += 1;
                }
            }
            prop_assert!(written.ends_with("end\n"));
            prop_assert_eq!(next, pushed);
            prop_assert_eq!(reported, buffer.dropped());
        }
    }
}
