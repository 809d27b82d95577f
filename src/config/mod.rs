//! The settings of `serve`: flags and environment variables to a [`Config`] in which every value is
//! legal. Says nothing on its own and starts nothing; whether an address can be listened on or a
//! database can be opened shows when that is done.

mod addresses;
#[cfg(feature = "fleet")]
mod engine;
mod values;

use std::path::PathBuf;

use clap::builder::{
    BoolishValueParser, PathBufValueParser, RangedU64ValueParser, TypedValueParser,
};
use clap::error::ErrorKind;
use clap::{Args, ValueEnum};
use log::LevelFilter;

use crate::app;
use crate::ingest::{IngestSetting, SocketProtocol};
use crate::limits;
use crate::logging::{Format, LogDuplicates, LogSettings};
use crate::net::{self, Listen, Settings, SocketAddress, SocketSetting};
#[cfg(feature = "fleet")]
use crate::postgres::url::EngineUrl;
use crate::store::{Dedup, Durability, Limit, OpenOptions, RejectedLimit, Retention, SearchIndex};
pub use addresses::{addresses, parse_host};
use addresses::{parse_allowed_host, socket_address};
#[cfg(feature = "fleet")]
pub(crate) use engine::{password_from, Secret, StoreArgs};

/// What `serve` runs with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub log: LogSettings,
    pub settings: Settings,
}

