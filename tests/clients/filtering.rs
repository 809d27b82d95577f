//! `logagg tail` and `logagg export` with filters.

use std::fs;

use crate::fake::{chunk, line, stats, Fake, Reply, STREAM};
use crate::harness::{Server, TemporaryDirectory};
use crate::program::{run, run_at, Running};
use crate::wait::wait_until;

/// An event with a level and a message.
fn event(id: u32, level: &str, msg: &str) -> String {
    format!(
        r#"{{"topic":"t{}","event_id":"e{id}","timestamp":"2026-01-02T03:04:{id:02}Z","source":"s",
        "payload":{{"level":"{level}","msg":"{msg}"}}}}"#,
        id % 2
    )
    .replace('\n', "")
        + "\n"
}

fn publish(server: &Server, ids: std::ops::Range<u32>) {
    let levels = ["info", "error", "debug"];
    let body: String = ids
        .map(|id| {
            event(
                id,
                levels[id as usize % 3],
                if id % 5 == 0 { "time-out" } else { "ok" },
            )
        })
        .collect();
    run(server, &["publish"], body.as_bytes()).expect(0);
}

/// The ids at the ends of lines, or in them as JSON.
fn ids(stdout: &str) -> Vec<u32> {
    let id = |line: &str| {
        let id = match line.split_once("\"event_id\":\"e") {
            Some((_, rest)) => rest.split('"').next().unwrap(),
            None => line.rsplit("  e").next().unwrap(),
        };
        id.parse().unwrap()
    };
    stdout.lines().map(id).collect()
}

/// All that read with the same filters get the same events.
#[test]
fn readers_with_the_same_filters_see_the_same_events() {
    let server = Server::start(&[]);
    publish(&server, 0..50);
    for filters in [
        &["--where", "level=error"][..],
        &["--q", "time"],
        &["--q", "-ok", "--where", "level!=debug", "--topic", "t1"],
        &[
            "--since",
            "2026-01-02T03:04:30Z",
            "--until",
            "2026-01-02T03:04:40Z",
        ],
        &[
            "--source",
            "s*",
            "--event-id",
            "e1*",
            "--received",
            "--since",
            "1h",
        ],
    ] {
        let of = |command: &[&str]| {
            let output = run(&server, &[command, filters].concat(), b"");
            ids(&output.expect(0).stdout)
        };
        let found = of(&["search", "--limit", "all"]);
        assert!(!found.is_empty(), "{filters:?}");
        assert_eq!(of(&["search"]), found);
        assert_eq!(of(&["export"]), found, "{filters:?}");
        assert_eq!(of(&["tail", "--no-follow", "--from", "start"]), found);
        assert_eq!(of(&["tail", "--no-follow", "-n", "100"]), found);
        let last = found[found.len().saturating_sub(2)..].to_vec();
        assert_eq!(of(&["tail", "--no-follow", "-n", "2"]), last);
    }
}

#[test]
fn a_tail_shows_what_matches_as_it_comes() {
    let server = Server::start(&[]);
    publish(&server, 0..10);
    let arguments = [
        "tail",
        "t0",
        "--grep",
        "time*",
        "--where",
        "level=info",
        "--json",
    ];
    let tail = Running::start(&server, &arguments);
    // Of the first ten those of t0 with the word are 0; 30 comes later.
    tail.wait_for_lines(1);
    publish(&server, 10..40);
    assert_eq!(ids(&tail.wait_for_lines(2).join("\n")), [0, 30]);
    // All of a time, and then what comes.
    let arguments = [
        "tail",
        "--received",
        "--since",
        "1h",
        "--where",
        "level=error",
    ];
    let tail = Running::start(&server, &arguments);
    assert_eq!(tail.wait_for_lines(13).len(), 13);
    publish(&server, 40..41);
    assert_eq!(ids(&tail.wait_for_lines(14).join("\n"))[13], 40);
    for (arguments, said) in [
        (&["tail", "--where", "a..b"][..], ": a..b\n"),
        (
            &["tail", "--from", "now", "--grep", "x", "--grep", "\"y"],
            ": \"y\n",
        ),
        (&["export", "--since", "never"], ": never\n"),
        (&["export", "--topic", ""], ""),
    ] {
        let output = run(&server, arguments, b"").expect(2);
        assert!(output.stderr.ends_with(said), "{output:?}");
    }
}

/// A named subscription also passes over what does not match.
#[test]
fn a_filtered_subscription_has_no_lag() {
    let server = Server::start(&[]);
    run(&server, &["subscriptions", "create", "m"], b"").expect(0);
    publish(&server, 0..10);
    let arguments = [
        "tail",
        "--subscription",
        "m",
        "--where",
        "level=error",
        "--no-follow",
    ];
    let output = run(&server, &arguments, b"").expect(0);
    assert_eq!(ids(&output.stdout), [1, 4, 7]);
    wait_until("all is acknowledged", || {
        server.json("/subscriptions/m")["lag"] == 0
    });
}

