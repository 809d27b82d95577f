//! The files beside a log file, and where its links lead.
//!
//! A folder is listed again when it has changed, which is checked once a turn, however many log files it holds.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::OFlags;

use super::names::{self, Shape};
use super::position::Identity;
use crate::limits::{SHIP_LINKS_MAX, SHIP_POLL_MS};

/// Turns after which the names in a folder that were not used are forgotten.
const TURNS_KEPT: u64 = 64;

/// The names in folders.
#[derive(Default)]
pub(super) struct Folders {
    known: BTreeMap<PathBuf, Folder>,
    turn: u64,
    listings: u64,
}

struct Folder {
    modified: Option<SystemTime>,
    listed_at: Instant,
    /// Whether it was listed twice with this time of change. Those times are coarse.
    is_settled: bool,
    /// The turn in which it was last asked for.
    turn: u64,
    listing: Listing,
}

/// The names in a folder at some time.
#[derive(Clone)]
pub(super) struct Listing {
    /// Another one for each listing.
    pub number: u64,
    /// Sorted.
    names: Rc<Vec<OsString>>,
}

impl Listing {
    /// The names that begin with some bytes.
    fn beginning_with<'a>(&'a self, stem: &'a [u8]) -> impl Iterator<Item = &'a OsStr> {
        let first = self.names.partition_point(|name| name.as_bytes() < stem);
        let names = self.names[first..].iter();
        names
            .map(OsString::as_os_str)
            .take_while(move |name| name.as_bytes().starts_with(stem))
    }
}

impl Folders {
    /// From now on folders are checked again.
    pub(super) fn next_turn(&mut self) {
        self.turn += 1;
        if self.turn.is_multiple_of(TURNS_KEPT) {
            let turn = self.turn;
            self.known
                .retain(|_, folder| turn - folder.turn < TURNS_KEPT);
        }
    }

    /// The names in a folder as they are in this turn or, with a time, as they were at that time or later. One
    /// that cannot be listed has none that could be read.
    fn listing(&mut self, folder: &Path, since: Option<Instant>) -> Listing {
        let turn = self.turn;
        let known = self.known.get_mut(folder);
        let is_new_enough = |known: &&mut Folder| match since {
            None => known.turn == turn,
            Some(since) => known.listed_at >= since,
        };
        if let Some(known) = known.filter(is_new_enough) {
            return known.listing.clone();
        }
        let modified = fs::metadata(folder).and_then(|about| about.modified()).ok();
        let pause = Duration::from_millis(SHIP_POLL_MS / 2);
        let mut is_settled = false;
        if let Some(known) = self.known.get_mut(folder) {
            known.turn = turn;
            let is_same = known.modified == modified && modified.is_some();
            if is_same && known.is_settled && since.is_none() {
                return known.listing.clone();
            }
            is_settled = is_same && known.listed_at.elapsed() >= pause;
        }
        let listed_at = Instant::now();
        let entries = fs::read_dir(folder).into_iter().flatten();
        let names = entries.filter_map(|entry| Some(entry.ok()?.file_name()));
        let mut names: Vec<OsString> = names.collect();
        names.sort_unstable();
        let known = self.known.get(folder);
        let same = known.filter(|known| *known.listing.names == names);
        let listing = same.map(|known| known.listing.clone());
        let listing = listing.unwrap_or_else(|| {
            self.listings += 1;
            Listing {
                number: self.listings,
                names: Rc::new(names),
            }
        });
        let folder_now = Folder {
            modified,
            listed_at,
            is_settled,
            turn,
            listing: listing.clone(),
        };
        self.known.insert(folder.to_owned(), folder_now);
        listing
    }
}

/// A file beside a log file.
#[derive(Clone)]
pub(super) struct RotatedFile {
    pub path: PathBuf,
    pub kind: Kind,
    pub identity: Identity,
    pub length: u64,
    /// Times in nanoseconds since 1970: when it was last written to, and when anything of it was changed.
    pub modified: i128,
    pub changed: i128,
}

