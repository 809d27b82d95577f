//! What JetStream is asked and what it answers, as JSON.

use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;
use serde::{Deserialize, Serialize};

use super::batch::Event;
use super::subject;
use crate::client::engine::EngineError;
use crate::client::nats::{header, Connection};
use crate::postgres::statement::hash;
use crate::text::escaped;

/// The last sequence is not the expected one, in two wordings.
const WRONG_LAST: [u32; 2] = [10_071, 10_164];
const NO_STREAM: u32 = 10_059;
const NO_MESSAGE: u32 = 10_037;
/// Atomic batches are off, are smaller than this one, or a message is larger than the stream takes.
const UNFIT: [u32; 3] = [10_174, 10_199, 10_054];

#[derive(Deserialize)]
struct ApiError {
    err_code: u32,
    #[serde(default)]
    description: String,
}

impl ApiError {
    fn sentence(&self) -> String {
        format!("{} ({})", escaped(&self.description), self.err_code)
    }
}

/// A stream to which events are published.
#[derive(Clone, Debug)]
pub(super) struct Target {
    name: String,
    /// The subjects below it are the stream's.
    pub prefix: String,
    /// Bytes of a message with its headers.
    pub max_bytes: usize,
    /// Of this stream, and not of another one that had or will have its name.
    pub store_id: String,
}

/// Of its state, what tells whether anything was removed.
#[derive(Deserialize)]
pub(super) struct State {
    first_seq: u64,
    #[serde(default)]
    num_deleted: u64,
}

impl State {
    pub(super) fn has_removed(&self) -> bool {
        self.first_seq > 1 || self.num_deleted > 0
    }
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    subjects: Vec<String>,
    retention: String,
    #[serde(default)]
    allow_atomic: bool,
    #[serde(default)]
    max_msg_size: i64,
    #[serde(default)]
    sealed: bool,
    #[serde(default)]
    no_ack: bool,
    subject_transform: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct StreamInfo {
    error: Option<ApiError>,
    config: Option<Config>,
    #[serde(default)]
    created: String,
    state: Option<State>,
}

fn parsed<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, EngineError> {
    serde_json::from_slice(body)
        .map_err(|error| EngineError::Lost(format!("its answer is unknown: {error}")))
}

/// Asks for a stream; `None` if there is none of this name.
///
/// # Errors
/// [`EngineError::Unfit`]: it cannot take events as it is.
pub(super) fn stream(
    connection: &mut Connection,
    name: &str,
) -> Result<Option<(Target, State)>, EngineError> {
    let answer = connection.request(&format!("$JS.API.STREAM.INFO.{name}"), b"")?;
    let info: StreamInfo = parsed(&answer.body)?;
    match (info.error, info.config, info.state) {
        (Some(error), _, _) if error.err_code == NO_STREAM => Ok(None),
        (Some(error), _, _) => Err(EngineError::Lost(error.sentence())),
        (None, Some(config), Some(state)) => {
            let id = hash(&[name.as_bytes(), info.created.as_bytes()]);
            let target = target(name, config, &id).map_err(EngineError::Unfit)?;
            Ok(Some((target, state)))
        }
        _ => Err(EngineError::Lost("its answer lacks the stream".to_owned())),
    }
}

fn target(name: &str, config: Config, id: &[u8]) -> Result<Target, String> {
    let wrong = |what: &str| Err(format!("the stream {what}"));
    if !config.allow_atomic {
        return wrong("does not take atomic batches: set its allow_atomic to true");
    }
    if config.retention != "limits" {
        // The position is in the stream, and would go with what has been consumed.
        return wrong("removes what was consumed; its retention must be limits");
    }
    if config.sealed || config.no_ack || config.subject_transform.is_some() {
        return wrong("is sealed, does not acknowledge, or changes subjects");
    }
    let Some(prefix) = subject::prefix(&config.subjects) else {
        return wrong("needs a subject of the form PREFIX.>, such as logs.>");
    };
    Ok(Target {
        name: name.to_owned(),
        prefix: prefix.to_owned(),
        max_bytes: usize::try_from(config.max_msg_size)
            .ok()
            .filter(|bytes| *bytes > 0)
            .unwrap_or(usize::MAX),
        store_id: id.iter().map(|byte| format!("{byte:02x}")).collect(),
    })
}

/// A message as the stream has it.
pub(super) struct Last {
    /// Its seq in the stream.
    pub seq: u64,
    pub life: i32,
    pub event: Event,
}

/// The last message under a subject, as the stream's leader knows it: other members may be behind.
pub(super) fn last_message(
    connection: &mut Connection,
    stream: &str,
    subjects: &str,
) -> Result<Option<Last>, EngineError> {
    #[derive(Serialize)]
    struct Question<'a> {
        last_by_subj: &'a str,
    }
    #[derive(Deserialize)]
    struct Answer {
        error: Option<ApiError>,
        message: Option<Found>,
    }
    #[derive(Deserialize)]
    struct Found {
        seq: u64,
        #[serde(default)]
        hdrs: String,
        #[serde(default)]
        data: String,
    }
    let question = serde_json::to_vec(&Question {
        last_by_subj: subjects,
    });
    let question = question.map_err(|error| EngineError::Lost(error.to_string()))?;
    let subject = format!("$JS.API.STREAM.MSG.GET.{stream}");
    let answer = connection.request(&subject, &question)?;
    let Answer { error, message } = parsed(&answer.body)?;
    let Found { seq, hdrs, data } = match (error, message) {
        (Some(error), _) if error.err_code == NO_MESSAGE => return Ok(None),
        (Some(error), _) => return Err(EngineError::Lost(error.sentence())),
        (None, Some(found)) => found,
        (None, None) => return Err(EngineError::Lost("its answer lacks a message".to_owned())),
    };
    let last = || {
        let headers = String::from_utf8(STANDARD.decode(hdrs).ok()?).ok()?;
        let event = Event::read(&STANDARD.decode(data).ok()?).ok()?;
        let number = |name| header(&headers, name)?.parse::<u64>().ok();
        let life = i32::try_from(number("Logagg-Life")?).ok()?;
        let is_ours = number("Logagg-Seq")? == event.seq;
        is_ours.then_some(Last { seq, life, event })
    };
    match last() {
        Some(last) => Ok(Some(last)),
        None => Err(EngineError::Unfit(format!(
            "its message {seq} under {subjects} is of somebody else, and so the position is not known"
        ))),
    }
}

