//! Python's handler, pino-loki and winston-loki. Loki's shippers lean on its rule that equal entries of a stream are
//! one.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use super::{node, python, run, Proxy, RECORDS};
use crate::harness::Server;
use crate::ingest::stored;
use crate::wait::wait_until;

const PYTHON: &str = r#"
import logging, os
import logging_loki
handler = logging_loki.LokiHandler(url=f"http://{os.environ['SERVER']}/loki/api/v1/push",
    tags={"service": "web", "host": "host-1"}, version="1")
logger = logging.getLogger("test")
logger.setLevel(logging.INFO)
logger.addHandler(handler)
for n in range(int(os.environ["RECORDS"])):
    logger.info("line %d", n)
"#;

/// A pino logger with its transport in a worker thread; it sends again what could not be sent.
const PINO: &str = r#"
const pino = require('pino');
const transport = pino.transport({target: require.resolve('pino-loki'), options: {
    host: `http://${process.env.SERVER}`, batching: {interval: 1, maxBufferSize: 10000},
    labels: {service_name: 'web', host: 'host-1'}, replaceTimestamp: false, silenceErrors: true}});
const logger = pino(transport);
for (let n = 0; n < Number(process.env.RECORDS); n++) logger.info({n}, `line ${n}`);
process.stdin.resume();
process.stdin.on('end', () => transport.end());
"#;

/// A winston logger; it keeps what could not be sent and sends it again, here after a second in place of a minute.
const WINSTON: &str = r#"
const {createLogger} = require('winston');
const LokiTransport = require('winston-loki');
const transport = new LokiTransport({host: `http://${process.env.SERVER}`, interval: 1, json: true, timeout: 2000,
    labels: {service_name: 'web', host: 'host-1'}, clearOnError: false, onConnectionError: () => {},
    format: require('winston').format.printf(({message}) => message)});
transport.batcher.circuitBreakerInterval = 1000;
const logger = createLogger({transports: [transport]});
let n = 0;
const timer = setInterval(() => {
    logger.info(`line ${n++}`);
    if (n === Number(process.env.RECORDS)) clearInterval(timer);
}, 20);
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
"#;

fn with(command: Option<Command>, proxy: &Proxy) -> Option<Command> {
    let mut command = command?;
    command
        .env("SERVER", proxy.address())
        .env("RECORDS", RECORDS.to_string());
    Some(command)
}

pub fn handler(proxy: &Proxy) -> Option<Command> {
    with(python(PYTHON), proxy)
}

pub fn pino(proxy: &Proxy) -> Option<Command> {
    with(node(PINO), proxy)
}

/// It ends when its standard input does.
pub fn winston(proxy: &Proxy) -> Option<Command> {
    with(node(WINSTON), proxy)
}

/// The lines of all events, which are of the one stream.
fn lines(server: &Server) -> Vec<String> {
    let events = stored(server).into_iter().map(|event| {
        assert_eq!(
            (&event["topic"], &event["source"]),
            (&"web".into(), &"host-1".into()),
            "{event}"
        );
        let line = event["payload"]["line"].as_str().unwrap().to_owned();
        // pino's lines are JSON.
        let record: Result<serde_json::Value, _> = serde_json::from_str(&line);
        record
            .ok()
            .and_then(|record| record["msg"].as_str().map(str::to_owned))
            .unwrap_or(line)
    });
    events.collect()
}

fn expected() -> BTreeSet<String> {
    (0..RECORDS).map(|n| format!("line {n}")).collect()
}

#[test]
fn the_python_handler_s_records_arrive_whole() {
    let server = Server::start(&[]);
    let proxy = Proxy::start(&server);
    let Some(client) = handler(&proxy) else {
        return;
    };
    run(client);
    let lines = lines(&server);
    assert_eq!(
        (lines.len(), lines.into_iter().collect()),
        (RECORDS, expected())
    );
}

#[test]
fn pino_s_records_arrive_whole() {
    let server = Server::start(&[]);
    let proxy = Proxy::start(&server);
    let Some(mut client) = pino(&proxy) else {
        return;
    };
    let mut client = client.stdin(Stdio::piped()).spawn().unwrap();
    wait_until("all records", || stored(&server).len() == RECORDS);
    drop(client.stdin.take());
    assert!(client.wait().unwrap().success());
    let lines = lines(&server);
    assert_eq!(
        (lines.len(), lines.into_iter().collect()),
        (RECORDS, expected())
    );
}

#[test]
fn winston_s_records_are_stored_once_whatever_becomes_of_the_answers() {
    let server = Server::start(&[]);
    let proxy = Proxy::start(&server);
    let Some(mut client) = winston(&proxy) else {
        return;
    };
    proxy.cut_answers(1);
    let mut client = client.stdin(Stdio::piped()).spawn().unwrap();
    wait_until("an answer that is cut off", || proxy.cut() == 1);
    proxy.leave();
    let setup = server.setup().clone();
    server.kill();
    wait_until("a try while the server is away", || proxy.refused() > 0);
    let server = setup.start();
    proxy.lead_to(&server);
    let of = |server: &Server| -> BTreeSet<String> { lines(server).into_iter().collect() };
    wait_until("all records", || of(&server) == expected());
    drop(client.stdin.take());
    client.wait().unwrap();
    let lines = lines(&server);
    assert_eq!(
        (lines.len(), lines.into_iter().collect()),
        (RECORDS, expected())
    );
}
