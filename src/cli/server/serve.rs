//! `serve`: sets the log up and runs the server.

use crate::cli::failure::Failure;
use crate::cli::origin::origin_of;
use crate::cli::signals::block_terminal_output_signal;
use crate::config::{Config, ServeArgs};
use crate::net::{Inherited, ServeError};
use crate::{logging, net};

/// Runs the server until it is stopped.
pub(crate) fn run(config: Config, inherited: Inherited) -> Result<(), Failure> {
    block_terminal_output_signal();
    let logger = logging::install(config.log);
    net::serve(config.settings, inherited, logger).map_err(|error| match error {
        ServeError::Setting { flag, .. } => {
            Failure::Setting(format!("{error}{}", origin_of::<ServeArgs>(flag)))
        }
        ServeError::Failed(sentence) => Failure::Failed(sentence),
    })
}
