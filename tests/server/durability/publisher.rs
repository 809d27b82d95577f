//! A publisher that writes down what it sent and what it was told.

use serde_json::{json, Value};

use crate::harness::Client;
use crate::random::Random;

/// Keys that all publishers share; their events have one of two contents.
const SHARED_KEYS: u64 = 300;

/// How events are put into requests.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// One event, one answer.
    Single,
    /// Up to 40 events in a request.
    Batch,
    /// Several requests of one event without waiting.
    Pipelined,
    /// Several requests of several events without waiting.
    Mixed,
}

/// A request, and what became of each of its events where there was an answer.
pub struct Sent {
    /// Which connection sent it.
    pub publisher: String,
    pub events: Vec<Value>,
    /// `(status, seq)` of each event.
    pub answered: Option<Vec<(String, u64)>>,
}

/// Whether only this request has an event of this key.
pub fn is_own(event: &Value) -> bool {
    event["event_id"].as_str().unwrap().starts_with("own-")
}

/// Publishes until the server is gone.
pub fn publish_until_killed(
    mut client: Client,
    name: &str,
    style: Style,
    mut random: Random,
) -> Vec<Sent> {
    let mut sent: Vec<Sent> = Vec::new();
    loop {
        let first = sent.len();
        let requests = match style {
            Style::Single | Style::Batch => 1,
            Style::Pipelined | Style::Mixed => 1 + random.below(8) as usize,
        };
        let mut bytes = String::new();
        for number in first..first + requests {
            let events = events(name, number, style, &mut random);
            bytes += &request(&events, &mut random);
            sent.push(Sent {
                publisher: name.to_owned(),
                events,
                answered: None,
            });
        }
        if client.try_send(bytes).is_err() {
            return sent;
        }
        for request in &mut sent[first..] {
            // The kill may come in the middle of an answer's bytes, but never of its meaning: the
            // server writes an answer whole.
            let Some(response) = client.try_response("POST") else {
                return sent;
            };
            let answer = response.expect(200);
            assert_eq!(answer["received"], request.events.len());
            let results = answer["results"]
                .as_array()
                .expect("results were asked for");
            let result = |result: &Value| {
                let status = result["status"].as_str().unwrap().to_owned();
                (status, result["seq"].as_u64().unwrap())
            };
            request.answered = Some(results.iter().map(result).collect());
        }
    }
}

fn events(name: &str, number: usize, style: Style, random: &mut Random) -> Vec<Value> {
    let count = match style {
        Style::Single | Style::Pipelined => 1,
        Style::Batch => 1 + random.below(40),
        Style::Mixed => 1 + random.below(10),
    };
    let event = |at: u64| {
        let topic = format!("topic {}", random.below(5));
        let (event_id, content) = if random.chance(2) {
            let key = random.below(SHARED_KEYS);
            (format!("shared-{key}"), random.below(2).to_string())
        } else {
            (
                format!("own-{name}-{number}-{at}"),
                random.next().to_string(),
            )
        };
        json!({
            "topic": topic,
            "event_id": event_id,
            "timestamp": "2026-01-02T03:04:05.5+01:00",
            "source": "torture",
            "payload": {"content": content, "filling": "f".repeat(random.below(300) as usize)},
        })
    };
    (0..count).map(event).collect()
}

fn request(events: &[Value], random: &mut Random) -> String {
    let body = match events {
        [event] if random.chance(2) => event.to_string(),
        _ if random.chance(2) => json!({ "events": events }).to_string(),
        _ => Value::from(events).to_string(),
    };
    let head =
        "POST /publish?results=true HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n";
    if random.chance(3) {
        let length = body.len();
        return format!(
            "{head}Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n"
        );
    }
    format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())
}
