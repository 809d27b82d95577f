//! Addresses and names of hosts as settings have them.

use std::net::Ipv6Addr;
use std::str::FromStr;

use crate::ingest::SocketProtocol;
use crate::limits;
use crate::net::{Listen, SocketAddress};

/// Where these settings make a server listen: at least one address, each with the flag that names it. `default_host` is
/// used where no host is named.
pub fn addresses(
    host: Option<String>,
    port: Option<u16>,
    listen: Vec<Listen>,
    default_host: &str,
) -> Vec<(Listen, &'static str)> {
    let mut addresses = Vec::new();
    if listen.is_empty() || host.is_some() || port.is_some() {
        let address = Listen::Tcp {
            host: host.unwrap_or_else(|| default_host.to_owned()),
            port: port.unwrap_or(8080),
        };
        addresses.push((address, "--host"));
    }
    for address in listen {
        // Port 0 asks for another port each time.
        let is_new = addresses.iter().all(|(known, _)| *known != address);
        if is_new || matches!(address, Listen::Tcp { port: 0, .. }) {
            addresses.push((address, "--listen"));
        }
    }
    addresses
}

/// Reads an address of a protocol that has sockets of its own.
pub(super) fn socket_address(
    text: &str,
    protocol: SocketProtocol,
) -> Result<SocketAddress, String> {
    use SocketProtocol::{Forward, Gelf, Syslog};
    let forms = match protocol {
        Syslog => "an address is udp:HOST:PORT, tcp:HOST:PORT or unix:/PATH",
        Forward => "an address is tcp:HOST:PORT or unix:/PATH",
        Gelf => "an address is udp:HOST:PORT or tcp:HOST:PORT",
    };
    let text = text.trim();
    let (transport, address) = text.split_once(':').ok_or(forms)?;
    match (transport, protocol) {
        ("udp", Syslog | Gelf) => host_and_port(address).map(SocketAddress::Datagrams),
        ("tcp", _) => host_and_port(address).map(SocketAddress::Stream),
        ("unix", Syslog) => text.parse().map(SocketAddress::Datagrams),
        ("unix", Forward) => text.parse().map(SocketAddress::Stream),
        _ => Err(forms.to_owned()),
    }
}

impl FromStr for Listen {
    type Err = String;

    /// Reads `unix:/path`, `host:port` or `[ipv6]:port`, white space around it ignored.
    fn from_str(text: &str) -> Result<Listen, String> {
        const FORMS: &str = "an address is HOST:PORT, [IPV6]:PORT or unix:/PATH";
        let text = text.trim();
        if let Some(path) = text.strip_prefix("unix:") {
            return match path.len() {
                0 => Err(FORMS.to_owned()),
                1..=limits::UNIX_PATH_MAX_BYTES => Ok(Listen::Unix(path.into())),
                _ => Err(format!(
                    "the path of a Unix socket has at most {} bytes",
                    limits::UNIX_PATH_MAX_BYTES
                )),
            };
        }
        if !text.contains(':') {
            return Err(FORMS.to_owned());
        }
        host_and_port(text)
    }
}

/// Reads `host:port` or `[ipv6]:port`.
fn host_and_port(text: &str) -> Result<Listen, String> {
    let (host, port) = text.rsplit_once(':').ok_or("a port is missing")?;
    if host.contains(':') && !host.starts_with('[') {
        return Err(
            "an IPv6 address with a port is written in brackets, as in [::1]:8080".to_owned(),
        );
    }
    let port = port
        .parse()
        .map_err(|_| format!("{port:?} is not a port (0 to 65535)"))?;
    let host = parse_host(host)?;
    Ok(Listen::Tcp { host, port })
}

/// A host name, an IPv4 address, or an IPv6 address with or without brackets, which are taken off; an
/// IPv6 address may have a zone (RFC 4007 §11), as in `fe80::1%eth0`.
pub fn parse_host(text: &str) -> Result<String, String> {
    let bare = text
        .strip_prefix('[')
        .map_or(Some(text), |rest| rest.strip_suffix(']'));
    let bracketed = text.starts_with('[');
    let host = bare.ok_or("a bracket is not closed")?;
    if host.is_empty() {
        return Err("a host is missing".to_owned());
    }
    if bracketed || host.contains(':') {
        let address = host
            .split_once('%')
            .map_or(host, |(address, _zone)| address);
        address
            .parse::<Ipv6Addr>()
            .map_err(|_| format!("{host:?} is not an IPv6 address"))?;
    } else if !host
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
    {
        return Err(format!("{host:?} is not a host name or IP address"));
    }
    Ok(host.to_owned())
}

/// A name as `Host` is compared with: in small letters, without the dot of the root; or `*`.
pub(super) fn parse_allowed_host(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text == "*" {
        return Ok(text.to_owned());
    }
    let mut name = parse_host(text)?;
    name.make_ascii_lowercase();
    Ok(name.strip_suffix('.').map(str::to_owned).unwrap_or(name))
}
