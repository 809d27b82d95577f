//! `search --fields`: which members the events have, and their values.

use serde::Deserialize;

use super::arguments::{Limit, SearchArgs};
use crate::cli::client::filters::Query;
use crate::cli::client::show::{level_colour, Ink};
use crate::cli::failure::Failure;
use crate::cli::terminal::{grouped, print, print_answer};
use crate::client::{percent_encoded, Client};
use crate::text::escaped;

/// The most values of a field that a server returns.
const VALUES_MAX: usize = 100;

/// The answer of `GET /fields`.
#[derive(Deserialize)]
struct Fields {
    fields: Vec<Field>,
    matched: u64,
    scanned: u64,
    complete: bool,
}

#[derive(Deserialize)]
struct Field {
    field: String,
    count: u64,
    distinct: u64,
    values: Vec<Value>,
    rest: u64,
}

#[derive(Deserialize)]
struct Value {
    value: String,
    count: u64,
}

/// Asks, prints the fields, and returns how many events match.
pub(super) fn run(
    client: &Client,
    arguments: &SearchArgs,
    query: &Query,
) -> Result<usize, Failure> {
    // By default, as many as the server decides.
    let limit = match arguments.limit {
        None => String::new(),
        Some(Limit::All) => format!("limit={VALUES_MAX}"),
        Some(Limit::Newest(number)) => format!("limit={}", number.min(VALUES_MAX)),
    };
    let mut target = format!("/fields?{limit}{}", query.text()).replacen("?&", "?", 1);
    for field in &arguments.by {
        target += "&by=";
        target += &percent_encoded(field);
    }
    let answer = client.persist(|| client.get(&target));
    let body = answer.map_err(|error| query.failure(error))?;
    let fields: Fields = client
        .read_json(&body)
        .map_err(|error| query.failure(error))?;
    if arguments.json {
        let text = String::from_utf8_lossy(body.trim_ascii_end());
        print_answer(escaped(&text).as_bytes())?;
    } else {
        let mut ink = Ink::new(arguments.color.is_wanted(), &[]);
        fields.show(&mut ink);
        print(ink.out.as_bytes())?;
    }
    if !fields.complete {
        let scanned = grouped(fields.scanned);
        client.report(&format!("only the newest {scanned} events were looked at"));
    }
    Ok(usize::try_from(fields.matched).unwrap_or(usize::MAX))
}

impl Fields {
    fn show(&self, ink: &mut Ink) {
        for field in &self.fields {
            let digits = grouped(field.count).len();
            let (count, distinct) = (grouped(field.count), grouped(field.distinct));
            let unit = if field.distinct == 1 {
                "value"
            } else {
                "values"
            };
            ink.colour(1);
            ink.out += &escaped(&field.field);
            ink.colour(0);
            ink.out += &format!("  {count} events, {distinct} {unit}\n");
            for Value { value, count } in &field.values {
                ink.out += &format!("  {:>digits$}  ", grouped(*count));
                ink.colour(level_colour(value));
                ink.out += &escaped(value);
                ink.colour(0);
                ink.out.push('\n');
            }
            if field.rest > 0 {
                ink.out += &format!("  {:>digits$}  (other)\n", grouped(field.rest));
            }
        }
        ink.out += &format!("{} events match\n", grouped(self.matched));
    }
}
