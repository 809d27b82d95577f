//! `ship`: follows growing log files and publishes each of their lines once.
//!
//! One thread reads a batch of lines, publishes it until it is stored, notes how far it is, and reads on: so
//! memory holds one batch, and while nothing can be stored the lines wait in their files. Nothing depends on
//! the notes being new. A line that is read again gets the id that it had ([`mark`]), and the server drops
//! it.

mod database;
mod decoding;
mod event;
mod folders;
mod follow;
mod lines;
mod mark;
mod members;
mod multiline;
mod names;
mod parked;
mod patterns;
mod records;
mod rotated;
mod state;
mod stdin;
mod stream;
mod sums;
pub mod times;
mod tracked;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::{self, stdout, Write};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;

use super::connect::client_of;
use crate::cli::failure::Failure;
use crate::client::{publish, Batch, Client, ClientArgs, GiveUp, Patience};
use crate::event::name_error;
use crate::limits;
use crate::text::escaped;
use database::Watch;
use event::{now, Template};
use folders::{place, Folders};
use follow::{Around, Follower};
use mark::short_hash;
use multiline::Multiline;
use patterns::{is_pattern, Patterns};
use records::Source;
use state::State;
use stream::Records;
use sums::Sums;
use tracked::Look;

/// Follow log files, or read standard input, and publish each line as an event
///
/// Reads FILE as `tail -F` does, through rotation and truncation, from its beginning. A line that is a JSON
/// object becomes the payload, any other becomes {"line":"…"}. Each line is stored once, whatever is killed
/// or restarted meanwhile; while the server cannot be reached the lines wait in their files.
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
    files: Vec<PathBuf>,

    /// Topic of the events; of those from standard input it is stdin by default
    #[arg(long, value_parser = name)]
    topic: Option<String>,

    /// Source of the events; of those from standard input it is the host's name by default
    #[arg(long, value_parser = name)]
    source: Option<String>,

    /// Begin at the end of files that have not been followed before
    #[arg(long)]
    from_end: bool,

    /// Ship what is there, and end; the last line counts without its line end
    #[arg(long)]
    once: bool,

    /// Make one event of the lines of a record
    ///
    /// Either names (java, python, go, with commas between them, or auto for all): their stack traces become one
    /// event with the line that was logged before them. Or a regular expression that the first line of each
    /// record matches, within its first 4,096 bytes. A record ends after two quiet seconds, and has at most 1,000
    /// lines and 256 KiB.
    #[arg(long, value_name = "PATTERN", value_parser = Multiline::parse)]
    multiline: Option<Multiline>,

    /// Folder for what is remembered of each file; by default that is the file's own folder
    #[arg(long, value_name = "FOLDER")]
    state: Option<PathBuf>,

    /// Of standard input: member of each JSON line that holds its event id, such as __CURSOR of journalctl
    ///
    /// A text of 1 to 255 bytes, or a number. A line that comes again, also in another run, then is a duplicate.
    /// Other lines get a new id.
    #[arg(long, value_name = "NAME")]
    id_member: Option<String>,

    #[command(flatten)]
    client: ClientArgs,
}

fn name(text: &str) -> Result<String, &'static str> {
    match name_error(text) {
        None => Ok(text.to_owned()),
        Some(error) => Err(error.complaint()),
    }
}

/// Ships, and prints the sums.
pub fn run(arguments: ShipArgs) -> Result<(), Failure> {
    if arguments.files.iter().any(|path| stdin::is_standard(path)) {
        return run_standard_input(&arguments);
    }
    if arguments.id_member.is_some() {
        let sentence = "--id-member is for standard input, -; lines of files have ids of their own";
        return Err(Failure::Setting(sentence.to_owned()));
    }
    let mut shipper = Shipper::new(&arguments)?;
    let ended = shipper.follow();
    shipper.end(ended)
}

