//! Reading a body without a server, for tests and for fuzzing.

use super::answer::Encoding;
use super::logs::Logs;
use super::{binary, text};
use crate::event::{Peer, Protocol, Span};
use crate::ingest::adapter::{Intake, ReadStatus};
use crate::ingest::query::{IngestQuery, MadeIdentity};
use crate::ingest::records::{Defaults, Origin, Records};

/// What became of the records of a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DryRun {
    /// Topic, event id, timestamp, source and payload of each event.
    pub events: Vec<[String; 5]>,
    /// Why others were rejected.
    pub rejected: Vec<String>,
}

/// Reads a body in JSON, or else in protobuf, `max_events` events at a time.
///
/// # Errors
/// The body cannot be read, with the reason.
pub fn dry_run(body: &[u8], is_json: bool, max_events: usize) -> Result<DryRun, String> {
    let defaults = Defaults {
        protocol: Protocol::Otlp,
        topic: "otlp",
        identity: MadeIdentity::Hash,
    };
    let origin = Origin {
        peer: Peer::Unix,
        received_at: 1_767_323_045_678_901,
        query: IngestQuery::default(),
        max_events,
        max_body_bytes: 1 << 24,
    };
    let mut records = Records::new(defaults, origin);
    let mut intake: Box<dyn Intake> = if is_json {
        Box::new(Logs::<text::Walk>::new(Encoding::Json))
    } else {
        Box::new(Logs::<binary::Walk>::new(Encoding::Protobuf))
    };
    let mut run = DryRun::default();
    loop {
        let status = intake.read(body, &mut records).map_err(|bad| bad.reason)?;
        let taken = records.take();
        let body = &taken.publication.body;
        let text = |span: Span| String::from_utf8_lossy(span.of(body)).into_owned();
        run.events
            .extend(taken.publication.events.iter().map(|event| {
                let spans = [event.topic, event.event_id, event.timestamp, event.source];
                let [topic, id, timestamp, source] = spans.map(text);
                [topic, id, timestamp, source, text(event.payload)]
            }));
        let reasons = taken.rejected.into_iter().map(|record| record.reason);
        run.rejected.extend(reasons);
        if status == ReadStatus::Done {
            return Ok(run);
        }
    }
}
