//! What clients do where the server has another database than before: after a restore, or a new one.

use std::fs;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde_json::{json, Value};

use crate::fake::{chunk, line, stats, Fake, Reply, STREAM};
use crate::harness::{event, fixed_address, Server, Setup, TemporaryDirectory};
use crate::program::{command, run, run_at, Running};

fn publish(server: &Server, ids: Range<u32>) {
    let events: Vec<Value> = ids.map(|id| event("t", &id.to_string())).collect();
    let answer = server.publish(&json!(events)).expect(200);
    assert_eq!(answer["accepted"], events.len());
}

/// A server that comes back at its address with other databases.
struct Changing {
    setup: Setup,
    address: SocketAddr,
}

impl Changing {
    fn new() -> Changing {
        let address = fixed_address();
        let setup = Setup::new().listen([address.to_string()]);
        Changing { setup, address }
    }

    fn start(&self) -> Server {
        self.setup.start()
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.setup.directory().join(name)
    }

    fn copy(&self, command_name: &str, from: &Path, to: &Path) {
        let [from, to] = [from, to].map(|path| path.to_str().unwrap());
        let mut command = command(&[command_name, "--force", "--from", from, "--to", to]);
        Running::spawn(&mut command).finish().expect(0);
    }

    fn backup(&self) {
        self.copy("backup", self.setup.database_path(), &self.path("copy"));
    }

    fn restore(&self) {
        self.copy("restore", &self.path("copy"), self.setup.database_path());
    }
}

fn ids(lines: &[String]) -> Vec<u32> {
    let id = |line: &String| {
        let event: Value = serde_json::from_str(line).unwrap();
        event["event_id"].as_str().unwrap().parse().unwrap()
    };
    lines.iter().map(id).collect()
}

/// Whichever way it began, and although the new events have the seqs of those that it has shown.
#[test]
fn a_tail_goes_on_with_the_first_event_after_the_restored_copy() {
    for begin in [&["--from", "start"][..], &["--from", "now"], &["-n", "3"]] {
        let changing = Changing::new();
        let server = changing.start();
        publish(&server, 0..10);
        changing.backup();
        let tail = [&["tail", "--json"], begin].concat();
        let tail = Running::start_at(&changing.url(), &tail);
        let first = match begin {
            ["--from", "start"] => 10,
            ["--from", "now"] => 0,
            _ => 3,
        };
        // Until it follows.
        crate::wait::wait_until("the tail to follow", || {
            server.json("/stats")["subscribers"] == 1
        });
        publish(&server, 10..20);
        tail.wait_for_lines(first + 10);
        server.stop();
        changing.restore();
        let server = changing.start();
        publish(&server, 100..115);
        let lines = tail.wait_for_lines(first + 25);
        assert_eq!(ids(&lines[first + 10..]), (100..115).collect::<Vec<u32>>());
        tail.wait_for_word("the server has another database now");
        tail.wait_for_word("up to seq 10 it has the same events; going on after seq 10\n");
        // Once more from the same copy, with fewer events than before.
        server.stop();
        changing.restore();
        let server = changing.start();
        publish(&server, 200..202);
        let lines = tail.wait_for_lines(first + 27);
        assert_eq!(ids(&lines[first + 25..]), [200, 201]);
        publish(&server, 202..203);
        assert_eq!(ids(&tail.wait_for_lines(first + 28)[first + 27..]), [202]);
    }
}

#[test]
fn a_tail_begins_again_where_the_database_is_a_new_one() {
    let changing = Changing::new();
    let server = changing.start();
    publish(&server, 0..9);
    let tail = Running::start_at(&changing.url(), &["tail", "--json", "-n", "2"]);
    assert_eq!(ids(&tail.wait_for_lines(2)), [7, 8]);
    server.stop();
    for suffix in ["", "-wal", "-shm"] {
        let mut name = changing.setup.database_path().as_os_str().to_owned();
        name.push(suffix);
        let _ = fs::remove_file(name);
    }
    let server = changing.start();
    publish(&server, 50..53);
    tail.wait_for_word("; beginning again\n");
    let lines = tail.wait_for_lines(4);
    assert_eq!(ids(&lines[2..]), [51, 52]);
    publish(&server, 53..54);
    assert_eq!(ids(&tail.wait_for_lines(5)[4..]), [53]);
}

/// A copy that was put back with `cp` has the same id: that the seq is ahead is all that tells.
#[test]
fn a_tail_ahead_of_the_newest_event_says_so_and_goes_on() {
    let server = Server::start(&[]);
    publish(&server, 0..3);
    let tail = Running::start(&server, &["tail", "--json", "--from", "1000"]);
    tail.wait_for_word(
        "seq 999 is ahead of the newest event of the server, seq 3; beginning again\n",
    );
    publish(&server, 3..5);
    assert_eq!(ids(&tail.wait_for_lines(2)), [3, 4]);
    let output = run(&server, &["tail", "--from", "9", "--no-follow"], b"").expect(0);
    assert!(output.stderr.contains("seq 8 is ahead of"), "{output:?}");
    let output = run(&server, &["export", "--after", "9"], b"").expect(1);
    assert!(output.stderr.contains("seq 9 is ahead of"), "{output:?}");
    assert_eq!(output.stdout, "");
}

