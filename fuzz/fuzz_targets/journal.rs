//! The Journal Export Format, cut anywhere.
#![no_main]

#[path = "../../tests/corpus/journal.rs"]
mod journal;

libfuzzer_sys::fuzz_target!(|input: &[u8]| journal::check(input));
