//! Elasticsearch's bulk interface: what is stored and answered. What happens when something fails is in `trouble`.

mod trouble;

use serde_json::{json, Value};

use super::stored;
use crate::encodings;
use crate::harness::{Client, Response, Server, Setup};

const NDJSON: &str = "Content-Type: application/x-ndjson";
const BULK: &str = "/elasticsearch/_bulk";

/// Sends a request and checks what each answer below the prefix has.
fn send(client: &mut Client, method: &str, target: &str, body: impl AsRef<[u8]>) -> Response {
    let response = client.request(method, target, &[NDJSON], body.as_ref());
    assert_product(&response);
    response
}

fn assert_product(response: &Response) {
    let product = response.header("x-elastic-product");
    assert_eq!(product, Some("Elasticsearch"), "{response:?}");
}

fn bulk(client: &mut Client, body: impl AsRef<[u8]>) -> Value {
    send(client, "POST", BULK, body).expect(200)
}

/// The item of each action, without the name of its operation.
fn items(answer: &Value) -> Vec<&Value> {
    let items = answer["items"].as_array().expect("an answer has items");
    let inner = |item: &'_ Value| item.as_object().map(|item| item.len()) == Some(1);
    assert!(items.iter().all(inner), "{answer}");
    items
        .iter()
        .map(|item| item.as_object().unwrap().values().next().unwrap())
        .collect()
}

fn statuses(answer: &Value) -> Vec<u64> {
    let statuses = items(answer).into_iter().map(|item| &item["status"]);
    statuses.map(|status| status.as_u64().unwrap()).collect()
}

fn error_type(response: &Response, status: u16) -> String {
    let body = response.expect(status);
    assert_eq!(body["status"], status, "{body}");
    let error = &body["error"];
    assert_eq!(error["root_cause"][0]["type"], error["type"], "{body}");
    assert_eq!(error["root_cause"][0]["reason"], error["reason"], "{body}");
    assert!(error["reason"].as_str().is_some_and(|why| !why.is_empty()));
    error["type"]
        .as_str()
        .expect("an error has a type")
        .to_owned()
}

#[test]
fn each_document_is_an_event() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let body = "{\"index\":{\"_index\":\"web\",\"_id\":\"a/1\"}}\r\n\
        {\"@timestamp\": \"2026-01-02T03:04:05.678Z\", \"host\":{\"name\":\"h1\"}, \"n\":1.0}\r\n\r\n\n\
        {\"create\":{\"_id\":7,\"routing\":\"r\"},\"pipeline\":\"p\"}\n{\"time\":1767323045678,\"hostname\":\"h2\"}\n\
        {\"index\":{\"op_type\":\"create\",\"_type\":\"_doc\"}}\n{\"host\":\"h3\"}";
    let answer = bulk(&mut client, body);
    assert_eq!(answer["errors"], false);
    let names: Vec<&String> = answer["items"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|item| item.as_object().unwrap().keys())
        .collect();
    assert_eq!(names, ["index", "create", "create"]);
    let events = stored(&server);
    let members = |event: &Value| {
        ["topic", "event_id", "source"].map(|name| event[name].as_str().unwrap().to_owned())
    };
    assert_eq!(members(&events[0]), ["web", "a/1", "h1"]);
    assert_eq!(members(&events[1]), ["elasticsearch", "7", "h2"]);
    assert_eq!(events[0]["timestamp"], "2026-01-02T03:04:05.678Z");
    assert_eq!(events[1]["timestamp"], "2026-01-02T03:04:05.678Z");
    let [topic, id, source] = members(&events[2]);
    assert_eq!(
        (&topic[..], id.len(), &source[..]),
        ("elasticsearch", 36, "h3")
    );
    let page = server.get("/events").text();
    assert!(
        page.contains(r#"{"@timestamp":"2026-01-02T03:04:05.678Z","host":{"name":"h1"},"n":1.0}"#)
    );
    for (item, event) in items(&answer).into_iter().zip(&events) {
        let expected = json!({
            "_index": event["topic"], "_id": event["event_id"], "_version": 1, "result": "created",
            "_shards": {"total": 1, "successful": 1, "failed": 0},
            "_seq_no": event["seq"], "_primary_term": 1, "status": 201,
        });
        assert_eq!(item, &expected);
    }
}

