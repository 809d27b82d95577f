//! What a client may rely on, tried over real sockets and real files against the built program. All of
//! it is one binary, so that it is linked once and nothing of the harness is unused.

mod durability;
mod harness;
mod http;
mod lifecycle;
mod limits;
mod patience;
mod scenarios;
mod wait;
