//! The form of a connection string: `postgres://USER[:PASSWORD]@HOST[:PORT][,HOST[:PORT]…]/DATABASE[?sslmode=…]`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use zeroize::Zeroizing;

/// One host of an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    /// A name, an address, or the folder of a Unix socket.
    pub name: String,
    pub port: u16,
}

impl Host {
    pub(crate) fn is_unix(&self) -> bool {
        self.name.starts_with('/')
    }

    /// Reads a host with a port or without, percent-encoded; none if it is none.
    pub(crate) fn read(text: &str, default_port: u16) -> Option<Host> {
        let (name, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (name, port) = rest.split_once(']')?;
                (name, port.strip_prefix(':'))
            }
            None => match text.split_once(':') {
                Some((name, port)) => (name, Some(port)),
                None => (text, None),
            },
        };
        let name = percent_decoded(name)?;
        let port = port.map_or(Ok(default_port), str::parse).ok()?;
        (!name.is_empty()).then_some(Host { name, port })
    }

    /// Whether what is sent there does not leave the machine.
    fn is_local(&self) -> bool {
        let is_loopback = self.name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        self.is_unix() || is_loopback || self.name == "localhost"
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Host { name, port } = self;
        match name.contains(':') {
            true => write!(f, "[{name}]:{port}"),
            false => write!(f, "{name}:{port}"),
        }
    }
}

/// Where an engine is, and who asks. It is never shown with its password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct EngineUrl {
    pub(crate) user: String,
    pub(crate) password: Option<Zeroizing<String>>,
    pub(crate) hosts: Vec<Host>,
    pub(crate) database: String,
}

impl fmt::Debug for EngineUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for EngineUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "postgres://{}@", self.user)?;
        for (at, host) in self.hosts.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            write!(f, "{comma}{host}")?;
        }
        write!(f, "/{}", self.database)
    }
}

const FORM: &str =
    "an engine is postgres://USER[:PASSWORD]@HOST:PORT[,HOST:PORT…]/DATABASE[?sslmode=…]";

impl FromStr for EngineUrl {
    type Err = String;

    // No error shows the text: it may hold a password.
    fn from_str(text: &str) -> Result<EngineUrl, String> {
        let form = || FORM.to_owned();
        let decoded = |text| percent_decoded(text).ok_or_else(form);
        let text = text.trim();
        let rest = text
            .strip_prefix("postgres://")
            .or_else(|| text.strip_prefix("postgresql://"))
            .ok_or_else(form)?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = rest.rsplit_once('/').ok_or_else(form)?;
        let (user, hosts) = authority.rsplit_once('@').ok_or_else(form)?;
        let (user, password) = match user.split_once(':') {
            Some((user, password)) => (user, Some(Zeroizing::new(decoded(password)?))),
            None => (user, None),
        };
        let (user, database) = (decoded(user)?, decoded(database)?);
        if user.is_empty() || database.is_empty() {
            return Err(form());
        }
        let host = |text| Host::read(text, 5432).ok_or_else(form);
        let hosts = hosts.split(',').map(host).collect::<Result<Vec<_>, _>>()?;
        check_ssl(query, &hosts)?;
        Ok(EngineUrl {
            user,
            password,
            hosts,
            database,
        })
    }
}

/// Refuses what this build cannot do about the protection of a connection. A build that speaks TLS elsewhere does not
/// take its absence to another machine for granted.
fn check_ssl(query: &str, hosts: &[Host]) -> Result<(), String> {
    let is_remote = !hosts.iter().all(Host::is_local);
    let mut is_wanted = cfg!(feature = "tls") && is_remote;
    for member in query.split('&').filter(|member| !member.is_empty()) {
        match member.split_once('=').unwrap_or((member, "")) {
            ("sslmode", "disable") => is_wanted = false,
            ("sslmode", "require" | "verify-full") => is_wanted = true,
            ("sslmode", _) => {
                return Err("sslmode is disable, require or verify-full".to_owned());
            }
            ("sslrootcert", _) => {}
            _ => return Err("an engine's members are sslmode and sslrootcert".to_owned()),
        }
    }
    match is_wanted {
        true => Err(
            "this build does not speak TLS to an engine; sslmode=disable sends all in the clear"
                .to_owned(),
        ),
        false => Ok(()),
    }
}

/// Text without its percent-encoding (RFC 3986 §2.1); none if that is wrong, or hides what is no text.
pub(crate) fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let digits = rest.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match (
            first,
            digits.and_then(|two| u8::from_str_radix(two, 16).ok()),
        ) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &rest[2..];
            }
            (b'%', None) => return None,
            (byte, _) => bytes.push(*byte),
        }
    }
    let text = String::from_utf8(bytes).ok()?;
    (!text.contains('\0')).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_are_read_and_shown_without_their_password() {
        for (text, shown) in [
            ("postgres://u@127.0.0.1/d", "postgres://u@127.0.0.1:5432/d"),
            (
                "postgresql://u:s3cret@[::1]:7,localhost/d?sslmode=disable",
                "postgres://u@[::1]:7,localhost:5432/d",
            ),
            (
                "postgres://a%40b:p%2Fw@%2Ftmp%2Fx:1/d",
                "postgres://a@b@/tmp/x:1/d",
            ),
            (
                "postgres://u@db.example/d?sslmode=disable",
                "postgres://u@db.example:5432/d",
            ),
        ] {
            let url: EngineUrl = text
                .parse()
                .unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), shown);
        }
        let url: EngineUrl = "postgres://u:p%25w@localhost/d".parse().unwrap();
        assert_eq!(url.password.as_ref().map(|word| word.as_str()), Some("p%w"));
    }

    #[test]
    fn what_is_no_engine_or_needs_tls_is_refused_without_the_password() {
        for text in [
            "",
            "mysql://u@h/d",
            "postgres://h/d",
            "postgres://u:s3cret@h",
            "postgres://u:s3cret@/d",
            "postgres://u:s3cret@h:x/d",
            "postgres://u:s3cret@h/",
            "postgres://u:s3cret@localhost/d?sslmode=maybe",
            "postgres://u:s3cret@localhost/d?sslmode=require",
            "postgres://u:s3cret@localhost/d?x=1",
            "postgres://u:s3cret@db.example/d?sslmode=verify-full",
            "postgres://u:s3cret%@localhost/d",
        ] {
            let error = text.parse::<EngineUrl>().unwrap_err();
            assert!(!error.contains("s3cret"), "{error}");
        }
        let remote = "postgres://u:s3cret@db.example/d".parse::<EngineUrl>();
        assert_eq!(remote.is_err(), cfg!(feature = "tls"));
    }
}
