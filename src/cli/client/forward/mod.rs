//! `forward`: brings the events of a server into a store that a fleet shares, or into a stream, each once.

mod ahead;
pub(crate) mod arguments;
mod batch;
mod destination;
mod forwarder;
mod listener;
mod node;
mod status;
mod store;
mod stream;
mod stream_api;
mod subject;
mod trouble;

use std::sync::Arc;
use std::time::Duration;

use self::ahead::ReadAhead;
use self::arguments::ForwardArgs;
use self::destination::Destination;
use self::forwarder::Forwarder;
use self::status::Status;
use self::store::Store;
use self::stream::Stream;
use super::connect::{interrupt, token_failure};
use crate::cli::client::engine::To;
use crate::cli::failure::Failure;
use crate::cli::progress::TransferProgress;
use crate::client::{Client, GiveUp};
use crate::limits::STREAM_BATCH_EVENTS_MAX;

/// Forwards until it is stopped, or with `--once` until all is there that was stored when it began.
pub(crate) fn run(arguments: &ForwardArgs) -> Result<(), Failure> {
    let to = arguments.to.destination()?;
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
    let (to, most): (Box<dyn Destination>, _) = match to {
        To::Store(url) => (Box::new(Store::new(url, &interrupt)), u32::MAX),
        To::Stream(url) => (
            Box::new(Stream::new(url, &client, &interrupt)),
            STREAM_BATCH_EVENTS_MAX,
        ),
    };
    let most = most.min(arguments.batch_events);
    let ahead = ReadAhead::start(&of_client, &interrupt, most as usize)?;
    let forwarder = Forwarder::new(
        arguments,
        to,
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
