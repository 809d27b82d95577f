//! Where a store is, as an argument.

use std::path::PathBuf;

use clap::Args;

use crate::cli::failure::Failure;
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

impl ToArgs {
    /// The engine with its password: that of the URL, else that of the file, else that of the environment.
    pub(crate) fn engine(&self) -> Result<EngineUrl, Failure> {
        let parsed: Result<EngineUrl, String> = self.to.text().parse();
        let mut engine =
            parsed.map_err(|sentence| Failure::Setting(format!("--to (LOGAGG_TO): {sentence}")))?;
        if engine.password.is_none() {
            let file = self.to_password_file.as_deref();
            let password = password_from(file, "--to-password-file");
            engine.password = password.map_err(Failure::Setting)?;
        }
        Ok(engine)
    }
}
