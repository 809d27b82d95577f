//! How talking to an engine fails.

use std::fmt;

use crate::client::interrupt::Stop;
use crate::postgres::ServerError;

/// Why an engine did not do what it was asked to.
#[derive(Clone, Debug)]
pub(crate) enum EngineError {
    /// A signal came.
    Stopped(Stop),
    /// There is no connection, or it cannot be used any more: a sentence.
    Lost(String),
    /// It refused.
    Refused(ServerError),
    /// It cannot be used as it is: a sentence. Trying again does not help.
    Unfit(String),
}

impl From<Stop> for EngineError {
    fn from(stop: Stop) -> EngineError {
        EngineError::Stopped(stop)
    }
}

impl From<std::io::Error> for EngineError {
    fn from(error: std::io::Error) -> EngineError {
        let text = error.to_string();
        EngineError::Lost(
            text.split(" (os error")
                .next()
                .unwrap_or_default()
                .to_owned(),
        )
    }
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EngineError::Stopped(_) => f.write_str("stopped by a signal"),
            EngineError::Lost(what) | EngineError::Unfit(what) => f.write_str(what),
            EngineError::Refused(error) => error.fmt(f),
        }
    }
}
