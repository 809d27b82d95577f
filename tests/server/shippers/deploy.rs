//! The profile `shippers` of `compose.yaml`: its syslog-ng with `deploy/syslog-ng.conf`, and the file itself.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::net::{TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::syslog::{expect_lines, lines, syslog_ng};
use super::{Proxy, RECORDS};
use crate::harness::{fixed_address, Setup};
use crate::ingest::sockets::events;
use crate::report;
use crate::wait::wait_until;

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn replaced(config: &str, old: &str, new: &str) -> String {
    assert!(config.contains(old), "the file has {old}");
    config.replace(old, new)
}

/// As they come from devices: every second one in RFC 3164.
fn messages(from: usize) -> String {
    let lines = lines(from);
    let messages = lines
        .lines()
        .enumerate()
        .map(|(number, line)| match number % 2 {
            0 => format!("<14>1 - web-1 app 77 - - {line}\n"),
            _ => format!("<14>Jan  2 03:04:05 web-1 app[77]: {line}\n"),
        });
    messages.collect()
}

#[test]
fn syslog_ng_keeps_what_the_server_has_not_stored() {
    let server = Setup::new().start();
    let proxy = Proxy::start(&server);
    let folder = server.setup().directory().path().to_owned();
    let address = fixed_address();
    let config = fs::read_to_string(project().join("deploy/syslog-ng.conf")).unwrap();
    let config = replaced(
        &config,
        "http://logagg:8080",
        &format!("http://{}", proxy.address()),
    );
    let config = replaced(&config, "/var/lib/syslog-ng", &folder.display().to_string());
    let config = replaced(
        &config,
        "\"0.0.0.0\") port(5514)",
        &format!("\"{}\") port({})", address.ip(), address.port()),
    );
    let Some(_shipper) = syslog_ng(&folder, &config) else {
        return;
    };
    let mut device = None;
    wait_until("syslog-ng listens", || {
        device = TcpStream::connect(address).ok();
        device.is_some()
    });
    let mut device = device.expect("it has connected");
    // An answer that is lost: the batch is sent again.
    proxy.cut_answers(1);
    device.write_all(messages(0).as_bytes()).unwrap();
    wait_until("a repeated batch", || {
        server.json("/stats")["duplicate_dropped"].as_u64() > Some(0)
    });
    let stored = events(&server, RECORDS);
    expect_lines(&stored, "app");
    assert_eq!(
        (&stored[0]["source"], &stored[0]["payload"]["severity"]),
        (&"web-1".into(), &"info".into())
    );
    let setup = server.setup().clone();
    proxy.leave();
    server.kill();
    device.write_all(messages(RECORDS).as_bytes()).unwrap();
    wait_until("a try while the server is away", || proxy.refused() > 0);
    let server = setup.start();
    proxy.lead_to(&server);
    expect_lines(&events(&server, 2 * RECORDS), "app");
    // Over UDP, too.
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for line in messages(2 * RECORDS).lines() {
        socket.send_to(line.as_bytes(), address).unwrap();
    }
    expect_lines(&events(&server, 3 * RECORDS), "app");
    assert_eq!(server.json("/stats")["rejected"], 0);
}

/// `compose.yaml` as JSON, by Python's reader of YAML.
fn compose() -> Option<Value> {
    let script = "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))";
    let path = project().join("compose.yaml");
    let output = Command::new("python3")
        .args(["-c", script])
        .arg(path)
        .output();
    let text = output.ok().filter(|output| output.status.success());
    if text.is_none() {
        report::skipped("a look into compose.yaml", "Python's yaml is not installed");
    }
    serde_json::from_slice(&text?.stdout).ok()
}

/// A text with the values that its variables have where nobody sets them.
fn filled(text: &str) -> String {
    let mut parts = text.split("${");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (variable, rest) = part.split_once('}').unwrap();
        out += variable.split_once(":-").unwrap().1;
        out += rest;
    }
    out
}

#[test]
fn compose_names_only_what_is_there() {
    let Some(file) = compose() else {
        return;
    };
    let names =
        |member: &str| -> BTreeSet<&String> { file[member].as_object().unwrap().keys().collect() };
    let (services, volumes) = (names("services"), names("volumes"));
    let texts = |value: &Value| -> Vec<String> {
        let found = match value {
            Value::Array(elements) => elements
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
            Value::Object(members) => members.keys().cloned().collect(),
            _ => Vec::new(),
        };
        found
    };
    let mut profiles = BTreeSet::new();
    let mut ports = BTreeSet::new();
    for (name, service) in file["services"].as_object().unwrap() {
        profiles.extend(texts(&service["profiles"]));
        for other in texts(&service["depends_on"]) {
            assert!(services.contains(&other), "{name} depends on {other}");
        }
        for volume in texts(&service["volumes"]) {
            let volume = filled(&volume);
            let from = volume.split(':').next().unwrap();
            let is_there = match from.strip_prefix("./") {
                Some(path) => project().join(path).exists(),
                None => volumes.contains(&from.to_owned()),
            };
            assert!(is_there, "{name}: {volume}");
        }
        for secret in texts(&service["secrets"]) {
            // One that is not a file is copied into the container, which a read-only one does not let happen.
            assert!(
                file["secrets"][&secret]["file"].is_string(),
                "{name}: {secret}"
            );
        }
        assert_eq!(service["configs"], Value::Null, "{name}: nor is a config");
        for port in texts(&service["ports"]) {
            assert!(port.starts_with("127.0.0.1:"), "{name}: {port}");
            assert!(ports.insert(port.clone()), "{port} stands there twice");
        }
    }
    let expected = ["edge", "fleet", "monitoring", "shippers", "test"].map(str::to_owned);
    assert_eq!(profiles, BTreeSet::from(expected));
}
