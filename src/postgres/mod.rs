//! The protocol of PostgreSQL without I/O, and the tables that a fleet of servers shares.
//!
//! It owns the form of a connection string, the state of one connection as bytes in and bytes out, and the text of the
//! tables. It must never open a socket or wait: its caller does that.

mod answer;
mod error;
mod param;
mod row;
pub(crate) mod schema;
pub(crate) mod statement;
pub(crate) mod url;
mod wire;

pub(crate) use answer::{Answer, AnswerParts};
pub(crate) use error::ServerError;
pub(crate) use param::Param;
pub(crate) use row::Row;
pub(crate) use wire::{Reply, Wire};
