//! How values of lower layers are written on the command line.

use std::str::FromStr;

use clap::builder::PossibleValue;
use clap::ValueEnum;

use crate::limits;
use crate::logging::{Format, LogDuplicates};
use crate::store::{Dedup, Durability, Limit, RejectedLimit, SearchIndex};

impl FromStr for Limit {
    type Err = String;

    /// Reads a whole number and its unit: `7d`, `50GB`. A MB is a million bytes.
    fn from_str(text: &str) -> Result<Limit, String> {
        const FORMS: &str =
            "it must be a whole number followed by s, m, h, d, MB or GB, as in 7d or 50GB";
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let of = |units: &[(&str, u64)]| {
            let named = units.iter().find(|(name, _)| *name == unit);
            named.map(|(_, factor)| *factor)
        };
        let (age, size) = (of(&Limit::AGES), of(&Limit::SIZES));
        let Some(factor) = age.or(size).filter(|_| !number.is_empty()) else {
            return Err(FORMS.to_owned());
        };
        let value = number
            .parse()
            .ok()
            .and_then(|number: u64| number.checked_mul(factor))
            .filter(|value| *value <= limits::RETAIN_MAX)
            .ok_or("it is too large")?;
        match value {
            0 => Err("it must be at least 1".to_owned()),
            _ if age.is_some() => Ok(Limit::Age(value as i64)),
            _ => Ok(Limit::Size(value)),
        }
    }
}

impl FromStr for RejectedLimit {
    type Err = String;

    /// Reads a whole number, or one with its unit: `10000`, `7d`, `1GB`.
    fn from_str(text: &str) -> Result<RejectedLimit, String> {
        const FORMS: &str = "it must be a whole number, also followed by s, m, h, d, MB or GB, as in 10000, 7d or 1GB";
        if text.is_empty() || !text.starts_with(|first: char| first.is_ascii_digit()) {
            return Err(FORMS.to_owned());
        }
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            let number = text.parse().ok();
            let number = number.filter(|number| *number <= limits::RETAIN_MAX);
            return Ok(RejectedLimit::Count(number.ok_or("it is too large")?));
        }
        text.parse().map(RejectedLimit::Within)
    }
}

/// Gives a type of a lower layer the names that it has on the command line.
macro_rules! named_values {
    ($type:ty, $($name:literal => $value:expr, $help:literal;)+) => {
        impl ValueEnum for $type {
            fn value_variants<'a>() -> &'a [Self] {
                &[$($value),+]
            }

            fn to_possible_value(&self) -> Option<PossibleValue> {
                $(if *self == $value {
                    return Some(PossibleValue::new($name).help($help));
                })+
                None
            }
        }
    };
}

named_values!(Durability,
    "full" => Durability::Full, "An answered event survives a power failure";
    "normal" => Durability::Normal, "An answered event survives a crash of the process";
);
named_values!(SearchIndex,
    "words" => SearchIndex::Words, "Summaries of blocks of events, made in quiet turns";
    "off" => SearchIndex::Off, "None: each search goes through the events";
);
named_values!(Dedup,
    "index" => Dedup::Index, "The key index: as fast as appending, whatever the ids";
    "constraint" => Dedup::Constraint, "A UNIQUE constraint of SQLite";
);
named_values!(LogDuplicates,
    "each" => LogDuplicates::Each, "A line for each";
    "summary" => LogDuplicates::Summary, "A line with their number, once a second";
    "off" => LogDuplicates::Off, "Nothing";
);
named_values!(Format,
    "text" => Format::Text, "Time, level and message";
    "json" => Format::Json, "One JSON object a line";
);
