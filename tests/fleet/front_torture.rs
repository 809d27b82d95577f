//! Fronts beside a node with its forwarder, while all of them fail as a seed says: fronts, the engine, the connections.
//! Publishers send again at any server what they did not hear of.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use crate::engine::{url_at, Engine};
use crate::forwarder::Forwarder;
use crate::harness::{fixed_address, Address, Server, Setup};
use crate::model::{events_of_node, events_of_store};
use crate::proxy::Proxy;
use crate::random::Random;
use crate::torture::{keep_publishing, rounds, seed, stats, Answered, Over};
use crate::wait::{wait_until, wait_within};

const PUBLISHERS: u64 = 3;

fn tcp(address: &Address) -> SocketAddr {
    match address {
        Address::Tcp(address) => *address,
        Address::Unix(_) => panic!("fronts listen on TCP"),
    }
}

struct Fronts {
    engine: Engine,
    proxy: Proxy,
    setups: Vec<Setup>,
    fronts: Vec<Option<Server>>,
    addresses: Vec<Address>,
}

impl Fronts {
    fn start() -> Option<Fronts> {
        let engine = Engine::start()?;
        engine.database("fleet");
        let proxy = Proxy::start(engine.address());
        let store = url_at(&[proxy.address()], "fleet");
        let setup = |_| {
            let setup = Setup::new()
                .flags(["--log-duplicates", "off"])
                .store(&store);
            setup.listen([fixed_address().to_string()])
        };
        let setups: Vec<Setup> = (0..2).map(setup).collect();
        let fronts: Vec<Server> = setups.iter().map(Setup::start).collect();
        Some(Fronts {
            addresses: fronts.iter().map(|front| front.address().clone()).collect(),
            fronts: fronts.into_iter().map(Some).collect(),
            engine,
            proxy,
            setups,
        })
    }

    /// One thing fails.
    fn fail(&mut self, random: &mut Random) {
        let at = random.below(2) as usize;
        match random.below(5) {
            0 | 1 => {
                if let Some(front) = self.fronts[at].take() {
                    front.kill();
                }
                thread::sleep(Duration::from_millis(random.below(200)));
                self.fronts[at] = Some(self.setups[at].start_at(self.addresses[at].clone()));
            }
            2 => self.proxy.cut(),
            3 => {
                self.proxy.hang();
                thread::sleep(Duration::from_millis(random.below(1_000)));
                self.proxy.pass();
            }
            _ => {
                self.engine.kill();
                thread::sleep(Duration::from_millis(random.below(300)));
                self.engine.restart();
            }
        }
    }
}

#[test]
fn whatever_fails_what_a_front_has_answered_is_in_the_store_once() {
    let seed = seed();
    eprintln!("FLEET_SEED={seed}");
    let mut random = Random::new(seed ^ 0x66726f6e74);
    let Some(mut fleet) = Fronts::start() else {
        return;
    };
    let node = Server::start(&["--log-duplicates", "off"]);
    let to = url_at(&[fleet.proxy.address()], "fleet");
    let _forwarder = Forwarder::start_with(node.address(), &to, &["--batch-events", "100"]);
    let mut addresses: Vec<SocketAddr> = fleet.addresses.iter().map(tcp).collect();
    addresses.push(tcp(node.address()));
    let (answered, is_over) = (Answered::default(), AtomicBool::new(false));
    thread::scope(|scope| {
        // Also where something panics, or the publishers would go on for ever.
        let over = Over(&is_over);
        for number in 0..PUBLISHERS {
            let random = Random::new(seed ^ (number + 1));
            let (addresses, answered, is_over) = (&addresses, &answered, &is_over);
            scope.spawn(move || keep_publishing(addresses, random, answered, is_over));
        }
        for _ in 0..rounds() / 2 {
            thread::sleep(Duration::from_millis(random.below(700)));
            fleet.fail(&mut random);
        }
        drop(over);
    });
    let database = "SELECT position FROM logagg.node_positions ORDER BY position DESC LIMIT 1";
    wait_within(Duration::from_secs(120), "the lag to be 0", || {
        let position = fleet.engine.try_sql("fleet", database).unwrap_or_default();
        let last = stats(&node).and_then(|stats| stats["last_seq"].as_u64());
        last == Some(0) || position.parse().ok() == last
    });
    // The model sees to it that seqs grow.
    let stored = events_of_store(&fleet.engine, "fleet");
    let keys: HashSet<_> = stored.iter().map(|event| event.key.clone()).collect();
    assert_eq!(keys.len(), stored.len(), "an event is there twice");
    let answered = answered.into_inner().unwrap();
    assert!(
        !answered.is_empty() && answered.is_subset(&keys),
        "an event that was answered is missing"
    );
    for front in fleet.fronts.iter().flatten() {
        wait_until("the front to be healthy", || {
            std::net::TcpStream::connect(tcp(front.address())).is_ok()
                && front.get("/health").status == 200
        });
        assert_eq!(
            events_of_node(front),
            stored,
            "pages through a front are the table"
        );
        let stats = front.json("/stats");
        assert_eq!(stats["unique_processed"], stored.len(), "{stats}");
        assert_eq!(stats["topic_count"], 5);
        let topics = front.json("/topics");
        let topics = topics["topics"].as_array().unwrap().iter();
        let events: u64 = topics.map(|topic| topic["events"].as_u64().unwrap()).sum();
        assert_eq!(events, stored.len() as u64);
    }
}