#[test]
fn the_answer_has_the_bytes_that_shippers_search_for() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let good = "{\"index\":{\"_id\":\"1\"}}\n{\"n\":1}\n";
    let text = send(&mut client, "POST", BULK, good).text();
    assert!(
        text.contains(r#","errors":false,"items":[{"index":{"_index":"elasticsearch","_id":"1","#),
        "{text}"
    );
    assert!(
        text.starts_with("{\"took\":") && text.ends_with("\"status\":201}}]}"),
        "{text}"
    );
    let both = format!("{good}{{\"index\":{{}}}}\n[]\n");
    let text = send(&mut client, "POST", BULK, both).text();
    assert!(
        text.contains(r#","errors":true,"items":[{"index":"#),
        "{text}"
    );
}

#[test]
fn bulk_has_three_paths_two_methods_and_four_media_types() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let mut count = 0;
    for (target, index) in [
        (BULK, "elasticsearch"),
        ("/elasticsearch/_bulk/", "elasticsearch"),
        ("/_bulk", "elasticsearch"),
        ("/elasticsearch/a%20b%2Fc/_bulk?filter_path=errors", "a b/c"),
    ] {
        for method in ["POST", "PUT"] {
            let body = "{\"index\":{}}\n{}\n{\"index\":{\"_index\":\"own\"}}\n{}\n";
            let answer = send(&mut client, method, target, body).expect(200);
            let indexes: Vec<&Value> = items(&answer).iter().map(|item| &item["_index"]).collect();
            assert_eq!(indexes, [index, "own"], "{target}");
            count += 2;
        }
    }
    for media_type in [
        "application/x-ndjson",
        "application/json; charset=utf-8",
        "application/vnd.elasticsearch+x-ndjson; compatible-with=8",
        "Application/vnd.elasticsearch+json;compatible-with=8",
    ] {
        let header = format!("Content-Type: {media_type}");
        let body = b"{\"index\":{}}\n{}\n";
        client.request("POST", BULK, &[&header], body).expect(200);
        count += 1;
    }
    for headers in [&["Content-Type: text/plain"][..], &[]] {
        let response = client.request("POST", BULK, headers, b"{\"index\":{}}\n{}\n");
        assert_product(&response);
        assert_eq!(error_type(&response, 415), "media_type_header_exception");
    }
    assert_eq!(stored(&server).len(), count);
}

#[test]
fn each_record_gets_its_own_status() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let first = "{\"index\":{\"_id\":\"1\"}}\n{\"n\":1}\n";
    let seq = bulk(&mut client, first)["items"][0]["index"]["_seq_no"].clone();
    let body = "{\"index\":{\"_id\":\"1\"}}\n{\"n\": 1}\n{\"create\":{\"_id\":\"1\"}}\n{\"n\":1}\n\
        {\"index\":{\"_id\":\"1\"}}\n{\"n\":2}\n{\"create\":{\"_id\":\"1\"}}\n{\"n\":2}\n\
        {\"update\":{\"_id\":\"1\"}}\n{\"doc\":{\"n\":3}}\n{\"delete\":{\"_id\":\"1\"}}\n\
        {\"index\":{\"_id\":\"bad\"}}\n[1]\n{\"index\":{}}\n{\"n\":\n{\"index\":{}}\n\n{\"index\":{}}\n{\"n\":4}\n";
    let answer = bulk(&mut client, body);
    assert_eq!(answer["errors"], true);
    assert_eq!(
        statuses(&answer),
        [200, 200, 409, 409, 400, 400, 400, 400, 400, 201]
    );
    let items = items(&answer);
    for item in &items[..2] {
        assert_eq!((&item["result"], &item["_seq_no"]), (&json!("noop"), &seq));
    }
    let types: Vec<&str> = items[2..9]
        .iter()
        .map(|item| item["error"]["type"].as_str().unwrap())
        .collect();
    let (conflict, illegal, bad) = (
        "version_conflict_engine_exception",
        "illegal_argument_exception",
        "document_parsing_exception",
    );
    assert_eq!(types, [conflict, conflict, illegal, illegal, bad, bad, bad]);
    assert_eq!(
        (&items[6]["_id"], &items[7]["_id"]),
        (&json!("bad"), &Value::Null)
    );
    let numbers: Vec<Value> = stored(&server)
        .iter()
        .map(|event| event["payload"]["n"].clone())
        .collect();
    assert_eq!(numbers, [1, 4], "the first write stays");
    assert_eq!(server.json("/stats")["rejected"], 5);
}

