//! Where events are brought to, as an argument.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

use crate::cli::failure::Failure;
use crate::client::nats::StreamUrl;
use crate::config::{password_from, Secret};
use crate::postgres::url::EngineUrl;

/// Where the store is
#[derive(Debug, Args)]
pub(crate) struct ToArgs {
    /// The store: postgres://USER[:PASSWORD]@HOST:PORT[,HOST:PORT…]/DATABASE[?sslmode=disable]
    ///
    /// Of several hosts the first that takes writes. The password may be in PGPASSWORD instead.
    #[arg(long, env = "LOGAGG_TO", value_name = "URL")]
    to: Secret,

    /// File that holds the password for the store
    #[arg(long, value_name = "FILE")]
    to_password_file: Option<PathBuf>,
}

/// Where that is.
pub(crate) enum To {
    Store(EngineUrl),
    Stream(StreamUrl),
}

impl ToArgs {
    /// A store or a stream, with its password.
    pub(crate) fn destination(&self) -> Result<To, Failure> {
        if !StreamUrl::is_meant(self.to.text()) {
            return self.engine().map(To::Store);
        }
        let mut stream: StreamUrl = self.parsed()?;
        // PGPASSWORD is none of its.
        let file = self.to_password_file.as_deref();
        if let (None, Some(file)) = (&stream.password, file) {
            let password = password_from(Some(file), "--to-password-file");
            stream.password = password.map_err(Failure::Setting)?;
        }
        Ok(To::Stream(stream))
    }

    fn parsed<T: FromStr<Err = String>>(&self) -> Result<T, Failure> {
        let parsed: Result<T, String> = self.to.text().parse();
        parsed.map_err(|sentence| Failure::Setting(format!("--to (LOGAGG_TO): {sentence}")))
    }

    /// The engine with its password: that of the URL, else that of the file, else that of the environment.
    pub(crate) fn engine(&self) -> Result<EngineUrl, Failure> {
        let mut engine: EngineUrl = self.parsed()?;
        if engine.password.is_none() {
            let file = self.to_password_file.as_deref();
            let password = password_from(file, "--to-password-file");
            engine.password = password.map_err(Failure::Setting)?;
        }
        Ok(engine)
    }
}