/// Ships standard input, without what only files have.
fn run_standard_input(arguments: &ShipArgs) -> Result<(), Failure> {
    if arguments.files.len() > 1 {
        let sentence = "standard input, -, cannot be shipped together with other files";
        return Err(Failure::Setting(sentence.to_owned()));
    }
    for (is_set, flag) in [
        (arguments.state.is_some(), "--state"),
        (arguments.once, "--once"),
        (arguments.from_end, "--from-end"),
    ] {
        if is_set {
            let sentence = format!("{flag} is for files, and standard input, -, is none");
            return Err(Failure::Setting(sentence));
        }
    }
    let topic = arguments.topic.as_deref().unwrap_or(stdin::TOPIC);
    let source = arguments.source.clone().unwrap_or_else(stdin::source);
    let template = Template::new(topic, &source);
    let id_member = arguments.id_member.as_deref();
    let records = Records::new(&template, arguments.multiline.as_ref(), id_member);
    let (client, give_up) = client_and_patience(arguments)?;
    stdin::Shipper::new(&client, give_up, records, id_member)?.run()
}

/// A client that tries once, and how long to try again.
fn client_and_patience(arguments: &ShipArgs) -> Result<(Client, GiveUp), Failure> {
    let mut client = arguments.client.clone();
    let give_up = client.give_up_after.unwrap_or(GiveUp::Never);
    client.give_up_after = Some(GiveUp::After(Duration::ZERO));
    Ok((client_of(&client, give_up)?, give_up))
}

/// A setting that only standard input can do without.
fn needed<'a>(value: &'a Option<String>, flag: &str) -> Result<&'a str, Failure> {
    let missing = || Failure::Setting(format!("{flag} is missing, which files need"));
    value.as_deref().ok_or_else(missing)
}

struct Shipper {
    /// Tries once; the pauses between tries are ours.
    client: Client,
    give_up: GiveUp,
    template: Template,
    followers: Vec<Follower>,
    patterns: Patterns,
    arguments: ShipArgs,
    /// Looks at all files.
    turn: u64,
    folders: Folders,
    /// The places of the files that are followed.
    followed: BTreeSet<PathBuf>,
    database: Watch,
    /// What has been told last about each of them.
    told: Vec<String>,
    once: bool,
    multiline: Option<Multiline>,
    batch: Batch,
    buffer: Vec<u8>,
    sums: Sums,
}

impl Shipper {
    fn new(arguments: &ShipArgs) -> Result<Shipper, Failure> {
        let topic = needed(&arguments.topic, "--topic")?;
        let source = needed(&arguments.source, "--source")?;
        let (client, give_up) = client_and_patience(arguments)?;
        let patterns = Patterns::new(arguments)?;
        let mut followers: Vec<Follower> = Vec::new();
        let mut folders = Folders::default();
        let mut followed = BTreeSet::new();
        let mut files = BTreeSet::new();
        for path in arguments.files.iter().filter(|path| !is_pattern(path)) {
            stdin::refuse_pipe(path)?;
            let is_new = followed.insert(place(path));
            // Links are other names, too.
            let file = fs::canonicalize(path);
            if !is_new || file.is_ok_and(|file| !files.insert(file)) {
                let path = path.display();
                return Err(Failure::Setting(format!("{path} is named twice")));
            }
            let state = State::open(state_path(path, topic, source, arguments)?)
                .map_err(Failure::Failed)?;
            let from_end = arguments.from_end;
            let mut around = Around {
                folders: &mut folders,
                followed: &followed,
                tell: &|text| client.tell(&escaped(text)),
                others: [&[], &[]],
                turn: 0,
            };
            let follower = Follower::new(path.clone(), source, from_end, state, &mut around);
            followers.push(follower.map_err(Failure::Failed)?);
        }
        Ok(Shipper {
            template: Template::new(topic, source),
            told: vec![String::new(); followers.len()],
            client,
            give_up,
            database: Watch::default(),
            followers,
            patterns,
            arguments: arguments.clone(),
            turn: 0,
            folders,
            followed,
            once: arguments.once,
            multiline: arguments.multiline.clone(),
            batch: Batch::default(),
            buffer: Vec::new(),
            sums: Sums::default(),
        })
    }

