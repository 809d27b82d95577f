//! Addresses that are a test's own before anybody listens there.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};

/// Addresses of one port.
const HOSTS: u16 = 250;

/// An address of this test run alone, which a server can have again after a restart, and another program can be told
/// before it listens. All of 127/8 is loopback.
///
/// Its port is below those that the system gives away, so nobody takes it meanwhile. No socket is opened to find it:
/// a program that another test is starting would keep that open for a moment.
pub fn fixed_address() -> SocketAddr {
    static NUMBER: AtomicU16 = AtomicU16::new(0);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let host = 1 + (number % HOSTS) as u8;
    SocketAddr::new(
        IpAddr::V4(Ipv4Addr::new(127, high | 0x40, low, host)),
        18_431 + number / HOSTS,
    )
}
