//! The server under test: built, started on an empty database, and asked for what it costs.

use std::env;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::cores::Cores;
use crate::load::response;
use crate::process::{self, Process};

/// How long the server may take before it answers.
pub const READY_WITHIN: Duration = Duration::from_secs(60);

/// A running server with a database of its own.
pub struct Server {
    process: Process,
    directory: PathBuf,
    pub address: SocketAddr,
    /// From the start of the process to the first 200 of `/health`.
    pub ready_after: Duration,
}

impl Server {
    /// Starts `binary` on the database in the folder `directory`; both are made where they are not
    /// there.
    ///
    /// # Errors
    /// It does not become ready; its log is in the message.
    pub fn start(binary: &Path, directory: PathBuf, cores: &Cores) -> io::Result<Server> {
        Server::start_logging(binary, directory, cores, "info")
    }

    /// The same, with records of this level and above in its log.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start_logging(
        binary: &Path,
        directory: PathBuf,
        cores: &Cores,
        level: &str,
    ) -> io::Result<Server> {
        Server::start_with(binary, directory, cores, &["--log-level", level])
    }

    /// The same, with further flags.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start_with(
        binary: &Path,
        directory: PathBuf,
        cores: &Cores,
        flags: &[&str],
    ) -> io::Result<Server> {
        fs::create_dir_all(&directory)?;
        let log = directory.join("log");
        let mut command = Command::new(binary);
        command
            .args(["serve", "--host", "127.0.0.1", "--port", "0", "--database"])
            .arg(directory.join(DATABASE))
            .args(flags)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?);
        let started = Instant::now();
        let mut process = cores.on_measured(|| Process::start("the server", &mut command))??;
        let address = loop {
            let text = fs::read_to_string(&log)?;
            if let Some(address) = listening_address(&text) {
                break address;
            }
            if let Err(error) = process.check_running() {
                return Err(io::Error::other(format!("{error}\n{text}")));
            }
            if started.elapsed() > READY_WITHIN {
                return Err(io::Error::other(format!(
                    "the server logged no address:\n{text}"
                )));
            }
            sleep(Duration::from_micros(200));
        };
        wait_for_health(address, started)?;
        Ok(Server {
            process,
            directory,
            address,
            ready_after: started.elapsed(),
        })
    }

    /// Microseconds of each slice of idle work that the log tells of: those of a millisecond and more.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn slices_us(&self) -> io::Result<Vec<u64>> {
        let text = fs::read_to_string(self.directory.join("log"))?;
        let after = |line: &str| {
            let (_, rest) = line.split_once("held the loop for ")?;
            rest.split(' ').next()?.parse().ok()
        };
        Ok(text.lines().filter_map(after).collect())
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Kibibytes that it holds in memory now.
    ///
    /// # Errors
    /// The process has ended.
    pub fn resident_kib(&self) -> io::Result<u64> {
        process::resident_kib(self.id())
    }

    /// Descriptors that it has open now.
    ///
    /// # Errors
    /// The process has ended.
    pub fn descriptors(&self) -> io::Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.id()))?.count())
    }

    /// Bytes of the database, and of its write-ahead log.
    pub fn file_sizes(&self) -> (u64, u64) {
        file_sizes(&self.directory)
    }

    /// A number of `/stats`.
    ///
    /// # Errors
    /// The page has no such number.
    pub fn statistic(&self, name: &str) -> io::Result<u64> {
        statistic(self.address, name)
    }

    /// Where it takes syslog.
    ///
    /// # Errors
    /// It takes none.
    pub fn syslog_address(&self) -> io::Result<SocketAddr> {
        let text = fs::read_to_string(self.directory.join("log"))?;
        let after = text.split_once("taking syslog on tcp:");
        after
            .and_then(|(_, rest)| rest.split_whitespace().next()?.parse().ok())
            .ok_or_else(|| io::Error::other("the server does not say where it takes syslog"))
    }

    /// Ends it by SIGTERM; the database stays.
    ///
    /// # Errors
    /// Its exit code is not 0.
    pub fn stop(self) -> io::Result<()> {
        self.process.stop()
    }

    /// Ends it by SIGKILL; the database stays.
    pub fn kill(self) {
        self.process.kill();
    }

    /// Ends it by SIGTERM and removes its folder.
    ///
    /// # Errors
    /// Its exit code is not 0.
    pub fn stop_and_remove(self) -> io::Result<()> {
        self.process.stop()?;
        fs::remove_dir_all(self.directory)
    }
}

