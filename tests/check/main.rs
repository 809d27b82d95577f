//! `logagg check`, `convert`, `backup` and `restore`: the built program against databases that the store
//! made, and against the same ones with one thing changed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod backups;
mod conversions;
mod damage;
mod databases;
#[path = "../server/harness/directory.rs"]
mod directory;
mod pages;
mod rebuild;
mod refusals;
mod retention;
mod whole;
