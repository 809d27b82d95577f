//! The two clocks as one value. The reactor reads them once a turn and passes the reading down;
//! nothing below `net` may ask the operating system for the time.

mod civil;
mod now;
mod stamp;
mod steady;

pub use civil::{rfc3339, Civil};
pub(crate) use now::earlier;
pub use now::Now;
pub use stamp::Stamp;
pub use steady::SteadyClock;
