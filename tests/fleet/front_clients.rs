//! Real clients of shippers against a front, and an engine that goes away while they send. `.ci/shippers` installs the
//! clients; a test whose client is not there says that it was skipped.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::engine::{shared, url_at, Engine};
use crate::front::front;
use crate::front_engine::wait_until_healthy;
use crate::harness::{Address, Response, Server};
use crate::proxy::Proxy;
use crate::wait::wait_until;

const OTLP: &str = r#"
import os, time
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource

exporter = OTLPLogExporter(endpoint=f"http://{os.environ['SERVER']}/v1/logs", timeout=120)
provider = LoggerProvider(resource=Resource.create({"service.name": "web", "host.name": "host-1"}))
provider.add_log_record_processor(
    BatchLogRecordProcessor(exporter, max_export_batch_size=10, export_timeout_millis=120000))
logger = provider.get_logger("library", "1.0")
for n in range(100):
    logger.emit(LogRecord(timestamp=time.time_ns(), severity_number=SeverityNumber.INFO, severity_text="INFO",
        body=f"line {n}", attributes={"n": n, "log.record.uid": f"id-{n}"}))
provider.force_flush(120000)
provider.shutdown()
"#;

const ELASTICSEARCH: &str = r#"
import os, time
from elasticsearch import ApiError, Elasticsearch, TransportError, helpers

client = Elasticsearch("http://" + os.environ["SERVER"] + "/elasticsearch")
left = {f"id-{n}": {"_op_type": "create", "_index": "web", "_id": f"id-{n}",
        "_source": {"message": f"line {n}", "host": {"name": "host-1"}}} for n in range(100)}
while left:
    try:
        for ok, item in helpers.streaming_bulk(client, list(left.values()), chunk_size=10):
            assert ok, item
            del left[item["create"]["_id"]]
    except (ApiError, TransportError) as error:
        time.sleep(0.2)
"#;

/// A client in Python that sends a hundred records; none where it is not installed.
fn client(script: &str, server: &Server) -> Option<Command> {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/shippers");
    let folder = std::env::var_os("LOGAGG_SHIPPERS").map_or_else(default, PathBuf::from);
    if !folder.join("python.done").exists() {
        let _ = writeln!(
            io::stderr(),
            "SKIPPED a client in Python: it is not installed, see .ci/shippers"
        );
        return None;
    }
    let Address::Tcp(address) = server.address() else {
        panic!("the server listens on TCP");
    };
    let mut command = Command::new(folder.join("python/bin/python"));
    command
        .arg("-c")
        .arg(script)
        .env("SERVER", address.to_string());
    command.stdin(Stdio::null()).stderr(Stdio::null());
    Some(command)
}

fn assert_whole(engine: &Engine, database: &str) {
    let kept = "SELECT count(*), count(DISTINCT event_id), min(topic), max(topic), min(source), max(source) \
                FROM logagg.event_log";
    let whole = "100|100|web|web|host-1|host-1";
    assert_eq!(engine.sql(database, kept), whole, "{database}");
}

/// A hundred records arrive once, also where the engine is cut off and away for a while.
fn ships(database: &str, script: &str, route: &str) {
    let Some(engine) = shared() else {
        return;
    };
    engine.database(database);
    let proxy = Proxy::start(engine.address());
    let front = front(&url_at(&[proxy.address()], database));
    wait_until_healthy(&front);
    let Some(mut command) = client(script, &front) else {
        return;
    };
    assert!(command.status().unwrap().success());
    assert_whole(engine, database);
    engine.sql(
        database,
        "TRUNCATE logagg.topics, logagg.keys, logagg.events, logagg.batches",
    );
    proxy.refuse();
    wait_until("the front to notice", || front.get("/health").status == 503);
    let mut child = command.spawn().unwrap();
    // It is refused until the engine is back, and then cut in the middle.
    let count = format!("_count{{route=\"{route}\",status=\"5xx\"}} ");
    let is_refused = || {
        let metrics = front.get("/metrics").text();
        let (_, refused) = metrics.split_once(&count)?;
        Some(!refused.starts_with('0'))
    };
    wait_until("the client to be refused", || is_refused().unwrap_or(false));
    proxy.pass();
    wait_until("a part to be stored", || {
        let count = "SELECT count(*) > 0 FROM logagg.event_log";
        engine.sql(database, count) == "t"
    });
    proxy.cut();
    assert!(child.wait().unwrap().success());
    assert_whole(engine, database);
}

