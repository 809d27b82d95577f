//! The tokens file: reads it at the start and at each SIGHUP, and logs what was read.
//!
//! The text of the file is wiped after reading; no part of it goes anywhere else.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::process::{getegid, getgroups, Gid};
use zeroize::Zeroizing;

use crate::limits::TOKENS_FILE_MAX_BYTES;
use crate::tokens::Tokens;

/// What a mode allows to the group and to all others.
const READABLE: u32 = 0o044;
const WRITABLE: u32 = 0o022;
const GROUP_READABLE: u32 = 0o040;

/// A tokens file that was read; nothing about it has been logged yet.
pub(super) struct Loaded {
    tokens: Tokens,
    /// The bits of its mode that let others than its owner and this server read it, or others than its owner write it.
    open_to_others: u32,
}

/// Reads a tokens file. The error is one sentence with the file's name and, where one line is at fault,
/// the line's number.
pub(super) fn load(path: &Path) -> Result<Loaded, String> {
    let (text, open_to_others) =
        read(path).map_err(|e| format!("{} cannot be read: {e}", path.display()))?;
    let tokens = Tokens::parse(&text).map_err(|bad| format!("{}, {bad}", path.display()))?;
    Ok(Loaded {
        tokens,
        open_to_others,
    })
}

/// The text of an ordinary file, and the bits of its mode for [`Loaded::open_to_others`].
fn read(path: &Path) -> io::Result<(Zeroizing<Vec<u8>>, u32)> {
    // Opening a pipe blocks until it has a writer, unless it is non-blocking, and the whole server would hang.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not an ordinary file"));
    }
    // With capacity for all of it, no reallocation leaves a copy in memory.
    let mut text = Zeroizing::new(Vec::with_capacity(TOKENS_FILE_MAX_BYTES + 1));
    file.take(TOKENS_FILE_MAX_BYTES as u64 + 1)
        .read_to_end(&mut text)?;
    if text.len() > TOKENS_FILE_MAX_BYTES {
        let sentence = format!("it has more than {TOKENS_FILE_MAX_BYTES} bytes");
        return Err(io::Error::other(sentence));
    }
    let mode = metadata.permissions().mode() & (READABLE | WRITABLE);
    let may_read = may_read(path, metadata.gid());
    Ok((text, mode & !may_read))
}

/// The bits with which a mode lets others read what is for this server: those of its own group, as where the file
/// belongs to root, and all where systemd made the file for this service (systemd.exec(5)).
fn may_read(path: &Path, group: u32) -> u32 {
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").filter(|name| !name.is_empty());
    if credentials.is_some_and(|folder| path.starts_with(folder)) {
        return READABLE;
    }
    let others = getgroups().unwrap_or_default();
    let is_own = |gid: &Gid| gid.as_raw() == group;
    match is_own(&getegid()) || others.iter().any(is_own) {
        true => GROUP_READABLE,
        false => 0,
    }
}

impl Loaded {
    /// Logs what was read, and returns the tokens.
    pub(super) fn announce(self, path: &Path) -> Tokens {
        let (count, path) = (self.tokens.len(), path.display());
        log::info!("{count} tokens in the tokens file {path}");
        if self.tokens.is_empty() {
            log::warn!("the tokens file {path} has no tokens: no client may publish or read");
        }
        if self.open_to_others & READABLE != 0 {
            log::warn!(
                "the tokens file {path} can be read by others than its owner and this server"
            );
        }
        if self.open_to_others & WRITABLE != 0 {
            log::warn!(
                "the tokens file {path} can be written by others than its owner, who can add tokens"
            );
        }
        self.tokens
    }
}

/// Reads the file again after SIGHUP. On failure the reason is logged and the tokens that were read before stay.
pub(super) fn reload(path: Option<&Path>) -> Option<Tokens> {
    let Some(path) = path else {
        log::info!("SIGHUP: no tokens file is configured, nothing to reload");
        return None;
    };
    match load(path) {
        Ok(loaded) => Some(loaded.announce(path)),
        Err(why) => {
            log::error!("the old tokens stay in use: the tokens file {why}");
            None
        }
    }
}
