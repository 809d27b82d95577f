//! What a reader looks for, and whether an event matches: the filters of `/events`, `/subscribe`, `/histogram` and
//! `/fields`. It is pure: it knows neither the store nor HTTP, and allocates nothing for an event that it looks at.

mod candidate;
mod condition;
mod error;
mod filters;
mod haystack;
mod instant;
mod number;
mod path;
mod range;
mod reader;
mod term;
mod text;
mod texts;
mod words;

pub use candidate::Candidate;
pub use condition::{Condition, PathFilter, Sides};
pub use error::FilterError;
pub use filters::Filters;
pub(crate) use instant::moment_is_relative;
pub use instant::Instant;
pub use path::{Found, Path};
pub use range::{TimeKind, TimeRange};
pub use reader::Scalar;
pub use term::{is_word_byte, Term};
pub use text::{Decoder, Text};
pub use texts::each_text;
pub use words::Words;
