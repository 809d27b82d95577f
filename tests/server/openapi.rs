//! The description of the interface against the interface: paths, methods, scopes, and what its examples
//! say; and the pages that show it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{json, Map, Value};

use crate::harness::{Client, Server, Setup};

fn document(client: &mut Client) -> Value {
    client.get("/openapi.json").expect(200)
}

/// One method of one path of the document.
struct Operation<'d> {
    path: &'d str,
    /// In capitals.
    method: String,
    of: &'d Value,
}

fn operations(document: &Value) -> Vec<Operation<'_>> {
    let paths = document["paths"].as_object().expect("it has paths");
    let methods = paths.iter().flat_map(|(path, item)| {
        let item = item.as_object().expect("a path is an object");
        let methods = item.iter().filter(|(key, _)| *key != "parameters");
        methods.map(move |(method, of)| Operation {
            path,
            method: method.to_uppercase(),
            of,
        })
    });
    methods.collect()
}

/// A path with names where the document has places for them; of a stream, one that ends.
fn filled(path: &str) -> String {
    path.replace("/subscribe", "/subscribe?follow=false")
        .replace("{name}", "mailer")
        .replace("{topic}", "user.login")
        .replace("{event_id}", "evt-12345")
        .replace("{index}", "web")
        .replace("{id}", "doc-1")
}

/// What a `$ref` stands for, or the value itself.
fn resolved<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    match value["$ref"].as_str() {
        Some(address) => {
            let found = document.pointer(address.trim_start_matches('#'));
            found.unwrap_or_else(|| panic!("{address} is not there"))
        }
        None => value,
    }
}

#[test]
fn each_path_has_the_methods_that_the_document_gives_it() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let document = document(&mut client);
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    let operations = operations(&document);
    let paths: BTreeSet<&str> = operations.iter().map(|o| o.path).collect();
    for path in &paths {
        let mut methods = BTreeSet::from(["OPTIONS"]);
        for operation in operations.iter().filter(|o| o.path == *path) {
            methods.insert(&operation.method);
            if operation.method == "GET" {
                methods.insert("HEAD");
            }
        }
        let answer = client.request("OPTIONS", &filled(path), &[], b"");
        let allow = answer.header("allow").expect("OPTIONS lists methods");
        assert_eq!(
            allow.split(", ").collect::<BTreeSet<_>>(),
            methods,
            "{path}"
        );
    }
    let root = client.get("/").expect(200);
    for endpoint in root["endpoints"]
        .as_object()
        .expect("it lists them")
        .values()
    {
        let (method, path) = endpoint.as_str().unwrap().split_once(' ').unwrap();
        assert!(
            operations
                .iter()
                .any(|o| (o.path, &*o.method) == (path, method)),
            "{endpoint}"
        );
    }
}

