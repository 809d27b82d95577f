//! Members of a cluster, connections and forwarders that fail while events go into a stream.

use std::thread;
use std::time::Duration;

use serde_json::{json, Value};

use crate::forwarder::Forwarder;
use crate::harness::{event, fixed_address, Server, Setup};
use crate::nats::{check, shared, url_at, Cluster};
use crate::proxy::Proxy;
use crate::random::Random;
use crate::torture::{seed, stats};
use crate::wait::wait_until;

fn publish(server: &Server, numbers: std::ops::Range<u32>) {
    let made = numbers.map(|number| event(&format!("t{}", number % 3), &number.to_string()));
    server.publish(&made.collect::<Value>()).expect(200);
}

#[test]
fn connections_to_nats_that_are_cut_or_hang_or_are_refused_do_no_harm() {
    let Some(cluster) = shared() else {
        return;
    };
    cluster.stream("cut", json!({}));
    let proxy = Proxy::start(cluster.addresses()[0]);
    let server = Server::start(&[]);
    let to = url_at(&[proxy.address()], "cut");
    let forwarder = Forwarder::start_with(server.address(), &to, &["--batch-events", "20"]);
    for round in 0..5 {
        publish(&server, round * 100..round * 100 + 100);
        wait_until("some", || {
            forwarder.metric("position") > f64::from(round * 100)
        });
        proxy.cut();
    }
    forwarder.wait_for_position(500);
    proxy.refuse();
    publish(&server, 500..520);
    let before = forwarder.metric("errors_total");
    wait_until("the refusal", || forwarder.metric("errors_total") > before);
    assert!(forwarder.metric("lag_events") >= 20.0);
    proxy.pass();
    forwarder.wait_for_position(520);
    proxy.hang();
    publish(&server, 520..600);
    let before = forwarder.metric("errors_total");
    wait_until("it to be given up", || {
        forwarder.metric("errors_total") > before
    });
    proxy.pass();
    forwarder.wait_for_position(600);
    check(cluster, "cut", &server);
}

#[test]
fn a_stream_that_is_put_back_gets_what_it_lacks() {
    let Some(mut cluster) = Cluster::start() else {
        return;
    };
    let to = cluster.stream("restored", json!({}));
    let [server, later] = [Server::start(&[]), Server::start(&[])];
    publish(&server, 0..100);
    let forwarder = Forwarder::start(server.address(), &to);
    forwarder.wait_for_position(100);
    cluster.replace(false);
    publish(&server, 100..200);
    publish(&later, 0..50);
    let beside = Forwarder::start(later.address(), &to);
    for (forwarder, position) in [(&forwarder, 200), (&beside, 50)] {
        forwarder.wait_for_position(position);
    }
    cluster.replace(true);
    let count = |cluster: &Cluster| {
        cluster.api("STREAM.INFO.restored", &Value::Null)["state"]["messages"].as_u64()
    };
    wait_until("the rest to come again", || count(&cluster) == Some(250));
    for server in [&server, &later] {
        check(&cluster, "restored", server);
    }
}

#[test]
fn whatever_fails_each_event_is_in_the_stream_once_and_in_order() {
    let seed = seed();
    eprintln!("FLEET_SEED={seed}");
    let mut random = Random::new(seed);
    let Some(mut cluster) = Cluster::start() else {
        return;
    };
    let to = cluster.stream("torture", json!({}));
    let setup = Setup::new().listen([fixed_address().to_string()]);
    let mut server = setup.start();
    let address = server.address().clone();
    let start = || Forwarder::start_with(&address, &to, &["--batch-events", "50"]);
    let mut forwarders = [start(), start()];
    let mut published = 0;
    for round in 0..10 {
        publish(&server, published..published + 300);
        published += 300;
        thread::sleep(Duration::from_millis(random.below(500)));
        // The first rounds do each of them once.
        let what = if round < 5 { round } else { random.below(5) };
        match what {
            0 | 1 => forwarders[random.below(2) as usize] = start(),
            2 => {
                let leader = cluster.leader("torture");
                cluster.kill(leader);
                cluster.leader("torture");
                cluster.restart(leader);
            }
            3 => {
                let leader = cluster.leader("torture");
                cluster.freeze(leader, true);
                thread::sleep(Duration::from_millis(random.below(8_000)));
                cluster.freeze(leader, false);
            }
            _ => {
                server.kill();
                server = setup.start_at(address.clone());
                wait_until("the node", || stats(&server).is_some());
            }
        }
    }
    wait_until("all to be there", || {
        let metric = |forwarder: &Forwarder| forwarder.metric("position");
        forwarders.iter().map(metric).fold(0.0, f64::max) == f64::from(published)
    });
    check(&cluster, "torture", &server);
}
