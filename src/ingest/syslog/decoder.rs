//! From the bytes of a socket to records.

use std::borrow::Cow;
use std::rc::Rc;

use super::framing::{Frame, Framing, TooLong};
use super::message::{Place, Time};
use super::parse::parse;
use super::payload::{PayloadWriter, Text};
use super::time::write_time;
use crate::ingest::record::Record;
use crate::ingest::records::Records;
use crate::ingest::socket_decoder::{Machine, SocketDecoder, Unreadable};
use crate::ingest::time::{Time as RecordTime, Unit};
use crate::limits::{SYSLOG_COUNT_DIGITS, SYSLOG_MESSAGE_BYTES};

/// The decoder of a socket.
pub(crate) struct Syslog {
    framing: Framing,
    messages: Messages,
}

/// Makes records of messages.
struct Messages {
    place: Place,
    machine: Rc<Machine>,
    payloads: PayloadWriter,
}

impl Syslog {
    pub(crate) fn new(place: Place, machine: Rc<Machine>) -> Self {
        Self {
            framing: Framing::default(),
            messages: Messages {
                place,
                machine,
                payloads: PayloadWriter::default(),
            },
        }
    }
}

impl SocketDecoder for Syslog {
    fn receive(&mut self, bytes: &mut &[u8], records: &mut Records) -> Result<(), Unreadable> {
        let Self { framing, messages } = self;
        while !bytes.is_empty() && !records.is_full() {
            let found = |frame: Frame| messages.record(frame, records);
            match framing.next(bytes, found) {
                Ok(_) => {}
                Err(TooLong) => {
                    let reason =
                        format!("a count of octets has more than {SYSLOG_COUNT_DIGITS} digits");
                    records.reject(reason, bytes);
                    return Err(Unreadable);
                }
            }
        }
        Ok(())
    }

    fn end(&mut self, records: &mut Records) {
        let Self { framing, messages } = self;
        framing.end(|frame| messages.record(frame, records));
    }

    fn datagram(&mut self, bytes: &[u8], is_cut: bool, _now_ms: u64, records: &mut Records) {
        let length = bytes.len().min(SYSLOG_MESSAGE_BYTES);
        let frame = Frame {
            bytes: &bytes[..length],
            truncated: is_cut || length < bytes.len(),
        };
        if !bytes.is_empty() {
            self.messages.record(frame, records);
        }
    }

    fn held_bytes(&self) -> usize {
        self.framing.held_bytes()
    }
}

impl Messages {
    fn record(&mut self, frame: Frame, records: &mut Records) {
        let Frame { bytes, truncated } = frame;
        // It is not known which messages a sender would send again together.
        records.begin_request();
        let message = parse(bytes, self.place);
        let text = Text::of(&message);
        self.payloads
            .write(&message, text, truncated, records.payload());
        let machine = &self.machine;
        let received_at = records.origin().received_at;
        let yearless = message.time.and_then(|time| match self.place {
            Place::Network => write_time(time, received_at, &()),
            Place::Local => write_time(time, received_at, &*machine.zone),
        });
        let time = match message.time {
            Some(Time::AsSent(text)) => Some(text),
            _ => yearless.as_ref().map(|text| text.as_str()),
        };
        let source = match (message.hostname, self.place) {
            (Some(host), _) => Some(text.plain(host)),
            (None, Place::Local) => Some(Cow::Borrowed(&*machine.hostname)),
            (None, Place::Network) => None,
        };
        records.finish(&Record {
            topic: message.app_name.map(|name| text.plain(name)),
            source,
            time: time.map(|text| RecordTime::Text(text, Unit::Seconds)),
            identity: None,
        });
    }
}
