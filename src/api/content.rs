//! What a request's head says of its body: the media type and the content coding.

use super::detail::{unprocessable, Details};
use crate::http::encoding::{Coding, DecodeError, Decoding};
use crate::http::{essence, Refusal, Request, Response};
use crate::limits::DECODED_SHORT_BYTES;

/// Refuses a media type or a content coding that is not taken: 415 (RFC 9110 §15.5.16).
pub(crate) fn check_content(request: &Request) -> Result<(), Box<Response>> {
    if !request.header("content-type").is_some_and(is_json) {
        let sentence = "Send the body with Content-Type: application/json (or application/…+json, \
                        application/x-ndjson, application/ndjson, application/jsonl).";
        return Err(Response::error(415, sentence).into());
    }
    coding_of(request)
        .map(|_| ())
        .ok_or_else(|| Box::new(unknown_coding().into()))
}

/// 415: the body has several content codings, or one that is not taken.
pub(crate) fn unknown_coding() -> Refusal {
    let sentence = format!(
        "Send the body with one Content-Encoding of {}, or none.",
        Coding::ACCEPTED
    );
    Refusal::new(415, sentence).header("Accept-Encoding", Coding::ACCEPTED)
}

fn is_json(media_type: &str) -> bool {
    // What nearly all send.
    if media_type == "application/json" {
        return true;
    }
    let essence = essence(media_type).to_ascii_lowercase();
    let Some(subtype) = essence.strip_prefix("application/") else {
        return false;
    };
    matches!(subtype, "json" | "x-ndjson" | "ndjson" | "jsonl")
        || subtype
            .strip_suffix("+json")
            .is_some_and(|name| !name.is_empty() && !name.contains('/'))
}

/// The one content coding of the body; `None` where there are several or an unknown one, which
/// [`check_content`] has refused.
pub(crate) fn coding_of(request: &Request) -> Option<Coding> {
    let mut fields = request.headers("content-encoding");
    let first = fields.next();
    if fields.next().is_some() {
        return None;
    }
    let Some(first) = first else {
        return Some(Coding::Identity);
    };
    std::str::from_utf8(first).ok().and_then(Coding::parse)
}

/// The answer to a body whose `coding` cannot be taken off.
pub(crate) fn undecodable(coding: Coding, error: DecodeError, max_body_bytes: usize) -> Response {
    let refusal = undecodable_refusal(coding, error, max_body_bytes);
    match error {
        DecodeError::TooLarge => refusal.into(),
        DecodeError::Broken => unprocessable(&Details::body(refusal.sentence)),
    }
}

/// Why a body whose `coding` cannot be taken off is refused: 413, or 400.
pub(crate) fn undecodable_refusal(
    coding: Coding,
    error: DecodeError,
    max_body_bytes: usize,
) -> Refusal {
    match error {
        DecodeError::TooLarge => Refusal::new(
            413,
            format!(
                "The decoded body is over the limit of {max_body_bytes} bytes; send the events in several requests."
            ),
        ),
        DecodeError::Broken => Refusal::new(
            400,
            format!("the body is not what Content-Encoding {} says", coding.name()),
        ),
    }
}

/// A short body of a request that [`check_content`] let pass, its content coding taken off. It is decoded at once,
/// and so has at most [`DECODED_SHORT_BYTES`].
///
/// # Errors
/// The answer to one that is longer or cannot be decoded.
pub(crate) fn decode_short(
    request: &Request,
    body: Vec<u8>,
    max_body_bytes: usize,
) -> Result<Vec<u8>, Box<Response>> {
    let coding = coding_of(request).unwrap_or(Coding::Identity);
    if coding == Coding::Identity {
        return Ok(body);
    }
    let limit = max_body_bytes.min(DECODED_SHORT_BYTES);
    Decoding::new(coding, body, limit)
        .and_then(|mut decoding| decoding.go_on(DECODED_SHORT_BYTES))
        .and_then(|whole| whole.ok_or(DecodeError::TooLarge))
        .map_err(|error| undecodable(coding, error, limit).into())
}
