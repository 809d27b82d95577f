//! Hands the process's arguments, and the sockets that systemd passed on, to the command line; nothing else.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use logagg::cli;
use logagg::net::Inherited;

fn main() -> ExitCode {
    cli::signals::block_file_size_signal();
    let inherited = Inherited::take();
    cli::main(std::env::args_os(), inherited)
}
