//! How events are shown: as the server sent them, or for people, one a line. Nothing in an event can drive the
//! terminal.

mod indented;
mod ink;
mod line;
mod payload;

use std::io::{stdout, BufWriter, IsTerminal, StdoutLock, Write};

use crate::cli::failure::Failure;
use crate::cli::terminal::{cannot_write, Colour};
use crate::client::StoredEvent;
use crate::search::Term;
use crate::text::escaped;

pub(super) use indented::indented;
pub(super) use ink::{level_colour, Ink};

/// How an event is shown.
#[derive(Clone, Copy, Debug)]
enum Form {
    Json,
    /// JSON in which nothing can drive a terminal.
    EscapedJson,
    Text {
        is_coloured: bool,
    },
}

/// Events to standard output.
pub(super) struct Printer {
    out: BufWriter<StdoutLock<'static>>,
    form: Form,
    /// What is marked in coloured lines.
    terms: Vec<Term>,
}

impl Printer {
    pub(super) fn new(as_json: bool, colour: Colour, terms: Vec<Term>) -> Printer {
        Printer {
            out: BufWriter::new(stdout().lock()),
            form: match as_json {
                true if stdout().is_terminal() => Form::EscapedJson,
                true => Form::Json,
                false => Form::Text {
                    is_coloured: colour.is_wanted(),
                },
            },
            terms,
        }
    }

    /// Prints an event and returns its seq.
    pub(super) fn event(&mut self, line: &[u8]) -> Result<u64, Failure> {
        let event: StoredEvent = serde_json::from_slice(line).map_err(|error| {
            Failure::Failed(format!("the server sent an invalid event: {error}"))
        })?;
        let result = match self.form {
            Form::Json => self.out.write_all(line),
            Form::EscapedJson => {
                let text = String::from_utf8_lossy(line);
                self.out.write_all(escaped(&text).as_bytes())
            }
            Form::Text { is_coloured } => {
                let text = line::line(&event, Ink::new(is_coloured, &self.terms));
                self.out.write_all(text.as_bytes())
            }
        };
        let result = result.and_then(|()| self.out.write_all(b"\n"));
        result.map_err(cannot_write)?;
        Ok(event.seq)
    }

    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        self.out.flush().map_err(cannot_write)
    }
}
