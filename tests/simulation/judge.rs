//! Whether an answer is the one that the request must get, given what has been stored.

use serde::Deserialize;
use serde_json::value::RawValue;

use logagg::clock::rfc3339;

use crate::answer::Answer;
use crate::client::Asked;
use crate::database::Row;
use crate::request::{wants_topic, Item, Page, Publish, Stays, Wanted};
use crate::world::World;

/// An event as it is shown.
#[derive(Deserialize)]
pub struct Shown<'a> {
    pub seq: u64,
    pub topic: String,
    event_id: String,
    timestamp: String,
    source: String,
    #[serde(borrow)]
    payload: &'a RawValue,
    processed_at: String,
}

#[derive(Deserialize)]
struct ShownPage<'a> {
    topic: Option<String>,
    count: usize,
    #[serde(borrow)]
    events: Vec<Shown<'a>>,
    next: Option<String>,
    /// How far a search has come.
    through: Option<u64>,
}

impl Shown<'_> {
    /// Whether this is how the row has to be shown.
    pub fn is(&self, row: &Row) -> bool {
        let event = &row.event;
        self.seq == row.seq
            && self.topic == event.topic
            && self.event_id == event.event_id
            && self.timestamp == event.timestamp
            && self.source == event.source
            && self.payload.get() == event.payload
            && self.processed_at == rfc3339(row.processed_at)
    }
}

impl Page {
    fn wants(&self, row: &Row) -> bool {
        wants_topic(&self.topics, &row.event.topic)
            && self
                .version
                .is_none_or(|version| row.event.version == version)
            && self.after.is_none_or(|after| row.seq > after)
            && self.before.is_none_or(|before| row.seq < before)
    }
}

impl World {
    /// Looks at an answer to the request whose turn it is.
    pub fn judge(&mut self, id: usize, answer: &Answer) {
        // What it shows may have been committed in this very turn.
        self.observe();
        let index = self.links[id].answered;
        self.trace.note("is answered", id, u64::from(answer.status));
        let closes = answer.closes();
        // What was refused half may have become whole while its answer waited.
        let is_whole = self.links[id].asked[index].complete_in.is_some();
        if !is_whole || answer.status == 408 {
            self.judge_early(id, index, answer);
        } else {
            self.judge_complete(id, index, answer);
        }
        let link = &mut self.links[id];
        let asked = &mut link.asked[index];
        asked.status = Some(answer.status);
        link.answered += 1;
        link.says_close = closes;
    }

    /// The request was not complete when it was answered.
    fn judge_early(&mut self, id: usize, index: usize, answer: &Answer) {
        let link = &self.links[id];
        let asked = &link.asked[index];
        assert!(
            asked.touched_at.is_some(),
            "{id} gets an answer to a request that was not read"
        );
        if let (true, Wanted::Status(status)) = (asked.is_early, &asked.wanted) {
            if answer.status == *status {
                self.check_stays(id, index, answer);
                self.mark_status(answer.status);
                return;
            }
        }
        match answer.status {
            408 => self.check_timeout(id, index),
            400 if link.knows_end => self.trace.mark("a request cut short"),
            503 if link.has_lacked_memory => self.trace.mark("503 for lack of memory"),
            503 if self.stopped.is_some() => self.trace.mark("503 while stopping"),
            status => panic!("{id} gets {status} to half of request {index}"),
        }
        assert!(answer.closes(), "what follows cannot be told apart");
    }

    fn judge_complete(&mut self, id: usize, index: usize, answer: &Answer) {
        if answer.status != 503 {
            self.check_stays(id, index, answer);
        }
        let is_bare = self.links[id].asked[index].is_head;
        if answer.status == 503 {
            return self.judge_503(id, index, answer);
        }
        let asked = &self.links[id].asked[index];
        match &asked.wanted {
            Wanted::Status(status) => {
                assert_eq!(answer.status, *status, "{id}'s request {index}");
                self.mark_status(answer.status);
            }
            Wanted::Publish(publish) => {
                let publish = publish.clone();
                assert_eq!(answer.status, 200, "{id}'s request {index}");
                self.judge_outcomes(id, index, &publish, answer);
            }
            Wanted::Event { topic, event_id } => {
                let key = (topic.clone(), event_id.clone());
                self.judge_event(asked, self.database.find_key(&key), answer);
            }
            Wanted::Page(page) if self.is_refused(asked, page, answer) => {}
            _ if is_bare => assert_eq!(answer.status, 200),
            Wanted::Page(page) => self.judge_page(asked, page, answer),
            Wanted::Stream(_) => panic!("{} in place of a stream", answer.status),
            Wanted::Stats => self.judge_stats(asked, answer),
            Wanted::Health => assert_eq!(answer.json()["status"], "healthy"),
            Wanted::Topics => {
                let shown = answer.json();
                let topics = shown["topics"].as_array().expect("a list");
                let counted =
                    |topic: &serde_json::Value| topic["events"].as_u64().expect("a count");
                let events: u64 = topics.iter().map(counted).sum();
                assert_eq!(shown["count"], topics.len());
                self.check_between(asked, events, "events of all topics");
            }
        }
    }

