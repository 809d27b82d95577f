//! A reader of `/subscribe`, in either of its forms.

use std::time::Instant;

use serde_json::Value;

use super::{Client, Response, Server, TIMEOUT};

/// What comes out of a stream.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    Event(Value),
    /// Events that were removed before they could be sent.
    Gap(Value),
    /// The position was ahead of the newest event.
    Reset(Value),
    /// Everything up to this seq has been looked at: a message that says so.
    Progress(u64),
    /// The same, said by an `id` alone.
    Id(u64),
    Heartbeat,
}

/// One stream that is being read.
pub struct Stream {
    pub client: Client,
    pub head: Response,
    is_ndjson: bool,
    /// Of the body, and not yet used.
    text: Vec<u8>,
}

impl Stream {
    /// Opens one with `Accept: application/x-ndjson`.
    pub fn lines(server: &Server, query: &str) -> Stream {
        Stream::open(server, query, &["Accept: application/x-ndjson"])
    }

    /// Opens one as Server-Sent Events.
    pub fn events(server: &Server, query: &str) -> Stream {
        Stream::open(server, query, &["Accept: text/event-stream"])
    }

    /// Opens one with these header fields; the answer must be 200.
    pub fn open(server: &Server, query: &str, headers: &[&str]) -> Stream {
        let mut client = server.client();
        client.send_request("GET", &format!("/subscribe{query}"), headers, b"");
        let head = client.head().expect("an answer");
        assert_eq!(head.status, 200, "{head:?}");
        assert_eq!(head.header("transfer-encoding"), Some("chunked"));
        let is_ndjson = match head.header("content-type") {
            Some("application/x-ndjson") => true,
            Some("text/event-stream") => false,
            other => panic!("the media type is {other:?}"),
        };
        Stream {
            client,
            head,
            is_ndjson,
            text: Vec::new(),
        }
    }

    /// The next item; none if the stream ends well. An error says that it was cut off.
    pub fn try_next(&mut self) -> Result<Option<Item>, &'static str> {
        let end = if self.is_ndjson { &b"\n"[..] } else { b"\n\n" };
        loop {
            let at = self.text.windows(end.len()).position(|part| part == end);
            if let Some(at) = at {
                let block: Vec<u8> = self.text.drain(..at + end.len()).collect();
                let block = String::from_utf8(block).expect("a stream is UTF-8");
                let block = block.trim_end_matches('\n');
                return Ok(Some(if self.is_ndjson {
                    line(block)
                } else {
                    message(block)
                }));
            }
            match self.client.chunk()? {
                Some(chunk) => self.text.extend_from_slice(&chunk),
                None => {
                    assert!(self.text.is_empty(), "a stream ends with a whole item");
                    return Ok(None);
                }
            }
        }
    }

    /// The next item of a stream that goes on.
    pub fn next(&mut self) -> Item {
        let item = self.try_next().expect("the stream goes on");
        item.expect("the stream does not end")
    }

    /// The next event, heartbeats passed over. It comes before long, however often the stream says that it lives.
    pub fn next_event(&mut self) -> Value {
        let until = Instant::now() + TIMEOUT;
        while Instant::now() < until {
            match self.next() {
                Item::Event(event) => return event,
                Item::Heartbeat | Item::Progress(_) | Item::Id(_) => {}
                Item::Gap(gap) => panic!("a gap: {gap}"),
                Item::Reset(reset) => panic!("a reset: {reset}"),
            }
        }
        panic!("nothing comes but heartbeats");
    }

    /// The seqs of the next `count` events.
    pub fn seqs(&mut self, count: usize) -> Vec<u64> {
        let mut seqs = Vec::with_capacity(count);
        while seqs.len() < count {
            let event = self.next_event();
            seqs.push(event["seq"].as_u64().expect("an event has a seq"));
        }
        seqs
    }

    /// All events up to the end of the stream.
    pub fn rest(&mut self) -> Vec<Value> {
        let mut events = Vec::new();
        while let Some(item) = self.try_next().expect("the stream ends well") {
            if let Item::Event(event) = item {
                events.push(event);
            }
        }
        events
    }
}

fn line(line: &str) -> Item {
    if line.is_empty() {
        return Item::Heartbeat;
    }
    let mut value: Value = serde_json::from_str(line).expect("a line is JSON");
    if let Some(gap) = value.get_mut("gap") {
        return Item::Gap(gap.take());
    }
    if let Some(progress) = value.get("progress") {
        return Item::Progress(through(progress));
    }
    match value.get_mut("reset") {
        Some(reset) => Item::Reset(reset.take()),
        None => Item::Event(value),
    }
}

fn through(progress: &Value) -> u64 {
    assert_eq!(progress.as_object().map(|members| members.len()), Some(1));
    progress["through"].as_u64().expect("through is a seq")
}

/// Reads a message as a browser does (HTML, section 9.2.6), as far as it is used here.
fn message(block: &str) -> Item {
    let (mut name, mut id, mut data) = ("message", None, None);
    for line in block.split('\n') {
        match line.split_once(": ").unwrap_or((line, "")) {
            ("event", value) => name = value,
            ("id", value) => id = Some(value),
            ("data", value) => data = Some(value),
            (comment, _) => assert!(comment.starts_with(':'), "{line:?}"),
        }
    }
    let number = |id: &str| id.parse().expect("an id is a seq");
    let Some(data) = data else {
        return id.map_or(Item::Heartbeat, |id| Item::Id(number(id)));
    };
    let value: Value = serde_json::from_str(data).expect("data is JSON");
    if name == "gap" {
        return Item::Gap(value);
    }
    if name == "reset" {
        let last_seq = value["last_seq"].to_string();
        assert_eq!(id, Some(last_seq.as_str()), "the id is where it goes on");
        return Item::Reset(value);
    }
    if name == "progress" {
        let through = through(&value["progress"]);
        assert_eq!(id.map(number), Some(through), "the id is where it is");
        return Item::Progress(through);
    }
    assert_eq!(name, "message");
    assert_eq!(
        id,
        Some(value["seq"].to_string().as_str()),
        "the id is the seq"
    );
    Item::Event(value)
}
