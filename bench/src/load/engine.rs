//! The generator's loop: one thread, one poll. Either each connection sends its next request as soon
//! as it has the answer to the last, or requests are due at a steady pace.

use std::io;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

use super::connection::Connection;
use super::{Checks, Outcome, Plan, Stop, Traffic};
use crate::counting;

/// How long requests that are under way at the end may take.
const DRAIN: Duration = Duration::from_secs(10);
/// The longest sleep.
const NAP: Duration = Duration::from_millis(100);
/// Polling sleeps by whole milliseconds; what is due sooner than this is waited for awake.
const AWAKE: Duration = Duration::from_millis(2);

/// Sends `traffic` as `plan` says and gives what was measured.
///
/// # Errors
/// Only where no connection can be opened or polling fails; what goes wrong with requests is counted
/// in the outcome.
pub fn run(plan: &Plan, traffic: &mut Traffic) -> io::Result<Outcome> {
    let mut poll = Poll::new()?;
    let mut connections = Vec::with_capacity(plan.connections);
    for index in 0..plan.connections {
        let token = Token(index);
        let connection = Connection::open(plan.address, &traffic.template, poll.registry(), token)?;
        connections.push(Some(connection));
    }

    traffic.stream.begin_run();
    let distinct_before = traffic.stream.distinct();
    let allocations_before = counting::allocations();
    let start = Instant::now();
    let mut run = Run {
        plan,
        traffic,
        connections,
        free: Vec::with_capacity(plan.connections),
        under_way: 0,
        measure_from: start + plan.warm_up,
        end: match plan.stop {
            Stop::After(duration) => Some(start + plan.warm_up + duration),
            Stop::Requests(_) => None,
        },
        next_due: start,
        outcome: Outcome::new(),
    };
    run.free.extend(0..plan.connections);
    run.send_due(start);
    let mut events = Events::with_capacity(1024);
    let mut last_answers = (0, start);
    let mut now = start;
    while run.goes_on(now) {
        poll.poll(&mut events, Some(run.nap(now)))?;
        for event in &events {
            if event.is_writable() {
                run.write_on(event.token().0);
            }
            if event.is_readable() {
                run.read_on(event.token().0);
            }
        }
        now = Instant::now();
        run.send_due(now);
        if run.outcome.answers != last_answers.0 || run.under_way == 0 {
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
    /// Those that have failed are gone.
    connections: Vec<Option<Connection>>,
    /// The connections without a request under way.
    free: Vec<usize>,
    under_way: u64,
    measure_from: Instant,
    end: Option<Instant>,
    /// When the next request is due, where there is a pace.
    next_due: Instant,
    outcome: Outcome,
}

impl Run<'_> {
    /// Whether no further request is to be sent.
    fn is_over(&self, now: Instant) -> bool {
        match self.plan.stop {
            Stop::After(_) => self.end.is_some_and(|end| now >= end),
            Stop::Requests(requests) => self.outcome.requests_sent >= requests,
        }
    }

    fn goes_on(&self, now: Instant) -> bool {
        let may_send = !self.free.is_empty() && !self.is_over(now);
        self.under_way > 0 || may_send
    }

    /// How long to sleep if nothing happens.
    fn nap(&self, now: Instant) -> Duration {
        if self.plan.pace.is_none() || self.free.is_empty() || self.is_over(now) {
            return NAP;
        }
        let left = self.next_due.saturating_duration_since(now);
        if left <= AWAKE {
            return Duration::ZERO;
        }
        NAP.min(left - AWAKE)
    }

    /// Sends the requests that are due over the connections that are free.
    fn send_due(&mut self, now: Instant) {
        while !self.is_over(now) && (self.plan.pace.is_none() || self.next_due <= now) {
            let Some(index) = self.free.pop() else { return };
            let Some(connection) = &mut self.connections[index] else {
                continue;
            };
            // Where requests have fallen behind their pace, the wait belongs to their latency.
            let due = match self.plan.pace {
                Some(pace) => {
                    let due = self.next_due;
                    self.next_due += pace;
                    due
                }
                None => now,
            };
            self.traffic
                .template
                .patch(&mut connection.request, &mut self.traffic.stream);
            self.outcome.requests_sent += 1;
            self.under_way += 1;
            if let Err(error) = connection.send(due) {
                self.give_up(index, error);
            }
        }
    }

    fn write_on(&mut self, index: usize) {
        let Some(connection) = &mut self.connections[index] else {
            return;
        };
        if let Err(error) = connection.write_on() {
            self.give_up(index, error);
        }
    }

    fn read_on(&mut self, index: usize) {
        let Some(connection) = &mut self.connections[index] else {
            return;
        };
        let answer = match connection.read_on() {
            Ok(Some(answer)) => answer,
            Ok(None) => return,
            Err(error) => return self.give_up(index, error),
        };
        let sent_at = connection.sent_at.take();
        let now = Instant::now();
        self.under_way -= 1;
        self.outcome.answers += 1;
        match answer.failure {
            Some(text) => self.outcome.add_errors(1, || text),
            None => {
                self.outcome.accepted += answer.accepted;
                self.outcome.duplicates += answer.duplicates;
            }
        }
        let is_measured = now >= self.measure_from && self.end.is_none_or(|end| now < end);
        if let (true, Some(sent_at)) = (is_measured, sent_at) {
            self.outcome.requests += 1;
            self.outcome.events += self.traffic.template.events();
            let nanoseconds = (now - sent_at).as_nanos() as u64;
            self.outcome.latency.saturating_record(nanoseconds);
        }
        self.free.push(index);
        self.send_due(now);
    }

    /// Counts a failed connection as an error and closes it. It is not replaced: a server that
    /// drops connections is to be seen in the result.
    fn give_up(&mut self, index: usize, error: io::Error) {
        let was_under_way = self.connections[index]
            .take()
            .is_some_and(|connection| connection.sent_at.is_some());
        self.under_way -= u64::from(was_under_way);
        self.outcome.add_errors(1, || error.to_string());
    }
}