#[test]
fn rejected_documents_are_kept() {
    let server = Server::start(&[]);
    let mut client = server.client();
    bulk(
        &mut client,
        b"{\"index\":{}}\n{\"a\":\"\xff\"}\n{\"index\":{}}\n{\"n\":1}\n",
    );
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(128), "]".repeat(128));
    let answer = bulk(&mut client, format!("{{\"index\":{{}}}}\n{deep}\n"));
    let reason = answer["items"][0]["index"]["error"]["reason"]
        .as_str()
        .unwrap();
    assert!(reason.contains("128 levels"), "{reason}");
    assert_eq!(stored(&server).len(), 1);
    assert_eq!(server.json("/stats")["rejected"], 2);
}

#[test]
fn a_wrong_action_stores_nothing_of_the_request() {
    let server = Server::start(&["--ring-capacity", "2"]);
    let mut client = server.client();
    let good = "{\"index\":{}}\n{\"n\":1}\n".repeat(10);
    for bad in [
        "x\n{}\n",
        "{\"get\":{}}\n{}\n",
        "{\"index\":{}}\n",
        "{\"index\":{}}",
        "{\"index\":7}\n{}\n",
        "[\"index\"]\n{}\n",
        "{\"index\":{}\n{}\n",
    ] {
        let response = send(&mut client, "POST", BULK, format!("{good}{bad}"));
        assert_eq!(
            error_type(&response, 400),
            "illegal_argument_exception",
            "{bad}"
        );
        let reason = response.expect(400)["error"]["reason"].clone();
        assert!(reason.as_str().unwrap().contains("line [21]"), "{reason}");
    }
    for empty in ["", "\n", "\r\n \n"] {
        error_type(&send(&mut client, "POST", BULK, empty), 400);
    }
    assert!(stored(&server).is_empty());
}

#[test]
fn names_and_ids_are_told_as_they_are_stored() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let long = "a".repeat(256);
    let body = format!(
        "{{\"index\":{{\"_index\":\"{}\",\"_id\":\"{long}\"}}}}\n{{}}\n\
         {{\"index\":{{\"_index\":\"a\\nb\",\"_id\":\"q\\\"\\u00e9\"}}}}\n{{}}\n",
        "é".repeat(200)
    );
    let answer = bulk(&mut client, body);
    let events = stored(&server);
    for (item, event) in items(&answer).into_iter().zip(&events) {
        assert_eq!(
            (&item["_index"], &item["_id"]),
            (&event["topic"], &event["event_id"])
        );
    }
    // sha256sum of 256 letters a.
    let hash = "sha256:02d7160d77e18c6447be80c2e355c7ed4388545271702c50253b0914c65ce5fe";
    assert_eq!(
        (&events[0]["topic"], &events[0]["event_id"]),
        (&json!("é".repeat(127)), &json!(hash))
    );
    assert_eq!(
        (&events[1]["topic"], &events[1]["event_id"]),
        (&json!("a_b"), &json!("q\"é"))
    );
}

