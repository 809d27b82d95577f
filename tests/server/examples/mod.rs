//! The examples of the pages for users, as they stand there, against a server of their own.

mod blocks;
mod programs;
mod shells;
mod shippers;
