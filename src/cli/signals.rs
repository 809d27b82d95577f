//! Signals that the kernel sends for what a system call then also returns as an error. They are blocked, so only the
//! error is left; a handler would not be enough for SIGTTOU, which is sent again with each try.
//!
//! SIGPIPE is one of them and Rust's runtime ignores it already. A mask is inherited by all threads, so this
//! must be done before the first is made.

use nix::sys::signal::{SigSet, Signal};

/// A write beyond the limit of a file's size (`ulimit -f`) fails from now on, as one on a full disk does,
/// and no longer ends the process.
pub fn block_file_size_signal() {
    block(Signal::SIGXFSZ);
}

/// From now on the log of a process in the background goes to its terminal also where that is set to stop such writers
/// (`stty tostop`): a server that is stopped by a line of its log answers no one.
pub(super) fn block_terminal_output_signal() {
    block(Signal::SIGTTOU);
}

fn block(signal: Signal) {
    // It fails only for an invalid mask; then the signal has its usual effect.
    let _ = SigSet::from(signal).thread_block();
}
