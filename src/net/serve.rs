//! From settings to a running server and to its end: owns the order in which things are opened and closed, and logs it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{getrlimit, setrlimit, Resource, Rlimit};
use signal_hook::consts::{SIGHUP, SIGUSR1, SIGUSR2};
use signal_hook_mio::v1_0::Signals;

use super::reactor::{self, Reactor};
use super::system::{
    machine, read_clocks, BindError, ClientSocket, DatagramSocket, Inherited, Listen, Listener,
    SocketAddress, System,
};
use super::tokens_file;
use crate::app::service::Service;
#[cfg(feature = "fleet")]
use crate::app::Front;
use crate::app::{self, App};
use crate::ingest::{IngestSetting, SocketProtocol};
use crate::limits;
use crate::logging::Logger;
#[cfg(feature = "fleet")]
use crate::postgres::url::EngineUrl;
use crate::store::{self, Limit, Retention, Store};

/// What a server is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// At least one address, at most [`limits::LISTENERS_MAX`], each with the flag that names it. Sockets
    /// that were inherited take the place of them all.
    pub listen: Vec<(Listen, &'static str)>,
    /// The first of `listen` is the default, 127.0.0.1: `::1` is listened on too, if the machine has it.
    pub with_ipv6_loopback: bool,
    /// Names that `Host` may have where only this machine's programs can connect and there are no tokens, in lower
    /// case; `None` allows any.
    pub allowed_hosts: Option<Vec<String>>,
    /// Sockets of other protocols, at most [`limits::LISTENERS_MAX`] each.
    pub sockets: Vec<SocketSetting>,
    pub store: store::OpenOptions,
    pub app: app::Options,
    pub reactor: reactor::Options,
    /// The tokens file; without one every request is allowed.
    pub tokens_file: Option<PathBuf>,
    /// How records of other protocols become events.
    pub ingest: Vec<IngestSetting>,
}

/// A socket of a protocol other than HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketSetting {
    pub protocol: SocketProtocol,
    pub address: SocketAddress,
}

/// Why the server could not start, or had to stop: one sentence.
#[derive(Debug)]
pub enum ServeError {
    /// What the flag names, or its variable, is wrong.
    Setting {
        flag: &'static str,
        sentence: String,
    },
    /// Anything else.
    Failed(String),
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServeError::Setting { flag, sentence } => write!(f, "{flag}: {sentence}"),
            ServeError::Failed(sentence) => f.write_str(sentence),
        }
    }
}

impl std::error::Error for ServeError {}

/// Serves until a signal ends it.
///
/// # Errors
/// One sentence, if the server could not start or its poll failed. A database that cannot be closed is only logged:
/// what was answered is in the WAL.
pub fn serve(
    settings: Settings,
    inherited: Inherited,
    logger: &'static Logger,
) -> Result<(), ServeError> {
    let mut shell = Shell::open(&settings, inherited)?;
    let datagrams = bind_sockets(&settings.sockets, &mut shell.listeners)?;
    let sockets = socket_addresses(&shell.listeners, &datagrams);
    let created = Created::look(&settings.store.path);
    let store = Store::open(&settings.store).map_err(|e| ServeError::Failed(e.to_string()))?;
    let events = store.counters().unique_processed;
    let started = shell.started;
    let mut app = App::new(store, settings.app, read_clocks(started));
    app.set_clock(Instant::now);
    app.set_machine(machine());
    app.set_ingest(settings.ingest);
    let (mut reactor, announcement) = shell.reactor(app, settings.allowed_hosts, logger)?;
    add_datagrams(&mut reactor, datagrams)?;

    log::info!(
        "logagg {} with database {} ({events} events), ready in {} ms",
        env!("CARGO_PKG_VERSION"),
        settings.store.path.display(),
        started.elapsed().as_millis()
    );
    log_retention(settings.store.retention);
    announcement.log();
    created.log(&settings.store.path);
    log_sockets(&sockets, announcement.has_tokens);
    let app = run(reactor)?;
    if let Err(error) = app.close() {
        log::error!("closing the database failed: {error}");
    }
    log_stopped(started, logger);
    Ok(())
}

