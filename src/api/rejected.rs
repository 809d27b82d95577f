//! `GET /rejected`: the records that could not become events.

use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;

use super::detail::{unprocessable, Details};
use super::json::{write_string, write_to};
use super::query;
use super::read::DATABASE_FIELD;
use super::window::Window;
use crate::clock::Stamp;
use crate::http::Response;
use crate::store::{RejectedRow, Store, StoreError};

/// Answers `GET /rejected`.
pub(crate) fn page(store: &Store, text: Option<&str>) -> Result<Response, StoreError> {
    let window = match read_query(store, text) {
        Ok(window) => window,
        Err(details) => return Ok(unprocessable(&details)),
    };
    let (mut list, mut stamp) = (Vec::new(), Stamp::default());
    let page = store.rejected(window.bound, window.limit(), |row| {
        if !list.is_empty() {
            list.push(b',');
        }
        write_row(&mut list, &row, &mut stamp);
        list.len()
    })?;
    let mut body = Vec::with_capacity(list.len() + 128);
    write_to(
        &mut body,
        format_args!("{{\"count\":{},\"rejected\":[", page.count),
    );
    body.append(&mut list);
    body.extend_from_slice(b"],\"next\":");
    match page.more_after {
        Some(last) => {
            let mut next = "/rejected?".to_owned();
            window.write_next(&mut next, last);
            write_string(&mut body, &next);
        }
        None => body.extend_from_slice(b"null"),
    }
    body.push(b'}');
    let response = Response::json(200, body);
    Ok(response.header(DATABASE_FIELD, &store.identity().database_id))
}

fn read_query(store: &Store, text: Option<&str>) -> Result<Window, Details> {
    query::check_names(text, &["limit", "after", "before"])?;
    let window = Window::parse(text)?;
    window.check_position(store.last_rejected_seq(), "a rejected record")?;
    Ok(window)
}

fn write_row(out: &mut Vec<u8>, row: &RejectedRow, stamp: &mut Stamp) {
    write_to(
        out,
        format_args!("{{\"seq\":{},\"received_at\":\"", row.seq),
    );
    out.extend_from_slice(stamp.at(row.received_at));
    out.push(b'"');
    for (name, text) in [
        ("protocol", row.protocol),
        ("peer", row.peer),
        ("reason", row.reason),
    ] {
        write_to(out, format_args!(",\"{name}\":"));
        write_string(out, &String::from_utf8_lossy(text));
    }
    let is_truncated = row.bytes > row.record.len() as u64;
    write_to(
        out,
        format_args!(",\"bytes\":{},\"truncated\":{is_truncated},", row.bytes),
    );
    match std::str::from_utf8(row.record) {
        Ok(text) => {
            out.extend_from_slice(b"\"record\":");
            write_string(out, text);
        }
        Err(_) => write_to(
            out,
            format_args!("\"record_base64\":\"{}\"", STANDARD.encode(row.record)),
        ),
    }
    out.push(b'}');
}
