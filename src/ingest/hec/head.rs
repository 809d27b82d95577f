//! What the head of a request says besides its path.

use crate::api::query;
use crate::http::Request;

pub(super) fn has_authorization(request: &Request) -> bool {
    has_field(request, "authorization")
}

/// Whether the client wants to ask later whether its events are stored.
pub(super) fn has_channel(request: &Request) -> bool {
    has_field(request, "x-splunk-request-channel") || asked(request, "channel").is_some()
}

fn has_field(request: &Request, name: &str) -> bool {
    let mut fields = request.headers(name);
    fields.any(|value| !value.trim_ascii().is_empty())
}

/// The first value of this name in the query that is not empty.
pub(super) fn asked(request: &Request, name: &'static str) -> Option<String> {
    let values = query::values(request.query(), name).unwrap_or_default();
    values.into_iter().find(|value| !value.is_empty())
}
