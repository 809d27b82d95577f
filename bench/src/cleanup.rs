//! Ends the child processes and removes the folder of databases when this program ends by a signal or a panic.
//! At every other end values clean up when they are dropped.

use std::fs;
use std::io;
use std::panic;
use std::path::PathBuf;
use std::process::{exit, Child, Command};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use rustix::process::Signal;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::process::signal_family;

static KEPT: Mutex<Kept> = Mutex::new(Kept {
    processes: Vec::new(),
    folder: None,
});

struct Kept {
    processes: Vec<u32>,
    folder: Option<PathBuf>,
}

/// From now on SIGINT, SIGTERM and a panic end the children too. To be called once, before the
/// calling thread is pinned to a core.
///
/// # Errors
/// Signals cannot be caught.
pub fn install() -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            // Held to the end, so that nothing more is started.
            let _kept = clean_up();
            exit(128 + signal);
        }
    });
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        drop(clean_up());
        report(panic);
    }));
    Ok(())
}

/// Starts a process that is to be killed at the end, and its children with it.
///
/// # Errors
/// It cannot be started.
pub fn start(command: &mut Command) -> io::Result<Child> {
    let mut kept = kept();
    let child = command.spawn()?;
    kept.processes.push(child.id());
    Ok(child)
}

/// The process has ended, and its number may become another's.
pub fn forget_process(id: u32) {
    kept().processes.retain(|other| *other != id);
}

/// The folder is to be removed at the end.
pub fn add_folder(folder: PathBuf) {
    kept().folder = Some(folder);
}

fn clean_up() -> MutexGuard<'static, Kept> {
    let kept = kept();
    for id in &kept.processes {
        signal_family(*id, Signal::KILL);
    }
    if let Some(folder) = &kept.folder {
        // It lies in the build folder: a leftover harms nobody.
        let _ = fs::remove_dir_all(folder);
    }
    kept
}

fn kept() -> MutexGuard<'static, Kept> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}
