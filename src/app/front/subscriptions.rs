//! Named subscriptions as rows of the store, and the statements that read and change them.

use super::rows::{seq_param, Head, HEAD};
use crate::api::subscriptions::{beyond_head, too_many, unknown, write_standing};
use crate::http::Response;
use crate::limits::SUBSCRIPTIONS_MAX;
use crate::postgres::statement::{Statement, BEGIN, COMMIT};
use crate::postgres::{Answer, Param, Row};
use crate::store::{Position, SubscriptionOp};

const COLUMNS: &str = "name, after, (extract(epoch FROM updated_at) * 1000000)::int8";

pub(super) const LIST: &str =
    "SELECT name, after, (extract(epoch FROM updated_at) * 1000000)::int8 FROM logagg.subscriptions ORDER BY name";

/// The greatest seq, as a subquery.
const LAST: &str = "coalesce((SELECT seq FROM logagg.events ORDER BY seq DESC LIMIT 1), \
    (SELECT first_seq + events - 1 FROM logagg.batches WHERE first_seq IS NOT NULL \
    ORDER BY first_seq DESC LIMIT 1), 0)";

pub(super) fn one(name: &str) -> Statement {
    let sql = format!("SELECT {COLUMNS} FROM logagg.subscriptions WHERE name = $1");
    Statement::new(sql, vec![Param::text(name)])
}

/// The transaction of a change; its answers are for [`changed`].
pub(super) fn change(change: &SubscriptionOp) -> Vec<Statement> {
    let statement = match change {
        SubscriptionOp::Put { name, after, .. } => Statement::new(
            format!(
                "INSERT INTO logagg.subscriptions(name, after, updated_at) \
                 SELECT $1, $2, clock_timestamp() WHERE $2 <= {LAST} AND \
                 (EXISTS (SELECT 1 FROM logagg.subscriptions WHERE name = $1) \
                 OR (SELECT count(*) FROM logagg.subscriptions) < $3) \
                 ON CONFLICT (name) DO UPDATE SET after = excluded.after, updated_at = excluded.updated_at \
                 RETURNING name"
            ),
            vec![
                Param::text(name),
                seq_param(after.unwrap_or(0)),
                Param::bigint(SUBSCRIPTIONS_MAX as i64),
            ],
        ),
        SubscriptionOp::Acknowledge { name, seq } => Statement::new(
            format!(
                "UPDATE logagg.subscriptions SET after = greatest(after, $2), updated_at = clock_timestamp() \
                 WHERE name = $1 AND $2 <= {LAST} RETURNING name"
            ),
            vec![Param::text(name), seq_param(*seq)],
        ),
        SubscriptionOp::Remove { name } => Statement::new(
            "DELETE FROM logagg.subscriptions WHERE name = $1 RETURNING name",
            vec![Param::text(name)],
        ),
    };
    let (SubscriptionOp::Put { name, .. }
    | SubscriptionOp::Acknowledge { name, .. }
    | SubscriptionOp::Remove { name }) = change;
    // How far the events go comes first: what the change has refused as too far ahead may be there a moment later.
    vec![
        BEGIN.into(),
        HEAD.into(),
        statement,
        one(name),
        COMMIT.into(),
    ]
}

/// The answer to a change from the engine's answers.
///
/// # Errors
/// A sentence: it is not known whether it has been committed.
pub(super) fn changed(change: &SubscriptionOp, answers: &[Answer]) -> Result<Response, String> {
    let [_, head, changed, standing, commit] = answers else {
        return Err("it has not answered".to_owned());
    };
    commit.confirm()?;
    let unreadable = || "a row is not what was asked for".to_owned();
    let head = Head::read(head.rows()).ok_or_else(unreadable)?;
    let has_changed = !changed.rows().is_empty();
    let row = standing.rows().first();
    Ok(match (change, row) {
        (SubscriptionOp::Remove { .. }, _) if has_changed => Response::empty(204),
        (SubscriptionOp::Remove { .. } | SubscriptionOp::Acknowledge { .. }, None) => unknown(),
        (_, Some(row)) if has_changed => show(row, head).ok_or_else(unreadable)?,
        (SubscriptionOp::Put { after, .. }, _) if after.unwrap_or(0) <= head.last => too_many(),
        // It was made a moment later.
        (SubscriptionOp::Acknowledge { seq, .. }, _) if *seq <= head.last => unknown(),
        _ => beyond_head(change, head.last),
    })
}

/// The answer with one subscription; none if the row is something else.
pub(super) fn show(row: &Row, head: Head) -> Option<Response> {
    let mut body = Vec::new();
    write(&mut body, row, head)?;
    Some(Response::json(200, body))
}

/// The answer with all; none if a row is something else.
pub(super) fn list(rows: &[Row], head: Head) -> Option<Response> {
    let count = rows.len();
    let mut body = format!("{{\"count\":{count},\"subscriptions\":[").into_bytes();
    for (at, row) in rows.iter().enumerate() {
        if at > 0 {
            body.push(b',');
        }
        write(&mut body, row, head)?;
    }
    body.extend_from_slice(b"]}");
    Some(Response::json(200, body))
}

/// The position in a row of [`one`].
pub(super) fn position(row: &Row) -> Option<u64> {
    row.value(1)
}

fn write(out: &mut Vec<u8>, row: &Row, head: Head) -> Option<()> {
    let position = Position {
        after: position(row)?,
        updated_at: row.value(2)?,
        holds: false,
    };
    let lag = head.last.saturating_sub(position.after.max(head.first - 1));
    write_standing(out, row.text(0)?, position, lag);
    Some(())
}
