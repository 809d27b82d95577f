//! The generator's loop: one thread, one poll, each connection sends its next request as soon as it
//! has the answer to the last.

use std::io;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

use super::connection::Connection;
use super::response;
use super::{Checks, Outcome, Plan, Stop, Traffic};
use crate::counting;

/// How long requests that are under way at the end may take.
const DRAIN: Duration = Duration::from_secs(10);

/// Sends `traffic` as `plan` says and gives what was measured.
///
/// # Errors
/// Only where no connection can be opened or polling fails; what goes wrong with requests is counted
/// in the outcome.
pub fn run(plan: &Plan, traffic: &mut Traffic) -> io::Result<Outcome> {
    let mut poll = Poll::new()?;
    let mut connections = Vec::with_capacity(plan.connections);
    for index in 0..plan.connections {
        let request = traffic.template.request();
        let connection = Connection::open(plan.address, request, poll.registry(), Token(index))?;
        connections.push(Some(connection));
    }

    let distinct_before = traffic.stream.distinct();
    let allocations_before = counting::allocations();
    let start = Instant::now();
    let mut run = Run {
        plan,
        traffic,
        under_way: 0,
        measure_from: start + plan.warm_up,
        end: match plan.stop {
            Stop::After(duration) => Some(start + plan.warm_up + duration),
            Stop::Requests(_) => None,
        },
        outcome: Outcome::new(),
    };
    for slot in &mut connections {
        run.start_next(slot, start);
    }
    let mut events = Events::with_capacity(1024);
    let mut last_answers = (0, start);
    while run.under_way > 0 {
        poll.poll(&mut events, Some(Duration::from_millis(100)))?;
        for event in &events {
            let slot = &mut connections[event.token().0];
            if event.is_writable() {
                run.write_on(slot);
            }
            if event.is_readable() {
                run.read_on(slot);
            }
        }
        let now = Instant::now();
        if run.outcome.answers != last_answers.0 {
            last_answers = (run.outcome.answers, now);
        } else if now - last_answers.1 > DRAIN {
            let unanswered = run.under_way;
            run.outcome
                .add_errors(unanswered, || format!("no answer in {} s", DRAIN.as_secs()));
            break;
        }
    }

    let measure_from = run.measure_from;
    let mut outcome = run.outcome;
    outcome.elapsed = match plan.stop {
        Stop::After(duration) => duration,
        Stop::Requests(_) => Instant::now() - measure_from,
    };
    outcome.allocations = counting::allocations() - allocations_before;
    if plan.checks == Checks::StatusAndCounts && traffic.template.events() > 0 {
        outcome.check_counts(
            traffic.stream.distinct() - distinct_before,
            traffic.template.events(),
        );
    }
    Ok(outcome)
}

/// What changes while the loop turns.
struct Run<'a> {
    plan: &'a Plan,
    traffic: &'a mut Traffic,
    under_way: u64,
    measure_from: Instant,
    end: Option<Instant>,
    outcome: Outcome,
}

impl Run<'_> {
    /// Sends the next request over the connection unless the run is over.
    fn start_next(&mut self, slot: &mut Option<Connection>, now: Instant) {
        let over = match self.plan.stop {
            Stop::After(_) => self.end.is_some_and(|end| now >= end),
            Stop::Requests(requests) => self.outcome.requests_sent >= requests,
        };
        let Some(connection) = slot else { return };
        connection.sent_at = None;
        if over {
            return;
        }
        self.traffic
            .template
            .patch(&mut connection.request, &mut self.traffic.stream);
        self.outcome.requests_sent += 1;
        self.under_way += 1;
        if let Err(error) = connection.send(now) {
            self.give_up(slot, error);
        }
    }

    fn write_on(&mut self, slot: &mut Option<Connection>) {
        let Some(connection) = slot else { return };
        if let Err(error) = connection.write_on() {
            self.give_up(slot, error);
        }
    }

    fn read_on(&mut self, slot: &mut Option<Connection>) {
        let Some(connection) = slot else { return };
        let answer = match connection.read_on() {
            Ok(Some(answer)) => answer,
            Ok(None) => return,
            Err(error) => return self.give_up(slot, error),
        };
        let now = Instant::now();
        self.under_way -= 1;
        self.outcome.answers += 1;
        let body = connection.body(answer);
        if answer.status != 200 {
            let body = String::from_utf8_lossy(body).into_owned();
            self.outcome
                .add_errors(1, || format!("status {}: {body}", answer.status));
        } else if self.plan.checks == Checks::StatusAndCounts {
            self.outcome.accepted += response::count(body, b"\"accepted\"").unwrap_or(0);
            self.outcome.duplicates += response::count(body, b"\"duplicates\"").unwrap_or(0);
        }
        let is_measured = now >= self.measure_from && self.end.is_none_or(|end| now < end);
        if let (true, Some(sent_at)) = (is_measured, connection.sent_at) {
            self.outcome.requests += 1;
            self.outcome.events += self.traffic.template.events();
            let nanoseconds = (now - sent_at).as_nanos() as u64;
            self.outcome.latency.saturating_record(nanoseconds);
        }
        self.start_next(slot, now);
    }

    /// Counts a failed connection as an error and closes it. It is not replaced: a server that
    /// drops connections is to be seen in the result.
    fn give_up(&mut self, slot: &mut Option<Connection>, error: io::Error) {
        let was_under_way = slot
            .take()
            .is_some_and(|connection| connection.sent_at.is_some());
        self.under_way -= u64::from(was_under_way);
        self.outcome.add_errors(1, || error.to_string());
    }
}
