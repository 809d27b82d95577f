//! Recognising an answer: its status, where it ends, and the counts in its body.
//!
//! This reads what our server and nginx send, an HTTP/1.1 answer with a `Content-Length`
//! (RFC 9112 §6.2), and refuses the rest; it is no general client.

use memchr::{memchr, memmem};

/// Finds the complete answer that a buffer begins with, to a request with this number of events; `None` while it is
/// not complete. Servers of other protocols than HTTP have functions of their own.
pub type Parse = fn(&[u8], u64) -> Result<Option<ParsedResponse>, Malformed>;

/// A complete answer at the start of a buffer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParsedResponse {
    pub total_bytes: usize,
    /// The status, where the protocol has one.
    pub status: Option<u16>,
    /// Events that were new.
    pub accepted: u64,
    pub duplicates: u64,
    /// What the server says has failed.
    pub failure: Option<String>,
}

/// What the buffer holds is not an answer that this program can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// [`Parse`] for HTTP/1.1: any status but 200 is a failure.
pub fn parse_http(buffer: &[u8], _: u64) -> Result<Option<ParsedResponse>, Malformed> {
    let Some(head) = parse_head(buffer)? else {
        return Ok(None);
    };
    let body = &buffer[head.head_bytes..head.total_bytes];
    let count = |name| count(body, name).unwrap_or(0);
    let failure = (head.status != 200)
        .then(|| format!("status {}: {}", head.status, String::from_utf8_lossy(body)));
    Ok(Some(ParsedResponse {
        total_bytes: head.total_bytes,
        status: Some(head.status),
        accepted: count(b"\"accepted\""),
        duplicates: count(b"\"duplicates\""),
        failure,
    }))
}

/// What is known of an answer of HTTP before its body is looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The three digits of the status line.
    pub status: u16,
    /// Bytes of the head, its empty line included.
    pub head_bytes: usize,
    /// Bytes of head and body.
    pub total_bytes: usize,
}

/// The answer that `buffer` begins with, or `None` while its head or body is not complete.
pub fn parse_head(buffer: &[u8]) -> Result<Option<Head>, Malformed> {
    let mut at = 0;
    let mut status = None;
    let mut content_length = None;
    while let Some(line_bytes) = memchr(b'\n', &buffer[at..]) {
        let line = buffer[at..at + line_bytes]
            .strip_suffix(b"\r")
            .ok_or(Malformed)?;
        at += line_bytes + 1;
        if status.is_none() {
            status = Some(parse_status(line)?);
        } else if let Some(value) = content_length_value(line) {
            content_length = Some(parse_number(value).ok_or(Malformed)?);
        } else if line.is_empty() {
            let (Some(status), Some(length)) = (status, content_length) else {
                return Err(Malformed);
            };
            let total_bytes = at + length as usize;
            let head = Head {
                status,
                head_bytes: at,
                total_bytes,
            };
            return Ok((buffer.len() >= total_bytes).then_some(head));
        }
    }
    Ok(None)
}

/// The number that the JSON member `quoted_name` (with its quotes) has in `body`.
pub fn count(body: &[u8], quoted_name: &[u8]) -> Option<u64> {
    let after_name = memmem::find(body, quoted_name)? + quoted_name.len();
    let value = body[after_name..]
        .trim_ascii_start()
        .strip_prefix(b":")?
        .trim_ascii_start();
    let digits = value
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    parse_number(&value[..digits])
}

fn parse_status(line: &[u8]) -> Result<u16, Malformed> {
    let code = line
        .strip_prefix(b"HTTP/1.1 ")
        .and_then(|rest| rest.get(..3))
        .ok_or(Malformed)?;
    parse_number(code).map(|code| code as u16).ok_or(Malformed)
}

fn content_length_value(line: &[u8]) -> Option<&[u8]> {
    const NAME: &[u8] = b"content-length";
    let is_named =
        line.get(NAME.len()) == Some(&b':') && line[..NAME.len()].eq_ignore_ascii_case(NAME);
    is_named.then(|| line[NAME.len() + 1..].trim_ascii())
}

/// One to nine decimal digits.
fn parse_number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 9 {
        return None;
    }
    digits.iter().try_fold(0, |number, byte| {
        byte.is_ascii_digit()
            .then(|| number * 10 + u64::from(byte - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &[u8] =
        b"HTTP/1.1 200 OK\r\nServer: x\r\ncontent-LENGTH: 5\r\nDate: now\r\n\r\nhello";

    #[test]
    fn an_answer_is_recognised_only_when_its_last_byte_is_there() {
        for end in 0..ANSWER.len() {
            assert_eq!(parse_head(&ANSWER[..end]), Ok(None), "{end} bytes");
        }
        let expected = Head {
            status: 200,
            head_bytes: ANSWER.len() - 5,
            total_bytes: ANSWER.len(),
        };
        assert_eq!(parse_head(ANSWER), Ok(Some(expected)));
        assert_eq!(
            parse_head(&[ANSWER, b"HTTP/1.1 5"].concat()),
            Ok(Some(expected))
        );
    }

    #[test]
    fn an_answer_is_its_counts_or_its_failure() {
        let answer = |bytes| parse_http(bytes, 3).expect("HTTP").expect("whole");
        let good = answer(
            b"HTTP/1.1 200 OK\r\nContent-Length: 29\r\n\r\n{\"accepted\":2,\"duplicates\":1}",
        );
        assert_eq!((good.accepted, good.duplicates, good.failure), (2, 1, None));
        let bad = answer(b"HTTP/1.1 503 No\r\nContent-Length: 5\r\n\r\nlater");
        assert_eq!(bad.status, Some(503));
        assert_eq!(bad.failure.as_deref(), Some("status 503: later"));
    }

    #[test]
    fn what_has_no_readable_end_is_refused() {
        for bytes in [
            &b"HTTP/1.1 200 OK\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n",
            b"HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
            b"SSH-2.0\r\n",
        ] {
            assert_eq!(
                parse_head(bytes),
                Err(Malformed),
                "{}",
                bytes.escape_ascii()
            );
        }
    }

    #[test]
    fn counts_are_found_with_and_without_white_space() {
        let body = br#"{"received":3, "accepted" : 21,"duplicates":0,"message":"accepted 9"}"#;
        assert_eq!(count(body, b"\"received\""), Some(3));
        assert_eq!(count(body, b"\"accepted\""), Some(21));
        assert_eq!(count(body, b"\"duplicates\""), Some(0));
        assert_eq!(count(body, b"\"rejected\""), None);
        assert_eq!(count(body, b"\"message\""), None);
    }
}
