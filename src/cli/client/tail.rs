//! `tail`: shows events as they come.

use std::collections::VecDeque;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;

use super::connect::client_of;
use super::filters::{FilterArgs, Query};
use super::pages::collect_newest;
use super::show::Printer;
use super::subscriptions::{failure, NamedPosition};
use crate::cli::failure::Failure;
use crate::cli::terminal::Colour;
use crate::client::{Client, ClientArgs, Error, GiveUp, Head, Item, Origin, Reset, Subscription};

/// Show the newest events and follow new ones
///
/// Reconnects after a lost connection; no event is left out and none is shown twice. If the server
/// then has another database, as after a restore, it says so and continues with the first event that differs, or
/// starts again if the two are not known to have anything in common.
///
/// With --subscription it shows the events after the position of a named subscription, and acknowledges what it has
/// printed; after a kill it shows the last events again. logagg subscriptions create makes one.
#[derive(Debug, Args)]
pub struct TailArgs {
    /// Topics to show; one with * at the end is a prefix; none means all
    #[arg(value_name = "TOPIC")]
    topics: Vec<String>,

    /// Number of newest events to begin with; 10, or with --since all of them
    #[arg(short, long, value_name = "EVENTS")]
    number: Option<usize>,

    /// Begin at this seq, at the start, or now, instead of with the newest events
    #[arg(long, value_name = "SEQ|start|now", conflicts_with = "number")]
    from: Option<Begin>,

    /// Begin after the position of this named subscription, and acknowledge what has been printed
    #[arg(long, value_name = "NAME", conflicts_with_all = ["number", "from"])]
    subscription: Option<String>,

    /// Stop after the stored events
    #[arg(long)]
    no_follow: bool,

    /// Print each event as the server sends it, one JSON object a line
    #[arg(long)]
    json: bool,

    /// When to colour
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    color: Colour,

    /// The same as --q
    #[arg(long, value_name = "WORDS", allow_hyphen_values = true)]
    grep: Vec<String>,

    #[command(flatten)]
    filters: FilterArgs,

    #[command(flatten)]
    client: ClientArgs,
}

/// The newest events that are shown where nothing is said.
const NUMBER: usize = 10;

/// A pause before beginning again: a name of several servers could otherwise keep it busy.
const BEGIN_AGAIN_PAUSE: Duration = Duration::from_secs(1);

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begin {
    Start,
    Now,
    Seq(u64),
}

impl FromStr for Begin {
    type Err = String;

    fn from_str(text: &str) -> Result<Begin, String> {
        match text {
            "start" => Ok(Begin::Start),
            "now" => Ok(Begin::Now),
            _ => match text.parse() {
                Ok(seq) => Ok(Begin::Seq(seq)),
                Err(_) => Err("neither a seq nor start nor now".to_owned()),
            },
        }
    }
}

/// Shows events until there are no more to show, standard output has no reader, or a signal comes.
pub(crate) fn run(arguments: TailArgs) -> Result<(), Failure> {
    let follows = !arguments.no_follow;
    match show(arguments) {
        // A `tail` that follows ends only so, so its reader has seen what it wanted.
        Err(Failure::ReaderGone) if follows => Ok(()),
        result => result,
    }
}

fn show(arguments: TailArgs) -> Result<(), Failure> {
    let client = client_of(&arguments.client, GiveUp::Never)?;
    client.interrupt().watch_output();
    let query = arguments
        .filters
        .query(&arguments.topics, &arguments.grep, &[])
        .fixed(&client)?;
    let printer = Printer::new(arguments.json, arguments.color, query.terms());
    let mut tail = Tail {
        client: &client,
        arguments: &arguments,
        query: &query,
        printer,
        origin: None,
        acknowledged: 0,
    };
    let mut begun = tail.begin(u64::MAX)?;
    while let Some(after) = begun {
        let subscription = Subscription::new(
            &client,
            &query.for_stream(query.text()),
            after,
            !arguments.no_follow,
        );
        begun = tail.follow(subscription)?;
    }
    Ok(())
}

struct Tail<'a> {
    client: &'a Client,
    arguments: &'a TailArgs,
    query: &'a Query,
    printer: Printer,
    /// The origin of the restored database that was examined last.
    origin: Option<Origin>,
    /// The position of the named subscription.
    acknowledged: u64,
}

