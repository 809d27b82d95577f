//! Programs that send to Elasticsearch: its clients for Python and Node.js, winston, rsyslog and syslog-ng.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::{debian, debian_root, node, python, run, Proxy, RECORDS};
use crate::harness::{Address, Server, Setup, TemporaryDirectory};
use crate::ingest::stored;
use crate::wait::wait_until;

/// How long the server is away.
const AWAY: Duration = Duration::from_secs(10);

/// `helpers.bulk`, repeated as a whole after a failure, as its documents say.
const BULK: &str = r#"
def send():
    while True:
        try:
            return helpers.bulk(client, actions(), chunk_size=10)
        except (ApiError, TransportError) as error:
            time.sleep(0.2)
send()
"#;

/// `helpers.streaming_bulk`, a chunk at a time; what was not answered is sent again.
const STREAMING: &str = r#"
left = {action["_id"]: action for action in actions()}
while left:
    try:
        for ok, item in helpers.streaming_bulk(client, list(left.values()), chunk_size=10):
            assert ok, item
            del left[item["create"]["_id"]]
    except (ApiError, TransportError) as error:
        time.sleep(0.2)
"#;

fn in_python(send: &str, proxy: &Proxy) -> Option<Command> {
    let script = format!(
        r#"
import os, time
from elasticsearch import ApiError, Elasticsearch, TransportError, helpers

client = Elasticsearch("http://" + os.environ["SERVER"] + "/elasticsearch")

def actions():
    for n in range({RECORDS}):
        time.sleep(0.002)
        yield {{"_op_type": "create", "_index": "web", "_id": f"id-{{n}}",
               "_source": {{"message": f"record {{n}}", "host": {{"name": "host-1"}}}}}}

{send}"#
    );
    let mut command = python(&script)?;
    command.env("SERVER", proxy.address());
    Some(command)
}

pub fn bulk(proxy: &Proxy) -> Option<Command> {
    in_python(BULK, proxy)
}

pub fn streaming(proxy: &Proxy) -> Option<Command> {
    in_python(STREAMING, proxy)
}

/// `helpers.bulk` of the client for Node.js.
pub fn javascript(proxy: &Proxy) -> Option<Command> {
    let script = r#"
const { Client } = require('@elastic/elasticsearch');
const client = new Client({ node: `http://${process.env.SERVER}/elasticsearch` });
const sleep = ms => new Promise(done => setTimeout(done, ms));
async function* records() {
  for (let n = 0; n < Number(process.env.RECORDS); n++) {
    await sleep(2);
    yield { n, message: `record ${n}`, host: { name: 'host-1' } };
  }
}
const send = () => client.helpers.bulk({
  datasource: records(), flushBytes: 1000, concurrency: 2, retries: 5, wait: 200,
  onDocument: record => ({ create: { _index: 'web', _id: `id-${record.n}` } }),
});
(async () => {
  for (;;) {
    try {
      const { failed, total } = await send();
      if (failed === 0 && total === Number(process.env.RECORDS)) return;
    } catch (error) {}
    await sleep(200);
  }
})();
"#;
    let mut command = node(script)?;
    command
        .env("SERVER", proxy.address())
        .env("RECORDS", RECORDS.to_string());
    Some(command)
}

/// An address as `HOST:PORT`.
fn text(address: &Address) -> String {
    match address {
        Address::Tcp(address) => address.to_string(),
        Address::Unix(_) => unreachable!("the server listens on TCP"),
    }
}

/// The transport of winston, which gives its records no identity.
pub fn winston(server: &Address) -> Option<Command> {
    let script = r#"
const winston = require('winston');
const { ElasticsearchTransport } = require('winston-elasticsearch');
const transport = new ElasticsearchTransport({
  index: 'web', flushInterval: 100, internalLogger: () => {},
  clientOpts: { node: `http://${process.env.SERVER}/elasticsearch`, maxRetries: 0 },
  transformer: ({ message, timestamp }) => ({ message, host: { name: 'host-1' } }),
});
const logger = winston.createLogger({ transports: [transport] });
for (let n = 0; n < Number(process.env.RECORDS); n++) logger.info(`record ${n}`);
// The transport keeps what was not answered, and lives on.
setInterval(() => {}, 1000);
"#;
    let mut command = node(script)?;
    command
        .env("SERVER", text(server))
        .env("RECORDS", RECORDS.to_string());
    Some(command)
}

