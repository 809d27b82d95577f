//! Redis as a peer: every write is on disk before its answer, as in our own default.

use std::fs;
use std::io;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{free_address, Peer, NOT_INSTALLED};
use crate::cores::Cores;
use crate::load::protocol::Protocol;
use crate::load::{exchange, redis};
use crate::process::Process;
use crate::programs;
use crate::setup::version_of;

/// Starts Redis with an empty database in a new folder `directory`.
///
/// # Errors
/// It is not installed or does not take commands.
pub fn start(directory: PathBuf, cores: &Cores) -> io::Result<Peer> {
    let program = programs::find("redis-server", &[])
        .ok_or_else(|| io::Error::other(format!("{NOT_INSTALLED} redis-server")))?;
    fs::create_dir_all(&directory)?;
    let address = free_address()?;
    let mut command = command(&program, &directory, address.port());
    let process = cores.on_measured(|| Process::start("Redis", &mut command))??;
    let mut peer = Peer {
        name: "Redis",
        version: version_of(&program)?,
        process,
        is_one_process: true,
        address,
        protocol: Protocol::Http,
    };
    peer.wait_until(|address| TcpStream::connect(address).map(drop))?;
    // Redis names a script by its hash; which protocol variant is spoken does not matter for loading.
    let unnamed = Protocol::Redis {
        script: [0; redis::SCRIPT_NAME_BYTES],
    };
    let answer = exchange(address, unnamed.parser(), &[redis::script_load()])?;
    let script =
        redis::script_name(&answer).ok_or_else(|| io::Error::other("SCRIPT LOAD gives no name"))?;
    peer.protocol = Protocol::Redis { script };
    Ok(peer)
}

/// `appendfsync always` is its durable setting. No snapshots and no rewriting of the log, so that no
/// child process takes the core from it.
fn command(program: &Path, directory: &Path, port: u16) -> Command {
    let mut command = Command::new(program);
    let port = port.to_string();
    let settings = [
        ("--bind", "127.0.0.1"),
        ("--port", &port),
        ("--appendonly", "yes"),
        ("--appendfsync", "always"),
        ("--auto-aof-rewrite-percentage", "0"),
        ("--save", ""),
        ("--logfile", "log"),
    ];
    for (name, value) in settings {
        command.arg(name).arg(value);
    }
    command.arg("--dir").arg(directory).stdin(Stdio::null());
    command
}
