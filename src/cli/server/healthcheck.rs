//! `healthcheck`: whether a server is healthy, as an exit code, for containers and scripts.
//!
//! It has an HTTP client of its own, because a probe promises what [`crate::client`] does not: one deadline for
//! everything from the connection to the last byte (the shared client limits only the connection and each silence), at
//! most [`limits::HEALTHCHECK_MAX_BYTES`] of an answer, one try without retries, and what has arrived still counts
//! when the process itself was stopped meanwhile. It takes the server's addresses (`--listen`) and not a client's
//! settings, so it sends no token and installs no signal handlers.

use std::fmt;
use std::io::{self, stdout, Read, Write};
use std::net::ToSocketAddrs;
use std::str::FromStr;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Deserialize;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::cli::origin::origin_of;
use crate::config;
use crate::limits;
use crate::net::Listen;

/// Check whether a server is healthy: exit code 0 if it is, else 1 and the reason
///
/// Asks GET /health of the server that the same settings would start on this machine, or, regardless of these
/// settings, of the one at --url.
#[derive(Debug, Args)]
pub struct HealthcheckArgs {
    /// URL to ask, such as http://127.0.0.1:8080; without a path, /health
    #[arg(long)]
    url: Option<Url>,

    /// Timeout in milliseconds
    #[arg(long, value_name = "MILLISECONDS", default_value = "3000")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=limits::HEALTHCHECK_MAX_MS))]
    timeout: u64,

    /// Interface that the server listens on [default: 127.0.0.1]
    #[arg(long, env = "HOST", value_parser = config::parse_host)]
    host: Option<String>,

    /// Port that the server listens on [default: 8080]
    #[arg(long, env = "PORT")]
    port: Option<u16>,

    /// Addresses that the server listens on; the first is asked
    #[arg(long, env = "LISTEN", value_name = "ADDRESS", value_delimiter = ',')]
    listen: Vec<Listen>,
}

/// An address in HTTP's form, and what is asked for there.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Url {
    address: Listen,
    target: String,
}

/// The part of the answer that decides.
#[derive(Deserialize)]
struct Health {
    status: String,
    reason: Option<String>,
}

/// Asks. The error is one sentence: why the server does not count as healthy.
pub(crate) fn run(arguments: HealthcheckArgs) -> Result<(), String> {
    let (url, flag) = match arguments.url {
        Some(url) => (url, "--url"),
        None => {
            let HealthcheckArgs {
                host, port, listen, ..
            } = arguments;
            let addresses = config::addresses(host, port, listen, "127.0.0.1");
            let first = addresses.into_iter().next();
            let (address, flag) = first.expect("there is at least one address");
            (Url::of_server(address), flag)
        }
    };
    let until = Instant::now() + Duration::from_millis(arguments.timeout);
    let answer = ask(&url, until).map_err(|e| {
        let why = match e.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                format!("no answer within {} ms", arguments.timeout)
            }
            _ => e.to_string(),
        };
        format!(
            "{url} cannot be asked: {why}{}",
            origin_of::<HealthcheckArgs>(flag)
        )
    })?;
    judge(&answer).map_err(|why| format!("{url} is not healthy: {why}"))?;
    // If nobody can read the sentence, the exit code still says it.
    let _ = writeln!(stdout(), "{url} is healthy");
    Ok(())
}

