//! The protocols over HTTP: one line each. Nothing else names an adapter.

use std::fmt;

use super::adapter::{Adapter, Endpoint};

/// Each at the place that [`IngestRoute::place`] names.
const ADAPTERS: &[&dyn Adapter] = &[
    &super::cloudevents::CloudEvents,
    &super::datadog::Datadog,
    &super::elasticsearch::Elasticsearch,
    &super::gelf::GelfHttp,
    &super::hec::Hec,
    &super::journald::Journald,
    &super::otlp::Otlp,
    &super::loki::Loki,
];

/// How many protocols there are.
pub(crate) const COUNT: usize = ADAPTERS.len();

/// The paths of the protocol at this place, as one pattern.
pub(crate) fn pattern(place: usize) -> &'static str {
    ADAPTERS[place].pattern()
}

/// A path of one of the protocols.
#[derive(Clone, PartialEq, Eq)]
pub struct IngestRoute {
    place: usize,
    endpoint: Endpoint,
}

impl IngestRoute {
    /// The route of a path, given as its segments, percent-decoded.
    pub(crate) fn of(segments: &[&str]) -> Option<Self> {
        ADAPTERS.iter().enumerate().find_map(|(place, adapter)| {
            let endpoint = adapter.endpoint(segments)?;
            Some(Self { place, endpoint })
        })
    }

    /// The route of a path with an escape that cannot be decoded.
    pub(crate) fn of_undecodable(path: &str) -> Option<Self> {
        ADAPTERS.iter().enumerate().find_map(|(place, adapter)| {
            let endpoint = adapter.undecodable(path)?;
            Some(Self { place, endpoint })
        })
    }

    /// Which of the protocols it is, below [`COUNT`].
    pub(crate) fn place(&self) -> usize {
        self.place
    }

    pub(crate) fn adapter(&self) -> &'static dyn Adapter {
        ADAPTERS[self.place]
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }
}

impl fmt::Debug for IngestRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple(self.adapter().protocol().name())
            .field(&self.endpoint)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the paths of the document take is tried over sockets, in `tests/server/openapi.rs`.
    #[test]
    fn each_protocol_is_described() {
        let document = include_str!("../web/openapi.json");
        let document: serde_json::Value = serde_json::from_str(document).expect("it is JSON");
        for adapter in ADAPTERS {
            let path = adapter.pattern();
            assert!(document["paths"].get(path).is_some(), "{path}");
        }
    }
}
