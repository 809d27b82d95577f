//! One event from the command line: `publish --message`.

use clap::Args;
use serde_json::value::RawValue;
use serde_json::Value;

use super::connect::client_of;
use super::defaults::{now, Defaults};
use super::transfer::GIVE_UP;
use crate::cli::failure::Failure;
use crate::cli::terminal::print;
use crate::client::{publish, Batch, ClientArgs, EventResult};
use crate::text::escaped;
use crate::uuid;

/// The event that the arguments describe
#[derive(Debug, Args)]
pub(super) struct OneEvent {
    /// Publish one event with this payload, a JSON object, and print its event_id
    ///
    /// It gets the current time, and a UUID as event_id unless --event-id is given.
    #[arg(short, long, value_name = "JSON", allow_hyphen_values = true)]
    #[arg(requires_all = ["topic", "source"], conflicts_with_all = ["files", "ids", "now"])]
    message: Option<String>,

    /// The event_id of the event of --message; the same one again is a duplicate
    #[arg(long, value_name = "ID", requires = "message")]
    event_id: Option<String>,
}

/// An event that can be sent.
pub(super) struct Event {
    event_id: String,
    /// One line of JSON.
    text: String,
}

impl OneEvent {
    /// The event, if there is one.
    ///
    /// # Errors
    /// The payload is not an object.
    pub(super) fn event(&self, defaults: &Defaults) -> Result<Option<Event>, Failure> {
        let Some(message) = &self.message else {
            return Ok(None);
        };
        let payload = serde_json::from_str::<&RawValue>(message).ok();
        let payload = payload.filter(|payload| payload.get().starts_with('{'));
        let payload = payload.ok_or_else(|| {
            let sentence = "--message is not a JSON object; send one, as in '{\"n\":1}'";
            Failure::Setting(sentence.to_owned())
        })?;
        let event_id = self.event_id.clone();
        let event_id =
            event_id.unwrap_or_else(|| uuid::random().expect("the system has random bytes"));
        let text = |value: &Option<String>| Value::from(value.as_deref().unwrap_or_default());
        let text = format!(
            "{{\"topic\":{},\"event_id\":{},\"timestamp\":\"{}\",\"source\":{},\"payload\":{}}}",
            text(&defaults.topic),
            Value::from(event_id.as_str()),
            now(),
            text(&defaults.source),
            // No string has a line end in it.
            payload.get().replace(['\n', '\r'], " "),
        );
        Ok(Some(Event { event_id, text }))
    }
}

/// Publishes the event and prints its id. Reports if it, or another of its key, is stored already.
pub(super) fn run(event: &Event, arguments: &ClientArgs) -> Result<(), Failure> {
    let client = client_of(arguments, GIVE_UP)?;
    let mut batch = Batch::default();
    batch.push(event.text.as_bytes());
    let mut rejected = None;
    publish(&client, &batch, &mut |_, result| match result {
        EventResult::Accepted => {}
        // Its first answer may have been lost.
        EventResult::Duplicate => client.report("this event is stored already"),
        EventResult::Conflict => {
            client.report("an event of this key is stored with another content, and stays");
        }
        EventResult::Rejected(reason) => rejected = Some(reason),
    })?;
    if let Some(reason) = rejected {
        return Err(Failure::Failed(reason));
    }
    print(format!("{}\n", escaped(&event.event_id)).as_bytes())
}
