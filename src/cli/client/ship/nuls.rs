//! NULs with other bytes after them. A file system that writes the pages of a file in any order, as those over a
//! network do, shows NULs where text is a moment later. So they count as what was written only when they have stood
//! a while.

use std::time::{Duration, Instant};

use super::decoding::Encoding;
use crate::limits::SHIP_QUIET_MS;

/// Which NULs of a file have stood for a while.
#[derive(Debug, Default)]
pub(super) struct Nuls {
    /// Those before this offset.
    old_until: u64,
    /// The length of the file when NULs were met that are not old, and when that was. They all become old together.
    met: Option<(u64, Instant)>,
}

/// One reading of the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// Before anything was read.
    begun: Instant,
    /// The length that the file had then.
    length: u64,
}

impl Look {
    /// One that begins now.
    pub(super) fn now(length: u64) -> Look {
        let begun = Instant::now();
        Look { begun, length }
    }
}

impl Nuls {
    /// Whether the NULs at `offset` may still become text. They were read after `look` began.
    pub(super) fn are_young(&mut self, offset: u64, look: Look) -> bool {
        if offset < self.old_until {
            return false;
        }
        let now = Instant::now();
        let (until, since) = *self.met.get_or_insert((look.length, now));
        if look.begun.saturating_duration_since(since) < Duration::from_millis(SHIP_QUIET_MS) {
            return true;
        }
        self.old_until = until;
        // Those that came meanwhile begin to wait.
        self.met = (offset >= until).then_some((look.length, now));
        self.met.is_some()
    }

    /// Where in `bytes`, which begin at the offset `from`, the first young NULs are that have other bytes after them.
    pub(super) fn find_young(
        &mut self,
        bytes: &[u8],
        from: u64,
        look: Look,
        encoding: Encoding,
    ) -> Option<usize> {
        if !bytes.contains(&0) {
            return None;
        }
        let width = encoding.width();
        let old = self.old_until.saturating_sub(from).min(bytes.len() as u64) as usize;
        let old = old.next_multiple_of(width);
        let text_ends = bytes.iter().rposition(|byte| *byte != 0)?;
        let young = bytes.get(old..text_ends)?;
        let is_nul = |unit: &[u8]| unit.iter().all(|byte| *byte == 0);
        let at = old + width * young.chunks_exact(width).position(is_nul)?;
        self.are_young(from + at as u64, look).then_some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn young(nuls: &mut Nuls, bytes: &[u8], from: u64) -> Option<usize> {
        let look = Look::now(from + bytes.len() as u64);
        nuls.find_young(bytes, from, look, Encoding::Bytes)
    }

    #[test]
    fn only_nuls_before_other_bytes_are_waited_for() {
        for (bytes, at) in [
            (&b"a\nb\n"[..], None),
            (b"a\n\0\0", None),
            (b"\0", None),
            (b"a\n\0\0b", Some(2)),
        ] {
            assert_eq!(young(&mut Nuls::default(), bytes, 9), at);
        }
    }

    #[test]
    fn all_that_had_been_met_become_old_together() {
        let mut nuls = Nuls::default();
        assert!(nuls.are_young(4, Look::now(100)));
        let later = |length| Look {
            begun: Instant::now() + Duration::from_millis(SHIP_QUIET_MS),
            length,
        };
        assert!(!nuls.are_young(4, later(200)) && !nuls.are_young(99, Look::now(200)));
        assert!(nuls.are_young(100, later(200)));
        assert_eq!(young(&mut nuls, b"\0a\0a", 96), None);
        assert_eq!(young(&mut nuls, b"\0a\0\0\0a", 96), Some(4));
        // A look that began before has seen nothing of the time since.
        assert!(nuls.are_young(100, Look::now(200)));
    }
}
