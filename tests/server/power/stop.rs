//! The power fails around the stop of a server, which empties the log.

use super::promise::{Promise, Rest};
use super::session::{kill, record, Session};
use super::{cut_with_kinds, cuts, seed, Report, SMALL};
use crate::disk::{Cut, Disk, Entry, File};
use crate::harness::{event, Setup};

/// SQLite syncs neither the emptied log nor, when it removes it, the folder. Until the next server has made its own,
/// the old one may come back, and any part of what it held: the first transactions of many would be copied over a
/// database that has the later ones too.
#[test]
fn no_part_of_an_emptied_log_is_copied_over_a_newer_database() {
    let disk = Disk::new();
    let setup = Setup::new();
    let server = disk.recorded(&setup, 0).start();
    let mut client = server.client();
    for number in 0..20 {
        let body = event("t", &format!("{number}")).to_string();
        client.publish(body).expect(200);
    }
    server.stop();
    let server = disk.recorded(&setup, 1).start();
    server.publish(&event("t", "after the stop")).expect(200);
    kill(server, &disk, &setup, 1);
    let session = Session::of(&disk, setup);
    let after = |at: usize, wanted: &Entry| {
        let found = session.entries[at..]
            .iter()
            .position(|entry| entry == wanted);
        at + found.expect("a stop empties the log, and a start makes one") + 1
    };
    let (file, length) = (File::Log, 0);
    let emptied = after(0, &Entry::Truncate { file, length });
    let places = emptied..=after(emptied, &Entry::Sync(File::Folder));
    cut_each(&session, places, &[Cut::Front], cuts(16) / 4).expect_whole("power-stop");
}

/// The same at each entry that is near one that begins a log anew or ends a checkpoint.
#[test]
#[ignore = "takes minutes: make torture"]
fn no_order_of_names_lengths_and_logs_damages_anything() {
    let session = record(&["--durability", "full"], SMALL, seed());
    let is_turn = |entry: &Entry| match entry {
        Entry::Truncate { .. } | Entry::Create(_) | Entry::Unlink(_) => true,
        Entry::Write { file, offset, .. } => *file == File::Log && *offset == 0,
        Entry::Sync(file) => matches!(file, File::Database | File::Folder),
        _ => false,
    };
    let last = session.entries.len();
    let is_near = |place: &usize| {
        let near = place.saturating_sub(6)..(place + 6).min(last);
        session.entries[near].iter().any(is_turn)
    };
    let kinds = [
        Cut::None,
        Cut::All,
        Cut::Ordered,
        Cut::Any,
        Cut::Most,
        Cut::Few,
        Cut::Front,
    ];
    let places = (0..=last).filter(is_near);
    cut_each(&session, places, &kinds, cuts(1).div_ceil(1_000)).expect_whole("power-turns");
}

/// Cuts at each place with each kind, `times` each.
fn cut_each(
    session: &Session,
    places: impl Iterator<Item = usize>,
    kinds: &[Cut],
    times: u64,
) -> Report {
    let promise = Promise::of(session, Rest::Known);
    let of_place =
        |place| (0..times).flat_map(move |_| kinds.iter().map(move |kind| (place, *kind)));
    let places = places.flat_map(of_place).collect();
    cut_with_kinds(session, &promise, places, seed(), true)
}