    /// Whether the connection closes after the answer when it should and only then.
    fn check_stays(&self, id: usize, index: usize, answer: &Answer) {
        let asked = &self.links[id].asked[index];
        let must = asked.stays == Stays::Closes;
        let may = must || self.stopped.is_some();
        // It is the end of a stream that closes in HTTP/1.0, and what is refused is none.
        let is_no_stream = asked.is_old && matches!(asked.wanted, Wanted::Stream(_));
        assert!(
            answer.closes() == must || answer.closes() && may || is_no_stream,
            "{id}'s request {index} is answered {} and the connection closes: {}",
            answer.status,
            answer.closes()
        );
    }

    fn mark_status(&mut self, status: u16) {
        match status {
            413 => self.trace.mark("413"),
            400 | 414 | 417 | 431 | 501 | 505 => self.trace.mark("a refused framing"),
            _ => {}
        }
    }

    fn judge_503(&mut self, id: usize, index: usize, answer: &Answer) {
        let link = &self.links[id];
        let asked = &link.asked[index];
        let complete = asked.complete_in.expect("it is complete");
        if link.has_lacked_memory && answer.closes() {
            return self.trace.mark("503 for lack of memory");
        }
        if self.stopped.is_some() && answer.closes() {
            return self.trace.mark("503 while stopping");
        }
        self.check_stays(id, index, answer);
        let asked = &self.links[id].asked[index];
        let is_health = matches!(asked.wanted, Wanted::Health);
        let has_had_trouble = if is_health {
            self.trouble.was_felt_in(complete)
        } else {
            self.trouble.was_there_in(complete)
        };
        assert!(
            has_had_trouble,
            "{id}'s request {index} is refused without trouble"
        );
        if matches!(asked.wanted, Wanted::Publish(_)) {
            assert!(answer.field("Retry-After").is_some());
            self.trace.tally.failed_commits += u64::from(self.trouble.count_refusal(self.turn));
        }
        assert!(
            !matches!(asked.wanted, Wanted::Status(_)),
            "what is stored does not matter to it"
        );
        self.trace.mark("503 by the database");
    }

    fn judge_outcomes(&mut self, id: usize, index: usize, publish: &Publish, answer: &Answer) {
        let shown = answer.json();
        let number = |name: &str| {
            shown[name]
                .as_u64()
                .unwrap_or_else(|| panic!("{name} in {shown}"))
        };
        let received = publish.events().count() as u64;
        let (accepted, duplicates) = (number("accepted"), number("duplicates"));
        assert_eq!(number("received"), received, "{shown}");
        assert_eq!(accepted + duplicates, received, "{shown}");
        self.database.answered += received;
        if publish.partial {
            let rejected = publish.items.len() as u64 - received;
            assert_eq!(number("rejected"), rejected, "{shown}");
            if rejected > 0 {
                self.trace.mark("a partial answer");
            }
        }
        // What it can have stored is what has its content where it brought the key first.
        let (mut least, mut most) = (0, 0);
        let mut keys = std::collections::HashSet::new();
        for event in publish.events() {
            let row = self.database.find(event).expect("the promise was checked");
            let is_first = keys.insert(event.key());
            let is_own = row.by == Some((id, index));
            least += u64::from(is_first && is_own);
            let is_foreign = row.by.is_some() && !is_own;
            most += u64::from(is_first && !is_foreign && row.event.has_content_of(event));
        }
        assert!(
            (least..=most).contains(&accepted),
            "{id}'s request {index} has stored {least} to {most}: {shown}"
        );
        if publish.results {
            let results = shown["results"].as_array().expect("results were asked for");
            assert_eq!(results.len(), publish.items.len());
            for (item, result) in publish.items.iter().zip(results) {
                self.judge_result(item, result);
            }
        }
    }

    fn judge_result(&mut self, item: &Item, result: &serde_json::Value) {
        let Item::Good(event) = item else {
            assert_eq!(result["status"], "rejected");
            return;
        };
        let row = self.database.find(event).expect("the promise was checked");
        assert_eq!(result["seq"], row.seq, "{:?}", event.key());
        let is_same = row.event.has_content_of(event);
        match result["status"].as_str() {
            Some("accepted") => {
                assert!(is_same, "other content was stored");
                self.database.claim(event);
            }
            Some("duplicate") => assert!(is_same, "a conflict was told as a duplicate"),
            Some("conflict") => {
                assert!(!is_same, "a duplicate was told as a conflict");
                self.trace.mark("a conflict");
            }
            status => panic!("the result {status:?}"),
        }
    }

