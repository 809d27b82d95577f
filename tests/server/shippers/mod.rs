//! Real shippers, SDKs and devices' programs against the server. `.ci/shippers` (`make shippers`) installs them; a test
//! whose program is not there says that it was skipped.

mod cloudevents;
mod datadog;
mod deploy;
mod elasticsearch;
mod forward;
mod full;
mod gelf;
mod journald;
mod loki;
mod otlp;
mod proxy;
mod splunk;
mod syslog;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

pub use proxy::Proxy;

use crate::report;

/// How many records each client sends.
pub const RECORDS: usize = 100;

/// Where the programs are.
pub fn folder() -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/shippers");
    std::env::var_os("LOGAGG_SHIPPERS").map_or_else(default, PathBuf::from)
}

/// A Python that has the clients, with a script; none, and a word about it, where `.ci/shippers` did not make it.
pub fn python(script: &str) -> Option<Command> {
    let program = folder().join("python/bin/python");
    if !program.exists() || !folder().join("python.done").exists() {
        report::skipped(
            "a client in Python",
            "it is not installed, see .ci/shippers",
        );
        return None;
    }
    let mut command = Command::new(program);
    command.arg("-c").arg(script);
    Some(command)
}

/// A Node.js that has the clients, with a script in the form of CommonJS.
pub fn node(script: &str) -> Option<Command> {
    if !folder().join("npm.done").exists() {
        report::skipped(
            "a client in Node.js",
            "it is not installed, see .ci/shippers",
        );
        return None;
    }
    let mut command = Command::new("node");
    command.env("NODE_PATH", folder().join("npm/node_modules"));
    command.arg("-e").arg(script);
    Some(command)
}

/// A program of Debian: an unpacked one, such as `usr/sbin/rsyslogd`, or the machine's own of that name.
pub fn debian(path: &str) -> Option<Command> {
    let unpacked = folder().join("debian").join(path);
    if unpacked.exists() {
        let mut command = Command::new(unpacked);
        let root = folder().join("debian");
        let libraries = [
            "usr/lib/x86_64-linux-gnu",
            "lib/x86_64-linux-gnu",
            "lib/systemd",
            "usr/lib/x86_64-linux-gnu/systemd",
            "usr/lib/syslog-ng",
        ];
        let libraries = libraries.map(|library| root.join(library).display().to_string());
        command.env("LD_LIBRARY_PATH", libraries.join(":"));
        return Some(command);
    }
    let name = Path::new(path).file_name().expect("it is a file's path");
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders)
        .map(|folder| folder.join(name))
        .find(|path| path.exists());
    if found.is_none() {
        report::skipped(
            &name.to_string_lossy(),
            "it is not installed, see .ci/shippers",
        );
    }
    found.map(Command::new)
}

/// Where the unpacked programs of Debian have their modules and plugins; where there are none, the machine's own.
pub fn debian_root() -> PathBuf {
    let unpacked = folder().join("debian");
    if unpacked.exists() {
        unpacked
    } else {
        PathBuf::from("/")
    }
}

/// Runs a client to its end, which must be a success.
pub fn run(mut client: Command) -> Output {
    let output = client
        .stdin(Stdio::null())
        .output()
        .expect("the client can be started");
    assert!(output.status.success(), "{client:?}: {output:?}");
    output
}
