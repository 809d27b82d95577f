//! What a reader looks for, and whether an event matches: the filters of `/events`, `/subscribe`, `/histogram` and
//! `/fields`. It is pure: it knows neither the store nor HTTP, and allocates nothing for an event that it looks at.

mod buckets;
mod candidate;
mod condition;
mod effort;
mod error;
mod field;
mod fields;
mod filters;
mod found_fields;
mod histogram;
mod instant;
mod matcher;
mod number;
mod parse_condition;
mod parse_terms;
mod path;
mod path_filter;
mod range;
mod reader;
mod strings;
mod tally;
mod term;
mod term_match;
mod text;
mod tokens;
mod walk;

pub use buckets::{Buckets, Division};
pub use candidate::Candidate;
pub use condition::{Condition, Sides};
pub use effort::Effort;
pub use error::FilterError;
pub use field::Field;
pub use fields::{FieldCounts, Fields};
pub use filters::{Filters, Part, Verdict};
pub use histogram::{Histogram, Series};
pub(crate) use instant::moment_is_relative;
pub use instant::Instant;
pub use matcher::Matcher;
pub use path::{Found, Path};
pub use path_filter::PathFilter;
pub use range::{TimeKind, TimeRange};
pub use reader::Scalar;
pub(crate) use reader::{Reader, Token};
pub use term::{is_word_byte, Term};
pub use text::{Decoder, Text};
