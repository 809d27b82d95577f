//! The kinds of traffic by name: what a scenario and the sub-command `load` send.

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::ValueEnum;

use crate::load::events::{EventStream, IdOrder, Repeats, TOPICS};
use crate::load::protocol::Protocol;
use crate::load::request::Template;
use crate::load::shippers;
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
    /// Batches of random ids, every second event one of all stored before the round
    HalfFar,
    /// As batch-random, with 1,000 topics in place of 5
    ThousandTopics,
    /// As batch-random, with 100,000 topics
    ManyTopics,
    /// As batch-random, an event a line, with larger payloads
    Ndjson,
    /// The same payloads as OTLP in protobuf
    Otlp,
    /// Payloads of that length as Elasticsearch's bulk
    Bulk,
    /// Payloads of that length as Loki's push in JSON
    Loki,
    /// GET /events of one of 100,000 topics, another each time
    RareTopic,
}

impl Kind {
    /// Events in a request where nothing else is asked for.
    fn default_batch(self) -> usize {
        match self {
            Kind::SingleOrdered | Kind::SingleRandom | Kind::Same => 1,
            _ => BATCH,
        }
    }

    fn topics(self) -> u64 {
        match self {
            Kind::ThousandTopics => 1_000,
            Kind::ManyTopics | Kind::RareTopic => 100_000,
            _ => TOPICS,
        }
    }

    /// Requests of this kind to `address`, with ids that no earlier traffic has used. `batch`
    /// overrides the events in a request.
    pub fn traffic(self, address: SocketAddr, protocol: Protocol, batch: Option<usize>) -> Traffic {
        let host = address.to_string();
        let batch = batch.unwrap_or_else(|| self.default_batch());
        let template = match self {
            Kind::Health => Template::get("/health", &host),
            Kind::RareTopic => Template::read_topic(&host, self.topics()),
            Kind::Ndjson => shippers::ndjson(batch, &host, self.topics()),
            Kind::Otlp => shippers::otlp(batch, &host),
            Kind::Bulk => shippers::bulk(batch, &host),
            Kind::Loki => shippers::loki(batch, &host),
            _ => protocol.publish(batch, &host, self.topics()),
        };
        let (order, repeats) = match self {
            Kind::Health | Kind::SingleOrdered | Kind::BatchOrdered => {
                (IdOrder::Ordered, Repeats::Never)
            }
            Kind::SingleRandom
            | Kind::BatchRandom
            | Kind::ThousandTopics
            | Kind::ManyTopics
            | Kind::Ndjson
            | Kind::Otlp
            | Kind::Bulk
            | Kind::Loki
            | Kind::RareTopic => (IdOrder::Random, Repeats::Never),
            Kind::Same => (IdOrder::Ordered, Repeats::Always),
            Kind::HalfNear => (IdOrder::Random, Repeats::Near { per_mille: 500 }),
            Kind::HalfFar => (IdOrder::Random, Repeats::HalfFar),
        };
        Traffic {
            template,
            stream: EventStream::new(order, repeats, self.topics(), new_seed()),
        }
    }
}

/// A seed that grows with each call, also across runs of this program: nanoseconds since 1970.
pub fn new_seed() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos() as u64)
}
