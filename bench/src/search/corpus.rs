//! The events that are searched: those of a small service, with random UUIDs as ids, trace ids, access log lines and
//! stack traces, over a day, one in two thousand an hour late. The same for each run.

use std::fmt::Write;

/// A word of some hundred events of one incident, one that is spread over all, one of one event in 27, and one of none.
pub const RARE: &str = "outofmemory";
pub const COMMON: &str = "retrying";
pub const ABSENT: &str = "flamingo";
pub const SPREAD: &str = "quarantined";
/// Events of the incident, of which one in six has [`RARE`], and where it begins, in thousandths of all.
const INCIDENT_EVENTS: u64 = 4_000;
const INCIDENT_AT: u64 = 700;
const RARE_EVERY: u64 = 6;
const SPREAD_EVERY: u64 = 1_527;
const COMMON_EVERY: u64 = 27;
const DAY_SECONDS: u64 = 86_400;

/// One event.
pub struct Event {
    pub topic: &'static str,
    pub id: String,
    pub timestamp: String,
    pub source: String,
    pub payload: String,
}

/// A generator of numbers that look random (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// The id of an event.
pub fn id(number: u64) -> String {
    let mut random = Random(number ^ 0x5EED);
    let (upper, lower) = (random.next(), random.next());
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        upper >> 32,
        upper >> 16 & 0xFFFF,
        upper & 0xFFF,
        lower >> 52,
        lower & 0xFFFF_FFFF_FFFF
    )
}

/// The event with this number of `all`.
pub fn event(number: u64, all: u64) -> Event {
    const PATHS: [&str; 6] = [
        "/api/v1/orders",
        "/api/v1/users",
        "/login",
        "/static/app.js",
        "/api/v2/search",
        "/health",
    ];
    const TOPICS: [&str; 4] = ["http.access", "app.log", "app.error", "jobs.run"];
    const LEVELS: [&str; 8] = [
        "info", "info", "info", "info", "info", "debug", "warn", "error",
    ];
    let mut random = Random(number);
    let topic = TOPICS[random.below(4) as usize];
    let trace = u128::from(random.next()) << 64 | u128::from(random.next());
    let path = PATHS[random.below(6) as usize];
    let (user, ms) = (random.below(50_000), random.below(3_000));
    let level = LEVELS[random.below(8) as usize];
    let rest = match topic {
        "http.access" => format!(
            r#""status":{},"ms":{ms},"msg":"10.{}.{}.{} GET {path}?user={user} HTTP/1.1"}}"#,
            [200, 200, 200, 304, 404, 500][random.below(6) as usize],
            random.below(4),
            random.below(256),
            random.below(256),
        ),
        "app.error" if random.below(8) == 0 => format!(
            r#""msg":"panic in worker {}","stack":"at load (orders.rs:{})\nat run (pool.rs:{})\nat main"}}"#,
            random.below(64),
            random.below(900),
            random.below(400),
        ),
        _ => format!(
            r#""user":"user-{user}","ms":{ms},"msg":"request to {path} finished with {} rows from shard {}"}}"#,
            random.below(1_000),
            random.below(32),
        ),
    };
    let mut payload = format!(r#"{{"level":"{level}","trace_id":"{trace:032x}",{rest}"#);
    add_words(&mut payload, number, all);
    let late = if random.below(2_000) == 0 { 3_600 } else { 0 };
    let at = (number as u128 * u128::from(DAY_SECONDS) * 1_000 / u128::from(all)) as u64;
    let at = at.saturating_sub(late * 1_000);
    let seconds = at / 1_000;
    Event {
        topic,
        id: id(number),
        timestamp: format!(
            "2026-01-01T{:02}:{:02}:{:02}.{:03}Z",
            seconds / 3_600,
            seconds / 60 % 60,
            seconds % 60,
            at % 1_000
        ),
        source: format!("web-{}", random.below(40)),
        payload,
    }
}

/// Adds the words that are looked for to a payload.
fn add_words(payload: &mut String, number: u64, all: u64) {
    let incident = all * INCIDENT_AT / 1_000;
    let is_in_incident = (incident..incident + INCIDENT_EVENTS).contains(&number);
    for (word, every) in [
        (RARE, if is_in_incident { RARE_EVERY } else { u64::MAX }),
        (SPREAD, SPREAD_EVERY),
        (COMMON, COMMON_EVERY),
    ] {
        if number % every == every / 2 {
            payload.truncate(payload.len() - 1);
            let _ = write!(
                payload,
                r#","note":"the order was {word} by the service"}}"#
            );
        }
    }
}

/// The event as JSON.
pub fn write_json(event: &Event, out: &mut String) {
    let Event {
        topic,
        id,
        timestamp,
        source,
        payload,
    } = event;
    let _ = write!(
        out,
        r#"{{"topic":"{topic}","event_id":"{id}","timestamp":"{timestamp}","source":"{source}","payload":{payload}}}"#
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_json_and_have_the_words_that_are_looked_for() {
        let mut found = [0; 4];
        for number in 0..20_000 {
            let mut text = String::new();
            write_json(&event(number, 20_000), &mut text);
            let parsed: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
            assert_eq!(parsed["event_id"], id(number));
            for (count, word) in found.iter_mut().zip([RARE, SPREAD, COMMON, ABSENT]) {
                *count += u32::from(text.contains(word));
            }
        }
        assert_eq!(found, [667, 13, 741, 0]);
    }
}
