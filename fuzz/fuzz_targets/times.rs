//! Times in lines of log files.
#![no_main]

#[path = "../../tests/corpus/times.rs"]
mod times;

libfuzzer_sys::fuzz_target!(|input: &[u8]| times::check(input));