    /// Ships until it is told to stop, fails for good, or has shipped what is there.
    fn follow(&mut self) -> Result<(), Failure> {
        self.look_at_patterns()?;
        self.database.look(&self.client, &mut self.followers);
        loop {
            let has_moved = self.turn()?;
            match (has_moved, self.once) {
                (true, _) => self.client.interrupt().check()?,
                (false, true) => return Ok(()),
                (false, false) => {
                    let pause = Duration::from_millis(limits::SHIP_POLL_MS);
                    self.client.interrupt().sleep(pause)?;
                }
            }
        }
    }

    /// Looks at each file once. False where there was nothing to ship.
    fn turn(&mut self) -> Result<bool, Failure> {
        self.folders.next_turn();
        self.turn += 1;
        self.look_at_patterns()?;
        let mut has_moved = false;
        for number in 0..self.followers.len() {
            self.refresh(number)?;
            let has_lines = self.ship(number)?;
            let follower = &mut self.followers[number];
            let result = follower.park().and_then(|()| follower.save(!has_lines));
            self.complain(number, result.err())?;
            has_moved |= has_lines || self.once && self.followers[number].is_held;
        }
        Ok(has_moved)
    }

    /// Looks which file a path names now.
    fn refresh(&mut self, number: usize) -> Result<(), Failure> {
        let (before, rest) = self.followers.split_at_mut(number);
        let Some((follower, after)) = rest.split_first_mut() else {
            return Ok(());
        };
        let mut around = Around {
            folders: &mut self.folders,
            followed: &self.followed,
            tell: &|text| self.client.tell(&escaped(text)),
            others: [before, after],
            turn: self.turn,
        };
        let was_gone = follower.is_gone;
        let refreshed = follower.refresh(&mut around);
        if follower.is_gone && !was_gone {
            self.patterns.look_at_all();
        }
        let error = match refreshed {
            Ok(true) => return Ok(()),
            Ok(false) if follower.files() > 0 || follower.is_of_pattern() => return Ok(()),
            Ok(false) => io::Error::new(io::ErrorKind::NotFound, "there is no such file yet"),
            Err(error) => error,
        };
        self.complain(number, Some(error))
    }

    /// Ships lines of one log file, those of the oldest of its files first.
    fn ship(&mut self, number: usize) -> Result<bool, Failure> {
        let (mut batches, mut index) = (0, 0);
        while index < self.followers[number].files() && batches < limits::SHIP_BATCHES_PER_TURN {
            self.batch.clear();
            let follower = &mut self.followers[number];
            let source = Source {
                template: &self.template,
                now: &now(),
                is_complete: self.once,
                multiline: self.multiline.as_ref(),
            };
            let mut around = Around {
                folders: &mut self.folders,
                followed: &self.followed,
                tell: &|text| self.client.tell(&escaped(text)),
                others: [&[], &[]],
                turn: self.turn,
            };
            let (buffer, batch) = (&mut self.buffer, &mut self.batch);
            let reading = follower.read(index, &source, buffer, batch, &mut around);
            let reading = match reading {
                Ok(Look::Lines(reading)) => reading,
                Ok(Look::Truncated) => continue,
                Ok(Look::More) => {
                    batches += 1;
                    continue;
                }
                Ok(Look::Nothing) => {
                    index += 1;
                    continue;
                }
                Err(error) => {
                    self.complain(number, Some(error))?;
                    break;
                }
            };
            let announced = follower.announce(index, &reading);
            self.complain(number, announced.err())?;
            self.send(number)?;
            let follower = &mut self.followers[number];
            follower.commit(index, reading);
            let saved = follower.save(false);
            self.complain(number, saved.err())?;
            batches += 1;
        }
        Ok(batches > 0)
    }

