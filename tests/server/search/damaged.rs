//! Damaged summaries: no answer changes, the damage is named, and the server mends it without being asked and without a
//! new start; then a copy of the database can be made again.

use std::process::Command;

use rusqlite::Connection;

use super::summaries::{publish, wait_for_summaries, BLOCK, EVENTS};
use super::walk;
use crate::checking::check;
use crate::harness::{Server, Setup};
use crate::wait::wait_until;

const NAMED: &str = "a summary for searches is damaged";

/// A database whose three full slots have summaries.
fn filled(setup: &Setup) -> Server {
    let server = setup.start();
    publish(&mut server.client(), 0..EVENTS);
    wait_for_summaries(&server);
    server
}

fn change(setup: &Setup, sql: &str) {
    let database = Connection::open(setup.database_path()).unwrap();
    assert!(database.execute(sql, []).unwrap() > 0, "{sql}");
}

/// Flips one bit in each page of the block that begins with this seq.
fn flip(setup: &Setup, first_seq: u64) {
    let database = Connection::open(setup.database_path()).unwrap();
    let mut pages = database
        .prepare("SELECT id, content FROM search_pages WHERE id / 64 = ?1")
        .unwrap();
    let read = |row: &rusqlite::Row| Ok((row.get(0)?, row.get(1)?));
    let pages: Vec<(i64, Vec<u8>)> = pages
        .query_map([first_seq as i64], read)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert!(!pages.is_empty());
    for (id, mut content) in pages {
        content[20] ^= 0x10;
        let sql = "UPDATE search_pages SET content = ?2 WHERE id = ?1";
        database.execute(sql, (id, content)).unwrap();
    }
}

fn back_up(setup: &Setup, name: &str) -> bool {
    let (from, to) = (setup.database_path(), setup.directory().join(name));
    let mut backup = Command::new(env!("CARGO_BIN_EXE_logagg"));
    backup
        .arg("backup")
        .arg("--from")
        .arg(from)
        .arg("--to")
        .arg(to);
    backup.output().unwrap().status.success()
}

fn is_mended(server: &Server) {
    let setup = server.setup();
    wait_until("the summaries to be made again", || {
        server.json("/stats")["search_index_through"] == 3 * BLOCK
            && check(setup.database_path()).0 == 0
    });
    assert!(back_up(setup, "whole.db"));
    let found = walk(&mut server.client(), "/events?q=era1&limit=1000");
    assert_eq!(found.seqs.len(), BLOCK as usize);
}

#[test]
fn damage_that_no_search_runs_into_is_found_and_mended() {
    let setup = Setup::new();
    filled(&setup).stop();
    flip(&setup, 1);
    let second = BLOCK + 1;
    for sql in [
        format!("UPDATE search_blocks SET events = events - 1 WHERE first_seq = {second}"),
        format!("DELETE FROM search_pages WHERE id = 64 * (2 * {BLOCK} + 1)"),
        format!("INSERT INTO search_pages VALUES (64 * 5 * {BLOCK}, x'00')"),
    ] {
        change(&setup, &sql);
    }
    assert_ne!(check(setup.database_path()).0, 0);
    assert!(!back_up(&setup, "damaged.db"));
    let server = setup.start();
    server.log().wait_for(4, NAMED);
    is_mended(&server);
    assert_eq!(server.log().lines_with(NAMED).len(), 4);
    server.restart().stop();
}

#[test]
fn a_search_that_runs_into_damage_answers_from_the_events() {
    let setup = Setup::new();
    let server = filled(&setup);
    flip(&setup, BLOCK + 1);
    let found = walk(&mut server.client(), "/events?q=era1&limit=1000");
    assert_eq!(found.seqs.len(), BLOCK as usize);
    assert_eq!(found.scanned, EVENTS);
    server.log().wait_for(1, NAMED);
    is_mended(&server);
    server.stop();
}
