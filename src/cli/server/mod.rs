//! The commands that run a server, or work on its database file beside one or without one.

pub(super) mod backup;
pub(super) mod check;
pub(super) mod checkpoint;
pub(super) mod convert;
pub(super) mod healthcheck;
pub(super) mod serve;
