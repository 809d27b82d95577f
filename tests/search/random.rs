//! Random events and queries of few pieces, so that they meet.

use proptest::prelude::*;
use proptest::sample::select;

use super::model::Event;

const PIECES: &[&str] = &[
    "error", "Error", "card", "expired", "timeout", "time", "out", "a", "b", "_", "ä", "é",
    "10.2.3.4", "5", "-5", "404", "0.10", "true", " ", " ", ".", ":", "-", "/", "\"", "\\", "\n",
    ",", "{", "*", "😀",
];

const NUMBERS: &[&str] = &[
    "0",
    "-0",
    "5",
    "-5",
    "50",
    "404",
    "404.0",
    "4.04e2",
    "0.10",
    "0.1",
    "1e-1",
    "1e400",
    "1E399",
    "12345678901234567890",
    "12345678901234567891",
    "-1.5",
];

const NAMES: &[&str] = &[
    "a", "b", "c", "a.b", "b.c", "a.b.c", "level", "x y", "", "=", "\"", "ä", "error",
];

const PATHS: &[&str] = &[
    "a",
    "b",
    "a.b",
    "a.b.c",
    "b.c",
    "level",
    "x y",
    "\"a.b\"",
    "\"a.b\".c",
    "\"\"",
    "\"=\"",
    "ä",
    "error",
];

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => proptest::collection::vec(select(PIECES), 0..4).prop_map(|pieces| pieces.concat()),
        1 => select(NUMBERS).prop_map(str::to_owned),
        1 => (select(PIECES), 900..1_200_usize).prop_map(|(piece, len)| format!("{piece}{}{piece}", "x ".repeat(len))),
    ]
}

/// A string of JSON, escaped as much as `style` says.
fn written(text: &str, style: u8) -> String {
    match style {
        0 | 1 => serde_json::to_string(text).unwrap(),
        2 => serde_json::to_string(text).unwrap().replace('/', "\\/"),
        3 => format!(
            "\"{}\"",
            text.encode_utf16()
                .map(|unit| format!("\\u{unit:04x}"))
                .collect::<String>()
        ),
        _ => {
            let string = serde_json::to_string(text).unwrap();
            format!("{}\\ud800\"", &string[..string.len() - 1])
        }
    }
}

fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => (text(), 0..5_u8).prop_map(|(text, style)| written(&text, style)),
        4 => text().prop_map(|text| written(&text, 0)),
        3 => select(NUMBERS).prop_map(str::to_owned),
        1 => select(&["true", "false", "null"][..]).prop_map(str::to_owned),
    ]
}

fn object(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let member = (
        select(NAMES),
        prop_oneof![6 => Just(0_u8), 1 => 0..5_u8],
        value,
    );
    proptest::collection::vec(member, 0..4).prop_map(|members| {
        let members = members
            .iter()
            .map(|(name, style, value)| format!("{}:{value}", written(name, *style)));
        format!("{{{}}}", members.collect::<Vec<_>>().join(","))
    })
}

fn payload() -> impl Strategy<Value = String> {
    let value = scalar().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            object(inner.clone()),
            proptest::collection::vec(inner, 0..4)
                .prop_map(|values| format!("[{}]", values.join(","))),
        ]
    });
    object(value)
}

fn name() -> impl Strategy<Value = String> {
    select(
        &[
            "order.paid",
            "order",
            "user",
            "error",
            "web-1",
            "evt-404",
            "card expired",
            "A\"b",
            "ä",
        ][..],
    )
    .prop_map(str::to_owned)
}

fn time() -> impl Strategy<Value = String> {
    select(
        &[
            "2026-01-02T03:04:05.678901Z",
            "2026-01-02",
            "2026-01-02T03:04:60Z",
            "2026-01-02T04:05:00+01:00",
            "2026-01-02 02:04:05.678901",
            "0000-01-01T00:00+00:01",
            "9999-12-31T23:59:60Z",
            "2026-01-02T03:05Z",
            "2025-12-26",
        ][..],
    )
    .prop_map(str::to_owned)
}

pub fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = (name(), name(), name(), time(), payload(), -2..3_i64).prop_map(
        |(topic, event_id, source, timestamp, payload, hours)| Event {
            topic,
            event_id,
            source,
            timestamp,
            payload,
            processed_at: super::NOW + hours * 3_600_000_000,
        },
    );
    proptest::collection::vec(event, 1..6)
}

fn term() -> impl Strategy<Value = String> {
    let text = proptest::collection::vec(select(PIECES), 1..3).prop_map(|pieces| pieces.concat());
    let star = || select(&["", "", "*"][..]);
    (
        select(&["", "", "", "-"][..]),
        star(),
        text,
        star(),
        any::<bool>(),
    )
        .prop_map(|(not, front, text, back, is_quoted)| {
            let text = match is_quoted {
                true => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
                false => text,
            };
            format!("{not}{front}{text}{back}")
        })
}

/// Paths, as they stand in conditions and in `by`.
pub fn paths() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => select(PATHS)
            .prop_map(str::to_owned),
        1 => "[ab.\"!=]{0,5}",
    ]
}

fn condition() -> impl Strategy<Value = String> {
    let operator = select(&["=", "=", "=", "!=", "~", "!~", "<", "<=", ">", ">="][..]);
    let value = prop_oneof![
        text(),
        select(NUMBERS).prop_map(str::to_owned),
        select(&["true", "null", "", "*", "5*", "\"a\"*", "error", "error*", "\"5\"", "a"][..])
            .prop_map(str::to_owned),
        (text(), 0..5_u8).prop_map(|(text, style)| written(&text, style)),
        term(),
    ];
    prop_oneof![
        8 => (paths(), operator, value).prop_map(|(path, operator, value)| format!("{path}{operator}{value}")),
        1 => paths(),
        1 => paths().prop_map(|path| format!("!{path}")),
    ]
}

/// Members of a query: few, and rarely illegal.
pub fn queries() -> impl Strategy<Value = Vec<(String, String)>> {
    let pattern = || {
        (name(), select(&["", "*"][..])).prop_map(|(name, star)| {
            let end = name.chars().next().map_or(0, char::len_utf8);
            if star.is_empty() {
                name
            } else {
                format!("{}*", &name[..end])
            }
        })
    };
    let moment = || {
        prop_oneof![
            time(),
            select(&["now", "1h", "7d", "999999999w", "0s", "1x"][..]).prop_map(str::to_owned)
        ]
    };
    let named = |name: &'static str, value: BoxedStrategy<String>| {
        value.prop_map(move |value| (name.to_owned(), value))
    };
    let member = prop_oneof![
        1 => named("topic", pattern().boxed()),
        1 => named("source", pattern().boxed()),
        1 => named("event_id", pattern().boxed()),
        1 => named("since", moment().boxed()),
        1 => named("until", moment().boxed()),
        1 => named("time", select(&["event", "received", ""][..]).prop_map(str::to_owned).boxed()),
        5 => named("q", proptest::collection::vec(term(), 1..3).prop_map(|terms| terms.join(" ")).boxed()),
        6 => named("where", condition().boxed()),
    ];
    proptest::collection::vec(member, 1..4)
}
