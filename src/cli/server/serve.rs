//! `serve`: sets the log up and runs the server.

use crate::cli::failure::Failure;
use crate::cli::origin::origin_of;
use crate::cli::signals::block_terminal_output_signal;
use crate::config::{Config, ServeArgs};
use crate::net::{Inherited, ServeError};
#[cfg(feature = "fleet")]
use crate::postgres::url::EngineUrl;
use crate::{logging, net};

/// What is served, and how.
pub(crate) struct Served {
    config: Config,
    /// The store that many servers share, in place of a database.
    #[cfg(feature = "fleet")]
    store: Option<EngineUrl>,
}

impl Served {
    /// # Errors
    /// That of the arguments; within, that of what they name.
    pub(crate) fn new(arguments: ServeArgs) -> Result<Result<Served, Failure>, clap::Error> {
        #[cfg(feature = "fleet")]
        let store = arguments.store();
        let config = arguments.into_config()?;
        #[cfg(feature = "fleet")]
        let served = store
            .map(|store| Served { config, store })
            .map_err(Failure::Setting);
        #[cfg(not(feature = "fleet"))]
        let served = Ok(Served { config });
        Ok(served)
    }

    /// Runs the server until it is stopped.
    pub(crate) fn run(self, inherited: Inherited) -> Result<(), Failure> {
        block_terminal_output_signal();
        let Config { log, settings } = self.config;
        let logger = logging::install(log);
        #[cfg(feature = "fleet")]
        let served = match self.store {
            Some(store) => net::serve_front(settings, store, inherited, logger),
            None => net::serve(settings, inherited, logger),
        };
        #[cfg(not(feature = "fleet"))]
        let served = net::serve(settings, inherited, logger);
        served.map_err(|error| match error {
            ServeError::Setting { flag, .. } => {
                Failure::Setting(format!("{error}{}", origin_of::<ServeArgs>(flag)))
            }
            ServeError::Failed(sentence) => Failure::Failed(sentence),
        })
    }
}
