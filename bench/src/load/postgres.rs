//! Storing events in PostgreSQL, each once: a prepared statement that takes a batch as arrays, and
//! the protocol 3.0 as far as that needs ("Message Formats" in PostgreSQL's manual).

use super::events::ID_BYTES;
use super::request::{payload, Builder, Template, PAYLOAD_BYTES, SOURCE, TIMESTAMP};
use super::response::{Malformed, ParsedResponse};

/// The user and the database that a connection asks for.
pub const USER: &str = "bench";
const DATABASE: &str = "postgres";

/// The same columns as our own table has, and the constraint that finds duplicates.
const TABLES: &str = "
CREATE TABLE events(
  seq          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  topic        text NOT NULL,
  event_id     text NOT NULL,
  timestamp    text NOT NULL,
  source       text NOT NULL,
  payload      text NOT NULL,
  processed_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (topic, event_id)
);
CREATE INDEX events_by_topic ON events(topic, seq);";
const INSERT: &str = "INSERT INTO events(topic, event_id, timestamp, source, payload) \
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) \
    ON CONFLICT DO NOTHING";
const PARAMETERS: usize = 5;

/// The object identifier of the type `text`, in `pg_type.dat`.
const TEXT_OID: i32 = 25;
/// Protocol 3.0, as a startup message states it.
const VERSION: i32 = 3 << 16;

/// What creates the tables, each part with an answer of its own.
pub fn create_tables() -> Vec<Vec<u8>> {
    vec![
        startup(),
        message(b'Q', &[TABLES.as_bytes(), b"\0"].concat()),
    ]
}

/// One insertion of `batch` events, in a transaction of its own.
pub fn publish(batch: usize, topics: u64) -> Template {
    let payload = payload(PAYLOAD_BYTES);
    let mut bind = Builder::new(topics);
    // The unnamed portal of the unnamed statement; all parameters binary.
    bind.push(b"\0\0");
    bind.push(1_i16.to_be_bytes());
    bind.push(1_i16.to_be_bytes());
    bind.push((PARAMETERS as i16).to_be_bytes());
    let topic_bytes = bind.topic_bytes();
    push_array(&mut bind, batch, topic_bytes, Builder::push_topic);
    push_array(&mut bind, batch, ID_BYTES, Builder::push_id);
    for text in [TIMESTAMP, SOURCE, &payload] {
        push_array(&mut bind, batch, text.len(), |bind| bind.push(text));
    }
    bind.push(0_i16.to_be_bytes());
    let length = bind_bytes(
        batch,
        &[
            topic_bytes,
            ID_BYTES,
            TIMESTAMP.len(),
            SOURCE.len(),
            payload.len(),
        ],
    );
    bind.push(message(b'E', &[0; 5]));
    bind.push(message(b'S', b""));

    let named = [b"\0", INSERT.as_bytes(), b"\0\0\0"].concat();
    let prepare = [message(b'P', &named), message(b'S', b"")].concat();
    let head = [&b"B"[..], &(length as i32).to_be_bytes()].concat();
    bind.finish(parse, vec![startup(), prepare], &head)
}

/// A parameter: a one-dimensional array of texts of equal length.
fn push_array(bind: &mut Builder, count: usize, text_bytes: usize, push: impl Fn(&mut Builder)) {
    bind.push((array_bytes(count, text_bytes) as i32).to_be_bytes());
    for field in [1, 0, TEXT_OID, count as i32, 1] {
        bind.push(field.to_be_bytes());
    }
    for _ in 0..count {
        bind.push((text_bytes as i32).to_be_bytes());
        push(bind);
    }
}

/// Bytes of an array's value: its five fields of four bytes, and each text after its length.
fn array_bytes(count: usize, text_bytes: usize) -> usize {
    5 * 4 + count * (4 + text_bytes)
}

/// Bytes of a Bind message, its length included and its type not.
fn bind_bytes(count: usize, texts: &[usize; PARAMETERS]) -> usize {
    let arrays: usize = texts.iter().map(|text| 4 + array_bytes(count, *text)).sum();
    4 + 2 + 3 * 2 + arrays + 2
}

