//! Objects of MessagePack.
#![no_main]

#[path = "../../tests/corpus/msgpack.rs"]
mod msgpack;

libfuzzer_sys::fuzz_target!(|input: &[u8]| msgpack::check(input));