/// Why the log file may have been this file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Rotated(Shape),
    /// It has a name like the files that the link led to before and after, or its name says nothing.
    LinkTarget,
}

impl RotatedFile {
    /// What tells it from others where the file system has no times of birth.
    pub(super) fn key(&self) -> Identity {
        let modified = u64::try_from(self.modified).ok();
        Identity {
            born: self.identity.born.or(modified),
            ..self.identity
        }
    }
}

/// The place of a path, with its folder resolved. A link has a place of its own.
pub(super) fn place(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|path| !path.as_os_str().is_empty());
    let folder = fs::canonicalize(folder.unwrap_or(Path::new(".")));
    let named = |folder: PathBuf| folder.join(path.file_name().unwrap_or_default());
    folder.map_or(path.to_owned(), named)
}

/// The places where a path leads through links, and itself. The last one is the file.
pub(super) fn places(path: &Path) -> Vec<PathBuf> {
    let mut places = vec![path.to_owned()];
    while let Some(target) = places.last().and_then(|place| fs::read_link(place).ok()) {
        if places.len() > SHIP_LINKS_MAX {
            break;
        }
        let place = places[places.len() - 1].with_file_name("").join(target);
        places.push(place);
    }
    places
}

/// The folders of some places as they are listed.
pub(super) fn listings(
    places: &[PathBuf],
    folders: &mut Folders,
    since: Option<Instant>,
) -> Vec<Listing> {
    let listing = |place: &PathBuf| {
        let folder = place.parent().filter(|path| !path.as_os_str().is_empty());
        folders.listing(folder.unwrap_or(Path::new(".")), since)
    };
    places.iter().map(listing).collect()
}

/// The files that this log file may have been, the oldest first. `before` is the file that the last of the
/// places was when the log file was another one.
pub(super) fn rotated_files(
    places: &[PathBuf],
    listings: &[Listing],
    before: Option<&Path>,
) -> Vec<RotatedFile> {
    let mut found = Vec::new();
    for (place, listing) in places.iter().zip(listings) {
        let Some(log) = place.file_name().map(OsStr::as_bytes) else {
            continue;
        };
        found.extend(rotated(place, listing, log));
    }
    if let (Some(place), Some(listing), Some(before)) = (places.last(), listings.last(), before) {
        // Each of them may have been rotated under its own name before the link left it.
        let targets = link_targets(place, listing, before);
        let paths = targets.iter().map(|rotated| rotated.path.as_path());
        for target in paths.chain([before]) {
            let name = target.file_name().unwrap_or_default().as_bytes();
            found.extend(rotated(place, listing, name));
        }
        found.extend(targets);
    }
    found.sort_by_cached_key(|rotated| {
        let name = rotated.path.file_name().unwrap_or_default().as_bytes();
        let born = rotated.identity.born.map(i128::from);
        (
            born.unwrap_or(rotated.modified),
            rotated.modified,
            Reverse(names::number(name)),
            rotated.path.clone(),
        )
    });
    found.dedup_by(|rotated, before| rotated.path == before.path);
    found
}

/// The rotated files of a log beside a place.
fn rotated<'a>(
    place: &'a Path,
    listing: &'a Listing,
    log: &'a [u8],
) -> impl Iterator<Item = RotatedFile> + 'a {
    let names = listing.beginning_with(names::stem(log));
    names.filter_map(move |name| {
        let shape = names::rotation(name.as_bytes(), log)?;
        rotated_file(place.with_file_name(name), Kind::Rotated(shape))
    })
}

