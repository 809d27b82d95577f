//! The filters of a query: each is read or refused as the naive model says, and what is read finds what the model
//! finds. An input is a query, and after a line end a payload.

use logagg::api::filters::FilterParams;
use logagg::event::payload_error;
use logagg::search::Candidate;

#[path = "../search/model/mod.rs"]
mod model;

/// 2026-01-02T03:04:05.678901Z.
const NOW: i64 = 1_767_323_045_678_901;

pub fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let (query, payload) = text.split_once('\n').unwrap_or((text, "{}"));
    let own = FilterParams::parse(Some(query), NOW);
    let model = members(query).and_then(|members| model::Query::parse(&members, NOW));
    assert_eq!(own.is_ok(), model.is_some(), "{own:?}");
    let (Ok(own), Some(model)) = (own, model) else {
        return;
    };
    let event = model::Event {
        topic: "order.paid".into(),
        event_id: "evt-7".into(),
        source: "web_1 ä".into(),
        timestamp: "2026-01-02T03:04:05.5+01:00".into(),
        payload: payload.into(),
        processed_at: NOW,
    };
    let candidate = Candidate {
        topic: event.topic.as_bytes(),
        event_id: event.event_id.as_bytes(),
        source: event.source.as_bytes(),
        timestamp: event.timestamp.as_bytes(),
        payload: payload.as_bytes(),
        processed_at: event.processed_at,
    };
    let matches = own.filters.matches(&candidate);
    if payload_error(payload).is_none() && !has_long_exponents(text) {
        assert_eq!(matches, model.matches(&event));
    }
    // What the address of a next page has means the same.
    let mut next = String::new();
    own.write_query(&mut next);
    let again = FilterParams::parse(Some(&next), NOW + 1).expect("what was legal stays legal");
    assert_eq!(matches, again.filters.matches(&candidate), "{next}");
}

/// The model writes numbers out.
fn has_long_exponents(text: &str) -> bool {
    let digits = text.split(|c: char| !c.is_ascii_digit());
    let has_exponent = text.contains(['e', 'E']) || text.contains('%') || text.contains('\\');
    has_exponent && digits.into_iter().any(|digits| digits.len() > 4)
}

/// The members of a query that are filters; `None` where a value cannot be decoded.
fn members(query: &str) -> Option<Vec<(String, String)>> {
    let mut members = Vec::new();
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let filters = [
            "topic", "source", "event_id", "since", "until", "time", "q", "where",
        ];
        let Some(name) = decoded(name).filter(|name| filters.contains(&name.as_str())) else {
            continue;
        };
        members.push((name, decoded(value)?));
    }
    Some(members)
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                let is_hex = digits.iter().all(u8::is_ascii_hexdigit);
                let digits = std::str::from_utf8(&digits).ok().filter(|_| is_hex)?;
                u8::from_str_radix(digits, 16).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}