/// Bytes of the database in `directory`, and of its write-ahead log; 0 of what is not there.
pub fn file_sizes(directory: &Path) -> (u64, u64) {
    let bytes = |name| fs::metadata(directory.join(name)).map_or(0, |file| file.len());
    (bytes(DATABASE), bytes(WAL))
}

/// The file name of a server's database.
pub const DATABASE: &str = "events.db";
const WAL: &str = "events.db-wal";

/// Builds the release binary beside this program, as `cargo run` built this program, and returns its
/// path.
///
/// # Errors
/// The build fails.
pub fn build(target: &Path) -> io::Result<PathBuf> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args([
            "build",
            "--release",
            "--quiet",
            "--package",
            "logagg",
            "--bin",
            "logagg",
            "--target-dir",
        ])
        .arg(target)
        .status()?;
    if !status.success() {
        return Err(io::Error::other("the server does not build"));
    }
    Ok(target.join("release/logagg"))
}

/// The address in `url`, which is `http://HOST:PORT`.
///
/// # Errors
/// It has another form.
pub fn address_of(url: &str) -> io::Result<SocketAddr> {
    listening_address(&format!("{url}/")).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{url} is not http://HOST:PORT"),
        )
    })
}

/// The address of a `http://HOST:PORT` in a URL or a line of the log.
fn listening_address(text: &str) -> Option<SocketAddr> {
    let after_scheme = &text[text.find("http://")? + "http://".len()..];
    let is_authority = |c: char| c.is_ascii_alphanumeric() || ".:-[]".contains(c);
    let end = after_scheme.find(|c| !is_authority(c))?;
    after_scheme[..end]
        .trim_end_matches('.')
        .to_socket_addrs()
        .ok()?
        .next()
}

/// Asks for `/health` until it answers 200.
fn wait_for_health(address: SocketAddr, started: Instant) -> io::Result<()> {
    loop {
        match health_status(address) {
            Ok(200) => return Ok(()),
            _ if started.elapsed() < READY_WITHIN => sleep(Duration::from_micros(200)),
            Ok(status) => return Err(io::Error::other(format!("/health answers {status}"))),
            Err(error) => return Err(error),
        }
    }
}

fn health_status(address: SocketAddr) -> io::Result<u16> {
    match response::parse_head(&get(address, "/health")?) {
        Ok(Some(answer)) => Ok(answer.status),
        _ => Err(io::Error::other("/health gives no answer that can be read")),
    }
}

/// A number of the `/stats` of the server there.
///
/// # Errors
/// The page has no such number.
pub fn statistic(address: SocketAddr, name: &str) -> io::Result<u64> {
    let answer = get(address, "/stats")?;
    let head = response::parse_head(&answer).ok().flatten();
    head.and_then(|head| {
        let body = &answer[head.head_bytes..];
        response::count(body, format!("\"{name}\"").as_bytes())
    })
    .ok_or_else(|| io::Error::other(format!("/stats does not give {name}")))
}

/// The whole answer to a `GET`.
///
/// # Errors
/// No answer came.
pub fn get(address: SocketAddr, path: &str) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(READY_WITHIN))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::listening_address;

    #[test]
    fn the_address_is_found_in_a_line_of_the_log() {
        let expected = "127.0.0.1:4711".parse().ok();
        for text in [
            "2026-01-02T03:04:05Z INFO starting\n2026 INFO listening on http://127.0.0.1:4711, 0 events\n",
            "{\"message\":\"listening on http://127.0.0.1:4711\"}\n",
            "http://127.0.0.1:4711/",
        ] {
            assert_eq!(listening_address(text), expected, "{text}");
        }
        assert_eq!(
            listening_address("INFO listening on http://127.0.0.1:47"),
            None,
            "the line is not complete"
        );
        assert_eq!(listening_address("INFO starting\n"), None);
    }
}
