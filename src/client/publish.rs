//! Publishing a batch of events exactly once: it is sent again until it is answered, and the server counts as
//! duplicates what it has stored already.

use serde::Deserialize;

use super::error::{Error, Fault};
use super::http::Client;

/// Events as they are sent: one a line.
#[derive(Debug, Default)]
pub struct Batch {
    body: Vec<u8>,
    /// Where each event ends, its line end included.
    ends: Vec<usize>,
}

impl Batch {
    /// Adds an event: one JSON object without a line end in it.
    pub fn push(&mut self, event: &[u8]) {
        self.body.extend_from_slice(event);
        self.body.push(b'\n');
        self.ends.push(self.body.len());
    }

    /// Events.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes.
    pub fn size(&self) -> usize {
        self.body.len()
    }

    pub fn clear(&mut self) {
        self.body.clear();
        self.ends.clear();
    }

    /// The lines of the events from `first` up to, not including, `end`.
    fn lines(&self, first: usize, end: usize) -> &[u8] {
        let start = first.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.body[start..self.ends[end - 1]]
    }
}

/// Where batches go.
const TARGET: &str = "/publish?results=true&partial=true";
const CONTENT_TYPE: &str = "application/x-ndjson";

/// What became of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventResult {
    Accepted,
    /// It is stored already, in this form.
    Duplicate,
    /// An event of its key is stored already, in another form, and stays.
    Conflict,
    /// It is not stored. Why not, for a person.
    Rejected(String),
}

/// The answer, as far as it matters here.
#[derive(Deserialize)]
struct PublishResponse<'a> {
    #[serde(borrow)]
    results: Vec<Entry<'a>>,
    errors: Vec<Fault>,
}

#[derive(Deserialize)]
struct Entry<'a> {
    status: &'a str,
}

/// Publishes a batch and reports the outcome of each event, by its number in the batch and in order. An
/// event that breaks a rule does not keep the others from being stored. Events of one batch keep their
/// order.
///
/// # Errors
/// The failure that ended the retries. The outcomes that were reported hold; of the other events each may be
/// stored or not, and publishing them again stores them once.
pub fn publish(
    client: &Client,
    batch: &Batch,
    report: &mut dyn FnMut(usize, EventResult),
) -> Result<(), Error> {
    if batch.is_empty() {
        return Ok(());
    }
    // What is to be sent, the first part last.
    let mut parts = vec![(0, batch.len())];
    while let Some((first, end)) = parts.pop() {
        let count = end - first;
        match client.persist(|| send(client, batch.lines(first, end), count)) {
            Ok(outcomes) => {
                for (index, outcome) in outcomes.into_iter().enumerate() {
                    report(first + index, outcome);
                }
            }
            // Too much for one request, or one event that refuses the whole: it is sent in halves.
            Err(Error::Refused(refusal)) if matches!(refusal.status, 413 | 422) => {
                if count == 1 {
                    let reason = match (refusal.status, refusal.detail()) {
                        (413, _) => "too large for the server".to_owned(),
                        (_, detail) if detail.is_empty() => refusal.to_string(),
                        (_, detail) => detail,
                    };
                    report(first, EventResult::Rejected(reason));
                } else {
                    let middle = first + count / 2;
                    parts.push((middle, end));
                    parts.push((first, middle));
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Sends a batch once and loses the answer on purpose. Its events may be stored or not, and publishing them
/// again stores them once.
///
/// # Errors
/// It was not sent.
pub fn publish_unanswered(client: &Client, batch: &Batch) -> Result<(), Error> {
    client.post_unanswered(TARGET, CONTENT_TYPE, &batch.body)
}

fn send(client: &Client, lines: &[u8], count: usize) -> Result<Vec<EventResult>, Error> {
    let body = client.post(TARGET, CONTENT_TYPE, lines)?;
    outcomes(&body, count).map_err(|reason| client.unexpected(&reason))
}

/// Reads the answer to `count` events.
fn outcomes(body: &[u8], count: usize) -> Result<Vec<EventResult>, String> {
    let answer: PublishResponse =
        serde_json::from_slice(body).map_err(|error| error.to_string())?;
    if answer.results.len() != count {
        let results = answer.results.len();
        return Err(format!("{results} results for {count} events"));
    }
    let mut faults = answer.errors.iter().peekable();
    let mut outcome = |(index, entry): (usize, &Entry)| match entry.status {
        "accepted" => Ok(EventResult::Accepted),
        "duplicate" => Ok(EventResult::Duplicate),
        "conflict" => Ok(EventResult::Conflict),
        "rejected" => {
            let mut reasons = Vec::new();
            let is_own = |fault: &&Fault| count == 1 || fault.index() == u64::try_from(index).ok();
            while let Some(fault) = faults.next_if(is_own) {
                reasons.push(fault.of_event());
            }
            // The answer names the first hundred faults only.
            if reasons.is_empty() {
                reasons.push("it breaks a rule".to_owned());
            }
            Ok(EventResult::Rejected(reasons.join("; ")))
        }
        other => Err(format!("an event is {other:?}")),
    };
    answer
        .results
        .iter()
        .enumerate()
        .map(&mut outcome)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_knows_its_parts() {
        let mut batch = Batch::default();
        for event in ["{}", "{\"a\":1}", "{ }"] {
            batch.push(event.as_bytes());
        }
        assert_eq!((batch.len(), batch.size()), (3, 15));
        assert_eq!(batch.lines(0, 1), b"{}\n");
        assert_eq!(batch.lines(1, 3), b"{\"a\":1}\n{ }\n");
    }

    #[test]
    fn outcomes_come_with_the_faults_of_their_own_event() {
        let body = br#"{"received":2,"accepted":1,"duplicates":1,"message":"","rejected":2,
            "errors":[{"loc":["body",1,"topic"],"msg":"field required","type":"missing"},
                {"loc":["body",1,"source"],"msg":"source must not be empty","type":"value_error"}],
            "results":[{"status":"accepted","seq":4},{"status":"rejected"},
                {"status":"conflict","seq":1},{"status":"rejected"},{"status":"duplicate","seq":1}]}"#;
        let rejected = |reason: &str| EventResult::Rejected(reason.to_owned());
        assert_eq!(
            outcomes(body, 5).unwrap(),
            [
                EventResult::Accepted,
                rejected("topic: field required; source must not be empty"),
                EventResult::Conflict,
                rejected("it breaks a rule"),
                EventResult::Duplicate,
            ]
        );
        assert!(outcomes(body, 4).is_err());
        assert!(outcomes(b"{}", 0).is_err());
    }

    #[test]
    fn the_faults_of_a_single_event_have_no_index() {
        let body = br#"{"errors":[{"loc":["body","payload"],"msg":"must be an object","type":"x"}],
            "results":[{"status":"rejected"}]}"#;
        let expected = EventResult::Rejected("payload: must be an object".to_owned());
        assert_eq!(outcomes(body, 1).unwrap(), [expected]);
    }
}
