//! Finding the tables of a store, and making them where they are missing.

use super::connection::Engine;
use super::error::EngineError;
use crate::postgres::schema::{statements, Dialect, VERSION};

/// Makes sure that the tables are there, and that this program knows them. Several may do so at once.
///
/// # Errors
/// [`EngineError::Unfit`]: the database or its tables are none that this program can use.
pub(crate) fn prepare(engine: &mut Engine) -> Result<(), EngineError> {
    let encoding = engine.query("SHOW server_encoding")?;
    let encoding = encoding.rows().first().and_then(|row| row.text(0));
    if !encoding.is_some_and(|name| name.eq_ignore_ascii_case("UTF8")) {
        let name = encoding.unwrap_or("unknown");
        return Err(EngineError::Unfit(format!(
            "the encoding of its database is {name}, and must be UTF8"
        )));
    }
    let version = match version(engine) {
        Err(EngineError::Refused(error)) if error.is_without_table() => {
            create(engine)?;
            self::version(engine)?
        }
        found => found?,
    };
    match version {
        Some(version) if version <= VERSION => Ok(()),
        Some(version) => Err(EngineError::Unfit(format!(
            "its tables have version {version}, written by a newer version of this program, which knows up to \
             {VERSION}"
        ))),
        // They are being restored.
        None => Err(EngineError::Lost("the table logagg.meta has no row yet".to_owned())),
    }
}

fn version(engine: &mut Engine) -> Result<Option<i32>, EngineError> {
    let found = engine.query("SELECT version FROM logagg.meta")?;
    Ok(found.rows().first().and_then(|row| row.value(0)))
}

/// Creates all tables in one transaction, or finds that another client does so.
fn create(engine: &mut Engine) -> Result<(), EngineError> {
    let sql = format!("BEGIN;\n{}COMMIT", statements(Dialect::Postgres));
    match engine.query(&sql) {
        Ok(_) => Ok(()),
        Err(EngineError::Refused(error)) => {
            engine.query("ROLLBACK")?;
            match error.is_made_meanwhile() {
                // The other client had committed before its keys could conflict.
                true => Ok(()),
                false => Err(EngineError::Refused(error)),
            }
        }
        Err(error) => Err(error),
    }
}
