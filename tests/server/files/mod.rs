//! The files of a database: which names lead to them, what lies under these, and what becomes of them while
//! a server runs.

mod names;
mod older_log;
mod replaced;
mod signals;
mod special;
mod truncated;

use std::ffi::OsStr;
use std::io::Read;
use std::process::{Command, Stdio};

use crate::wait::wait_until;

/// What a command came to.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    error: String,
}

/// Runs the program, which must end by itself.
fn run<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_logagg"));
    command.args(arguments).stdin(Stdio::null());
    finish(&mut command)
}

/// The same for a command that has been made already.
fn finish(command: &mut Command) -> Said {
    let command = command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program can be started");
    let mut pipe = child.stderr.take().expect("standard error is piped");
    let mut status = None;
    wait_until(&format!("the end of {command:?}"), || {
        status = child.try_wait().expect("the child is ours");
        status.is_some()
    });
    let mut error = String::new();
    pipe.read_to_string(&mut error).expect("it writes UTF-8");
    Said {
        code: status.and_then(|status| status.code()),
        error,
    }
}

/// The command fails with exit code 1 and one sentence that holds `part`.
fn refused(said: &Said, part: &str) {
    assert_eq!(said.code, Some(1), "{said:?}");
    assert_eq!(said.error.lines().count(), 1, "{said:?}");
    assert!(said.error.contains(part), "{said:?}");
}
