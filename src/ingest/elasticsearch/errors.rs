//! How Elasticsearch says that something is refused, and the field that each of its answers has.

use crate::api::json::{write_string, write_to};
use crate::http::{Refusal, Response};

/// The types of items that were not stored.
pub(super) const CONFLICT: &str = "version_conflict_engine_exception";
pub(super) const BAD_DOCUMENT: &str = "document_parsing_exception";
pub(super) const ILLEGAL: &str = "illegal_argument_exception";

/// The clients since 7.14 refuse an answer without this field.
pub(super) fn product(response: Response) -> Response {
    response.header("X-Elastic-Product", "Elasticsearch")
}

/// `{"error":{"root_cause":[{"type":…,"reason":…}],"type":…,"reason":…},"status":N}`.
pub(super) fn shape(refusal: &Refusal) -> Response {
    let kind = match refusal.status {
        401 | 403 => "security_exception",
        404 => "resource_not_found_exception",
        408 => "timeout_exception",
        413 => "content_too_long_exception",
        406 | 415 => "media_type_header_exception",
        503 => "unavailable_shards_exception",
        400..500 => ILLEGAL,
        _ => "exception",
    };
    let mut cause = Vec::new();
    write_error(&mut cause, kind, &refusal.sentence);
    let mut body = b"{\"error\":{\"root_cause\":[{".to_vec();
    body.extend_from_slice(&cause);
    body.extend_from_slice(b"}],");
    body.extend_from_slice(&cause);
    write_to(
        &mut body,
        format_args!("}},\"status\":{}}}", refusal.status),
    );
    product(Response::bare_json(refusal.status, body))
}

/// The members of an error: `"type":…,"reason":…`.
pub(super) fn write_error(out: &mut Vec<u8>, kind: &str, reason: &str) {
    out.extend_from_slice(b"\"type\":");
    write_string(out, kind);
    out.extend_from_slice(b",\"reason\":");
    write_string(out, reason);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_the_shape_of_the_protocol() {
        let response = shape(&Refusal::new(503, "a \"b\""));
        let body = std::str::from_utf8(&response.body).unwrap();
        let error = r#""type":"unavailable_shards_exception","reason":"a \"b\"""#;
        let expected =
            format!(r#"{{"error":{{"root_cause":[{{{error}}}],{error}}},"status":503}}"#);
        assert_eq!(body, expected);
        let product = ("X-Elastic-Product", "Elasticsearch".to_owned());
        assert_eq!(response.headers, [product]);
    }
}
