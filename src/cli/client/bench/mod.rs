//! `bench`: a load on a server, and how fast it was answered.

pub(crate) mod arguments;
mod report;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::connect::{interrupt, token_failure};
use crate::cli::failure::Failure;
use crate::cli::progress::TransferProgress;
use crate::cli::terminal::print;
use crate::client::load::events::{EventStream, IdOrder, Repeats};
use crate::client::load::request::{payload, Publication, Template};
use crate::client::load::{Checks, Generator, LoadResult, Plan, Stop, Traffic};
use crate::client::{Client, GiveUp, Interrupt};
use crate::limits;
use arguments::{BenchArgs, Order};
use report::Report;

/// Sends, measures, and prints the result, also where it is cut off.
pub(crate) fn run(arguments: BenchArgs) -> Result<(), Failure> {
    let interrupt = interrupt()?;
    let traffic = traffic(&arguments)?;
    // Reports in a sentence that there is no server.
    let give_up = GiveUp::After(Duration::ZERO);
    let client = Client::new(&arguments.client, give_up, Arc::clone(&interrupt));
    let client = client.map_err(Failure::Setting)?;
    client.persist(|| client.get("/health"))?;

    let result = send(&arguments, traffic, &interrupt)?;
    let report = Report::new(&arguments, &result);
    let text = match arguments.json {
        true => report.json(),
        false => report.text(),
    };
    print(text.as_bytes())?;
    interrupt.check()?;
    match result.first_error {
        None => Ok(()),
        Some(error) => Err(Failure::Failed(format!("the first error: {error}"))),
    }
}

/// What is to be sent.
fn traffic(arguments: &BenchArgs) -> Result<Traffic, Failure> {
    let endpoint = arguments.client.server.endpoint();
    let endpoint = endpoint.map_err(Failure::Setting)?;
    let token = arguments
        .client
        .token()
        .map_err(|sentence| token_failure(&arguments.client, &sentence))?;
    let headers = token.map_or_else(String::new, |token| {
        format!("Authorization: Bearer {token}\r\n")
    });
    let event_bytes = arguments.payload as u64 + limits::LOAD_EVENT_BYTES;
    let bytes = (arguments.connections * arguments.batch) as u64 * event_bytes;
    if bytes > limits::LOAD_MAX_BYTES {
        let most = limits::LOAD_MAX_BYTES;
        return Err(Failure::Setting(format!(
            "--connections, --batch and --payload come to {bytes} bytes; at most {most} are sent at a time"
        )));
    }
    let (order, per_mille) = (arguments.order.of_ids(), arguments.duplicates.0);
    let repeats = Repeats::Near { per_mille };
    Ok(Traffic {
        template: Template::publish(&Publication {
            target: &format!("{}/publish", endpoint.path),
            host: &endpoint.host,
            headers: &headers,
            batch: arguments.batch,
            topics: arguments.topics as u64,
            payload: &payload(arguments.payload),
        }),
        stream: EventStream::new(order, repeats, arguments.topics as u64, seed()),
    })
}

fn send(
    arguments: &BenchArgs,
    mut traffic: Traffic,
    interrupt: &Interrupt,
) -> Result<LoadResult, Failure> {
    let endpoint = arguments.client.server.endpoint();
    let plan = Plan {
        address: endpoint.map_err(Failure::Setting)?.address,
        connections: arguments.connections,
        warm_up: Duration::ZERO,
        stop: Stop::After(arguments.duration),
        pace: arguments
            .rate
            .map(|rate| Duration::from_secs_f64(1.0 / rate as f64)),
        checks: Checks::StatusAndCounts,
    };
    let failed = |error: std::io::Error| {
        let server = &arguments.client.server;
        Failure::Failed(format!("cannot keep connections to {server}: {error}"))
    };
    let generator = Generator::open(&plan, &traffic).map_err(failed)?;
    let progress = TransferProgress::of_numbers(arguments.duration.as_secs().max(1));
    let result = generator.run(&mut traffic, &mut |result, elapsed| {
        progress.show(elapsed.as_secs(), || {
            let rate = result.accepted as f64 / elapsed.as_secs_f64();
            format!("{rate:.0} new events/s, errors {}", result.errors)
        });
        interrupt.check().is_ok()
    });
    progress.end();
    result.map_err(failed)
}

impl Order {
    fn of_ids(self) -> IdOrder {
        match self {
            Order::Random => IdOrder::Random,
            Order::Ordered => IdOrder::Ordered,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Order::Random => "random",
            Order::Ordered => "ordered",
        }
    }
}

/// A number that no earlier run had, and that grows, as ordered ids shall: nanoseconds since 1970.
fn seed() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_nanos() as u64)
}
