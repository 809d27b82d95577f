//! Datadog's client for Python. Its records have no identity, so a retry is stored again.

use std::process::Command;

use super::{python, run, Proxy, RECORDS};
use crate::harness::Server;
use crate::ingest::stored;

const SCRIPT: &str = r#"
import os, sys
from datadog_api_client import ApiClient, Configuration
from datadog_api_client.v2.api.logs_api import LogsApi
from datadog_api_client.v2.model.http_log import HTTPLog
from datadog_api_client.v2.model.http_log_item import HTTPLogItem

configuration = Configuration(api_key={"apiKeyAuth": "any"}, enable_retry=True, max_retries=20)
configuration.server_index = 1
configuration.server_variables["protocol"] = "http"
configuration.server_variables["name"] = os.environ["SERVER"]
with ApiClient(configuration) as client:
    for n in range(int(os.environ["RECORDS"])):
        item = HTTPLogItem(message=f"line {n}", service="web", hostname="host-1", ddsource="python")
        LogsApi(client).submit_log(HTTPLog([item]))
"#;

pub fn client(proxy: &Proxy, records: usize) -> Option<Command> {
    let mut command = python(SCRIPT)?;
    command
        .env("SERVER", proxy.address())
        .env("RECORDS", records.to_string());
    Some(command)
}

#[test]
fn a_hundred_records_arrive_whole() {
    let server = Server::start(&[]);
    let proxy = Proxy::start(&server);
    let Some(client) = client(&proxy, RECORDS) else {
        return;
    };
    run(client);
    let events = stored(&server);
    assert_eq!(events.len(), RECORDS);
    for (n, event) in events.iter().enumerate() {
        assert_eq!(event["payload"]["message"], format!("line {n}"));
        assert_eq!(
            (&event["topic"], &event["source"]),
            (&"web".into(), &"host-1".into())
        );
    }
}
