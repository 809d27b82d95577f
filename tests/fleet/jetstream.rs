//! What a forwarder brings into a stream of NATS JetStream, and what it asks of one.

use rustix::process::Signal;
use serde_json::{json, Value};

use crate::forwarder::{forward_once, run, url_of, Forwarder};
use crate::harness::{event, fixed_address, Server, Setup};
use crate::nats::{check, database_id, pages_of, shared, Cluster, Nats};
use crate::wait::wait_until;

fn publish(server: &Server, numbers: std::ops::Range<u32>) {
    let made = numbers.map(|number| event(&format!("topic {}", number % 7), &number.to_string()));
    server.publish(&made.collect::<Value>()).expect(200);
}

fn once(server: &Server, to: &str) -> (i32, String) {
    let node = url_of(server.address());
    let (code, _, said) = run(&["forward", "--once", "--server", &node, "--to", to]);
    (code, said)
}

/// How the headers of a batch that must follow `last` begin.
fn headers(batch: &str, number: u32, more: &str) -> String {
    format!("Nats-Batch-Id: {batch}\r\nNats-Batch-Sequence: {number}\r\n{more}")
}

fn follows(last: u32) -> String {
    format!(
        "Nats-Expected-Last-Subject-Sequence: {last}\r\n\
         Nats-Expected-Last-Subject-Sequence-Subject: found.a.>\r\n"
    )
}

const COMMIT: &str = "Nats-Batch-Commit: 1\r\n";

/// What the forwarder relies on, and why it sends no `Nats-Msg-Id`: asked of NATS itself.
#[test]
fn a_known_id_or_a_stale_sequence_or_a_new_leader_refuses_a_whole_batch() {
    let Some(mut cluster) = Cluster::start() else {
        return;
    };
    cluster.stream("found", json!({}));
    let leader = cluster.leader("found");
    let mut nats = Nats::connect(cluster.addresses()[(leader + 1) % 3]).unwrap();
    // Each batch has two messages; the code of its refusal, or none.
    let mut batch = |id: &str, first: &str, second: &str| {
        let first = headers(id, 1, first);
        nats.publish("found.a.x", &first, "1").unwrap();
        let last = headers(id, 2, &format!("{second}{COMMIT}"));
        let reply = nats.publish("found.a.y", &last, "2").unwrap();
        nats.answer(&reply).unwrap()["error"]["err_code"].as_u64()
    };
    let id = |id: &str| format!("Nats-Msg-Id: {id}\r\n");
    assert_eq!(batch("b1", &(follows(0) + &id("1")), &id("2")), None);
    assert_eq!(batch("b2", &follows(0), ""), Some(10_071), "stale");
    assert_eq!(
        batch("b3", &(follows(2) + &id("3")), &id("2")),
        Some(10_201)
    );
    assert_eq!(
        batch("b4", &(follows(2) + &id("1")), &id("4")),
        Some(10_201)
    );
    assert_eq!(
        batch("b5", &(follows(2) + &id("5")), &id("5")),
        Some(10_201)
    );
    assert_eq!(batch("b6", &follows(2), ""), None);
    let state = |cluster: &Cluster| {
        cluster.api("STREAM.INFO.found", &Value::Null)["state"]["messages"].as_u64()
    };
    assert_eq!(state(&cluster), Some(4), "nothing of what was refused");
    // A batch whose leader dies in the middle is nothing, and its end is refused by the next one.
    let first = headers("b7", 1, &follows(4));
    let reply = nats.publish("found.a.x", &first, "1").unwrap();
    nats.answer(&reply).unwrap();
    cluster.kill(leader);
    cluster.leader("found");
    let mut code = None;
    wait_until("the next leader's word", || {
        let last = headers("b7", 2, COMMIT);
        let reply = nats.publish("found.a.y", &last, "2").unwrap();
        code = nats.answer(&reply).unwrap()["error"]["err_code"].as_u64();
        code.is_some()
    });
    assert_eq!(code, Some(10_176), "incomplete");
    assert_eq!(state(&cluster), Some(4));
}

