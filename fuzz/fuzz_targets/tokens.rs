//! The tokens file, and credentials.
#![no_main]

#[path = "../../tests/corpus/tokens.rs"]
mod tokens;

libfuzzer_sys::fuzz_target!(|input: &[u8]| tokens::check(input));
