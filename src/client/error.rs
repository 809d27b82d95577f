//! Why a request failed, as one sentence for the person who started the program.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::interrupt::Stop;
use crate::text::escaped;

/// Faults that one sentence names.
const FAULTS_SHOWN: usize = 3;

/// Why there is nothing to show for a request.
#[derive(Debug)]
pub enum Error {
    /// It was asked to stop.
    Stopped(Stop),
    /// No answer came, or not all of it. Whether the request was carried out is not known.
    Lost(String),
    /// The server refused.
    Refused(Box<ErrorResponse>),
    /// The answer is not one of a server of this kind.
    Unexpected(String),
    /// The time for retries is up: the last failure, and how long it was tried.
    GaveUp(Box<Error>, Duration),
}

/// An answer whose status is not one of success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorResponse {
    pub status: u16,
    /// `Retry-After`, where it is a number of seconds (RFC 9110 §10.2.3).
    pub retry_after: Option<Duration>,
    pub body: Vec<u8>,
}

impl Error {
    /// Whether the same request may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Error::Lost(_) => true,
            // 408 and 429 (RFC 9110 §15.5.9, RFC 6585 §4), and what a server, or a proxy before it, reports about
            // itself.
            Error::Refused(refusal) => matches!(refusal.status, 408 | 429 | 502 | 503 | 504),
            Error::Stopped(_) | Error::Unexpected(_) | Error::GaveUp(..) => false,
        }
    }

    /// The status, where there is an answer that refuses.
    pub fn status(&self) -> Option<u16> {
        match self {
            Error::Refused(refusal) => Some(refusal.status),
            _ => None,
        }
    }

    /// What the server asks to wait before the next try.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Error::Refused(refusal) => refusal.retry_after,
            _ => None,
        }
    }
}

impl From<Stop> for Error {
    fn from(stop: Stop) -> Error {
        Error::Stopped(stop)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Stopped(Stop::Signal(number)) => write!(f, "stopped by signal {number}"),
            Error::Stopped(Stop::ReaderGone) => f.write_str("nobody reads standard output"),
            Error::Lost(sentence) | Error::Unexpected(sentence) => f.write_str(sentence),
            Error::Refused(refusal) => refusal.fmt(f),
            Error::GaveUp(last, time) => {
                write!(f, "{last}; gave up after {} s", time.as_secs())
            }
        }
    }
}

impl std::error::Error for Error {}

impl ErrorResponse {
    /// What the server says is wrong and what to do, without the status.
    pub fn detail(&self) -> String {
        #[derive(Deserialize)]
        struct Body {
            detail: Value,
        }
        let detail = serde_json::from_slice(&self.body).map(|body: Body| body.detail);
        match detail {
            Ok(Value::String(sentence)) => escaped(&sentence).into_owned(),
            Ok(Value::Array(_)) => {
                let faults = self.faults();
                let shown = faults.iter().take(FAULTS_SHOWN).map(Fault::to_string);
                let mut sentence = shown.collect::<Vec<_>>().join("; ");
                if faults.len() > FAULTS_SHOWN {
                    sentence += &format!("; and {} more", faults.len() - FAULTS_SHOWN);
                }
                sentence
            }
            _ => String::new(),
        }
    }

    /// What the server says is wrong, as a list.
    pub fn faults(&self) -> Vec<Fault> {
        #[derive(Deserialize)]
        struct Body {
            detail: Vec<Fault>,
        }
        let body = serde_json::from_slice(&self.body);
        body.map_or_else(|_| Vec::new(), |body: Body| body.detail)
    }
}

impl fmt::Display for ErrorResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let meaning = match self.status {
            401 => "the token is missing or unknown (LOGAGG_TOKEN, --token-file)",
            403 => "the token does not allow this",
            404 => "there is no such thing",
            408 => "the server waited too long for the request",
            413 => "the request is too large",
            422 => "the request breaks a rule",
            502..=504 => "the server cannot do it now",
            _ => "the server refuses",
        };
        write!(f, "{meaning} ({})", self.status)?;
        match self.detail() {
            detail if detail.is_empty() => Ok(()),
            detail => write!(f, ": {detail}"),
        }
    }
}

/// One entry of the list that a 422 brings, and that a partial publication has in `errors`.
#[derive(Debug, Deserialize)]
pub struct Fault {
    pub loc: Vec<Value>,
    pub msg: String,
}

impl Fault {
    /// The index of the event that it is about, in a sequence of events.
    pub fn index(&self) -> Option<u64> {
        self.loc.get(1).and_then(Value::as_u64)
    }

    /// The fault without the way to its event.
    pub fn of_event(&self) -> String {
        match self.loc.last().and_then(Value::as_str) {
            Some(member) if self.loc.len() > 1 && !self.msg.starts_with(member) => {
                format!("{}: {}", escaped(member), escaped(&self.msg))
            }
            _ => escaped(&self.msg).into_owned(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.loc.iter().enumerate() {
            let dot = if number == 0 { "" } else { "." };
            match step {
                Value::String(name) => write!(f, "{dot}{}", escaped(name))?,
                other => write!(f, "{dot}{other}")?,
            }
        }
        write!(f, ": {}", escaped(&self.msg))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, body: &str) -> ErrorResponse {
        ErrorResponse {
            status,
            retry_after: None,
            body: body.into(),
        }
    }

    #[test]
    fn a_sentence_of_the_server_is_shown() {
        let error = refusal(503, r#"{"detail":"The disk is full.\u001b[2J"}"#);
        assert_eq!(
            error.to_string(),
            "the server cannot do it now (503): The disk is full.\\u001b[2J"
        );
    }

    #[test]
    fn a_list_of_faults_is_shown_with_their_places() {
        let body = r#"{"detail":[
            {"loc":["body",3,"timestamp"],"msg":"must be a time","type":"value_error"},
            {"loc":["query","limit"],"msg":"too large","type":"value_error"}]}"#;
        assert_eq!(
            refusal(422, body).detail(),
            "body.3.timestamp: must be a time; query.limit: too large"
        );
    }

    #[test]
    fn an_answer_of_another_server_is_a_sentence_all_the_same() {
        assert_eq!(
            refusal(418, "<html>teapot").to_string(),
            "the server refuses (418)"
        );
    }

    #[test]
    fn what_may_succeed_later_is_told_from_what_will_not() {
        let is_transient = |status| Error::Refused(refusal(status, "").into()).is_transient();
        assert!([408, 429, 502, 503, 504].into_iter().all(is_transient));
        assert!(![400, 401, 403, 404, 413, 415, 422, 500, 501]
            .into_iter()
            .any(is_transient));
        assert!(Error::Lost(String::new()).is_transient());
    }
}
