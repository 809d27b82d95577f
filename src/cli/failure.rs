//! How a command fails: one sentence on standard error and an exit code.

use std::io::Write;
use std::process::ExitCode;

use crate::client;
use crate::store::OpenError;
use crate::text::escaped;

/// The exit code for standard output that was closed before all was written, where 1 has a meaning of its own: 128
/// plus the number of SIGPIPE, as a shell reports it of other programs.
pub(crate) const READER_GONE: u8 = 141;

/// Why a command failed: one sentence.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The value of an argument or a variable is wrong, which showed only when it was used.
    Setting(String),
    /// Anything else.
    Failed(String),
    /// The question could not be asked, as opposed to an answer of nothing.
    NotAsked(String),
    /// Standard output was closed by its reader before all was written.
    ReaderGone,
    /// It ends with this exit code and without a sentence.
    Ended(u8),
}

impl From<client::Error> for Failure {
    fn from(error: client::Error) -> Failure {
        match error {
            client::Error::Stopped(stop) => Failure::from(stop),
            error => Failure::Failed(error.to_string()),
        }
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Failure {
        Failure::Failed(error.to_string())
    }
}

impl From<client::Stop> for Failure {
    fn from(stop: client::Stop) -> Failure {
        match stop {
            // As a shell reports it.
            client::Stop::Signal(number) => Failure::Ended(128 + number),
            client::Stop::ReaderGone => Failure::ReaderGone,
        }
    }
}

impl Failure {
    /// Writes the sentence to standard error and returns the exit code: 2 if a setting is wrong, 3 for a
    /// question that could not be asked, else 1 or the code that it ended with.
    pub(super) fn report(&self) -> ExitCode {
        let (code, sentence) = match self {
            Failure::Setting(sentence) => (2, sentence.as_str()),
            Failure::Failed(sentence) => (1, sentence.as_str()),
            Failure::NotAsked(sentence) => (3, sentence.as_str()),
            Failure::ReaderGone => (1, "standard output was closed before all was written"),
            Failure::Ended(code) => return ExitCode::from(*code),
        };
        // If nobody reads standard error, the exit code still says it.
        let _ = writeln!(std::io::stderr(), "logagg: {}", escaped(sentence));
        ExitCode::from(code)
    }
}
