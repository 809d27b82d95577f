//! The real platform: owns mio's poll, the listening sockets, signals, the clocks, the log, the service manager's
//! socket and the checkpoint process. It decides nothing about clients.

mod acceptor;
mod address;
mod checkpoint_process;
mod clocks;
mod datagrams;
mod inherited;
mod listener;
mod machine;
mod supervisor;

pub(super) use address::BindError;
pub use address::{Listen, SocketAddress};
pub use checkpoint_process::PROGRAM;
pub(super) use clocks::read_clocks;
pub(super) use datagrams::DatagramSocket;
pub use inherited::Inherited;
pub(super) use listener::{ClientSocket, Listener};
pub(super) use machine::machine;

use std::io;
use std::time::{Duration, Instant};

use log::Log;
use mio::{Events, Interest, Poll, Token};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU};
use signal_hook_mio::v1_0::Signals;

use acceptor::Acceptor;
use checkpoint_process::CheckpointProcess;
use clocks::now_at;
use supervisor::Supervisor;

#[cfg(feature = "fleet")]
use super::platform::EngineAddress;
use super::platform::{Accepted, Platform, PollEvent, Readiness, Sleep};
use crate::app::App;
use crate::clock::Now;
use crate::limits;
use crate::logging::Logger;

const SIGNALS: Token = Token(0);
const FIRST_LISTENER: usize = 1;
const FIRST_CLIENT: usize = FIRST_LISTENER + limits::ALL_LISTENERS_MAX;

/// The operating system.
pub(super) struct System {
    poll: Poll,
    events: Events,
    signals: Signals,
    acceptor: Acceptor,
    logger: &'static Logger,
    started: Instant,
    now: Now,
    checkpoint_process: CheckpointProcess,
    supervisor: Supervisor,
}

impl System {
    /// `signals` must already receive SIGHUP, SIGUSR1 and SIGUSR2; the signals that end the program are added only
    /// here, so that they end one that does not get this far. The clock counts from `started`.
    pub(super) fn new(
        listeners: Vec<Listener>,
        started: Instant,
        logger: &'static Logger,
        mut signals: Signals,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        // SIGXCPU: the limit of processor time is reached (`ulimit -t`).
        for signal in [SIGTERM, SIGINT, SIGXCPU] {
            signals.add_signal(signal)?;
        }
        let registry = poll.registry();
        registry.register(&mut signals, SIGNALS, Interest::READABLE)?;
        assert!(
            listeners.len() <= limits::ALL_LISTENERS_MAX,
            "the configuration bounds the listeners"
        );
        let acceptor = Acceptor::new(listeners, registry, FIRST_LISTENER)?;
        Ok(Self {
            poll,
            events: Events::with_capacity(limits::EVENTS_PER_POLL),
            signals,
            acceptor,
            logger,
            started,
            now: Now::default(),
            checkpoint_process: CheckpointProcess::default(),
            supervisor: Supervisor::from_environment(),
        })
    }

    fn timeout(&self, sleep: Sleep) -> Option<Duration> {
        let until = match sleep {
            Sleep::Not => return Some(Duration::ZERO),
            Sleep::Until(at) => Some(at),
            Sleep::Forever => None,
        };
        let log = self
            .logger
            .pending()
            .then_some(self.now.mono_ms + limits::LOG_RETRY_MS);
        let next = [
            until,
            log,
            self.checkpoint_process.deadline(),
            self.supervisor.deadline(),
        ];
        let next = next.into_iter().flatten().min()?;
        // The poll's clock counts whole milliseconds, so one more makes sure that the time has come.
        let wait = (next + 1).saturating_sub(read_clocks(self.started).mono_ms);
        Some(Duration::from_millis(wait))
    }
}

/// What a signal means to the loop.
fn poll_event(signal: i32) -> Option<PollEvent> {
    match signal {
        SIGHUP => Some(PollEvent::Reload),
        SIGUSR1 | SIGUSR2 => {
            log::info!("signal {signal} ignored: it means nothing here");
            None
        }
        signal => Some(PollEvent::Stop(signal)),
    }
}

impl Platform for System {
    type Socket = ClientSocket;

    fn poll(&mut self, sleep: Sleep, into: &mut Vec<PollEvent>) -> io::Result<(Instant, Now)> {
        let timeout = self.timeout(sleep);
        let mut result = self.poll.poll(&mut self.events, timeout);
        // The poll is interrupted when the process was stopped, however long: what has become ready meanwhile counts
        // before any deadline.
        while matches!(&result, Err(e) if e.kind() == io::ErrorKind::Interrupted) {
            result = self.poll.poll(&mut self.events, Some(Duration::ZERO));
        }
        result?;
        let instant = Instant::now();
        self.now = now_at(self.started, instant);
        self.logger.set_now(self.now.unix_us);
        self.acceptor.begin_turn();
        for event in self.events.iter() {
            match event.token() {
                SIGNALS => into.extend(self.signals.pending().filter_map(poll_event)),
                Token(n) if n < FIRST_CLIENT => {
                    self.acceptor.set_ready(n - FIRST_LISTENER);
                    into.push(PollEvent::Connection);
                }
                Token(n) => {
                    let readiness = Readiness {
                        readable: event.is_readable(),
                        read_closed: event.is_read_closed(),
                        writable: event.is_writable(),
                        gone: event.is_error() || event.is_write_closed(),
                    };
                    into.push(PollEvent::Client(n - FIRST_CLIENT, readiness));
                }
            }
        }
        Ok((instant, self.now))
    }

    fn instant(&mut self) -> Instant {
        Instant::now()
    }

    fn accept(&mut self, now: Now) -> Option<Accepted<ClientSocket>> {
        self.acceptor.accept(now)
    }

    fn accept_deadline(&self) -> Option<u64> {
        self.acceptor.deadline()
    }

    fn log_full(&mut self, connections: usize, now: Now) {
        self.acceptor.log_full(connections, now);
    }

    fn stop_accepting(&mut self) {
        self.acceptor.close();
    }

    fn register(&mut self, stream: &mut ClientSocket, key: usize) -> io::Result<()> {
        stream.register(self.poll.registry(), Token(FIRST_CLIENT + key))
    }

    #[cfg(feature = "fleet")]
    fn connect(&mut self, address: &EngineAddress) -> io::Result<ClientSocket> {
        ClientSocket::connect(address)
    }

    fn ready(&mut self) {
        self.supervisor.ready();
    }

    fn stopping(&mut self) {
        self.supervisor.stopping();
        self.acceptor.leave_inherited(self.poll.registry());
    }

    fn offload_checkpoint(&mut self, app: &mut App, now: Now) {
        self.checkpoint_process.turn(app, now);
    }

    fn log_lines_dropped(&self) -> u64 {
        self.logger.dropped()
    }

    fn end_turn(&mut self, now: Now) {
        self.supervisor.turned(now);
        self.logger.flush();
    }

    fn exit(&mut self, code: i32) -> ! {
        self.logger
            .flush_blocking(Duration::from_millis(limits::LAST_LINES_MS));
        std::process::exit(code)
    }
}
