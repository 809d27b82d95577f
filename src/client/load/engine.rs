//! The generator's loop: one thread, one poll. Either each connection sends its next request as soon
//! as it has the answer to the last, or requests are due at a steady pace.

use std::io;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

use super::connection::Connection;
use super::plan::{Checks, Plan, Stop, Traffic};
use super::result::LoadResult;

/// How long requests that are under way at the end may take.
const DRAIN: Duration = Duration::from_secs(10);
/// The longest sleep.
const NAP: Duration = Duration::from_millis(100);
/// Polling sleeps whole milliseconds; for what is due sooner than this the loop spins.
const AWAKE: Duration = Duration::from_millis(2);

/// Sends `traffic` as `plan` says and returns what was measured.
///
/// # Errors
/// Only where no connection can be opened or polling fails; what goes wrong with requests is counted
/// in the result.
pub fn run(plan: &Plan, traffic: &mut Traffic) -> io::Result<LoadResult> {
    Generator::open(plan, traffic)?.run(traffic, &mut |_, _| true)
}

/// Open connections that have sent nothing but their greetings.
pub struct Generator<'a> {
    plan: &'a Plan,
    poll: Poll,
    connections: Vec<Option<Connection>>,
    result: LoadResult,
}

impl<'a> Generator<'a> {
    /// Opens the connections that the plan asks for.
    ///
    /// # Errors
    /// Where one cannot be opened.
    pub fn open(plan: &'a Plan, traffic: &Traffic) -> io::Result<Generator<'a>> {
        let poll = Poll::new()?;
        let mut connections = Vec::with_capacity(plan.connections);
        for index in 0..plan.connections {
            let token = Token(index);
            let registry = poll.registry();
            let connection = Connection::open(plan.address, &traffic.template, registry, token)?;
            connections.push(Some(connection));
        }
        Ok(Generator {
            plan,
            poll,
            connections,
            result: LoadResult::new(),
        })
    }

    /// Sends `traffic`, and reports its progress several times a second; if the callback returns false, nothing further
    /// is sent.
    ///
    /// # Errors
    /// Only where polling fails.
    pub fn run(
        mut self,
        traffic: &mut Traffic,
        goes_on: &mut dyn FnMut(&LoadResult, Duration) -> bool,
    ) -> io::Result<LoadResult> {
        traffic.stream.begin_run();
        let distinct_before = traffic.stream.distinct();
        let start = Instant::now();
        let mut run = Run::begin(self.plan, traffic, self.connections, self.result, start);
        run.send_due(start);
        let mut events = Events::with_capacity(1024);
        let mut last_answers = (0, start);
        let mut shown_at = start;
        let mut now = start;
        while run.goes_on(now) {
            match self.poll.poll(&mut events, Some(run.nap(now))) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => events.clear(),
                result => result?,
            }
            run.take(&events);
            now = Instant::now();
            if now - shown_at >= NAP && !run.is_stopped {
                shown_at = now;
                if !goes_on(&run.result, now - start) {
                    run.is_stopped = true;
                    run.end = Some(now);
                }
            }
            run.send_due(now);
            if run.result.answers != last_answers.0 || run.under_way == 0 {
                last_answers = (run.result.answers, now);
            } else if now - last_answers.1 > DRAIN {
                run.give_up_all();
                break;
            }
        }
        Ok(run.finish(now, distinct_before))
    }
}

/// What changes while the loop runs.
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
    /// Whether it is to send nothing more.
    is_stopped: bool,
    /// When the next request is due, where there is a pace.
    next_due: Instant,
    result: LoadResult,
}

impl<'a> Run<'a> {
    fn begin(
        plan: &'a Plan,
        traffic: &'a mut Traffic,
        connections: Vec<Option<Connection>>,
        result: LoadResult,
        start: Instant,
    ) -> Run<'a> {
        Run {
            plan,
            traffic,
            free: (0..connections.len()).collect(),
            connections,
            under_way: 0,
            measure_from: start + plan.warm_up,
            end: match plan.stop {
                Stop::After(duration) => Some(start + plan.warm_up + duration),
                Stop::Requests(_) => None,
            },
            is_stopped: false,
            next_due: start,
            result,
        }
    }

    /// What was measured until `now`. `distinct_before` is the number of different events that were made
    /// before this run.
    fn finish(self, now: Instant, distinct_before: u64) -> LoadResult {
        let end = self.end.map_or(now, |end| end.min(now));
        let mut result = self.result;
        result.elapsed = end.saturating_duration_since(self.measure_from);
        // After an error the counts cannot add up.
        let has_counts = self.plan.checks == Checks::StatusAndCounts && result.errors == 0;
        if has_counts && self.traffic.template.events() > 0 {
            let distinct = self.traffic.stream.distinct() - distinct_before;
            result.check_counts(distinct, self.traffic.template.events());
        }
        result
    }

    /// Whether no further request is to be sent.
    fn is_over(&self, now: Instant) -> bool {
        let is_spent = match self.plan.stop {
            Stop::After(_) => false,
            Stop::Requests(requests) => self.result.requests_sent >= requests,
        };
        is_spent || self.end.is_some_and(|end| now >= end)
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
            // If requests are late, the wait belongs to their latency.
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
            self.result.requests_sent += 1;
            self.under_way += 1;
            if let Err(error) = connection.send(due) {
                self.give_up(index, error);
            }
        }
    }

    /// Writes and reads where the poll says that it is possible.
    fn take(&mut self, events: &Events) {
        for event in events {
            if event.is_writable() {
                self.write_on(event.token().0);
            }
            if event.is_readable() {
                self.read_on(event.token().0);
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
        self.result.answers += 1;
        if let Some(status) = answer.status {
            self.result.add_status(status);
        }
        match answer.failure {
            Some(text) => self.result.add_errors(1, || text),
            None => {
                self.result.accepted += answer.accepted;
                self.result.duplicates += answer.duplicates;
            }
        }
        let is_measured = now >= self.measure_from && self.end.is_none_or(|end| now < end);
        if let (true, Some(sent_at)) = (is_measured, sent_at) {
            self.result.requests += 1;
            self.result.events += self.traffic.template.events();
            let nanoseconds = (now - sent_at).as_nanos() as u64;
            self.result.latency.saturating_record(nanoseconds);
        }
        self.free.push(index);
        self.send_due(now);
    }

    /// Counts the requests that are under way as errors.
    fn give_up_all(&mut self) {
        let reason = || format!("no answer in {} s", DRAIN.as_secs());
        self.result.add_errors(self.under_way, reason);
    }

    /// Counts a failed connection as an error and closes it. It is not replaced: a server that
    /// drops connections is to be seen in the result.
    fn give_up(&mut self, index: usize, error: io::Error) {
        let was_under_way = self.connections[index]
            .take()
            .is_some_and(|connection| connection.sent_at.is_some());
        self.under_way -= u64::from(was_under_way);
        self.result.add_errors(1, || error.to_string());
    }
}
