//! What the application holds for other protocols.

use std::rc::Rc;

use super::socket_records::SocketCompletion;
use super::uploads::Uploads;
use crate::ingest::{IngestSetting, Machine};

#[derive(Default)]
pub(super) struct IngestState {
    /// How records become events where requests can say nothing.
    pub(super) settings: Vec<IngestSetting>,
    /// Requests whose bodies are read as they arrive.
    pub(super) uploads: Uploads,
    /// What became of the records of sockets, since it was last taken.
    pub(super) socket_completions: Vec<SocketCompletion>,
    /// This machine's name and zone, for messages that name none.
    pub(super) machine: Rc<Machine>,
}