impl Tail<'_> {
    /// Shows the newest events, where they are wanted. Returns the seq after which to go on; none if
    /// there is nothing to go on with. A seq that was named is no greater than `last_seq`.
    fn begin(&mut self, last_seq: u64) -> Result<Option<u64>, Failure> {
        if let Some(name) = &self.arguments.subscription {
            self.acknowledged = NamedPosition::fetch(self.client, name)?.after;
            return Ok(Some(self.acknowledged));
        }
        match self.arguments.from {
            Some(Begin::Start) => Ok(Some(0)),
            Some(Begin::Now) => Ok(Some(self.fetch_head()?.last_seq)),
            Some(Begin::Seq(seq)) => Ok(Some(seq.saturating_sub(1).min(last_seq))),
            None if self.arguments.number.is_none() && self.arguments.filters.has_since() => {
                Ok(Some(0))
            }
            None => {
                // Asked before the page: events that come between the two are followed.
                let head = self.fetch_head()?.last_seq;
                let mut after = head;
                let number = self.arguments.number.unwrap_or(NUMBER);
                let mut newest = VecDeque::new();
                collect_newest(self.client, &self.query.text(), number, &mut newest)
                    .map_err(|error| self.query.failure(error))?;
                for event in &newest {
                    after = self.printer.event(event.get().as_bytes())?;
                }
                self.printer.flush()?;
                if !self.query.is_topics_only() {
                    // What did not match need not be searched again.
                    after = after.max(head);
                }
                Ok(Some(after).filter(|_| !self.arguments.no_follow))
            }
        }
    }

    fn fetch_head(&mut self) -> Result<Head, Error> {
        let head = Head::fetch(self.client)?;
        self.origin.clone_from(&head.restored_from);
        Ok(head)
    }

    /// Shows what comes. Returns the seq after which to go on where the server has another history.
    fn follow(&mut self, mut subscription: Subscription) -> Result<Option<u64>, Failure> {
        while self.wait(&mut subscription)? {
            while let Some(item) = subscription.take()? {
                match item {
                    Item::Event { line, .. } => drop(self.printer.event(line)?),
                    Item::Gap { from, to } => self.client.report(&gap(from, to)),
                    Item::Reset(reset) => {
                        self.printer.flush()?;
                        let (after, id) = (subscription.after(), subscription.database_id());
                        return self.begin_again(&reset, after, id);
                    }
                }
            }
            self.printer.flush()?;
            self.acknowledge(subscription.after())?;
        }
        Ok(None)
    }

    fn wait(&self, subscription: &mut Subscription) -> Result<bool, Failure> {
        let result = subscription.wait();
        result.map_err(|error| self.query.failure(error))
    }

    /// Moves the named subscription, where there is one, to what has been printed. Once for each read is often enough:
    /// while it waits for the answer, more comes.
    fn acknowledge(&mut self, seq: u64) -> Result<(), Failure> {
        let Some(name) = &self.arguments.subscription else {
            return Ok(());
        };
        if seq > self.acknowledged {
            match NamedPosition::acknowledge(self.client, name, seq) {
                Ok(_) => self.acknowledged = seq,
                // The server has another database now. The stream finds that too.
                Err(error) if error.status() == Some(422) => {}
                Err(error) => return Err(failure(name, error)),
            }
        }
        Ok(())
    }

    /// Returns what has happened, and finds out where to go on: after the last event that is in both
    /// histories, or where it began.
    fn begin_again(
        &mut self,
        reset: &Reset,
        after: u64,
        database_id: Option<&str>,
    ) -> Result<Option<u64>, Failure> {
        if let Some(name) = &self.arguments.subscription {
            let what = format!("going on where the subscription {name:?} stands in it");
            self.client.report(&format!("{reset}; {what}"));
            self.client.interrupt().sleep(BEGIN_AGAIN_PAUSE)?;
            return self.begin(u64::MAX);
        }
        let origin = self.origin.take();
        let head = self.fetch_head()?;
        let shared = database_id.and_then(|id| head.shares(id, origin.as_ref()));
        // A database with the same id is a copy that was put back, and it is not known of which moment.
        let shared = shared.filter(|_| head.database_id.as_deref() != database_id);
        if let Some(shared) = shared {
            let after = after.min(shared).min(head.last_seq);
            let what =
                format!("up to seq {shared} it has the same events; going on after seq {after}");
            self.client.report(&format!("{reset}; {what}"));
            return Ok(Some(after));
        }
        self.client.report(&format!("{reset}; beginning again"));
        self.client.interrupt().sleep(BEGIN_AGAIN_PAUSE)?;
        self.begin(head.last_seq)
    }
}

/// The sentence for events that cannot be shown any more.
pub(crate) fn gap(from: u64, to: u64) -> String {
    format!("the events from seq {from} to {to} have been removed by the server")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_where_it_is_told_to() {
        assert_eq!("start".parse(), Ok(Begin::Start));
        assert_eq!("now".parse(), Ok(Begin::Now));
        assert_eq!("7".parse(), Ok(Begin::Seq(7)));
        for text in ["", "-1", "end", "7 "] {
            assert!(text.parse::<Begin>().is_err(), "{text}");
        }
    }
}
