//! The kinds of traffic by name: what a scenario and the sub-command `load` send.

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::ValueEnum;

use crate::load::events::{EventStream, IdOrder, Repeats};
use crate::load::request::Template;
use crate::load::Traffic;

/// Events in a request of the kinds that send batches.
pub const BATCH: usize = 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// GET /health
    Health,
    /// One new event a request, ids ordered
    SingleOrdered,
    /// One new event a request, ids random
    SingleRandom,
    /// New events in batches, ids ordered
    BatchOrdered,
    /// New events in batches, ids random
    BatchRandom,
    /// The same event again and again, one a request
    Same,
    /// Batches of random ids, every second event one of the last few thousand
    HalfNear,
    /// Batches of random ids, every second event one stored before the run
    HalfFar,
}

impl Kind {
    /// Events in a request where nothing else is asked for.
    fn default_batch(self) -> usize {
        match self {
            Kind::Health | Kind::SingleOrdered | Kind::SingleRandom | Kind::Same => 1,
            Kind::BatchOrdered | Kind::BatchRandom | Kind::HalfNear | Kind::HalfFar => BATCH,
        }
    }

    /// Requests of this kind to `address`, with ids that no earlier traffic has used. `batch`
    /// overrides the events in a request.
    pub fn traffic(self, address: SocketAddr, batch: Option<usize>) -> Traffic {
        let host = address.to_string();
        let template = match self {
            Kind::Health => Template::get("/health", &host),
            _ => Template::publish(batch.unwrap_or_else(|| self.default_batch()), &host),
        };
        let (order, repeats) = match self {
            Kind::Health | Kind::SingleOrdered | Kind::BatchOrdered => {
                (IdOrder::Ordered, Repeats::Never)
            }
            Kind::SingleRandom | Kind::BatchRandom => (IdOrder::Random, Repeats::Never),
            Kind::Same => (IdOrder::Ordered, Repeats::Always),
            Kind::HalfNear => (IdOrder::Random, Repeats::HalfNear),
            Kind::HalfFar => (IdOrder::Random, Repeats::HalfFar),
        };
        Traffic {
            template,
            stream: EventStream::new(order, repeats, new_seed()),
        }
    }
}

/// A seed that grows with each call, also across runs of this program: nanoseconds since 1970.
pub fn new_seed() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos() as u64)
}