/// rsyslog reads a file and sends its lines. `%uuid%` is made once for each message and kept for its retries.
pub fn rsyslog(proxy: &Proxy, directory: &TemporaryDirectory) -> Option<Command> {
    let modules = debian_root().join("usr/lib/x86_64-linux-gnu/rsyslog");
    let module = modules.join("omelasticsearch.so");
    let mut command = debian("usr/sbin/rsyslogd")?;
    if !module.exists() {
        crate::report::skipped("rsyslog's omelasticsearch", "it is not installed");
        return None;
    }
    let lines: String = (0..RECORDS).map(|n| format!("record {n}\n")).collect();
    std::fs::write(directory.join("lines"), lines).unwrap();
    let configuration = format!(
        r#"global(workDirectory="{directory}" localHostname="host-1")
module(load="{modules}/imfile.so")
module(load="{modules}/omelasticsearch.so")
template(name="document" type="list" option.jsonf="on") {{
  property(outname="@timestamp" name="timereported" dateFormat="rfc3339" format="jsonf")
  property(outname="host" name="hostname" format="jsonf")
  property(outname="message" name="msg" format="jsonf")
}}
template(name="id" type="string" string="%uuid%")
ruleset(name="elasticsearch") {{
  action(type="omelasticsearch" server="http://{server}/elasticsearch" searchIndex="web" searchType=""
    template="document" bulkmode="on" writeoperation="create" dynbulkid="on" bulkid="id"
    action.resumeRetryCount="-1" action.resumeInterval="1" errorFile="{directory}/errors"
    queue.type="LinkedList" queue.dequeueBatchSize="10")
}}
input(type="imfile" File="{directory}/lines" Tag="app" ruleset="elasticsearch")
"#,
        directory = directory.path().display(),
        modules = modules.display(),
        server = proxy.address(),
    );
    let path = directory.join("rsyslog.conf");
    std::fs::write(&path, configuration).unwrap();
    command
        .arg("-n")
        .arg("-f")
        .arg(path)
        .arg("-i")
        .arg(directory.join("pid"));
    command.arg("-M").arg(modules);
    Some(command)
}

/// syslog-ng reads a file and sends its lines. `$UNIQID` is made once for each message and kept for its retries.
pub fn syslog_ng(proxy: &Proxy, directory: &TemporaryDirectory) -> Option<Command> {
    let root = debian_root();
    let modules = root.join("usr/lib/syslog-ng/3.38");
    let mut command = debian("usr/sbin/syslog-ng")?;
    if !modules.join("libhttp.so").exists() {
        crate::report::skipped("syslog-ng's http()", "it is not installed");
        return None;
    }
    let lines: String = (0..RECORDS).map(|n| format!("record {n}\n")).collect();
    std::fs::write(directory.join("lines"), lines).unwrap();
    let configuration = format!(
        r#"@version: 3.38
@include "{root}/usr/share/syslog-ng/include/scl/elasticsearch/elastic-http.conf"
options {{ use-uniqid(yes); time-reopen(1); }};
source lines {{ file("{directory}/lines" flags(no-parse) follow-freq(1)); }};
destination elasticsearch {{
  elasticsearch-http(
    url("http://{server}/elasticsearch/_bulk") index("web") type("") custom-id("$UNIQID")
    template("$(format-json message=\"$MESSAGE\" host=host-1 @timestamp=\"$ISODATE\")")
    batch-lines(10) batch-timeout(100) timeout(5) retries(1000)
  );
}};
log {{ source(lines); destination(elasticsearch); flags(flow-control); }};
"#,
        root = root.display(),
        directory = directory.path().display(),
        server = proxy.address(),
    );
    let path = directory.join("syslog-ng.conf");
    std::fs::write(&path, configuration).unwrap();
    command.args(["-F", "--no-caps", "-f"]).arg(path);
    command.arg(format!("--module-path={}", modules.display()));
    for (flag, name) in [("-R", "persist"), ("-p", "pid"), ("-c", "control")] {
        command.arg(flag).arg(directory.join(name));
    }
    Some(command)
}

/// A program that does not end by itself. It is killed when this value goes.
struct Running(Child);

