//! Fluentd's forward protocol, version 1: messages of MessagePack with one entry or many, which are acknowledged after
//! their commit where they ask for it.

mod decoder;
mod entry;
mod message;
pub mod msgpack;

pub(crate) use decoder::Forward;

#[cfg(test)]
mod tests;
