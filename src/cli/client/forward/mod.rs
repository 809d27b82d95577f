//! `forward`: brings the events of a server into a store that a fleet shares, each once.

mod ahead;
pub(crate) mod arguments;
mod batch;
mod forwarder;
mod listener;
mod node;
mod status;
mod store;

use std::sync::Arc;
use std::time::Duration;

use self::ahead::ReadAhead;
use self::arguments::ForwardArgs;
use self::forwarder::Forwarder;
use self::status::Status;
use super::connect::{interrupt, token_failure};
use crate::cli::failure::Failure;
use crate::cli::progress::TransferProgress;
use crate::client::{Client, GiveUp};

/// Forwards until it is stopped, or with `--once` until all is there that was stored when it began.
pub(crate) fn run(arguments: &ForwardArgs) -> Result<(), Failure> {
    let engine = arguments.to.engine()?;
    let interrupt = interrupt()?;
    // One try each: a retry begins with reading the position.
    let mut of_client = arguments.client.clone();
    of_client.give_up_after = Some(GiveUp::After(Duration::ZERO));
    let client = || {
        Client::new(&of_client, GiveUp::Never, interrupt.clone())
            .map_err(|sentence| token_failure(&of_client, &sentence))
    };
    let mut client = client()?;
    let status = Arc::new(Status::default());
    let progress = match arguments.once {
        true => TransferProgress::of_numbers(0),
        false => TransferProgress::none(),
    };
    let beside = progress.clone();
    client.report_with(move |sentence| beside.report(&format!("logagg: {sentence}")));
    if let Some(address) = &arguments.listen {
        listener::listen(address, &of_client, &interrupt, &status, &client)?;
    }
    let ahead = ReadAhead::start(&of_client, &interrupt, arguments.batch_events as usize)?;
    let forwarder = Forwarder::new(
        arguments,
        engine,
        &client,
        ahead,
        interrupt.clone(),
        &status,
        &progress,
    );
    let done = forwarder.run();
    progress.end();
    match done {
        // That is a success: each commit is complete.
        Err(Failure::Ended(_)) if !arguments.once => Ok(()),
        done => done,
    }
}
