//! What the server writes to the disk for an event: the WAL, the checkpoints, and the key index and the summaries in
//! both. The kernel counts it for the server's process and for those that it has started.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::resource::{getrusage, UsageWho};
use serde::Serialize;

use crate::cores::Cores;
use crate::kind::{Kind, BATCH};
use crate::load::protocol::Protocol;
use crate::load::{self, Checks, Plan, Stop};
use crate::server::{self, Server};

/// What getrusage(2) counts in.
const BLOCK_BYTES: u64 = 512;

/// What one kind of traffic writes, from the start of the server to the end of its stop.
#[derive(Debug, Serialize)]
pub struct DiskBytes {
    pub traffic: &'static str,
    /// Bytes written for an event.
    pub written: f64,
    /// The most that is expected of `written`.
    pub target: f64,
    /// Bytes of the database for an event, after the stop.
    pub database: f64,
}

struct Drive {
    name: &'static str,
    kind: Kind,
    connections: usize,
    events: u64,
    events_per_request: u64,
    target: f64,
}

const DRIVES: [Drive; 2] = [
    Drive {
        name: "one a request",
        kind: Kind::SingleRandom,
        connections: 64,
        events: 200_000,
        events_per_request: 1,
        target: 800.0,
    },
    Drive {
        name: "1,000 a request",
        kind: Kind::BatchRandom,
        connections: 4,
        events: 1_000_000,
        events_per_request: BATCH as u64,
        target: 550.0,
    },
];

/// Counts for each kind of traffic, with databases in new folders below `directory`.
///
/// # Errors
/// A server cannot be started or stopped, or a request fails.
pub fn count(binary: &Path, directory: &Path, cores: &Cores) -> io::Result<Vec<DiskBytes>> {
    let folder = |number| directory.join(format!("disk-{number}"));
    let drives = DRIVES.iter().enumerate();
    drives
        .map(|(number, drive)| drive.count(binary, folder(number), cores))
        .collect()
}

impl Drive {
    fn count(&self, binary: &Path, folder: PathBuf, cores: &Cores) -> io::Result<DiskBytes> {
        let before = written_by_ended_children()?;
        let server = Server::start(binary, folder.clone(), cores)?;
        let plan = Plan {
            address: server.address,
            connections: self.connections,
            warm_up: Duration::ZERO,
            stop: Stop::Requests(self.events / self.events_per_request),
            pace: None,
            checks: Checks::StatusAndCounts,
        };
        let mut traffic = self.kind.traffic(server.address, Protocol::Http, None);
        let result = load::run(&plan, &mut traffic)?;
        if let Some(error) = result.first_error {
            return Err(io::Error::other(format!("{}: {error}", self.name)));
        }
        let events = server.statistic("unique_processed")? as f64;
        server.stop()?;
        let written = written_by_ended_children()? - before;
        let (database, _) = server::file_sizes(&folder);
        std::fs::remove_dir_all(&folder)?;
        Ok(DiskBytes {
            traffic: self.name,
            written: written as f64 / events,
            target: self.target,
            database: database as f64 / events,
        })
    }
}

/// Bytes that this process's children, and theirs, have had written to a disk. Those that run are not in it.
fn written_by_ended_children() -> io::Result<u64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    Ok(usage.block_writes().unsigned_abs() * BLOCK_BYTES)
}
