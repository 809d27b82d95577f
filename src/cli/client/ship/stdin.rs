//! `ship -`: the lines of standard input.
//!
//! One thread reads a batch of lines, publishes it until it is stored, and reads on: memory holds one batch and the
//! received part of the next, and while nothing can be stored the pipe fills and its writer waits. Nothing is
//! remembered: what has not been stored when the process ends is lost.

use std::fs::{self, File};
use std::io::{self, stdin, stdout, IsTerminal, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::PollFlags;

use super::event::now;
use super::stream::{is_full, After, LineStream, Records};
use super::sums::Sums;
use crate::cli::failure::Failure;
use crate::client::{publish, Backoff, Batch, Client, GiveUp, Stop};
use crate::limits::{CLIENT_GRACE_MS, SHIP_LINGER_MS, SHIP_QUIET_MS};
use crate::text::escaped;

/// The topic of lines of standard input where none is given.
pub(super) const TOPIC: &str = "stdin";

/// Whether a name means standard input.
pub(super) fn is_standard(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// The source of lines of standard input where none is given: the name of this host.
pub(super) fn source() -> String {
    let about = rustix::system::uname();
    let host = about.nodename().to_string_lossy();
    match crate::event::name_error(&host) {
        None => host.into_owned(),
        Some(_) => TOPIC.to_owned(),
    }
}

/// Refuses a file that can be read only once.
///
/// # Errors
/// A sentence that says how it can be read.
pub(super) fn refuse_pipe(path: &Path) -> Result<(), Failure> {
    let shown = path.display();
    let names = ["/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"];
    if names.iter().any(|name| path == Path::new(name)) {
        return Err(Failure::Setting(format!(
            "{shown} is standard input: call it -, as in logagg ship -"
        )));
    }
    let kind = fs::metadata(path).map(|about| about.file_type());
    let is_pipe = kind.is_ok_and(|kind| kind.is_fifo() || kind.is_char_device());
    match is_pipe {
        true => Err(Failure::Setting(format!(
            "{shown} is not an ordinary file, but a pipe or a device; ship reads it as standard input: \
             logagg ship - < {shown}"
        ))),
        false => Ok(()),
    }
}

/// Reading and publishing under way.
pub(super) struct Shipper<'a> {
    /// Tries once; the pauses between tries are ours.
    client: &'a Client,
    give_up: GiveUp,
    source: File,
    stream: LineStream<'a>,
    id_member: Option<&'a str>,
    batch: Batch,
    /// When the first event of the batch came.
    since: Option<Instant>,
    /// When something was read last.
    read_at: Instant,
    /// The time of events that have none.
    now: String,
    /// After a signal: until when something is read and tried again.
    until: Option<Instant>,
    has_reported_ids: bool,
    sums: Sums,
}

/// Why nothing more is read.
enum Ending {
    EndOfInput,
    Signal,
    /// Reading has failed.
    Unreadable(Failure),
    /// Publishing has failed, for good.
    Unstored(Failure),
}

impl From<Stop> for Ending {
    fn from(stop: Stop) -> Ending {
        match stop {
            Stop::Signal(_) => Ending::Signal,
            Stop::ReaderGone => Ending::Unstored(Failure::ReaderGone),
        }
    }
}

/// What was received from standard input.
enum Received {
    Bytes,
    /// The time was up before anything came.
    Nothing,
    End,
}

impl<'a> Shipper<'a> {
    /// # Errors
    /// No descriptors are left.
    pub(super) fn new(
        client: &'a Client,
        give_up: GiveUp,
        records: Records<'a>,
        id_member: Option<&'a str>,
    ) -> Result<Shipper<'a>, Failure> {
        let source = stdin().as_fd().try_clone_to_owned();
        Ok(Shipper {
            client,
            give_up,
            source: File::from(source.map_err(cannot_read)?),
            stream: LineStream::new(records),
            id_member,
            batch: Batch::default(),
            since: None,
            read_at: Instant::now(),
            now: now(),
            until: None,
            has_reported_ids: false,
            sums: Sums::default(),
        })
    }

    /// Ships all that comes, and prints the sums.
    pub(super) fn run(mut self) -> Result<(), Failure> {
        if stdin().is_terminal() {
            self.client
                .report("reading lines from the terminal; Ctrl-D on an empty line ends them");
        }
        let ended = self.follow().err().unwrap_or(Ending::EndOfInput);
        let (unreadable, stored) = match ended {
            Ending::EndOfInput => (None, self.ship_rest()),
            Ending::Unreadable(failure) => (Some(failure), self.ship_rest()),
            Ending::Signal => (None, Err(Ending::Signal)),
            Ending::Unstored(failure) => (None, Err(Ending::Unstored(failure))),
        };
        let stored = match stored {
            Err(Ending::Signal) => {
                let client = self.client;
                client.interrupt().with_grace(|| self.ship_after_signal())
            }
            stored => stored,
        };
        // If nobody can read the sums, the exit code still says it.
        let _ = write!(stdout(), "{}", self.sums);
        self.report_lost();
        match (stored, unreadable, self.sums.failure()) {
            (Err(Ending::Unstored(failure) | Ending::Unreadable(failure)), _, _) => Err(failure),
            (_, Some(failure), _) => Err(failure),
            (_, _, Some(sentence)) => Err(Failure::Failed(sentence)),
            _ if self.batch.is_empty() => Ok(()),
            _ => Err(Failure::Failed(
                "not all that was read is stored".to_owned(),
            )),
        }
    }

    /// Reads and publishes until the input ends.
    fn follow(&mut self) -> Result<(), Ending> {
        loop {
            match self.receive(self.pause())? {
                Received::Bytes => self.take(After::More)?,
                Received::Nothing if self.is_quiet() => self.take(After::Quiet)?,
                Received::Nothing => {}
                Received::End => return Ok(()),
            }
            let linger = Duration::from_millis(SHIP_LINGER_MS);
            if self.since.is_some_and(|since| since.elapsed() >= linger) {
                self.send()?;
            }
        }
    }

    /// How long to wait for more: until the batch or the record must not wait any longer.
    fn pause(&self) -> Option<Duration> {
        let left =
            |since: Instant, most| Duration::from_millis(most).saturating_sub(since.elapsed());
        let batch = self.since.map(|since| left(since, SHIP_LINGER_MS));
        let has_record = self.stream.has_record();
        let record = has_record.then(|| left(self.read_at, SHIP_QUIET_MS));
        batch.into_iter().chain(record).min()
    }

    fn is_quiet(&self) -> bool {
        self.read_at.elapsed() >= Duration::from_millis(SHIP_QUIET_MS)
    }

    /// Waits for bytes and reads some.
    fn receive(&mut self, pause: Option<Duration>) -> Result<Received, Ending> {
        let interrupt = self.client.interrupt();
        if !interrupt.wait(self.source.as_fd(), PollFlags::IN, pause)? {
            return Ok(Received::Nothing);
        }
        let count = self.stream.receive(&mut self.source);
        match count.map_err(|error| Ending::Unreadable(cannot_read(error)))? {
            Some(0) => Ok(Received::End),
            Some(_) => {
                self.read_at = Instant::now();
                self.now = now();
                Ok(Received::Bytes)
            }
            None => Ok(Received::Nothing),
        }
    }

    /// Makes events of what has come, and publishes those that fill a batch.
    fn take(&mut self, after: After) -> Result<(), Ending> {
        loop {
            let taken = self.stream.take(after, &self.now, &mut self.batch);
            taken.map_err(|error| {
                let sentence = format!("no random bytes for event ids: {error}");
                Ending::Unstored(Failure::Failed(sentence))
            })?;
            self.report_missing_ids();
            if !is_full(&self.batch) {
                break;
            }
            self.send()?;
        }
        if !self.batch.is_empty() {
            self.since.get_or_insert_with(Instant::now);
        }
        Ok(())
    }

    /// Publishes what has been read, to its end.
    fn ship_rest(&mut self) -> Result<(), Ending> {
        self.take(After::Nothing)?;
        self.send()
    }

    /// Publishes what has been read and what the pipe holds, within a bounded time.
    fn ship_after_signal(&mut self) -> Result<(), Ending> {
        let until = Instant::now() + Duration::from_millis(CLIENT_GRACE_MS);
        self.until = Some(until);
        while Instant::now() < until {
            match self.receive(Some(Duration::ZERO)) {
                Ok(Received::Bytes) => self.take(After::More)?,
                // After a signal a wait without a timeout ends immediately.
                _ => break,
            }
        }
        self.ship_rest()
    }

    /// Publishes the batch, as often as it takes.
    fn send(&mut self) -> Result<(), Ending> {
        let give_up = match (self.until, self.give_up) {
            (None, give_up) => give_up,
            (Some(until), give_up) => {
                let left = until.saturating_duration_since(Instant::now());
                match give_up {
                    GiveUp::After(time) => GiveUp::After(left.min(time)),
                    GiveUp::Never => GiveUp::After(left),
                }
            }
        };
        let mut backoff = Backoff::new(give_up);
        loop {
            let mut sums = self.sums;
            let published = publish(self.client, &self.batch, &mut |_, outcome| {
                if let Some(reason) = sums.count(outcome) {
                    let sentence = format!("a line of standard input is refused: {reason}");
                    self.client.report(&escaped(&sentence));
                }
            });
            match published {
                Ok(()) => {
                    self.sums = sums;
                    self.client.recovered(&mut backoff);
                    self.batch.clear();
                    self.since = None;
                    return Ok(());
                }
                Err(error) => self.client.retry_or_fail(&mut backoff, error)?,
            }
        }
    }

    fn report_missing_ids(&mut self) {
        let Some(member) = self.id_member.filter(|_| self.stream.lacks_ids()) else {
            return;
        };
        if !std::mem::replace(&mut self.has_reported_ids, true) {
            let member = escaped(member);
            self.client.report(&format!(
                "a line has no member {member} that can be an event id, a text of 1 to 255 bytes or a number: \
                 such lines get new ids, and are stored again when they are piped in again"
            ));
        }
    }

    fn report_lost(&self) {
        let (events, bytes) = (self.batch.len(), self.stream.rest());
        if events > 0 || bytes > 0 {
            self.client.report(&format!(
                "lost, as it was read and is not stored: {events} events and {bytes} bytes after them"
            ));
        }
    }
}

impl From<crate::client::Error> for Ending {
    fn from(error: crate::client::Error) -> Ending {
        match error {
            crate::client::Error::Stopped(stop) => Ending::from(stop),
            error => Ending::Unstored(Failure::from(error)),
        }
    }
}

fn cannot_read(error: io::Error) -> Failure {
    Failure::Failed(format!("cannot read standard input: {error}"))
}
