//! The load: batches over several connections, some events repeated, and some answers lost on purpose.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use super::super::transfer::GIVE_UP;
use super::arguments::SimulateArgs;
use super::event::Run;
use super::expected::{Bits, Expected};
use crate::cli::progress::TransferProgress;
use crate::client::load::events::{is_nth, EventStream};
use crate::client::{publish, publish_unanswered, Batch, Client, Error, EventResult, Interrupt};

/// What is still to be sent.
struct Plan {
    numbers: EventStream,
    left: u64,
    requests: u64,
}

/// What the threads share.
struct Load<'a> {
    arguments: &'a SimulateArgs,
    run: &'a Run,
    progress: TransferProgress,
    plan: Mutex<Plan>,
    tally: Mutex<Tally<'a>>,
    /// Whether one of them has failed.
    has_failed: AtomicBool,
}

/// What has been answered.
struct Tally<'a> {
    expected: &'a mut Expected,
    accepted: Bits,
    done: u64,
    retries: u64,
}

/// Sends the load; returns how often something was sent again for other reasons than ours.
///
/// # Errors
/// The failure that ended the retries.
pub(super) fn send(
    arguments: &SimulateArgs,
    run: &Run,
    interrupt: &Arc<Interrupt>,
    expected: &mut Expected,
) -> Result<u64, Error> {
    let load = Load {
        arguments,
        run,
        progress: TransferProgress::of_numbers(arguments.events),
        plan: Mutex::new(Plan {
            numbers: run.numbers(),
            left: arguments.events,
            requests: 0,
        }),
        tally: Mutex::new(Tally {
            expected,
            accepted: Bits::default(),
            done: 0,
            retries: 0,
        }),
        has_failed: AtomicBool::new(false),
    };
    let result = thread::scope(|scope| {
        let threads: Vec<_> = (0..arguments.connections)
            .map(|_| scope.spawn(|| load.connection(interrupt.clone())))
            .collect();
        let results = threads
            .into_iter()
            .map(|thread| thread.join().expect("no thread panics"));
        // All of them, before the first failure is reported.
        results.fold(Ok(()), Result::and)
    });
    load.progress.end();
    let distinct = locked(&load.plan).numbers.distinct();
    let tally = load.tally.into_inner().expect("no thread panics");
    tally.expected.load_distinct = distinct;
    result.map(|()| tally.retries)
}

impl Load<'_> {
    /// What one connection does.
    fn connection(&self, interrupt: Arc<Interrupt>) -> Result<(), Error> {
        let arguments = &self.arguments.client;
        let mut client = Client::new(arguments, GIVE_UP, interrupt).map_err(Error::Unexpected)?;
        let progress = self.progress.clone();
        client.report_with(move |sentence| progress.report(&format!("logagg: {sentence}")));
        let result = self.publish_all(&client);
        locked(&self.tally).retries += client.retries();
        if result.is_err() {
            self.has_failed.store(true, Ordering::Relaxed);
        }
        result
    }

    fn publish_all(&self, client: &Client) -> Result<(), Error> {
        let mut batch = Batch::default();
        let mut numbers = Vec::new();
        let mut outcomes = Vec::new();
        while let Some(is_lost) = self.take(&mut numbers) {
            batch.clear();
            for number in &numbers {
                batch.push(self.run.load_event(*number).json().as_bytes());
            }
            if is_lost {
                match publish_unanswered(client, &batch) {
                    Ok(()) => locked(&self.tally).expected.add_lost(numbers.len() as u64),
                    // It is sent again in any case.
                    Err(error) if error.is_transient() => {}
                    Err(error) => return Err(error),
                }
            }
            outcomes.clear();
            publish(client, &batch, &mut |_, outcome| outcomes.push(outcome))?;
            self.add(&numbers, &outcomes);
        }
        Ok(())
    }

    /// Takes the numbers of the next request, and whether its first answer is to be lost.
    fn take(&self, numbers: &mut Vec<u64>) -> Option<bool> {
        let mut plan = locked(&self.plan);
        let count = plan.left.min(self.arguments.batch);
        if count == 0 || self.has_failed.load(Ordering::Relaxed) {
            return None;
        }
        plan.left -= count;
        plan.requests += 1;
        numbers.clear();
        numbers.extend((0..count).map(|_| plan.numbers.next_event()));
        Some(is_nth(plan.requests, self.arguments.lost_answers.0))
    }

    fn add(&self, numbers: &[u64], outcomes: &[EventResult]) {
        let mut tally = locked(&self.tally);
        tally.expected.add_outcomes(outcomes);
        for (number, outcome) in numbers.iter().zip(outcomes) {
            if *outcome == EventResult::Accepted && tally.accepted.set(*number) {
                tally.expected.accepted_again += 1;
            }
        }
        tally.done += numbers.len() as u64;
        let Tally { expected, done, .. } = &*tally;
        self.progress.show(*done, || expected.summary(0));
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no thread panics")
}
