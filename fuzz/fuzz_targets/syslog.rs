//! A stream of syslog: its framing, and each message as a payload.
#![no_main]

#[path = "../../tests/corpus/syslog.rs"]
mod syslog;

libfuzzer_sys::fuzz_target!(|input: &[u8]| syslog::check(input));
