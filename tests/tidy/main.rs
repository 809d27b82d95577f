//! The project's rules that a compiler does not know: who may name whom, and what a source file looks
//! like. Each test lists every place that breaks its rule.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod circles;
mod functions;
mod layers;
mod pages;
mod reliability;
mod source;
mod style;
mod transactions;
