//! Recognising an answer: its status, where it ends, and the counts in its body.
//!
//! This reads what our server and nginx send, an HTTP/1.1 answer whose head says how long it is
//! (RFC 9112 §6.3), and refuses the rest; it is no general client.

use memchr::{memchr, memmem};

/// Bytes of a body that are looked at for its counts; those of publishing have a few hundred.
const BODY_BYTES: usize = 4 * 1024;

/// Recognises the answer that a buffer begins with, to a request with this number of events; `None` while it needs
/// more of it. It may know the answer before the last byte has come. Servers of other protocols than HTTP have
/// functions of their own.
pub type Parse = fn(&[u8], u64) -> Result<Option<ParsedResponse>, Malformed>;

/// An answer at the start of a buffer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParsedResponse {
    /// Bytes of the whole answer, of which the buffer may have fewer.
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

/// [`Parse`] for HTTP/1.1: any status but those of success is a failure. Of a long body the first bytes decide.
pub fn parse_http(buffer: &[u8], _: u64) -> Result<Option<ParsedResponse>, Malformed> {
    let Some((head, body)) = parse_start(buffer)? else {
        return Ok(None);
    };
    let count = |name| count(body, name).unwrap_or(0);
    let failure = (!matches!(head.status, 200..=299))
        .then(|| format!("status {}: {}", head.status, String::from_utf8_lossy(body)));
    Ok(Some(ParsedResponse {
        total_bytes: head.total_bytes(),
        status: Some(head.status),
        accepted: count(b"\"accepted\""),
        duplicates: count(b"\"duplicates\""),
        failure,
    }))
}

/// The head of the answer that `buffer` begins with, and its body, of a long one the first [`BODY_BYTES`]; `None`
/// while these are not complete.
///
/// # Errors
/// As [`parse_head`].
pub fn parse_start(buffer: &[u8]) -> Result<Option<(Head, &[u8])>, Malformed> {
    let Some(head) = parse_head(buffer)? else {
        return Ok(None);
    };
    let body = &buffer[head.head_bytes..];
    let wanted = head.body_bytes.min(BODY_BYTES);
    Ok(body.get(..wanted).map(|body| (head, body)))
}

/// What is known of an answer of HTTP before its body is looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The three digits of the status line.
    pub status: u16,
    /// Bytes of the head, its empty line included.
    pub head_bytes: usize,
    pub body_bytes: usize,
}

impl Head {
    /// Bytes of head and body.
    pub fn total_bytes(&self) -> usize {
        self.head_bytes.saturating_add(self.body_bytes)
    }
}

/// The head that `buffer` begins with, or `None` while it is not complete.
///
/// # Errors
/// It is not the head of an answer, or does not say how long the body is.
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
        } else if let Some(value) = header_value(line, b"content-length") {
            let length = parse_number(value).and_then(|length| usize::try_from(length).ok());
            let length = length.ok_or(Malformed)?;
            if content_length
                .replace(length)
                .is_some_and(|other| other != length)
            {
                return Err(Malformed);
            }
        } else if header_value(line, b"transfer-encoding").is_some() {
            return Err(Malformed);
        } else if let (true, Some(status)) = (line.is_empty(), status) {
            return Ok(Some(Head {
                status,
                head_bytes: at,
                body_bytes: body_bytes(status, content_length)?,
            }));
        }
    }
    Ok(None)
}

/// RFC 9112 §6.3: these two never have a body. An interim answer is no answer.
fn body_bytes(status: u16, content_length: Option<usize>) -> Result<usize, Malformed> {
    match status {
        204 | 304 => Ok(0),
        200.. => content_length.ok_or(Malformed),
        _ => Err(Malformed),
    }
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

fn header_value<'l>(line: &'l [u8], name: &[u8]) -> Option<&'l [u8]> {
    let is_named =
        line.get(name.len()) == Some(&b':') && line[..name.len()].eq_ignore_ascii_case(name);
    is_named.then(|| line[name.len() + 1..].trim_ascii())
}

/// Decimal digits.
fn parse_number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| byte - b'0')?;
        number.checked_mul(10)?.checked_add(digit.into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &[u8] =
        b"HTTP/1.1 200 OK\r\nServer: x\r\ncontent-LENGTH: 5\r\nDate: now\r\n\r\nhello";

    #[test]
    fn an_answer_is_recognised_when_enough_of_it_is_there() {
        for end in 0..ANSWER.len() {
            assert_eq!(parse_http(&ANSWER[..end], 0), Ok(None), "{end} bytes");
        }
        let whole = parse_http(ANSWER, 0).expect("HTTP").expect("whole");
        assert_eq!(whole.total_bytes, ANSWER.len());
        let more = [ANSWER, b"HTTP/1.1 5"].concat();
        assert_eq!(parse_http(&more, 0), Ok(Some(whole)));
    }

    #[test]
    fn of_a_long_body_its_start_is_enough() {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 12345678901\r\n\r\n";
        let mut answer = [&head[..], b"{\"accepted\":7,"].concat();
        assert_eq!(parse_http(&answer, 7), Ok(None));
        answer.resize(head.len() + BODY_BYTES, b' ');
        let parsed = parse_http(&answer, 7).expect("HTTP").expect("enough");
        assert_eq!(parsed.accepted, 7);
        assert_eq!(parsed.total_bytes, head.len() + 12_345_678_901);
    }

    #[test]
    fn an_answer_without_content_has_no_body() {
        for length in ["", "Content-Length: 9\r\n"] {
            let answer = format!("HTTP/1.1 204 No Content\r\n{length}\r\n");
            let parsed = parse_http(answer.as_bytes(), 1)
                .expect("HTTP")
                .expect("whole");
            assert_eq!(parsed.total_bytes, answer.len());
            assert_eq!((parsed.status, parsed.failure), (Some(204), None));
        }
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
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\n",
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
