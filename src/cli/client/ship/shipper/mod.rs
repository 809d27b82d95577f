//! The loop of `ship`: looks at each file, reads a batch of its lines, and publishes it until it is stored.

mod matches;
mod room;

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, stdout, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::arguments::ShipArgs;
use super::database::Watch;
use super::event::{now, Template};
use super::folders::{place, Folders, RotatedFile};
use super::follower::{Around, Follower};
use super::multiline::Multiline;
use super::patterns::{is_pattern, Patterns};
use super::records::Source;
use super::state::State;
use super::stdin;
use super::sums::Sums;
use super::tracked::FileRead;
use crate::cli::failure::Failure;
use crate::client::{publish, Backoff, Batch, Client, GiveUp};
use crate::limits;
use crate::text::escaped;

/// What the log files share.
struct Shared {
    client: Client,
    folders: Folders,
    /// The places of the files that are followed.
    followed: BTreeSet<PathBuf>,
    /// Files that match a pattern and that no state knows, until they have been looked at.
    strays: Vec<RotatedFile>,
    /// Looks at all files.
    turn: u64,
}

impl Shared {
    fn around<'a>(&'a mut self, others: [&'a [Follower]; 2]) -> Around<'a> {
        Around {
            folders: &mut self.folders,
            followed: &self.followed,
            client: &self.client,
            others,
            strays: &self.strays,
            turn: self.turn,
        }
    }
}

/// Ships the lines of files.
pub(super) struct Shipper {
    shared: Shared,
    give_up: GiveUp,
    template: Template,
    followers: Vec<Follower>,
    patterns: Patterns,
    arguments: ShipArgs,
    database: Watch,
    /// What has been reported last about each of them.
    reported: Vec<String>,
    once: bool,
    multiline: Option<Multiline>,
    batch: Batch,
    buffer: Vec<u8>,
    sums: Sums,
}

impl Shipper {
    /// `client` tries once; the pauses between tries are those of the shipper.
    pub(super) fn new(
        arguments: &ShipArgs,
        client: Client,
        give_up: GiveUp,
        template: Template,
    ) -> Result<Shipper, Failure> {
        let mut patterns = Patterns::new(arguments)?;
        let mut followers: Vec<Follower> = Vec::new();
        let mut shared = Shared {
            client,
            folders: Folders::default(),
            followed: BTreeSet::new(),
            strays: patterns.strays(arguments)?,
            turn: 1,
        };
        let mut files = BTreeSet::new();
        for path in arguments.files.iter().filter(|path| !is_pattern(path)) {
            stdin::refuse_pipe(path)?;
            let is_new = shared.followed.insert(place(path));
            // Links are other names, too.
            let file = fs::canonicalize(path);
            if !is_new || file.is_ok_and(|file| !files.insert(file)) {
                let path = path.display();
                return Err(Failure::Setting(format!("{path} is named twice")));
            }
            let state = State::open(arguments.state_path(path)?).map_err(Failure::Failed)?;
            let (source, from_end) = (arguments.source()?, arguments.from_end);
            let mut around = shared.around([&[], &[]]);
            let follower = Follower::new(path.clone(), source, from_end, state, &mut around);
            followers.push(follower.map_err(Failure::Failed)?);
        }
        Ok(Shipper {
            shared,
            template,
            reported: vec![String::new(); followers.len()],
            give_up,
            database: Watch::default(),
            followers,
            patterns,
            arguments: arguments.clone(),
            once: arguments.once,
            multiline: arguments.multiline.clone(),
            batch: Batch::default(),
            buffer: Vec::new(),
            sums: Sums::default(),
        })
    }

    /// Ships until it is stopped, fails for good, or has shipped what is there.
    pub(super) fn follow(&mut self) -> Result<(), Failure> {
        self.scan_patterns()?;
        self.database
            .check(&self.shared.client, &mut self.followers);
        loop {
            let has_moved = self.turn()?;
            match (has_moved, self.once) {
                (true, _) => self.shared.client.interrupt().check()?,
                (false, true) => return Ok(()),
                (false, false) => {
                    let pause = Duration::from_millis(limits::SHIP_POLL_MS);
                    self.shared.client.interrupt().sleep(pause)?;
                }
            }
        }
    }

