//! The file of an export: where it goes on, and whether what it holds is of the history that the server has. A file of
//! another history is not written to.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use rustix::fs::{fgetxattr, fsetxattr, XattrFlags};
use serde::Deserialize;

use crate::cli::client::filters::Query;
use crate::cli::failure::Failure;
use crate::client::{Client, Head};
use crate::limits::{CLIENT_BUFFER_BYTES, TARGET_MAX_BYTES};
use crate::uuid;

/// The extended attribute of the file that holds the id of the database that it was exported from. Only
/// needed where the last event of the file has been removed from the server, so a file system without such
/// attributes costs no more than this.
const DATABASE_ATTRIBUTE: &str = "user.logagg.database_id";

/// The extended attribute that holds the filters that began the file: a line as they were asked for, and one with ages
/// as the times that they were then.
const FILTERS_ATTRIBUTE: &str = "user.logagg.filters";

/// A file that an export is to be written to.
pub(super) struct ExportFile {
    path: PathBuf,
    file: File,
    /// Where its last whole line ends.
    end: u64,
    last: Option<LastEvent>,
    /// The id of its database, if that has been kept.
    database_id: Option<String>,
    /// The filters that began it, as two lines, where they have been kept.
    filters: Option<String>,
}

/// What tells an event from those of other histories.
#[derive(Debug, PartialEq, Eq, Deserialize)]
struct LastEvent {
    seq: u64,
    topic: String,
    event_id: String,
    processed_at: String,
}

impl ExportFile {
    /// Opens the file, and changes nothing in it. Without `resumes` it must not exist.
    pub(super) fn open(path: &Path, resumes: bool) -> Result<ExportFile, Failure> {
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::AlreadyExists => Failure::Failed(format!(
                "{} exists; remove it, or go on with it by --resume",
                path.display()
            )),
            _ => cannot_write(path, &error),
        };
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true);
        match resumes {
            true => options.create(true),
            false => options.create_new(true),
        };
        let mut file = options.open(path).map_err(failed)?;
        let (end, line) = last_line(&mut file).map_err(failed)?;
        let last = match line {
            None => None,
            Some(line) => Some(serde_json::from_slice(&line).map_err(|_| {
                let name = path.display();
                Failure::Failed(format!("{name} does not end with an event of an export"))
            })?),
        };
        Ok(ExportFile {
            path: path.to_owned(),
            database_id: kept_database_id(&file),
            filters: kept(&file, FILTERS_ATTRIBUTE),
            file,
            end,
            last,
        })
    }

    /// Makes sure that the file was begun with these filters. Returns them with ages as the times that they were; none
    /// if the file begins now, or may have been begun without anything being kept.
    pub(super) fn check_filters(&self, asked: &Query) -> Result<Option<String>, Failure> {
        let name = self.path.display();
        let kept = self
            .filters
            .as_ref()
            .and_then(|lines| lines.split_once('\n'));
        match kept {
            _ if self.last.is_none() => Ok(None),
            Some((begun, fixed)) if begun == asked.text() => Ok(Some(fixed.to_owned())),
            Some((begun, _)) => {
                let begun = match begun.trim_start_matches('&') {
                    "" => "without filters",
                    begun => begun,
                };
                Err(Failure::Setting(format!(
                    "{name} was begun with other filters ({begun}); resume it with those, or export to a new file"
                )))
            }
            None if asked.is_topics_only() => Ok(None),
            None => Err(Failure::Setting(format!(
                "nothing shows with which filters {name} was begun; export to a new file"
            ))),
        }
    }

    /// Makes sure that the events of the file are those that the server has. Its last event decides: up to
    /// one that is the same, two histories are the same.
    pub(super) fn check_history(&self, client: &Client, head: &Head) -> Result<(), Failure> {
        #[derive(Deserialize)]
        struct Page {
            events: Vec<LastEvent>,
        }
        let Some(last) = &self.last else {
            return Ok(());
        };
        let (name, seq) = (self.path.display(), last.seq);
        let other = |why: String| {
            Failure::Failed(format!(
                "{name} is of another database than the server has now: {why}; export to a new file"
            ))
        };
        if seq > head.last_seq {
            let newest = head.last_seq;
            return Err(other(format!(
                "it ends with seq {seq}, and the newest event of the server has seq {newest}"
            )));
        }
        let target = format!("/events?limit=1&after={}", seq.saturating_sub(1));
        let page: Page = client.persist(|| client.json(&target))?;
        match page.events.first() {
            Some(event) if event == last => return Ok(()),
            Some(event) if event.seq == seq => {
                return Err(other(format!("there, seq {seq} is another event")));
            }
            _ => {}
        }
        let id = self.database_id.as_deref();
        match id.and_then(|id| head.shares(id, None)) {
            Some(shared) if seq <= shared => Ok(()),
            _ => Err(Failure::Failed(format!(
                "the server has removed the event with seq {seq}, with which {name} ends, so nothing shows \
                 that the file is of its database; export to a new file"
            ))),
        }
    }

    /// Cuts off half a line at the end, and makes the file ready to be written to. Also returns the seq
    /// after which to go on, which is no smaller than `after`. `filters` are as asked for, and with ages as times.
    pub(super) fn begin(
        self,
        head: &Head,
        filters: [&str; 2],
        after: u64,
    ) -> Result<(BufWriter<File>, PathBuf, u64), Failure> {
        let ExportFile { mut file, path, .. } = self;
        let ready = file
            .set_len(self.end)
            .and_then(|()| file.seek(SeekFrom::Start(self.end)));
        ready.map_err(|error| cannot_write(&path, &error))?;
        if let Some(id) = &head.database_id {
            // Not every file system can keep it.
            let _ = fsetxattr(
                &file,
                DATABASE_ATTRIBUTE,
                id.as_bytes(),
                XattrFlags::empty(),
            );
        }
        if self.last.is_none() {
            let lines = filters.join("\n");
            let _ = fsetxattr(
                &file,
                FILTERS_ATTRIBUTE,
                lines.as_bytes(),
                XattrFlags::empty(),
            );
        }
        let last = self.last.map_or(0, |last| last.seq);
        let out = BufWriter::with_capacity(CLIENT_BUFFER_BYTES, file);
        Ok((out, path, after.max(last)))
    }
}

