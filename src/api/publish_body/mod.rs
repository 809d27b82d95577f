//! The body of `POST /publish`: bytes in, events or a list of what is wrong out.
//!
//! One pass over the text takes a body that is plain and right (`quick`). Whatever else comes is read
//! again from the front by `serde_json`, as far as the grammar goes (`reader`), which finds all that is
//! wrong and tells where. There every value is taken as [`RawValue`](serde_json::value::RawValue), so neither
//! a number's range nor the depth of nesting can make valid JSON (RFC 8259) look broken, nothing is built as
//! a tree, and each text is a slice of the body, so that its offset is known. That offset also tells, as
//! serde does not, which kind of value comes next.
//!
//! This module counts and refuses; it must never decide what is a duplicate or what is stored.

mod members;
mod parsed;
mod quick;
mod reader;
#[cfg(test)]
mod tests;

use super::detail::Details;
use crate::event::{EventSpans, Publication};
use crate::limits::BODY_CEILING_BYTES;

pub use parsed::{BodyError, Parsed, RejectedBody};

/// Reads the events out of a decoded `body`, at most [`BODY_CEILING_BYTES`] long.
///
/// `events` is a buffer that is reused; what it holds is discarded. With `partial`, events that break
/// a rule are left out instead of refusing all; a body that is not JSON or holds no event at all is
/// refused nevertheless. Reading ends with the event after the `max_events`th.
pub fn parse(
    mut body: Vec<u8>,
    mut events: Vec<EventSpans>,
    partial: bool,
    max_events: usize,
) -> Result<Parsed, RejectedBody> {
    assert!(
        body.len() <= BODY_CEILING_BYTES,
        "the body limit is checked"
    );
    events.clear();
    let outcome = match std::str::from_utf8(&body) {
        Ok(marked) => {
            let text = marked.strip_prefix('\u{feff}').unwrap_or(marked);
            let text_start = marked.len() - text.len();
            match quick::read(text, text_start, &mut events, max_events) {
                Some(appended) => Ok(reader::ReadEvents {
                    appended,
                    ..reader::ReadEvents::default()
                }),
                None => {
                    events.clear();
                    reader::read(text, text_start, &mut events, max_events)
                }
            }
        }
        Err(error) => {
            let msg = format!("body is not UTF-8 at byte {}", error.valid_up_to());
            Err((BodyError::Invalid(Details::body(msg)), 1))
        }
    };
    let (error, rejected) = match outcome {
        Ok(outcome) if partial || outcome.rejected.is_empty() => {
            body.extend_from_slice(&outcome.appended);
            return Ok(Parsed {
                publication: Publication {
                    body,
                    events,
                    ..Publication::default()
                },
                rejected: outcome.rejected,
                errors: outcome.errors,
            });
        }
        Ok(outcome) => (
            BodyError::Invalid(outcome.errors),
            outcome.rejected.len() as u64,
        ),
        Err(error) => error,
    };
    events.clear();
    Err(RejectedBody {
        error,
        rejected,
        body,
        events,
    })
}
