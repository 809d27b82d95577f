//! Bounds of what a search may ask.

/// Values of `source`, and of `event_id`, in one request.
pub const NAME_FILTERS_MAX: usize = 64;
/// Values of `q`, and terms in all of them together.
pub const Q_MAX: usize = 8;
pub const TERMS_MAX: usize = 32;
/// Bytes of a term's text.
pub const TERM_MAX_BYTES: usize = 256;
/// Values of `where`, bytes of each, and steps of its path.
pub const WHERE_MAX: usize = 32;
pub const WHERE_MAX_BYTES: usize = 512;
pub const PATH_STEPS_MAX: usize = 16;
/// Digits of an age.
pub const AGE_MAX_DIGITS: usize = 9;
