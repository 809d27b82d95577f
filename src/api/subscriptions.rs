//! `/subscriptions`: named positions, and what is asked of them.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::content::decode_short;
use super::detail::{unprocessable, Detail, Details};
use super::json::{write_string, write_to};
use crate::clock::rfc3339;
use crate::http::{Request, Response};
use crate::limits::SUBSCRIPTIONS_MAX;
use crate::store::{Position, Store, SubscriptionOp, SubscriptionResult};

/// The members that bodies here may have; others are ignored.
#[derive(Deserialize)]
struct Members<'b> {
    #[serde(borrow)]
    after: Option<&'b RawValue>,
    #[serde(borrow)]
    seq: Option<&'b RawValue>,
}

/// Which member of a body says where a subscription is to stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Member {
    /// Of PUT.
    After,
    /// Of an acknowledgement.
    Seq,
}

impl Member {
    fn name(self) -> &'static str {
        match self {
            Member::After => "after",
            Member::Seq => "seq",
        }
    }
}

/// Reads the seq out of a body whose media type has been checked.
pub(crate) fn read_seq(
    request: &Request,
    body: Vec<u8>,
    member: Member,
    max_body_bytes: usize,
) -> Result<u64, Box<Response>> {
    let body = decode_short(request, body, max_body_bytes)?;
    parse_seq(&body, member).map_err(|details| unprocessable(&details).into())
}

fn parse_seq(body: &[u8], member: Member) -> Result<u64, Details> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let name = member.name();
    let loc = || vec!["body".into(), name.into()];
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(Details::body(format!(
            "send an object with the member {name}"
        )));
    }
    let members: Members =
        serde_json::from_slice(body).map_err(|error| Details::body(error.to_string()))?;
    let value = match member {
        Member::After => members.after,
        Member::Seq => members.seq,
    };
    let Some(value) = value else {
        let mut details = Details::default();
        details.push(Detail::missing(loc()));
        return Err(details);
    };
    value.get().parse().map_err(|_| {
        let mut details = Details::default();
        let rule = format!("{name} must be a whole number, the seq of an event or 0");
        details.push(Detail::value_error(loc(), rule));
        details
    })
}

/// Answers `GET /subscriptions`.
pub(crate) fn list(store: &Store) -> Response {
    let all = store.subscriptions();
    let mut body = Vec::with_capacity(40 + 100 * all.len());
    write_to(
        &mut body,
        format_args!("{{\"count\":{},\"subscriptions\":[", all.len()),
    );
    for (at, (name, position)) in all.enumerate() {
        if at > 0 {
            body.push(b',');
        }
        write_one(&mut body, store, name, position);
    }
    body.extend_from_slice(b"]}");
    Response::json(200, body)
}

/// Answers `GET /subscriptions/{name}`.
pub(crate) fn one(store: &Store, name: &str) -> Response {
    store
        .subscription(name)
        .map_or_else(unknown, |position| standing(store, name, position))
}

/// The answer to a change once it is committed.
pub(crate) fn changed(
    store: &Store,
    change: &SubscriptionOp,
    changed: SubscriptionResult,
) -> Response {
    let (name, member, seq) = match change {
        SubscriptionOp::Put { name, after } => (name, "after", *after),
        SubscriptionOp::Acknowledge { name, seq } => (name, "seq", *seq),
        SubscriptionOp::Remove { name } => (name, "", 0),
    };
    match changed {
        SubscriptionResult::Stands(position) => standing(store, name, position),
        SubscriptionResult::Removed => Response::empty(204),
        SubscriptionResult::Unknown => unknown(),
        SubscriptionResult::BeyondHead(head) => {
            let mut details = Details::default();
            let why = format!("{member} is {seq}, but the greatest seq of an event is {head}");
            let loc = vec!["body".into(), member.into()];
            details.push(Detail::value_error(loc, why));
            unprocessable(&details)
        }
        SubscriptionResult::TooMany => unprocessable(&Details::body(format!(
            "there are {SUBSCRIPTIONS_MAX} subscriptions already; delete one that is not used"
        ))),
    }
}

/// The answer where no subscription has the name.
pub(crate) fn unknown() -> Response {
    Response::error(
        404,
        "No subscription has this name; PUT /subscriptions/{name} creates one.",
    )
}

fn standing(store: &Store, name: &str, position: Position) -> Response {
    let mut body = Vec::with_capacity(100 + name.len());
    write_one(&mut body, store, name, position);
    Response::json(200, body)
}

fn write_one(out: &mut Vec<u8>, store: &Store, name: &str, position: Position) {
    let Position { after, updated_at } = position;
    out.extend_from_slice(b"{\"name\":");
    write_string(out, name);
    write_to(
        out,
        format_args!(
            ",\"after\":{after},\"lag\":{},\"updated_at\":\"{}\"}}",
            store.lag(after),
            rfc3339(updated_at)
        ),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_names_one_seq() {
        for (body, seq) in [
            (r#"{"after":0}"#, Some(0)),
            ("\u{feff} { \"x\": [], \"after\" : 12 } ", Some(12)),
            (r#"{"after":18446744073709551615}"#, Some(u64::MAX)),
            (r#"{"after":-1}"#, None),
            (r#"{"after":1.0}"#, None),
            (r#"{"after":"1"}"#, None),
            (r#"{"after":null}"#, None),
            (r#"{"after":1,"after":2}"#, None),
            (r#"{"seq":1}"#, None),
            (r#"{"after":1"#, None),
            (r#"{"after":1} x"#, None),
            ("[1]", None),
            ("", None),
        ] {
            let read = parse_seq(body.as_bytes(), Member::After);
            assert_eq!(read.as_ref().ok().copied(), seq, "{body}");
        }
        assert_eq!(parse_seq(b"{\"seq\":7}", Member::Seq), Ok(7));
    }
}
