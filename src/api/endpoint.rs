//! Routes without the names that a path may hold: what statistics and the log of requests tell apart.

use super::route::Route;
use crate::ingest::protocols;

/// A route by the pattern of its paths. However many paths are asked for, there are only these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    Root,
    Asset,
    Publish,
    Events,
    Event,
    Topics,
    Rejected,
    Subscribe,
    Subscriptions,
    Subscription,
    Acknowledgement,
    Stats,
    Health,
    Metrics,
    Description,
    Docs,
    Redoc,
    Histogram,
    Fields,
    /// No route has such a path, or no path could be read.
    Other,
    /// A protocol's, by its place in the list of protocols.
    Ingest(u8),
}

/// Endpoints that are not a protocol's.
const OWN: usize = 20;

impl Endpoint {
    /// How many there are.
    pub(crate) const COUNT: usize = OWN + protocols::COUNT;

    /// All of them, each at its [`place`](Self::place).
    pub(crate) fn all() -> impl Iterator<Item = Endpoint> {
        let of_protocols = (0..protocols::COUNT).map(|place| Endpoint::Ingest(place as u8));
        Endpoint::ALL.into_iter().chain(of_protocols)
    }

    /// Its place among all, below [`COUNT`](Self::COUNT).
    pub(crate) fn place(self) -> usize {
        match self {
            Endpoint::Ingest(place) => OWN + usize::from(place),
            Endpoint::Root => 0,
            Endpoint::Asset => 1,
            Endpoint::Publish => 2,
            Endpoint::Events => 3,
            Endpoint::Event => 4,
            Endpoint::Topics => 5,
            Endpoint::Rejected => 6,
            Endpoint::Subscribe => 7,
            Endpoint::Subscriptions => 8,
            Endpoint::Subscription => 9,
            Endpoint::Acknowledgement => 10,
            Endpoint::Stats => 11,
            Endpoint::Health => 12,
            Endpoint::Metrics => 13,
            Endpoint::Description => 14,
            Endpoint::Docs => 15,
            Endpoint::Redoc => 16,
            Endpoint::Histogram => 17,
            Endpoint::Fields => 18,
            Endpoint::Other => 19,
        }
    }

    /// Those that are not a protocol's.
    const ALL: [Endpoint; OWN] = [
        Endpoint::Root,
        Endpoint::Asset,
        Endpoint::Publish,
        Endpoint::Events,
        Endpoint::Event,
        Endpoint::Topics,
        Endpoint::Rejected,
        Endpoint::Subscribe,
        Endpoint::Subscriptions,
        Endpoint::Subscription,
        Endpoint::Acknowledgement,
        Endpoint::Stats,
        Endpoint::Health,
        Endpoint::Metrics,
        Endpoint::Description,
        Endpoint::Docs,
        Endpoint::Redoc,
        Endpoint::Histogram,
        Endpoint::Fields,
        Endpoint::Other,
    ];

    /// The endpoint of a request's route.
    pub(crate) fn of(route: Option<&Route>) -> Endpoint {
        match route {
            Some(Route::Root) => Endpoint::Root,
            Some(Route::Asset { .. }) => Endpoint::Asset,
            Some(Route::Publish) => Endpoint::Publish,
            Some(Route::Events) => Endpoint::Events,
            Some(Route::Event { .. }) => Endpoint::Event,
            Some(Route::Topics) => Endpoint::Topics,
            Some(Route::Rejected) => Endpoint::Rejected,
            Some(Route::Subscribe) => Endpoint::Subscribe,
            Some(Route::Subscriptions) => Endpoint::Subscriptions,
            Some(Route::Subscription { .. }) => Endpoint::Subscription,
            Some(Route::Acknowledgement { .. }) => Endpoint::Acknowledgement,
            Some(Route::Stats) => Endpoint::Stats,
            Some(Route::Health) => Endpoint::Health,
            Some(Route::Metrics) => Endpoint::Metrics,
            Some(Route::Description) => Endpoint::Description,
            Some(Route::Docs) => Endpoint::Docs,
            Some(Route::Redoc) => Endpoint::Redoc,
            Some(Route::Histogram) => Endpoint::Histogram,
            Some(Route::Fields) => Endpoint::Fields,
            Some(Route::Ingest(route)) => Endpoint::Ingest(route.place() as u8),
            None => Endpoint::Other,
        }
    }

    /// The paths as the interface's description writes them.
    pub fn pattern(self) -> &'static str {
        match self {
            Endpoint::Root => "/",
            Endpoint::Asset => "/assets/{name}",
            Endpoint::Publish => "/publish",
            Endpoint::Events => "/events",
            Endpoint::Event => "/events/{topic}/{event_id}",
            Endpoint::Topics => "/topics",
            Endpoint::Rejected => "/rejected",
            Endpoint::Subscribe => "/subscribe",
            Endpoint::Subscriptions => "/subscriptions",
            Endpoint::Subscription => "/subscriptions/{name}",
            Endpoint::Acknowledgement => "/subscriptions/{name}/ack",
            Endpoint::Stats => "/stats",
            Endpoint::Health => "/health",
            Endpoint::Metrics => "/metrics",
            Endpoint::Description => "/openapi.json",
            Endpoint::Docs => "/docs",
            Endpoint::Redoc => "/redoc",
            Endpoint::Histogram => "/histogram",
            Endpoint::Fields => "/fields",
            Endpoint::Other => "other",
            Endpoint::Ingest(place) => protocols::pattern(usize::from(place)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_path(path: &str) -> Endpoint {
        Endpoint::of(Route::of(path).as_ref())
    }

    #[test]
    fn each_stands_at_its_place_and_is_that_of_its_pattern() {
        assert_eq!(Endpoint::all().count(), Endpoint::COUNT);
        for (at, endpoint) in Endpoint::all().enumerate() {
            assert_eq!(endpoint.place(), at);
            assert_eq!(of_path(endpoint.pattern()), endpoint);
        }
    }

    #[test]
    fn whatever_a_path_holds_the_endpoint_is_one_of_them() {
        for (path, pattern) in [
            ("/%70ublish", "/publish"),
            ("/events/a/b", "/events/{topic}/{event_id}"),
            ("/events/a%2Fb/%C3%A4", "/events/{topic}/{event_id}"),
            ("/events/a", "other"),
            ("/events/a/%00", "other"),
            ("/publish/", "other"),
            ("*", "other"),
            ("", "other"),
        ] {
            assert_eq!(of_path(path).pattern(), pattern, "{path}");
        }
    }
}
