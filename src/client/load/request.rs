//! The bytes of a request, made once; before each sending only ids and topics change, in place.

use super::events::{EventStream, ID_BYTES};
use super::response::{self, Parse};

/// Bytes of an event's payload, a JSON object, where nothing else is said.
pub const PAYLOAD_BYTES: usize = 150;
/// What each topic's name begins with; its number follows.
pub const TOPIC_PREFIX: &str = "bench.topic-";
pub const TIMESTAMP: &str = "2026-01-02T03:04:05.678Z";
pub const SOURCE: &str = "bench";
/// An id's place before the first patch.
const ID_BLANK: &str = "------------------------------------";

const _: () = assert!(ID_BLANK.len() == ID_BYTES);

/// One kind of request: its bytes, and where the varying ones are.
#[derive(Clone, Debug)]
pub struct Template {
    /// How its answers are read.
    pub parse: Parse,
    /// What a connection sends before its first request, each part with an answer of its own.
    pub greeting: Vec<Vec<u8>>,
    bytes: Vec<u8>,
    events: u64,
    topic_digits: usize,
    /// Where the number of each topic begins.
    topics: Vec<usize>,
    /// Where each event id begins, in the order of `topics`, of which there may be fewer; none in a request that
    /// only reads.
    ids: Vec<usize>,
}

/// What a request that publishes over HTTP is made of.
#[derive(Clone, Copy, Debug)]
pub struct Publication<'a> {
    /// The path to publish to.
    pub target: &'a str,
    pub host: &'a str,
    /// Further lines of the head, each with its end.
    pub headers: &'a str,
    /// Events in a request.
    pub batch: usize,
    /// Topics that the events are spread over.
    pub topics: u64,
    /// The payload of every event, a JSON object.
    pub payload: &'a str,
}

/// Builds a request and notes where ids and topics are.
pub struct Builder {
    bytes: Vec<u8>,
    topic_digits: usize,
    topics: Vec<usize>,
    ids: Vec<usize>,
}

impl Builder {
    pub fn new(topics: u64) -> Builder {
        Builder {
            bytes: Vec::new(),
            topic_digits: digits_of(topics),
            topics: Vec::new(),
            ids: Vec::new(),
        }
    }

    pub fn push(&mut self, bytes: impl AsRef<[u8]>) {
        self.bytes.extend_from_slice(bytes.as_ref());
    }

    /// Bytes that were pushed so far.
    pub fn pushed(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes of a topic's name.
    pub fn topic_bytes(&self) -> usize {
        TOPIC_PREFIX.len() + self.topic_digits
    }

    /// A place for a topic.
    pub fn push_topic(&mut self) {
        self.push(TOPIC_PREFIX);
        self.topics.push(self.bytes.len());
        self.push(vec![b'0'; self.topic_digits]);
    }

    /// A place for an event id, [`ID_BYTES`] long.
    pub fn push_id(&mut self) {
        self.ids.push(self.bytes.len());
        self.push(ID_BLANK);
    }

    /// The request, with `head` before what was pushed.
    pub fn finish(self, parse: Parse, greeting: Vec<Vec<u8>>, head: &[u8]) -> Template {
        let moved = |places: Vec<usize>| places.into_iter().map(|at| at + head.len()).collect();
        Template {
            parse,
            greeting,
            events: self.ids.len() as u64,
            bytes: [head, &self.bytes].concat(),
            topic_digits: self.topic_digits,
            topics: moved(self.topics),
            ids: moved(self.ids),
        }
    }
}

impl Template {
    /// `GET` of a path.
    pub fn get(path: &str, host: &str) -> Template {
        let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        Builder::new(0).finish(response::parse_http, Vec::new(), head.as_bytes())
    }

