//! `ship -`: lines that come through a pipe, and come once.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::process::Stdio;
use std::thread;

use rustix::fs::{mknodat, FileType, Mode, CWD};
use rustix::process::Signal;
use rustix::pty::{grantpt, openpt, ptsname, unlockpt, OpenptFlags};
use serde_json::{json, Value};

use super::{append, events, lines, stop, text, wait_for_lines, Scene, TOPIC};
use crate::harness::Server;
use crate::program::{command, run_at, Output, Running};
use crate::wait::wait_until;

const ARGUMENTS: [&str; 6] = ["ship", "-", "--topic", TOPIC, "--source", "test"];

impl Scene {
    /// A shipper of standard input.
    fn pipe(&self, flags: &[&str]) -> Running {
        Running::start_at(&self.url, &[&ARGUMENTS[..], flags].concat())
    }

    /// Ships an input to its end.
    fn piped(&self, flags: &[&str], input: impl AsRef<[u8]>) -> Output {
        let arguments = [&ARGUMENTS[..], flags].concat();
        run_at(&self.url, &arguments, input.as_ref())
    }
}

fn stored(server: &Server) -> u64 {
    server.json("/stats")["unique_processed"].as_u64().unwrap()
}

/// Writes numbered lines from a thread of its own, which ends when the pipe has taken them.
fn write_lines(shipper: &mut Running, count: usize) -> thread::JoinHandle<()> {
    let mut stdin = shipper.take_stdin();
    thread::spawn(move || {
        for number in 0..count {
            writeln!(stdin, "line {number}").unwrap();
        }
    })
}

fn assert_numbered(server: &Server, count: usize) {
    let found = lines(server);
    assert_eq!(found.len(), count);
    for (number, line) in found.iter().enumerate() {
        assert_eq!(*line, format!("line {number}"));
    }
}

#[test]
fn a_hundred_thousand_lines_arrive_once_and_in_order() {
    const COUNT: usize = 100_000;
    let scene = Scene::new();
    let server = scene.setup.start();
    let mut shipper = scene.pipe(&[]);
    write_lines(&mut shipper, COUNT).join().unwrap();
    let output = shipper.wait().expect(0);
    let sums = (output.sum("accepted"), output.sum("duplicates"));
    assert_eq!(sums, (COUNT as u64, 0));
    assert_numbered(&server, COUNT);
    let found = events(&server);
    assert!(found.iter().all(|event| event["source"] == "test"));
    let ids: BTreeSet<&str> = found
        .iter()
        .map(|event| event["event_id"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), COUNT);
    assert!(ids.iter().all(|id| id.len() == 36 && &id[14..15] == "7"));
    // They went out in large requests.
    let metrics = server.get("/metrics").text();
    let commits = metrics
        .lines()
        .find_map(|line| line.strip_prefix("log_aggregator_commit_duration_seconds_count "))
        .map(|value| value.trim().parse::<usize>().unwrap());
    assert!(commits.unwrap() < COUNT / 50, "{commits:?}");
}

#[test]
fn a_server_that_is_killed_and_started_again_has_each_line_once() {
    const COUNT: usize = 30_000;
    let scene = Scene::new();
    let mut server = scene.setup.start();
    let mut shipper = scene.pipe(&[]);
    let writer = write_lines(&mut shipper, COUNT);
    for least in [1_000, 5_000, 12_000] {
        wait_until("lines to be stored", || stored(&server) >= least);
        server.kill();
        server = scene.setup.start();
    }
    writer.join().unwrap();
    shipper.wait().expect(0);
    assert_numbered(&server, COUNT);
    assert_eq!(server.json("/stats")["conflicts"], 0);
}