#[test]
fn events_of_two_nodes_stand_under_their_topics_as_each_node_shows_them() {
    let Some(cluster) = shared() else {
        return;
    };
    let to = cluster.stream("topics", json!({}));
    let [first, second] = [Server::start(&[]), Server::start(&[])];
    let odd = [
        "a b",
        "x.*",
        "a.>",
        "..",
        ".a..b.",
        "100%",
        "ü",
        "user.login",
    ];
    let made = odd.map(|topic| {
        let mut event = event(topic, "ü\"");
        event["payload"] = json!({"said": "\u{0}\n\"", "n": 1.5});
        event
    });
    first.publish(&Value::from(made.to_vec())).expect(200);
    publish(&first, 0..2_500);
    publish(&second, 0..300);
    forward_once(&first, &to);
    // One after the other, with another node's between.
    forward_once(&second, &to);
    publish(&first, 2_500..2_600);
    forward_once(&first, &to);
    forward_once(&first, &to);
    for server in [&first, &second] {
        check(cluster, "topics", server);
    }
    let id = database_id(&first);
    let messages = cluster.messages("topics");
    let subjects = [
        "a%20b",
        "x.%2A",
        "a.%3E",
        "%2E%2E",
        "%2Ea.%2Eb%2E",
        "100%25",
        "ü",
        "user.login",
    ];
    for (message, end) in messages.iter().zip(subjects) {
        assert_eq!(message.subject, format!("topics.{id}.{end}"));
    }
    assert_eq!(messages.len(), odd.len() + 2_600 + 300);
}

#[test]
fn a_forwarder_follows_its_node_and_holds_what_is_to_come() {
    let Some(cluster) = shared() else {
        return;
    };
    let to = cluster.stream("follows", json!({}));
    let setup = Setup::new().listen([fixed_address().to_string()]);
    let server = setup.start();
    publish(&server, 0..50);
    let forwarder = Forwarder::start(server.address(), &to);
    forwarder.wait_for_position(50);
    assert_eq!(forwarder.metric("active"), 1.0);
    let found = server.json("/subscriptions");
    let subscription = found["subscriptions"][0].clone();
    assert_eq!(subscription["hold"], true);
    let name = subscription["name"].as_str().unwrap().to_owned();
    assert!(name.starts_with("forward-") && name.len() == 16, "{name}");
    let address = server.address().clone();
    server.kill();
    wait_until("the loss to be seen", || {
        forwarder.page("/health").contains("\"node\":false")
    });
    let server = setup.start_at(address);
    wait_until("the server to be back", || {
        forwarder.page("/health").contains("\"node\":true")
    });
    publish(&server, 50..90);
    forwarder.wait_for_position(90);
    wait_until("the acknowledgement", || {
        server.json(&format!("/subscriptions/{name}"))["lag"] == 0
    });
    assert_eq!(forwarder.metric("lag_events"), 0.0);
    assert_eq!(forwarder.metric("events_total{outcome=\"stored\"}"), 90.0);
    check(cluster, "follows", &server);
    assert_eq!(forwarder.stop(), 0);
}

#[test]
fn a_forwarder_that_is_killed_again_and_again_brings_each_event_to_a_stream_once() {
    let Some(cluster) = shared() else {
        return;
    };
    let to = cluster.stream("killed", json!({}));
    let server = Server::start(&[]);
    for round in 0..5 {
        let forwarder = Forwarder::start_with(server.address(), &to, &["--batch-events", "37"]);
        publish(&server, round * 400..round * 400 + 400);
        let some = f64::from(round * 400 + 100);
        wait_until("some events", || forwarder.metric("position") >= some);
        forwarder.signal(Signal::KILL);
    }
    forward_once(&server, &to);
    check(cluster, "killed", &server);
}

#[test]
fn of_two_forwarders_into_a_stream_one_works_and_the_other_takes_over() {
    let Some(cluster) = shared() else {
        return;
    };
    let to = cluster.stream("standby", json!({}));
    let server = Server::start(&[]);
    let forwarders = [0, 1].map(|_| Forwarder::start(server.address(), &to));
    let mut published = 0;
    let active = |forwarder: &Forwarder| forwarder.metric("active") == 1.0;
    wait_until("one of them to be a standby", || {
        publish(&server, published..published + 20);
        published += 20;
        forwarders.iter().filter(|one| active(one)).count() == 1
    });
    let [mut working, mut waiting] = forwarders;
    if active(&waiting) {
        std::mem::swap(&mut working, &mut waiting);
    }
    working.wait_for_position(published.into());
    working.signal(Signal::KILL);
    publish(&server, published..published + 100);
    wait_until("the standby to take over", || active(&waiting));
    waiting.wait_for_position(u64::from(published) + 100);
    check(cluster, "standby", &server);
    assert_eq!(waiting.stop(), 0);
}

