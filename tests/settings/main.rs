//! The settings of `serve`: flags, environment variables and defaults, and what is said of wrong ones.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod refused;

use std::env;
use std::ffi::OsString;
use std::process::{Command as Process, Output, Stdio};
use std::sync::{Mutex, PoisonError};

use log::LevelFilter;
use logagg::app;
use logagg::cli::{self, Command};
use logagg::config::Config;
use logagg::limits;
use logagg::logging::{Format, LogDuplicates, LogSettings};
use logagg::net::{self, Listen, Settings};
use logagg::store::{Durability, Limit, OpenOptions, Retention, SearchIndex};

const VARIABLES: [&str; 24] = [
    "HOST",
    "ALLOWED_HOSTS",
    "PORT",
    "LISTEN",
    "DATABASE_PATH",
    "DURABILITY",
    "DEDUP",
    "FILTER_MEMORY_BYTES",
    "RING_CAPACITY",
    "MAX_BODY_BYTES",
    "MAX_CONNECTIONS",
    "MAX_BUFFERED_BYTES",
    "RETAIN_EVENTS",
    "RETAIN_KEYS",
    "SEARCH_INDEX",
    "INGEST",
    "SYSLOG_LISTEN",
    "FORWARD_LISTEN",
    "GELF_LISTEN",
    "LOG_LEVEL",
    "LOG_FORMAT",
    "LOG_DUPLICATES",
    "ACCESS_LOG",
    "AUTH_TOKENS_FILE",
];

/// Reads settings in this process. Its environment is one for all tests, hence the lock.
fn config(variables: &[(&str, &str)], flags: &[&str]) -> Config {
    static ENVIRONMENT: Mutex<()> = Mutex::new(());
    let _guard = ENVIRONMENT.lock().unwrap_or_else(PoisonError::into_inner);
    for name in VARIABLES {
        env::remove_var(name);
    }
    for (name, value) in variables {
        env::set_var(name, value);
    }
    let arguments = ["logagg", "serve"].iter().chain(flags).map(OsString::from);
    let arguments: Vec<OsString> = arguments.collect();
    let parsed = cli::parse(&arguments).expect("these settings are legal");
    let Command::Serve(serve) = parsed else {
        panic!("serve was asked for");
    };
    serve.into_config().expect("these settings are legal")
}