#[test]
fn each_operation_needs_the_scope_that_the_document_names() {
    let setup = Setup::new();
    let file = setup.directory().join("tokens");
    fs::write(&file, "a publish secret-p\nb read secret-r\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let server = setup.flags(["--auth-tokens-file".into(), file]).start();
    let mut client = server.client();
    let document = document(&mut client);
    for Operation { path, method, of } in operations(&document) {
        let mut status = |fields: &[&str]| {
            let target = filled(path);
            client.request(&method, &target, fields, b"").status
        };
        let scope = of["security"][0]["bearer"][0].as_str();
        let name = format!("{method} {path} {scope:?}");
        let without = status(&[]);
        assert_eq!(without == 401, scope.is_some(), "{name}");
        for (token, its) in [("secret-p", "publish"), ("secret-r", "read")] {
            let refused = status(&[&format!("Authorization: Bearer {token}")]) == 403;
            assert_eq!(refused, scope.is_some_and(|scope| scope != its), "{name}");
        }
        let documents = |code| of["responses"].get(code).is_some();
        assert_eq!(documents("401"), scope.is_some(), "{name}");
        assert_eq!(documents("403"), scope.is_some(), "{name}");
    }
}

/// Each example of a body is taken, and what the document says of an answer's form holds.
#[test]
fn examples_of_bodies_are_taken_and_answers_have_the_form_that_is_described() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let document = document(&mut client);
    let mut taken = 0;
    // What stores comes first, so that what reads has something to show.
    let mut all = operations(&document);
    let place = |method: &str| {
        ["PUT", "POST", "GET", "DELETE"]
            .iter()
            .position(|m| *m == method)
    };
    all.sort_by_key(|operation| place(&operation.method));
    for Operation { path, method, of } in all {
        let target = filled(path);
        let mut tries: Vec<(String, Vec<u8>)> = Vec::new();
        for (media_type, content) in resolved(&document, &of["requestBody"])["content"]
            .as_object()
            .into_iter()
            .flatten()
        {
            let examples = content["examples"].as_object().expect("there are examples");
            for example in examples.values() {
                let body = match &example["value"] {
                    Value::String(text) => text.clone(),
                    value => value.to_string(),
                };
                tries.push((format!("Content-Type: {media_type}"), body.into_bytes()));
            }
        }
        taken += tries.len();
        if tries.is_empty() {
            tries.push(("Accept: */*".into(), Vec::new()));
        }
        for (field, body) in tries {
            // Some shippers' protocols want a token, whatever it is where the server has none.
            let fields = [&*field, "Authorization: Bearer any"];
            let answer = client.request(&method, &target, &fields, &body);
            let code = answer.status.to_string();
            let described = resolved(&document, &of["responses"][&code]);
            assert!(
                matches!(answer.status, 200..=202 | 204),
                "{method} {target}: {answer:?}"
            );
            assert!(
                described["description"].is_string(),
                "{method} {path} {code}"
            );
            let Some(media_type) = answer.header("content-type") else {
                continue;
            };
            let media_type = media_type.split(';').next().unwrap_or_default();
            let schema = &described["content"][media_type]["schema"];
            assert!(schema.is_object(), "{method} {path}: {media_type}");
            if media_type == "application/json" {
                conforms(&document, schema, &answer.expect(answer.status), path);
            }
        }
    }
    assert!(taken > 8, "{taken} bodies");
}

/// Checks a value against the words that the document's schemas use for the forms of answers. A member that
/// is not described is a mistake, unless no member is.
fn conforms(document: &Value, schema: &Value, value: &Value, place: &str) {
    let schema = resolved(document, schema);
    let alternatives = ["oneOf", "anyOf"]
        .iter()
        .find_map(|key| schema[*key].as_array());
    if let Some(alternatives) = alternatives {
        let status = &value["status"];
        let meant = alternatives.iter().find(|schema| {
            let rule = &schema["properties"]["status"];
            rule["const"] == *status
                || rule["enum"]
                    .as_array()
                    .is_some_and(|all| all.contains(status))
        });
        let meant = meant.unwrap_or_else(|| panic!("{place}: {value}"));
        return conforms(document, meant, value, place);
    }
    let name = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let is_legal = match &schema["type"] {
        Value::String(one) => one == name,
        Value::Array(several) => several.contains(&json!(name)),
        _ => {
            schema["const"] == *value
                || schema["enum"]
                    .as_array()
                    .is_some_and(|all| all.contains(value))
        }
    };
    assert!(is_legal, "{place}: {value} is not {schema}");
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        conforms(
            document,
            &schema["items"],
            item,
            &format!("{place} {index}"),
        );
    }
    let (Some(members), Some(properties)) = (value.as_object(), schema["properties"].as_object())
    else {
        return;
    };
    let required = schema["required"].as_array().into_iter().flatten();
    for name in required.filter_map(Value::as_str) {
        assert!(members.contains_key(name), "{place}: {name} is missing");
    }
    for (name, member) in members {
        let described = properties.get(name);
        let described = described.unwrap_or_else(|| panic!("{place}: {name} is not described"));
        conforms(document, described, member, &format!("{place} {name}"));
    }
}