#[test]
fn a_stream_that_is_made_again_gets_all_and_one_that_removed_events_gets_the_rest() {
    let Some(cluster) = shared() else {
        return;
    };
    let to = cluster.stream("again", json!({}));
    let server = Server::start(&[]);
    publish(&server, 0..100);
    let forwarder = Forwarder::start(server.address(), &to);
    forwarder.wait_for_position(100);
    cluster.api("STREAM.DELETE.again", &json!({}));
    cluster.stream("again", json!({}));
    // The node gets nothing new, and is read again all the same.
    wait_until("all to come again", || {
        cluster.messages("again").len() == 100
    });
    publish(&server, 100..150);
    forwarder.wait_for_position(150);
    check(cluster, "again", &server);
    // What was removed was there: it does not come twice, neither at once nor after the forwarder is made again.
    cluster.api("STREAM.PURGE.again", &json!({}));
    publish(&server, 150..155);
    forwarder.wait_for_position(155);
    cluster.api("STREAM.PURGE.again", &json!({}));
    wait_until("the acknowledgement", || {
        let found = server.json("/subscriptions");
        let all = found["subscriptions"].as_array().unwrap();
        all.iter().any(|one| one["lag"] == 0)
    });
    assert_eq!(forwarder.stop(), 0);
    publish(&server, 155..160);
    forward_once(&server, &to);
    publish(&server, 160..170);
    forward_once(&server, &to);
    let seqs: Vec<u64> = cluster
        .messages("again")
        .iter()
        .map(|message| message.body["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(seqs, (156..=170).collect::<Vec<u64>>());
}

#[test]
fn a_standby_does_not_take_over_where_it_was_itself_when_the_stream_is_empty() {
    let Some(cluster) = shared() else {
        return;
    };
    let to = cluster.stream("emptied", json!({}));
    let server = Server::start(&[]);
    publish(&server, 0..100);
    let waiting = Forwarder::start(server.address(), &to);
    waiting.wait_for_position(100);
    waiting.signal(Signal::STOP);
    publish(&server, 100..200);
    let working = Forwarder::start(server.address(), &to);
    working.wait_for_position(200);
    waiting.signal(Signal::CONT);
    let is_active = |forwarder: &Forwarder| forwarder.metric("active") == 1.0;
    wait_until("it to be a standby", || !is_active(&waiting));
    wait_until("the acknowledgement", || {
        server.json("/subscriptions")["subscriptions"][0]["lag"] == 0
    });
    working.signal(Signal::KILL);
    cluster.api("STREAM.PURGE.emptied", &json!({}));
    publish(&server, 200..210);
    wait_until("it to take over", || is_active(&waiting));
    waiting.wait_for_position(210);
    let messages = cluster.messages("emptied");
    let seqs = messages
        .iter()
        .map(|message| message.body["seq"].as_u64().unwrap());
    assert!(seqs.eq(201..=210), "{messages:?}");
}

#[test]
fn a_node_that_went_back_begins_another_life_in_a_stream() {
    let Some(cluster) = shared() else {
        return;
    };
    let to = cluster.stream("lives", json!({}));
    let setup = Setup::new();
    let server = setup.start();
    publish(&server, 0..100);
    let copy = setup.directory().join("copy.db");
    let paths = [setup.database_path(), &copy].map(|path| path.to_str().unwrap());
    assert_eq!(run(&["backup", "--from", paths[0], "--to", paths[1]]).0, 0);
    publish(&server, 100..200);
    forward_once(&server, &to);
    server.stop();
    let back = Setup::new().database(&copy);
    let server = back.start();
    let said = forward_once(&server, &to);
    assert!(said.contains("gone back"), "{said}");
    publish(&server, 1_000..1_150);
    forward_once(&server, &to);
    let messages = cluster.messages("lives");
    let of_life = |life: &str| -> Vec<&Value> {
        let own = messages
            .iter()
            .filter(|message| message.header("Logagg-Life") == Some(life));
        own.map(|message| &message.body).collect()
    };
    assert_eq!(of_life("1").len(), 200);
    let wanted = pages_of(&server);
    assert!(
        of_life("2") == wanted.iter().collect::<Vec<_>>(),
        "all of it again"
    );
}

#[test]
fn what_the_node_has_removed_is_a_gap_before_a_stream_too() {
    let Some(cluster) = shared() else {
        return;
    };
    let to = cluster.stream("gaps", json!({}));
    let setup = Setup::new().flags(["--retain-events", "1s"]);
    let server = setup.start();
    publish(&server, 0..10);
    wait_until("the events to be removed", || {
        server.json("/stats")["first_seq"] == 11
    });
    let forwarder = Forwarder::start(server.address(), &to);
    wait_until("the gap to be passed", || {
        forwarder.metric("position") == 10.0
    });
    assert_eq!(forwarder.metric("gap_events_total"), 10.0);
    let said = forwarder.said();
    assert!(
        said.contains("WARN: the node had removed the events 1 to 10"),
        "{said}"
    );
    publish(&server, 10..20);
    forwarder.wait_for_position(20);
    assert_eq!(forwarder.metric("gap_events_total"), 10.0, "once");
    assert_eq!(cluster.messages("gaps").len(), 10);
    assert_eq!(forwarder.stop(), 0);
}

#[test]
fn a_stream_that_cannot_be_used_ends_it_with_a_sentence() {
    let Some(cluster) = shared() else {
        return;
    };
    let server = Server::start(&[]);
    publish(&server, 0..3);
    for (name, changes, what) in [
        ("plain", json!({"allow_atomic": false}), "allow_atomic"),
        ("queue", json!({"retention": "workqueue"}), "limits"),
        ("flat", json!({"subjects": ["flat.*"]}), "PREFIX.>"),
        ("small", json!({"max_msg_size": 100}), "max_msg_size"),
    ] {
        let to = cluster.stream(name, changes);
        let (code, said) = once(&server, &to);
        assert_eq!(code, 1, "{said}");
        assert!(said.contains(what), "{said}");
    }
    for wrong in ["nats://u:s3cret@h", "nats://h/a.b", "tls://u:s3cret@h/x"] {
        let (code, said) = once(&server, wrong);
        assert_eq!(code, 2, "{said}");
        assert!(said.contains("--to") && !said.contains("s3cret"), "{said}");
    }
    // The sentence about one that is missing says how to make it.
    let (code, said) = once(&server, &cluster.url("missing"));
    assert_eq!(code, 1, "{said}");
    let (_, request) = said
        .split_once("'$JS.API.STREAM.CREATE.missing' '")
        .unwrap();
    let config: Value = serde_json::from_str(request.split_once('\'').unwrap().0).unwrap();
    wait_until("it to be made", || {
        cluster.api("STREAM.CREATE.missing", &config)["error"].is_null()
    });
    cluster.leader("missing");
    assert_eq!(once(&server, &cluster.url("missing")).0, 0);
}

#[test]
fn who_is_not_let_in_is_told_and_a_signal_ends_every_wait() {
    let users = "authorization { users: [{user: tester, password: right}] }";
    let Some(cluster) = Cluster::start_with(users) else {
        return;
    };
    let to = cluster.stream("guarded", json!({}));
    let server = Server::start(&[]);
    publish(&server, 0..3);
    let hosts = to.strip_prefix("nats://").unwrap();
    for wrong in [
        to.clone(),
        format!("nats://tester:s3cret@{hosts}"),
        format!("nats://s3cret@{hosts}"),
    ] {
        let (code, said) = once(&server, &wrong);
        assert_eq!(code, 1, "{said}");
        assert!(
            said.contains("Authorization") && !said.contains("s3cret"),
            "{said}"
        );
    }
    assert_eq!(once(&server, &format!("nats://tester:right@{hosts}")).0, 0);
    let file = server.setup().directory().join("password");
    std::fs::write(&file, "right\n").unwrap();
    let (node, to) = (url_of(server.address()), format!("nats://tester@{hosts}"));
    let (file, mut forward) = (file.to_str().unwrap(), vec!["forward", "--once"]);
    forward.extend(["--server", &node, "--to", &to, "--to-password-file", file]);
    let (code, _, said) = run(&forward);
    assert_eq!(code, 0, "{said}");
    check(&cluster, "guarded", &server);
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mute = format!("nats://{}/x", silent.local_addr().unwrap());
    for to in [
        &format!("nats://tester:right@{hosts}"),
        "nats://127.0.0.1:1/x",
        &mute,
    ] {
        assert_eq!(Forwarder::start(server.address(), to).stop(), 0);
    }
}
