//! The key index of the store.
#![no_main]

#[path = "../../tests/corpus/keys.rs"]
mod keys;

libfuzzer_sys::fuzz_target!(|input: &[u8]| keys::check(input));
