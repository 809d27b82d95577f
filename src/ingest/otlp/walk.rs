//! What the readers of both encodings have in common.

use crate::ingest::records::Records;

/// The attribute of a record that is its identity, by OpenTelemetry's semantic conventions.
pub(super) const UID: &[u8] = b"log.record.uid";

/// Why a record cannot become an event, or a body is not a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bad {
    TooDeep,
    /// With the reason, as a clause.
    Malformed(&'static str),
}

/// A walk through the records of a body, which can stop after each.
pub(super) trait Walk: Default {
    /// Checks what the walk itself does not.
    ///
    /// # Errors
    /// The body cannot be read, with the reason.
    fn check(_body: &[u8]) -> Result<(), String> {
        Ok(())
    }

    /// The bytes of the next record; none at the end.
    ///
    /// # Errors
    /// The body is not a message. A body that was walked through once does not fail a second time.
    fn next<'b>(&mut self, body: &'b [u8]) -> Result<Option<&'b [u8]>, &'static str>;

    /// Bytes that the event of the record that was found last takes of its resource and its scope.
    fn repeated_bytes(&self) -> usize;

    /// Adds the record that was found last to the others.
    ///
    /// # Errors
    /// It cannot become an event. Nothing has been added.
    fn add(&mut self, record: &[u8], records: &mut Records) -> Result<(), Bad>;
}
