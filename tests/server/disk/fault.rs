//! The disk of one server: where its record is, and which calls fail.

use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::record::{forget_undone, read_record, Entry};
use super::shim::library;
use crate::harness::{Setup, TemporaryDirectory};

/// The numbers that shim.c has for calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Write = 0,
    Read = 1,
    Sync = 2,
    /// To open for writing, or to make.
    Open = 3,
    Unlink = 4,
}

/// The numbers that shim.c has for files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum File {
    Database = 1,
    /// The write-ahead log.
    Log = 2,
    /// The folder that the database is in.
    Folder = 3,
    /// The folder that the folder is in.
    Parent = 4,
    /// The rollback journal, which SQLite needs once, to turn to the log.
    Journal = 5,
    /// `-shm` and `.lock`.
    Other = 6,
}

const FILES: u64 = 7;
const CALLS: u64 = 5;

/// The disk of one database. The control file and the record lie outside of the database's folder.
pub struct Disk {
    own: TemporaryDirectory,
    control: fs::File,
}

impl Disk {
    pub fn new() -> Disk {
        let own = TemporaryDirectory::new();
        let control = fs::File::options()
            .create(true)
            .truncate(true)
            .read(true)
            .write(true)
            .open(own.join("control"))
            .unwrap();
        control.set_len(4_096).unwrap();
        Disk { own, control }
    }

    /// The same settings with this disk underneath, whose calls can be made to fail.
    pub fn under(&self, setup: Setup) -> Setup {
        let database = path_text(setup.database_path());
        setup
            .variable("LD_PRELOAD", &path_text(library()))
            .variable("DISK_DATABASE", &database)
            .variable("DISK_CONTROL", &path_text(&self.own.join("control")))
    }

    /// The same, and all that the server of this number does is recorded.
    pub fn recorded(&self, setup: &Setup, number: usize) -> Setup {
        let record = path_text(&self.record(number));
        self.under(setup.clone()).variable("DISK_RECORD", &record)
    }

    /// What the servers did, one after another. One that was killed may have left its last entry
    /// unfinished.
    pub fn entries(&self) -> Vec<Entry> {
        let records = (0..).map(|number| self.record(number));
        let entries = records
            .take_while(|path| path.exists())
            .flat_map(|path| read_record(&path));
        entries.collect()
    }

    /// The server of this number has been killed, and nothing has looked at its database since.
    pub fn forget_undone(&self, setup: &Setup, number: usize) {
        forget_undone(&self.record(number), setup.database_path());
    }

    fn record(&self, number: usize) -> PathBuf {
        self.own.join(&format!("record-{number}"))
    }

    /// From now on this call fails for this file.
    pub fn fail(&self, call: Call, file: File, error: Errno) {
        self.set(call, file, error.raw_os_error());
    }

    /// From now on this call succeeds for this file.
    pub fn mend(&self, call: Call, file: File) {
        self.set(call, file, 0);
    }

    /// This many of the calls that would fail succeed before.
    pub fn spare(&self, calls: i32) {
        let place = (CALLS * FILES + 1) * 4;
        let written = self.control.write_all_at(&calls.to_ne_bytes(), place);
        written.unwrap();
    }

    /// From now on nothing fails.
    pub fn heal(&self) {
        self.spare(0);
        for place in 0..CALLS * FILES {
            self.control.write_all_at(&[0; 4], place * 4).unwrap();
        }
    }

    /// The number of calls that have been made to fail.
    pub fn failures(&self) -> i32 {
        let mut number = [0; 4];
        self.control
            .read_exact_at(&mut number, CALLS * FILES * 4)
            .unwrap();
        i32::from_ne_bytes(number)
    }

    fn set(&self, call: Call, file: File, error: i32) {
        let place = (call as u64 * FILES + file as u64) * 4;
        let written: io::Result<()> = self.control.write_all_at(&error.to_ne_bytes(), place);
        written.unwrap();
    }
}

fn path_text(path: &Path) -> String {
    path.to_str().expect("paths of tests are UTF-8").to_owned()
}
