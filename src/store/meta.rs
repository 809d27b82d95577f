//! The rows of the table `meta`, each with a checksum. One of them is the key of the fingerprints: under another one,
//! every stored key would be new.

use rusqlite::types::{Value, ValueRef};
use rusqlite::Connection;

use super::error::damaged;
use super::row_checksum::{checksum_of_bytes, judge_bytes, BytesState};

const ROWS: &str = "SELECT CAST(name AS BLOB), value, checksum FROM meta";

/// Writes a row; without a checksum where the tables are of a version that has none.
pub(super) fn set(db: &Connection, name: &str, value: Value) -> rusqlite::Result<()> {
    let has_checksums = "SELECT 1 FROM pragma_table_info('meta') WHERE name = 'checksum'";
    if !db.prepare(has_checksums)?.exists([])? {
        let sql = "INSERT OR REPLACE INTO meta(name, value) VALUES (?1, ?2)";
        return db.execute(sql, (name, value)).map(|_| ());
    }
    let checksum = checksum_of_bytes(&bytes_of(name.as_bytes(), ValueRef::from(&value)));
    db.execute(
        "INSERT OR REPLACE INTO meta(name, value, checksum) VALUES (?1, ?2, ?3)",
        (name, value, checksum),
    )
    .map(|_| ())
}

/// Gives all rows their checksums.
pub(super) fn seal(db: &Connection) -> rusqlite::Result<()> {
    let mut statement = db.prepare("SELECT name, value FROM meta")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let rows: Vec<(String, Value)> = rows.collect::<rusqlite::Result<_>>()?;
    rows.into_iter()
        .try_for_each(|(name, value)| set(db, &name, value))
}

/// Corrects rows with a flipped bit, inside the open transaction. With more damage the database is refused.
pub(super) fn repair(db: &Connection) -> rusqlite::Result<()> {
    let mut corrected = false;
    let mut rows = Vec::new();
    each_row(db, |state, name, value| {
        match state {
            BytesState::Right => {}
            BytesState::Corrected => {
                log::error!("a flipped bit in a row of the table meta has been corrected");
                corrected = true;
            }
            BytesState::Damaged => {
                return Err(damaged(format!(
                    "the row {:?} of the table meta has a wrong checksum; restore a backup",
                    String::from_utf8_lossy(&name)
                )))
            }
        }
        let name = String::from_utf8(name).map_err(|error| damaged(error.to_string()))?;
        rows.push((name, value));
        Ok(())
    })?;
    if !corrected {
        return Ok(());
    }
    // With a wrong name a row is in a wrong place, so all are written again.
    db.execute("DELETE FROM meta", [])?;
    rows.into_iter()
        .try_for_each(|(name, value)| set(db, &name, value))
}

/// Hands over each row: the verdict of its checksum, and its name and value, with a flipped bit corrected.
pub(super) fn each_row(
    db: &Connection,
    mut take: impl FnMut(BytesState, Vec<u8>, Value) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut statement = db.prepare(ROWS)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let mut bytes = bytes_of(row.get_ref(0)?.as_bytes()?, row.get_ref(1)?);
        let state = judge_bytes(&mut bytes, row.get_ref(2)?);
        let (name, value) = parse(&bytes);
        take(state, name, value)?;
    }
    Ok(())
}

/// What the checksum is over: the name, the type of the value, and the value.
fn bytes_of(name: &[u8], value: ValueRef<'_>) -> Vec<u8> {
    let mut bytes = name.to_vec();
    bytes.push(0);
    match value {
        ValueRef::Null => bytes.push(b'n'),
        ValueRef::Integer(number) => {
            bytes.push(b'i');
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        ValueRef::Real(number) => {
            bytes.push(b'r');
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        ValueRef::Text(text) => {
            bytes.push(b't');
            bytes.extend_from_slice(text);
        }
        ValueRef::Blob(blob) => {
            bytes.push(b'b');
            bytes.extend_from_slice(blob);
        }
    }
    bytes
}

/// The name and the value of such bytes. Bytes that are neither are damaged in any case.
fn parse(bytes: &[u8]) -> (Vec<u8>, Value) {
    let end = bytes.iter().position(|byte| *byte == 0);
    let (name, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
    let content = rest.get(2..).unwrap_or_default();
    let value = match rest.get(1) {
        Some(b'i') => content.try_into().map_or(Value::Null, |number| {
            Value::Integer(i64::from_be_bytes(number))
        }),
        Some(b't') => String::from_utf8(content.to_vec()).map_or(Value::Null, Value::Text),
        Some(b'b') => Value::Blob(content.to_vec()),
        _ => Value::Null,
    };
    (name.to_vec(), value)
}

#[cfg(test)]
mod tests {
    use rusqlite::ToSql;

    use super::*;

    #[test]
    fn every_flipped_bit_of_a_row_is_put_right() {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(
            "CREATE TABLE meta(name TEXT PRIMARY KEY, value ANY, checksum INTEGER) STRICT, WITHOUT ROWID",
        )
        .unwrap();
        let values = [
            ("dedup", Value::Text("index".into())),
            ("fingerprint_key", Value::Blob(vec![0x5A; 16])),
            ("restored_seq", Value::Integer(77)),
        ];
        for (name, value) in &values {
            set(&db, name, value.clone()).unwrap();
        }
        let all = || {
            let mut rows = Vec::new();
            each_row(&db, |state, name, value| {
                rows.push((state, name, value));
                Ok(())
            })
            .unwrap();
            rows
        };
        let right = all();
        for (name, value) in values {
            let bits = match &value {
                Value::Text(text) => 8 * text.len(),
                Value::Blob(blob) => 8 * blob.len(),
                _ => 64,
            };
            for bit in 0..bits {
                let flipped = |bytes: &[u8]| {
                    let mut bytes = bytes.to_vec();
                    bytes[bit / 8] ^= 1 << (bit % 8);
                    bytes
                };
                let damage: Box<dyn ToSql> = match &value {
                    Value::Text(text) => Box::new(flipped(text.as_bytes())),
                    Value::Blob(blob) => Box::new(flipped(blob)),
                    _ => Box::new(77_i64 ^ (1 << bit)),
                };
                let sql = match &value {
                    Value::Text(_) => "UPDATE meta SET value = CAST(?2 AS TEXT) WHERE name = ?1",
                    _ => "UPDATE meta SET value = ?2 WHERE name = ?1",
                };
                db.execute(sql, rusqlite::params![name, damage]).unwrap();
                assert!(all() != right);
                repair(&db).unwrap();
                assert_eq!(all(), right, "{name} {bit}");
            }
        }
        db.execute("UPDATE meta SET value = 'other' WHERE name = 'dedup'", [])
            .unwrap();
        let refused = repair(&db).unwrap_err().to_string();
        assert!(refused.contains("the row \"dedup\""), "{refused}");
    }
}
