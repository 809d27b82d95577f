//! Where a store is, as an argument.

use std::convert::Infallible;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use zeroize::Zeroizing;

use crate::cli::failure::Failure;
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

/// Text that is not shown, also where it is wrong.
#[derive(Clone)]
struct Secret(Zeroizing<String>);

impl FromStr for Secret {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Secret, Infallible> {
        Ok(Secret(Zeroizing::new(text.to_owned())))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl ToArgs {
    /// The engine with its password: that of the URL, else that of the file, else that of the environment.
    pub(crate) fn engine(&self) -> Result<EngineUrl, Failure> {
        let parsed: Result<EngineUrl, String> = self.to.0.parse();
        let mut engine =
            parsed.map_err(|sentence| Failure::Setting(format!("--to (LOGAGG_TO): {sentence}")))?;
        if engine.password.is_none() {
            engine.password = match &self.to_password_file {
                Some(path) => Some(read_password(path)?),
                None => std::env::var("PGPASSWORD").ok().map(Zeroizing::new),
            };
        }
        Ok(engine)
    }
}

fn read_password(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let read = std::fs::read_to_string(path).map(Zeroizing::new);
    let text = read.map_err(|error| {
        Failure::Setting(format!(
            "cannot read --to-password-file {}: {error}",
            path.display()
        ))
    })?;
    Ok(Zeroizing::new(
        text.trim_end_matches(['\n', '\r']).to_owned(),
    ))
}
