//! `checkpoint`: copies a write-ahead log beside a running server.
//!
//! SQLite copies a log in one go, and gigabytes of it keep a disk busy for many seconds, in which every commit
//! of the server waits. So there are two processes. One copies; the other stops it every few milliseconds,
//! syncs what it has written meanwhile, and leaves the disk to the server for longer than that took.

use std::io::{stdout, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use rustix::process::{kill_process, Pid, Signal};

use crate::cli::failure::Failure;
use crate::limits;
use crate::net::PROGRAM;
use crate::store::WalCopier;

/// The flag that names, for the process that copies, the process that lets it go on.
const PACED_BY: &str = "--paced-by";

/// Copy the write-ahead log into the database, also while a server runs
///
/// A server does this by itself. It starts this command when another program has blocked checkpoints for
/// so long that copying the log itself would make clients wait.
#[derive(Debug, Args)]
pub struct CheckpointArgs {
    /// File that holds the database
    #[arg(value_name = "DATABASE")]
    database: PathBuf,
    /// The process that paces this one; it must be the one that started it
    #[arg(long, value_name = "PROCESS", hide = true)]
    paced_by: Option<i32>,
}

/// Copies. The error is one sentence.
pub(crate) fn run(arguments: &CheckpointArgs) -> Result<(), Failure> {
    if let Some(pacer) = arguments.paced_by {
        end_with(pacer).map_err(Failure::Failed)?;
        // The pacer waits for this line. One that has ended meanwhile cannot read it any more.
        let _ = writeln!(stdout(), "ready");
    }
    let path = &arguments.database;
    let log = WalCopier::open(path)?;
    match arguments.paced_by {
        Some(_) => log.copy()?,
        None => copy_in_portions(path, &log)?,
    }
    let done = log.copied()?;
    // A reader that is gone still has the exit code.
    let _ = writeln!(stdout(), "copied: {} of {} pages", done.copied, done.frames);
    Ok(())
}

/// Copies until so little is left that a server does the rest itself, or until a reader blocks it.
fn copy_in_portions(path: &Path, log: &WalCopier) -> Result<(), Failure> {
    let mut share = limits::WAL_COPY_REST_FACTOR;
    for _ in 0..limits::WAL_COPY_ROUNDS {
        let before = log.copied()?;
        match Copier::start(path) {
            Some(copier) => pace(copier, log, share)?,
            None => log.copy()?,
        }
        // What has been committed meanwhile must take less time than that did.
        share /= 2.0;
        let now = log.copied()?;
        if now.left() <= limits::CHECKPOINT_MAX_FRAMES || now.copied <= before.copied {
            break;
        }
    }
    Ok(())
}

/// Lets `copier` copy all that it may, a portion at a time, and rests for this share of what each took.
fn pace(mut copier: Copier, log: &WalCopier, share: f64) -> Result<(), Failure> {
    let portion = Duration::from_millis(limits::WAL_COPY_PORTION_MS);
    let rest_max = Duration::from_millis(limits::WAL_COPY_REST_MAX_MS);
    loop {
        let begun = Instant::now();
        thread::sleep(portion);
        if let Some(status) = copier.ended()? {
            // It has reported the error itself.
            let code = status.code().and_then(|code| u8::try_from(code).ok());
            return match code {
                Some(0) => Ok(()),
                Some(code) => Err(Failure::Ended(code)),
                None => Err(Failure::Failed(format!("copying was ended: {status}"))),
            };
        }
        copier.signal(Signal::STOP)?;
        log.sync()?;
        thread::sleep(begun.elapsed().mul_f64(share).min(rest_max));
        copier.signal(Signal::CONT)?;
    }
}

/// The process that copies. It does not outlive this one, stopped or not.
struct Copier(Child);

impl Copier {
    /// Starts it; none if that cannot be done here.
    fn start(path: &Path) -> Option<Copier> {
        if !cfg!(target_os = "linux") {
            return None;
        }
        let this = std::process::id().to_string();
        let mut command = Command::new(PROGRAM);
        command.args(["checkpoint", PACED_BY, &this]).arg(path);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut copier = command.spawn().ok().map(Copier)?;
        copier.wait_until_ready();
        Some(copier)
    }

    /// If it is stopped before it has arranged for its end, it could outlive this process.
    fn wait_until_ready(&mut self) {
        if let Some(output) = &mut self.0.stdout {
            // If it has ended there is nothing to read, and `ended` says so.
            let _ = output.read(&mut [0]);
        }
    }

    fn signal(&self, signal: Signal) -> Result<(), Failure> {
        let fail = |error| format!("the process that copies cannot be paced: {error}");
        let sent = kill_process(Pid::from_child(&self.0), signal);
        sent.map_err(|error| Failure::Failed(fail(error)))
    }

    /// What it has ended with, once it has.
    fn ended(&mut self) -> Result<Option<ExitStatus>, Failure> {
        let fail = |error| format!("the process that copies cannot be waited for: {error}");
        let status = self.0.try_wait();
        status.map_err(|error| Failure::Failed(fail(error)))
    }
}

impl Drop for Copier {
    fn drop(&mut self) {
        // If it has ended already there is nothing to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Makes this process end when the one that started it does: no other process would let it go on.
fn end_with(pacer: i32) -> Result<(), String> {
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| format!("cannot be paced: {error}"))?;
    match rustix::process::getppid() {
        Some(parent) if parent.as_raw_nonzero().get() == pacer => Ok(()),
        _ => Err(format!("process {pacer} has not started this one")),
    }
}
