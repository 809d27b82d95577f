//! Content codings of request bodies.
#![no_main]

#[path = "../../tests/corpus/encoding.rs"]
mod encoding;

libfuzzer_sys::fuzz_target!(|input: &[u8]| encoding::check(input));
