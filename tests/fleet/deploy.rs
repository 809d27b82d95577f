//! The files in `deploy/` that are about a fleet: PostgreSQL's scripts and HAProxy's file run, the others name
//! only what is there.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::engine::{shared, Engine};
use crate::forwarder::{run, url_of, Forwarder};
use crate::front::front;
use crate::harness::{event, fixed_address, Server, Setup, TemporaryDirectory};
use crate::model::{check, events_of_node};
use crate::torture;
use crate::wait::wait_until;

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn skipped(what: &str, why: &str) {
    let _ = writeln!(io::stderr(), "SKIPPED {what}: {why}");
}

/// The documents of a file of YAML, by Python's reader.
fn documents(name: &str) -> Option<Vec<Value>> {
    let script = "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(sys.stdin))))";
    let mut python = Command::new("python3");
    python.args(["-c", script]);
    let child = python
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else {
        skipped(name, "Python is not installed");
        return None;
    };
    // It may end without having read all of it.
    let _ = child.stdin.take().unwrap().write_all(read(name).as_bytes());
    let output = child.wait_with_output().unwrap();
    if !output.status.success() {
        skipped(name, "Python's yaml is not installed");
        return None;
    }
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn the_scripts_make_a_primary_whose_commits_wait_for_its_standby() {
    let Some(mut primary) = Engine::start() else {
        return;
    };
    // As the image has it.
    primary.set_access("host all all all scram-sha-256\n");
    let password = primary.file("password", "it's \\a $secret\n");
    let password = password.to_str().unwrap();
    let variables = [("STORE_PASSWORD_FILE", password)];
    primary.run_script(&read("deploy/postgres/primary.sh"), &variables);
    primary.reload();
    let standby = primary.standby_of_script(&read("deploy/postgres/standby.sh"), &variables);
    wait_until("the standby to be synchronous", || {
        primary.sql("postgres", "SELECT sync_state FROM pg_stat_replication") == "sync"
    });
    let server = Server::start(&[]);
    let (first, second) = (primary.address(), standby.address());
    let to = format!("postgres://logagg@{first},{second}/logs?sslmode=disable");
    let flags = ["--to-password-file", password];
    let forwarder = Forwarder::start_with(server.address(), &to, &flags);
    let publish = |numbers: std::ops::Range<u32>| {
        let made = numbers.map(|number| event("t", &number.to_string()));
        server.publish(&made.collect::<Value>()).expect(200);
    };
    publish(0..50);
    forwarder.wait_for_position(50);
    check(&primary, "logs", &[events_of_node(&server)]);
    // What docs/FLEET.md says to do when the primary is lost.
    primary.kill();
    standby.promote();
    standby.sql("postgres", "ALTER SYSTEM RESET synchronous_standby_names");
    standby.reload();
    publish(50..60);
    forwarder.wait_for_position(60);
    check(&standby, "logs", &[events_of_node(&server)]);
    assert_eq!(forwarder.stop(), 0);
}

/// HAProxy while it runs.
struct Balancer {
    child: Child,
    _folder: TemporaryDirectory,
}

impl Balancer {
    /// Starts it with the file of `deploy/`; none, and it is said, where it is not installed.
    fn start(address: &str, servers: [&Server; 3]) -> Option<Balancer> {
        let mut config =
            read("deploy/haproxy.cfg").replace("bind :8080", &format!("bind {address}"));
        for (number, server) in servers.iter().enumerate() {
            let name = format!("front-{}:8080", number + 1);
            assert!(config.contains(&name), "{name}");
            let own = url_of(server.address());
            config = config.replace(&name, own.strip_prefix("http://").unwrap());
        }
        let folder = TemporaryDirectory::new();
        let path = folder.join("haproxy.cfg");
        fs::write(&path, config).unwrap();
        let mut haproxy = Command::new("haproxy");
        haproxy.arg("-db").arg("-f").arg(path);
        haproxy.stdout(Stdio::null()).stderr(Stdio::null());
        match haproxy.spawn() {
            Ok(child) => Some(Balancer {
                child,
                _folder: folder,
            }),
            Err(_) => {
                skipped("HAProxy's file", "HAProxy is not installed");
                None
            }
        }
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_balancer_goes_on_with_the_fronts_that_are_there() {
    let Some(engine) = shared() else {
        return;
    };
    let url = engine.database("balanced");
    let start = || {
        let setup = Setup::new().store(&url);
        setup.listen([fixed_address().to_string()]).start()
    };
    let servers = [start(), start(), start()];
    let address = fixed_address();
    let Some(_balancer) = Balancer::start(&address.to_string(), servers.each_ref()) else {
        return;
    };
    let mut taken = 0;
    let mut publish = || {
        taken += 1;
        let body = event("t", &taken.to_string()).to_string();
        // It needs a moment to find them, and to see that one has gone.
        wait_until("a front to take it", || {
            torture::publish(address, &body).is_ok_and(|is_taken| is_taken)
        });
        taken
    };
    let commits = |front: &Server| front.json("/stats")["batches"].as_u64().unwrap();
    let [first, second, third] = servers;
    wait_until("each of them to take some", || {
        publish();
        [&first, &second, &third]
            .iter()
            .all(|front| commits(front) > 0)
    });
    first.kill();
    for _ in 0..6 {
        publish();
    }
    second.kill();
    let before = commits(&third);
    let taken = publish();
    assert!(commits(&third) > before);
    let stored = engine.sql("balanced", "SELECT count(*) FROM logagg.event_log");
    assert_eq!(stored, taken.to_string());
}

/// The options that a command's help names.
fn options(command: &str) -> BTreeSet<String> {
    let (code, help, _) = run(&[command, "--help"]);
    assert_eq!(code, 0);
    help.split(|c: char| !c.is_ascii_lowercase() && c != '-')
        .filter(|word| word.starts_with("--") && word.len() > 2)
        .map(str::to_owned)
        .collect()
}

fn texts(value: &Value) -> Vec<&str> {
    let elements = value.as_array().map_or(&[][..], Vec::as_slice);
    elements.iter().filter_map(Value::as_str).collect()
}

/// Whether a command line names only what the program has.
fn expect_command(arguments: &[&str]) {
    let known = options(arguments[0]);
    for option in arguments.iter().filter(|word| word.starts_with("--")) {
        assert!(known.contains(*option), "{arguments:?}: {option}");
    }
    for url in arguments
        .iter()
        .filter(|word| word.starts_with("postgres://"))
    {
        // The password is in a file.
        assert!(url.contains("://logagg@"), "{url}");
    }
}

#[test]
fn the_commands_in_the_files_are_those_of_the_program() {
    let Some(compose) = documents("compose.yaml") else {
        return;
    };
    let services = compose[0]["services"].as_object().unwrap();
    let of_fleet = |service: &&Value| service["image"] == "logagg-fleet";
    let found: Vec<&Value> = services.values().filter(of_fleet).collect();
    assert_eq!(found.len(), 7);
    for service in found {
        match texts(&service["command"])[..] {
            // The image's own.
            [] => {}
            ref command => expect_command(command),
        }
    }
    assert!(read("Dockerfile").contains("--features \"$FEATURES\""));
    for document in documents("deploy/fleet.yaml").unwrap() {
        expect_pod(&document);
    }
}

/// Ports and volumes have the names under which they are asked for, and the checks are as the other file has them.
fn expect_pod(document: &Value) {
    let pod = &document["spec"]["template"]["spec"];
    let name = |value: &Value| value["name"].as_str().unwrap().to_owned();
    let elements = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut volumes: BTreeSet<String> = elements(&pod["volumes"]).iter().map(name).collect();
    let claims = elements(&document["spec"]["volumeClaimTemplates"]);
    volumes.extend(claims.iter().map(|claim| name(&claim["metadata"])));
    for container in elements(&pod["containers"]) {
        expect_command(&texts(&container["args"]));
        let ports: Vec<String> = elements(&container["ports"]).iter().map(name).collect();
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
            let port = &container[probe]["httpGet"]["port"];
            let is_there = port
                .as_str()
                .is_none_or(|port| ports.contains(&port.to_owned()));
            assert!(is_there, "{container}");
        }
        for mount in elements(&container["volumeMounts"]) {
            assert!(volumes.contains(&name(&mount)), "{mount}");
        }
        let args = texts(&container["args"]);
        let file = args.iter().find(|argument| argument.starts_with("/etc/"));
        let mounts = elements(&container["volumeMounts"]);
        let is_mounted = |file: &&str| {
            let path = |mount: &Value| mount["mountPath"].as_str().unwrap().to_owned();
            mounts.iter().any(|mount| file.starts_with(&path(mount)))
        };
        assert!(file.is_none_or(is_mounted), "{container}");
        let security = &container["securityContext"];
        assert_eq!(security["readOnlyRootFilesystem"], true);
        if args[0] == "serve" {
            assert_eq!(container["livenessProbe"]["httpGet"]["path"], "/");
            assert_eq!(container["readinessProbe"]["httpGet"]["path"], "/health");
        }
    }
}

/// The names with a prefix in a text.
fn names_in(text: &str, prefix: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with(prefix))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_metrics_in_the_files_are_those_of_the_programs() {
    let Some(engine) = shared() else {
        return;
    };
    let to = engine.database("metrics_of_files");
    let server = Server::start(&[]);
    let forwarder = Forwarder::start(server.address(), &to);
    let exist = names_in(&forwarder.page("/metrics"), "logagg_forward_");
    let dashboard = names_in(&read("deploy/fleet-dashboard.json"), "logagg_forward_");
    assert_eq!(dashboard, exist, "all of them are shown");
    for file in ["deploy/fleet-alerts.yml", "deploy/fleet-alerts.test.yml"] {
        let named = names_in(&read(file), "logagg_forward_");
        assert!(
            named.len() > 2 && named.is_subset(&exist),
            "{file}: {named:?}"
        );
    }
    let page = names_in(&read("docs/FLEET.md"), "logagg_forward_");
    assert_eq!(page, exist, "docs/FLEET.md");
    assert_eq!(forwarder.stop(), 0);
    let pages = [&server, &front(&to)].map(|server| server.get("/metrics").text());
    let exist = names_in(&pages.concat(), "log_aggregator_");
    for file in [
        "fleet-dashboard.json",
        "fleet-alerts.yml",
        "fleet-alerts.test.yml",
    ] {
        let named = names_in(&read(&format!("deploy/{file}")), "log_aggregator_");
        assert!(
            named.len() > 2 && named.is_subset(&exist),
            "{file}: {named:?}"
        );
    }
}
