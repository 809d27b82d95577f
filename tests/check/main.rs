//! `logagg check` and `logagg convert`: the built program against databases that the store made, and
//! against the same ones with one thing changed.

mod conversions;
mod damage;
mod databases;
#[allow(dead_code)]
#[path = "../server/harness/directory.rs"]
mod directory;
mod pages;
mod refusals;
mod retention;
mod whole;
