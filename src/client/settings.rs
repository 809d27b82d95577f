//! The settings that all clients share: where the server is, who asks, and for how long to try.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

use clap::Args;
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::fs::OFlags;
use ureq::http::Uri;

use crate::limits;

/// Where the server is, and for how long to try
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Connection")]
pub struct ClientArgs {
    /// The server: http://HOST:PORT, or unix:/PATH
    #[arg(long, env = "LOGAGG_SERVER", value_name = "URL")]
    #[arg(default_value = "http://127.0.0.1:8080")]
    pub server: Address,

    /// File that holds the token; without it the environment variable LOGAGG_TOKEN is used
    #[arg(long, env = "LOGAGG_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,

    /// Timeout for connecting, and for a connection without data
    ///
    /// A subscription without events gets a heartbeat every 15s.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time)]
    pub timeout: Duration,

    /// How long to retry while there is no connection or the server answers 503; or never
    ///
    /// By default tail, ship and the live stats never give up; publish, import, export and simulate do after 5m, and
    /// the others after the first try.
    #[arg(long, value_name = "TIME")]
    pub give_up_after: Option<GiveUp>,
}

impl ClientArgs {
    /// The token, if one is set.
    ///
    /// # Errors
    /// One sentence, without the token: the file cannot be read, or what it or the variable holds cannot
    /// be a token.
    pub fn token(&self) -> Result<Option<String>, String> {
        let (text, origin) = match &self.token_file {
            Some(path) => {
                let origin = format!("the token file {} (--token-file)", path.display());
                let text =
                    read_token(path).map_err(|error| format!("cannot read {origin}: {error}"))?;
                (text, origin)
            }
            None => {
                let origin = "the environment variable LOGAGG_TOKEN";
                match std::env::var("LOGAGG_TOKEN") {
                    Ok(text) if !text.is_empty() => (text, origin.to_owned()),
                    Ok(_) | Err(std::env::VarError::NotPresent) => return Ok(None),
                    Err(std::env::VarError::NotUnicode(_)) => {
                        return Err(format!("{origin} does not hold a token"));
                    }
                }
            }
        };
        let token = text.trim_ascii();
        let is_legal = !token.is_empty()
            && token.len() <= limits::TOKEN_MAX_BYTES
            && token.bytes().all(|byte| byte.is_ascii_graphic());
        match is_legal {
            true => Ok(Some(token.to_owned())),
            false => Err(format!("{origin} does not hold a token")),
        }
    }
}

/// Reads a file, or a pipe that a program writes to. Without such a program it does not wait for one.
fn read_token(path: &Path) -> io::Result<String> {
    let mut options = File::options();
    let flags = OFlags::NONBLOCK.bits() as i32;
    let mut file = options.read(true).custom_flags(flags).open(path)?;
    let is_pipe = file.metadata()?.file_type().is_fifo();
    let until = Instant::now() + Duration::from_millis(limits::TOKEN_WAIT_MS);
    let (mut bytes, mut piece) = (Vec::new(), [0; limits::TOKEN_LINE_MAX_BYTES]);
    while bytes.len() <= limits::TOKEN_LINE_MAX_BYTES {
        match file.read(&mut piece) {
            Ok(0) if is_pipe && bytes.is_empty() => {
                return Err(io::Error::other("it is a pipe that no program writes to"));
            }
            Ok(0) => break,
            Ok(count) => bytes.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let left = until.saturating_duration_since(Instant::now());
                let left = Timespec::try_from(left).ok();
                let mut fds = [PollFd::new(&file, PollFlags::IN)];
                // A signal ends it as well.
                if poll(&mut fds, left.as_ref())? == 0 {
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
            Err(error) => return Err(error),
        }
    }
    String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8"))
}

/// The address of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// `http://` or `https://`, a host, perhaps a port and a path, without a slash at its end.
    Url(String),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

/// Where requests without a client are sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub address: SocketAddr,
    /// The value of `Host` (RFC 9112 §3.2).
    pub host: String,
    /// What is written before each path.
    pub path: String,
}

