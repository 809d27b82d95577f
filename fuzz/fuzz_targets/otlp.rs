//! The body of `POST /v1/logs`, in protobuf and in JSON.
#![no_main]

#[path = "../../tests/corpus/otlp.rs"]
mod otlp;

libfuzzer_sys::fuzz_target!(|input: &[u8]| otlp::check(input));
