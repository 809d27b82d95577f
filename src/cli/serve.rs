//! `serve`: sets the log up and runs the server.

use crate::config::Config;
use crate::{logging, net};

/// Runs the server until it is told to stop. The error is one sentence: why it could not start.
pub fn run(config: Config) -> Result<(), String> {
    let logger = logging::install(config.log_level, config.log_format);
    net::serve(config.settings, logger).map_err(|error| error.to_string())
}
