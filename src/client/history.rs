//! Which history of events a server's seqs belong to, and how far another one shares it.

use serde::Deserialize;

use super::error::Error;
use super::http::Client;
use crate::text::escaped;

/// What `GET /stats` says of the seqs of a server.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Head {
    /// The greatest seq of an event.
    pub last_seq: u64,
    /// `None` if the server does not say it.
    pub database_id: Option<String>,
    pub restored_from: Option<Origin>,
}

/// What a database was restored from: up to this seq it has the events of that other one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Origin {
    database_id: String,
    last_seq: u64,
}

/// Why a position is not valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reset {
    /// The server has this database now, and not the one that the position is of.
    OtherDatabase(String),
    /// No event has this seq yet.
    Ahead { position: u64, last_seq: u64 },
}

impl Head {
    /// Asks a server, with retries as the client's arguments say.
    pub fn fetch(client: &Client) -> Result<Head, Error> {
        client.persist(|| client.json("/stats"))
    }

    /// Up to which seq its events are those of a database that had this id and, where it was restored, this
    /// origin; none if they are not known to have anything in common.
    pub fn shares(&self, database_id: &str, origin: Option<&Origin>) -> Option<u64> {
        let own = self.database_id.as_deref().map(|id| (id, u64::MAX));
        let own = [own, self.restored_from.as_ref().map(Origin::pair)];
        let other = [Some((database_id, u64::MAX)), origin.map(Origin::pair)];
        let pairs = own.iter().flatten();
        let shared = pairs.flat_map(|(id, until)| {
            let same = other.iter().flatten().filter(move |(other, _)| other == id);
            same.map(|(_, other)| *until.min(other))
        });
        shared.max()
    }
}

impl Origin {
    fn pair(&self) -> (&str, u64) {
        (&self.database_id, self.last_seq)
    }
}

impl std::fmt::Display for Reset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Reset::OtherDatabase(id) => {
                let id = escaped(id);
                write!(f, "the server has another database now, {id}")
            }
            Reset::Ahead { position, last_seq } => write!(
                f,
                "seq {position} is ahead of the newest event of the server, seq {last_seq}"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_databases_share_follows_from_what_they_were_restored_from() {
        let origin = |id: &str, last_seq| Origin {
            database_id: id.to_owned(),
            last_seq,
        };
        let head = |id: &str, restored_from| Head {
            last_seq: 100,
            database_id: Some(id.to_owned()),
            restored_from,
        };
        assert_eq!(head("a", None).shares("a", None), Some(u64::MAX));
        assert_eq!(head("a", None).shares("b", None), None);
        assert_eq!(head("b", Some(origin("a", 7))).shares("a", None), Some(7));
        // Put back to what it was before.
        assert_eq!(head("a", None).shares("b", Some(&origin("a", 7))), Some(7));
        // Restored twice from one copy, or from two.
        let again = head("c", Some(origin("a", 5)));
        assert_eq!(again.shares("b", Some(&origin("a", 7))), Some(5));
        assert_eq!(again.shares("b", Some(&origin("x", 7))), None);
        let of_old_server = Head {
            database_id: None,
            ..head("a", None)
        };
        assert_eq!(of_old_server.shares("a", None), None);
    }
}
