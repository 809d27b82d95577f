//! Which names a request may have in `Host` on a server without tokens that only programs of this machine reach. A web
//! page whose own name is made to resolve to loopback (DNS rebinding) is a page of this server to the browser; its
//! requests have that name in `Host`.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::event::Peer;
use crate::http::{Refusal, Request};

const FOREIGN_HOST: &str =
    "Host names another server; ask for localhost or an address, or start this server with \
    --allowed-hosts NAME.";

/// The names that are allowed besides addresses and `localhost`.
pub(crate) struct AllowedHosts {
    names: Vec<String>,
}

impl AllowedHosts {
    /// `names` are in small letters, without the dot of the root.
    pub(crate) fn new(names: Vec<String>) -> AllowedHosts {
        AllowedHosts { names }
    }

    /// Refuses a request that came for another name, 421 (RFC 9110 §15.5.20).
    pub(crate) fn check(&self, request: &Request) -> Result<(), Box<Refusal>> {
        // No page can make a browser connect to a Unix socket, or leave Host out.
        let host = request.header("host").unwrap_or_default();
        if request.peer == Peer::Unix || host.is_empty() || self.allow(host) {
            return Ok(());
        }
        Err(Box::new(Refusal::new(421, FOREIGN_HOST)))
    }

    /// `host` is a name or an address, with or without a port.
    fn allow(&self, host: &str) -> bool {
        if let Some(literal) = host.strip_prefix('[') {
            let address = literal.split(']').next().unwrap_or_default();
            return address.parse::<Ipv6Addr>().is_ok();
        }
        let name = host.split(':').next().unwrap_or_default();
        let name = name.strip_suffix('.').unwrap_or(name);
        name.parse::<Ipv4Addr>().is_ok()
            || is_localhost(name)
            || self
                .names
                .iter()
                .any(|known| known.eq_ignore_ascii_case(name))
    }
}

/// `localhost` or a name below it, which are always this machine (RFC 6761 §6.3).
fn is_localhost(name: &str) -> bool {
    const LOCALHOST: &str = "localhost";
    let (before, last) = match name.len().checked_sub(LOCALHOST.len()) {
        Some(at) => match (name.get(..at), name.get(at..)) {
            (Some(before), Some(last)) => (before, last),
            _ => return false,
        },
        None => return false,
    };
    last.eq_ignore_ascii_case(LOCALHOST) && (before.is_empty() || before.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::AllowedHosts;

    #[test]
    fn addresses_localhost_and_the_names_that_were_given_are_allowed() {
        let hosts = AllowedHosts::new(vec!["logs.example".to_owned()]);
        for host in [
            "127.0.0.1",
            "127.0.0.1:8080",
            "192.0.2.1:1",
            "[::1]",
            "[::1]:8080",
            "localhost",
            "LocalHost:8080",
            "localhost.",
            "a.b.localhost:1",
            "logs.example",
            "LOGS.example.:8080",
        ] {
            assert!(hosts.allow(host), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "evillocalhost",
            "127.0.0.1.evil.example",
            "a.logs.example",
            "1.2.3",
            "[v1.x]",
            "[::1.evil]",
            ".",
            ":80",
        ] {
            assert!(!hosts.allow(host), "{host}");
        }
    }
}
