//! A body of Splunk's HTTP Event Collector: where each of its values begins and ends, against `serde_json`.
//!
//! The input is a body.

use logagg::ingest::hec::Values;
use serde_json::value::RawValue;
use serde_json::Deserializer;

pub fn check(body: &[u8]) {
    let checked = Values::check(body).map_err(|malformed| malformed.number);
    // Of a body that is refused those values can be told apart that are before the fault.
    let count = checked.unwrap_or_else(|number| number);
    let found: Vec<&[u8]> = Values::of(body).take(count).collect();
    assert_eq!(found.len(), count);
    let text = String::from_utf8_lossy(body);
    let texts = found
        .iter()
        .map(|value| String::from_utf8_lossy(value).into_owned());
    let texts: Vec<String> = texts.collect();
    match model(&text) {
        Ok(expected) => assert_eq!((checked, texts), (Ok(expected.len()), expected)),
        Err(before) => {
            assert!(checked.is_err(), "it is refused");
            assert_eq!(texts.get(..before.len()), Some(&before[..]));
        }
    }
}

/// All values; or those before the top-level value that is wrong.
fn model(text: &str) -> Result<Vec<String>, Vec<String>> {
    let mut stream = Deserializer::from_str(text).into_iter::<Box<RawValue>>();
    let mut found = Vec::new();
    while let Some(value) = stream.next() {
        let Ok(value) = value else {
            return Err(found);
        };
        if value.get().starts_with('[') {
            let elements: Vec<Box<RawValue>> = serde_json::from_str(value.get()).unwrap();
            found.extend(elements.iter().map(|element| element.get().to_owned()));
            continue;
        }
        // A number or a word has to be followed by something that cannot be a part of it; `serde_json` lets other
        // values follow at once.
        let is_closed = value.get().starts_with(['{', '"']);
        let rest = &text[stream.byte_offset()..];
        if !is_closed && rest.starts_with(|next: char| !" \t\r\n,]}".contains(next)) {
            return Err(found);
        }
        found.push(value.get().to_owned());
    }
    Ok(found)
}