/// A connection that is made again goes on after what did not match, and means the same by an age.
#[test]
fn a_lost_connection_goes_on_after_what_did_not_match() {
    let mut streams = 0;
    let fake = Fake::start(move |_, asked| match asked.target.as_str() {
        "/health" => Reply::json(
            503,
            r#"{"status":"unhealthy","timestamp":"2026-01-02T03:04:05.25Z"}"#,
        ),
        "/stats" => stats(9),
        _ => {
            streams += 1;
            let text = match streams {
                1 => line(2) + "{\"progress\":{\"through\":70}}\n",
                _ => line(71),
            };
            Reply::Last((STREAM.to_owned() + &chunk(&text)).into_bytes())
        }
    });
    let arguments = [
        "tail", "--since", "1h", "--until", "now", "--q", "a b", "--json",
    ];
    let tail = Running::start_at(&fake.url, &arguments);
    tail.wait_for_lines(2);
    let filters = "since=2026-01-02T02%3A04%3A05.25Z&until=2026-01-02T03%3A04%3A05.25Z&q=a%20b";
    let target = |after| format!("/subscribe?follow=true&{filters}&progress=true&after={after}");
    assert_eq!(
        fake.targets()[..3],
        ["/health".to_owned(), target(0), target(70)]
    );
}

#[test]
fn an_export_is_gone_on_with_by_its_own_filters_alone() {
    let server = Server::start(&[]);
    publish(&server, 0..10);
    let folder = TemporaryDirectory::new();
    let path = folder.join("errors.ndjson");
    let name = path.to_str().unwrap();
    let export =
        |arguments: &[&str]| run(&server, &[&["export", "-o", name], arguments].concat(), b"");
    let wrong = export(&["--where", "a..b"]).expect(2);
    assert!(wrong.stderr.ends_with(": a..b\n"), "{wrong:?}");
    assert!(!path.exists());
    let own = ["--where", "level=error", "--received", "--since", "1d"];
    export(&own).expect(0);
    assert_eq!(ids(&fs::read_to_string(&path).unwrap()), [1, 4, 7]);
    publish(&server, 10..20);
    for other in [
        &["--resume"][..],
        &["--resume", "--where", "level=error"],
        &[
            "--resume",
            "--where",
            "level=info",
            "--received",
            "--since",
            "1d",
        ],
        &[
            "--resume",
            "--where",
            "level=error",
            "--received",
            "--since",
            "2d",
        ],
        &["--resume", "--topic", "t1"],
    ] {
        let output = export(other).expect(2);
        assert!(
            output.stderr.contains("was begun with other filters"),
            "{output:?}"
        );
    }
    assert_eq!(ids(&fs::read_to_string(&path).unwrap()), [1, 4, 7]);
    export(&[&own[..], &["--resume"]].concat()).expect(0);
    let whole = [1, 4, 7, 10, 13, 16, 19];
    assert_eq!(ids(&fs::read_to_string(&path).unwrap()), whole);

    // A copy has lost what it was begun with; without filters it is as it ever was.
    let copy = folder.join("copy");
    fs::write(&copy, fs::read(&path).unwrap()).unwrap();
    let arguments = ["export", "-o", copy.to_str().unwrap(), "--resume"];
    let output = run(&server, &[&arguments[..], &own].concat(), b"").expect(2);
    assert!(
        output.stderr.contains("nothing shows with which filters"),
        "{output:?}"
    );
    run(&server, &arguments, b"").expect(0);
}

/// An age is the time that it was when the file was begun.
#[test]
fn an_export_that_goes_on_means_the_same_time() {
    let fake = || {
        Fake::start(|_, asked| match asked.target.as_str() {
            "/health" => Reply::json(200, r#"{"timestamp":"2026-01-02T03:04:05Z"}"#),
            "/stats" => stats(9),
            target if target.starts_with("/events?limit=1&") => {
                Reply::json(200, &format!(r#"{{"events":[{}],"next":null}}"#, line(1)))
            }
            _ => Reply::Bytes((STREAM.to_owned() + &chunk(&line(1)) + &chunk("")).into_bytes()),
        })
    };
    let folder = TemporaryDirectory::new();
    let path = folder.join("export");
    let arguments = ["export", "--since", "1h", "-o", path.to_str().unwrap()];
    let first = fake();
    run_at(&first.url, &arguments, b"").expect(0);
    let fixed = "since=2026-01-02T02%3A04%3A05Z&progress=true&after=";
    assert!(first.targets().last().unwrap().contains(fixed));
    let second = fake();
    run_at(&second.url, &[&arguments[..], &["--resume"]].concat(), b"").expect(1);
    assert!(second.targets().last().unwrap().contains(fixed));
    assert!(!second.targets().contains(&"/health".to_owned()));
}
