//! The commands that are clients: the built program against servers that it runs itself, and against a
//! stand-in that answers what no good server would.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod exporting;
mod failures;
mod fake;
mod faulty;
mod filtering;
#[allow(
    dead_code,
    unused_imports,
    reason = "the tests of the server need the rest"
)]
#[path = "../server/harness/mod.rs"]
mod harness;
mod histories;
mod importing;
mod measuring;
mod members;
mod outputs;
mod pipes;
mod program;
mod publishing;
#[allow(dead_code, reason = "the tests of the server need the rest")]
#[path = "../server/random.rs"]
mod random;
mod restarts;
mod searching;
mod settings;
mod shipping;
mod showing;
mod signals;
mod simulating;
mod subscribing;
mod tailing;
mod terminal;
#[path = "../server/wait.rs"]
mod wait;
