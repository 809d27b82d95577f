//! Storing events in Redis, each once: a Lua script that takes a batch, and RESP2 as far as that needs.
//!
//! The script is the plain way to do it: `SET NX` decides whether an event is new, `XADD` keeps it in
//! the order of its topic, and Redis runs a script as a whole.

use memchr::memmem;

use super::events::ID_BYTES;
use super::request::{payload, Builder, Template, PAYLOAD_BYTES, SOURCE, TIMESTAMP};
use super::response::{Malformed, ParsedResponse};

/// Bytes of a SHA-1 in hexadecimal.
pub const SCRIPT_NAME_BYTES: usize = 40;

/// Arguments: topic, event id, timestamp, source and payload of each event. Gives how many were new.
const SCRIPT: &str = "\
local accepted = 0
for i = 1, #ARGV, 5 do
  local topic, id = ARGV[i], ARGV[i + 1]
  if redis.call('SET', 'key:' .. topic .. ':' .. id, '1', 'NX') then
    redis.call('XADD', 'events:' .. topic, '*', 'event_id', id, 'timestamp', ARGV[i + 2],
               'source', ARGV[i + 3], 'payload', ARGV[i + 4])
    accepted = accepted + 1
  end
end
return accepted";

/// The command that makes the script known; its answer is read by [`script_name`].
pub fn script_load() -> Vec<u8> {
    let arguments = [b"SCRIPT".as_slice(), b"LOAD", SCRIPT.as_bytes()];
    let mut bytes = b"*3\r\n".to_vec();
    for argument in arguments {
        bytes.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        bytes.extend_from_slice(argument);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// The script's name in the answer to [`script_load`].
pub fn script_name(answer: &[u8]) -> Option<[u8; SCRIPT_NAME_BYTES]> {
    let name = answer.strip_prefix(b"$40\r\n")?.strip_suffix(b"\r\n")?;
    name.try_into().ok()
}

/// `EVALSHA` of the script with `batch` events.
pub fn publish(script: [u8; SCRIPT_NAME_BYTES], batch: usize, topics: u64) -> Template {
    let payload = payload(PAYLOAD_BYTES);
    let mut request = Builder::new(topics);
    request.push(format!("*{}\r\n$7\r\nEVALSHA\r\n$40\r\n", 3 + 5 * batch));
    request.push(script);
    request.push("\r\n$1\r\n0\r\n");
    for _ in 0..batch {
        request.push(format!("${}\r\n", request.topic_bytes()));
        request.push_topic();
        request.push(format!("\r\n${ID_BYTES}\r\n"));
        request.push_id();
        request.push("\r\n");
        for argument in [TIMESTAMP, SOURCE, &payload] {
            request.push(format!("${}\r\n{argument}\r\n", argument.len()));
        }
    }
    request.finish(parse, Vec::new(), b"")
}

/// The reply that `buffer` begins with: an integer, a bulk string, a simple string or an error.
pub fn parse(buffer: &[u8], events: u64) -> Result<Option<ParsedResponse>, Malformed> {
    let Some(line) = memmem::find(buffer, b"\r\n") else {
        return Ok(None);
    };
    let text = std::str::from_utf8(&buffer[1.min(line)..line]).map_err(|_| Malformed)?;
    let mut answer = ParsedResponse {
        total_bytes: line + 2,
        ..ParsedResponse::default()
    };
    match buffer[0] {
        b':' => {
            answer.accepted = text.parse().map_err(|_| Malformed)?;
            answer.duplicates = events.saturating_sub(answer.accepted);
        }
        b'$' => {
            answer.total_bytes += text.parse::<usize>().map_err(|_| Malformed)? + 2;
            if buffer.len() < answer.total_bytes {
                return Ok(None);
            }
        }
        b'+' => {}
        b'-' => answer.failure = Some(text.to_owned()),
        _ => return Err(Malformed),
    }
    Ok(Some(answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_read_when_they_are_complete() {
        let counts = |bytes, events| {
            parse(bytes, events)
                .map(|answer| answer.map(|a| (a.total_bytes, a.accepted, a.duplicates)))
        };
        assert_eq!(counts(b":640\r\n", 1_000), Ok(Some((6, 640, 360))));
        assert_eq!(counts(b":64", 1_000), Ok(None));
        assert_eq!(counts(b"", 1), Ok(None));
        assert_eq!(counts(b"+OK\r\n", 0), Ok(Some((5, 0, 0))));
        assert_eq!(counts(b"$3\r\nab", 0), Ok(None));
        assert_eq!(counts(b"$3\r\nabc\r\n", 0), Ok(Some((9, 0, 0))));
        assert_eq!(counts(b":x\r\n", 1), Err(Malformed));
        assert_eq!(counts(b"\r\n", 1), Err(Malformed));
        let error = parse(b"-NOSCRIPT no\r\n", 1).expect("RESP").expect("whole");
        assert_eq!(error.failure.as_deref(), Some("NOSCRIPT no"));
    }

    #[test]
    fn a_request_says_how_long_its_arguments_are() {
        let request = publish([b'a'; 40], 2, 5).request();
        let text = String::from_utf8(request).expect("requests are ASCII");
        let mut lines = text.split("\r\n");
        assert_eq!(lines.next(), Some("*13"));
        for _ in 0..13 {
            let length = lines.next().and_then(|line| line.strip_prefix('$'));
            let argument = lines.next().expect("an argument");
            assert_eq!(length, Some(argument.len().to_string().as_str()));
        }
        assert_eq!((lines.next(), lines.next()), (Some(""), None));
    }

    #[test]
    fn the_name_of_the_script_is_found_in_the_answer() {
        let name = [b'7'; 40];
        let answer = [b"$40\r\n".as_slice(), &name, b"\r\n"].concat();
        assert_eq!(script_name(&answer), Some(name));
        assert_eq!(script_name(b"-ERR\r\n"), None);
    }
}
