//! `serve`: sets the log up and runs the server.

use super::Failure;
use crate::config::Config;
use crate::net::ServeError;
use crate::{logging, net};

/// Runs the server until it is told to stop.
pub fn run(config: Config) -> Result<(), Failure> {
    let logger = logging::install(config.log_level, config.log_format);
    net::serve(config.settings, logger).map_err(|error| match error {
        ServeError::Setting(sentence) => Failure::Setting(sentence),
        ServeError::Failed(sentence) => Failure::Failed(sentence),
    })
}