/// Serves a store that many servers share until a signal ends it.
///
/// # Errors
/// As [`serve`]; also where the engine does not let it in when it is first reached.
#[cfg(feature = "fleet")]
pub(crate) fn serve_front(
    settings: Settings,
    engine: EngineUrl,
    inherited: Inherited,
    logger: &'static Logger,
) -> Result<(), ServeError> {
    let shell = Shell::open(&settings, inherited)?;
    let started = shell.started;
    let shown = engine.to_string();
    let mut front = Front::new(engine, settings.app, read_clocks(started));
    front.set_clock(Instant::now);
    front.set_ingest(settings.ingest);
    let (reactor, announcement) = shell.reactor(front, settings.allowed_hosts, logger)?;
    log::info!(
        "logagg {} with store {shown}, ready in {} ms",
        env!("CARGO_PKG_VERSION"),
        started.elapsed().as_millis()
    );
    announcement.log();
    let front = run(reactor)?;
    if let Some(sentence) = front.refused() {
        return Err(ServeError::Failed(format!("{shown}: {sentence}")));
    }
    log_stopped(started, logger);
    Ok(())
}

/// What every server has: the sockets that it listens on, signals, tokens.
struct Shell {
    started: Instant,
    signals: Signals,
    tokens_file: Option<(PathBuf, tokens_file::Loaded)>,
    options: reactor::Options,
    /// Connections that the settings allow.
    wanted: usize,
    listeners: Vec<Listener>,
    reach: Reach,
}

impl Shell {
    fn open(settings: &Settings, inherited: Inherited) -> Result<Shell, ServeError> {
        let started = Instant::now();
        // Until the loop runs, these wait; they must not end a server that is about to start. SIGUSR1 and SIGUSR2
        // make many servers reopen their logs, so they are sent by mistake.
        let signals = Signals::new([SIGHUP, SIGUSR1, SIGUSR2])
            .map_err(|e| ServeError::Failed(format!("signals cannot be received: {e}")))?;
        let tokens_file = load_tokens(settings.tokens_file.clone())?;
        let mut options = settings.reactor;
        let wanted = options.max_connections;
        options.max_connections = wanted.min(descriptors_for_connections());
        // Binding comes first: clients that connect while the database is opened wait in the backlog.
        let listeners = listeners(inherited, settings)?;
        let reach = Reach::of(&listeners, settings.with_ipv6_loopback);
        Ok(Shell {
            started,
            signals,
            tokens_file,
            options,
            wanted,
            listeners,
            reach,
        })
    }

    /// The loop for an application, and what is to be logged of it.
    fn reactor<S: Service>(
        self,
        app: S,
        allowed_hosts: Option<Vec<String>>,
        logger: &'static Logger,
    ) -> Result<(Reactor<System, S>, Announcement), ServeError> {
        let system = System::new(self.listeners, self.started, logger, self.signals)
            .map_err(|e| ServeError::Failed(format!("the event loop cannot be made: {e}")))?;
        let mut reactor = Reactor::new(system, app, self.options, self.started);
        let has_tokens = self.tokens_file.is_some();
        let tokens = self.tokens_file.map(|(path, loaded)| {
            let tokens = loaded.announce(&path);
            (path, tokens)
        });
        if let Some((path, tokens)) = tokens {
            reactor.set_tokens_file(path, tokens);
        }
        if !has_tokens && self.reach.is_loopback {
            reactor.set_allowed_hosts(allowed_hosts);
        }
        let announcement = Announcement {
            wanted: self.wanted,
            allowed: self.options.max_connections,
            reach: self.reach,
            has_tokens,
        };
        Ok((reactor, announcement))
    }
}

/// What a server says when it starts.
struct Announcement {
    /// Connections that the settings allow, and that the file limit allows.
    wanted: usize,
    allowed: usize,
    reach: Reach,
    has_tokens: bool,
}

impl Announcement {
    fn log(&self) {
        if self.allowed < self.wanted {
            log::warn!(
                "the file limit allows {} connections, --max-connections (MAX_CONNECTIONS) {}",
                self.allowed,
                self.wanted
            );
        }
        self.reach.log(self.has_tokens);
    }
}

