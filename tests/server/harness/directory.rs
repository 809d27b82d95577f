//! A folder of a test's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

/// A new folder, removed with all it holds when this value goes.
pub struct TemporaryDirectory(PathBuf);

impl TemporaryDirectory {
    pub fn new() -> TemporaryDirectory {
        TemporaryDirectory::new_in(std::env::temp_dir())
    }

    pub fn new_in(parent: PathBuf) -> TemporaryDirectory {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        loop {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let name = format!("logagg-test-{}-{number}", process::id());
            let path = parent.join(name);
            match fs::create_dir(&path) {
                Ok(()) => return TemporaryDirectory(path),
                // Left behind by a killed run whose process number came round again.
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(e) => panic!("cannot make {}: {e}", path.display()),
            }
        }
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        // What cannot be removed is the system's to clean up; the test has its result.
        let _ = fs::remove_dir_all(&self.0);
    }
}
