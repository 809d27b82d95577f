//! A disk under the real server that can be listened to and can be made to fail, by a library that the
//! dynamic linker puts between the program and libc.

mod fault;
mod image;
mod record;
pub mod shim;

pub use fault::{Call, Disk, File};
pub use image::{Cut, Image};
pub use record::Entry;
