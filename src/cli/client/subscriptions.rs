//! `subscriptions`: the named positions of consumers.

use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde::Deserialize;

use super::connect::client_of;
use crate::cli::failure::Failure;
use crate::cli::terminal::{print, print_answer, table};
use crate::client::{percent_encoded, Client, ClientArgs, Error, GiveUp, Head};
use crate::text::escaped;

/// List, create, move and delete named subscriptions
///
/// A named subscription is the position of a consumer, kept by the server as durably as an event. logagg tail
/// --subscription NAME shows the events after it and moves it.
#[derive(Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct SubscriptionsArgs {
    #[command(subcommand)]
    action: Action,

    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List all subscriptions, and how many events each has still to get
    List {
        /// Print the server's answer as it is
        #[arg(long)]
        json: bool,
    },
    /// Create a subscription; one that exists is not changed without --move
    Create {
        name: String,

        /// Position: after this seq, at the start, or after the newest event
        #[arg(long, value_name = "SEQ|start|now", default_value = "start")]
        after: Place,

        /// Move it if it exists, also back
        #[arg(long = "move")]
        moves: bool,

        /// Hold all events after it: --retain-events removes none of them, and the database grows beyond its limit
        #[arg(long)]
        hold: bool,
    },
    /// Acknowledge the events up to a seq: moves a subscription forward, never back
    Ack {
        name: String,

        /// The seq of the last event that has been handled
        seq: u64,
    },
    /// Delete a subscription
    Delete { name: String },
}

/// The position of a new subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    After(u64),
    Now,
}

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Place, &'static str> {
        match text {
            "start" => Ok(Place::After(0)),
            "now" => Ok(Place::Now),
            _ => match text.parse() {
                Ok(seq) => Ok(Place::After(seq)),
                Err(_) => Err("neither a seq nor start nor now"),
            },
        }
    }
}

#[derive(Deserialize)]
struct All {
    subscriptions: Vec<NamedPosition>,
}

/// A named subscription as a server returns it.
#[derive(Deserialize)]
pub(super) struct NamedPosition {
    name: String,
    /// Everything up to this seq has been handled.
    pub after: u64,
    /// Events after it.
    lag: u64,
    updated_at: String,
    /// Retention removes no event after its position; servers of older versions do not say.
    #[serde(default)]
    hold: bool,
}

impl NamedPosition {
    /// Asks a server, as often as the client's arguments say.
    pub(super) fn fetch(client: &Client, name: &str) -> Result<NamedPosition, Failure> {
        let target = target(name);
        let found = client.persist(|| client.json(&target));
        found.map_err(|error| failure(name, error))
    }

    /// Moves it forward, as often as the client's arguments say.
    pub(super) fn acknowledge(client: &Client, name: &str, seq: u64) -> Result<Self, Error> {
        let target = target(name) + "/ack";
        let body = format!("{{\"seq\":{seq}}}");
        client.persist(|| {
            let answer = client.post(&target, "application/json", body.as_bytes())?;
            client.read_json(&answer)
        })
    }

    fn print(&self) -> Result<(), Failure> {
        let NamedPosition {
            after, lag, hold, ..
        } = self;
        let name = escaped(&self.name);
        let holds = if *hold { ", holds events" } else { "" };
        print(format!("{name}: after seq {after}, lag {lag}{holds}\n").as_bytes())
    }
}

/// Where a subscription is on a server.
fn target(name: &str) -> String {
    format!("/subscriptions/{}", percent_encoded(name))
}

/// The failure of a request about a subscription.
pub(super) fn failure(name: &str, error: Error) -> Failure {
    match error.status() {
        Some(404) => Failure::Failed(format!(
            "there is no subscription {name:?}; logagg subscriptions create makes one"
        )),
        _ => error.into(),
    }
}

/// Asks once, or with retries as the arguments say, and prints the state.
pub(crate) fn run(arguments: SubscriptionsArgs) -> Result<(), Failure> {
    let client = client_of(&arguments.client, GiveUp::After(Duration::ZERO))?;
    match arguments.action {
        Action::List { json } => list(&client, json),
        Action::Create {
            name,
            after,
            moves,
            hold,
        } => create(&client, &name, after, moves, hold),
        Action::Ack { name, seq } => NamedPosition::acknowledge(&client, &name, seq)
            .map_err(|error| failure(&name, error))?
            .print(),
        Action::Delete { name } => delete(&client, &name),
    }
}

fn list(client: &Client, as_json: bool) -> Result<(), Failure> {
    if as_json {
        let body = client.persist(|| client.get("/subscriptions"))?;
        return print_answer(&body);
    }
    let all: All = client.persist(|| client.json("/subscriptions"))?;
    let mut rows = vec![["AFTER SEQ", "LAG", "UPDATED", "HOLD", "NAME"].map(str::to_owned)];
    rows.extend(all.subscriptions.iter().map(|subscription| {
        [
            subscription.after.to_string(),
            subscription.lag.to_string(),
            escaped(&subscription.updated_at).into_owned(),
            if subscription.hold { "yes" } else { "no" }.to_owned(),
            escaped(&subscription.name).into_owned(),
        ]
    }));
    print(table(&rows).as_bytes())
}

fn create(
    client: &Client,
    name: &str,
    place: Place,
    moves: bool,
    hold: bool,
) -> Result<(), Failure> {
    let target = target(name);
    if !moves {
        let found: Result<NamedPosition, Error> = client.persist(|| client.json(&target));
        match found {
            Ok(NamedPosition { after, .. }) => {
                return Err(Failure::Failed(format!(
                    "there is a subscription {name:?} already, after seq {after}; --move moves it"
                )))
            }
            Err(error) if error.status() == Some(404) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let after = match place {
        Place::After(seq) => seq,
        Place::Now => Head::fetch(client)?.last_seq,
    };
    let hold = if hold { ",\"hold\":true" } else { "" };
    let body = format!("{{\"after\":{after}{hold}}}");
    let answer = client.persist(|| client.put(&target, body.as_bytes()));
    let answer = answer.map_err(|error| match error.status() {
        Some(404) => Failure::Setting(
            "the name of a subscription has 1 to 255 bytes and no control characters".to_owned(),
        ),
        _ => error.into(),
    })?;
    let created: NamedPosition = client.read_json(&answer)?;
    created.print()
}

fn delete(client: &Client, name: &str) -> Result<(), Failure> {
    let target = target(name);
    match client.persist(|| client.delete(&target)) {
        // The answer to an earlier try may have been lost.
        Err(error) if error.status() == Some(404) && client.retries() > 0 => Ok(()),
        Err(error) => Err(failure(name, error)),
        Ok(()) => Ok(()),
    }
}