fn run<S: Service>(reactor: Reactor<System, S>) -> Result<S, ServeError> {
    reactor
        .run()
        .map_err(|e| ServeError::Failed(format!("waiting for events failed: {e}")))
}

fn log_stopped(started: Instant, logger: &'static Logger) {
    log::info!("stopped after {} s", started.elapsed().as_secs());
    logger.flush_blocking(Duration::from_millis(limits::LAST_LINES_MS));
}

fn load_tokens(
    path: Option<PathBuf>,
) -> Result<Option<(PathBuf, tokens_file::Loaded)>, ServeError> {
    let Some(path) = path else {
        return Ok(None);
    };
    match tokens_file::load(&path) {
        Ok(loaded) => Ok(Some((path, loaded))),
        Err(sentence) => Err(ServeError::Setting {
            flag: "--auth-tokens-file",
            sentence,
        }),
    }
}

/// The inherited sockets, or if there are none, those that the settings name.
fn listeners(inherited: Inherited, settings: &Settings) -> Result<Vec<Listener>, ServeError> {
    let mut listeners = inherited.into_listeners().map_err(ServeError::Failed)?;
    if !listeners.is_empty() {
        return Ok(listeners);
    }
    for (listen, flag) in &settings.listen {
        let listener = bind(listen, flag)?;
        let port = listener.port();
        listeners.push(listener);
        if settings.with_ipv6_loopback && listeners.len() == 1 {
            listeners.extend(bind_ipv6_loopback(listen, port)?);
        }
    }
    Ok(listeners)
}

/// `::1` beside 127.0.0.1, which `first` is and whose port is `port`.
fn bind_ipv6_loopback(first: &Listen, port: u16) -> Result<Option<Listener>, ServeError> {
    let is_port_picked = matches!(first, Listen::Tcp { port: 0, .. });
    let host = "::1".to_owned();
    let listen = Listen::Tcp { host, port };
    match Listener::bind(&listen, None) {
        Ok(listener) => Ok(Some(listener)),
        Err(BindError::Socket(error)) if is_port_picked || has_no_ipv6(&error) => Ok(None),
        Err(error) => Err(cannot_bind(error, &listen, "--port")),
    }
}

/// Whether binding to an address of IPv6 failed because the machine has none.
fn has_no_ipv6(error: &io::Error) -> bool {
    let missing = [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL];
    missing
        .map(Errno::raw_os_error)
        .map(Some)
        .contains(&error.raw_os_error())
}

fn bind(listen: &Listen, flag: &'static str) -> Result<Listener, ServeError> {
    Listener::bind(listen, None).map_err(|error| cannot_bind(error, listen, flag))
}

fn cannot_bind(error: BindError, address: &impl fmt::Display, flag: &'static str) -> ServeError {
    match error {
        BindError::Name(why) => ServeError::Setting {
            flag,
            sentence: format!("cannot listen on {address}: {why}"),
        },
        BindError::Socket(error) => {
            let why = match error.kind() {
                io::ErrorKind::AddrInUse => "the address is in use".to_owned(),
                _ => error.to_string(),
            };
            ServeError::Failed(format!("cannot listen on {address}: {why}"))
        }
    }
}

/// Binds the sockets of other protocols: adds those that listen to `listeners`, and returns those that receive
/// datagrams.
fn bind_sockets(
    settings: &[SocketSetting],
    listeners: &mut Vec<Listener>,
) -> Result<Vec<(DatagramSocket, SocketProtocol)>, ServeError> {
    let mut datagrams = Vec::new();
    for SocketSetting { protocol, address } in settings {
        let protocol = *protocol;
        let failed = |error| cannot_bind(error, address, protocol.flag());
        match address {
            SocketAddress::Stream(listen) => {
                listeners.push(Listener::bind(listen, Some(protocol)).map_err(failed)?);
            }
            SocketAddress::Datagrams(listen) => {
                let socket = DatagramSocket::bind(listen).map_err(failed)?;
                datagrams.push((socket, protocol));
            }
        }
    }
    Ok(datagrams)
}

