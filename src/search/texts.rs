//! The texts of an event: what a term can be found in.

use std::ops::ControlFlow;

use super::candidate::Candidate;
use super::reader::{Reader, Scalar, Token};
use super::text::Text;

/// Hands each text of an event to `take`, until that breaks off: topic, event id, source, and each string and number of
/// the payload. Names of members, `true`, `false` and `null` are none.
pub fn each_text(
    event: &Candidate,
    take: &mut dyn FnMut(Text) -> ControlFlow<()>,
) -> ControlFlow<()> {
    for name in [event.topic, event.event_id, event.source] {
        take(Text::plain(name))?;
    }
    each_payload_text(event.payload, take)
}

/// The same for a payload alone.
pub(super) fn each_payload_text(
    payload: &[u8],
    take: &mut dyn FnMut(Text) -> ControlFlow<()>,
) -> ControlFlow<()> {
    match Reader::of_object(payload) {
        Some(mut reader) => members(&mut reader, take),
        None => ControlFlow::Continue(()),
    }
}

/// The nesting is bounded by that of a payload, and so is the stack.
fn members(reader: &mut Reader, take: &mut dyn FnMut(Text) -> ControlFlow<()>) -> ControlFlow<()> {
    while reader.name().is_some() {
        value(reader, take)?;
    }
    ControlFlow::Continue(())
}

fn value(reader: &mut Reader, take: &mut dyn FnMut(Text) -> ControlFlow<()>) -> ControlFlow<()> {
    match reader.value() {
        Some(Token::Object) => members(reader, take),
        Some(Token::Array) => {
            while reader.element() {
                value(reader, take)?;
            }
            ControlFlow::Continue(())
        }
        Some(Token::Scalar(scalar @ (Scalar::String(_) | Scalar::Number(_)))) => {
            take(scalar.text())
        }
        _ => ControlFlow::Continue(()),
    }
}