impl Address {
    /// Resolves the name.
    ///
    /// # Errors
    /// One sentence: it is not `http://`, or its name is not known.
    pub fn endpoint(&self) -> Result<Endpoint, String> {
        let uri: Option<Uri> = match self {
            Address::Url(url) => url.parse().ok(),
            Address::Unix(_) => None,
        };
        let uri = uri.filter(|uri| uri.scheme_str() == Some("http"));
        let uri = uri.ok_or("this needs a server at http://HOST:PORT")?;
        let host = uri.authority().map_or("", |authority| authority.as_str());
        let name = match uri.port_u16() {
            Some(_) => host.to_owned(),
            None => format!("{host}:80"),
        };
        let mut addresses = name
            .to_socket_addrs()
            .map_err(|error| format!("the address of {host} is not known: {error}"))?;
        let address = addresses.next();
        Ok(Endpoint {
            address: address.ok_or_else(|| format!("{host} has no address"))?,
            host: host.to_owned(),
            path: uri.path().trim_end_matches('/').to_owned(),
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Url(url) => f.write_str(url),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Address, String> {
        const FORMS: &str = "a server is http://HOST:PORT or unix:/PATH";
        let text = text.trim();
        if let Some(path) = text.strip_prefix("unix:") {
            return match path.len() {
                1..=limits::UNIX_PATH_MAX_BYTES => Ok(Address::Unix(path.into())),
                _ => Err(FORMS.to_owned()),
            };
        }
        let url = match text.contains("://") {
            true => text.to_owned(),
            false => format!("http://{text}"),
        };
        let uri: Uri = url.parse().map_err(|_| FORMS.to_owned())?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") if cfg!(feature = "tls") => {}
            Some("https") => {
                let what = "this build speaks http only; for https build it with --features tls";
                return Err(what.to_owned());
            }
            _ => return Err(FORMS.to_owned()),
        }
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        if authority.contains('@') {
            return Err("the address of a server must not have a user and password".to_owned());
        }
        let host = uri.host().unwrap_or_default();
        let has_port = authority.len() > host.len();
        if host.is_empty() || uri.query().is_some() || has_port && uri.port_u16().is_none() {
            return Err(FORMS.to_owned());
        }
        Ok(Address::Url(url.trim_end_matches('/').to_owned()))
    }
}

/// When to stop trying again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GiveUp {
    Never,
    /// When it has not succeeded for this long; zero is one try.
    After(Duration),
}

impl FromStr for GiveUp {
    type Err = String;

    fn from_str(text: &str) -> Result<GiveUp, String> {
        match text.trim() {
            "never" => Ok(GiveUp::Never),
            text => time(text).map(GiveUp::After),
        }
    }
}

/// Reads a time: a whole number and its unit, as in `200ms`, `30s`, `5m`, `1h` and `2d`; at most a year.
pub fn time(text: &str) -> Result<Duration, String> {
    const FORMS: &str = "a time is a whole number and ms, s, m, h or d, as in 30s";
    const YEAR: Duration = Duration::from_secs(366 * 86_400);
    let text = text.trim();
    let unit = text.trim_start_matches(|character: char| character.is_ascii_digit());
    let digits = &text[..text.len() - unit.len()];
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "" if digits == "0" => 1,
        _ => return Err(FORMS.to_owned()),
    };
    let number: u64 = digits.parse().map_err(|_| FORMS.to_owned())?;
    number
        .checked_mul(millis)
        .map(Duration::from_millis)
        .filter(|time| *time <= YEAR)
        .ok_or_else(|| "a time is at most a year".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_generously() {
        for (text, address) in [
            ("http://localhost:8080", "http://localhost:8080"),
            ("localhost:8080", "http://localhost:8080"),
            ("logs.example", "http://logs.example"),
            ("http://[::1]:80/", "http://[::1]:80"),
            (" http://proxy/logs/ ", "http://proxy/logs"),
            ("unix:/run/logagg.sock", "unix:/run/logagg.sock"),
        ] {
            let parsed: Address = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(parsed.to_string(), address);
        }
    }

    #[test]
    fn what_is_no_server_is_refused() {
        for text in [
            "",
            "http://",
            "ftp://host",
            "http://host:99999",
            "http://host:port",
            "http://host:",
            "http://[::1]:x",
            "http://user:secret@host",
            "http://host/?query",
            "unix:",
        ] {
            let parsed: Result<Address, _> = text.parse();
            assert!(parsed.is_err(), "{text}: {parsed:?}");
        }
    }

    #[test]
    fn endpoints_are_addresses_with_what_a_request_says() {
        let endpoint = |text: &str| text.parse::<Address>().unwrap().endpoint();
        let expected = |address: &str, host: &str, path: &str| Endpoint {
            address: address.parse().unwrap(),
            host: host.to_owned(),
            path: path.to_owned(),
        };
        for (text, address, host, path) in [
            ("127.0.0.1:8080", "127.0.0.1:8080", "127.0.0.1:8080", ""),
            ("http://[::1]/", "[::1]:80", "[::1]", ""),
            ("http://127.0.0.1/a/b/", "127.0.0.1:80", "127.0.0.1", "/a/b"),
        ] {
            assert_eq!(endpoint(text), Ok(expected(address, host, path)));
        }
        assert!(endpoint("unix:/run/socket").is_err());
    }

    #[test]
    fn https_needs_a_build_that_has_it() {
        let parsed: Result<Address, _> = "https://host".parse();
        assert_eq!(parsed.is_ok(), cfg!(feature = "tls"));
    }

    #[test]
    fn times_have_units() {
        for (text, millis) in [
            ("200ms", 200),
            ("30s", 30_000),
            ("5m", 300_000),
            ("1h", 3_600_000),
            ("2d", 172_800_000),
            ("0", 0),
        ] {
            assert_eq!(time(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in [
            "",
            "30",
            "s",
            "-1s",
            "1.5s",
            "1w",
            "367d",
            "99999999999999999999s",
        ] {
            assert!(time(text).is_err(), "{text}");
        }
        assert_eq!("never".parse(), Ok(GiveUp::Never));
        assert_eq!("5s".parse(), Ok(GiveUp::After(Duration::from_secs(5))));
    }
}
