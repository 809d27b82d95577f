//! Everything fails, as a seed says: nodes, forwarders, the engine and the connections between them. Afterwards each
//! event that was answered is in the store once.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use serde_json::{json, Value};

use crate::engine::{url_at, Engine};
use crate::forwarder::Forwarder;
use crate::harness::{event, fixed_address, Address, Server, Setup};
use crate::model::{check, events_of_node, events_of_store};
use crate::proxy::Proxy;
use crate::random::Random;
use crate::wait::wait_within;

const NODES: usize = 2;
const PUBLISHERS: u64 = 3;
/// The number of different keys: few, so that nodes and publishers meet.
const KEYS: u64 = 4_000;

/// The keys of all events that were answered.
pub type Answered = Mutex<HashSet<(String, String)>>;

pub fn rounds() -> u64 {
    let rounds = std::env::var("FLEET_ROUNDS").ok();
    rounds.map_or(12, |rounds| rounds.parse().unwrap())
}

pub fn seed() -> u64 {
    let seed = std::env::var("FLEET_SEED").ok();
    seed.map_or_else(
        || u64::from(std::process::id()),
        |seed| seed.parse().unwrap(),
    )
}

/// Sends a batch; whether it was answered with 200.
pub fn publish(address: SocketAddr, body: &str) -> std::io::Result<bool> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(Duration::from_secs(20)))?;
    let length = body.len();
    write!(
        socket,
        "POST /publish HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    Ok(answer.starts_with("HTTP/1.1 200 "))
}

