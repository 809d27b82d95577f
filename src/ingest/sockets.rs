//! The protocols that have sockets of their own, beside HTTP: one line each. Nothing else names their decoders.

use std::rc::Rc;

use super::socket_decoder::{Decoder, Machine};
use super::syslog::{Place, Syslog};
use crate::event::Protocol;

/// A protocol with sockets of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketProtocol {
    Syslog,
}

impl SocketProtocol {
    pub fn protocol(self) -> Protocol {
        match self {
            SocketProtocol::Syslog => Protocol::Syslog,
        }
    }

    /// The flag of its addresses.
    pub fn flag(self) -> &'static str {
        match self {
            SocketProtocol::Syslog => "--syslog",
        }
    }

    /// A decoder for a connection or a socket, whose peers are on this machine alone if it is a Unix socket.
    pub(crate) fn decoder(self, is_unix: bool, machine: &Rc<Machine>) -> Decoder {
        let place = if is_unix {
            Place::Local
        } else {
            Place::Network
        };
        match self {
            SocketProtocol::Syslog => Box::new(Syslog::new(place, machine.clone())),
        }
    }
}
