//! The form of a stream's address: `nats://[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]…]/STREAM`. What stands alone before
//! the `@` is a token, or with a password from elsewhere a user.

use std::fmt;
use std::str::FromStr;

use zeroize::Zeroizing;

use crate::postgres::url::{percent_decoded, Host};

/// How such an address begins.
const SCHEME: &str = "nats://";
const PORT: u16 = 4222;
const FORM: &str = "a stream is nats://[USER:PASSWORD@ or TOKEN@]HOST[:PORT][,HOST[:PORT]…]/STREAM";

/// Where a stream is, and who asks. It is never shown with what the servers are told about that.
#[derive(Clone)]
pub(crate) struct StreamUrl {
    /// A user; without a password, a token.
    pub(super) user: Option<Zeroizing<String>>,
    /// A password; without a user, a token.
    pub(crate) password: Option<Zeroizing<String>>,
    pub(super) hosts: Vec<Host>,
    pub(crate) stream: String,
}

impl StreamUrl {
    /// Whether a text is to be one.
    pub(crate) fn is_meant(text: &str) -> bool {
        text.trim_start().starts_with(SCHEME)
    }
}

impl fmt::Display for StreamUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SCHEME)?;
        for (at, host) in self.hosts.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            write!(f, "{comma}{host}")?;
        }
        write!(f, "/{}", self.stream)
    }
}

impl FromStr for StreamUrl {
    type Err = String;

    // No error shows the text: it may hold a password.
    fn from_str(text: &str) -> Result<StreamUrl, String> {
        read(text.trim()).ok_or_else(|| FORM.to_owned())
    }
}

fn read(text: &str) -> Option<StreamUrl> {
    let (authority, stream) = text.strip_prefix(SCHEME)?.rsplit_once('/')?;
    let (user, hosts) = match authority.rsplit_once('@') {
        Some((user, hosts)) => (Some(user), hosts),
        None => (None, authority),
    };
    let secret = |text| percent_decoded(text).map(Zeroizing::new);
    let (user, password) = match user.map(|user| user.split_once(':').unwrap_or((user, ""))) {
        None => (None, None),
        Some((_, "")) => (Some(secret(user?)?), None),
        Some((user, password)) => (Some(secret(user)?), Some(secret(password)?)),
    };
    let hosts = hosts.split(',').map(|host| Host::read(host, PORT));
    let hosts = hosts.collect::<Option<Vec<_>>>()?;
    let stream = percent_decoded(stream)?;
    let is_no_name = |c: char| c.is_whitespace() || c.is_control() || ".*>/\\?".contains(c);
    let is_wrong = stream.is_empty()
        || stream.contains(is_no_name)
        || hosts.iter().any(Host::is_unix)
        || user.as_ref().is_some_and(|user| user.is_empty());
    (!is_wrong).then_some(StreamUrl {
        user,
        password,
        hosts,
        stream,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_read_and_shown_without_what_is_secret() {
        for (text, user, password, shown) in [
            ("nats://h/L", None, None, "nats://h:4222/L"),
            (
                "nats://u:s3%40cret@a:1,[::1]:2,b/LOGS",
                Some("u"),
                Some("s3@cret"),
                "nats://a:1,[::1]:2,b:4222/LOGS",
            ),
            ("nats://s3cret@a/L", Some("s3cret"), None, "nats://a:4222/L"),
        ] {
            let url: StreamUrl = text.parse().unwrap();
            let plain =
                |text: &Option<Zeroizing<String>>| text.as_ref().map(|text| text.to_string());
            assert_eq!(plain(&url.user).as_deref(), user);
            assert_eq!(plain(&url.password).as_deref(), password);
            assert_eq!(url.to_string(), shown);
        }
        for wrong in [
            "nats://h",
            "nats://h/",
            "nats:///L",
            "nats://h/a.b",
            "nats://h/a b",
            "nats://h/L?x=1",
            "nats://@h/L",
            "nats://h:port/L",
            "tls://u:s3cret@h/L",
            "nats://%2Ftmp/L",
            "nats://u:s3cret@h,/L",
        ] {
            let error = wrong
                .parse::<StreamUrl>()
                .err()
                .unwrap_or_else(|| panic!("{wrong}"));
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