#[test]
fn one_document_is_answered_with_its_item_and_status() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let document = "{\n  \"n\": 1,\n  \"host\": \"h\"\n}\n";
    let made = send(&mut client, "POST", "/elasticsearch/a/_doc", document).expect(201);
    assert_eq!(
        (&made["_index"], &made["result"]),
        (&json!("a"), &json!("created"))
    );
    assert_eq!(made["_id"].as_str().unwrap().len(), 36);
    for (method, path, body, status) in [
        ("PUT", "_doc/x%2Fy", document, 201),
        ("POST", "_doc/x%2Fy", document, 200),
        ("PUT", "_create/x%2Fy", document, 200),
        ("POST", "_create/x%2Fy", "{\"n\":2}", 409),
        ("PUT", "_doc/x%2Fy", "{\"n\":2}", 409),
        ("PUT", "_doc/z", "[]", 400),
        ("PUT", "_doc/z", "{", 400),
        ("POST", "_create/z", "{}", 201),
        ("POST", "_doc/", "{}", 201),
    ] {
        let target = format!("/elasticsearch/a/{path}");
        let item = send(&mut client, method, &target, body).expect(status);
        assert_eq!(
            (&item["status"], &item["_index"]),
            (&json!(status), &json!("a")),
            "{item}"
        );
        if !path.ends_with('/') {
            let id = if path.ends_with('z') { "z" } else { "x/y" };
            assert_eq!(item["_id"], id);
        }
    }
    assert_eq!(
        error_type(
            &send(&mut client, "POST", "/elasticsearch/a/_doc", " "),
            400
        ),
        "illegal_argument_exception"
    );
    assert_eq!(stored(&server).len(), 4);
    assert_eq!(stored(&server)[0]["payload"], json!({"n": 1, "host": "h"}));
}

#[test]
fn shippers_get_what_they_ask_for_first() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let mut probe = |method: &str, path: &str| {
        let response = client.request(method, &format!("/elasticsearch{path}"), &[], b"");
        assert_product(&response);
        if method == "HEAD" {
            assert_eq!((response.status, response.body.len()), (200, 0));
            return Value::Null;
        }
        response.expect(200)
    };
    for path in ["", "/", "?pretty"] {
        let info = probe("GET", path);
        assert_eq!(info["version"]["number"], "8.17.0");
        assert_eq!(info["tagline"], "You Know, for Search");
        assert!(["name", "cluster_name", "cluster_uuid"]
            .iter()
            .all(|name| info[name].is_string()));
        probe("HEAD", path);
    }
    let license = probe("GET", "/_license")["license"].clone();
    assert_eq!(
        (&license["type"], &license["status"]),
        (&json!("basic"), &json!("active"))
    );
    let features = probe("GET", "/_xpack")["features"].clone();
    assert_eq!(
        [
            &features["ilm"]["enabled"],
            &features["security"]["enabled"]
        ],
        [false, false]
    );
    assert_eq!(probe("GET", "/_cluster/health")["status"], "green");
    for path in ["/_nodes", "/_nodes/http", "/_nodes/_all/http?x=y"] {
        assert_eq!(probe("GET", path), json!({"nodes": {}}));
    }
    for path in [
        "/_ilm/policy/filebeat",
        "/_template/logs",
        "/_index_template/logs",
        "/_component_template/a",
        "/_ingest/pipeline/p",
        "/_data_stream/logs-app",
        "/_alias/logs",
        "/_cat/indices/a",
        "/logs-2026.01.02",
        "/_logstash/pipeline",
    ] {
        probe("HEAD", path);
        assert_eq!(probe("GET", path), json!({}), "{path}");
        for method in ["PUT", "POST", "DELETE"] {
            assert_eq!(probe(method, path), json!({"acknowledged": true}), "{path}");
        }
    }
    assert!(stored(&server).is_empty());
}

