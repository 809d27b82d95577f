//! What `search` is told.

use std::str::FromStr;

use clap::Args;

use crate::cli::client::filters::FilterArgs;
use crate::cli::terminal::Colour;
use crate::client::ClientArgs;

/// Find events by words, conditions and times
///
/// Prints the newest events that match, the oldest of them first. A word such as declined, 10.2.3.4, 'time*' or
/// '"card expired"' must be in one of an event's texts; level=error or 'ms>500' is a condition on its payload; -debug,
/// or --not debug, must not be there. All must hold; conditions with = on the same member are alternatives.
///
/// The exit code is 0 if something was found, 1 if nothing was, 2 for a wrong query, and 3 if the server could not be
/// asked.
#[derive(Debug, Args)]
pub struct SearchArgs {
    /// Words, and conditions on the payload
    #[arg(value_name = "WORDS")]
    pub(super) words: Vec<String>,

    /// Word that no text of an event may have; may be repeated
    #[arg(long, value_name = "WORD", allow_hyphen_values = true)]
    pub(super) not: Vec<String>,

    /// Greatest number of events to print, the newest ones, or all; with --fields, of values of a field
    ///
    /// The default is 100 events. With all, they are printed as they are found.
    #[arg(long, value_name = "N|all")]
    pub(super) limit: Option<Limit>,

    /// Print each event as the server sends it, one JSON object a line
    #[arg(long)]
    pub(super) json: bool,

    /// Print how many events match, by time; without --since in the last hour
    #[arg(long, conflicts_with = "fields")]
    pub(super) count: bool,

    /// List the members of the payloads, and their values
    #[arg(long)]
    pub(super) fields: bool,

    /// Count by topic, source, or a member as in level; with --fields the field to show, may be repeated
    #[arg(long, value_name = "FIELD")]
    pub(super) by: Vec<String>,

    #[command(flatten)]
    pub(super) filters: FilterArgs,

    /// When to colour
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(super) color: Colour,

    #[command(flatten)]
    pub(super) client: ClientArgs,
}

/// How many events to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    All,
    Newest(usize),
}

impl Limit {
    /// Where nothing is said.
    pub(super) const DEFAULT: Limit = Limit::Newest(100);
}

impl FromStr for Limit {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Limit, &'static str> {
        match text.parse() {
            Ok(number @ 1..) => Ok(Limit::Newest(number)),
            _ if text == "all" => Ok(Limit::All),
            _ => Err("neither a number from 1 on nor all"),
        }
    }
}
