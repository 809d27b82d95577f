//! Filters of a query, and the payloads that they are to find.
#![no_main]

#[path = "../../tests/corpus/filters.rs"]
mod filters;

libfuzzer_sys::fuzz_target!(|input: &[u8]| filters::check(input));
