//! What a reader looks for, and whether an event matches: the filters of `/events`, `/subscribe`, `/histogram` and
//! `/fields`. It is pure: it knows neither the store nor HTTP, and allocates nothing for an event that it looks at.

mod candidate;
mod error;
mod filters;
mod instant;
mod range;

pub use candidate::Candidate;
pub use error::FilterError;
pub use filters::Filters;
pub(crate) use instant::moment_is_relative;
pub use instant::Instant;
pub use range::{TimeKind, TimeRange};
