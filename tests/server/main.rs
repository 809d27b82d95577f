//! What a client may rely on, tried over real sockets and real files against the built program. All of
//! it is one binary, so that it is linked once and nothing of the harness is unused. What needs a library
//! underneath the program is left out where programs are linked statically.

mod backup;
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
#[cfg(not(target_feature = "crt-static"))]
mod power;
mod random;
mod reading;
mod refusals;
mod scenarios;
mod starting;
mod tokens;
#[cfg(not(target_feature = "crt-static"))]
mod trouble;
mod wait;
mod watching;
