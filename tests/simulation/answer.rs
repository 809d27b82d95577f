//! What the server says, taken apart as it is written: whole answers, in the order of the requests, and
//! nothing else.

use std::io::Read;

use flate2::read::GzDecoder;

use crate::request::Wanted;
use crate::world::World;

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
/// Bytes up to the end of the status.
const STATUS_END: usize = 12;

pub struct Answer {
    pub status: u16,
    head: String,
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a field that stands at most once.
    pub fn field(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1);
        let mut values = lines
            .filter_map(|line| line.split_once(": "))
            .filter(|(known, _)| *known == name)
            .map(|(_, value)| value);
        let value = values.next();
        assert!(values.next().is_none(), "{name} twice in {}", self.head);
        value
    }

    pub fn closes(&self) -> bool {
        self.field("Connection") == Some("close")
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {}", self.body.escape_ascii()))
    }
}

impl World {
    /// Takes the answers apart that a connection has got so far.
    pub fn hear(&mut self, id: usize) {
        while let Some(answer) = self.next_answer(id) {
            self.judge(id, &answer);
        }
    }

    /// The body of an answer in gzip.
    fn decoded(&mut self, answer: &Answer) -> Vec<u8> {
        assert_eq!(answer.field("Content-Encoding"), Some("gzip"));
        self.trace.mark("an answer in gzip");
        let mut plain = Vec::new();
        let mut decoder = GzDecoder::new(&answer.body[..]);
        decoder.read_to_end(&mut plain).expect("it is gzip");
        plain
    }

    fn next_answer(&mut self, id: usize) -> Option<Answer> {
        loop {
            if self.links[id].stream.is_some() && !self.hear_stream(id) {
                return None;
            }
            let link = &mut self.links[id];
            let unasked = link.unasked_body.min(link.said.len());
            link.said.drain(..unasked);
            link.unasked_body -= unasked;
            let said = &link.said;
            assert!(
                said.is_empty() || !link.says_close,
                "{id} gets more behind its last answer: {}",
                said.escape_ascii()
            );
            if said.len() < STATUS_END {
                return None;
            }
            let index = link.answered;
            let Some(asked) = link.asked.get(index) else {
                panic!("{id} gets an answer to nothing: {}", said.escape_ascii());
            };
            assert_eq!(&said[..9], b"HTTP/1.1 ", "{}", said.escape_ascii());
            let status = std::str::from_utf8(&said[9..STATUS_END]).expect("a status in digits");
            let status: u16 = status.parse().expect("a status in digits");
            if status == 100 {
                if said.len() < CONTINUE.len() {
                    return None;
                }
                assert_eq!(&said[..CONTINUE.len()], CONTINUE);
                let is_due = asked.expects_continue && asked.head_at.is_some();
                assert!(
                    is_due && link.continued != Some(index),
                    "{id} is told to go on with request {index}"
                );
                link.continued = Some(index);
                link.said.drain(..CONTINUE.len());
                self.trace.mark("100 continue");
                continue;
            }
            let is_publication = matches!(asked.wanted, Wanted::Publish(_));
            if status == 200 && is_publication {
                // Its first bytes are on the wire, so what it promises must be on the disk by now.
                self.check_promise(id, index);
            }
            let link = &mut self.links[id];
            let head_end = link.said.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
            let head = String::from_utf8(link.said[..head_end].to_vec()).expect("a head is text");
            let mut answer = Answer {
                status,
                head,
                body: Vec::new(),
            };
            if matches!(link.asked[index].wanted, Wanted::Stream(_)) && status == 200 {
                link.said.drain(..head_end);
                self.begin_stream(id, index, &answer);
                self.links[id].asked[index].says_close = answer.closes();
                continue;
            }
            let length = answer
                .field("Content-Length")
                .map(|text| text.parse::<usize>());
            let length = match (status, length) {
                (204, None) => 0,
                (204, Some(_)) => panic!("a 204 with a length"),
                (_, Some(Ok(length))) => length,
                // Nobody searches for the length of what is not sent.
                (200, None) if link.asked[index].is_search_head() => 0,
                (_, length) => panic!("the length {length:?} in {}", answer.head),
            };
            let is_bare = link.asked[index].is_head;
            let end = head_end + if is_bare { 0 } else { length };
            if link.said.len() < end {
                return None;
            }
            let may_be_unread = matches!(status, 400 | 408 | 503) && answer.closes();
            if is_bare && may_be_unread {
                link.unasked_body = length;
            }
            answer.body = link.said.drain(..end).skip(head_end).collect();
            if answer.field("Content-Encoding").is_some() && !is_bare {
                answer.body = self.decoded(&answer);
            }
            for name in ["Date", "Server"] {
                assert!(answer.field(name).is_some(), "no {name} in {}", answer.head);
            }
            return Some(answer);
        }
    }
}
