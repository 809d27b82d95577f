//! `/subscriptions`: reading and changing named positions.

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
    #[serde(borrow)]
    hold: Option<&'b RawValue>,
}

/// What a PUT asks for; what is `None` stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Put {
    pub after: Option<u64>,
    pub hold: Option<bool>,
}

/// Reads the body of a PUT, whose media type has been checked.
pub(crate) fn read_put(
    request: &Request,
    body: Vec<u8>,
    max_body_bytes: usize,
) -> Result<Put, Box<Response>> {
    let body = decode_short(request, body, max_body_bytes)?;
    parse_put(&body).map_err(|details| unprocessable(&details).into())
}

/// Reads the seq of an acknowledgement, whose media type has been checked.
pub(crate) fn read_acknowledgement(
    request: &Request,
    body: Vec<u8>,
    max_body_bytes: usize,
) -> Result<u64, Box<Response>> {
    let body = decode_short(request, body, max_body_bytes)?;
    parse_acknowledgement(&body).map_err(|details| unprocessable(&details).into())
}

fn parse_put(body: &[u8]) -> Result<Put, Details> {
    let members = parse_members(body, "after")?;
    if members.after.is_none() && members.hold.is_none() {
        return Err(missing("after"));
    }
    let after = members.after.map(|value| parse_seq(value, "after"));
    let hold = members.hold.map(|value| match value.get() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(fault("hold", "hold must be true or false".to_owned())),
    });
    Ok(Put {
        after: after.transpose()?,
        hold: hold.transpose()?,
    })
}

fn parse_acknowledgement(body: &[u8]) -> Result<u64, Details> {
    let members = parse_members(body, "seq")?;
    let value = members.seq.ok_or_else(|| missing("seq"))?;
    parse_seq(value, "seq")
}

fn parse_members<'b>(body: &'b [u8], wanted: &str) -> Result<Members<'b>, Details> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(Details::body(format!(
            "send an object with the member {wanted}"
        )));
    }
    serde_json::from_slice(body).map_err(|error| Details::body(error.to_string()))
}

fn parse_seq(value: &RawValue, name: &'static str) -> Result<u64, Details> {
    value.get().parse().map_err(|_| {
        let rule = format!("{name} must be a whole number, the seq of an event or 0");
        fault(name, rule)
    })
}

fn missing(name: &'static str) -> Details {
    let mut details = Details::default();
    details.push(Detail::missing(vec!["body".into(), name.into()]));
    details
}

fn fault(name: &'static str, rule: String) -> Details {
    let mut details = Details::default();
    details.push(Detail::value_error(vec!["body".into(), name.into()], rule));
    details
}

/// Answers `GET /subscriptions`.
pub(crate) fn list(store: &Store) -> Response {
    let count = store.subscription_count();
    let mut body = Vec::with_capacity(40 + 100 * count);
    write_to(
        &mut body,
        format_args!("{{\"count\":{count},\"subscriptions\":["),
    );
    for (at, (name, position)) in store.subscriptions().enumerate() {
        if at > 0 {
            body.push(b',');
        }
        write_one(&mut body, store, name, position);
    }
    body.push(b']');
    for (at, name) in store.damaged_subscriptions().enumerate() {
        let before: &[u8] = if at == 0 { b",\"damaged\":[" } else { b"," };
        body.extend_from_slice(before);
        write_string(&mut body, name);
    }
    if store.damaged_subscriptions().next().is_some() {
        body.push(b']');
    }
    body.push(b'}');
    Response::json(200, body)
}

/// Answers `GET /subscriptions/{name}`.
pub(crate) fn one(store: &Store, name: &str) -> Response {
    match store.subscription(name) {
        Some(position) => standing(store, name, position),
        None => without_position(store, name),
    }
}

/// The answer to a change once it is committed.
pub(crate) fn changed(
    store: &Store,
    change: &SubscriptionOp,
    changed: SubscriptionResult,
) -> Response {
    let (SubscriptionOp::Put { name, .. }
    | SubscriptionOp::Acknowledge { name, .. }
    | SubscriptionOp::Remove { name }) = change;
    match changed {
        SubscriptionResult::Stands(position) => standing(store, name, position),
        SubscriptionResult::Removed => Response::empty(204),
        SubscriptionResult::Unknown | SubscriptionResult::Damaged => without_position(store, name),
        SubscriptionResult::BeyondHead(head) => beyond_head(change, head),
        SubscriptionResult::TooMany => too_many(),
    }
}

/// The answer where no subscription has the name, or where its row is damaged.
pub(crate) fn without_position(store: &Store, name: &str) -> Response {
    if store.is_subscription_damaged(name) {
        return Response::error(
            503,
            "The position of this subscription is damaged; PUT /subscriptions/{name} sets it again.",
        );
    }
    unknown()
}

/// The answer where no subscription has the name.
pub(crate) fn unknown() -> Response {
    Response::error(
        404,
        "No subscription has this name; PUT /subscriptions/{name} creates one.",
    )
}

/// The answer where there is no room for another subscription.
pub(crate) fn too_many() -> Response {
    unprocessable(&Details::body(format!(
        "there are {SUBSCRIPTIONS_MAX} subscriptions already; delete one that is not used"
    )))
}

/// The answer to a change whose seq no event has yet; `head` is the greatest one.
pub(crate) fn beyond_head(change: &SubscriptionOp, head: u64) -> Response {
    let (member, seq) = match change {
        SubscriptionOp::Put { after, .. } => ("after", after.unwrap_or(0)),
        SubscriptionOp::Acknowledge { seq, .. } => ("seq", *seq),
        SubscriptionOp::Remove { .. } => ("", 0),
    };
    let why = format!("{member} is {seq}, but the greatest seq of an event is {head}");
    unprocessable(&fault(member, why))
}

fn standing(store: &Store, name: &str, position: Position) -> Response {
    let mut body = Vec::with_capacity(100 + name.len());
    write_one(&mut body, store, name, position);
    Response::json(200, body)
}

fn write_one(out: &mut Vec<u8>, store: &Store, name: &str, position: Position) {
    write_standing(out, name, position, store.lag(position.after));
}

/// Appends a subscription after whose position there are `lag` seqs.
pub(crate) fn write_standing(out: &mut Vec<u8>, name: &str, position: Position, lag: u64) {
    let Position {
        after,
        updated_at,
        holds,
    } = position;
    out.extend_from_slice(b"{\"name\":");
    write_string(out, name);
    write_to(
        out,
        format_args!(
            ",\"after\":{after},\"lag\":{lag},\"updated_at\":\"{}\",\"hold\":{holds}}}",
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
            let read = parse_put(body.as_bytes());
            let read = read.as_ref().ok().map(|put| (put.after, put.hold));
            assert_eq!(read, seq.map(|seq| (Some(seq), None)), "{body}");
        }
        assert_eq!(parse_acknowledgement(b"{\"seq\":7}"), Ok(7));
    }

    #[test]
    fn a_put_may_say_whether_events_are_held() {
        for (body, put) in [
            (r#"{"after":3,"hold":true}"#, Some((Some(3), Some(true)))),
            (r#"{"hold": false }"#, Some((None, Some(false)))),
            (r#"{"after":3,"hold":null}"#, Some((Some(3), None))),
            (r#"{"after":3,"hold":1}"#, None),
            (r#"{"after":3,"hold":"true"}"#, None),
            (r#"{"after":"3","hold":true}"#, None),
        ] {
            let read = parse_put(body.as_bytes());
            let read = read.as_ref().ok().map(|put| (put.after, put.hold));
            assert_eq!(read, put, "{body}");
        }
    }
}
