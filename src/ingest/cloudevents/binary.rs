//! The binary mode: attributes in the head of the request, data as its body. It becomes the event as it would be in
//! JSON.

use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;

use super::super::json;
use super::super::records::Records;
use super::attributes::{Attributes, Fault};
use crate::api::detail::{Detail, Details};
use crate::api::json::write_string;
use crate::http::{essence, Request};

/// What the head says.
pub(super) struct BinaryHead {
    /// The names without `ce-`, in lower case, and the decoded values, in order.
    attributes: Vec<(String, String)>,
    content_type: Option<String>,
}

impl BinaryHead {
    pub(super) fn read(request: &Request) -> Self {
        let mut attributes: Vec<(String, String)> = Vec::new();
        for (name, value) in request.fields() {
            let name = String::from_utf8_lossy(name).to_ascii_lowercase();
            let Some(name) = name.strip_prefix("ce-") else {
                continue;
            };
            if !attributes.iter().any(|(known, _)| known == name) {
                attributes.push((name.to_owned(), decode(value)));
            }
        }
        Self {
            attributes,
            content_type: request.header("content-type").map(str::to_owned),
        }
    }

    /// Adds the event with this body.
    ///
    /// # Errors
    /// All rules that are broken.
    pub(super) fn add(&self, body: &[u8], records: &mut Records) -> Result<(), Vec<Detail>> {
        let mut text = Vec::with_capacity(body.len() + 512);
        text.push(b'{');
        for (name, value) in &self.attributes {
            member(&mut text, name);
            write_string(&mut text, value);
        }
        if let Some(media_type) = &self.content_type {
            member(&mut text, "datacontenttype");
            write_string(&mut text, media_type);
        }
        self.write_data(body, &mut text)?;
        text.push(b'}');
        let text = String::from_utf8_lossy(&text);
        let of_fields = |faults: &[Fault]| faults.iter().map(Fault::detail_of_field).collect();
        let attributes = Attributes::read(&text).map_err(|faults| of_fields(&faults[..]))?;
        attributes
            .add(records, &text)
            .map_err(|fault| of_fields(&[fault]))
    }

    fn write_data(&self, body: &[u8], text: &mut Vec<u8>) -> Result<(), Vec<Detail>> {
        if body.is_empty() {
            return Ok(());
        }
        let data = std::str::from_utf8(body).ok();
        let json = data.filter(|data| json::check(data).is_ok());
        match (self.content_type.as_deref(), json, data) {
            (None, Some(json), _) => {
                member(text, "data");
                text.extend_from_slice(json.as_bytes());
            }
            (Some(media_type), json, _) if is_json(media_type) => {
                let Some(json) = json else {
                    let details = Details::body("body is not JSON, as its Content-Type says");
                    return Err(details.as_slice().to_vec());
                };
                member(text, "data");
                text.extend_from_slice(json.as_bytes());
            }
            (_, _, Some(data)) => {
                member(text, "data");
                write_string(text, data);
            }
            (_, _, None) => {
                member(text, "data_base64");
                write_string(text, &STANDARD.encode(body));
            }
        }
        Ok(())
    }
}

/// Begins a member of an object.
fn member(text: &mut Vec<u8>, name: &str) {
    if text.len() > 1 {
        text.push(b',');
    }
    write_string(text, name);
    text.push(b':');
}

fn is_json(media_type: &str) -> bool {
    let essence = essence(media_type).to_ascii_lowercase();
    matches!(&essence[..], "application/json" | "text/json") || essence.ends_with("+json")
}

/// What a field means (HTTP protocol binding §3.1.3.2): a quoted string is unquoted, then percent-escapes are decoded.
/// What is not UTF-8 becomes U+FFFD, and a `%` that begins no escape stays.
fn decode(value: &[u8]) -> String {
    let inner = value
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""));
    let mut unquoted = Vec::with_capacity(value.len());
    match inner {
        Some(inner) => {
            let mut bytes = inner.iter();
            while let Some(&byte) = bytes.next() {
                let escaped = (byte == b'\\').then(|| bytes.next()).flatten();
                unquoted.push(*escaped.unwrap_or(&byte));
            }
        }
        None => unquoted.extend_from_slice(value),
    }
    let digit = |at: usize| {
        let byte = *unquoted.get(at)?;
        char::from(byte).to_digit(16).map(|digit| digit as u8)
    };
    let mut decoded = Vec::with_capacity(unquoted.len());
    let mut at = 0;
    while let Some(&byte) = unquoted.get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(high << 4 | low);
                at += 3;
            }
            _ => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_decoded() {
        for (field, value) in [
            ("plain", "plain"),
            ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
            ("%e2%82%ac", "€"),
            ("100%", "100%"),
            ("%4", "%4"),
            ("%zz", "%zz"),
            ("%ff", "\u{fffd}"),
            ("%2541", "%41"),
            (r#""a \"b\" c%21""#, "a \"b\" c!"),
            ("\"", "\""),
        ] {
            assert_eq!(decode(field.as_bytes()), value, "{field}");
        }
    }
}
