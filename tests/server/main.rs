//! What a client may rely on, tried over real sockets and real files against the built program. All of
//! it is one binary, so that it is linked once and nothing of the harness is unused. What needs a library
//! underneath the program is left out where programs are linked statically.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod access_log;
mod agreement;
mod backup;
mod bodies;
mod checking;
mod chromium;
mod compression;
mod confined;
mod damage;
mod dashboard;
mod disk;
mod durability;
mod encodings;
mod event_rules;
mod examples;
mod files;
mod harness;
mod healthcheck;
mod histories;
mod hosts;
mod http;
mod ingest;
mod lifecycle;
mod limits;
mod listening;
mod locked;
mod log_lines;
mod metrics;
mod openapi;
mod outcomes;
mod overload;
mod pages;
mod payloads;
#[cfg(not(target_feature = "crt-static"))]
mod power;
mod query_members;
mod random;
mod reading;
mod refusals;
mod rejected;
mod report;
mod retention;
mod scenarios;
mod search;
mod serving;
mod shippers;
mod starting;
mod subscribe;
mod systemd;
mod time_limits;
mod tokens;
mod tokens_file;
#[cfg(not(target_feature = "crt-static"))]
mod trouble;
mod turns;
mod unreadable;
mod wait;
mod wal;
mod watching;

/// What is left out must not be left out in silence.
#[cfg(target_feature = "crt-static")]
#[test]
fn a_static_program_has_no_library_underneath() {
    report::skipped(
        "power, retention::clock, trouble",
        "no library can be put between a static program and the system",
    );
}
