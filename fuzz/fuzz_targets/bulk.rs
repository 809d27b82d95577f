//! A bulk body of Elasticsearch.
#![no_main]

#[path = "../../tests/corpus/bulk.rs"]
mod bulk;

libfuzzer_sys::fuzz_target!(|input: &[u8]| bulk::check(input));
