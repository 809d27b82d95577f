//! Floods of large bodies: they wait for each other, in bounded memory, and nobody else waits for them.

use std::thread;

use super::{
    assert_stored, descriptors_at_rest, peak, publish_each, wait_until_alone, MIB, PUBLISH,
};
use crate::harness::{event, Server};

/// Sixty-four bodies of 1 MiB at once, eight times what the server may hold of them.
#[test]
fn a_flood_of_large_bodies_is_taken_in_bounded_memory() {
    const CLIENTS: usize = 64;
    const BYTES: usize = 1 << 20;
    let flags = [
        "--max-buffered-bytes",
        "8388608",
        "--max-body-bytes",
        "1048576",
    ];
    let server = Server::start(&flags);
    let at_rest = descriptors_at_rest(&server);
    let statuses: Vec<u16> = thread::scope(|scope| {
        let floods: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let mut client = server.client();
                scope.spawn(move || {
                    let mut body = event("flood", &number.to_string()).to_string();
                    body.push_str(&" ".repeat(BYTES - body.len()));
                    // Every eighth is a byte too long, which is refused by its head alone.
                    if number % 8 == 0 {
                        body.push(' ');
                    }
                    let length = body.len();
                    // A refused body may be left lying.
                    let head = format!("{PUBLISH}Content-Length: {length}\r\n\r\n");
                    let _ = client.try_send(head + &body);
                    client.response().status
                })
            })
            .collect();
        let mut small = server.client();
        publish_each(&mut small, "small", 200);
        floods
            .into_iter()
            .map(|flood| flood.join().unwrap())
            .collect()
    });
    let of = |status| statuses.iter().filter(|found| **found == status).count();
    assert_eq!(of(413), CLIENTS / 8, "{statuses:?}");
    assert_eq!(
        of(200) + of(413) + of(503) + of(408),
        CLIENTS,
        "{statuses:?}"
    );
    assert!(of(200) > 0, "{statuses:?}");
    let peak = peak(&server);
    // Beside what is received: the ring, and SQLite's cache.
    assert!(peak < 64 * MIB, "{peak} bytes");
    println!(
        "FIGURE flood-memory: the server peaked at {} MiB in a flood of 64 bodies of 1 MiB, with 8 MiB for \
         what clients hold",
        peak / MIB
    );
    wait_until_alone(&server, at_rest);
    assert_stored(&server, "small", 200);
    assert_stored(&server, "flood", of(200));
}