/// Sends the request and reads the answer to its end.
fn ask(url: &Url, until: Instant) -> io::Result<Vec<u8>> {
    let mut socket = connect(&url.address, until)?;
    let host = match &url.address {
        Listen::Tcp { .. } => url.address.to_string(),
        Listen::Unix(_) => "localhost".to_owned(),
    };
    // To HTTP/1.0 an answer has no chunks, and ends with the connection.
    let target = &url.target;
    let request = format!("GET {target} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    socket.set_write_timeout(Some(left(until)?))?;
    socket.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    loop {
        // This process may have been stopped while the time ran out. What has arrived meanwhile counts.
        match left(until) {
            Ok(left) => socket.set_read_timeout(Some(left))?,
            Err(_) => socket.set_nonblocking(true)?,
        }
        match socket.read(&mut piece) {
            Ok(0) => return Ok(answer),
            Ok(count) => answer.extend_from_slice(&piece[..count]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
        if answer.len() > limits::HEALTHCHECK_MAX_BYTES {
            return Err(io::Error::other("the answer does not end"));
        }
    }
}

fn connect(address: &Listen, until: Instant) -> io::Result<Socket> {
    match address {
        Listen::Tcp { host, port } => {
            let mut result = Err(io::Error::other("the name has no address"));
            for address in (host.as_str(), *port).to_socket_addrs()? {
                let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
                let connected = socket.connect_timeout(&address.into(), left(until)?);
                result = connected.map(|()| socket);
                if result.is_ok() {
                    break;
                }
            }
            result
        }
        Listen::Unix(path) => {
            let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
            // A full backlog makes this wait, up to the timeout of writing (unix(7)).
            socket.set_write_timeout(Some(left(until)?))?;
            socket.connect(&SockAddr::unix(path)?)?;
            Ok(socket)
        }
    }
}

/// What is left of the time.
fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    Ok(left)
}

/// Whether an answer says that all is well, or why not.
fn judge(answer: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text
        .split_once("\r\n\r\n")
        .ok_or("the answer is not HTTP")?;
    let mut words = head.split(' ');
    let is_http = words.next().is_some_and(|word| word.starts_with("HTTP/1."));
    let status = words
        .next()
        .filter(|_| is_http)
        .ok_or("the answer is not HTTP")?;
    match serde_json::from_str::<Health>(body) {
        Ok(health) if status == "200" && health.status == "healthy" => Ok(()),
        Ok(health) => Err(health.reason.unwrap_or(health.status)),
        Err(_) => Err(format!("it answers {status}, and not as logagg does")),
    }
}

impl Url {
    /// Where a server on this machine that listens on `address` is reached.
    fn of_server(address: Listen) -> Url {
        let address = match address {
            Listen::Tcp { host, port } => {
                let host = match host.as_str() {
                    "0.0.0.0" => "127.0.0.1".to_owned(),
                    "::" => "::1".to_owned(),
                    _ => host,
                };
                Listen::Tcp { host, port }
            }
            Listen::Unix(path) => Listen::Unix(path),
        };
        Url {
            address,
            target: "/health".to_owned(),
        }
    }
}

impl FromStr for Url {
    type Err = String;

    /// Reads `http://HOST[:PORT][/PATH]` or `unix:/PATH`.
    fn from_str(text: &str) -> Result<Url, String> {
        if text.starts_with("unix:") {
            return Ok(Url::of_server(text.parse()?));
        }
        let rest = text
            .strip_prefix("http://")
            .ok_or("a URL begins with http:// here; there is no TLS")?;
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let has_port = authority
            .rsplit_once(':')
            .is_some_and(|(_, port)| !port.ends_with(']'));
        let address = if has_port {
            authority.parse()?
        } else {
            format!("{authority}:80").parse()?
        };
        let target = match path {
            "" | "/" => "/health",
            path => path,
        };
        let is_path = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
        if !target.starts_with('/') || !target.bytes().all(is_path) {
            return Err("the path of a URL is ASCII, and has no fragment".to_owned());
        }
        Ok(Url {
            address,
            target: target.to_owned(),
        })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            Listen::Tcp { .. } => write!(f, "http://{}{}", self.address, self.target),
            Listen::Unix(_) => write!(f, "{}", self.address),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16) -> Listen {
        Listen::Tcp {
            host: host.to_owned(),
            port,
        }
    }

    #[test]
    fn urls() {
        for (text, address, target) in [
            ("http://h:1", tcp("h", 1), "/health"),
            ("http://h:1/", tcp("h", 1), "/health"),
            ("http://h", tcp("h", 80), "/health"),
            ("http://[::1]:7/x?y", tcp("::1", 7), "/x?y"),
            ("http://[::1]", tcp("::1", 80), "/health"),
            (
                "unix:/run/l.sock",
                Listen::Unix("/run/l.sock".into()),
                "/health",
            ),
        ] {
            let url: Url = text.parse().expect(text);
            assert_eq!((url.address, url.target.as_str()), (address, target));
        }
        for text in [
            "h:1",
            "https://h",
            "http://",
            "http://:1",
            "http://h:x",
            "http://h/ä",
            "http://h/#a",
        ] {
            assert!(text.parse::<Url>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_server_on_all_interfaces_is_asked_on_this_machine() {
        for (host, asked) in [
            ("0.0.0.0", "http://127.0.0.1:8080/health"),
            ("::", "http://[::1]:8080/health"),
            ("example", "http://example:8080/health"),
        ] {
            assert_eq!(Url::of_server(tcp(host, 8080)).to_string(), asked);
        }
    }

    #[test]
    fn an_answer_is_judged_by_status_and_body() {
        let judged = |status: u16, body: &str| {
            judge(format!("HTTP/1.1 {status} X\r\nA: b\r\n\r\n{body}").as_bytes())
        };
        assert_eq!(
            judged(200, r#"{"status":"healthy","queue_size":0}"#),
            Ok(())
        );
        let draining = r#"{"status":"unhealthy","reason":"shutting down"}"#;
        assert_eq!(judged(503, draining), Err("shutting down".to_owned()));
        assert!(judged(503, r#"{"status":"healthy"}"#).is_err());
        assert!(judged(200, "hello").is_err());
        assert!(judge(b"SSH-2.0-x\r\n\r\n").is_err());
        assert!(judge(b"").is_err());
    }
}