#[test]
fn an_export_is_gone_on_with_only_in_its_own_history() {
    let changing = Changing::new();
    let server = changing.start();
    publish(&server, 0..10);
    let file = changing.path("export");
    let name = file.to_str().unwrap();
    let export = |arguments: &[&str]| {
        let arguments = [&["export", "--output", name], arguments].concat();
        run_at(&changing.url(), &arguments, b"")
    };
    export(&[]).expect(0);
    changing.backup();
    publish(&server, 10..15);
    export(&["--resume"]).expect(0);
    let whole = fs::read(&file).unwrap();
    assert_eq!(whole.iter().filter(|byte| **byte == b'\n').count(), 15);
    server.stop();

    // Fewer events than the file has, others in their place, and more.
    changing.restore();
    let server = changing.start();
    let torn = [&whole[..], b"{\"seq\":16,"].concat();
    fs::write(&file, &torn).unwrap();
    for (ids, why) in [
        (20..22, "the newest event of the server has seq 12"),
        (22..25, "there, seq 15 is another event"),
        (25..30, "there, seq 15 is another event"),
    ] {
        publish(&server, ids);
        let output = export(&["--resume"]).expect(1);
        assert!(output.stderr.contains(why), "{output:?}");
        assert!(output.stderr.contains(" is of another database than"));
        // Not a byte has changed.
        assert_eq!(fs::read(&file).unwrap(), torn);
    }
    // Up to the copy the two are the same, and so is what is exported.
    let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
    fs::write(&file, lines[..10].concat()).unwrap();
    export(&["--resume"]).expect(0);
    let output = run(&server, &["export"], b"").expect(0);
    assert_eq!(fs::read_to_string(&file).unwrap(), output.stdout);
    assert_eq!(output.stdout.lines().count(), 20);
    // Of a server that has never had it.
    let other = Server::start(&[]);
    publish(&other, 0..30);
    let output = run(&other, &["export", "-o", name, "--resume"], b"").expect(1);
    assert!(
        output.stderr.contains("there, seq 20 is another event"),
        "{output:?}"
    );
}

/// Where retention has removed the last event of the file, nothing but the id can tell.
#[test]
fn an_export_whose_last_event_is_gone_is_known_by_the_id() {
    let folder = TemporaryDirectory::new();
    let file = folder.join("export");
    let name = file.to_str().unwrap();
    let with_id = |id: &'static str| {
        Fake::start(move |_, asked| match asked.target.as_str() {
            "/stats" => Reply::json(200, &format!("{{\"last_seq\":9,\"database_id\":\"{id}\"}}")),
            "/events?limit=1&after=2" => {
                let page = format!("{{\"count\":1,\"events\":[{}],\"next\":null}}", line(8));
                Reply::json(200, &page)
            }
            "/subscribe?follow=false&after=0" => {
                let text = STREAM.to_owned() + &chunk(&(line(2) + &line(3))) + &chunk("");
                Reply::Bytes(text.into_bytes())
            }
            "/subscribe?follow=false&after=3" => {
                let gap = "{\"gap\":{\"from\":4,\"to\":7}}\n".to_owned();
                let text = STREAM.to_owned() + &chunk(&(gap + &line(8))) + &chunk("");
                Reply::Bytes(text.into_bytes())
            }
            other => panic!("{other}"),
        })
    };
    let own = with_id("0b9e6c1a-52f7-4a3d-9c58-3f1d2e7a6b40");
    run_at(&own.url, &["export", "-o", name], b"").expect(0);
    let other = with_id("11111111-52f7-4a3d-9c58-3f1d2e7a6b40");
    let output = run_at(&other.url, &["export", "-o", name, "--resume"], b"").expect(1);
    let sentence = "the server has removed the event with seq 3";
    assert!(output.stderr.contains(sentence), "{output:?}");
    let file_keeps_it =
        rustix::fs::getxattr(&file, "user.logagg.database_id", &mut [0; 36]).is_ok();
    let output = run_at(&own.url, &["export", "-o", name, "--resume"], b"");
    match file_keeps_it {
        true => {
            output.expect(0);
            assert_eq!(
                fs::read_to_string(&file).unwrap(),
                line(2) + &line(3) + &line(8)
            );
        }
        false => assert!(output.expect(1).stderr.contains(sentence)),
    }
}

#[test]
fn an_export_ends_where_the_database_changes_under_it() {
    let with_id = |id: &str| {
        STREAM.replace(
            "\r\n\r\n",
            &format!("\r\nLog-Aggregator-Database: {id}\r\n\r\n"),
        )
    };
    let heads = [
        "0b9e6c1a-52f7-4a3d-9c58-3f1d2e7a6b40",
        "11111111-52f7-4a3d-9c58-3f1d2e7a6b40",
    ]
    .map(with_id);
    let fake = Fake::start(move |number, _| match number {
        0 => stats(9),
        1 => Reply::Last((heads[0].clone() + &chunk(&line(1))).into_bytes()),
        _ => Reply::Bytes((heads[1].clone() + &chunk(&line(2)) + &chunk("")).into_bytes()),
    });
    let output = run_at(&fake.url, &["export"], b"").expect(1);
    assert_eq!(output.stdout, line(1));
    assert!(
        output.stderr.ends_with(
            "the export cannot go on: the server has another database now, \
             11111111-52f7-4a3d-9c58-3f1d2e7a6b40\n"
        ),
        "{output:?}"
    );
}
