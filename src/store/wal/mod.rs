//! The write-ahead log: copying it into the database, and proving that it is on the disk.

pub(super) mod copier;
pub(super) mod file;
pub(super) mod position;
pub(super) mod recovery;
