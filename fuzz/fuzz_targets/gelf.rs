//! Chunks of GELF.
#![no_main]

#[path = "../../tests/corpus/gelf.rs"]
mod gelf;

libfuzzer_sys::fuzz_target!(|input: &[u8]| gelf::check(input));
