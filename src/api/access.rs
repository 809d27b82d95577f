//! Whether a request may be made at all: what its path needs against what its token allows. [`Route::access`] says
//! which route needs what.

use super::route::{Access, Route};
use crate::http::{Method, Refusal, Request};
use crate::tokens::{Scope, TokenCheck, Tokens};

/// Refuses a request whose token is unknown, 401, or lacks the scope that is needed, 403 (RFC 6750 §3.1). Comes before
/// all other checks of a request. A client that has a token at all learns that a path does not exist or does not take a
/// method.
pub(crate) fn authorize(
    request: &Request,
    route: Option<&Route>,
    tokens: &Tokens,
) -> Result<(), Box<Refusal>> {
    if request.method == Method::Options {
        return Ok(());
    }
    let needed = match route.map(|route| (route, route.access(request.method))) {
        Some((_, Access::Open)) => return Ok(()),
        Some((route, Access::Needs(scope))) if route.takes(request.method) => Some(scope),
        Some(_) | None => None,
    };
    let fields = request.headers("authorization");
    let check = match needed {
        // Shippers have schemes of their own.
        Some(Scope::Publish) => tokens.check_any(fields, request.headers("dd-api-key"), needed),
        _ => tokens.check(fields, needed),
    };
    let (status, sentence, challenge) = match check {
        TokenCheck::Granted => return Ok(()),
        TokenCheck::Missing => (
            401,
            "a token is needed; send Authorization: Bearer TOKEN".to_owned(),
            "Bearer",
        ),
        TokenCheck::Unknown => (
            401,
            "this token is not known; send Authorization: Bearer TOKEN with one that is".to_owned(),
            "Bearer error=\"invalid_token\"",
        ),
        TokenCheck::Insufficient(scope) => (
            403,
            format!(
                "this token lacks the `{}` scope; send one that has it",
                scope.name()
            ),
            "Bearer error=\"insufficient_scope\"",
        ),
    };
    let refusal = Refusal::new(status, sentence).header("WWW-Authenticate", challenge);
    Err(Box::new(refusal))
}
