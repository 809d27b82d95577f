//! The protocol without I/O: operations to bytes, bytes to operations.

use std::io::Write;
use std::mem::take;

use serde::{Deserialize, Serialize};

use super::url::StreamUrl;
use crate::limits::{ENGINE_MESSAGE_MAX_BYTES, NATS_LINE_MAX_BYTES};
use crate::text::escaped;

/// What a server says of itself when a connection is made.
#[derive(Debug, Deserialize)]
pub(super) struct Info {
    /// Bytes that a message may have, with its headers.
    pub max_payload: usize,
    #[serde(default)]
    pub headers: bool,
    #[serde(default)]
    pub tls_required: bool,
}

/// A message that was sent here.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Message {
    pub subject: String,
    /// As they stand in it, with the line of the version before.
    pub headers: String,
    pub body: Vec<u8>,
}

impl Message {
    /// Whether nobody has received what this is the answer to.
    pub(super) fn is_unheard(&self) -> bool {
        self.body.is_empty() && self.headers.starts_with("NATS/1.0 503")
    }
}

/// The value of a header.
pub(crate) fn header<'a>(headers: &'a str, name: &str) -> Option<&'a str> {
    headers.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        (found == name).then(|| value.trim())
    })
}

/// What a server sends.
#[derive(Debug)]
pub(super) enum Operation {
    Info(Info),
    Message(Message),
    Ping,
    Pong,
    Failed(String),
}

/// What has been received.
#[derive(Default)]
pub(super) struct Received {
    bytes: Vec<u8>,
    /// How much of it has been read.
    read: usize,
}

impl Received {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..take(&mut self.read));
        self.bytes.extend_from_slice(bytes);
    }

    /// The next operation that is there as a whole.
    ///
    /// # Errors
    /// A sentence: this is not what a server sends.
    pub(super) fn next(&mut self) -> Result<Option<Operation>, String> {
        loop {
            let rest = &self.bytes[self.read..];
            let Some(end) = memchr::memchr(b'\n', rest) else {
                return match rest.len() > NATS_LINE_MAX_BYTES {
                    true => Err(unknown(&rest[..40])),
                    false => Ok(None),
                };
            };
            let line = String::from_utf8_lossy(&rest[..end]).trim_end().to_owned();
            let (name, words) = line.split_once([' ', '\t']).unwrap_or((&line, ""));
            let operation = match name.to_ascii_uppercase().as_str() {
                "INFO" => Operation::Info(serde_json::from_str(words).map_err(|_| unknown(rest))?),
                "PING" => Operation::Ping,
                "PONG" => Operation::Pong,
                "-ERR" => Operation::Failed(words.trim_matches('\'').to_owned()),
                "+OK" => {
                    self.read += end + 1;
                    continue;
                }
                "MSG" | "HMSG" => {
                    let has_headers = name.len() > 3;
                    let found = message(words, has_headers, &rest[end + 1..])
                        .ok_or_else(|| unknown(line.as_bytes()))?;
                    let Some((message, length)) = found else {
                        return Ok(None);
                    };
                    self.read += end + 1 + length;
                    return Ok(Some(Operation::Message(message)));
                }
                _ => return Err(unknown(line.as_bytes())),
            };
            self.read += end + 1;
            return Ok(Some(operation));
        }
    }
}

fn unknown(bytes: &[u8]) -> String {
    let start = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
    format!("it does not speak NATS: {}", escaped(&start))
}

/// Reads what follows the line of a message, and how long that is. None if the line is wrong; the inner one, if a part
/// is missing.
fn message(words: &str, has_headers: bool, rest: &[u8]) -> Option<Option<(Message, usize)>> {
    let words: Vec<&str> = words.split_ascii_whitespace().collect();
    let (subject, total) = (words.first()?, words.last()?);
    let total: usize = total.parse().ok()?;
    let of_headers: usize = match has_headers {
        true => words.get(words.len().checked_sub(2)?)?.parse().ok()?,
        false => 0,
    };
    if of_headers > total || total > ENGINE_MESSAGE_MAX_BYTES as usize {
        return None;
    }
    let Some(end) = rest.get(total..total + 2) else {
        return Some(None);
    };
    let message = Message {
        subject: (*subject).to_owned(),
        headers: String::from_utf8_lossy(&rest[..of_headers]).into_owned(),
        body: rest[of_headers..total].to_owned(),
    };
    (end == b"\r\n").then_some(Some((message, total + 2)))
}

