//! syslog from `logger`, rsyslog and syslog-ng.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::{debian, debian_root, RECORDS};
use crate::harness::{fixed_address, Server, Setup, TemporaryDirectory};
use crate::ingest::sockets::{
    self, address, address_of, events, lock, members, unix_path, wait_until_unhealthy,
};
use crate::wait::wait_until;

/// A program that runs, and is killed when this value goes.
pub struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Running {
        let command = command.stdin(Stdio::null()).stdout(Stdio::null());
        let command = command.stderr(Stdio::null());
        Running(command.spawn().expect("the program can be started"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only where the process has been waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start() -> Server {
    let addresses = ["udp:127.0.0.1:0", "tcp:127.0.0.1:0", "unix:FOLDER/log"];
    sockets::start(Setup::new(), "--syslog", &addresses)
}

pub fn lines(from: usize) -> String {
    (from..from + RECORDS)
        .map(|number| format!("line {number}\n"))
        .collect()
}

/// All lines have arrived, in some order, with this topic.
pub fn expect_lines(events: &[Value], topic: &str) {
    let mut found = members(events, "message");
    found.sort_by_key(|line| line["line ".len()..].parse::<usize>().unwrap());
    let expected: Vec<_> = (0..events.len())
        .map(|number| format!("line {number}"))
        .collect();
    assert_eq!(found, expected);
    assert!(
        events.iter().all(|event| event["topic"] == topic),
        "{:?}",
        events[0]
    );
}

/// Runs `logger` once with all lines on its standard input.
fn logger(mut command: Command, arguments: &[&str]) {
    let folder = TemporaryDirectory::new();
    let input = folder.join("lines");
    fs::write(&input, lines(0)).unwrap();
    let file = fs::File::open(input).unwrap();
    let command = command.args(arguments).args(["--tag", "app", "--id=77"]);
    let output = command.stdin(Stdio::from(file)).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn logger_sends_in_all_its_ways() {
    for (transport, options) in [
        ("tcp", &["--tcp"][..]),
        ("tcp", &["--tcp", "--octet-count", "--rfc3164"]),
        ("udp", &["--udp", "--rfc5424"]),
        ("udp", &["--udp", "--rfc3164"]),
        ("unix", &[]),
    ] {
        let Some(command) = debian("usr/bin/logger") else {
            return;
        };
        let server = start();
        let target = match transport {
            "unix" => vec![
                "--socket".to_owned(),
                unix_path(&server).display().to_string(),
            ],
            _ => {
                let port = address(&server, transport).port().to_string();
                ["--server", "127.0.0.1", "--port", &port]
                    .map(str::to_owned)
                    .to_vec()
            }
        };
        let arguments: Vec<&str> = target
            .iter()
            .map(String::as_str)
            .chain(options.iter().copied())
            .collect();
        logger(command, &arguments);
        let events = events(&server, RECORDS);
        expect_lines(&events, "app");
        let payload = &events[0]["payload"];
        assert_eq!(payload["procid"], "77", "{options:?}: {payload}");
        assert_eq!(
            (&payload["facility"], &payload["severity"]),
            (&1.into(), &5.into())
        );
        let host = rustix::system::uname()
            .nodename()
            .to_str()
            .unwrap()
            .to_owned();
        assert_eq!(events[0]["source"], host, "{options:?}");
    }
}

/// rsyslog, which reads `in.log` in the folder and forwards it by this action.
fn rsyslog(folder: &Path, action: &str) -> Option<Running> {
    Some(Running::start(&mut rsyslog_command(folder, action)?))
}

fn rsyslog_command(folder: &Path, action: &str) -> Option<Command> {
    let mut command = debian("usr/sbin/rsyslogd")?;
    let path = folder.display();
    let config = format!(
        r#"module(load="imfile")
global(workDirectory="{path}")
input(type="imfile" file="{path}/in.log" tag="app:")
action({action} action.resumeRetryCount="-1" action.resumeInterval="1" queue.type="LinkedList")
"#
    );
    fs::write(folder.join("rsyslog.conf"), config).unwrap();
    command.args(["-n", "-f"]).arg(folder.join("rsyslog.conf"));
    command.arg("-i").arg(folder.join("rsyslog.pid"));
    let modules = debian_root().join("usr/lib/x86_64-linux-gnu/rsyslog");
    if modules.exists() {
        command.arg("-M").arg(modules);
    }
    Some(command)
}

fn forward(server: &Server, transport: &str, more: &str) -> String {
    let address = address(server, transport);
    let (target, port) = (address.ip(), address.port());
    format!(r#"type="omfwd" target="{target}" port="{port}" protocol="{transport}" {more}"#)
}

#[test]
fn rsyslog_forwards_in_all_its_ways() {
    for (transport, options) in [
        (
            "tcp",
            r#"template="RSYSLOG_SyslogProtocol23Format" tcp_framing="octet-counted""#,
        ),
        ("tcp", r#"template="RSYSLOG_TraditionalForwardFormat""#),
        ("tcp", r#"template="RSYSLOG_ForwardFormat""#),
        ("udp", r#"template="RSYSLOG_SyslogProtocol23Format""#),
    ] {
        let server = start();
        let folder = server.setup().directory().path().to_owned();
        fs::write(folder.join("in.log"), lines(0)).unwrap();
        let Some(_shipper) = rsyslog(&folder, &forward(&server, transport, options)) else {
            return;
        };
        expect_lines(&events(&server, RECORDS), "app");
    }
}

/// What rsyslog has sent and knows to be sent is lost with a server that is killed: syslog has no acknowledgements. So
/// this kills it between two batches.
#[test]
fn rsyslog_goes_on_after_the_server_was_away() {
    let setup = Setup::new();
    let tcp = format!("tcp:{}", fixed_address());
    let server = sockets::start(setup, "--syslog", &[&tcp]);
    let folder = server.setup().directory().path().to_owned();
    fs::write(folder.join("in.log"), lines(0)).unwrap();
    let options = r#"template="RSYSLOG_SyslogProtocol23Format" keepalive="on""#;
    let Some(_shipper) = rsyslog(&folder, &forward(&server, "tcp", options)) else {
        return;
    };
    expect_lines(&events(&server, RECORDS), "app");
    // The store is away for a while: what arrives waits.
    let other = lock(&server);
    append(&folder, &lines(RECORDS));
    wait_until_unhealthy(&server);
    other.execute_batch("ROLLBACK").unwrap();
    expect_lines(&events(&server, 2 * RECORDS), "app");
    let setup = server.setup().clone();
    server.stop();
    let server = setup.start();
    server.log().wait_for(1, "taking ");
    append(&folder, &lines(2 * RECORDS));
    // It may lose a line, the first that it writes to a connection that is over.
    wait_until("the third batch", || {
        let stored = server.json("/stats")["unique_processed"].as_u64().unwrap();
        stored as usize >= 3 * RECORDS - 1
    });
}

fn append(folder: &Path, text: &str) {
    use std::io::Write;
    let file = fs::OpenOptions::new()
        .append(true)
        .open(folder.join("in.log"));
    file.unwrap().write_all(text.as_bytes()).unwrap();
}

/// syslog-ng, which keeps its state in the folder.
pub fn syslog_ng(folder: &Path, config: &str) -> Option<Running> {
    Some(Running::start(&mut syslog_ng_command(folder, config)?))
}

fn syslog_ng_command(folder: &Path, config: &str) -> Option<Command> {
    let mut command = debian("usr/sbin/syslog-ng")?;
    fs::write(folder.join("ng.conf"), config).unwrap();
    command
        .args(["-F", "--no-caps", "-f"])
        .arg(folder.join("ng.conf"));
    for (option, name) in [("-R", "ng.persist"), ("-c", "ng.ctl"), ("-p", "ng.pid")] {
        command.arg(option).arg(folder.join(name));
    }
    let modules = debian_root().join("usr/lib/syslog-ng/3.38");
    if modules.exists() {
        command.arg("--module-path").arg(modules);
    }
    Some(command)
}

/// rsyslog with all lines, which it sends octet-counted over TCP.
pub fn omfwd(server: &Server, folder: &TemporaryDirectory) -> Option<Command> {
    fs::write(folder.join("in.log"), lines(0)).unwrap();
    let port = address_of(server, "syslog", "tcp").port();
    let action = format!(
        r#"type="omfwd" target="127.0.0.1" port="{port}" protocol="tcp" tcp_framing="octet-counted"
        template="RSYSLOG_SyslogProtocol23Format""#
    );
    rsyslog_command(folder.path(), &action)
}

/// syslog-ng with all lines, which it sends over TCP.
pub fn driver(server: &Server, folder: &TemporaryDirectory) -> Option<Command> {
    fs::write(folder.join("in.log"), lines(0)).unwrap();
    let port = address_of(server, "syslog", "tcp").port();
    let config = to_syslog_ng("syslog", "tcp", port, folder.path());
    syslog_ng_command(folder.path(), &config)
}

/// Sends the lines of `in.log` in a folder.
fn to_syslog_ng(driver: &str, transport: &str, port: u16, folder: &Path) -> String {
    let path = folder.display();
    format!(
        r#"@version: 3.38
source s {{ file("{path}/in.log" follow-freq(1) flags(no-parse) program-override("app")); }};
destination d {{ {driver}("127.0.0.1" port({port}) transport("{transport}")); }};
log {{ source(s); destination(d); }};
"#
    )
}

#[test]
fn syslog_ng_forwards_in_all_its_ways() {
    for (driver, transport) in [
        ("network", "tcp"),
        ("syslog", "tcp"),
        ("network", "udp"),
        ("syslog", "udp"),
    ] {
        let server = start();
        let directory = server.setup().directory().path().to_owned();
        let port = address(&server, transport).port();
        fs::write(directory.join("in.log"), lines(0)).unwrap();
        let config = to_syslog_ng(driver, transport, port, &directory);
        let Some(_shipper) = syslog_ng(&directory, &config) else {
            return;
        };
        expect_lines(&events(&server, RECORDS), "app");
    }
}
