//! The beginning of a session: whether the host takes writes, whether its database can be used, and its tables, which
//! are made where they are missing.

use crate::postgres::schema::{statements, Dialect, VERSION};
use crate::postgres::{Answer, ServerError};

/// What a session has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Opened {
    pub store_id: String,
}

/// How a session goes on.
pub(super) enum SessionStep {
    Ask(String),
    Open(Opened),
    Lost(String),
    Refused(String),
}

/// What was asked last.
#[derive(Default)]
enum Asked {
    /// To be let in.
    #[default]
    Startup,
    Encoding,
    ReadOnly,
    Version,
    Tables,
    Rollback,
}

#[derive(Default)]
pub(super) struct Session {
    asked: Asked,
    has_created: bool,
}

const META: &str = "SELECT version, store_id FROM logagg.meta";

impl Session {
    /// Whether the engine has let it in.
    pub(super) fn has_begun(&self) -> bool {
        !matches!(self.asked, Asked::Startup)
    }

    pub(super) fn answered(&mut self, answer: Result<Answer, ServerError>) -> SessionStep {
        let first = |answer: &Answer| {
            let row = answer.rows().first();
            row.and_then(|row| row.text(0))
                .unwrap_or_default()
                .to_owned()
        };
        match (&self.asked, answer) {
            (Asked::Startup, Ok(_)) => self.ask(Asked::ReadOnly, "SHOW transaction_read_only"),
            (Asked::ReadOnly, Ok(answer)) => match first(&answer) == "on" {
                true => SessionStep::Lost("it is a standby and takes no writes".to_owned()),
                false => self.ask(Asked::Encoding, "SHOW server_encoding"),
            },
            (Asked::Encoding, Ok(answer)) => match first(&answer).as_str() {
                name if name.eq_ignore_ascii_case("UTF8") => self.ask(Asked::Version, META),
                name => SessionStep::Refused(format!(
                    "the encoding of its database is {name}, and must be UTF8"
                )),
            },
            (Asked::Version, Ok(answer)) => version(&answer),
            (Asked::Version, Err(error)) if error.is_without_table() && !self.has_created => {
                self.has_created = true;
                let sql = format!("BEGIN;\n{}COMMIT", statements(Dialect::Postgres));
                self.ask(Asked::Tables, &sql)
            }
            (Asked::Tables, Err(error)) if error.is_made_meanwhile() => {
                self.ask(Asked::Rollback, "ROLLBACK")
            }
            (Asked::Tables | Asked::Rollback, Ok(_)) => self.ask(Asked::Version, META),
            (_, Err(error)) if error.is_about_rights() => SessionStep::Refused(error.to_string()),
            (_, Err(error)) => SessionStep::Lost(error.to_string()),
        }
    }

    fn ask(&mut self, asked: Asked, sql: &str) -> SessionStep {
        self.asked = asked;
        SessionStep::Ask(sql.to_owned())
    }
}

fn version(answer: &Answer) -> SessionStep {
    let row = answer.rows().first();
    let version: Option<i32> = row.and_then(|row| row.value(0));
    let store_id = row.and_then(|row| row.text(1));
    match (version, store_id) {
        (Some(version), Some(store_id)) if version <= VERSION => SessionStep::Open(Opened {
            store_id: store_id.to_owned(),
        }),
        (Some(version), _) => SessionStep::Refused(format!(
            "its tables have version {version}, written by a newer version of this program, which knows up to \
             {VERSION}"
        )),
        // They are being restored.
        (None, _) => SessionStep::Lost("the table logagg.meta has no row yet".to_owned()),
    }
}
