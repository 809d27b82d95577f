//! What the server allocates for an event, counted in this process: connections, application and store
//! are driven as the event loop drives them, without its sockets.
//!
//! Memory that SQLite takes from the C library is not counted.

mod stream;

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use logagg::api::route::Route;
use logagg::app::{App, Completion, Options, Reply};
use logagg::clock::Now;
use logagg::http::{Conn, Step};
use logagg::ingest::SocketProtocol;
use logagg::limits;
use logagg::store::{Durability, OpenOptions, Retention, SearchIndex, Store};
use serde::Serialize;

use crate::counting;
use crate::kind::{Kind, BATCH};
use crate::load::protocol::Protocol;
use crate::load::{syslog, Traffic};
use stream::Stream;

const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;
const FILTER_MEMORY_BYTES: usize = 256 * 1024 * 1024;
const RING_CAPACITY: usize = 10_000;
/// Events before counting begins: enough for the key index to have sealed segments.
const WARM_UP_EVENTS: u64 = 200_000;
/// Events that are counted: enough for merges to be among them.
const COUNTED_EVENTS: u64 = 300_000;
/// Requests before counting begins where each of them is one event.
const WARM_UP_SINGLES: u64 = 2_000;
const COUNTED_SINGLES: u64 = 20_000;

/// What one kind of traffic allocates in the steady state.
#[derive(Debug, Serialize)]
pub struct Allocations {
    pub traffic: &'static str,
    pub per_request: f64,
    pub per_event: f64,
}

/// One way to be driven: the traffic, over how many connections, and for how many events.
struct Drive {
    name: &'static str,
    kind: Kind,
    batch: usize,
    connections: usize,
    warm_up: u64,
    counted: u64,
}

const DRIVES: [Drive; 7] = [
    Drive {
        name: "new, 1,000 a request",
        kind: Kind::BatchRandom,
        batch: BATCH,
        connections: 4,
        warm_up: WARM_UP_EVENTS,
        counted: COUNTED_EVENTS,
    },
    Drive {
        name: "new, one a request",
        kind: Kind::SingleRandom,
        batch: 1,
        connections: 64,
        warm_up: WARM_UP_SINGLES,
        counted: COUNTED_SINGLES,
    },
    Drive {
        name: "OTLP in protobuf, 1,000 a request",
        kind: Kind::Otlp,
        batch: BATCH,
        connections: 4,
        warm_up: WARM_UP_EVENTS,
        counted: COUNTED_EVENTS,
    },
    Drive {
        name: "Elasticsearch bulk, 1,000 a request",
        kind: Kind::Bulk,
        batch: BATCH,
        connections: 4,
        warm_up: WARM_UP_EVENTS,
        counted: COUNTED_EVENTS,
    },
    Drive {
        name: "Loki in JSON, 1,000 a request",
        kind: Kind::Loki,
        batch: BATCH,
        connections: 4,
        warm_up: WARM_UP_EVENTS,
        counted: COUNTED_EVENTS,
    },
    Drive {
        name: "duplicates, 1,000 a request",
        kind: Kind::Same,
        batch: BATCH,
        connections: 4,
        warm_up: WARM_UP_EVENTS,
        counted: COUNTED_EVENTS,
    },
    Drive {
        name: "duplicates, one a request",
        kind: Kind::Same,
        batch: 1,
        connections: 64,
        warm_up: WARM_UP_SINGLES,
        counted: COUNTED_SINGLES,
    },
];

/// Counts for each kind of traffic, with databases in new folders below `directory`.
///
/// # Errors
/// A database cannot be opened, or an answer is not 200.
pub fn count(directory: &Path) -> io::Result<Vec<Allocations>> {
    let mut counts = Vec::new();
    for (number, drive) in DRIVES.iter().enumerate() {
        let folder = directory.join(format!("allocations-{number}"));
        counts.push(drive.count(&folder)?);
        fs::remove_dir_all(folder)?;
    }
    let folder = directory.join("allocations-syslog");
    counts.push(count_syslog(&folder, WARM_UP_EVENTS, COUNTED_EVENTS)?);
    fs::remove_dir_all(folder)?;
    Ok(counts)
}

/// Counts for messages of syslog over one connection.
fn count_syslog(folder: &Path, warm_up: u64, counted: u64) -> io::Result<Allocations> {
    let started = Instant::now();
    let messages = syslog::messages(BATCH as u64);
    let app = open_app(folder, now(started))?;
    let mut stream = Stream::new(app, SocketProtocol::Syslog, &messages, started);
    let times = |messages: u64| messages.div_ceil(BATCH as u64);
    stream.send(times(warm_up))?;
    let before = counting::allocations();
    stream.send(times(counted))?;
    let allocations = (counting::allocations() - before) as f64;
    let sent = (times(warm_up) + times(counted)) * BATCH as u64;
    match stream.into_app().head() {
        stored if stored == sent => Ok(Allocations {
            traffic: "syslog over TCP, for 1,000 messages",
            per_request: allocations / times(counted) as f64,
            per_event: allocations / (times(counted) * BATCH as u64) as f64,
        }),
        stored => {
            let text = format!("{sent} messages were sent, and {stored} are stored");
            Err(io::Error::other(text))
        }
    }
}