/// The files that this log file may have been, and that are compressed. With the mark before the extension
/// they are those of the shape that is known.
pub(super) fn compressed(
    places: &[PathBuf],
    listings: &[Listing],
    known: Option<Shape>,
) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for (place, listing) in places.iter().zip(listings) {
        let log = place.file_name().unwrap_or_default().as_bytes();
        let is_rotated = |name: &&OsStr| {
            let name = names::uncompressed(name.as_bytes());
            let shape = name.and_then(|name| names::rotation(name, log));
            shape.is_some_and(|shape| !shape.is_infix || known == Some(shape))
        };
        let names = listing.beginning_with(names::stem(log)).filter(is_rotated);
        found.extend(names.map(|name| place.with_file_name(name)));
    }
    found
}

/// Compares names that differ only in their numbers.
fn by_number(path: &Path) -> (usize, &Path) {
    (path.as_os_str().len(), path)
}

/// The files that a link may have led to between two.
fn link_targets(now: &Path, listing: &Listing, before: &Path) -> Vec<RotatedFile> {
    let (Some(now_name), Some(before_name)) = (now.file_name(), before.file_name()) else {
        return Vec::new();
    };
    if now.parent() != before.parent()
        || !names::are_alike(now_name.as_bytes(), before_name.as_bytes())
    {
        return Vec::new();
    }
    let letters = now_name.as_bytes().iter();
    let stem = letters.take_while(|byte| !byte.is_ascii_digit()).count();
    let names = listing.beginning_with(&now_name.as_bytes()[..stem]);
    let is_alike = |name: &&OsStr| {
        (*name == before_name || names::are_alike(name.as_bytes(), before_name.as_bytes()))
            && names::are_alike(name.as_bytes(), now_name.as_bytes())
    };
    let age = |rotated: &RotatedFile| match rotated.identity.born {
        Some(born) => i128::from(born),
        None => rotated.modified,
    };
    let age_of = |path: &Path| rotated_file(path.to_owned(), Kind::LinkTarget).map(|at| age(&at));
    let (first, last) = (age_of(before), age_of(now));
    // Times are coarse, and of a file that is gone only the name is left.
    let is_between = |rotated: &RotatedFile| {
        let age = age(rotated);
        let first = (first.unwrap_or(age), by_number(before));
        let last = (last.unwrap_or(age), by_number(now));
        (first..last).contains(&(age, by_number(&rotated.path)))
    };
    let targets = names.filter(is_alike);
    let targets =
        targets.filter_map(|name| rotated_file(now.with_file_name(name), Kind::LinkTarget));
    targets.filter(is_between).collect()
}

/// A file that may be a known one under another name.
pub(super) fn stray(path: PathBuf) -> Option<RotatedFile> {
    rotated_file(path, Kind::LinkTarget)
}

fn rotated_file(path: PathBuf, kind: Kind) -> Option<RotatedFile> {
    let about = fs::symlink_metadata(&path).ok()?;
    let nanos = |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
    about.is_file().then(|| RotatedFile {
        path,
        kind,
        identity: Identity::of(&about),
        length: about.len(),
        modified: nanos(about.mtime(), about.mtime_nsec()),
        changed: nanos(about.ctime(), about.ctime_nsec()),
    })
}

/// Opens a file to read, if it is one.
pub(super) fn open(path: &Path) -> io::Result<(File, Metadata)> {
    let mut options = OpenOptions::new();
    // Opening a pipe would wait for a writer.
    let flags = OFlags::NONBLOCK.bits() as i32;
    let file = options.read(true).custom_flags(flags).open(path)?;
    let about = file.metadata()?;
    match about.is_file() {
        true => Ok((file, about)),
        false => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is not an ordinary file; a pipe is read with: logagg ship - < PIPE",
        )),
    }
}

/// Fills `buffer` as far as the file goes. Returns the number of bytes.
pub(super) fn read_at(file: &File, buffer: &mut [u8], from: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], from + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Nanoseconds since 1970.
pub(super) fn nanos(time: SystemTime) -> Option<u64> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    u64::try_from(since.as_nanos()).ok()
}