impl Running {
    fn start(mut command: Command) -> Running {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Running(command.spawn().expect("the client can be started"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only where the process has been waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn numbers(events: &[Value]) -> Vec<usize> {
    let number = |event: &Value| {
        let message = event["payload"]["message"].as_str().unwrap();
        message.strip_prefix("record ").unwrap().parse().unwrap()
    };
    events.iter().map(number).collect()
}

/// Waits until each record has been stored at least once.
fn wait_for_all(server: &Server) -> Vec<Value> {
    let mut events = Vec::new();
    wait_until("all records", || {
        events = stored(server);
        numbers(&events).into_iter().collect::<BTreeSet<_>>().len() == RECORDS
    });
    events
}

fn assert_whole(events: &[Value]) {
    let mut found = numbers(events);
    found.sort_unstable();
    assert_eq!(
        found,
        (0..RECORDS).collect::<Vec<_>>(),
        "each is stored once"
    );
    for event in events {
        assert_eq!(
            (&event["topic"], &event["source"]),
            (&"web".into(), &"host-1".into())
        );
    }
}

/// A client that ends by itself when all has been answered.
type Client = fn(&Proxy) -> Option<Command>;

fn arrive_whole(client: Client) {
    let server = Server::start(&[]);
    let proxy = Proxy::start(&server);
    let Some(client) = client(&proxy) else {
        return;
    };
    run(client);
    assert_whole(&stored(&server));
}

/// Cuts two answers off, kills the server when some records have been stored, and starts another on its database.
fn kill(mut server: Server, proxy: &Proxy) -> Server {
    proxy.cut_answers(2);
    wait_until("some records", || {
        server.json("/stats")["received"].as_u64() >= Some(15)
    });
    let setup = server.setup().clone();
    server.kill();
    server = setup.start();
    proxy.lead_to(&server);
    server
}

fn are_stored_once(client: Client) {
    let server = Setup::new().start();
    let proxy = Proxy::start(&server);
    proxy.cut_answers(1);
    let Some(client) = client(&proxy) else {
        return;
    };
    let server = thread::scope(|scope| {
        let running = scope.spawn(|| run(client));
        let server = kill(server, &proxy);
        running.join().unwrap();
        server
    });
    assert!(proxy.cut() > 0);
    assert_whole(&stored(&server));
}

/// Away from the beginning.
fn wait_for_the_server(client: Client) {
    let server = Server::start(&[]);
    let proxy = Proxy::start(&server);
    proxy.leave();
    let Some(client) = client(&proxy) else {
        return;
    };
    thread::scope(|scope| {
        let running = scope.spawn(|| run(client));
        wait_until("a refused connection", || proxy.refused() > 0);
        thread::sleep(AWAY);
        assert!(stored(&server).is_empty());
        proxy.lead_to(&server);
        running.join().unwrap();
    });
    assert_whole(&stored(&server));
}

#[test]
fn a_hundred_records_arrive_whole() {
    for client in [bulk, streaming, javascript] {
        arrive_whole(client);
    }
}

#[test]
fn records_with_an_id_are_stored_once_by_bulk() {
    are_stored_once(bulk);
}

#[test]
fn records_with_an_id_are_stored_once_by_streaming_bulk() {
    are_stored_once(streaming);
}

#[test]
fn records_with_an_id_are_stored_once_by_the_client_for_node() {
    are_stored_once(javascript);
}

#[test]
fn clients_wait_for_a_server_that_is_away() {
    thread::scope(|scope| {
        for client in [bulk, streaming, javascript] {
            scope.spawn(move || wait_for_the_server(client));
        }
    });
}

#[test]
fn winston_loses_nothing() {
    let server = Setup::with_fixed_address().start();
    let Some(client) = winston(server.address()) else {
        return;
    };
    let running = Running::start(client);
    assert_whole(&wait_for_all(&server));
    drop(running);

    // Away from the beginning. Without identities it is not promised that each is stored once. The client never ends
    // a request whose connection is accepted and closed, so here nothing listens.
    let address = server.address().clone();
    let empty = server.setup().directory().join("other.db");
    let setup = server.setup().clone().database(empty);
    server.kill();
    let _running = Running::start(winston(&address).expect("it is installed"));
    thread::sleep(AWAY);
    wait_for_all(&setup.start());
}

/// A program that goes on for as long as it is not killed.
type Daemon = fn(&Proxy, &TemporaryDirectory) -> Option<Command>;

fn a_daemon_loses_nothing(daemon: Daemon) {
    let server = Setup::new().start();
    let proxy = Proxy::start(&server);
    let directory = TemporaryDirectory::new();
    proxy.leave();
    let Some(command) = daemon(&proxy, &directory) else {
        return;
    };
    let _running = Running::start(command);
    wait_until("a refused connection", || proxy.refused() > 0);
    thread::sleep(AWAY);
    proxy.cut_answers(1);
    proxy.lead_to(&server);
    let server = kill(server, &proxy);
    assert_whole(&wait_for_all(&server));
    assert!(proxy.cut() > 0);
}

#[test]
fn rsyslog_stores_each_record_once() {
    a_daemon_loses_nothing(rsyslog);
}

#[test]
fn syslog_ng_stores_each_record_once() {
    a_daemon_loses_nothing(syslog_ng);
}
