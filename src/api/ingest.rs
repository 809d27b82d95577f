//! Requests on the paths of other protocols, as far as HTTP goes: methods, codings and the query. What is special to
//! a protocol is its adapter's.

use super::content;
use crate::http::encoding::Coding;
use crate::http::{ErrorShape, Method, Refusal, Request, Response};
use crate::ingest::adapter::{Intake, PieceIntake, ServerState};
use crate::ingest::query::IngestQuery;
use crate::ingest::IngestRoute;

/// How the protocol says that a request is refused.
pub(crate) fn error_shape(request: &Request, route: &IngestRoute) -> ErrorShape {
    route.adapter().error_shape(route.endpoint(), request)
}

/// The methods of a path, as the field `Allow` lists them.
fn allow(route: &IngestRoute) -> String {
    let methods = route.adapter().methods(route.endpoint()).iter();
    let mut names: Vec<&str> = methods.map(|method| method.name()).collect();
    names.push(Method::Options.name());
    names.join(", ")
}

/// Whether the path takes this method.
pub(crate) fn takes(route: &IngestRoute, method: Method) -> bool {
    method == Method::Options || route.adapter().methods(route.endpoint()).contains(&method)
}

/// Takes a request that brings records, and says in which coding its body is.
///
/// # Errors
/// Why its head alone refuses it.
pub(crate) fn begin(
    request: &Request,
    route: &IngestRoute,
    state: ServerState,
) -> Result<(Box<dyn Intake>, Coding), Refusal> {
    let coding = check_head(request, route)?;
    let intake = route.adapter().begin(route.endpoint(), request, state)?;
    Ok((intake, coding))
}

/// The same for a request whose body is read as it arrives. A record of it may have `limit` bytes.
///
/// # Errors
/// Why its head alone refuses it.
pub(crate) fn begin_pieces(
    request: &Request,
    route: &IngestRoute,
    limit: usize,
) -> Result<(Box<dyn PieceIntake>, Coding), Refusal> {
    let coding = check_head(request, route)?;
    let intake = route
        .adapter()
        .begin_pieces(route.endpoint(), request, limit)?;
    Ok((intake, coding))
}

/// Looks at the method, and says in which coding the body is.
fn check_head(request: &Request, route: &IngestRoute) -> Result<Coding, Refusal> {
    if !takes(route, request.method) {
        let allow = allow(route);
        let sentence = format!("This path does not take that method; it takes {allow}.");
        return Err(Refusal::new(405, sentence).header("Allow", allow));
    }
    let adapter = route.adapter();
    adapter.coding(request).ok_or_else(content::unknown_coding)
}

/// The answer to OPTIONS where the adapter has nothing special to say.
pub(crate) fn options(route: &IngestRoute) -> Response {
    Response::empty(204).header("Allow", allow(route))
}

/// The five names of the query.
///
/// # Errors
/// 400: a value is wrong.
pub(crate) fn query(request: &Request) -> Result<IngestQuery, Refusal> {
    IngestQuery::parse(request.query()).map_err(|bad| Refusal::new(400, bad.sentence))
}