/// What a client says of itself.
#[derive(Serialize)]
struct Connect<'a> {
    verbose: bool,
    pedantic: bool,
    headers: bool,
    no_responders: bool,
    protocol: u8,
    name: &'a str,
    lang: &'a str,
    version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pass: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_token: Option<&'a str>,
}

/// The first operations of a connection, to which PONG is the answer: who asks, and where answers are to go.
pub(super) fn connect(url: &StreamUrl, inbox: &str) -> String {
    let [user, password] =
        [&url.user, &url.password].map(|text| text.as_ref().map(|text| text.as_str()));
    let (user, pass, auth_token) = match (user, password) {
        (Some(user), Some(password)) => (Some(user), Some(password), None),
        (user, password) => (None, None, user.or(password)),
    };
    let connect = Connect {
        verbose: false,
        pedantic: false,
        headers: true,
        no_responders: true,
        protocol: 1,
        name: "logagg forward",
        lang: "rust",
        version: env!("CARGO_PKG_VERSION"),
        user,
        pass,
        auth_token,
    };
    let connect = serde_json::to_string(&connect).expect("texts have a form as JSON");
    format!("CONNECT {connect}\r\nSUB {inbox}.* 1\r\nPING\r\n")
}

/// Appends a message. `headers` are lines with their ends.
pub(super) fn publish(
    subject: &str,
    reply: Option<&str>,
    headers: &str,
    body: &[u8],
    out: &mut Vec<u8>,
) {
    const VERSION: &str = "NATS/1.0\r\n";
    let reply = reply.unwrap_or_default();
    let of_headers = VERSION.len() + headers.len() + 2;
    let total = of_headers + body.len();
    write!(
        out,
        "HPUB {subject} {reply} {of_headers} {total}\r\n{VERSION}{headers}\r\n"
    )
    .expect("a vector takes all bytes");
    out.extend_from_slice(body);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_read_however_they_arrive() {
        let text = "INFO {\"max_payload\":100,\"headers\":true}\r\nPING\r\n+OK\r\nMSG a.b 1 3\r\nx\r\n\r\n\
                    HMSG a 1 reply 16 17\r\nNATS/1.0\r\nA: b\r\ny\r\nHMSG a 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n\
                    -ERR 'Stale Connection'\r\n";
        for piece in [1, 7, text.len()] {
            let (mut received, mut found) = (Received::default(), Vec::new());
            for bytes in text.as_bytes().chunks(piece) {
                received.push(bytes);
                while let Some(operation) = received.next().unwrap() {
                    found.push(operation);
                }
            }
            use Operation::{Failed, Info, Message, Ping};
            let [Info(info), Ping, Message(plain), Message(full), Message(unheard), Failed(said)] =
                &found[..]
            else {
                panic!("{found:?}");
            };
            assert!(info.max_payload == 100 && info.headers && !info.tls_required);
            assert_eq!(
                (&plain.subject[..], &plain.body[..]),
                ("a.b", &b"x\r\n"[..])
            );
            assert_eq!(header(&full.headers, "A"), Some("b"));
            assert_eq!(full.body, b"y");
            assert!(unheard.is_unheard() && !full.is_unheard());
            assert_eq!(said, "Stale Connection");
        }
        for wrong in [
            "HTTP/1.1 400\r\n",
            "MSG a\r\n",
            "MSG a 1 1\r\nxyz",
            "HMSG a 1 5 4\r\n",
            "INFO x\r\n",
        ] {
            let mut received = Received::default();
            received.push(wrong.as_bytes());
            assert!(received.next().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_message_is_written_with_its_lengths() {
        let mut out = Vec::new();
        publish("a", Some("r"), "A: b\r\n", b"xyz", &mut out);
        let text = "HPUB a r 18 21\r\nNATS/1.0\r\nA: b\r\n\r\nxyz\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), text);
    }
}