fn add_datagrams(
    reactor: &mut Reactor<System>,
    sockets: Vec<(DatagramSocket, SocketProtocol)>,
) -> Result<(), ServeError> {
    let failed = |e| ServeError::Failed(format!("a socket cannot be added to the poll: {e}"));
    for (socket, protocol) in sockets {
        let is_unix = socket.is_unix();
        let socket = ClientSocket::Datagrams(Box::new(socket));
        reactor
            .add_datagrams(socket, protocol, is_unix)
            .map_err(failed)?;
    }
    Ok(())
}

/// Protocols and addresses of these sockets, as the log has them.
fn socket_addresses(
    listeners: &[Listener],
    datagrams: &[(DatagramSocket, SocketProtocol)],
) -> Vec<(SocketProtocol, String)> {
    let streams = listeners
        .iter()
        .filter_map(|listener| Some((listener.protocol()?, listener.address())));
    let datagrams = datagrams
        .iter()
        .map(|(socket, protocol)| (*protocol, socket.address()));
    streams.chain(datagrams).collect()
}

fn log_sockets(sockets: &[(SocketProtocol, String)], has_tokens: bool) {
    for (protocol, address) in sockets {
        let name = protocol.protocol().name();
        log::info!("taking {name} on {address}");
        if has_tokens {
            log::warn!("{name} knows no tokens: every program that reaches {address} may publish");
        }
    }
}

fn log_retention(retention: Retention) {
    let text = |limit: Option<Limit>| limit.map_or("for ever".to_owned(), |l| l.to_string());
    match retention {
        Retention {
            events: None,
            keys: None,
            ..
        } => {}
        Retention {
            events: None,
            keys: Some(_),
            ..
        } => log::warn!("--retain-keys does nothing without --retain-events: keys are kept as long as their events"),
        Retention { events, keys, .. } => {
            log::info!("retention: events {}, keys {}", text(events), text(keys));
        }
    }
}

/// What a first start makes.
struct Created {
    database: bool,
    folder: bool,
}

impl Created {
    /// Looks what exists, before the database is opened.
    fn look(database: &Path) -> Created {
        let folder = database.parent().unwrap_or(Path::new(""));
        Created {
            database: !database.exists(),
            folder: !folder.as_os_str().is_empty() && !folder.exists(),
        }
    }

    fn log(&self, database: &Path) {
        if self.database {
            let folder = if self.folder { " and its folder" } else { "" };
            let path = std::path::absolute(database).unwrap_or_else(|_| database.to_owned());
            log::info!("created the database {}{folder}", path.display());
        }
    }
}

/// Who can connect to the addresses of HTTP.
struct Reach {
    /// The addresses, and whether other machines can connect there.
    addresses: Vec<(String, bool)>,
    /// Programs of this machine can connect over TCP, and no other machine can.
    is_loopback: bool,
    /// Because of the default, not of a setting.
    is_default: bool,
}

impl Reach {
    fn of(listeners: &[Listener], is_default: bool) -> Reach {
        let public = listeners.iter().any(Listener::is_public);
        Reach {
            addresses: listeners
                .iter()
                .map(|listener| (listener.address(), listener.is_public()))
                .collect(),
            is_loopback: !public && listeners.iter().any(|listener| listener.port() != 0),
            is_default: is_default && listeners.iter().all(|listener| !listener.is_inherited()),
        }
    }

    fn log(&self, has_tokens: bool) {
        for (address, is_public) in &self.addresses {
            log::info!("listening on {address}");
            if *is_public && !has_tokens {
                log::warn!("no tokens are configured: every client that reaches {address} may publish and read");
            }
        }
        if self.is_loopback && self.is_default {
            log::info!(
                "only programs of this machine can connect; --host 0.0.0.0 (HOST) lets others connect as well, \
                 --auth-tokens-file (AUTH_TOKENS_FILE) says who may publish and read"
            );
        }
    }
}

/// Raises the file limit as far as it may be raised, and returns how many connections it allows.
fn descriptors_for_connections() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    );
    let current = if raised.is_ok() {
        limit.maximum
    } else {
        limit.current
    };
    let room = current
        .unwrap_or(u64::MAX)
        .saturating_sub(limits::DESCRIPTORS_KEPT)
        .max(1);
    usize::try_from(room).unwrap_or(usize::MAX)
}
