//! The files in `deploy/` that have to do with metrics: they name only what is there, and Prometheus takes
//! them.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use super::{metrics, promtool};
use crate::harness::{event, Server, TemporaryDirectory};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("deploy")
}

fn read(name: &str) -> String {
    fs::read_to_string(folder().join(name)).unwrap()
}

/// The names of metrics in a text.
fn names_in(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("log_aggregator_") || word.starts_with("process_"))
        .map(str::to_owned)
        .collect()
}

/// All members `expr` of a dashboard, and the query of its variable.
fn expressions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                match (name.as_str(), value) {
                    ("expr", Value::String(expression)) => found.push(expression.clone()),
                    _ => expressions(value, found),
                }
            }
        }
        Value::Array(elements) => elements.iter().for_each(|value| expressions(value, found)),
        _ => {}
    }
}

/// That of a server, and that of a fleet.
const DASHBOARDS: [&str; 2] = ["grafana-dashboard.json", "fleet-dashboard.json"];

fn dashboard(file: &str) -> (Value, Vec<String>) {
    let dashboard = serde_json::from_str(&read(file)).unwrap();
    let mut found = Vec::new();
    expressions(&dashboard, &mut found);
    assert!(found.len() > 15, "{file}");
    (dashboard, found)
}

#[test]
fn the_files_name_only_metrics_that_exist() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.publish(event("t", "1").to_string()).expect(200);
    let exist = metrics(&mut client).names();
    for file in ["grafana-dashboard.json", "alerts.yml", "alerts.test.yml"] {
        let named = names_in(&read(file));
        assert!(named.len() > 4, "{file}");
        let unknown: Vec<_> = named.difference(&exist).collect();
        assert!(unknown.is_empty(), "{file}: {unknown:?}");
    }
    // And everything that is counted can be seen.
    let shown = names_in(&dashboard(DASHBOARDS[0]).1.join("\n"));
    let hidden: Vec<_> = exist
        .iter()
        .filter(|name| {
            let family = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|part| name.strip_suffix(part))
                .unwrap_or(name);
            !shown.iter().any(|shown| shown.starts_with(family))
        })
        .collect();
    // An alert tells of damaged pages.
    let kept = [
        "log_aggregator_build_info",
        "log_aggregator_damaged_pages",
        "log_aggregator_damaged_pages_found_total",
        "log_aggregator_datagrams_dropped_total",
        "log_aggregator_first_seq",
        "log_aggregator_last_seq",
        "log_aggregator_queue_capacity",
        "log_aggregator_queue_size",
        "log_aggregator_search_index",
        "log_aggregator_search_index_bytes",
        "log_aggregator_search_index_through",
        "log_aggregator_search_seqs_skipped_total",
        "log_aggregator_uptime_seconds",
    ];
    assert_eq!(hidden, kept);
}

#[test]
fn panels_have_ids_and_places_of_their_own() {
    for file in DASHBOARDS {
        have_places_of_their_own(&dashboard(file).0);
    }
}

fn have_places_of_their_own(dashboard: &Value) {
    let panels = dashboard["panels"].as_array().unwrap();
    let mut ids = BTreeSet::new();
    let mut cells = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
        assert!(!panel["title"].as_str().unwrap().is_empty());
        let at = |name: &str| panel["gridPos"][name].as_u64().unwrap();
        assert!(at("x") + at("w") <= 24, "{panel}");
        for x in at("x")..at("x") + at("w") {
            for y in at("y")..at("y") + at("h") {
                assert!(cells.insert((x, y)), "{panel} overlaps");
            }
        }
    }
}

#[test]
fn promtool_takes_the_files() {
    promtool::check(&folder(), &["check", "config", "prometheus.yml"], "");
    for alerts in ["alerts", "fleet-alerts"] {
        promtool::check(&folder(), &["check", "rules", &format!("{alerts}.yml")], "");
        promtool::check(
            &folder(),
            &["test", "rules", &format!("{alerts}.test.yml")],
            "",
        );
    }
    // The dashboards' expressions as rules, with what Grafana puts in place of its variables.
    let rules: Vec<Value> = DASHBOARDS
        .iter()
        .flat_map(|file| dashboard(file).1)
        .enumerate()
        .map(|(n, expression)| {
            let expression = expression
                .replace("$__rate_interval", "1m")
                .replace("$instance", ".*")
                .replace("$node", ".*");
            serde_json::json!({"record": format!("panel:{n}"), "expr": expression})
        })
        .collect();
    let file = serde_json::json!({"groups": [{"name": "dashboard", "rules": rules}]});
    let directory = TemporaryDirectory::new();
    // JSON is YAML.
    fs::write(directory.join("rules.yml"), file.to_string()).unwrap();
    promtool::check(directory.path(), &["check", "rules", "rules.yml"], "");
}

#[test]
fn promtool_takes_the_page() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.publish(event("t", "1").to_string()).expect(200);
    client.get("/nothing");
    let page = client.get("/metrics").text();
    promtool::check(&folder(), &["check", "metrics"], &page);
}