/// Runs the program, which is expected to end at once.
fn run(variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut process = Process::new(env!("CARGO_BIN_EXE_logagg"));
    for name in VARIABLES {
        process.env_remove(name);
    }
    process
        .args(arguments)
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// The addresses without the flags that name them.
fn addresses(config: Config) -> Vec<Listen> {
    let listen = config.settings.listen.into_iter();
    listen.map(|(address, _)| address).collect()
}

fn tcp(host: &str, port: u16) -> Listen {
    Listen::Tcp {
        host: host.to_owned(),
        port,
    }
}

#[test]
fn defaults_are_the_documented_ones() {
    let expected = Config {
        log: LogSettings {
            level: LevelFilter::Info,
            format: Format::Text,
            access_log: false,
            duplicates: LogDuplicates::Each,
        },
        settings: Settings {
            listen: vec![(tcp("127.0.0.1", 8080), "--host")],
            with_ipv6_loopback: true,
            allowed_hosts: Some(vec!["127.0.0.1".to_owned()]),
            sockets: Vec::new(),
            store: OpenOptions {
                path: "data/dedup.db".into(),
                durability: Durability::Full,
                dedup: None,
                filter_memory_bytes: 256 << 20,
                fingerprint_bits: 128,
                triggers: false,
                retention: Retention::default(),
                search_index: SearchIndex::default(),
            },
            app: app::Options {
                ring_capacity: 10_000,
                max_body_bytes: 16 << 20,
                read_units: limits::READ_UNITS_PER_SLICE,
            },
            reactor: net::Options {
                max_connections: 10_000,
                max_body_bytes: 16 << 20,
                max_buffered_bytes: 128 << 20,
            },
            tokens_file: None,
            ingest: Vec::new(),
        },
    };
    assert_eq!(config(&[], &[]), expected);
    let empty: Vec<_> = VARIABLES.iter().map(|name| (*name, "")).collect();
    assert_eq!(
        config(&empty, &[]),
        expected,
        "an empty variable counts as not set"
    );
}

#[test]
fn a_flag_beats_a_variable_and_a_variable_beats_the_default() {
    let variables = [
        ("PORT", "9001"),
        ("DURABILITY", "normal"),
        ("LOG_LEVEL", "DEBUG"),
    ];
    let set = config(&variables, &["--port", "9002", "--log-format", "json"]);
    assert_eq!(set.settings.listen, [(tcp("127.0.0.1", 9002), "--host")]);
    assert_eq!(set.settings.store.durability, Durability::Normal);
    assert_eq!(set.log.level, LevelFilter::Debug);
    assert_eq!(set.log.format, Format::Json);
    // The variable is not even looked at where the flag is there.
    assert_eq!(
        addresses(config(&[("PORT", "x")], &["--port=9003"])),
        [tcp("127.0.0.1", 9003)]
    );
}

#[test]
fn the_access_log_is_a_switch() {
    let logs = |value, flags: &[&str]| config(&[("ACCESS_LOG", value)], flags).log.access_log;
    assert!(logs("true", &[]) && logs("1", &[]) && logs("TRUE", &[]));
    assert!(!logs("false", &[]) && !logs("0", &[]) && !logs("", &[]));
    assert!(logs("false", &["--access-log"]));
    let refused = run(&[("ACCESS_LOG", "maybe")], &["serve"]);
    assert_eq!(refused.status.code(), Some(2));
    let sentence = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(sentence.contains("--access-log"), "{sentence}");
    assert!(sentence.contains("variable ACCESS_LOG"), "{sentence}");
}

#[test]
fn the_tokens_file_is_a_path() {
    let variables = [("AUTH_TOKENS_FILE", "a/b c")];
    let named = |flags: &[&str]| config(&variables, flags).settings.tokens_file;
    assert_eq!(named(&[]), Some("a/b c".into()));
    assert_eq!(named(&["--auth-tokens-file", "d"]), Some("d".into()));
}

#[test]
fn what_is_retained_is_an_age_or_a_size() {
    let second = 1_000_000;
    for (text, limit) in [
        ("1s", Limit::Age(second)),
        ("90m", Limit::Age(5_400 * second)),
        ("36h", Limit::Age(129_600 * second)),
        ("007d", Limit::Age(7 * 86_400 * second)),
        ("8MB", Limit::Size(8_000_000)),
        ("50GB", Limit::Size(50_000_000_000)),
    ] {
        let set = |name| config(&[(name, text)], &[]).settings.store.retention;
        let events = Retention {
            events: Some(limit),
            keys: None,
            ..Retention::default()
        };
        assert_eq!(set("RETAIN_EVENTS"), events, "{text}");
        let keys = Retention {
            events: None,
            keys: Some(limit),
            ..Retention::default()
        };
        assert_eq!(set("RETAIN_KEYS"), keys, "{text}");
    }
}

#[test]
fn keys_are_not_kept_for_a_shorter_time_than_events() {
    for legal in [
        ["7d", "7d"],
        ["7d", "168h"],
        ["7d", "1GB"],
        ["50GB", "1s"],
        ["50GB", "1MB"],
    ] {
        config(
            &[],
            &["--retain-events", legal[0], "--retain-keys", legal[1]],
        );
    }
    let variables = [("RETAIN_EVENTS", "7d"), ("RETAIN_KEYS", "167h")];
    for (variables, flags) in [
        (&variables[..], &["serve"][..]),
        (
            &[],
            &["serve", "--retain-events", "2m", "--retain-keys=119s"],
        ),
    ] {
        let output = run(variables, flags);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            said.contains("--retain-keys (RETAIN_KEYS) is shorter"),
            "{said}"
        );
    }
}

