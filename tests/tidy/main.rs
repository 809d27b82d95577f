//! The project's rules that a compiler does not know: who may name whom, and what a source file looks
//! like. Each test lists every place that breaks its rule. Also the script that tells flaky tests from broken ones.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod again;
mod circles;
#[allow(dead_code, reason = "other tests need the rest")]
#[path = "../server/harness/directory.rs"]
mod directory;
mod functions;
mod layers;
mod pages;
mod reliability;
mod source;
mod style;
mod transactions;
