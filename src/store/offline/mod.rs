//! What the commands do with a database, without a server or beside one: they check it, copy it, and change its
//! duplicate check. Nothing in here is used while a server runs.

pub(super) mod backup;
pub(super) mod check;
pub(super) mod convert;
pub(super) mod rebuild;
mod remake;
mod snapshot;
