//! The protocols that have sockets of their own, beside HTTP: one line each. Nothing else names their decoders.

use std::rc::Rc;

use super::forward::Forward;
use super::gelf::Gelf;
use super::socket_decoder::{Decoder, Machine};
use super::syslog::{Place, Syslog};
use crate::event::Protocol;

/// A protocol with sockets of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketProtocol {
    Syslog,
    /// Fluentd's.
    Forward,
    Gelf,
}

impl SocketProtocol {
    pub fn protocol(self) -> Protocol {
        match self {
            SocketProtocol::Syslog => Protocol::Syslog,
            SocketProtocol::Forward => Protocol::Forward,
            SocketProtocol::Gelf => Protocol::Gelf,
        }
    }

    /// The flag of its addresses.
    pub fn flag(self) -> &'static str {
        match self {
            SocketProtocol::Syslog => "--syslog",
            SocketProtocol::Forward => "--forward",
            SocketProtocol::Gelf => "--gelf",
        }
    }

    /// A decoder for a connection or a socket, whose peers are on this machine alone if it is a Unix socket.
    /// A message may have `message_max` bytes, where its protocol has no bound of its own.
    pub(crate) fn decoder(
        self,
        is_unix: bool,
        machine: &Rc<Machine>,
        message_max: usize,
    ) -> Decoder {
        let place = if is_unix {
            Place::Local
        } else {
            Place::Network
        };
        match self {
            SocketProtocol::Syslog => Box::new(Syslog::new(place, machine.clone())),
            SocketProtocol::Forward => Box::new(Forward::new(message_max)),
            SocketProtocol::Gelf => Box::new(Gelf::new(message_max)),
        }
    }
}