    /// Checks each file once. False if there was nothing to ship.
    fn turn(&mut self) -> Result<bool, Failure> {
        self.shared.folders.next_turn();
        self.shared.turn += 1;
        self.scan_patterns()?;
        let mut has_moved = false;
        for number in 0..self.followers.len() {
            self.refresh(number)?;
            if self.followers[number].is_asleep() {
                continue;
            }
            let has_lines = self.ship(number)?;
            let follower = &mut self.followers[number];
            let result = follower.park().and_then(|()| follower.save(!has_lines));
            self.complain(number, result.err())?;
            has_moved |= has_lines || self.once && self.followers[number].is_held;
            if self.followers[number].is_sleepy() {
                self.sleep(number)?;
            }
        }
        Ok(has_moved || self.patterns.has_waiting)
    }

    /// Finds which file a path names now.
    fn refresh(&mut self, number: usize) -> Result<(), Failure> {
        if !self.wake(number)? {
            return Ok(());
        }
        let (before, rest) = self.followers.split_at_mut(number);
        let Some((follower, after)) = rest.split_first_mut() else {
            return Ok(());
        };
        let mut around = self.shared.around([before, after]);
        let was_gone = follower.is_gone;
        let refreshed = follower.refresh(&mut around);
        if follower.is_gone && !was_gone {
            self.patterns.recheck_names();
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
            let mut around = self.shared.around([&[], &[]]);
            let (buffer, batch) = (&mut self.buffer, &mut self.batch);
            let reading = follower.read(index, &source, buffer, batch, &mut around);
            let reading = match reading {
                Ok(FileRead::Lines(reading)) => reading,
                Ok(FileRead::Truncated) => continue,
                Ok(FileRead::More) => {
                    batches += 1;
                    continue;
                }
                Ok(FileRead::Nothing) => {
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
        let mut backoff = Backoff::new(self.give_up);
        loop {
            let mut sums = self.sums;
            let path = self.followers[number].path().display().to_string();
            let mut count = |_, outcome| {
                if let Some(reason) = sums.count(outcome) {
                    let sentence = format!("a line of {path} is refused: {reason}");
                    self.shared.client.report(&sentence);
                }
            };
            self.database
                .check(&self.shared.client, &mut self.followers);
            match publish(&self.shared.client, &self.batch, &mut count) {
                Ok(()) => {
                    self.sums = sums;
                    self.shared.client.recovered(&mut backoff);
                    return Ok(());
                }
                Err(error) => {
                    self.shared.client.retry_or_fail(&mut backoff, error)?;
                    self.database.make_due();
                }
            }
            self.shared.folders.next_turn();
            for number in 0..self.followers.len() {
                self.refresh(number)?;
            }
        }
    }

    /// Reports once why a file cannot be shipped; with `--once` it is a failure.
    fn complain(&mut self, number: usize, error: Option<io::Error>) -> Result<(), Failure> {
        let Some(error) = error else {
            return Ok(());
        };
        let path = self.followers[number].path().display().to_string();
        let sentence = format!("{}: {error}", escaped(&path));
        if self.once {
            return Err(Failure::Failed(sentence));
        }
        if self.reported[number] != sentence {
            self.shared.client.report(&sentence);
            self.reported[number] = sentence;
        }
        Ok(())
    }

    /// Ships what is there after a signal, keeps what is to be remembered, and prints the sums.
    pub(super) fn end(&mut self, ended: Result<(), Failure>) -> Result<(), Failure> {
        let is_stopped = matches!(ended, Err(Failure::Ended(_)));
        if is_stopped && !self.once {
            let until = Instant::now() + Duration::from_millis(limits::CLIENT_GRACE_MS);
            while Instant::now() < until && matches!(self.turn(), Ok(true)) {}
        }
        let saves = self
            .followers
            .iter_mut()
            .map(|follower| follower.save(true));
        let failure = saves.filter_map(Result::err).last();
        if is_stopped || ended.is_ok() {
            for sentence in self.followers.iter().flat_map(Follower::leftovers) {
                self.shared.client.report(&escaped(&sentence));
            }
        }
        // If nobody can read the sums, the exit code still says it.
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