#[test]
fn while_nothing_can_be_stored_the_writer_waits() {
    const BYTES: usize = 40 * 1024 * 1024;
    let scene = Scene::new();
    let mut shipper = scene.pipe(&[]);
    let mut stdin = shipper.take_stdin();
    let line = "x".repeat(999) + "\n";
    let piece = line.repeat(100);
    let writer = thread::spawn(move || {
        for _ in 0..BYTES / piece.len() {
            stdin.write_all(piece.as_bytes()).unwrap();
        }
    });
    shipper.wait_for_word("trying again");
    assert!(!writer.is_finished());
    let server = scene.setup.start();
    writer.join().unwrap();
    let status = fs::read_to_string(format!("/proc/{}/status", shipper.pid())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = peak.unwrap().trim().split(' ').next().unwrap();
    let kib: usize = kib.parse().unwrap();
    assert!(kib * 1024 < BYTES / 2, "{kib} KiB");
    shipper.wait().expect(0);
    assert_eq!(stored(&server), (BYTES / 100_000 * 100) as u64);
}

#[test]
fn a_line_of_a_slow_pipe_is_stored_without_others() {
    let scene = Scene::new();
    let server = scene.setup.start();
    let mut shipper = scene.pipe(&[]);
    shipper.send(b"one\n");
    wait_for_lines(&server, &["one"]);
    shipper.send(b"tw");
    shipper.send(b"o\nhalf");
    wait_for_lines(&server, &["one", "two"]);
    assert_eq!(shipper.finish().expect(0).sum("accepted"), 3);
    assert_eq!(lines(&server), ["one", "two", "half"]);
}

#[test]
fn lines_become_the_events_that_those_of_files_become() {
    let scene = Scene::new();
    let server = scene.setup.start();
    let texts = [
        "{\"n\":1.50,\"time\":\"2026-01-02T03:04:05Z\"}\r\n",
        "2026-01-02 03:04:06 +0100 ä日😀\n",
        "\n",
        "[1]\n",
        "half",
    ];
    let long = format!("{}\n", "y".repeat(2_500_000));
    let utf_16 = |big: bool| {
        let units = texts.concat().encode_utf16().collect::<Vec<u16>>();
        let bytes = move |unit: u16| match big {
            true => unit.to_be_bytes(),
            false => unit.to_le_bytes(),
        };
        [0xfeff]
            .into_iter()
            .chain(units)
            .flat_map(bytes)
            .collect::<Vec<u8>>()
    };
    let inputs = [
        texts.concat().into_bytes(),
        format!("\u{feff}{}", texts.concat()).into_bytes(),
        utf_16(false),
        utf_16(true),
        [long.as_bytes(), b"caf\xe9\n\0\0\0after\nend\0\0"].concat(),
        b"\xef\xbb\xbf".to_vec(),
        vec![0; 3_000_000],
        [b"abc", &vec![0; 3_000_000][..], b"def\n"].concat(),
        Vec::new(),
    ];
    let (mut of_files, mut piped) = (Vec::new(), Vec::new());
    for (number, input) in inputs.iter().enumerate() {
        let log = scene.folder.join(&format!("{number}.log"));
        fs::write(&log, input).unwrap();
        let arguments = scene.arguments(text(&log), &["--once"]);
        let before = events(&server).len();
        run_at(&scene.url, &arguments, b"").expect(0);
        let between = events(&server).len();
        scene.piped(&[], input).expect(0);
        let all = events(&server);
        of_files.extend(all[before..between].to_vec());
        piped.extend(all[between..].to_vec());
        assert_eq!(of_files.len(), piped.len(), "input {number}");
    }
    assert_eq!(piped.len(), 4 * 5 + 3 + 3 + 2);
    for (of_file, piped) in of_files.iter().zip(&piped) {
        assert_eq!(of_file["payload"], piped["payload"]);
        if of_file["timestamp"]
            .as_str()
            .unwrap()
            .starts_with("2026-01-02")
        {
            assert_eq!(of_file["timestamp"], piped["timestamp"]);
        }
    }
}

/// Marks and characters come in pieces.
#[test]
fn bytes_that_come_one_by_one_are_the_same_lines() {
    let scene = Scene::new();
    let server = scene.setup.start();
    let line = "ä日😀\u{a0a}\n";
    let bytes: Vec<u8> = [0xfeff]
        .into_iter()
        .chain(line.encode_utf16())
        .flat_map(u16::to_be_bytes)
        .collect();
    let mut shipper = scene.pipe(&[]);
    for byte in bytes {
        shipper.send(&[byte]);
        thread::yield_now();
    }
    wait_for_lines(&server, &[line.trim_end_matches('\n')]);
    shipper.finish().expect(0);
}

#[test]
fn a_signal_stores_what_was_written_before() {
    for signal in [Signal::TERM, Signal::INT] {
        let scene = Scene::new();
        let server = scene.setup.start();
        let mut shipper = scene.pipe(&[]);
        shipper.send(b"1\n");
        wait_for_lines(&server, &["1"]);
        shipper.send(b"2\n3\nhalf");
        shipper.signal(signal);
        let output = shipper.wait().expect(0);
        assert_eq!(output.sum("accepted"), 4);
        assert_eq!(lines(&server), ["1", "2", "3", "half"]);
    }
}

#[test]
fn a_signal_without_a_server_ends_and_says_what_is_lost() {
    let scene = Scene::new();
    let mut shipper = scene.pipe(&[]);
    shipper.send(b"1\n2\n");
    shipper.wait_for_word("trying again");
    shipper.send(b"3\n");
    shipper.signal(Signal::TERM);
    let output = shipper.wait().expect(1);
    assert!(output.stderr.contains("lost"), "{output:?}");
    assert!(output.stderr.contains("no answer from"), "{output:?}");

    // A server that comes back in time gets them.
    let mut shipper = scene.pipe(&[]);
    shipper.send(b"1\n2\n");
    shipper.wait_for_word("trying again");
    shipper.send(b"3\n");
    let server = scene.setup.start();
    assert_eq!(stop(shipper).sum("rejected"), 0);
    assert_eq!(lines(&server), ["1", "2", "3"]);
}

#[test]
fn who_gives_up_says_what_is_lost() {
    let scene = Scene::new();
    let output = scene.piped(&["--give-up-after", "0"], "1\n2\n");
    let output = output.expect(1);
    assert!(output.stderr.contains("2 events"), "{output:?}");
}

#[test]
fn a_member_is_the_id_and_a_line_that_comes_again_is_a_duplicate() {
    let scene = Scene::new();
    let server = scene.setup.start();
    let line = |n: u32, id: &str| {
        format!("{{\"__CURSOR\":{id},\"MESSAGE\":\"{n}\",\"__REALTIME_TIMESTAMP\":\"1798765432000000\"}}\n")
    };
    let input = [
        line(1, r#""s=1;i=\"2\"""#),
        line(2, "17"),
        line(3, r#""s=1;i=3""#),
    ]
    .concat();
    let flags = ["--id-member", "__CURSOR"];
    let output = scene.piped(&flags, &input).expect(0);
    assert_eq!((output.sum("accepted"), output.sum("duplicates")), (3, 0));
    assert!(!output.stderr.contains("__CURSOR"), "{output:?}");
    let output = scene.piped(&flags, &input).expect(0);
    assert_eq!((output.sum("accepted"), output.sum("duplicates")), (0, 3));
    assert_eq!(server.json("/stats")["conflicts"], 0);
    let found = events(&server);
    let ids: Vec<&Value> = found.iter().map(|event| &event["event_id"]).collect();
    assert_eq!(
        ids,
        [&json!("s=1;i=\"2\""), &json!("17"), &json!("s=1;i=3")]
    );
    // Without it they are new.
    let output = scene.piped(&[], &input).expect(0);
    assert_eq!(output.sum("accepted"), 3);
    // What has no id that could be one gets a new one, and that is said once.
    let long = format!("\"{}\"", "x".repeat(256));
    let others = [line(4, &long), line(5, "null"), "text\n".to_owned()].concat();
    let output = scene.piped(&flags, &others).expect(0);
    assert_eq!(output.sum("accepted"), 3);
    assert_eq!(output.stderr.matches("no member __CURSOR").count(), 1);
}

#[test]
fn lines_of_a_record_are_one_event() {
    let scene = Scene::new();
    let server = scene.setup.start();
    let mut shipper = scene.pipe(&["--multiline", "^[0-9]"]);
    shipper.send(b"1 a\n  b\n2 c\n");
    wait_for_lines(&server, &["1 a\n  b"]);
    // The last one ends where nothing comes for a while, also before a line that has begun.
    wait_for_lines(&server, &["1 a\n  b", "2 c"]);
    shipper.send(b"  late\nbegun");
    wait_for_lines(&server, &["1 a\n  b", "2 c", "  late"]);
    shipper.send(b" and ended\n3 d\n  e");
    let expected = ["1 a\n  b", "2 c", "  late", "begun and ended", "3 d\n  e"];
    assert_eq!(shipper.finish().expect(0).sum("accepted"), 5);
    assert_eq!(lines(&server), expected);
}

#[test]
fn records_are_bounded_as_those_of_files_are() {
    let scene = Scene::new();
    let server = scene.setup.start();
    let short = format!("begin\n{}", "x\n".repeat(2_500));
    let long = format!("begin\n{}", format!("{}\n", "y".repeat(99_999)).repeat(5));
    let longest = format!("begin\n{}\nlast\n", "z".repeat(1_100_000));
    let input = [short, long, longest].concat();
    let flags = ["--multiline", "^begin"];
    append(&scene.log(), &input);
    scene.once(&flags).expect(0);
    let of_file = lines(&server);
    scene.piped(&flags, &input).expect(0);
    let all = lines(&server);
    assert_eq!(all[..of_file.len()], all[of_file.len()..]);
}

#[test]
fn what_makes_no_sense_for_standard_input_is_refused() {
    let scene = Scene::new();
    append(&scene.log(), "1\n");
    let (log, folder) = (scene.log(), scene.folder.join("state"));
    let (log, folder) = (text(&log), text(&folder));
    let fifo = scene.folder.join("fifo");
    mknodat(CWD, &fifo, FileType::Fifo, Mode::RWXU, 0).unwrap();
    let refused = |arguments: &[&str], sentence: &str| {
        let arguments = [&["ship"], arguments].concat();
        let output = run_at(&scene.url, &arguments, b"1\n").expect(2);
        assert!(output.stderr.contains(sentence), "{output:?}");
        assert_eq!(output.stdout, "");
    };
    refused(&["-", "--state", folder], "--state");
    refused(&["-", "--once"], "--once");
    refused(&["-", "--from-end"], "--from-end");
    refused(&["-", log], "together with other files");
    refused(&["-", "-"], "together with other files");
    let files = ["--topic", "t", "--source", "s"];
    refused(
        &[&files[..], &[log, "--id-member", "x"]].concat(),
        "--id-member",
    );
    refused(&[&files[..], &["/dev/stdin"]].concat(), "ship -");
    refused(&[&files[..], &["/dev/fd/0"]].concat(), "ship -");
    refused(&[&files[..], &[text(&fifo)]].concat(), "ship - < ");
    refused(&["-", "--multiline", "("], "--multiline");
    assert!(!scene.folder.join("state").exists());
}

#[test]
fn topic_and_source_have_defaults() {
    let scene = Scene::new();
    let server = scene.setup.start();
    run_at(&scene.url, &["ship", "-"], b"1\n").expect(0);
    let page = server.json("/events?topic=stdin&after=0");
    assert_eq!(page["events"][0]["payload"], json!({"line": "1"}));
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert_eq!(page["events"][0]["source"], host.trim());
}

#[test]
fn what_cannot_be_read_is_said() {
    let scene = Scene::new();
    let _server = scene.setup.start();
    let mut command = command(&ARGUMENTS);
    command.args(["--server", &scene.url]);
    command.stdin(File::open(scene.folder.path()).unwrap());
    let output = Running::spawn(&mut command).wait().expect(1);
    assert!(
        output.stderr.contains("cannot read standard input"),
        "{output:?}"
    );
}

#[test]
fn a_line_that_the_server_refuses_is_told_and_the_others_are_stored() {
    let scene = Scene::new();
    let setup = scene.setup.clone().flags(["--max-body-bytes", "2048"]);
    let server = setup.start();
    let output = scene.piped(&[], format!("1\n{}\n2\n", "x".repeat(3_000)));
    let output = output.expect(1);
    assert_eq!((output.sum("accepted"), output.sum("rejected")), (2, 1));
    assert!(
        output.stderr.contains("standard input is refused"),
        "{output:?}"
    );
    assert_eq!(lines(&server), ["1", "2"]);
}

#[test]
fn a_terminal_is_read_line_by_line() {
    let scene = Scene::new();
    let server = scene.setup.start();
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let controller = openpt(flags).unwrap();
    grantpt(&controller).unwrap();
    unlockpt(&controller).unwrap();
    let path = ptsname(&controller, Vec::new()).unwrap();
    let terminal = File::options()
        .read(true)
        .write(true)
        .open(path.to_str().unwrap());
    let mut command = command(&ARGUMENTS);
    command
        .args(["--server", &scene.url])
        .stdin(Stdio::from(terminal.unwrap()));
    let shipper = Running::spawn(&mut command);
    shipper.wait_for_word("reading lines from the terminal");
    let mut controller = File::from(controller);
    controller.write_all(b"typed\n").unwrap();
    wait_for_lines(&server, &["typed"]);
    controller.write_all(b"\x04").unwrap();
    assert_eq!(shipper.wait().expect(0).sum("accepted"), 1);
}
