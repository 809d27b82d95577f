//! Where a store is that many servers share, as arguments.

use std::convert::Infallible;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use zeroize::Zeroizing;

use crate::postgres::url::EngineUrl;

/// What is a node's alone.
const OF_A_NODE: [&str; 11] = [
    "database",
    "durability",
    "dedup",
    "filter_memory_bytes",
    "retain_events",
    "retain_keys",
    "retain_rejected",
    "search_index",
    "syslog",
    "forward",
    "gelf",
];

/// The store of a front
#[derive(Debug, Args)]
pub(crate) struct StoreArgs {
    /// Serve a store that many servers share, in place of a database of this server's own:
    /// postgres://USER[:PASSWORD]@HOST:PORT[,HOST:PORT…]/DATABASE[?sslmode=disable]
    ///
    /// Of several hosts the first that takes writes. The password may be in PGPASSWORD instead.
    #[arg(long, env = "STORE_URL", value_name = "URL", conflicts_with_all = OF_A_NODE)]
    store: Option<Secret>,

    /// File that holds the password for the store
    #[arg(
        long,
        env = "STORE_PASSWORD_FILE",
        value_name = "FILE",
        requires = "store"
    )]
    store_password_file: Option<PathBuf>,
}

impl StoreArgs {
    /// The engine with its password.
    pub(crate) fn engine(&self) -> Result<Option<EngineUrl>, String> {
        let Some(store) = &self.store else {
            return Ok(None);
        };
        let flag = "--store (STORE_URL)";
        let parsed: Result<EngineUrl, String> = store.text().parse();
        let mut engine = parsed.map_err(|sentence| format!("{flag}: {sentence}"))?;
        if engine.password.is_none() {
            let file = self.store_password_file.as_deref();
            engine.password = password_from(file, "--store-password-file")?;
        }
        Ok(Some(engine))
    }
}

/// Text that is not shown, also where it is wrong.
#[derive(Clone)]
pub(crate) struct Secret(Zeroizing<String>);

impl Secret {
    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

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

/// The password that a file holds, else that of the environment.
pub(crate) fn password_from(
    file: Option<&Path>,
    flag: &str,
) -> Result<Option<Zeroizing<String>>, String> {
    let Some(path) = file else {
        return Ok(std::env::var("PGPASSWORD").ok().map(Zeroizing::new));
    };
    let read = std::fs::read_to_string(path).map(Zeroizing::new);
    let text = read.map_err(|error| format!("cannot read {flag} {}: {error}", path.display()))?;
    let password = text.trim_end_matches(['\n', '\r']).to_owned();
    Ok(Some(Zeroizing::new(password)))
}
