//! How a seed sets the server up, and what kind of world it gets.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use logagg::app;
use logagg::limits;
use logagg::net;
use logagg::store::{Dedup, Durability, OpenOptions, Retention, SearchIndex};

use crate::random::Random;

pub struct Setup {
    pub app: app::Options,
    pub net: net::Options,
    pub store: OpenOptions,
    /// Turns before everybody calms down.
    pub steps: u64,
    /// Clients at the same time.
    pub clients: usize,
    /// Trouble with the database begins once in this many hundred acts; 0 is never.
    pub trouble_in: u64,
    /// The process dies once in this many turns; 0 is never.
    pub crash_in: u64,
    /// It is stopped once in this many turns; 0 is never.
    pub stop_in: u64,
}

impl Setup {
    pub fn new(random: &mut Random, folder: &Folder) -> Setup {
        let mut pick = |from: &[u64]| from[random.below(from.len() as u64) as usize];
        let max_body_bytes = pick(&[1_024, 8_192, 8_192, 1 << 20]) as usize;
        Setup {
            app: app::Options {
                ring_capacity: pick(&[1, 4, 30, 10_000, 10_000]) as usize,
                max_body_bytes,
                read_units: pick(&[1, 30, 300, limits::READ_UNITS_PER_SLICE]),
            },
            net: net::Options {
                max_connections: pick(&[1, 3, 1_000, 1_000]) as usize,
                max_body_bytes,
                max_buffered_bytes: pick(&[8_192, 65_536, 1 << 27, 1 << 27]) as usize,
            },
            store: OpenOptions {
                path: folder.file(0),
                durability: [Durability::Full, Durability::Normal][pick(&[0, 1]) as usize],
                dedup: Some([Dedup::Index, Dedup::Constraint][pick(&[0, 0, 1]) as usize]),
                filter_memory_bytes: 1 << 20,
                fingerprint_bits: 128,
                triggers: true,
                retention: Retention::default(),
                search_index: SearchIndex::default(),
            },
            steps: pick(&[60, 150, 150, 300]),
            clients: pick(&[1, 2, 5, 12]) as usize,
            trouble_in: pick(&[0, 2, 6]),
            crash_in: pick(&[0, 70, 150]),
            stop_in: pick(&[0, 0, 100]),
        }
    }
}

/// A folder that goes when the run is over.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        // Nothing here is about the loss of power: memory is as good as a disk.
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() {
            memory.to_owned()
        } else {
            std::env::temp_dir()
        };
        let path = parent.join(format!("logagg-simulation-{}-{n}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a folder for databases");
        Folder(path)
    }

    /// The database after `crashes` crashes.
    pub fn file(&self, crashes: u64) -> PathBuf {
        self.0.join(format!("{crashes}.db"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
