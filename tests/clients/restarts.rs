//! Clients of a server that is killed and started again: each event is stored once, and shown once.

use std::collections::BTreeSet;
use std::thread;

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{fixed_address, Server, Setup};
use crate::program::Running;
use crate::publishing::lines;
use crate::random::number_from;
use crate::wait::wait_until;

/// A server that has the same address after each start.
fn setup() -> Setup {
    Setup::new()
        .listen([fixed_address().to_string()])
        .flags(["--log-duplicates", "off"])
}

/// All events, by pages.
fn all(server: &Server) -> Vec<Value> {
    let mut client = server.client();
    let mut target = "/events?after=0&limit=1000".to_owned();
    let mut events = Vec::new();
    loop {
        let page = client.get(&target).expect(200);
        events.extend(page["events"].as_array().unwrap().iter().cloned());
        match page["next"].as_str() {
            Some(next) => target = next.to_owned(),
            None => return events,
        }
    }
}

fn last_seq(server: &Server) -> u64 {
    server.json("/stats")["last_seq"].as_u64().unwrap()
}

#[test]
fn what_is_published_through_kills_is_stored_once() {
    let kills = number_from("CLIENT_KILLS", 4);
    let count = 1_500 * kills;
    let setup = setup();
    let mut server = setup.start();
    let mut publisher = Running::start(&server, &["publish", "--batch", "40"]);
    let source = {
        let mut stdin = publisher.take_stdin();
        thread::spawn(move || {
            use std::io::Write;
            stdin.write_all(lines("t", 0..count).as_bytes()).unwrap();
        })
    };
    for kill in 1..=kills {
        let least = kill * count / (kills + 2);
        wait_until("events", || last_seq(&server) >= least);
        server.kill();
        server = setup.start();
    }
    source.join().unwrap();
    let output = publisher.wait().expect(0);
    assert_eq!(output.sum("read"), count);
    assert_eq!(output.sum("accepted") + output.sum("duplicates"), count);
    assert_eq!(output.sum("rejected"), 0);
    assert!(output.sum("retries") >= 1, "{output:?}");
    let events = all(&server);
    let ids: Vec<u64> = events
        .iter()
        .map(|event| event["event_id"].as_str().unwrap().parse().unwrap())
        .collect();
    assert!(ids.iter().copied().eq(0..count), "each once and in order");
    println!(
        "FIGURE publish-through-kills: `logagg publish` sent {count} events through {kills} kills of the \
         server; each was stored once and in order, with {} batches tried again.",
        output.sum("retries")
    );
}

#[test]
fn a_server_that_comes_late_is_waited_for() {
    let setup = setup();
    let address = fixed_address();
    let url = format!("http://{address}");
    let mut publisher = Running::start_at(&url, &["publish"]);
    publisher.send(lines("t", 0..3).as_bytes());
    publisher.wait_for_word("trying again");
    let server = setup.listen([address.to_string()]).start();
    let output = publisher.finish().expect(0);
    assert_eq!(output.sum("accepted"), 3);
    assert!(output.stderr.contains(&format!(
        "no answer from {url}: Connection refused; trying again\n"
    )));
    assert!(output.stderr.contains(&format!("{url} answers again\n")));
    assert_eq!(server.json("/stats")["received"], 3);
}

/// The server goes down and comes again while it is followed and published to.
#[test]
fn a_tail_through_restarts_shows_each_event_once() {
    const ROUNDS: u64 = 5;
    let setup = setup();
    let mut server = setup.start();
    let tail = Running::start(&server, &["tail", "--from", "start", "--json"]);
    let from_now = Running::start(&server, &["tail", "--from", "now", "--json", "even*"]);
    wait_until("the tails", || server.json("/stats")["subscribers"] == 2);
    let mut expected = 0;
    for round in 0..ROUNDS {
        for number in 0..20 {
            let topic = if number % 2 == 0 { "even" } else { "odd" };
            let body = lines(topic, expected..expected + 10);
            let headers = ["Content-Type: application/x-ndjson"];
            let mut client = server.client();
            client
                .request("POST", "/publish", &headers, body.as_bytes())
                .expect(200);
            expected += 10;
        }
        match round % 2 {
            0 => server.signal(Signal::KILL),
            _ => server.signal(Signal::TERM),
        }
        server.wait();
        server = setup.start();
    }
    let seqs = |lines: &[String]| -> Vec<u64> {
        let seq = |line: &String| serde_json::from_str::<Value>(line).unwrap()["seq"].as_u64();
        lines.iter().map(|line| seq(line).unwrap()).collect()
    };
    let shown = seqs(&tail.wait_for_lines(expected as usize));
    assert!(shown.iter().copied().eq(1..=expected));
    let shown = seqs(&from_now.wait_for_lines(expected as usize / 2));
    let stored = all(&server);
    let even = stored.iter().filter(|event| event["topic"] == "even");
    assert!(shown
        .iter()
        .copied()
        .eq(even.map(|event| event["seq"].as_u64().unwrap())));
    for tail in [tail, from_now] {
        tail.signal(Signal::INT);
        tail.wait().expect(130);
    }
}

/// A tail and a publisher at once, and a server that is killed at any moment.
#[test]
fn a_tail_while_publishing_through_kills_misses_nothing() {
    let kills = number_from("CLIENT_KILLS", 4);
    let count = 1_000 * kills;
    let setup = setup();
    let mut server = setup.start();
    let tail = Running::start(&server, &["tail", "--from", "start", "--json"]);
    let mut publisher = Running::start(&server, &["publish", "--batch", "25"]);
    publisher.send(lines("t", 0..count).as_bytes());
    for kill in 1..=kills {
        wait_until("events", || last_seq(&server) >= kill * count / (kills + 2));
        server.kill();
        server = setup.start();
    }
    publisher.finish().expect(0);
    let shown = tail.wait_for_lines(count as usize);
    let ids: Vec<String> = shown
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["event_id"].to_string())
        .collect();
    assert_eq!(ids.len(), count as usize);
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
    println!(
        "FIGURE tail-through-kills: `logagg tail` followed {count} events through {kills} kills of the server \
         while they were published; it showed each once."
    );
}
