//! The program's own log: records become lines in a bounded buffer, and the event loop writes them to
//! standard error as far as standard error takes them.
//!
//! This module owns the log's format and its buffer. It must never block, never panic and never end the
//! program, whatever became of standard error: a reader that stops reading, a closed pipe and a full
//! disk cost log lines, which are counted ([`Logger::dropped`]) and reported in a later line.
//!
//! `simple_logger` filters the records: by their level, and by their target where a setting is about one kind of
//! lines only. Its output is not used: it writes each line with a blocking call, knows neither JSON nor
//! key-values, and panics when standard error is a closed pipe or a full disk.
//!
//! A record's message says everything in words, its key-values repeat the same as fields. The text format prints the
//! message alone, the JSON format both, so nothing appears twice in a line of text.

mod buffer;
mod line;
mod output;
mod settings;

use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use log::{Level, Log, Metadata, Record};
use simple_logger::SimpleLogger;

use self::buffer::LineBuffer;
use self::output::Output;
use crate::clock::Stamp;

pub use settings::{
    Format, LogDuplicates, LogSettings, CONFLICTS, DUPLICATES, DUPLICATE_COUNTS, REQUESTS,
};

/// The value of [`Logger::now_us`] before the time is set.
const NOT_SET: i64 = i64::MIN;

/// A [`Log`] that formats into memory; [`Log::flush`] writes without blocking.
///
/// The loop calls `flush` at the end of each turn, and comes back within some 50 ms while
/// [`pending`](Logger::pending) is true.
pub struct Logger {
    filter: SimpleLogger,
    format: Format,
    /// Microseconds since 1970 as the loop last set them, or [`NOT_SET`].
    now_us: AtomicI64,
    /// One thread logs; the lock is there because [`Log`] must be [`Sync`].
    state: Mutex<State>,
}

struct State {
    stamp: Stamp,
    buffer: LineBuffer,
    output: Output,
}

impl Logger {
    /// A logger that writes to `out`: standard error, or in tests a substitute.
    pub fn new(settings: LogSettings, out: BorrowedFd<'static>) -> Logger {
        let state = State {
            stamp: Stamp::default(),
            buffer: LineBuffer::default(),
            output: Output::new(out),
        };
        Logger {
            filter: settings.filter(),
            format: settings.format,
            now_us: AtomicI64::new(NOT_SET),
            state: Mutex::new(state),
        }
    }

    /// Sets the time that records carry from now on, in microseconds since 1970-01-01T00:00:00Z. The
    /// loop calls it once a turn; until the first call each record reads the system's clock.
    pub fn set_now(&self, unix_us: i64) {
        self.now_us.store(unix_us, Ordering::Relaxed);
    }

    /// Lines that were dropped since the start, because the buffer was full or standard error failed.
    pub fn dropped(&self) -> u64 {
        self.lock().buffer.dropped()
    }

    /// Whether lines still wait for standard error to take them.
    pub fn pending(&self) -> bool {
        !self.lock().buffer.is_empty()
    }

    /// Writes what is buffered, waiting at most `longest` for standard error to take it. Only for the
    /// end of the program: this blocks, and reads the clock itself.
    pub fn flush_blocking(&self, longest: Duration) {
        let end = Instant::now() + longest;
        loop {
            self.flush();
            let left = end.saturating_duration_since(Instant::now());
            if !self.pending() || left.is_zero() {
                return;
            }
            self.lock().output.wait(left);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while the lock is held ends the program; in a test the state is still sound.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> i64 {
        match self.now_us.load(Ordering::Relaxed) {
            NOT_SET => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| {
                    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
                }),
            set => set,
        }
    }
}

impl State {
    /// Reports what has been dropped, if something was and there is room again.
    fn report_dropped(&mut self, now: i64, format: Format) {
        let Some(lines) = self.buffer.owed() else {
            return;
        };
        let time = self.stamp.at(now);
        let message = format_args!("Log lines dropped: {lines}");
        self.buffer.push_report(|out| match format {
            Format::Text => line::text(out, time, Level::Warn, message),
            Format::Json => line::json(out, time, Level::Warn, message, &("lines", lines)),
        });
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata) -> bool {
        self.filter.enabled(metadata)
    }

    fn log(&self, record: &Record) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let now = self.now();
        let mut state = self.lock();
        state.report_dropped(now, self.format);
        let State { stamp, buffer, .. } = &mut *state;
        let time = stamp.at(now);
        buffer.push(|out| match self.format {
            Format::Text => line::text(out, time, record.level(), *record.args()),
            Format::Json => line::json(
                out,
                time,
                record.level(),
                *record.args(),
                record.key_values(),
            ),
        });
    }

    /// Writes as much as standard error takes without blocking (a regular file takes all of it).
    fn flush(&self) {
        let mut state = self.lock();
        let State { buffer, output, .. } = &mut *state;
        output.write(buffer);
        if buffer.is_empty() && buffer.owed().is_some() && !output.failed() {
            state.report_dropped(self.now(), self.format);
            let State { buffer, output, .. } = &mut *state;
            output.write(buffer);
        }
    }
}

/// Makes a logger on standard error the one that `log`'s macros use, and returns it.
///
/// # Panics
/// If the process already has a logger: a program installs one, at its start.
pub fn install(settings: LogSettings) -> &'static Logger {
    let logger = Logger::new(settings, rustix::stdio::stderr());
    let logger: &'static Logger = Box::leak(Box::new(logger));
    log::set_logger(logger).expect("a program installs its logger once");
    // What no target takes costs a comparison in the macros of `log`, and no call.
    log::set_max_level(logger.filter.max_level());
    logger
}

/// Logs that an event was dropped because its key is stored already. The line's text is part of the
/// interface.
pub fn duplicate(topic: &str, event_id: &str, source: &str) {
    log::warn!(
        target: DUPLICATES,
        topic = topic, event_id = event_id, source = source;
        "Duplicate event detected and dropped: topic={topic}, event_id={event_id}, source={source}"
    );
}
