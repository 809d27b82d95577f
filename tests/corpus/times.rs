//! Times in lines of log files: whatever a line is, what is found is a timestamp that an event may have, and
//! colours and blanks around the line change nothing.

use logagg::cli::client::ship::times::{in_line, in_value};
use logagg::event::timestamp_is_valid;

const NOW: &str = "2026-11-30T12:00:00Z";

pub fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let found = in_line(&text, NOW);
    for found in [&found, &in_value(&text, NOW)].into_iter().flatten() {
        let timestamp = &found.timestamp;
        assert!(timestamp_is_valid(timestamp.as_bytes()), "{timestamp}");
    }
    if let Some(found) = found.filter(|_| input.len() < 100) {
        let coloured = format!(" \u{1b}[31m{text}");
        assert_eq!(in_line(&coloured, NOW), Some(found), "{text:?}");
    }
}
