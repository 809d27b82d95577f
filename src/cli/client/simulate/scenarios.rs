//! The five scenarios of a publisher that delivers at least once, and what the server must answer to each.

use std::io::Write;

use serde::Deserialize;

use super::event::{Event, Run};
use super::expected::Expected;
use crate::client::{
    percent_encoded, publish, publish_unanswered, Batch, Client, Error, EventResult, StoredEvent,
};

/// Events in one of their requests at most.
pub(super) const MAX_EVENTS: u64 = 10;

/// The answer to a publication.
#[derive(Deserialize)]
struct PublishResponse {
    accepted: u64,
    duplicates: u64,
    results: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    status: String,
    seq: Option<u64>,
}

/// How events become a body.
#[derive(Clone, Copy)]
enum Form {
    One,
    Array,
    Object,
}

/// What is printed about a scenario.
#[derive(Default)]
struct ScenarioReport {
    sent: String,
    /// Accepted, duplicates, and of these conflicts.
    expected: [u64; 3],
    answered: [u64; 3],
    /// What else is not as it should be.
    faults: Vec<String>,
}

/// The scenarios in their order, and what they leave for each other.
pub(super) struct Scenarios<'a> {
    client: &'a Client,
    run: &'a Run,
    expected: &'a mut Expected,
}

type Play<'a> = fn(&mut Scenarios<'a>) -> Result<ScenarioReport, Error>;

/// Runs all scenarios, reports each on `out`, and counts those that differ.
///
/// # Errors
/// The failure that ended the retries.
pub(super) fn play(
    client: &Client,
    run: &Run,
    expected: &mut Expected,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let mut scenarios = Scenarios {
        client,
        run,
        expected,
    };
    let plays: [(&str, Play); 6] = [
        ("A single event", Scenarios::single),
        ("The same event again, three times", Scenarios::again),
        ("A batch of unique events", Scenarios::batch),
        (
            "A batch with duplicates, of each other and of stored events",
            Scenarios::mixed,
        ),
        (
            "Several topics and sources, each first answer lost, sent again",
            Scenarios::retried,
        ),
        (
            "In addition: the same key with another content, a conflict",
            Scenarios::conflict,
        ),
    ];
    for (number, (title, play)) in plays.into_iter().enumerate() {
        let retries = client.retries();
        let report = play(&mut scenarios)?;
        let was_retried = client.retries() > retries;
        let faults = report.faults(was_retried);
        scenarios.expected.add_scenario(faults.is_empty());
        // If nobody reads it, the exit code still says it.
        let _ = write!(out, "{}", report.text(number + 1, title, &faults));
    }
    Ok(())
}

impl ScenarioReport {
    /// What differs. If an answer was lost that was not to be, what was accepted may have been counted in it, and
    /// counts as duplicates in the next.
    fn faults(&self, was_retried: bool) -> Vec<String> {
        let [accepted, duplicates, conflicts] = self.expected;
        let total = |counts: [u64; 3]| counts[0] + counts[1];
        let is_right = match was_retried {
            true => total(self.answered) == total(self.expected),
            false => self.answered == self.expected,
        };
        let mut faults = Vec::new();
        if !is_right {
            faults.push(format!(
                "expected accepted {accepted}, duplicates {duplicates}, conflicts {conflicts}"
            ));
        }
        faults.extend(self.faults.iter().cloned());
        faults
    }

    fn text(&self, number: usize, title: &str, faults: &[String]) -> String {
        let [accepted, duplicates, conflicts] = self.answered;
        let mut text = format!("{number}. {title}\n   sent: {}\n", self.sent);
        text += &format!("   answered: accepted {accepted}, duplicates {duplicates}");
        if conflicts > 0 {
            text += &format!(" (with another content: {conflicts})");
        }
        match faults {
            [] => text + "\n   OK\n",
            faults => text + &format!("\n   DIFFERS: {}\n", faults.join("; ")),
        }
    }

