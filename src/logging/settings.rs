//! What is logged: the level of each kind of record, by its target.

use log::LevelFilter;
use simple_logger::SimpleLogger;

/// The target of the lines about requests, one for each.
pub const REQUESTS: &str = "requests";
/// The target of the lines about duplicates, one for each.
pub const DUPLICATES: &str = "duplicates";
/// The target of the lines about conflicts, one for each.
pub const CONFLICTS: &str = "conflicts";
/// The target of the lines with the number of duplicates, at most one a second.
pub const DUPLICATE_COUNTS: &str = "duplicate-counts";

/// How a record becomes a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `2026-01-02T03:04:05.678901Z  WARN message`. Control and invisible characters in the message are escaped as in
    /// JSON (`\n`, `\u0085`); a backslash is not escaped.
    Text,
    /// One JSON object a line: `time`, `level`, `message`, and each key-value as a member of its own.
    Json,
}

/// How duplicates are logged. Conflicts are logged in either case but `Off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogDuplicates {
    /// A line for each.
    Each,
    /// A line for each second that had some.
    Summary,
    Off,
}

/// The settings of the program's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// The least important records that are logged, of any target.
    pub level: LevelFilter,
    pub format: Format,
    /// A line for each request that is answered.
    pub access_log: bool,
    pub duplicates: LogDuplicates,
}

impl LogSettings {
    /// The filter that these settings mean.
    pub(super) fn filter(&self) -> SimpleLogger {
        let only_if = |wanted| if wanted { self.level } else { LevelFilter::Off };
        let each = self.duplicates == LogDuplicates::Each;
        let counts = self.duplicates == LogDuplicates::Summary;
        SimpleLogger::new()
            .with_level(self.level)
            .with_module_level(REQUESTS, only_if(self.access_log))
            .with_module_level(DUPLICATES, only_if(each))
            .with_module_level(DUPLICATE_COUNTS, only_if(counts))
            .with_module_level(CONFLICTS, only_if(each || counts))
    }
}