impl Drive {
    fn count(&self, folder: &Path) -> io::Result<Allocations> {
        let mut driven = Driven::new(self, folder)?;
        let mut turn = self.connections as u64 * self.batch as u64;
        let turns = |events: u64| events.div_ceil(turn);
        for _ in 0..turns(self.warm_up) {
            driven.turn()?;
        }
        let before = counting::allocations();
        let counted = turns(self.counted);
        for _ in 0..counted {
            driven.turn()?;
        }
        let allocations = (counting::allocations() - before) as f64;
        turn *= counted;
        Ok(Allocations {
            traffic: self.name,
            per_request: allocations * self.batch as f64 / turn as f64,
            per_event: allocations / turn as f64,
        })
    }
}

/// The application with its connections.
struct Driven {
    app: App,
    connections: Vec<Conn>,
    committed: Vec<Completion>,
    traffic: Traffic,
    request: Vec<u8>,
    started: Instant,
}

/// The application with an empty database in this folder.
fn open_app(folder: &Path, now: Now) -> io::Result<App> {
    let options = OpenOptions {
        path: folder.join("events.db"),
        durability: Durability::Full,
        dedup: None,
        filter_memory_bytes: FILTER_MEMORY_BYTES,
        fingerprint_bits: 128,
        triggers: false,
        retention: Retention::default(),
        search_index: SearchIndex::default(),
    };
    let store = Store::open(&options).map_err(io::Error::other)?;
    let options = Options {
        ring_capacity: RING_CAPACITY,
        max_body_bytes: MAX_BODY_BYTES,
        read_units: limits::READ_UNITS_PER_SLICE,
    };
    Ok(App::new(store, options, now))
}

impl Driven {
    fn new(drive: &Drive, folder: &Path) -> io::Result<Driven> {
        let nobody = ([127, 0, 0, 1], 0).into();
        let traffic = drive
            .kind
            .traffic(nobody, Protocol::Http, Some(drive.batch));
        let started = Instant::now();
        let now = now(started);
        Ok(Driven {
            app: open_app(folder, now)?,
            connections: (0..drive.connections)
                .map(|_| Conn::new(MAX_BODY_BYTES, now))
                .collect(),
            committed: Vec::new(),
            request: traffic.template.request(),
            traffic,
            started,
        })
    }

    /// One turn of the event loop in which every connection has brought a request.
    fn turn(&mut self) -> io::Result<()> {
        let now = now(self.started);
        let (app, template) = (&mut self.app, &self.traffic.template);
        for (ticket, conn) in self.connections.iter_mut().enumerate() {
            template.patch(&mut self.request, &mut self.traffic.stream);
            for part in self.request.chunks(limits::READ_BUFFER_BYTES) {
                conn.receive(part, now);
                handle(app, ticket, conn, now);
            }
        }
        app.drain(now);
        app.take_completions(&mut self.committed);
        let answered = self.committed.len();
        for done in self.committed.drain(..) {
            if !matches!(done.response.status, 200..=299) {
                return Err(io::Error::other(format!("status {}", done.response.status)));
            }
            let conn = &mut self.connections[done.ticket as usize];
            conn.respond(&done.response, now);
            conn.recycle(done.buffer);
            let sent = conn.output().len();
            conn.sent(sent, now);
        }
        app.idle_work(now);
        if answered != self.connections.len() {
            return Err(io::Error::other("a request was not answered"));
        }
        Ok(())
    }
}

/// Hands the requests that are complete to the application, as the event loop does.
fn handle(app: &mut App, ticket: usize, conn: &mut Conn, now: Now) {
    loop {
        match conn.next(now) {
            Step::Idle => return,
            Step::Head => {
                let request = conn.request();
                let route = Route::of(request.path());
                match app.precheck(&request, route.as_ref()) {
                    None => conn.admit(now),
                    Some(response) => conn.respond(&response, now),
                }
            }
            Step::Request => {
                let body = conn.take_body();
                let request = conn.request();
                let route = Route::of(request.path());
                match app.handle(ticket as u64, &request, route.as_ref(), body, now) {
                    Reply::Now(response) => conn.respond(&response, now),
                    Reply::AfterCommit | Reply::Stream(_) | Reply::Reading(_) => return,
                }
            }
            Step::Refused(_) => return,
        }
    }
}

fn now(started: Instant) -> Now {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Now {
        mono_ms: started.elapsed().as_millis() as u64,
        unix_us: since.map_or(0, |since| since.as_micros() as i64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_drive_is_answered() {
        let name = format!("logagg-bench-allocations-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        for drive in DRIVES {
            let small = Drive {
                connections: 2,
                warm_up: 1,
                counted: 1,
                ..drive
            };
            let counts = small.count(&folder).expect("it is driven");
            assert!(counts.per_request >= counts.per_event);
            fs::remove_dir_all(&folder).expect("the folder is there");
        }
        let counts = count_syslog(&folder, 1, 10_000).expect("it is driven");
        assert!(counts.per_request >= counts.per_event);
        fs::remove_dir_all(&folder).expect("the folder is there");
    }
}
