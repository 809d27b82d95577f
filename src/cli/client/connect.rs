//! How a command gets its client: installs the signal handlers and reads the token.

use std::sync::Arc;

use crate::cli::failure::Failure;
use crate::cli::origin::origin_of;
use crate::client::{Client, ClientArgs, GiveUp, Interrupt};

/// Makes the client of a command and installs the signal handlers. Call it once a process.
pub(super) fn client_of(arguments: &ClientArgs, give_up: GiveUp) -> Result<Client, Failure> {
    Client::new(arguments, give_up, interrupt()?)
        .map_err(|sentence| token_failure(arguments, &sentence))
}

/// Installs the signal handlers. Call it once a process.
pub(super) fn interrupt() -> Result<Arc<Interrupt>, Failure> {
    Interrupt::install()
        .map(Arc::new)
        .map_err(|error| Failure::Failed(format!("cannot wait for signals: {error}")))
}

/// The failure for a token that cannot be read.
pub(super) fn token_failure(arguments: &ClientArgs, sentence: &str) -> Failure {
    let is_in_file = arguments.token_file.is_some();
    let origin = is_in_file.then(|| origin_of::<ClientArgs>("--token-file"));
    Failure::Setting(format!("{sentence}{}", origin.unwrap_or_default()))
}
