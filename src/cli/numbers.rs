//! Numbers as arguments: within bounds, and as parts of a whole.

use std::ops::RangeInclusive;

use clap::builder::{RangedU64ValueParser, TypedValueParser};

/// Reads a whole number within bounds.
pub(super) fn within(bounds: RangeInclusive<u64>) -> impl TypedValueParser<Value = usize> {
    let parser = RangedU64ValueParser::<u64>::new().range(bounds);
    parser.map(|number| usize::try_from(number).unwrap_or(usize::MAX))
}

/// A number of parts in a thousand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share(pub u16);

/// Reads a share: a number from 0 to 1, or a percentage as in `30%`. It is rounded to thousandths.
pub(super) fn share(text: &str) -> Result<Share, String> {
    let (number, whole) = match text.trim().strip_suffix('%') {
        Some(percents) => (percents, 100.0),
        None => (text.trim(), 1.0),
    };
    let value: f64 = number.parse().unwrap_or(f64::NAN);
    match (0.0..=whole).contains(&value) {
        true => Ok(Share((value / whole * 1_000.0).round() as u16)),
        false => Err("a share is a number from 0 to 1, as in 0.3, or as in 30%".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::{share, Share};

    #[test]
    fn shares_are_parts_or_percentages() {
        for (text, per_mille) in [
            ("0", 0),
            ("1", 1_000),
            ("0.3", 300),
            (" .125 ", 125),
            ("100%", 1_000),
            ("2.5%", 25),
        ] {
            assert_eq!(share(text), Ok(Share(per_mille)), "{text}");
        }
        for text in ["", "-0.1", "1.1", "101%", "a", "NaN", "inf", "%"] {
            assert!(share(text).is_err(), "{text}");
        }
    }
}
