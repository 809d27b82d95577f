//! `get`: one event.

use std::io::{stdout, IsTerminal};
use std::time::Duration;

use clap::Args;

use super::connect::client_of;
use super::show::indented;
use crate::cli::failure::{Failure, READER_GONE};
use crate::cli::terminal::print;
use crate::client::{percent_encoded, ClientArgs, Error, GiveUp};
use crate::text::escaped;

/// Print one event, indented
///
/// The exit code is 0 if there is such an event, 1 if there is none, and 3 if the server could not be asked.
#[derive(Debug, Args)]
pub struct GetArgs {
    /// The topic of the event
    topic: String,

    /// Its id
    event_id: String,

    /// Print it as the server sends it, in one line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    client: ClientArgs,
}

/// Asks once, or as often as the arguments say, and prints the event.
pub(crate) fn run(arguments: GetArgs) -> Result<(), Failure> {
    let client = client_of(&arguments.client, GiveUp::After(Duration::ZERO))?;
    let GetArgs {
        topic, event_id, ..
    } = &arguments;
    let target = format!(
        "/events/{}/{}",
        percent_encoded(topic),
        percent_encoded(event_id)
    );
    let body = client
        .persist(|| client.get(&target))
        .map_err(|error| match error {
            Error::Stopped(stop) => stop.into(),
            error if error.status() == Some(404) => {
                Failure::Failed(format!("there is no event {event_id:?} of topic {topic:?}"))
            }
            error => Failure::NotAsked(error.to_string()),
        })?;
    let text = String::from_utf8_lossy(body.trim_ascii_end());
    let is_terminal = stdout().is_terminal();
    let text = match arguments.json {
        true if is_terminal => escaped(&text).into_owned(),
        true => text.into_owned(),
        false => indented(&text, is_terminal),
    };
    match print(&[text.as_bytes(), b"\n"].concat()) {
        // 1 would say that there is no such event.
        Err(Failure::ReaderGone) => Err(Failure::Ended(READER_GONE)),
        printed => printed,
    }
}
