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
use crate::app::{self, App};
use crate::ingest::{IngestSetting, SocketProtocol};
use crate::limits;
use crate::logging::Logger;
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
    let started = Instant::now();
    // Until the loop runs, these wait; they must not end a server that is about to start. SIGUSR1 and SIGUSR2 make many
    // servers reopen their logs, so they are sent by mistake.
    let signals = Signals::new([SIGHUP, SIGUSR1, SIGUSR2])
        .map_err(|e| ServeError::Failed(format!("signals cannot be received: {e}")))?;
    let tokens_file = load_tokens(settings.tokens_file.clone())?;
    let mut options = settings.reactor;
    let wanted = options.max_connections;
    options.max_connections = wanted.min(descriptors_for_connections());
    // Binding comes first: clients that connect while the database is opened wait in the backlog.
    let mut listeners = listeners(inherited, &settings)?;
    let reach = Reach::of(&listeners, settings.with_ipv6_loopback);
    let datagrams = bind_sockets(&settings.sockets, &mut listeners)?;
    let sockets = socket_addresses(&listeners, &datagrams);
    let created = Created::look(&settings.store.path);
    let store = Store::open(&settings.store).map_err(|e| ServeError::Failed(e.to_string()))?;
    let events = store.counters().unique_processed;
    let mut app = App::new(store, settings.app, read_clocks(started));
    app.set_clock(Instant::now);
    app.set_machine(machine());
    app.set_ingest(settings.ingest);
    let system = System::new(listeners, started, logger, signals)
        .map_err(|e| ServeError::Failed(format!("the event loop cannot be made: {e}")))?;
    let mut reactor = Reactor::new(system, app, options, started);
    add_datagrams(&mut reactor, datagrams)?;

    log::info!(
        "logagg {} with database {} ({events} events), ready in {} ms",
        env!("CARGO_PKG_VERSION"),
        settings.store.path.display(),
        started.elapsed().as_millis()
    );
    log_retention(settings.store.retention);
    if options.max_connections < wanted {
        log::warn!(
            "the file limit allows {} connections, --max-connections (MAX_CONNECTIONS) {wanted}",
            options.max_connections
        );
    }
    let has_tokens = tokens_file.is_some();
    if let Some((path, loaded)) = tokens_file {
        let tokens = loaded.announce(&path);
        reactor.set_tokens_file(path, tokens);
    }
    if !has_tokens && reach.is_loopback {
        reactor.set_allowed_hosts(settings.allowed_hosts);
    }
    reach.log(has_tokens);
    created.log(&settings.store.path);
    log_sockets(&sockets, has_tokens);
    let app = reactor
        .run()
        .map_err(|e| ServeError::Failed(format!("waiting for events failed: {e}")))?;
    if let Err(error) = app.close() {
        log::error!("closing the database failed: {error}");
    }
    log::info!("stopped after {} s", started.elapsed().as_secs());
    logger.flush_blocking(Duration::from_millis(limits::LAST_LINES_MS));
    Ok(())
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