    /// What was there when the request came must be seen, what came while it waited may be.
    fn judge_event(&self, asked: &Asked, row: Option<&Row>, answer: &Answer) {
        let was_there = row.is_some_and(|row| asked.complete_in > Some(row.turn));
        match (answer.status, row) {
            (404, _) => assert!(!was_there, "an event that is stored was not found"),
            (200, Some(row)) => {
                if !asked.is_head {
                    let shown: Shown = serde_json::from_slice(&answer.body).expect("an event");
                    assert!(shown.is(row), "{}", answer.body.escape_ascii());
                }
            }
            (status, _) => panic!("{status} to a look-up"),
        }
    }

    /// Whether a page was refused since it begins ahead of the newest event. That had to be so at some
    /// moment since the request came.
    fn is_refused(&self, asked: &Asked, page: &Page, answer: &Answer) -> bool {
        let Some(after) = page.after else {
            return false;
        };
        if answer.status == 422 {
            let rows = &self.database.rows;
            let known = rows.partition_point(|row| asked.complete_in > Some(row.turn));
            let newest = known.checked_sub(1).map_or(0, |at| rows[at].seq);
            assert!(after > newest, "after {after} is refused at {newest}");
            return true;
        }
        let newest = self.database.newest_seq();
        assert!(after <= newest, "after {after} is taken at {newest}");
        false
    }

    fn judge_page(&self, asked: &Asked, page: &Page, answer: &Answer) {
        assert_eq!(answer.status, 200);
        let shown: ShownPage = serde_json::from_slice(&answer.body).expect("a page");
        assert_eq!(shown.count, shown.events.len());
        assert!(shown.count <= page.limit);
        let topic = Some(&page.topics).filter(|topics| topics.len() == 1);
        assert_eq!(shown.topic.as_ref(), topic.map(|topics| &topics[0]));
        let mut rows: Vec<&Row> = self
            .database
            .rows
            .iter()
            .filter(|row| page.wants(row))
            .collect();
        if page.after.is_none() {
            rows.reverse();
        }
        assert_eq!(shown.through.is_some(), page.version.is_some());
        // A search may have to end early, and says how far it came.
        if let Some(through) = shown.through.filter(|_| shown.next.is_some()) {
            rows.retain(|row| match page.after {
                Some(_) => row.seq <= through,
                None => row.seq >= through,
            });
        }
        // Of those that came meanwhile the page may have none, or all up to some moment.
        let mut events = shown.events.iter().peekable();
        for row in &rows {
            if events.next_if(|event| event.is(row)).is_some() {
                continue;
            }
            let is_full = events.peek().is_none() && shown.count == page.limit;
            let was_there = asked.complete_in > Some(row.turn);
            if is_full {
                assert!(
                    shown.next.is_some() || !was_there,
                    "a page that says it is the last"
                );
                break;
            }
            assert!(!was_there, "seq {} is not on the page", row.seq);
        }
        assert!(
            events.peek().is_none(),
            "an event that is not stored, or not in order"
        );
        assert!(
            shown.next.is_none() || shown.through.is_some() || shown.count == page.limit,
            "a page ends early"
        );
    }

    fn judge_stats(&self, asked: &Asked, answer: &Answer) {
        let shown = answer.json();
        let number = |name: &str| {
            shown[name]
                .as_u64()
                .unwrap_or_else(|| panic!("{name} in {shown}"))
        };
        let unique = number("unique_processed");
        if number("queue_size") == 0 {
            assert_eq!(
                number("received"),
                unique + number("duplicate_dropped"),
                "{shown}"
            );
        }
        self.check_between(asked, unique, "unique_processed");
        assert!(number("connections") <= self.setup.net.max_connections as u64);
        assert!(number("queue_size") <= number("queue_capacity"));
        assert!(number("duplicate_dropped") <= self.database.counters.duplicates);
        if self.is_quiet {
            let counters = self.database.counters;
            let told = (
                number("last_seq"),
                number("duplicate_dropped"),
                number("conflicts"),
            );
            let stored = (counters.last_seq, counters.duplicates, counters.conflicts);
            assert_eq!(told, stored, "what memory and disk count");
        }
    }

    /// A number of events that was true at some moment since the request came.
    fn check_between(&self, asked: &Asked, number: u64, what: &str) {
        let rows = &self.database.rows;
        let before = rows.partition_point(|row| asked.complete_in > Some(row.turn)) as u64;
        assert!(
            (before..=rows.len() as u64).contains(&number),
            "{what}: {number}, but {before} to {} are stored",
            rows.len()
        );
    }
}
