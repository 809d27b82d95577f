//! From a request's method and target to what is asked for. Also what a head alone refuses.

use super::content::check_content;
use super::ingest;
use super::query::percent_decode;
use crate::event::name_error;
use crate::http::{detail_shape, ErrorShape, Method, Request, Response};
use crate::ingest::IngestRoute;
use crate::tokens::Scope;

/// How much work it is to answer a request that reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// As much whatever is stored.
    Small,
    /// Up to a slice, or several.
    Slice,
}

/// What the size of an answer depends on. Where memory is short, those that can be long wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerSize {
    /// On nothing: it is small, or a part of the program.
    Fixed,
    /// On the size of the request.
    AsRequest,
    /// On what is found.
    AsStored,
}

/// Who may ask for a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Everybody, with and without a token.
    Open,
    /// Clients that have a token with this scope.
    Needs(Scope),
}

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    Root,
    /// A file that a page loads.
    Asset {
        name: String,
    },
    Publish,
    Events,
    Histogram,
    Fields,
    Event {
        topic: String,
        event_id: String,
    },
    Topics,
    /// The records that could not become events.
    Rejected,
    Subscribe,
    Subscriptions,
    Subscription {
        name: String,
    },
    Acknowledgement {
        name: String,
    },
    Stats,
    Health,
    Metrics,
    /// The OpenAPI document.
    Description,
    /// Swagger UI.
    Docs,
    /// ReDoc.
    Redoc,
    /// A path of another protocol.
    Ingest(IngestRoute),
}

impl Route {
    /// The route of a path, which is still percent-encoded. Encoded letters are the letters
    /// (RFC 3986 §6.2.2.2); an encoded slash is part of a name and never ends a segment.
    pub fn of(path: &str) -> Option<Route> {
        let route = match path {
            // What most requests ask for, without decoding.
            "/publish" => Route::Publish,
            "/health" => Route::Health,
            "/events" => Route::Events,
            _ => {
                let segments = path.strip_prefix('/')?.split('/');
                let decoded = segments.map(|segment| percent_decode(segment, false));
                let Some(segments) = decoded.collect::<Option<Vec<String>>>() else {
                    return IngestRoute::of_undecodable(path).map(Route::Ingest);
                };
                match segments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                    [""] => Route::Root,
                    ["assets", name] => Route::Asset { name: name.into() },
                    ["publish"] => Route::Publish,
                    ["health"] => Route::Health,
                    ["stats"] => Route::Stats,
                    ["metrics"] => Route::Metrics,
                    ["topics"] => Route::Topics,
                    ["rejected"] => Route::Rejected,
                    ["events"] => Route::Events,
                    ["histogram"] => Route::Histogram,
                    ["fields"] => Route::Fields,
                    ["subscribe"] => Route::Subscribe,
                    ["openapi.json"] => Route::Description,
                    ["docs"] => Route::Docs,
                    ["redoc"] => Route::Redoc,
                    ["subscriptions"] => Route::Subscriptions,
                    ["subscriptions", name] if name_error(name).is_none() => {
                        Route::Subscription { name: name.into() }
                    }
                    ["subscriptions", name, "ack"] if name_error(name).is_none() => {
                        Route::Acknowledgement { name: name.into() }
                    }
                    ["events", topic, event_id] => {
                        if name_error(topic).is_some() || name_error(event_id).is_some() {
                            return None;
                        }
                        Route::Event {
                            topic: topic.into(),
                            event_id: event_id.into(),
                        }
                    }
                    ref others => Route::Ingest(IngestRoute::of(others)?),
                }
            }
        };
        Some(route)
    }

    /// The methods of the route, as the field `Allow` lists them.
    pub(crate) fn allow(&self) -> &'static str {
        match self {
            Route::Publish | Route::Acknowledgement { .. } => "POST, OPTIONS",
            Route::Subscription { .. } => "GET, HEAD, PUT, DELETE, OPTIONS",
            _ => "GET, HEAD, OPTIONS",
        }
    }

    /// Whether the answer is read from the database, or from what memory holds of it, so that there is none
    /// while a fault has closed it.
    pub(crate) fn reads_database(&self) -> bool {
        match self {
            Route::Events
            | Route::Histogram
            | Route::Fields
            | Route::Event { .. }
            | Route::Topics
            | Route::Rejected
            | Route::Subscribe
            | Route::Subscriptions
            | Route::Subscription { .. }
            | Route::Acknowledgement { .. }
            | Route::Stats => true,
            // Metrics are about the process as well; those of the database are the last known.
            Route::Root
            | Route::Asset { .. }
            | Route::Publish
            | Route::Ingest(_)
            | Route::Health
            | Route::Metrics
            | Route::Description
            | Route::Docs
            | Route::Redoc => false,
        }
    }

    /// Who may ask for it. The one place that says so: a new route has to choose.
    pub(crate) fn access(&self, method: Method) -> Access {
        match self {
            Route::Ingest(route) if route.adapter().is_open(route.endpoint(), method) => {
                Access::Open
            }
            Route::Publish | Route::Ingest(_) => Access::Needs(Scope::Publish),
            // The pages and their files show no data.
            Route::Root
            | Route::Asset { .. }
            | Route::Health
            | Route::Description
            | Route::Docs
            | Route::Redoc => Access::Open,
            Route::Events
            | Route::Histogram
            | Route::Fields
            | Route::Event { .. }
            | Route::Topics
            | Route::Rejected
            | Route::Subscribe
            | Route::Subscriptions
            | Route::Subscription { .. }
            | Route::Acknowledgement { .. }
            | Route::Stats
            | Route::Metrics => Access::Needs(Scope::Read),
        }
    }

    /// How large its answers can be. A new route has to choose.
    pub(crate) fn answer_size(&self, query: Option<&str>) -> AnswerSize {
        match self {
            Route::Root
            | Route::Docs
            | Route::Redoc
            | Route::Asset { .. }
            | Route::Description
            | Route::Health
            | Route::Stats
            | Route::Metrics
            | Route::Subscription { .. }
            | Route::Acknowledgement { .. }
            // A long list is sent a slice at a time.
            | Route::Topics => AnswerSize::Fixed,
            // Without a query it is one line, or a list of what is wrong, which has a bound.
            Route::Publish if query.is_none() => AnswerSize::Fixed,
            Route::Publish | Route::Ingest(_) => AnswerSize::AsRequest,
            Route::Events
            | Route::Histogram
            | Route::Fields
            | Route::Event { .. }
            | Route::Rejected
            | Route::Subscribe
            | Route::Subscriptions => AnswerSize::AsStored,
        }
    }

    /// How much has to be read for its answer; `None` if that need not be counted. A new route has to choose.
    pub(crate) fn effort(&self) -> Option<Effort> {
        match self {
            Route::Health
            | Route::Publish
            | Route::Ingest(_)
            | Route::Root
            | Route::Docs
            | Route::Redoc
            | Route::Asset { .. }
            | Route::Description
            | Route::Subscription { .. }
            | Route::Acknowledgement { .. } => None,
            Route::Stats | Route::Metrics => Some(Effort::Small),
            Route::Events
            | Route::Histogram
            | Route::Fields
            | Route::Event { .. }
            | Route::Topics
            | Route::Rejected
            | Route::Subscribe
            | Route::Subscriptions => Some(Effort::Slice),
        }
    }

    pub(super) fn takes(&self, method: Method) -> bool {
        match self {
            Route::Publish | Route::Acknowledgement { .. } => method == Method::Post,
            Route::Subscription { .. } => matches!(
                method,
                Method::Get | Method::Head | Method::Put | Method::Delete
            ),
            Route::Ingest(route) => ingest::takes(route, method),
            _ => matches!(method, Method::Get | Method::Head),
        }
    }
}

