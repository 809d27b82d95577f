//! Routes without the names that a path may hold: what statistics and the log of requests tell apart.

use super::route::Route;

/// A route by the pattern of its paths. However many paths are asked for, there are only these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    Root,
    Asset,
    Publish,
    Events,
    Event,
    Topics,
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
    /// No route has such a path, or no path could be read.
    Other,
}

impl Endpoint {
    /// All of them, each at the place that `endpoint as usize` names.
    pub const ALL: [Endpoint; 17] = [
        Endpoint::Root,
        Endpoint::Asset,
        Endpoint::Publish,
        Endpoint::Events,
        Endpoint::Event,
        Endpoint::Topics,
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
            Endpoint::Other => "other",
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
        for (at, endpoint) in Endpoint::ALL.into_iter().enumerate() {
            assert_eq!(endpoint as usize, at);
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
