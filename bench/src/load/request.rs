//! The bytes of a request, made once; before each sending only ids and topics change, in place.

use super::events::{EventStream, ID_BYTES};

/// Bytes of each event's payload, a JSON object.
pub const PAYLOAD_BYTES: usize = 150;
/// An id's place before the first patch.
const ID_BLANK: &str = "------------------------------------";

const _: () = assert!(ID_BLANK.len() == ID_BYTES);

/// Where one event's varying bytes lie in the request.
#[derive(Clone, Copy, Debug)]
struct Slot {
    topic_digit: usize,
    event_id: usize,
}

/// One kind of request: head, body, and the slots of its events.
#[derive(Clone, Debug)]
pub struct Template {
    bytes: Vec<u8>,
    slots: Vec<Slot>,
}

impl Template {
    /// `GET` of a path.
    pub fn get(path: &str, host: &str) -> Template {
        Template {
            bytes: format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes(),
            slots: Vec::new(),
        }
    }

    /// `POST /publish` of one event, or of an object with `batch` events where that is more than 1.
    pub fn publish(batch: usize, host: &str) -> Template {
        let payload = payload();
        let mut body = String::new();
        let mut slots = Vec::with_capacity(batch);
        if batch > 1 {
            body.push_str(r#"{"events":["#);
        }
        for event in 0..batch {
            if event > 0 {
                body.push(',');
            }
            body.push_str(r#"{"topic":"bench.topic-"#);
            let topic_digit = body.len();
            body.push_str(r#"0","event_id":""#);
            let event_id = body.len();
            body.push_str(ID_BLANK);
            body.push_str(
                r#"","timestamp":"2026-01-02T03:04:05.678Z","source":"bench","payload":"#,
            );
            body.push_str(&payload);
            body.push('}');
            slots.push(Slot {
                topic_digit,
                event_id,
            });
        }
        if batch > 1 {
            body.push_str("]}");
        }
        let head = format!(
            "POST /publish HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        for slot in &mut slots {
            slot.topic_digit += head.len();
            slot.event_id += head.len();
        }
        Template {
            bytes: (head + &body).into_bytes(),
            slots,
        }
    }

    /// A copy of the request for one connection to patch and send.
    pub fn request(&self) -> Vec<u8> {
        self.bytes.clone()
    }

    /// Events in one request; none for a `GET`.
    pub fn events(&self) -> u64 {
        self.slots.len() as u64
    }

    /// Puts the next events of the stream into `request`, a copy that [`Template::request`] made.
    pub fn patch(&self, request: &mut [u8], stream: &mut EventStream) {
        for slot in &self.slots {
            let event = stream.next_event();
            let id = &mut request[slot.event_id..slot.event_id + ID_BYTES];
            let topic = stream.write_id(event, id);
            request[slot.topic_digit] = b'0' + topic;
        }
    }
}

/// The payload of every event: a JSON object of [`PAYLOAD_BYTES`].
pub fn payload() -> String {
    let start = r#"{"user":"user-4711","action":"login","ok":true,"attempt":1,"note":""#;
    let end = r#""}"#;
    format!(
        "{start}{}{end}",
        "x".repeat(PAYLOAD_BYTES - start.len() - end.len())
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
    fn the_payload_is_an_object_of_the_promised_size() {
        assert_eq!(payload().len(), PAYLOAD_BYTES);
        assert!(serde_json::from_str::<Value>(&payload())
            .expect("JSON")
            .is_object());
    }

    #[test]
    fn patching_changes_id_and_topic_and_nothing_else() {
        let template = Template::publish(1, "h:1");
        let mut stream = EventStream::new(IdOrder::Ordered, Repeats::Never, 1);
        let mut request = template.request();
        template.patch(&mut request, &mut stream);
        let first = body(&request);
        template.patch(&mut request, &mut stream);
        let mut second = body(&request);
        assert_eq!(first["event_id"], "0000000000000001-0000000000000000000");
        assert_eq!(second["event_id"], "0000000000000001-0000000000000000001");
        assert_eq!(
            (&first["topic"], &second["topic"]),
            (&"bench.topic-0".into(), &"bench.topic-1".into())
        );
        second["event_id"] = first["event_id"].clone();
        second["topic"] = first["topic"].clone();
        assert_eq!(first, second);
    }

    #[test]
    fn each_event_of_a_batch_has_an_id_of_its_own() {
        let template = Template::publish(12, "h:1");
        assert_eq!(template.events(), 12);
        let mut stream = EventStream::new(IdOrder::Random, Repeats::Never, 1);
        let mut request = template.request();
        template.patch(&mut request, &mut stream);
        let body = body(&request);
        let events = body["events"].as_array().expect("an array");
        let ids: std::collections::HashSet<&str> = events
            .iter()
            .filter_map(|event| event["event_id"].as_str())
            .collect();
        assert_eq!(ids.len(), 12);
        assert_eq!(events[7]["topic"], "bench.topic-2");
    }

    #[test]
    fn a_get_has_no_events() {
        let template = Template::get("/health", "h:1");
        assert_eq!(
            template.request(),
            b"GET /health HTTP/1.1\r\nHost: h:1\r\n\r\n"
        );
        assert_eq!(template.events(), 0);
    }
}
