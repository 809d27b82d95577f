//! Writing JSON into memory by hand, where building a tree first would cost more than the answer.

use std::fmt::Arguments;
use std::io::Write;

/// Appends formatted text.
pub fn write_to(out: &mut Vec<u8>, text: Arguments) {
    out.write_fmt(text).expect("a Vec takes every write");
}

/// Appends a string with its quotes and escapes.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a string always serialises into memory");
}