#[test]
fn the_exporter_of_opentelemetry_ships_to_a_front() {
    ships("clients_otlp", OTLP, "/v1/logs");
}

#[test]
fn the_client_of_elasticsearch_ships_to_a_front() {
    ships(
        "clients_elasticsearch",
        ELASTICSEARCH,
        "/elasticsearch/_bulk",
    );
}

/// A path, a header, a body, and whether an answer is the protocol's 503.
type Asked = (
    &'static str,
    &'static str,
    &'static str,
    fn(&Response) -> bool,
);

/// A request of each protocol with records that have identities.
const REQUESTS: [Asked; 6] = [
    (
        "/_bulk",
        "Content-Type: application/x-ndjson",
        "{\"create\":{\"_id\":\"1\"}}\n{\"n\":1}\n{\"create\":{\"_id\":\"2\"}}\n{\"n\":2}\n",
        |answer| answer.text().contains("unavailable_shards_exception"),
    ),
    (
        "/v1/logs?event_id=body",
        "Content-Type: application/json",
        r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[
        {"body":{"stringValue":"1"}},{"body":{"stringValue":"2"}}]}]}]}"#,
        |answer| answer.text().starts_with("{\"code\":14,"),
    ),
    (
        "/loki/api/v1/push",
        "Content-Type: application/json",
        r#"{"streams":[{"stream":{"app":"a"},"values":[["1767323045000000001","1"],["1767323045000000002","2"]]}]}"#,
        |answer| answer.text().starts_with("The engine"),
    ),
    (
        "/services/collector/event?event_id=event",
        "Authorization: Splunk any",
        r#"{"event":"1"}{"event":"2"}"#,
        |answer| answer.text().contains("\"code\":9"),
    ),
    (
        "/api/v2/logs?event_id=message",
        "Content-Type: application/json",
        r#"[{"message":"1"},{"message":"2"}]"#,
        |answer| answer.text().starts_with("{\"errors\":"),
    ),
    (
        "/upload",
        "Content-Type: application/vnd.fdo.journal",
        "__CURSOR=1\nMESSAGE=1\n\n__CURSOR=2\nMESSAGE=2\n\n",
        |answer| answer.text().starts_with("The engine"),
    ),
];

#[test]
fn while_the_engine_hangs_shippers_are_told_to_come_again() {
    let Some(engine) = shared() else {
        return;
    };
    engine.database("clients_hang");
    let proxy = Proxy::start(engine.address());
    let front = front(&url_at(&[proxy.address()], "clients_hang"));
    wait_until_healthy(&front);
    proxy.hang();
    let send = |(target, header, body, _): &Asked| {
        let mut client = front.client();
        client.send_request("POST", target, &[*header], body.as_bytes());
        client
    };
    let mut waiting: Vec<_> = REQUESTS.iter().map(send).collect();
    // What needs no engine is answered meanwhile, and what is no request of theirs.
    assert_eq!(front.get("/elasticsearch").status, 200);
    for (client, (target, _, _, is_503)) in waiting.iter_mut().zip(&REQUESTS) {
        let answer = client.response();
        assert_eq!(answer.status, 503, "{target}");
        assert!(answer.header("Retry-After").is_some(), "{target}");
        assert!(is_503(&answer), "{target} {answer:?}");
    }
    let part = "SELECT count(*) FROM (SELECT topic FROM logagg.event_log GROUP BY topic HAVING count(*) <> 2) t";
    assert_eq!(engine.sql("clients_hang", part), "0");
    proxy.pass();
    wait_until_healthy(&front);
    for _ in 0..2 {
        for (mut client, (target, ..)) in REQUESTS.iter().map(send).zip(&REQUESTS) {
            let answer = client.response();
            assert!(answer.status < 300, "{target} {answer:?}");
        }
    }
    assert_eq!(engine.sql("clients_hang", part), "0");
    let all = "SELECT count(*), count(DISTINCT topic) FROM logagg.event_log";
    assert_eq!(engine.sql("clients_hang", all), "12|6");
}