#[test]
fn listen_replaces_host_and_port_unless_they_are_set() {
    let unix = || Listen::Unix("/run/l.sock".into());
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str], Vec<Listen>);
    let cases: [Case; 9] = [
        (&[], &["--listen", "unix:/run/l.sock"], vec![unix()]),
        (
            &[],
            &["--listen", "unix:/run/l.sock", "--listen", "[::1]:81"],
            vec![unix(), tcp("::1", 81)],
        ),
        (
            &[("LISTEN", "unix:/run/l.sock, localhost:81")],
            &[],
            vec![unix(), tcp("localhost", 81)],
        ),
        (
            &[],
            &["--listen", "unix:/run/l.sock", "--port", "82"],
            vec![tcp("127.0.0.1", 82), unix()],
        ),
        (
            &[("HOST", "127.0.0.1")],
            &["--listen", "unix:/run/l.sock"],
            vec![tcp("127.0.0.1", 8080), unix()],
        ),
        (
            &[("LISTEN", "a:1")],
            &["--listen", "b:2"],
            vec![tcp("b", 2)],
        ),
        (
            &[],
            &["--port", "1", "--listen", "127.0.0.1:1"],
            vec![tcp("127.0.0.1", 1)],
        ),
        (
            &[],
            &["--listen", "a:0,a:0"],
            vec![tcp("a", 0), tcp("a", 0)],
        ),
        (&[("PORT", "")], &["--listen", "a:1"], vec![tcp("a", 1)]),
    ];
    for (variables, flags, expected) in cases {
        assert_eq!(
            addresses(config(variables, flags)),
            expected,
            "{variables:?} {flags:?}"
        );
    }
}

#[test]
fn others_can_connect_by_default_only_where_there_are_tokens() {
    let tokens = ["--auth-tokens-file", "tokens"];
    let settings = |flags: &[&str]| config(&[], flags).settings;
    let open = settings(&tokens);
    assert_eq!(open.listen, [(tcp("0.0.0.0", 8080), "--host")]);
    assert!(!open.with_ipv6_loopback);
    assert!(settings(&["--port", "1", "--listen", "a:1"]).with_ipv6_loopback);
    for named in [
        &["--host", "localhost"][..],
        &["--listen", "127.0.0.1:8080"],
        &["--host", "127.0.0.1", "--port", "1"],
    ] {
        assert!(!settings(named).with_ipv6_loopback, "{named:?}");
    }
}

#[test]
fn names_of_hosts_are_those_that_are_given_and_those_of_the_addresses() {
    let names = |flags: &[&str]| config(&[], flags).settings.allowed_hosts;
    let listen = ["--listen", "A:1,unix:/s"];
    let given = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    assert_eq!(names(&listen), given(&["a"]));
    let both = ["--allowed-hosts", "Logs.Example., b", "--host", "c"];
    assert_eq!(names(&both), given(&["logs.example", "b", "c"]));
    assert_eq!(names(&["--allowed-hosts", "a,*"]), None);
    let variables = [("ALLOWED_HOSTS", "x,y")];
    let settings = config(&variables, &listen).settings;
    assert_eq!(settings.allowed_hosts, given(&["x", "y", "a"]));
}

#[test]
fn ipv6_hosts_are_taken_with_and_without_brackets() {
    for (host, kept) in [
        ("::", "::"),
        ("[::1]", "::1"),
        ("fe80::1%eth0", "fe80::1%eth0"),
    ] {
        let listen = addresses(config(&[], &["--host", host]));
        assert_eq!(listen, [tcp(kept, 8080)]);
        assert_eq!(listen[0].to_string(), format!("[{kept}]:8080"));
    }
    assert_eq!(
        Listen::Unix("/run/l.sock".into()).to_string(),
        "unix:/run/l.sock"
    );
    assert_eq!(tcp("localhost", 1).to_string(), "localhost:1");
}

#[test]
fn numbers_are_taken_up_to_their_bounds() {
    for (flag, values) in [
        ("--ring-capacity", ["1", "1000000"]),
        ("--max-body-bytes", ["1024", "1073741824"]),
        ("--max-connections", ["1", "1000000"]),
        ("--max-buffered-bytes", ["1048576", "1099511627776"]),
        ("--port", ["0", "65535"]),
    ] {
        for value in values {
            config(&[], &[flag, value]);
        }
    }
}
