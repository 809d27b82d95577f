//! What Prometheus' own tool says, where it is installed (Debian's package `prometheus` has it).

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::report::skipped;

/// Runs it in `folder` with `input`, and fails the test where it has anything to complain of. Where it is not
/// installed the test says so and goes on.
pub fn check(folder: &Path, arguments: &[impl AsRef<OsStr>], input: &str) {
    let mut command = Command::new("promtool");
    command.args(arguments).current_dir(folder);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = match command.stderr(Stdio::piped()).spawn() {
        Ok(child) => child,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            skipped(
                "promtool",
                "it is not installed; apt-get install prometheus has it",
            );
            return;
        }
        Err(e) => panic!("promtool cannot be run: {e}"),
    };
    let mut stdin = child.stdin.take().expect("it is piped");
    // It may end without having read all of it.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let status = child.wait().expect("the child is ours");
    let mut said = String::new();
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    out.read_to_string(&mut said).unwrap();
    err.read_to_string(&mut said).unwrap();
    assert!(status.success(), "promtool: {status}\n{said}");
    for mark in ["FAILED", "warning", "error"] {
        assert!(!said.contains(mark), "promtool:\n{said}");
    }
}
