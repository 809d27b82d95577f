//! The key index against SQLite's own constraint, and against failures, crashes and damage.
//!
//! Each random run prints its seed. `SEEDS=40` makes more runs, `SEED=7` one of them alone.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod audit;
mod collisions;
mod damage;
mod differential;
mod filled;
mod harness;
mod interruption;
mod memory;
mod repair;
mod retention;
mod version_3;
