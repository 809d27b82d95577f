//! Answers in both encodings: `ExportLogsServiceResponse` and `google.rpc.Status`.

use crate::api::json::write_string;
use crate::http::{ErrorShape, Refusal, Request, Response};
use crate::ingest::adapter::Tally;

/// How a request is encoded, and so its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Protobuf,
    Json,
}

impl Encoding {
    /// By the media type; none of another one.
    pub(super) fn of(request: &Request) -> Option<Self> {
        let essence = request.media_type();
        [Encoding::Protobuf, Encoding::Json]
            .into_iter()
            .find(|encoding| essence.eq_ignore_ascii_case(encoding.media_type()))
    }

    fn media_type(self) -> &'static str {
        match self {
            Encoding::Protobuf => "application/x-protobuf",
            Encoding::Json => "application/json",
        }
    }

    pub(super) fn error_shape(self) -> ErrorShape {
        match self {
            Encoding::Protobuf => protobuf_status,
            Encoding::Json => json_status,
        }
    }
}

/// The code of `google.rpc.Code` that a status of HTTP means.
fn rpc_code(status: u16) -> u64 {
    const UNKNOWN: u64 = 2;
    const INVALID_ARGUMENT: u64 = 3;
    const DEADLINE_EXCEEDED: u64 = 4;
    const NOT_FOUND: u64 = 5;
    const PERMISSION_DENIED: u64 = 7;
    const RESOURCE_EXHAUSTED: u64 = 8;
    const UNIMPLEMENTED: u64 = 12;
    const INTERNAL: u64 = 13;
    const UNAVAILABLE: u64 = 14;
    const UNAUTHENTICATED: u64 = 16;
    match status {
        400 | 411 | 415 | 417 => INVALID_ARGUMENT,
        401 => UNAUTHENTICATED,
        403 => PERMISSION_DENIED,
        404 => NOT_FOUND,
        405 | 501 | 505 => UNIMPLEMENTED,
        408 => DEADLINE_EXCEEDED,
        413 | 414 | 431 => RESOURCE_EXHAUSTED,
        500 => INTERNAL,
        503 => UNAVAILABLE,
        _ => UNKNOWN,
    }
}

fn protobuf_status(refusal: &Refusal) -> Response {
    let mut body = Vec::new();
    write_number(1, rpc_code(refusal.status), &mut body);
    write_bytes(2, refusal.sentence.as_bytes(), &mut body);
    Response::new(refusal.status, Encoding::Protobuf.media_type(), body)
}

fn json_status(refusal: &Refusal) -> Response {
    let mut body = format!("{{\"code\":{},\"message\":", rpc_code(refusal.status)).into_bytes();
    write_string(&mut body, &refusal.sentence);
    body.push(b'}');
    Response::bare_json(refusal.status, body)
}

/// The answer after all records have been read and committed.
pub(super) fn success(encoding: Encoding, tally: &Tally) -> Response {
    let message = message(tally);
    let mut body = Vec::new();
    match encoding {
        Encoding::Json if message.is_empty() => body.extend_from_slice(b"{}"),
        Encoding::Json => {
            body.extend_from_slice(b"{\"partialSuccess\":{");
            if tally.rejected > 0 {
                let count = format!("\"rejectedLogRecords\":\"{}\",", tally.rejected);
                body.extend_from_slice(count.as_bytes());
            }
            body.extend_from_slice(b"\"errorMessage\":");
            write_string(&mut body, &message);
            body.extend_from_slice(b"}}");
        }
        Encoding::Protobuf if message.is_empty() => {}
        Encoding::Protobuf => {
            let mut partial = Vec::new();
            if tally.rejected > 0 {
                write_number(1, tally.rejected, &mut partial);
            }
            write_bytes(2, message.as_bytes(), &mut partial);
            write_bytes(1, &partial, &mut body);
        }
    }
    Response::new(200, encoding.media_type(), body)
}

/// What is reported about the records; empty if all of them are stored.
fn message(tally: &Tally) -> String {
    let mut message = String::new();
    if let Some(reason) = &tally.first_reason {
        let rejected = tally.rejected;
        message = format!("{rejected} log records are rejected; the first: {reason}");
    }
    if tally.conflicts > 0 {
        let separator = if message.is_empty() { "" } else { ". " };
        let conflicts = tally.conflicts;
        let text = "log records have the identity of a stored one and another content; the stored ones stay";
        message.push_str(&format!("{separator}{conflicts} {text}"));
    }
    message
}

/// Appends a field with a number.
fn write_number(field: u8, number: u64, out: &mut Vec<u8>) {
    out.push(field << 3);
    write_varint(number, out);
}

/// Appends a field with a string or a message.
fn write_bytes(field: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(field << 3 | 2);
    write_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn write_varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}
