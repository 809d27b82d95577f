//! The arguments of `ship`, and where the state of a file is kept by them.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use clap::Args;

use super::multiline::Multiline;
use super::position::short_hash;
use crate::cli::failure::Failure;
use crate::client::ClientArgs;
use crate::event::name_error;
use crate::limits;

/// Follow log files, or read standard input, and publish each line as an event
///
/// Reads FILE as `tail -F` does, through rotation and truncation, from its beginning. A line that is a JSON
/// object becomes the payload, any other becomes {"line":"…"}. Each line is stored once, even if either side
/// is killed or restarted meanwhile; while the server cannot be reached, the lines wait in their files.
///
/// With - as the only FILE it reads standard input to its end, as in journalctl -f -o json | logagg ship -. While
/// the server cannot be reached the pipe is not read, and its writer waits. Nothing is remembered of it: without
/// --id-member each line gets a new id, and one that is piped in again is stored again.
#[derive(Clone, Debug, Args)]
pub struct ShipArgs {
    /// Files to follow; one that is not there yet is waited for. - is standard input
    ///
    /// One with *, ? or [ that names no file is a pattern (quote it): what matches is followed, also when it
    /// appears later.
    #[arg(value_name = "FILE", required = true)]
    pub(super) files: Vec<PathBuf>,

    /// Topic of the events; of those from standard input it is stdin by default
    #[arg(long, value_parser = name)]
    pub(super) topic: Option<String>,

    /// Source of the events; of those from standard input it is the host's name by default
    #[arg(long, value_parser = name)]
    pub(super) source: Option<String>,

    /// Begin at the end of files that have not been followed before
    #[arg(long)]
    pub(super) from_end: bool,

    /// Ship what is there and exit; the last line counts also without its line end
    #[arg(long)]
    pub(super) once: bool,

    /// Make one event of the lines of a record
    ///
    /// Either names (java, python, go, with commas between them, or auto for all): their stack traces become one
    /// event with the line that was logged before them. Or a regular expression that the first line of each
    /// record matches, within its first 4,096 bytes; a word that is nearly one of the names is refused, and as a
    /// pattern is (word). A record ends after two quiet seconds, and has at most 1,000 lines and 256 KiB.
    #[arg(long, value_name = "PATTERN", value_parser = Multiline::parse)]
    pub(super) multiline: Option<Multiline>,

    /// Folder for the state of each file [default: the file's own folder]
    #[arg(long, value_name = "FOLDER")]
    pub(super) state: Option<PathBuf>,

    /// Of standard input: member of each JSON line that holds its event id, such as __CURSOR of journalctl
    ///
    /// A text of 1 to 255 bytes, or a number. A line that comes again, also in another run, then is a duplicate.
    /// Other lines get a new id.
    #[arg(long, value_name = "NAME")]
    pub(super) id_member: Option<String>,

    #[command(flatten)]
    pub(super) client: ClientArgs,
}

fn name(text: &str) -> Result<String, &'static str> {
    match name_error(text) {
        None => Ok(text.to_owned()),
        Some(error) => Err(error.complaint()),
    }
}

impl ShipArgs {
    /// The topic, which only standard input can do without.
    pub(super) fn topic(&self) -> Result<&str, Failure> {
        needed(&self.topic, "--topic")
    }

    /// The source, which only standard input can do without.
    pub(super) fn source(&self) -> Result<&str, Failure> {
        needed(&self.source, "--source")
    }

    /// Where what is remembered of a file is kept: for each server, topic and source a file of its own.
    pub(super) fn state_path(&self, path: &Path) -> Result<PathBuf, Failure> {
        let (topic, source) = (self.topic()?, self.source()?);
        let wrong = |what: String| Failure::Setting(what);
        let name = path.file_name();
        let name = name.ok_or_else(|| wrong(format!("{} names no file", path.display())))?;
        if path.is_dir() {
            return Err(wrong(format!("{} is a folder", path.display())));
        }
        let server = self.client.server.to_string();
        let mut texts = vec![server, topic.to_owned(), source.to_owned()];
        if self.state.is_some() {
            let whole = std::path::absolute(path).map_err(|error| wrong(error.to_string()))?;
            texts.push(whole.display().to_string());
        }
        let mut texts: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
        let mut state = match &self.state {
            None => b".".to_vec(),
            Some(_) => Vec::new(),
        };
        let mut prefix = name.as_encoded_bytes();
        if prefix.len() > limits::SHIP_STATE_PREFIX_BYTES {
            texts.push(prefix);
            prefix = cut(prefix, limits::SHIP_STATE_PREFIX_BYTES);
        }
        state.extend(prefix);
        state.extend(b".ship-");
        state.extend(short_hash(&texts).bytes());
        let state = OsString::from_vec(state);
        let Some(folder) = &self.state else {
            return Ok(path.with_file_name(state));
        };
        fs::create_dir_all(folder)
            .map_err(|error| wrong(format!("--state {}: {error}", folder.display())))?;
        Ok(folder.join(state))
    }
}

/// A setting that only standard input can do without.
fn needed<'a>(value: &'a Option<String>, flag: &str) -> Result<&'a str, Failure> {
    let missing = || Failure::Setting(format!("{flag} is missing, which files need"));
    value.as_deref().ok_or_else(missing)
}

/// The first bytes of a name, not ending within a character of UTF-8.
fn cut(name: &[u8], most: usize) -> &[u8] {
    let is_boundary = |at: &usize| name[*at] & 0xc0 != 0x80;
    let end = (most - 3..=most).rev().find(is_boundary);
    &name[..end.unwrap_or(most)]
}
