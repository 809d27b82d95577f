//! Summaries of blocks of events, which tell a search that no event of a block can match. They may only ever say "not
//! in here": rows decide. So a summary can be late, missing or thrown away, and no answer changes.
//!
//! Owns the tables `search_blocks` and `search_pages`. They are made from committed events in quiet turns and in a
//! small part of the others, never in a commit, and nothing that is answered waits for them.

pub(crate) mod block;
mod building;
mod covered;
pub(crate) mod filter;
pub(crate) mod look_up;
pub(crate) mod question;
mod scrub;
pub(crate) mod seconds;
pub(crate) mod table;
#[cfg(test)]
mod tests;
pub(crate) mod times;
mod word_set;
pub(crate) mod words;
mod work;
