//! What shippers ask before they send: the kind of server, its health, and whether templates and the like exist, which
//! is answered with yes.

use serde_json::json;

use super::errors::product;
use crate::http::{Method, Response};
use crate::ingest::adapter::ServerState;

/// The version that the server says it is compatible with.
const VERSION: &str = "8.17.0";
const CLUSTER: &str = "logagg";

fn answer(status: u16, body: &serde_json::Value) -> Response {
    product(Response::bare_json(status, body.to_string().into_bytes()))
}

pub(super) fn info(state: ServerState) -> Response {
    let body = json!({
        "name": CLUSTER,
        "cluster_name": CLUSTER,
        "cluster_uuid": state.database_id,
        "version": {
            "number": VERSION,
            "build_flavor": "default",
            "build_type": "tar",
            "build_hash": "unknown",
            "build_date": "2024-12-11T12:08:05.663969764Z",
            "build_snapshot": false,
            "lucene_version": "9.12.0",
            "minimum_wire_compatibility_version": "7.17.0",
            "minimum_index_compatibility_version": "7.0.0",
        },
        "tagline": "You Know, for Search",
    });
    answer(200, &body)
}

pub(super) fn license(state: ServerState) -> Response {
    let body = json!({"license": {
        "status": "active",
        "uid": state.database_id,
        "type": "basic",
        "issue_date": "1970-01-01T00:00:00.000Z",
        "issue_date_in_millis": 0,
        "issued_to": CLUSTER,
        "issuer": CLUSTER,
        "max_nodes": 1,
        "start_date_in_millis": -1,
    }});
    answer(200, &body)
}

pub(super) fn xpack(state: ServerState) -> Response {
    let body = json!({
        "build": {},
        "license": {
            "uid": state.database_id,
            "type": "basic",
            "mode": "basic",
            "status": "active",
        },
        "features": {
            "ilm": {"available": false, "enabled": false},
            "security": {"available": false, "enabled": false},
        },
        "tagline": "You know, for X",
    });
    answer(200, &body)
}

pub(super) fn health(state: ServerState) -> Response {
    let (status, colour) = match state.is_healthy {
        true => (200, "green"),
        false => (503, "red"),
    };
    let shards = u8::from(state.is_healthy);
    let body = json!({
        "cluster_name": CLUSTER,
        "status": colour,
        "timed_out": false,
        "number_of_nodes": 1,
        "number_of_data_nodes": 1,
        "active_primary_shards": shards,
        "active_shards": shards,
        "relocating_shards": 0,
        "initializing_shards": 0,
        "unassigned_shards": 1 - shards,
    });
    let response = answer(status, &body);
    match state.is_healthy {
        true => response,
        false => response.header("Retry-After", "1"),
    }
}

/// No node is named: clients that look for others stay with the address that they have.
pub(super) fn nodes() -> Response {
    answer(200, &json!({"nodes": {}}))
}

/// Templates, policies, pipelines, aliases and indexes: all of them exist, and making one does nothing.
pub(super) fn settings(method: Method) -> Response {
    match method {
        Method::Get | Method::Head => answer(200, &json!({})),
        _ => answer(200, &json!({"acknowledged": true})),
    }
}