    /// `GET` of the newest events of one of `topics` topics, another each time.
    pub fn read_topic(host: &str, topics: u64) -> Template {
        let mut request = Builder::new(topics);
        request.push("GET /events?topic=");
        request.push_topic();
        request.push(format!(" HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        request.finish(response::parse_http, Vec::new(), b"")
    }

    /// `POST` of one event, or of an object with a batch of events where that is more than 1.
    pub fn publish(publication: &Publication) -> Template {
        let Publication { batch, topics, .. } = *publication;
        let mut body = Builder::new(topics);
        if batch > 1 {
            body.push(r#"{"events":["#);
        }
        for event in 0..batch {
            if event > 0 {
                body.push(",");
            }
            body.push(r#"{"topic":""#);
            body.push_topic();
            body.push(r#"","event_id":""#);
            body.push_id();
            body.push(format!(
                r#"","timestamp":"{TIMESTAMP}","source":"{SOURCE}","payload":{}}}"#,
                publication.payload
            ));
        }
        if batch > 1 {
            body.push("]}");
        }
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\n{}Content-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n",
            publication.target,
            publication.host,
            publication.headers,
            body.bytes.len()
        );
        body.finish(response::parse_http, Vec::new(), head.as_bytes())
    }

    /// A copy of the request for one connection to patch and send.
    pub fn request(&self) -> Vec<u8> {
        self.bytes.clone()
    }

    /// Events in one request; none in one that only reads.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Puts the next events of the stream into `request`, a copy that [`Template::request`] made.
    pub fn patch(&self, request: &mut [u8], stream: &mut EventStream) {
        for number in 0..self.ids.len().max(self.topics.len()) {
            let event = stream.next_event();
            if let Some(id) = self.ids.get(number) {
                stream.write_id(event, &mut request[*id..*id + ID_BYTES]);
            }
            let Some(at) = self.topics.get(number) else {
                continue;
            };
            let mut rest = stream.topic(event);
            for digit in request[*at..*at + self.topic_digits].iter_mut().rev() {
                *digit = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
        }
    }
}

/// The name of a topic, as requests to a server with `topics` topics have it.
pub fn topic_name(topic: u64, topics: u64) -> String {
    let digits = digits_of(topics);
    format!("{TOPIC_PREFIX}{topic:0digits$}")
}

/// Digits of the greatest number below `topics`.
fn digits_of(topics: u64) -> usize {
    topics.saturating_sub(1).checked_ilog10().unwrap_or(0) as usize + 1
}

/// A payload: a JSON object of this number of bytes, or as few as it can have.
pub fn payload(bytes: usize) -> String {
    let start = match bytes {
        0..=10 => return "{}".to_owned(),
        11..PAYLOAD_BYTES => r#"{"note":""#,
        _ => r#"{"user":"user-4711","action":"login","ok":true,"attempt":1,"note":""#,
    };
    let end = r#""}"#;
    format!(
        "{start}{}{end}",
        "x".repeat(bytes - start.len() - end.len())
    )
}

#[cfg(test)]
mod tests {
    use super::super::events::{IdOrder, Repeats};
    use super::*;
    use serde_json::Value;

    fn body(request: &[u8]) -> Value {
        let text = std::str::from_utf8(request).expect("requests are ASCII");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head ends");
        assert!(head.contains(&format!("Content-Length: {}", body.len())));
        serde_json::from_str(body).expect("the body is JSON")
    }

    #[test]
    fn a_payload_is_an_object_of_the_promised_size() {
        for (asked, bytes) in [
            (0, 2),
            (10, 2),
            (11, 11),
            (149, 149),
            (150, 150),
            (5_000, 5_000),
        ] {
            let payload = payload(asked);
            assert_eq!(payload.len(), bytes);
            let value: Value = serde_json::from_str(&payload).expect("JSON");
            assert!(value.is_object());
        }
    }

    fn publish(batch: usize, topics: u64) -> Template {
        Template::publish(&Publication {
            target: "/publish",
            host: "h:1",
            headers: "A: b\r\n",
            batch,
            topics,
            payload: &payload(PAYLOAD_BYTES),
        })
    }

    #[test]
    fn patching_changes_id_and_topic_and_nothing_else() {
        let template = publish(1, 100_000);
        let mut stream = EventStream::new(IdOrder::Ordered, Repeats::Never, 100_000, 1);
        let mut request = template.request();
        template.patch(&mut request, &mut stream);
        let first = body(&request);
        template.patch(&mut request, &mut stream);
        let mut second = body(&request);
        assert_eq!(first["event_id"], "0000000000000001-0000000000000000000");
        assert_eq!(second["event_id"], "0000000000000001-0000000000000000001");
        let named = |event| Value::String(topic_name(stream.topic(event), 100_000));
        assert_eq!((&first["topic"], &second["topic"]), (&named(0), &named(1)));
        second["event_id"] = first["event_id"].clone();
        second["topic"] = first["topic"].clone();
        assert_eq!(first, second);
    }

    #[test]
    fn each_event_of_a_batch_has_an_id_of_its_own() {
        let template = publish(12, 5);
        assert_eq!(template.events(), 12);
        let mut stream = EventStream::new(IdOrder::Random, Repeats::Never, 5, 1);
        let mut request = template.request();
        template.patch(&mut request, &mut stream);
        let body = body(&request);
        let events = body["events"].as_array().expect("an array");
        let ids: std::collections::HashSet<&str> = events
            .iter()
            .filter_map(|event| event["event_id"].as_str())
            .collect();
        assert_eq!(ids.len(), 12);
        assert_eq!(events[7]["topic"], *topic_name(stream.topic(7), 5));
    }

    #[test]
    fn requests_that_read_have_no_events() {
        let template = Template::get("/health", "h:1");
        assert_eq!(
            template.request(),
            b"GET /health HTTP/1.1\r\nHost: h:1\r\n\r\n"
        );
        assert_eq!(template.events(), 0);

        let template = Template::read_topic("h:1", 1_000);
        let mut stream = EventStream::new(IdOrder::Random, Repeats::Never, 1_000, 1);
        let mut request = template.request();
        template.patch(&mut request, &mut stream);
        let expected = format!(
            "GET /events?topic={} HTTP",
            topic_name(stream.topic(0), 1_000)
        );
        assert!(request.starts_with(expected.as_bytes()));
        assert_eq!(template.events(), 0);
    }

    #[test]
    fn topics_have_as_many_digits_as_the_last_needs() {
        let names = [(0, 0), (4, 5), (7, 10), (7, 11), (42, 100_000)];
        let names = names.map(|(topic, topics)| topic_name(topic, topics));
        let digits = ["0", "4", "7", "07", "00042"];
        assert_eq!(names, digits.map(|digits| format!("bench.topic-{digits}")));
    }
}