/// What refusals of a request look like: those of another protocol have its shape.
pub(crate) fn error_shape(request: &Request, route: Option<&Route>) -> ErrorShape {
    match route {
        Some(Route::Ingest(route)) => ingest::error_shape(request, route),
        Some(_) | None => detail_shape,
    }
}

/// The route of a request if its head is in order.
///
/// # Errors
/// The answer to a request that its head alone refuses or answers.
pub(crate) fn admit<'r>(
    request: &Request,
    route: Option<&'r Route>,
) -> Result<&'r Route, Box<Response>> {
    let route = admit_line(request, route)?;
    if matches!(request.method, Method::Post | Method::Put) {
        check_content(request)?;
    }
    Ok(route)
}

/// The same as far as the request line decides; enough after [`admit`] has let the head pass.
///
/// # Errors
/// As [`admit`].
pub(crate) fn admit_line<'r>(
    request: &Request,
    route: Option<&'r Route>,
) -> Result<&'r Route, Box<Response>> {
    if request.method == Method::Options && request.path() == "*" {
        return Err(Response::empty(204)
            .header("Allow", "GET, HEAD, POST, PUT, DELETE, OPTIONS")
            .into());
    }
    let Some(route) = route else {
        return Err(Response::error(
            404,
            "There is nothing at this path; GET / lists what there is.",
        )
        .into());
    };
    if request.method == Method::Options {
        return Err(Response::empty(204).header("Allow", route.allow()).into());
    }
    if !route.takes(request.method) {
        let allow = route.allow();
        let sentence = format!("This path does not take that method; it takes {allow}.");
        return Err(Response::error(405, &sentence)
            .header("Allow", allow)
            .into());
    }
    Ok(route)
}
