//! PostgreSQL as a peer, in its default durable setting: a commit is on disk before its answer.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{free_address, Peer, NOT_INSTALLED};
use crate::cores::Cores;
use crate::load::protocol::Protocol;
use crate::load::{exchange, postgres};
use crate::process::Process;
use crate::programs;
use crate::setup::version_of;

/// The user that Debian's package makes: PostgreSQL refuses to run as root.
const ACCOUNT: &str = "postgres";

/// Starts PostgreSQL with an empty database in a new folder `directory`.
///
/// # Errors
/// It is not installed or does not take commands.
pub fn start(directory: PathBuf, cores: &Cores) -> io::Result<Peer> {
    let folders = programs::newest_of("/usr/lib/postgresql", "bin");
    let find = |name| {
        programs::find(name, &folders)
            .ok_or_else(|| io::Error::other(format!("{NOT_INSTALLED} postgresql")))
    };
    let (initdb, postgres) = (find("initdb")?, find("postgres")?);
    let account = if rustix::process::getuid().is_root() {
        Some(account()?)
    } else {
        None
    };
    fs::create_dir_all(&directory)?;
    if let Some((user, group)) = account {
        chown(&directory, Some(user), Some(group))?;
    }
    let log = File::create(directory.join("log"))?;
    let command = |program: &Path| -> io::Result<Command> {
        let mut command = Command::new(program);
        command
            .arg("-D")
            .arg(directory.join("data"))
            .current_dir(&directory)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log.try_clone()?);
        if let Some((user, group)) = account {
            command.uid(user).gid(group);
        }
        Ok(command)
    };

    let status = command(&initdb)?
        .args(["--username", postgres::USER, "--auth", "trust"])
        .args(["--encoding", "UTF8", "--no-locale"])
        .status()?;
    if !status.success() {
        let text = fs::read_to_string(directory.join("log"))?;
        return Err(io::Error::other(format!("initdb fails: {text}")));
    }
    let address = free_address()?;
    let mut server = command(&postgres)?;
    for setting in [
        "listen_addresses=127.0.0.1",
        &format!("port={}", address.port()),
        "unix_socket_directories=",
        "fsync=on",
        "synchronous_commit=on",
        // More than its defaults, which are made for small machines.
        "shared_buffers=512MB",
        "max_wal_size=4GB",
    ] {
        server.arg("-c").arg(setting);
    }
    let process = cores.on_measured(|| Process::start("PostgreSQL", &mut server))??;
    let mut peer = Peer {
        name: "PostgreSQL",
        version: version_of(&postgres)?,
        process,
        is_one_process: false,
        address,
        protocol: Protocol::Postgres,
    };
    let parts = postgres::create_tables();
    peer.wait_until(|address| exchange(address, postgres::parse, &parts[..1]).map(drop))?;
    exchange(address, postgres::parse, &parts)?;
    Ok(peer)
}

/// User and group of [`ACCOUNT`] (passwd(5)).
fn account() -> io::Result<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd")?;
    let found = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == ACCOUNT).then_some(())?;
        let mut numbers = fields.skip(1).map(|field| field.parse().ok());
        Some((numbers.next()??, numbers.next()??))
    });
    found.ok_or_else(|| io::Error::other(format!("this is root, and there is no user {ACCOUNT}")))
}