/// Run the server
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Name or address of the interface to listen on [default: 127.0.0.1 and ::1, with tokens 0.0.0.0]
    ///
    /// 0.0.0.0 is every address of this machine. Without tokens every client that reaches it may publish and read.
    #[arg(long, env = "HOST", value_parser = parse_host)]
    host: Option<String>,

    /// Further names that requests may have in Host, separated by commas; * allows any
    ///
    /// Needed only if the server listens on loopback alone and has no tokens. Then it refuses other names than
    /// addresses, localhost and that of --host, so that no web page can have its own name resolved to this machine
    /// to read events.
    #[arg(
        long,
        env = "ALLOWED_HOSTS",
        value_name = "NAME",
        value_delimiter = ','
    )]
    #[arg(value_parser = parse_allowed_host)]
    allowed_hosts: Vec<String>,

    /// TCP port to listen on; 0 picks a free one and logs it [default: 8080]
    #[arg(long, env = "PORT")]
    port: Option<u16>,

    /// Listen on HOST:PORT, [IPV6]:PORT or unix:/PATH; may be repeated, or separated by commas
    ///
    /// Replaces --host and --port, unless one of them is set too: then they add up. Sockets that systemd
    /// passes replace all three.
    #[arg(long, env = "LISTEN", value_name = "ADDRESS", value_delimiter = ',')]
    listen: Vec<Listen>,

    /// Take syslog on udp:HOST:PORT, tcp:HOST:PORT or unix:/PATH; may be repeated, or separated by commas
    ///
    /// RFC 5424 and RFC 3164. A Unix socket takes datagrams, as /dev/log does. No token is needed.
    #[arg(
        long,
        env = "SYSLOG_LISTEN",
        value_name = "ADDRESS",
        value_delimiter = ','
    )]
    #[arg(value_parser = |text: &str| socket_address(text, SocketProtocol::Syslog))]
    syslog: Vec<SocketAddress>,

    /// Take Fluentd's forward protocol on tcp:HOST:PORT or unix:/PATH; may be repeated, or separated by commas
    ///
    /// Messages with the option chunk are acknowledged after their commit. No token is needed.
    #[arg(
        long,
        env = "FORWARD_LISTEN",
        value_name = "ADDRESS",
        value_delimiter = ','
    )]
    #[arg(value_parser = |text: &str| socket_address(text, SocketProtocol::Forward))]
    forward: Vec<SocketAddress>,

    /// Take GELF on udp:HOST:PORT or tcp:HOST:PORT; may be repeated, or separated by commas
    ///
    /// Messages may be compressed and in chunks over UDP; over TCP each ends with a NUL. No token is needed.
    #[arg(
        long,
        env = "GELF_LISTEN",
        value_name = "ADDRESS",
        value_delimiter = ','
    )]
    #[arg(value_parser = |text: &str| socket_address(text, SocketProtocol::Gelf))]
    gelf: Vec<SocketAddress>,

    /// File that holds the database; it and its folders are created if they do not exist
    #[arg(long, env = "DATABASE_PATH", value_name = "FILE")]
    #[arg(default_value = "data/dedup.db", value_parser = PathBufValueParser::new().try_map(check_database))]
    database: PathBuf,

    #[cfg(feature = "fleet")]
    #[command(flatten)]
    store: StoreArgs,

    /// What an answered event survives: a power failure (full) or a crash of the process (normal)
    #[arg(long, env = "DURABILITY", default_value = "full", ignore_case = true)]
    durability: Durability,

    /// How duplicates are detected: a new database gets this check [default: index], an existing one must
    /// have it
    #[arg(long, env = "DEDUP", ignore_case = true)]
    dedup: Option<Dedup>,

    /// Memory for the filters of the key index; beyond it, the largest ones are read from disk
    #[arg(long, env = "FILTER_MEMORY_BYTES", value_name = "BYTES")]
    #[arg(default_value = "268435456", value_parser = whole(0, u64::MAX))]
    filter_memory_bytes: usize,

    /// Events that may wait for a commit; also the most in one request
    #[arg(
        long,
        env = "RING_CAPACITY",
        value_name = "EVENTS",
        default_value = "10000"
    )]
    #[arg(value_parser = whole(1, limits::RING_CAPACITY_MAX))]
    ring_capacity: usize,

    /// Largest request body, also when decompressed
    #[arg(
        long,
        env = "MAX_BODY_BYTES",
        value_name = "BYTES",
        default_value = "16777216"
    )]
    #[arg(value_parser = whole(limits::BODY_LIMIT_MIN_BYTES, limits::BODY_CEILING_BYTES as u64))]
    max_body_bytes: usize,

    /// Connections served at a time
    #[arg(
        long,
        env = "MAX_CONNECTIONS",
        value_name = "NUMBER",
        default_value = "10000"
    )]
    #[arg(value_parser = whole(1, u64::MAX))]
    max_connections: usize,

    /// Memory for all bodies being received and answers being sent
    #[arg(long, env = "MAX_BUFFERED_BYTES", value_name = "BYTES")]
    #[arg(default_value = "134217728", value_parser = whole(limits::BUFFERED_LIMIT_MIN_BYTES, u64::MAX))]
    max_buffered_bytes: usize,

    /// Remove events older than this (s, m, h, d: 7d), or the oldest ones so that the database stays below
    /// this size (MB, GB: 50GB) [default: never]
    #[arg(long, env = "RETAIN_EVENTS", value_name = "AGE|SIZE")]
    retain_events: Option<Limit>,

    /// Forget the keys of removed events older than this, or the oldest ones so that keys stay below this
    /// size [default: never]
    ///
    /// Until then a late repeat of an event that has been removed is still a duplicate.
    #[arg(long, env = "RETAIN_KEYS", value_name = "AGE|SIZE")]
    retain_keys: Option<Limit>,

    /// Keep this number of records that could not become events, or those that are not older than this, or of this
    /// size; the oldest go first
    ///
    /// 0 keeps none. Unless a size is set, they take at most 16 MiB. GET /rejected shows them.
    #[arg(long, env = "RETAIN_REJECTED", value_name = "NUMBER|AGE|SIZE")]
    #[arg(default_value = "10000")]
    retain_rejected: RejectedLimit,

    /// What makes searches fast
    ///
    /// Answers are the same with both. It may be changed at each start.
    #[arg(
        long,
        env = "SEARCH_INDEX",
        ignore_case = true,
        default_value = "words"
    )]
    search_index: SearchIndex,

    /// How records of a protocol become events where its requests can say nothing: PROTOCOL?QUERY, as in
    /// syslog?event_id=hash; may be repeated, or separated by spaces
    #[arg(
        long,
        env = "INGEST",
        value_name = "PROTOCOL?QUERY",
        value_delimiter = ' '
    )]
    ingest: Vec<IngestSetting>,

    /// Lowest level of records that are logged
    #[arg(long, env = "LOG_LEVEL", value_name = "LEVEL", ignore_case = true)]
    #[arg(default_value = "info")]
    log_level: Level,

    /// How a record is written to standard error
    #[arg(
        long,
        env = "LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "text",
        ignore_case = true
    )]
    log_format: Format,

    /// What is logged of duplicates
    #[arg(
        long,
        env = "LOG_DUPLICATES",
        value_name = "WHAT",
        default_value = "each",
        ignore_case = true
    )]
    log_duplicates: LogDuplicates,

    /// Log a line for each request: peer, method, target, status, bytes and seconds
    #[arg(long, env = "ACCESS_LOG", value_parser = BoolishValueParser::new())]
    access_log: bool,

    /// File of access tokens, one line NAME SCOPES TOKEN each; without it every request is allowed
    ///
    /// Scopes are publish, read or publish,read. SIGHUP reads the file again.
    #[arg(long, env = "AUTH_TOKENS_FILE", value_name = "FILE")]
    auth_tokens_file: Option<PathBuf>,
}

/// The names of `log`'s levels.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Level {
    Off,
    Error,
    #[value(alias = "warning")]
    Warn,
    Info,
    Debug,
    Trace,
}

impl ServeArgs {
    /// The store that a front serves, where there is one.
    ///
    /// # Errors
    /// A sentence: what the arguments say is wrong.
    #[cfg(feature = "fleet")]
    pub(crate) fn store(&self) -> Result<Option<EngineUrl>, String> {
        self.store.engine()
    }

