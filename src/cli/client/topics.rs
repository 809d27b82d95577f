//! `topics`: which topics a server has.

use std::time::Duration;

use clap::Args;
use serde::Deserialize;

use super::connect::client_of;
use crate::cli::failure::Failure;
use crate::cli::terminal::{print, table};
use crate::client::{ClientArgs, GiveUp};
use crate::text::escaped;

/// List the topics of a server, and how many events each has
#[derive(Debug, Args)]
pub struct TopicsArgs {
    /// Print the server's answer as it is
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Deserialize)]
struct Topics {
    topics: Vec<Topic>,
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
    if arguments.json {
        let body = client.persist(|| client.get("/topics"))?;
        return print(&[&body[..], b"\n"].concat());
    }
    let topics: Topics = client.persist(|| client.json("/topics"))?;
    let mut rows = vec![["EVENTS", "LAST SEQ", "LAST RECEIVED", "TOPIC"].map(str::to_owned)];
    rows.extend(topics.topics.iter().map(|topic| {
        [
            topic.events.to_string(),
            topic.last_seq.to_string(),
            escaped(&topic.last_processed_at).into_owned(),
            escaped(&topic.topic).into_owned(),
        ]
    }));
    print(table(&rows).as_bytes())
}
