//! One message: a JSON object, perhaps compressed.

use std::borrow::Cow;

use crate::http::encoding::Coding;
use crate::ingest::json;
use crate::ingest::record::Record;
use crate::ingest::records::Records;
use crate::ingest::time::{plain_scalar, Time, Unit};

/// How a message is compressed: its first bytes say so, and no JSON text begins like that.
pub(super) fn coding(message: &[u8]) -> Coding {
    match *message {
        [0x1f, 0x8b, ..] => Coding::Gzip,
        // RFC 1950 §2.2: the method is deflate, and the first two bytes are a multiple of 31.
        [method, flags, ..]
            if method & 0x0f == 8 && u16::from_be_bytes([method, flags]).is_multiple_of(31) =>
        {
            Coding::Deflate
        }
        _ => Coding::Identity,
    }
}

/// Makes a record of a message, or rejects it.
pub(super) fn record(message: &[u8], records: &mut Records) {
    // It is not known which messages a sender would send again together.
    records.begin_request();
    let text = String::from_utf8_lossy(message);
    if let Err(reason) = try_record(&text, records) {
        records.reject(reason.into_owned(), message);
    }
}

fn try_record(text: &str, records: &mut Records) -> Result<(), Cow<'static, str>> {
    let is_json = json::check(text);
    is_json.map_err(|error| format!("the message is not JSON: {error}"))?;
    let names = ["_tag", "host", "timestamp", "short_message", "message"];
    let [tag, host, time, short, long] = json::pick(text, names);
    // Graylog takes `message` in its place.
    if short.or(long).and_then(json::string).is_none() {
        return Err("a message must be an object with a string short_message".into());
    }
    let record = Record {
        topic: tag.and_then(json::string),
        source: host.and_then(json::string),
        time: time
            .and_then(plain_scalar)
            .map(|text| Time::Text(text, Unit::Seconds)),
        identity: None,
    };
    records.document(&record, text)?;
    Ok(())
}
