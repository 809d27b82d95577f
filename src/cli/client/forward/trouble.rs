//! Why a session of a forwarder ends early.

use crate::client::engine::EngineError;
use crate::client::{Error, Stop};

/// A signal, or which end failed.
pub(super) enum Trouble {
    Stopped(Stop),
    Node(Error),
    Engine(EngineError),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Trouble {
        match error {
            Error::Stopped(stop) => Trouble::Stopped(stop),
            error => Trouble::Node(error),
        }
    }
}

impl From<EngineError> for Trouble {
    fn from(error: EngineError) -> Trouble {
        match error {
            EngineError::Stopped(stop) => Trouble::Stopped(stop),
            error => Trouble::Engine(error),
        }
    }
}

impl From<Stop> for Trouble {
    fn from(stop: Stop) -> Trouble {
        Trouble::Stopped(stop)
    }
}
