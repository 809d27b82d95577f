//! What every measurement needs first: cores, folders, and the server's binary.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::args::ServerArgs;
use crate::cleanup;
use crate::cores::Cores;
use crate::server;

/// What all measurements share.
pub struct Setup {
    pub cores: Cores,
    /// The folder that this program was built into: on a real disk, and not under version control.
    pub build_folder: PathBuf,
    /// A new folder in it for databases and logs, which goes when this program ends.
    pub directory: PathBuf,
}

impl Setup {
    /// Pins the calling thread to the generator's core; from now on children end with this program.
    ///
    /// # Errors
    /// The kernel's and the file system's.
    pub fn new() -> io::Result<Setup> {
        cleanup::install()?;
        let program = std::env::current_exe()?;
        let build_folder = program
            .parent()
            .and_then(Path::parent)
            .ok_or_else(|| io::Error::other("this program lies in no build folder"))?;
        let directory = build_folder.join(format!("bench-{}", std::process::id()));
        fs::create_dir_all(&directory)?;
        cleanup::add_folder(directory.clone());
        Ok(Setup {
            cores: Cores::claim()?,
            build_folder: build_folder.to_owned(),
            directory,
        })
    }

    /// The server's binary: the one that was named, or one that is built now.
    ///
    /// # Errors
    /// It does not build.
    pub fn server_binary(&self, args: &ServerArgs) -> io::Result<PathBuf> {
        match &args.server {
            Some(binary) => Ok(binary.clone()),
            None => server::build(&self.build_folder),
        }
    }
}

impl Drop for Setup {
    fn drop(&mut self) {
        // It lies in the build folder: a leftover harms nobody.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Bytes that an event takes on disk, its share of the key index and of merges under way included.
const BYTES_PER_EVENT: u64 = 450;
/// Bytes that are to be left free.
const LEFT_FREE: u64 = 2_000_000_000;

/// Refuses where the disk of `folder` has no room for `events` more events.
///
/// # Errors
/// With a sentence that says how much is missing.
pub fn check_room(folder: &Path, events: u64) -> io::Result<()> {
    let disk = rustix::fs::statvfs(folder)?;
    let free = disk.f_bavail * disk.f_frsize;
    let needed = events * BYTES_PER_EVENT + LEFT_FREE;
    if free >= needed {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "{events} more events may take {:.1} GB, and the disk of {} has {:.1} GB free",
        needed as f64 / 1e9,
        folder.display(),
        free as f64 / 1e9
    )))
}

/// What `program --version` prints, on one line.
///
/// # Errors
/// It cannot be started.
pub fn version_of(program: &Path) -> io::Result<String> {
    let output = Command::new(program).arg("--version").output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
