//! One HTTP connection: bytes, split points, and whatever else happens to it.
#![no_main]

#[path = "../../tests/corpus/connection.rs"]
mod connection;
#[path = "../../tests/corpus/http_model.rs"]
mod http_model;
#[path = "../../tests/http/machine.rs"]
mod machine;

libfuzzer_sys::fuzz_target!(|input: &[u8]| connection::check(input));