/// Why a batch is not in the stream.
pub(super) enum Refusal {
    /// The last message is not the one that was named.
    Moved,
    Failed(EngineError),
}

impl Target {
    /// Reads the answer to the end of a batch: the seq of its last message in the stream.
    pub(super) fn confirmed(&self, body: &[u8], batch: &str, count: u64) -> Result<u64, Refusal> {
        #[derive(Deserialize)]
        struct Acknowledgement {
            error: Option<ApiError>,
            #[serde(default)]
            stream: String,
            #[serde(default)]
            seq: u64,
            #[serde(default)]
            batch: String,
            #[serde(default)]
            count: u64,
        }
        let answer: Acknowledgement = parsed(body).map_err(Refusal::Failed)?;
        let error = match answer.error {
            None if answer.batch == batch && answer.count == count => {
                // A subject can have been given to another stream.
                return match answer.stream == self.name {
                    true => Ok(answer.seq),
                    false => Err(Refusal::Failed(EngineError::Unfit(format!(
                        "another stream, {}, has its subjects",
                        escaped(&answer.stream)
                    )))),
                };
            }
            None => EngineError::Lost("it confirmed something else than the batch".to_owned()),
            Some(error) if WRONG_LAST.contains(&error.err_code) => return Err(Refusal::Moved),
            Some(error) if UNFIT.contains(&error.err_code) => EngineError::Unfit(error.sentence()),
            Some(error) => EngineError::Lost(error.sentence()),
        };
        Err(Refusal::Failed(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(changes: &str) -> Config {
        let text = format!(
            r#"{{"subjects":["logs.>"],"retention":"limits","allow_atomic":true{changes}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_stream_that_could_lose_the_position_is_refused() {
        let made = |changes| target("L", config(changes), &[0xab, 1]);
        let found = made("").unwrap();
        assert_eq!((&found.prefix[..], &found.store_id[..]), ("logs", "ab01"));
        assert_eq!(made(r#","max_msg_size":9"#).unwrap().max_bytes, 9);
        assert_eq!(made(r#","max_msg_size":-1"#).unwrap().max_bytes, usize::MAX);
        for wrong in [
            r#","sealed":true"#,
            r#","no_ack":true"#,
            r#","subject_transform":{"src":"a","dest":"b"}"#,
        ] {
            assert!(made(wrong).is_err(), "{wrong}");
        }
        let mut other = config("");
        other.retention = "workqueue".to_owned();
        assert!(target("L", other, &[]).unwrap_err().contains("limits"));
        let mut other = config("");
        other.allow_atomic = false;
        assert!(target("L", other, &[])
            .unwrap_err()
            .contains("allow_atomic"));
        let mut other = config("");
        other.subjects = vec!["logs.*".to_owned()];
        assert!(target("L", other, &[]).unwrap_err().contains("PREFIX.>"));
    }

    #[test]
    fn answers_to_a_batch_are_told_apart() {
        let target = target("L", config(""), &[]).unwrap();
        let read = |body: &str| target.confirmed(body.as_bytes(), "b", 2);
        let is_right = read(r#"{"stream":"L","seq":9,"batch":"b","count":2}"#);
        assert!(matches!(is_right, Ok(9)));
        for (code, is_final) in [(10_174, true), (10_176, false), (10_077, false)] {
            let body = format!(
                r#"{{"error":{{"code":400,"err_code":{code},"description":"x"}},"stream":"L","seq":0}}"#
            );
            let Err(Refusal::Failed(error)) = read(&body) else {
                panic!("{code}");
            };
            assert_eq!(matches!(error, EngineError::Unfit(_)), is_final, "{code}");
        }
        let stale = read(r#"{"error":{"err_code":10071},"stream":"L","seq":0}"#);
        assert!(matches!(stale, Err(Refusal::Moved)));
        for wrong in [
            r#"{"stream":"L","seq":9}"#,
            r#"{"stream":"L","seq":9,"batch":"b","count":1}"#,
            r#"{"stream":"M","seq":9,"batch":"b","count":2}"#,
            "x",
        ] {
            assert!(matches!(read(wrong), Err(Refusal::Failed(_))), "{wrong}");
        }
    }
}