    /// The settings that these arguments and the defaults make.
    ///
    /// # Errors
    /// More addresses than [`limits::LISTENERS_MAX`], or keys that are kept for a shorter time than events.
    pub fn into_config(self) -> Result<Config, clap::Error> {
        let retention = Retention {
            events: self.retain_events,
            keys: self.retain_keys,
            rejected: self.retain_rejected,
        };
        if let (Some(Limit::Age(events)), Some(Limit::Age(keys))) =
            (retention.events, retention.keys)
        {
            if keys < events {
                let sentence =
                    "--retain-keys (RETAIN_KEYS) is shorter than --retain-events (RETAIN_EVENTS), \
                                but the key of a stored event is never forgotten\n";
                return Err(clap::Error::raw(ErrorKind::ValueValidation, sentence));
            }
        }
        let is_host_default =
            self.host.is_none() && (self.listen.is_empty() || self.port.is_some());
        let default_host = default_host(self.auth_tokens_file.is_some());
        let listen = addresses(self.host, self.port, self.listen, default_host);
        if listen.len() > limits::LISTENERS_MAX {
            let sentence = format!(
                "--listen names more than {} addresses\n",
                limits::LISTENERS_MAX
            );
            return Err(clap::Error::raw(ErrorKind::TooManyValues, sentence));
        }
        let mut sockets = socket_settings(self.syslog, SocketProtocol::Syslog)?;
        sockets.extend(socket_settings(self.forward, SocketProtocol::Forward)?);
        sockets.extend(socket_settings(self.gelf, SocketProtocol::Gelf)?);
        let settings = Settings {
            allowed_hosts: allowed_hosts(self.allowed_hosts, &listen),
            with_ipv6_loopback: is_host_default && self.auth_tokens_file.is_none(),
            listen,
            sockets,
            store: OpenOptions {
                path: self.database,
                durability: self.durability,
                dedup: self.dedup,
                filter_memory_bytes: self.filter_memory_bytes,
                fingerprint_bits: 128,
                triggers: false,
                retention,
                search_index: self.search_index,
            },
            app: app::Options {
                ring_capacity: self.ring_capacity,
                max_body_bytes: self.max_body_bytes,
                read_units: limits::READ_UNITS_PER_SLICE,
            },
            reactor: net::Options {
                max_connections: self.max_connections,
                max_body_bytes: self.max_body_bytes,
                max_buffered_bytes: self.max_buffered_bytes,
            },
            tokens_file: self.auth_tokens_file,
            ingest: self.ingest,
        };
        Ok(Config {
            log: LogSettings {
                level: self.log_level.into(),
                format: self.log_format,
                access_log: self.access_log,
                duplicates: self.log_duplicates,
            },
            settings,
        })
    }
}

/// Others than this machine's programs can connect by default only where tokens say who may do what.
fn default_host(has_tokens: bool) -> &'static str {
    match has_tokens {
        true => "0.0.0.0",
        false => "127.0.0.1",
    }
}

/// The names that `Host` may have, those of the addresses among them; none is any.
fn allowed_hosts(mut names: Vec<String>, listen: &[(Listen, &'static str)]) -> Option<Vec<String>> {
    if names.iter().any(|name| name == "*") {
        return None;
    }
    for (address, _) in listen {
        if let Listen::Tcp { host, .. } = address {
            names.extend(parse_allowed_host(host));
        }
    }
    Some(names)
}

/// The sockets of a protocol.
///
/// # Errors
/// More addresses than [`limits::LISTENERS_MAX`].
fn socket_settings(
    addresses: Vec<SocketAddress>,
    protocol: SocketProtocol,
) -> Result<Vec<SocketSetting>, clap::Error> {
    if addresses.len() > limits::LISTENERS_MAX {
        let flag = protocol.flag();
        let sentence = format!(
            "{flag} names more than {} addresses\n",
            limits::LISTENERS_MAX
        );
        return Err(clap::Error::raw(ErrorKind::TooManyValues, sentence));
    }
    let mut sockets: Vec<SocketSetting> = Vec::new();
    for address in addresses {
        let setting = SocketSetting { protocol, address };
        // Port 0 asks for another port each time.
        if !sockets.contains(&setting) || has_port_0(&setting.address) {
            sockets.push(setting);
        }
    }
    Ok(sockets)
}

fn has_port_0(address: &SocketAddress) -> bool {
    let (SocketAddress::Stream(listen) | SocketAddress::Datagrams(listen)) = address;
    matches!(listen, Listen::Tcp { port: 0, .. })
}

impl From<Level> for LevelFilter {
    fn from(level: Level) -> LevelFilter {
        match level {
            Level::Off => LevelFilter::Off,
            Level::Error => LevelFilter::Error,
            Level::Warn => LevelFilter::Warn,
            Level::Info => LevelFilter::Info,
            Level::Debug => LevelFilter::Debug,
            Level::Trace => LevelFilter::Trace,
        }
    }
}

/// A whole number from `least` to `most`.
fn whole(least: u64, most: u64) -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(least..=most)
}

/// Refuses the names to which SQLite, or a shell's user, gives a meaning other than that of a file.
pub fn check_database(path: PathBuf) -> Result<PathBuf, String> {
    let name = path.as_os_str().as_encoded_bytes();
    if name == b"-" {
        return Err(
            "a database cannot be standard input or output (./- is a file of this name)".to_owned(),
        );
    }
    if name.starts_with(b":") || name.starts_with(b"file:") {
        return Err(
            "the database must be an ordinary file (./NAME where the name begins like this)"
                .to_owned(),
        );
    }
    Ok(path)
}
