//! What a client may rely on, tried over real sockets and real files against the built program. All of
//! it is one binary, so that it is linked once and nothing of the harness is unused.

mod bodies;
mod checking;
mod disk;
mod durability;
mod encodings;
mod event_rules;
mod harness;
mod http;
mod lifecycle;
mod limits;
mod listening;
mod locked;
mod log_lines;
mod outcomes;
mod pages;
mod patience;
mod payloads;
mod power;
mod random;
mod reading;
mod refusals;
mod scenarios;
mod starting;
mod tokens;
mod trouble;
mod wait;
mod watching;
