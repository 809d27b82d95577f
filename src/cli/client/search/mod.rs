//! `search`: the events that match, how many there are by time, or which values they have.

pub(crate) mod arguments;
mod fields;
mod histogram;
mod words;

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::value::RawValue;

pub(crate) use words::with_negations;

use arguments::{Limit, SearchArgs};

use super::connect::client_of;
use super::filters::Query;
use super::pages::{collect_newest, Pages};
use super::show::Printer;
use crate::cli::failure::{Failure, READER_GONE};
use crate::client::{Client, GiveUp};
use crate::limits::PAGE_MAX_EVENTS;

/// The exit code where nothing was found.
const NOTHING_FOUND: u8 = 1;

/// Asks, and prints what is found.
pub(crate) fn run(arguments: SearchArgs) -> Result<(), Failure> {
    let client = client_of(&arguments.client, GiveUp::After(Duration::ZERO))?;
    let query = query(&arguments);
    let found = if arguments.fields {
        fields::run(&client, &arguments, &query)
    } else if arguments.count || !arguments.by.is_empty() {
        histogram::run(&client, &arguments, &query)
    } else {
        events(&client, &arguments, &query)
    };
    match found {
        Ok(0) => Err(Failure::Ended(NOTHING_FOUND)),
        Ok(_) => Ok(()),
        // 1 would say that nothing was found.
        Err(Failure::Failed(sentence)) => Err(Failure::NotAsked(sentence)),
        Err(Failure::ReaderGone) => Err(Failure::Ended(READER_GONE)),
        Err(failure) => Err(failure),
    }
}

fn query(arguments: &SearchArgs) -> Query {
    let words = arguments.words.iter().cloned();
    let (conditions, mut terms): (Vec<String>, Vec<String>) =
        words.partition(|word| words::is_condition(word));
    terms.extend(arguments.not.iter().map(|word| words::negated(word)));
    arguments.filters.query(&[], &terms, &conditions)
}

/// Prints the events that match; returns how many. What has been found is printed also where the rest could not be.
fn events(client: &Client, arguments: &SearchArgs, query: &Query) -> Result<usize, Failure> {
    client.interrupt().watch_output();
    let printer = Printer::new(arguments.json, arguments.color, query.terms());
    match arguments.limit.unwrap_or(Limit::DEFAULT) {
        Limit::All => all(client, query, printer),
        Limit::Newest(number) => newest(client, query, printer, number),
    }
}

/// All of them, as they are found.
fn all(client: &Client, query: &Query, mut printer: Printer) -> Result<usize, Failure> {
    let target = format!("/events?limit={PAGE_MAX_EVENTS}&after=0{}", query.text());
    let mut pages = Pages::new(client, target);
    let mut found = 0;
    loop {
        let page = pages.next(found).map_err(|error| query.failure(error));
        match page {
            Ok(Some(events)) => {
                found += events.len();
                pages.progress.suspend(|| print(&mut printer, &events))?;
            }
            Ok(None) => return Ok(found),
            Err(failure) => {
                pages.progress.end();
                return Err(failure);
            }
        }
    }
}

/// The newest ones, when all of them have been found.
fn newest(
    client: &Client,
    query: &Query,
    mut printer: Printer,
    number: usize,
) -> Result<usize, Failure> {
    let mut events = VecDeque::new();
    let result = collect_newest(client, &query.text(), number, &mut events);
    let events = Vec::from(events);
    print(&mut printer, &events)?;
    result.map_err(|error| query.failure(error))?;
    Ok(events.len())
}

fn print(printer: &mut Printer, events: &[Box<RawValue>]) -> Result<(), Failure> {
    for event in events {
        printer.event(event.get().as_bytes())?;
    }
    printer.flush()
}