#[test]
fn each_refusal_has_the_shape_of_the_protocol() {
    let server = Server::start(&["--max-body-bytes", "2048"]);
    let mut client = server.client();
    for (method, path) in [
        ("GET", "/_search"),
        ("POST", "/a/_search"),
        ("PATCH", "/a/b/c"),
        ("OPTIONS", "/_count"),
        ("GET", "/a/_mapping"),
        ("GET", "/_cluster/stats"),
        ("POST", "//_bulk"),
        ("POST", "/_x/_bulk"),
        ("POST", "/a%zz/_bulk"),
        ("POST", "/%ff/_doc/1"),
    ] {
        let target = format!("/elasticsearch{path}");
        let response = send(&mut client, method, &target, "");
        assert_eq!(
            error_type(&response, 404),
            "resource_not_found_exception",
            "{path}"
        );
    }
    for (method, path, allow) in [
        ("GET", "/_bulk", "POST, PUT, OPTIONS"),
        ("DELETE", "/a/_doc/1", "POST, PUT, OPTIONS"),
        ("PUT", "/a/_doc", "POST, OPTIONS"),
        ("POST", "/", "GET, HEAD, OPTIONS"),
        ("PATCH", "/a", "GET, HEAD, PUT, POST, DELETE, OPTIONS"),
    ] {
        let target = format!("/elasticsearch{path}");
        let response = send(&mut client, method, &target, "");
        error_type(&response, 405);
        assert_eq!(response.header("allow"), Some(allow), "{path}");
        let response = client.request("OPTIONS", &target, &[], b"");
        assert_product(&response);
        assert_eq!(
            (response.status, response.header("allow")),
            (204, Some(allow))
        );
    }
    let coded = [NDJSON, "Content-Encoding: br"];
    let response = client.request("POST", BULK, &coded, b"x");
    assert_product(&response);
    error_type(&response, 415);
    let response = client.request("POST", BULK, &[NDJSON, "Content-Encoding: gzip"], b"x");
    assert_product(&response);
    error_type(&response, 400);
    let response = send(
        &mut client,
        "POST",
        &format!("{BULK}?topic="),
        "{\"index\":{}}\n{}\n",
    );
    error_type(&response, 400);
    let long = vec![b' '; 4096];
    assert_eq!(
        error_type(&send(&mut server.client(), "POST", BULK, &long), 413),
        "content_too_long_exception"
    );
    let bomb = encodings::gzip(&long);
    let response =
        server
            .client()
            .request("POST", BULK, &[NDJSON, "Content-Encoding: gzip"], &bomb);
    assert_product(&response);
    error_type(&response, 413);
    assert!(stored(&server).is_empty());
}

#[test]
fn only_probes_of_health_and_version_need_no_token() {
    let setup = Setup::new();
    let path = setup.directory().join("tokens");
    std::fs::write(&path, "shipper publish secret\nreader read other\n").unwrap();
    let server = setup.flags(["--auth-tokens-file".into(), path]).start();
    let mut client = server.client();
    for path in [
        "",
        "/",
        "/_license",
        "/_cluster/health",
        "/_nodes",
        "/_nodes/http",
    ] {
        for method in ["GET", "HEAD"] {
            assert_eq!(
                send(&mut client, method, &format!("/elasticsearch{path}"), "").status,
                200
            );
        }
    }
    let body = b"{\"index\":{}}\n{}\n";
    for path in ["/_bulk", "/a/_doc", "/_xpack", "/_template/a", "/_search"] {
        let target = format!("/elasticsearch{path}");
        let response = send(&mut server.client(), "POST", &target, body);
        assert_eq!(error_type(&response, 401), "security_exception");
    }
    // Base64 of id:secret and id:other.
    for (token, status) in [("aWQ6c2VjcmV0", 200), ("aWQ6b3RoZXI=", 403)] {
        let token = format!("Authorization: ApiKey {token}");
        let response = server
            .client()
            .request("POST", BULK, &[NDJSON, &token], body);
        assert_product(&response);
        assert_eq!(response.status, status);
    }
    let reader = ["Authorization: Bearer other"];
    let stats = server.client().request("GET", "/stats", &reader, b"");
    assert_eq!(stats.expect(200)["received"], 1);
}
