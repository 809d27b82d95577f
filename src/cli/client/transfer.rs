//! Lines to a server, in batches: what `publish` and `import` share.

use std::fmt;
use std::io::{stdout, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;

use super::connect::client_of;
use super::defaults::Defaults;
use super::input::{Input, Next, Place};
use crate::cli::failure::Failure;
use crate::cli::numbers::within;
use crate::cli::progress::TransferProgress;
use crate::client::{publish, time, Batch, Client, ClientArgs, EventResult, GiveUp};
use crate::limits;
use crate::text::escaped;

/// How long it goes on without a server where the arguments do not say.
pub(super) const GIVE_UP: GiveUp = GiveUp::After(Duration::from_secs(300));

/// How lines are put together
#[derive(Debug, Args)]
pub(super) struct Pace {
    /// Greatest number of events in one request
    #[arg(long, value_name = "EVENTS", default_value = "500")]
    #[arg(value_parser = within(1..=limits::RING_CAPACITY_MAX))]
    batch: usize,

    /// How long the first event of a batch waits for the others
    #[arg(long, value_name = "TIME", default_value = "200ms", value_parser = time)]
    linger: Duration,

    /// Begin at this line of the first file
    #[arg(long, value_name = "LINE", default_value = "1")]
    from_line: u64,
}

/// What a command makes of the lines.
pub(super) struct Rules {
    pub defaults: Defaults,
    /// Whether an event that is stored with another content is a failure.
    pub conflicts_fail: bool,
}

/// What became of the lines.
#[derive(Default)]
struct Sums {
    read: u64,
    accepted: u64,
    duplicates: u64,
    /// Of the duplicates, those with another content.
    conflicts: u64,
    rejected: u64,
    /// Lines that were reported one by one.
    reported: u64,
}

/// Reads, publishes, and prints the sums, also where it is cut off.
pub(super) fn run(
    files: &[PathBuf],
    rules: Rules,
    pace: &Pace,
    arguments: &ClientArgs,
) -> Result<(), Failure> {
    let input = Input::open(files, pace.from_line)?;
    let mut client = client_of(arguments, GIVE_UP)?;
    let progress = TransferProgress::of_bytes(input.total());
    let beside = progress.clone();
    client.report_with(move |sentence| beside.report(&format!("logagg: {sentence}")));
    let mut transfer = Transfer {
        client: &client,
        rules: &rules,
        progress: &progress,
        batch: Batch::default(),
        places: Vec::new(),
        sums: Sums::default(),
        passed: 0,
    };
    let start = Instant::now();
    let done = transfer.all(input, pace);
    let Transfer { sums, places, .. } = transfer;
    progress.end();
    let text = Text {
        sums: &sums,
        unanswered: places.len(),
        retries: client.retries(),
        time: start.elapsed(),
    };
    // If nobody reads the sums, the exit code still says it.
    let _ = write!(stdout(), "{text}");
    done?;
    match sums.failure(&rules) {
        Some(sentence) => Err(Failure::Failed(sentence)),
        None => Ok(()),
    }
}

/// A transfer under way.
struct Transfer<'a> {
    client: &'a Client,
    rules: &'a Rules,
    progress: &'a TransferProgress,
    batch: Batch,
    /// The places of the events without an answer, in their order.
    places: Vec<Place>,
    sums: Sums,
    /// Bytes read.
    passed: u64,
}

