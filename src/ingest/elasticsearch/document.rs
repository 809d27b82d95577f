//! A document: its time, its source, and how it becomes an event.

use std::borrow::Cow;

use crate::ingest::json;
use crate::ingest::record::Record;
use crate::ingest::records::Records;
use crate::ingest::time::{first_time, Time};

/// Makes an event of a document and returns its event id.
///
/// # Errors
/// Why it can be none. The caller rejects it.
pub(super) fn store<'r>(
    records: &'r mut Records,
    topic: Option<&str>,
    identity: Option<&str>,
    document: &[u8],
) -> Result<&'r str, String> {
    let text = std::str::from_utf8(document).map_err(|_| "the document is not UTF-8".to_owned())?;
    json::check(text).map_err(|error| format!("the document is not JSON: {error}"))?;
    let text = text.trim_matches([' ', '\t', '\r', '\n']);
    if !text.starts_with('{') {
        return Err("the document is not an object".to_owned());
    }
    let found = Found::of(text);
    let record = Record {
        topic: topic.map(Cow::Borrowed),
        source: found.source(),
        time: found.time(),
        identity: identity.map(Cow::Borrowed),
    };
    records.document(&record, text).map_err(str::to_owned)
}

/// The members of a document that say where and when it was made, found in one pass.
#[derive(Default)]
struct Found<'a> {
    times: [Option<&'a str>; 5],
    host_name: Option<&'a str>,
    host: Option<&'a str>,
    hostname: Option<&'a str>,
}

impl<'a> Found<'a> {
    fn of(text: &'a str) -> Self {
        let mut found = Self::default();
        for (key, value) in json::members(text) {
            let slot = match json::string(key).as_deref() {
                Some("@timestamp") => &mut found.times[0],
                Some("timestamp") => &mut found.times[1],
                Some("time") => &mut found.times[2],
                Some("ts") => &mut found.times[3],
                Some("date") => &mut found.times[4],
                Some("host.name") => &mut found.host_name,
                Some("host") => &mut found.host,
                Some("hostname") => &mut found.hostname,
                _ => continue,
            };
            slot.get_or_insert(value);
        }
        found
    }

    fn time(&self) -> Option<Time<'a>> {
        first_time(self.times.into_iter().flatten())
    }

    fn source(&self) -> Option<Cow<'a, str>> {
        let nested = self.host.and_then(|host| json::member(host, "name"));
        let names = [self.host_name, nested, self.host, self.hostname];
        let mut texts = names.into_iter().flatten().filter_map(json::string);
        texts.find(|text| !text.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_is_the_hosts_name() {
        for (document, source) in [
            (
                r#"{"host":{"name":"a"},"host.name":"b","hostname":"c"}"#,
                Some("b"),
            ),
            (r#"{"hostname":"c","host":{"ip":1,"name":"a"}}"#, Some("a")),
            (r#"{"hostname":"c","host":"a"}"#, Some("a")),
            (r#"{"hostname":"c","host":{"name":7}}"#, Some("c")),
            (r#"{"hostname":"c","host":""}"#, Some("c")),
            (r#"{"h\u006fst":"\u0061"}"#, Some("a")),
            (r#"{"hostname":7}"#, None),
            (r#"{"a":{"host":"a"}}"#, None),
        ] {
            assert_eq!(
                Found::of(document).source().as_deref(),
                source,
                "{document}"
            );
        }
    }

    #[test]
    fn the_time_is_the_first_that_is_one() {
        for (document, time) in [
            (r#"{"date":1,"time":2,"@timestamp":3}"#, Some("3")),
            (r#"{"date":1,"time":"x","@timestamp":null}"#, Some("1")),
            (r#"{"ts":0,"date":{}}"#, None),
            (r#"{"time":1,"time":2}"#, Some("1")),
        ] {
            let found = Found::of(document).time().map(|time| match time {
                Time::Text(text, _) => text,
                Time::Number(..) => unreachable!("documents have text"),
            });
            assert_eq!(found, time, "{document}");
        }
    }
}
