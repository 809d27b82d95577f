//! OTLP logs in both encodings: nothing panics, each payload is one that may be stored, and what is read does not
//! depend on how many records are read at a time.
//!
//! The input is a body.

use logagg::event::payload_error;
use logagg::ingest::otlp::dry_run;

/// More records than an input can bring.
const MANY: usize = 1 << 20;

pub fn check(body: &[u8]) {
    for is_json in [false, true] {
        let whole = dry_run(body, is_json, MANY);
        if let Ok(run) = &whole {
            for [.., payload] in &run.events {
                assert_eq!(payload_error(payload), None, "{payload}");
            }
        }
        let mut parts = dry_run(body, is_json, 1);
        if let (Ok(parts), Ok(whole)) = (&mut parts, &whole) {
            for (part, event) in parts.events.iter_mut().zip(&whole.events) {
                // An id that is made of the time of receipt is another one each time.
                if part[1].len() == 36 && event[1].len() == 36 {
                    part[1].clone_from(&event[1]);
                }
            }
        }
        assert_eq!(parts, whole);
    }
}
