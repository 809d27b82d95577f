//! The OpenTelemetry SDKs for Python (protobuf) and JavaScript (protobuf and JSON). Each record has an attribute
//! `log.record.uid`, as code that wants a retry to be stored once gives it.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};

use super::{node, python, run, Proxy, RECORDS};
use crate::harness::Server;
use crate::ingest::stored;
use crate::wait::wait_until;

const PYTHON: &str = r#"
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
for n in range(int(os.environ["RECORDS"])):
    logger.emit(LogRecord(timestamp=time.time_ns(), severity_number=SeverityNumber.INFO, severity_text="INFO",
        body=f"line {n}", attributes={"n": n, "log.record.uid": f"uid-{n}"}))
provider.force_flush(120000)
provider.shutdown()
"#;

const NODE: &str = r#"
const { LoggerProvider, BatchLogRecordProcessor } = require("@opentelemetry/sdk-logs");
const { OTLPLogExporter } = require("@opentelemetry/exporter-logs-otlp-" + process.env.ENCODING);
const { resourceFromAttributes } = require("@opentelemetry/resources");
const { SeverityNumber } = require("@opentelemetry/api-logs");

const exporter = new OTLPLogExporter({ url: `http://${process.env.SERVER}/v1/logs`, timeoutMillis: 120000 });
const provider = new LoggerProvider({
  resource: resourceFromAttributes({ "service.name": "web", "host.name": "host-1" }),
  processors: [new BatchLogRecordProcessor({
    exporter, maxExportBatchSize: 10, exportTimeoutMillis: 120000, scheduledDelayMillis: 10 })],
});
const logger = provider.getLogger("library", "1.0");
for (let n = 0; n < Number(process.env.RECORDS); n++) {
  logger.emit({ severityNumber: SeverityNumber.INFO, severityText: "INFO", body: `line ${n}`,
    attributes: { n, "log.record.uid": `uid-${n}` } });
}
provider.forceFlush().then(() => provider.shutdown());
"#;

/// A way to make a client that sends [`RECORDS`] records, ten at a time; none if it is not installed.
type Client = fn() -> Option<Command>;

const CLIENTS: [Client; 3] = [|| python(PYTHON), || encoding("proto"), || encoding("http")];

fn encoding(name: &str) -> Option<Command> {
    let mut command = node(NODE)?;
    command.env("ENCODING", name);
    Some(command)
}

/// One of the clients, set to send to this proxy; none where it is not installed.
pub fn client(number: usize, proxy: &Proxy) -> Option<Command> {
    let mut command = CLIENTS[number]()?;
    command.env("SERVER", proxy.address());
    command.env("RECORDS", RECORDS.to_string());
    command.stdin(Stdio::null());
    Some(command)
}

/// Those that are installed.
fn clients(proxy: &Proxy) -> impl Iterator<Item = Command> + '_ {
    (0..CLIENTS.len()).filter_map(|number| client(number, proxy))
}

/// Each record is there once, and whole.
fn assert_whole(server: &Server) {
    let events = stored(server);
    assert_eq!(events.len(), RECORDS);
    let mut ids = BTreeSet::new();
    for event in &events {
        assert_eq!(
            (&event["topic"], &event["source"]),
            (&"web".into(), &"host-1".into())
        );
        let payload = &event["payload"];
        let n = payload["attributes"]["n"].as_u64().unwrap();
        assert_eq!(payload["body"], format!("line {n}"));
        assert_eq!(event["event_id"], format!("uid-{n}"));
        assert_eq!(payload["severityText"], "INFO");
        assert_eq!(payload["severityNumber"], 9);
        assert_eq!(payload["scope"]["name"], "library");
        assert_eq!(payload["resource"]["service.name"], "web");
        assert_eq!(
            event["timestamp"].as_str().unwrap().len(),
            "2026-01-02T03:04:05.123456789Z".len()
        );
        ids.insert(n);
    }
    assert_eq!(ids.len(), RECORDS);
}

#[test]
fn a_hundred_records_arrive_whole() {
    let server = Server::start(&[]);
    let proxy = Proxy::start(&server);
    let mut server = Some(server);
    for client in clients(&proxy) {
        run(client);
        assert_whole(server.as_ref().unwrap());
        server = Some(Server::start(&[]));
        proxy.lead_to(server.as_ref().unwrap());
    }
}

#[test]
fn records_whose_answer_was_cut_off_are_stored_once() {
    let server = Server::start(&[]);
    let proxy = Proxy::start(&server);
    let mut server = Some(server);
    for client in clients(&proxy) {
        let before = proxy.cut();
        proxy.cut_answers(2);
        run(client);
        assert_eq!(proxy.cut(), before + 2);
        // A client that has got as far as the status may take it for the answer, and send nothing again.
        assert_whole(server.as_ref().unwrap());
        server = Some(Server::start(&[]));
        proxy.lead_to(server.as_ref().unwrap());
    }
}

#[test]
fn a_server_that_is_killed_or_away_loses_nothing() {
    let mut server = Server::start(&[]);
    let proxy = Proxy::start(&server);
    for mut client in clients(&proxy) {
        // The first answer is lost with the server, which is away until the client has tried again.
        let refused = proxy.refused();
        proxy.cut_answers(1);
        let mut child = client.spawn().unwrap();
        wait_until("a part to be stored", || received(&server) > 0);
        proxy.leave();
        let setup = server.setup().clone();
        server.kill();
        wait_until("the client to try again", || {
            proxy.refused() > refused || is_over(&mut child)
        });
        server = setup.start();
        proxy.lead_to(&server);
        assert!(child.wait().unwrap().success());
        assert_whole(&server);
        server = Server::start(&[]);
        proxy.lead_to(&server);
    }
}

fn is_over(child: &mut Child) -> bool {
    child.try_wait().unwrap().is_some()
}

fn received(server: &Server) -> u64 {
    server.json("/stats")["received"].as_u64().unwrap()
}