fn startup() -> Vec<u8> {
    let mut body = VERSION.to_be_bytes().to_vec();
    for text in ["user", USER, "database", DATABASE, ""] {
        body.extend_from_slice(text.as_bytes());
        body.push(0);
    }
    [&(body.len() as i32 + 4).to_be_bytes(), &body[..]].concat()
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind], &(body.len() as i32 + 4).to_be_bytes()[..], body].concat()
}

/// The messages that `buffer` begins with, up to the one that says that the server is ready.
pub fn parse(buffer: &[u8], events: u64) -> Result<Option<ParsedResponse>, Malformed> {
    let mut answer = ParsedResponse::default();
    while let Some((kind, length)) = buffer[answer.total_bytes..]
        .split_first_chunk::<5>()
        .map(|([kind, length @ ..], _)| (*kind, u32::from_be_bytes(*length) as usize))
    {
        if length < 4 {
            return Err(Malformed);
        }
        let start = answer.total_bytes + 5;
        answer.total_bytes += 1 + length;
        let Some(body) = buffer.get(start..answer.total_bytes) else {
            return Ok(None);
        };
        match kind {
            b'Z' => return Ok(Some(answer)),
            b'C' if body.starts_with(b"INSERT ") => {
                answer.accepted = inserted(body).ok_or(Malformed)?;
                answer.duplicates = events.saturating_sub(answer.accepted);
            }
            b'E' => answer.failure = Some(failure(body)),
            // Asked for another kind of authentication than `trust`: nothing would follow.
            b'R' if body != 0_i32.to_be_bytes() => return Err(Malformed),
            _ => {}
        }
    }
    Ok(None)
}

/// The rows in the tag of an `INSERT`, `INSERT 0 ROWS`.
fn inserted(tag: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(tag.strip_suffix(b"\0")?).ok()?;
    text.rsplit_once(' ')?.1.parse().ok()
}

/// The sentence of an ErrorResponse, its field `M`.
fn failure(body: &[u8]) -> String {
    let mut fields = body.split(|byte| *byte == 0);
    let sentence = fields.find_map(|field| field.strip_prefix(b"M"));
    String::from_utf8_lossy(sentence.unwrap_or(b"unknown error")).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_where_the_server_is_ready() {
        let bytes = [
            message(b'2', b""),
            message(b'C', b"INSERT 0 640\0"),
            message(b'Z', b"I"),
        ]
        .concat();
        for end in 0..bytes.len() {
            assert_eq!(parse(&bytes[..end], 1_000), Ok(None), "{end} bytes");
        }
        let answer = parse(&bytes, 1_000).expect("messages").expect("whole");
        assert_eq!((answer.accepted, answer.duplicates), (640, 360));
        assert_eq!((answer.total_bytes, answer.failure), (bytes.len(), None));
    }

    #[test]
    fn errors_and_what_cannot_be_read_are_told_apart() {
        let error = message(b'E', b"SERROR\0C42P07\0Mit exists\0\0");
        let bytes = [error, message(b'Z', b"I")].concat();
        let answer = parse(&bytes, 1).expect("messages").expect("whole");
        assert_eq!(answer.failure.as_deref(), Some("it exists"));
        assert_eq!(parse(b"Z\0\0\0\0", 1), Err(Malformed));
        let password = message(b'R', &3_i32.to_be_bytes());
        assert_eq!(parse(&password, 1), Err(Malformed));
    }

    #[test]
    fn the_lengths_in_a_request_lead_from_message_to_message() {
        for batch in [1, 1_000] {
            let request = publish(batch, 5).request();
            let mut rest = &request[..];
            let mut kinds = Vec::new();
            while let Some(([kind, length @ ..], _)) = rest.split_first_chunk::<5>() {
                kinds.push(*kind);
                rest = &rest[1 + u32::from_be_bytes(*length) as usize..];
            }
            assert_eq!((kinds.as_slice(), rest.len()), (&b"BES"[..], 0));
        }
    }
}