    /// Publishes the batch, as often as it takes. Files that are renamed meanwhile are taken up.
    fn send(&mut self, number: usize) -> Result<(), Failure> {
        let mut patience = Patience::new(self.give_up);
        loop {
            let mut sums = self.sums;
            let path = self.followers[number].path().display().to_string();
            let mut count = |_, outcome| {
                if let Some(reason) = sums.count(outcome) {
                    let sentence = format!("a line of {path} is refused: {reason}");
                    self.client.tell(&sentence);
                }
            };
            self.database.look(&self.client, &mut self.followers);
            match publish(&self.client, &self.batch, &mut count) {
                Ok(()) => {
                    self.sums = sums;
                    self.client.recovered(&mut patience);
                    return Ok(());
                }
                Err(error) => {
                    self.client.endure(&mut patience, error)?;
                    self.database.look_again();
                }
            }
            self.folders.next_turn();
            for number in 0..self.followers.len() {
                self.refresh(number)?;
            }
        }
    }

    /// Tells once of what keeps a file from being shipped; with `--once` it is a failure.
    fn complain(&mut self, number: usize, error: Option<io::Error>) -> Result<(), Failure> {
        let Some(error) = error else {
            return Ok(());
        };
        let path = self.followers[number].path().display().to_string();
        let sentence = format!("{}: {error}", escaped(&path));
        if self.once {
            return Err(Failure::Failed(sentence));
        }
        if self.told[number] != sentence {
            self.client.tell(&sentence);
            self.told[number] = sentence;
        }
        Ok(())
    }

    /// Ships what is there behind a signal, keeps what is to be remembered, and prints the sums.
    fn end(&mut self, ended: Result<(), Failure>) -> Result<(), Failure> {
        let is_stopped = matches!(ended, Err(Failure::Ended(_)));
        if is_stopped && !self.once {
            let until = Instant::now() + Duration::from_millis(limits::SHIP_FLUSH_MS);
            while Instant::now() < until && matches!(self.turn(), Ok(true)) {}
        }
        let saves = self
            .followers
            .iter_mut()
            .map(|follower| follower.save(true));
        let failure = saves.filter_map(Result::err).last();
        if is_stopped || ended.is_ok() {
            for sentence in self.followers.iter().flat_map(Follower::leftovers) {
                self.client.tell(&escaped(&sentence));
            }
        }
        // Where nobody can read the sums the exit code still tells.
        let _ = write!(stdout(), "{}", self.sums);
        match ended {
            Err(Failure::Ended(_)) if !self.once => {}
            Err(failure) => return Err(failure),
            Ok(()) => {}
        }
        if let Some(error) = failure {
            return Err(Failure::Failed(format!("cannot write the state: {error}")));
        }
        match self.sums.failure() {
            None => Ok(()),
            Some(sentence) => Err(Failure::Failed(sentence)),
        }
    }
}

/// The first bytes of a name, not ending within a character of UTF-8.
fn cut(name: &[u8], most: usize) -> &[u8] {
    let is_boundary = |at: &usize| name[*at] & 0xc0 != 0x80;
    let end = (most - 3..=most).rev().find(is_boundary);
    &name[..end.unwrap_or(most)]
}

/// Where what is remembered of a file is kept: for each server, topic and source a file of its own.
fn state_path(
    path: &Path,
    topic: &str,
    source: &str,
    arguments: &ShipArgs,
) -> Result<PathBuf, Failure> {
    let wrong = |what: String| Failure::Setting(what);
    let name = path.file_name();
    let name = name.ok_or_else(|| wrong(format!("{} names no file", path.display())))?;
    if path.is_dir() {
        return Err(wrong(format!("{} is a folder", path.display())));
    }
    let server = arguments.client.server.to_string();
    let mut texts = vec![server, topic.to_owned(), source.to_owned()];
    if arguments.state.is_some() {
        let whole = std::path::absolute(path).map_err(|error| wrong(error.to_string()))?;
        texts.push(whole.display().to_string());
    }
    let mut texts: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
    let mut state = match &arguments.state {
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
    let Some(folder) = &arguments.state else {
        return Ok(path.with_file_name(state));
    };
    fs::create_dir_all(folder)
        .map_err(|error| wrong(format!("--state {}: {error}", folder.display())))?;
    Ok(folder.join(state))
}
