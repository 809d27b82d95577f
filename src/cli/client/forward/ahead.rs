//! Reads a node on a thread of its own: the next batch is read while the last one is being written. At most two batches
//! are in memory, one here and one at the writer.

use std::sync::mpsc::{channel, sync_channel, Receiver, Sender, SyncSender};
use std::sync::Arc;
use std::thread;

use super::batch::Batch;
use super::node::{ReadEnd, Reader};
use crate::cli::failure::Failure;
use crate::client::{Client, ClientArgs, Error, GiveUp, Interrupt};
use crate::postgres::statement::Hash;

type Read = Result<(Batch, ReadEnd), Error>;

/// What is to be read, and who waits for it.
struct Request {
    database_id: String,
    after: u64,
    mark: Option<Hash>,
    reply: SyncSender<Read>,
}

/// The thread.
pub(super) struct ReadAhead(Sender<Request>);

/// The batches of one read. Dropping them ends it.
pub(super) struct Batches(Receiver<Read>);

impl ReadAhead {
    /// Starts the thread, which has a connection of its own and lives as long as the process.
    pub(super) fn start(
        of_client: &ClientArgs,
        interrupt: &Arc<Interrupt>,
        max_events: usize,
    ) -> Result<ReadAhead, Failure> {
        let (requests, received) = channel();
        let (of_client, interrupt) = (of_client.clone(), interrupt.clone());
        let serve = move || {
            // The token was read before, so this does not fail.
            let client = Client::new(&of_client, GiveUp::Never, interrupt);
            while let (Ok(client), Ok(request)) = (&client, received.recv()) {
                read(client, request, max_events);
            }
        };
        let spawned = thread::Builder::new()
            .name("reader".to_owned())
            .spawn(serve);
        spawned
            .map(|_| ReadAhead(requests))
            .map_err(|error| Failure::Failed(format!("cannot start a thread: {error}")))
    }

    /// Reads what a node has after a position.
    pub(super) fn read(&self, database_id: &str, after: u64, mark: Option<Hash>) -> Batches {
        // A channel without capacity, so that nothing is read beyond the batch that waits.
        let (reply, batches) = sync_channel(0);
        let request = Request {
            database_id: database_id.to_owned(),
            after,
            mark,
            reply,
        };
        // If the thread is gone the batches end, which `next` reports.
        let _ = self.0.send(request);
        Batches(batches)
    }
}

impl Batches {
    /// The next batch, and how it ended. All but a full one is the last.
    pub(super) fn next(&self) -> Read {
        let ended = |_| {
            Err(Error::Lost(
                "the thread that reads the node has ended".to_owned(),
            ))
        };
        self.0.recv().unwrap_or_else(ended)
    }
}

fn read(client: &Client, request: Request, max_events: usize) {
    let Request {
        database_id,
        mut after,
        mark,
        reply,
    } = request;
    let mut reader = Reader::open(client, &database_id, after, mark);
    loop {
        let mut batch = Batch::new(after);
        let end = reader.read(&mut batch, max_events);
        after = batch.upto;
        let is_last = !matches!(end, Ok(ReadEnd::Full));
        let is_wanted = reply.send(end.map(|end| (batch, end))).is_ok();
        if is_last || !is_wanted {
            return;
        }
    }
}
