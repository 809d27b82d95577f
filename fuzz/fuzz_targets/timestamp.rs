//! Timestamps of events.
#![no_main]

#[path = "../../tests/corpus/timestamp.rs"]
mod timestamp;

libfuzzer_sys::fuzz_target!(|input: &[u8]| timestamp::check(input));