fn kept_database_id(file: &File) -> Option<String> {
    kept(file, DATABASE_ATTRIBUTE).filter(|id| uuid::is_random(id))
}

fn kept(file: &File, attribute: &str) -> Option<String> {
    // As long as a target can be, twice.
    let mut value = vec![0; 2 * TARGET_MAX_BYTES];
    let length = fgetxattr(file, attribute, &mut value[..]).ok()?;
    value.truncate(length);
    String::from_utf8(value).ok()
}

pub(super) fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::Failed(format!("cannot write {}: {error}", path.display()))
}

/// Where the last whole line of a file ends, and that line without its end; none if there is none.
fn last_line(file: &mut File) -> io::Result<(u64, Option<Vec<u8>>)> {
    let mut start = file.seek(SeekFrom::End(0))?;
    // What it holds from `start` on.
    let mut text: Vec<u8> = Vec::new();
    loop {
        let end = memchr::memrchr(b'\n', &text);
        let before = end.and_then(|end| memchr::memrchr(b'\n', &text[..end]));
        match (end, before) {
            (Some(end), Some(before)) => {
                let line = text[before + 1..end].to_vec();
                return Ok((start + end as u64 + 1, Some(line)));
            }
            (Some(end), None) if start == 0 => {
                return Ok((end as u64 + 1, Some(text[..end].to_vec())));
            }
            (None, _) if start == 0 => return Ok((0, None)),
            _ => {}
        }
        let length = start.min(text.len().max(CLIENT_BUFFER_BYTES) as u64);
        start -= length;
        file.seek(SeekFrom::Start(start))?;
        let mut longer = Vec::with_capacity(length as usize + text.len());
        file.take(length).read_to_end(&mut longer)?;
        longer.append(&mut text);
        text = longer;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// A file without a name.
    fn file(text: &[u8]) -> File {
        let folder = std::env::temp_dir();
        let flags = rustix::fs::OFlags::TMPFILE | rustix::fs::OFlags::RDWR;
        let mut file = match rustix::fs::open(&folder, flags, rustix::fs::Mode::RUSR) {
            Ok(descriptor) => File::from(descriptor),
            Err(error) => panic!("{}: {error}", folder.display()),
        };
        file.write_all(text).unwrap();
        file
    }

    #[test]
    fn the_last_whole_line_is_found() {
        let long = "x".repeat(3 * CLIENT_BUFFER_BYTES);
        for (text, end, line) in [
            ("".to_owned(), 0, None),
            ("half".to_owned(), 0, None),
            (long.clone(), 0, None),
            ("one\n".to_owned(), 4, Some("one")),
            ("one\nha".to_owned(), 4, Some("one")),
            ("one\ntwo\nha".to_owned(), 8, Some("two")),
            (format!("{long}\n{long}"), long.len() + 1, Some(&long[..])),
            (format!("a\n{long}\n"), long.len() + 3, Some(&long[..])),
        ] {
            let found = last_line(&mut file(text.as_bytes())).unwrap();
            let line = line.map(|line| line.as_bytes().to_vec());
            assert!(found == (end as u64, line), "{} bytes", text.len());
        }
    }
}
