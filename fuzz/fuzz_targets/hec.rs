//! A body of Splunk's HTTP Event Collector.
#![no_main]

#[path = "../../tests/corpus/hec.rs"]
mod hec;

libfuzzer_sys::fuzz_target!(|input: &[u8]| hec::check(input));
