//! The body of `POST /publish`.
#![no_main]

#[path = "../../tests/corpus/json_model.rs"]
mod json_model;
#[path = "../../tests/corpus/publish.rs"]
mod publish;
#[path = "../../tests/corpus/timestamp.rs"]
mod timestamp;

libfuzzer_sys::fuzz_target!(|input: &[u8]| publish::check(input));