impl Transfer<'_> {
    /// Publishes all lines. What has been read is published also where reading fails or is cut off.
    fn all(&mut self, mut input: Input, pace: &Pace) -> Result<(), Failure> {
        let read = self.read(&mut input, pace);
        let flushed = self.flush(&input);
        if let Some(place) = self.places.first() {
            let name = input.name_of(*place);
            let name = escaped(&name);
            self.progress.report(&format!(
                "logagg: the first event without an answer is {name}"
            ));
        }
        read.and(flushed)
    }

    fn read(&mut self, input: &mut Input, pace: &Pace) -> Result<(), Failure> {
        let mut since = Instant::now();
        loop {
            let wait = match self.batch.is_empty() {
                true => None,
                false => Some(pace.linger.saturating_sub(since.elapsed())),
            };
            match input.next(self.client.interrupt(), wait, &mut self.passed)? {
                Next::Line(place, line) => {
                    self.sums.read += 1;
                    match self.rules.defaults.event(line) {
                        Ok(event) => {
                            if self.batch.is_empty() {
                                since = Instant::now();
                            }
                            self.batch.push(&event);
                            self.places.push(place);
                        }
                        Err(reason) => {
                            self.sums.rejected += 1;
                            self.sums.report(self.progress, input, place, &reason);
                        }
                    }
                    let is_full = self.batch.len() >= pace.batch
                        || self.batch.size() >= limits::CLIENT_BATCH_BYTES;
                    if is_full {
                        self.flush(input)?;
                    }
                }
                Next::TooLong(place) => {
                    self.sums.read += 1;
                    self.sums.rejected += 1;
                    self.sums
                        .report(self.progress, input, place, "longer than any event");
                }
                Next::Idle => self.flush(input)?,
                Next::End => return Ok(()),
            }
        }
    }

    /// Publishes the batch. If that fails it is dropped, and the places of its events are kept.
    fn flush(&mut self, input: &Input) -> Result<(), Failure> {
        let mut answered = 0;
        let result = publish(self.client, &self.batch, &mut |index, outcome| {
            answered = index + 1;
            match outcome {
                EventResult::Accepted => self.sums.accepted += 1,
                EventResult::Duplicate => self.sums.duplicates += 1,
                EventResult::Conflict => {
                    self.sums.duplicates += 1;
                    self.sums.conflicts += 1;
                    let reason = "an event of this key is stored with another content, and stays";
                    self.sums
                        .report(self.progress, input, self.places[index], reason);
                }
                EventResult::Rejected(reason) => {
                    self.sums.rejected += 1;
                    self.sums
                        .report(self.progress, input, self.places[index], &reason);
                }
            }
        });
        self.places.drain(..answered);
        self.batch.clear();
        result?;
        let sums = &self.sums;
        self.progress.show(self.passed, || {
            format!(
                "accepted {}, duplicates {}, rejected {}",
                sums.accepted, sums.duplicates, sums.rejected
            )
        });
        Ok(())
    }
}

impl Sums {
    /// Reports what is wrong with a line, up to a number of lines.
    fn report(&mut self, progress: &TransferProgress, input: &Input, place: Place, reason: &str) {
        self.reported += 1;
        if self.reported <= limits::CLIENT_LINES_REPORTED {
            let name = input.name_of(place);
            progress.report(&format!("{}: {reason}", escaped(&name)));
        }
        if self.reported == limits::CLIENT_LINES_REPORTED {
            progress.report("logagg: further lines like these are only counted");
        }
    }

    /// Why the whole is not a success.
    fn failure(&self, rules: &Rules) -> Option<String> {
        let events = |count| match count {
            1 => "1 event was".to_owned(),
            count => format!("{count} events were"),
        };
        match self {
            Sums { rejected: 1.., .. } => Some(format!("{} not stored", events(self.rejected))),
            Sums { conflicts: 1.., .. } if rules.conflicts_fail => Some(format!(
                "{} not stored because of another content under the same key",
                events(self.conflicts)
            )),
            _ => None,
        }
    }
}

/// The sums as they are printed.
struct Text<'a> {
    sums: &'a Sums,
    unanswered: usize,
    retries: u64,
    time: Duration,
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sums = self.sums;
        writeln!(f, "read: {}", sums.read)?;
        writeln!(f, "accepted: {}", sums.accepted)?;
        writeln!(f, "duplicates: {}", sums.duplicates)?;
        if sums.conflicts > 0 {
            writeln!(f, "of these with another content: {}", sums.conflicts)?;
        }
        writeln!(f, "rejected: {}", sums.rejected)?;
        if self.unanswered > 0 {
            writeln!(f, "without an answer: {}", self.unanswered)?;
        }
        if self.retries > 0 {
            let meaning = "an event whose answer was lost counts as a duplicate";
            writeln!(f, "retries: {} ({meaning})", self.retries)?;
        }
        let seconds = self.time.as_secs_f64();
        let rate = sums.read as f64 / seconds.max(0.001);
        writeln!(f, "time: {seconds:.2} s, {rate:.0} events/s")
    }
}
