//! `logagg bench`: what it says is what the server counts.

use std::fs;

use rustix::process::Signal;
use serde_json::{json, Value};

use crate::harness::{fixed_address, Server, Setup};
use crate::program::{command, run, run_at, url, Output, Running};
use crate::wait::wait_until;

/// A server that does not log its duplicates.
fn quiet() -> Server {
    Server::start(&["--log-duplicates", "off"])
}

/// Runs `bench` until answers have come, and ends it by a signal.
fn measure(server: &Server, arguments: &[&str]) -> Output {
    let running = Running::start(server, &[&["bench", "--duration=1h"], arguments].concat());
    wait_until("requests", || {
        server.json("/stats")["received"].as_u64() > Some(1_000)
    });
    running.signal(Signal::INT);
    running.wait().expect(130)
}

#[test]
fn its_sums_are_those_of_the_server() {
    let server = quiet();
    let arguments = [
        "--json",
        "--connections=8",
        "--batch=10",
        "--duplicates=30%",
        "--topics=3",
        "--payload=64",
        "--order=ordered",
    ];
    let output = measure(&server, &arguments);
    let found: Value = serde_json::from_str(&output.stdout).unwrap();
    let stats = server.json("/stats");
    assert_eq!(found["accepted"], stats["unique_processed"]);
    assert_eq!(found["duplicates"], stats["duplicate_dropped"]);
    assert_eq!(
        (&found["errors"], &found["first_error"]),
        (&json!(0), &json!(null))
    );
    let requests = found["requests_sent"].as_u64().unwrap();
    assert_eq!(stats["received"], requests * 10);
    assert_eq!(found["answers"], json!({ "200": requests }));
    let repeated = found["duplicates"].as_u64().unwrap();
    assert_eq!(repeated, requests * 10 * 3 / 10);

    let latency = &found["latency_us"];
    let quantiles = ["min", "median", "p90", "p99", "p99.9", "max"];
    let quantiles = quantiles.map(|name| latency[name].as_f64().unwrap());
    assert!(quantiles[0] > 0.0 && quantiles.is_sorted(), "{latency}");
    let buckets = found["histogram"].as_array().unwrap();
    let sum: u64 = buckets
        .iter()
        .filter_map(|bucket| bucket["requests"].as_u64())
        .sum();
    assert_eq!(found["requests"], sum);

    assert_eq!(server.json("/topics")["count"], 3);
    let event = &server.json("/events?limit=1")["events"][0];
    assert_eq!(event["payload"].to_string().len(), 64);
}

#[test]
fn people_get_lines_and_bars() {
    let server = quiet();
    let output = measure(&server, &["--connections", "2"]);
    for name in [
        "requests",
        "accepted",
        "answers    200: ",
        "latency    min ",
    ] {
        assert!(output.stdout.contains(name), "{output:?}");
    }
    assert!(output.stdout.contains('█'), "{output:?}");
    assert_eq!(output.stderr, "");
}

#[test]
fn a_signal_ends_it_with_what_was_measured() {
    let server = quiet();
    let output = measure(&server, &["--json", "--connections", "3"]);
    let found: Value = serde_json::from_str(&output.stdout).unwrap();
    // What was under way has been waited for.
    assert_eq!(found["accepted"], server.json("/stats")["unique_processed"]);
}

#[test]
fn a_refused_load_is_an_error_by_status() {
    let setup = Setup::new();
    let tokens = setup.directory().join("tokens");
    fs::write(&tokens, "writer publish secret-w\nreader read secret-r\n").unwrap();
    let flags = ["--auth-tokens-file".into(), tokens.into_os_string()];
    let server = setup.clone().flags(flags).start();
    for (token, code, status) in [("secret-w", 0, "200"), ("secret-r", 1, "403")] {
        let arguments = ["bench", "--json", "--duration=50ms", "--connections=2"];
        let mut command = command(&arguments);
        command.args(["--server", &url(server.address())]);
        command.env("LOGAGG_TOKEN", token);
        let output = Running::spawn(&mut command).finish().expect(code);
        let found: Value = serde_json::from_str(&output.stdout).unwrap();
        let statuses: Vec<&String> = found["answers"].as_object().unwrap().keys().collect();
        assert_eq!(statuses, [status], "{output:?}");
        assert!(!output.stdout.contains("secret"), "{output:?}");
    }
}

#[test]
fn what_cannot_be_measured_is_said() {
    let arguments = ["bench", "--duration", "50ms"];
    let nobody = format!("http://{}", fixed_address());
    let output = run_at(&nobody, &arguments, b"").expect(1);
    assert!(output.stderr.contains("no answer from"), "{output:?}");
    let output = run_at("unix:/run/socket", &arguments, b"").expect(2);
    assert!(output.stderr.contains("http://HOST:PORT"), "{output:?}");
    let huge = ["bench", "--payload=1000000", "--batch=10000"];
    let output = run_at(&nobody, &huge, b"").expect(2);
    assert!(output.stderr.contains("are sent at a time"), "{output:?}");
}

/// Requests are due at a steady rate, whether the server is as fast or not.
#[test]
fn a_rate_is_kept_and_latencies_count_from_when_a_request_was_due() {
    let server = quiet();
    let arguments = [
        "bench",
        "--json",
        "--connections=2",
        "--duration=1s",
        "--rate=50",
    ];
    let output = run(&server, &arguments, b"").expect(0);
    let found: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(found["rate"], 50);
    let sent = found["requests_sent"].as_u64().unwrap();
    let unsent = found["requests_unsent"].as_u64().unwrap();
    assert!(sent <= 51, "{found}");
    assert!((49..=51).contains(&(sent + unsent)), "{found}");

    // One that stands still for a while: what was due then has waited, and its latency says so.
    let server = quiet();
    let arguments = [
        "bench",
        "--json",
        "--connections=1",
        "--duration=1h",
        "--rate=100",
    ];
    let running = Running::start(&server, &arguments);
    let received = || server.json("/stats")["received"].as_u64().unwrap();
    wait_until("events", || received() > 5);
    server.signal(Signal::STOP);
    std::thread::sleep(std::time::Duration::from_millis(500));
    server.signal(Signal::CONT);
    let before = received();
    wait_until("what was due", || received() > before + 60);
    running.signal(Signal::INT);
    let output = running.wait().expect(130);
    let found: Value = serde_json::from_str(&output.stdout).unwrap();
    let buckets = found["histogram"].as_array().unwrap().iter();
    let late = buckets.filter(|bucket| bucket["from_us"].as_f64() >= Some(100_000.0));
    let late: u64 = late.filter_map(|bucket| bucket["requests"].as_u64()).sum();
    // Without a rate it would be one request.
    assert!(late >= 10, "{found}");
    let output = run(&server, &["bench", "--duration=50ms", "--rate=10"], b"").expect(0);
    assert!(
        output.stdout.contains("rate       10 requests/s wanted, "),
        "{output:?}"
    );
    run(&server, &["bench", "--rate=0"], b"").expect(2);
}