    fn add(&mut self, answer: &PublishResponse) {
        let conflicts = answer
            .results
            .iter()
            .filter(|entry| entry.status == "conflict");
        self.answered[0] += answer.accepted;
        self.answered[1] += answer.duplicates;
        self.answered[2] += conflicts.count() as u64;
    }
}

impl Scenarios<'_> {
    fn first(&self) -> Event {
        let payload = r#"{"user":"user-4711","success":true}"#;
        self.run
            .event("user.login", "evt-1", "auth-service", payload)
    }

    /// The events of a topic with numbers of their own.
    fn numbered(&self, topic: &str, source: &str, numbers: std::ops::Range<u64>) -> Vec<Event> {
        let event = |number| {
            let payload = format!(r#"{{"number":{number},"amount":0.10}}"#);
            self.run
                .event(topic, &format!("evt-{number}"), source, &payload)
        };
        numbers.map(event).collect()
    }

    fn single(&mut self) -> Result<ScenarioReport, Error> {
        let event = self.first();
        let mut report = ScenarioReport {
            sent: "1 event".to_owned(),
            expected: [1, 0, 0],
            ..ScenarioReport::default()
        };
        report.add(&self.send(Form::One, std::slice::from_ref(&event))?);
        self.look_up(&event, &mut report)?;
        Ok(report)
    }

    fn again(&mut self) -> Result<ScenarioReport, Error> {
        let event = self.first();
        let mut report = ScenarioReport {
            sent: "3 events in 3 requests".to_owned(),
            expected: [0, 3, 0],
            ..ScenarioReport::default()
        };
        let mut seqs = Vec::new();
        for _ in 0..3 {
            let answer = self.send(Form::One, std::slice::from_ref(&event))?;
            report.add(&answer);
            seqs.extend(answer.results.iter().map(|entry| entry.seq));
        }
        seqs.dedup();
        if seqs.len() != 1 {
            report
                .faults
                .push("the answers do not all give the seq of the stored event".to_owned());
        }
        Ok(report)
    }

    fn batch(&mut self) -> Result<ScenarioReport, Error> {
        let events = self.numbered("order.created", "order-service", 0..10);
        let mut report = ScenarioReport {
            sent: "10 events in 1 request".to_owned(),
            expected: [10, 0, 0],
            ..ScenarioReport::default()
        };
        let answer = self.send(Form::Array, &events)?;
        report.add(&answer);
        let seqs: Vec<_> = answer.results.iter().map(|entry| entry.seq).collect();
        if !seqs.is_sorted_by(|one, next| one < next) {
            report
                .faults
                .push("the events did not keep their order".to_owned());
        }
        Ok(report)
    }

    fn mixed(&mut self) -> Result<ScenarioReport, Error> {
        let new = self.numbered("order.created", "order-service", 10..14);
        let stored = self.numbered("order.created", "order-service", 0..3);
        let events = [&new[..], &new[..3], &stored].concat();
        let mut report = ScenarioReport {
            sent: "10 events in 1 request: 4 new ones, 3 of these again, 3 stored ones".to_owned(),
            expected: [4, 6, 0],
            ..ScenarioReport::default()
        };
        report.add(&self.send(Form::Object, &events)?);
        Ok(report)
    }

    fn retried(&mut self) -> Result<ScenarioReport, Error> {
        const TOPICS: [(&str, &str); 4] = [
            ("user.logout", "auth-service"),
            ("payment.processed", "payment-service"),
            ("order.shipped", "warehouse"),
            ("order.shipped.mail", "mailer"),
        ];
        let mut report = ScenarioReport {
            sent: "12 events of 4 topics in 4 requests, each sent twice".to_owned(),
            ..ScenarioReport::default()
        };
        for (topic, source) in TOPICS {
            // The same ids everywhere: topics are independent.
            let events = self.numbered(topic, source, 0..3);
            let mut batch = Batch::default();
            for event in &events {
                batch.push(event.json().as_bytes());
            }
            match publish_unanswered(self.client, &batch) {
                Ok(()) => self.expected.add_lost(batch.len() as u64),
                Err(error) if error.is_transient() => {}
                Err(error) => return Err(error),
            }
            let mut outcomes = Vec::new();
            publish(self.client, &batch, &mut |_, outcome| {
                outcomes.push(outcome);
            })?;
            for (event, outcome) in events.iter().zip(&outcomes) {
                self.expected.add_sent(event);
                let at = match outcome {
                    EventResult::Accepted => Some(0),
                    EventResult::Duplicate | EventResult::Conflict => Some(1),
                    EventResult::Rejected(_) => None,
                };
                if let Some(at) = at {
                    report.answered[at] += 1;
                }
                report.answered[2] += u64::from(*outcome == EventResult::Conflict);
            }
            self.expected.add_outcomes(&outcomes);
            let pattern = percent_encoded(&events[0].topic);
            let count = self.count(&format!("/events?topic={pattern}"))?;
            if count != events.len() as u64 {
                let topic = &events[0].topic;
                report
                    .faults
                    .push(format!("/events has {count} events of {topic}, not 3"));
            }
        }
        // What the lost answers said is not known, only the sum.
        let [accepted, ..] = report.answered;
        report.expected = [accepted, 12_u64.saturating_sub(accepted), 0];
        Ok(report)
    }

    fn conflict(&mut self) -> Result<ScenarioReport, Error> {
        let first = self.first();
        let other = Event {
            payload: r#"{"user":"somebody else"}"#.to_owned(),
            ..first.clone()
        };
        let mut report = ScenarioReport {
            sent: "1 event with the key of the first and another payload".to_owned(),
            expected: [0, 1, 1],
            ..ScenarioReport::default()
        };
        let answer = self.ask(Form::One, std::slice::from_ref(&other))?;
        report.add(&answer);
        self.look_up(&first, &mut report)?;
        Ok(report)
    }

    /// Publishes events that are to be stored.
    fn send(&mut self, form: Form, events: &[Event]) -> Result<PublishResponse, Error> {
        for event in events {
            self.expected.add_sent(event);
        }
        self.ask(form, events)
    }

    fn ask(&mut self, form: Form, events: &[Event]) -> Result<PublishResponse, Error> {
        let texts: Vec<String> = events.iter().map(Event::json).collect();
        let body = match form {
            Form::One => texts.concat(),
            Form::Array => format!("[{}]", texts.join(",")),
            Form::Object => format!("{{\"events\":[{}]}}", texts.join(",")),
        };
        let post = || {
            let target = "/publish?results=true";
            let answer = self
                .client
                .post(target, "application/json", body.as_bytes())?;
            self.client.read_json(&answer)
        };
        let answer: PublishResponse = self.client.persist(post)?;
        let outcome = |entry: &Entry| match &entry.status[..] {
            "accepted" => EventResult::Accepted,
            "conflict" => EventResult::Conflict,
            "duplicate" => EventResult::Duplicate,
            other => EventResult::Rejected(other.to_owned()),
        };
        let outcomes: Vec<EventResult> = answer.results.iter().map(outcome).collect();
        self.expected.add_outcomes(&outcomes);
        Ok(answer)
    }

    /// Checks that the event can be read by its key, as it was sent.
    fn look_up(&self, event: &Event, report: &mut ScenarioReport) -> Result<(), Error> {
        let topic = percent_encoded(&event.topic);
        let target = format!("/events/{topic}/{}", percent_encoded(&event.event_id));
        let is_there = match self.client.persist(|| self.client.get(&target)) {
            Ok(body) => {
                let stored: StoredEvent = self.client.read_json(&body)?;
                event.is_stored_as(&stored)
            }
            Err(error) if error.status() == Some(404) => false,
            Err(error) => return Err(error),
        };
        if !is_there {
            report.faults.push(format!(
                "GET {target} does not return it as it was first sent"
            ));
        }
        Ok(())
    }

    fn count(&self, target: &str) -> Result<u64, Error> {
        #[derive(Deserialize)]
        struct Page {
            count: u64,
        }
        let page: Page = self.client.persist(|| self.client.json(target))?;
        Ok(page.count)
    }
}