/// Examples of faults have with them the request that is answered so, word for word.
#[test]
fn examples_of_faults_are_the_answers() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let document = document(&mut client);
    // The subscription that the examples speak of.
    let fields = ["Content-Type: application/json"];
    let made = client.request("PUT", "/subscriptions/mailer", &fields, b"{\"after\":0}");
    made.expect(200);
    let mut tried = 0;
    for Operation { path, method, of } in operations(&document) {
        for (code, response) in of["responses"].as_object().expect("it has answers") {
            let response = resolved(&document, response);
            let nothing = Map::new();
            let examples = response["content"]["application/json"]["examples"].as_object();
            for (name, example) in examples.unwrap_or(&nothing) {
                let Some(request) = example["x-request"].as_object() else {
                    continue;
                };
                let text = |name: &str| {
                    request
                        .get(name)
                        .and_then(Value::as_str)
                        .unwrap_or_default()
                };
                let target = format!("{}?{}", filled(path), text("query"));
                let fields = ["Content-Type: application/json"];
                let answer = client.request(&method, &target, &fields, text("body").as_bytes());
                let place = format!("{method} {target} {name}");
                assert_eq!(answer.status.to_string(), *code, "{place}: {answer:?}");
                assert_eq!(answer.expect(answer.status), example["value"], "{place}");
                tried += 1;
            }
        }
    }
    assert!(tried > 10, "{tried} faults");
    assert_eq!(server.json("/stats")["received"], 0);
}

#[cfg(not(feature = "api-pages"))]
#[test]
fn without_the_pages_their_place_says_how_to_get_them() {
    let server = Server::start(&[]);
    for target in ["/docs", "/redoc"] {
        let sentence = server.get(target).sentence(404);
        assert!(sentence.contains("--features api-pages"), "{sentence}");
    }
    server.get("/assets/swagger-ui.css").sentence(404);
}

#[cfg(feature = "api-pages")]
mod pages {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use crate::harness::{Client, Response, Server};

    const GZIP: &str = "Accept-Encoding: gzip";

    /// The answer in gzip, which must unpack to the plain one.
    fn both(client: &mut Client, target: &str) -> (Response, String) {
        let plain = client.get(target);
        assert_eq!(
            (plain.status, plain.header("content-encoding")),
            (200, None)
        );
        let gzip = client.request("GET", target, &[GZIP], b"");
        assert_eq!(gzip.header("content-encoding"), Some("gzip"), "{target}");
        let mut content = String::new();
        GzDecoder::new(&gzip.body[..])
            .read_to_string(&mut content)
            .unwrap();
        assert!(content.as_bytes() == plain.body, "{target}");
        (gzip, content)
    }

    #[test]
    fn the_pages_load_everything_from_here_and_compressed() {
        let server = Server::start(&[]);
        let mut client = server.client();
        both(&mut client, "/openapi.json");
        let mut bytes = 0;
        for target in ["/docs", "/redoc"] {
            let (answer, page) = both(&mut client, target);
            let policy = answer.header("content-security-policy").expect("a policy");
            assert!(
                policy.starts_with("default-src 'none'; script-src 'self';"),
                "{policy}"
            );
            assert!(
                !policy.contains("http") && !policy.contains('*'),
                "{policy}"
            );
            assert!(!page.contains("://") && !page.contains("\"//"), "{page}");
            let scripts = page.matches("<script").count();
            assert_eq!(page.matches("<script src=\"/assets/").count(), scripts);
            for asset in page.split('"').filter(|part| part.starts_with("/assets/")) {
                let (answer, content) = both(&mut client, asset);
                bytes += answer.body.len();
                assert!(!content.contains("sourceMappingURL=swagger"), "{asset}");
                assert!(!content.contains("cdn.redoc.ly"), "{asset}");
            }
        }
        assert!(bytes < 900_000, "{bytes} bytes gzipped");
    }
}