/// Publishes until it is over; what it does not hear of it sends again, perhaps to another node.
pub fn keep_publishing(
    nodes: &[SocketAddr],
    mut random: Random,
    answered: &Answered,
    is_over: &AtomicBool,
) {
    while !is_over.load(Ordering::SeqCst) {
        let mut keys = Vec::new();
        let events: Vec<Value> = (0..1 + random.below(30))
            .map(|_| {
                let number = random.below(KEYS);
                let (topic, id) = (format!("topic {}", number % 5), format!("event {number}"));
                keys.push((topic.clone(), id.clone()));
                // Some keys come with other contents.
                let mut event = event(&topic, &id);
                event["payload"] = json!({"number": number, "variant": random.below(20) / 19});
                event
            })
            .collect();
        let body = Value::from(events).to_string();
        loop {
            let node = nodes[random.below(nodes.len() as u64) as usize];
            if publish(node, &body).is_ok_and(|is_answered| is_answered) {
                answered.lock().unwrap().extend(keys);
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
        thread::sleep(Duration::from_millis(random.below(20)));
    }
}

/// Ends the publishers when it is dropped.
pub struct Over<'a>(pub &'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

struct Fleet {
    engine: Engine,
    proxy: Proxy,
    setups: Vec<Setup>,
    nodes: Vec<Option<Server>>,
    addresses: Vec<Address>,
    forwarders: Vec<Forwarder>,
    to: String,
    copy: Option<String>,
}

impl Fleet {
    fn start() -> Option<Fleet> {
        let engine = Engine::start()?;
        engine.database("fleet");
        let proxy = Proxy::start(engine.address());
        let to = url_at(&[proxy.address()], "fleet");
        let setup = |_| {
            let setup = Setup::new().flags(["--log-duplicates", "off"]);
            setup.listen([fixed_address().to_string()])
        };
        let setups: Vec<Setup> = (0..NODES).map(setup).collect();
        let nodes: Vec<Server> = setups.iter().map(Setup::start).collect();
        let addresses: Vec<Address> = nodes.iter().map(|node| node.address().clone()).collect();
        let forwarders = addresses
            .iter()
            .map(|address| forwarder(address, &to))
            .collect();
        Some(Fleet {
            engine,
            proxy,
            setups,
            nodes: nodes.into_iter().map(Some).collect(),
            addresses,
            forwarders,
            to,
            copy: None,
        })
    }

    /// One thing fails.
    fn fail(&mut self, random: &mut Random) {
        let at = random.below(NODES as u64) as usize;
        match random.below(8) {
            0 | 1 => {
                if let Some(node) = self.nodes[at].take() {
                    node.kill();
                }
                thread::sleep(Duration::from_millis(random.below(200)));
                self.nodes[at] = Some(self.setups[at].start_at(self.addresses[at].clone()));
            }
            2 | 3 => self.forwarders[at] = forwarder(&self.addresses[at], &self.to),
            4 => self.proxy.cut(),
            5 => {
                self.proxy.hang();
                thread::sleep(Duration::from_millis(random.below(1_000)));
                self.proxy.pass();
            }
            6 => {
                self.engine.kill();
                thread::sleep(Duration::from_millis(random.below(300)));
                self.engine.restart();
            }
            _ => match self.copy.take() {
                None => {
                    let has_tables = self
                        .engine
                        .try_sql("fleet", "SELECT 1 FROM logagg.meta")
                        .is_ok();
                    self.copy = has_tables.then(|| self.engine.dump("fleet"));
                }
                Some(copy) => {
                    let put_back = format!("BEGIN; DROP SCHEMA logagg CASCADE; {copy}; COMMIT");
                    self.engine.sql("fleet", &put_back);
                }
            },
        }
    }

    /// Waits until the store has all that the nodes have.
    fn settle(&self) {
        for node in self.nodes.iter().flatten() {
            let mut last = String::new();
            wait_within(Duration::from_secs(120), "the lag to be 0", || {
                let Some(stats) = stats(node) else {
                    return false;
                };
                let sql = format!(
                    "SELECT position FROM logagg.node_positions WHERE database_id = '{}' ORDER BY life DESC LIMIT 1",
                    stats["database_id"].as_str().unwrap()
                );
                last = self.engine.try_sql("fleet", &sql).unwrap_or_default();
                last.parse::<u64>().ok() == stats["last_seq"].as_u64()
            });
        }
    }
}

/// It may not listen yet.
pub fn stats(node: &Server) -> Option<Value> {
    let Address::Tcp(address) = node.address() else {
        return None;
    };
    TcpStream::connect(address).ok()?;
    Some(node.json("/stats"))
}

fn forwarder(node: &Address, to: &str) -> Forwarder {
    Forwarder::start_with(node, to, &["--batch-events", "100"])
}

#[test]
fn whatever_fails_each_answered_event_is_in_the_store_once() {
    let seed = seed();
    eprintln!("FLEET_SEED={seed}");
    let mut random = Random::new(seed);
    let Some(mut fleet) = Fleet::start() else {
        return;
    };
    let addresses: Vec<SocketAddr> = fleet
        .addresses
        .iter()
        .filter_map(|address| match address {
            Address::Tcp(address) => Some(*address),
            Address::Unix(_) => None,
        })
        .collect();
    let (answered, is_over) = (Answered::default(), AtomicBool::new(false));
    thread::scope(|scope| {
        // Also where something panics, or the publishers would go on for ever.
        let over = Over(&is_over);
        for number in 0..PUBLISHERS {
            let random = Random::new(seed ^ (number + 1));
            let (addresses, answered, is_over) = (&addresses, &answered, &is_over);
            scope.spawn(move || keep_publishing(addresses, random, answered, is_over));
        }
        for _ in 0..rounds() {
            thread::sleep(Duration::from_millis(random.below(700)));
            fleet.fail(&mut random);
        }
        drop(over);
    });
    fleet.settle();
    let nodes: Vec<_> = fleet.nodes.iter().flatten().map(events_of_node).collect();
    check(&fleet.engine, "fleet", &nodes);
    let store = events_of_store(&fleet.engine, "fleet");
    let stored: HashSet<_> = store.into_iter().map(|event| event.key).collect();
    let answered = answered.into_inner().unwrap();
    assert!(
        answered.is_subset(&stored),
        "an event that was answered is missing"
    );
    assert_eq!(answered.len().max(stored.len()), stored.len());
}
