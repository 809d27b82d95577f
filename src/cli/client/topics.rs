//! `topics`: which topics a server has.

use std::cmp::Reverse;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::connect::client_of;
use crate::cli::failure::Failure;
use crate::cli::terminal::{print, print_answer, table};
use crate::client::{ClientArgs, GiveUp};
use crate::text::escaped;

/// List the topics of a server, and how many events each has
#[derive(Debug, Args)]
pub struct TopicsArgs {
    /// Only topics whose names begin so; a * at its end changes nothing
    prefix: Option<String>,

    /// Which topics come first
    #[arg(long, value_name = "ORDER", default_value = "name")]
    sort: Order,

    /// Print the topics as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Order {
    /// In the order of their names
    Name,
    /// Those with the most events first
    Events,
    /// Those with the newest event first
    Newest,
}

#[derive(Deserialize)]
struct Topics<T> {
    topics: Vec<T>,
}

#[derive(Deserialize)]
struct Topic {
    topic: String,
    events: u64,
    last_seq: u64,
    last_processed_at: String,
}

/// Asks once, or as often as the arguments say, and prints a line for each topic.
pub(crate) fn run(arguments: TopicsArgs) -> Result<(), Failure> {
    let client = client_of(&arguments.client, GiveUp::After(Duration::ZERO))?;
    let body = client.persist(|| client.get("/topics"))?;
    let texts: Topics<&RawValue> = client.read_json(&body)?;
    let topics: Topics<Topic> = client.read_json(&body)?;
    let topics = texts.topics.into_iter().zip(topics.topics).collect();
    let topics = chosen(topics, &arguments);
    if arguments.json {
        let texts: Vec<&str> = topics.iter().map(|(text, _)| text.get()).collect();
        let (count, texts) = (texts.len(), texts.join(","));
        return print_answer(format!("{{\"count\":{count},\"topics\":[{texts}]}}").as_bytes());
    }
    let mut rows = vec![["EVENTS", "LAST SEQ", "LAST RECEIVED", "TOPIC"].map(str::to_owned)];
    rows.extend(topics.iter().map(|(_, topic)| {
        [
            topic.events.to_string(),
            topic.last_seq.to_string(),
            escaped(&topic.last_processed_at).into_owned(),
            escaped(&topic.topic).into_owned(),
        ]
    }));
    print(table(&rows).as_bytes())
}

/// The topics that are asked for, in their order, each with its text.
fn chosen<'a>(
    mut topics: Vec<(&'a RawValue, Topic)>,
    arguments: &TopicsArgs,
) -> Vec<(&'a RawValue, Topic)> {
    let prefix = arguments.prefix.as_deref().unwrap_or_default();
    let prefix = prefix.strip_suffix('*').unwrap_or(prefix);
    topics.retain(|(_, topic)| topic.topic.starts_with(prefix));
    match arguments.sort {
        // As the server sends them.
        Order::Name => {}
        Order::Events => topics.sort_by_key(|(_, topic)| Reverse(topic.events)),
        Order::Newest => topics.sort_by_key(|(_, topic)| Reverse(topic.last_seq)),
    }
    topics
}
