//! Datadog logs.

use serde_json::{json, Value};

use super::{post, stored};
use crate::harness::Server;

#[test]
fn each_object_is_an_event() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let body = r#" [ {"message": "one", "service":"web","hostname":"h1","date":1767323045678},
        {"message":"two","ddsource":"nginx"}, {"message":"three"} ] "#;
    for path in ["/api/v2/logs", "/v1/input"] {
        assert_eq!(post(&mut client, path, body).expect(202), json!({}));
    }
    let events = stored(&server);
    assert_eq!(events.len(), 6, "a retry is stored again");
    let of = |event: &Value| {
        let text = |name: &str| event[name].as_str().unwrap().to_owned();
        (
            text("topic"),
            text("source"),
            event["payload"]["message"].clone(),
        )
    };
    assert_eq!(of(&events[0]), ("web".into(), "h1".into(), json!("one")));
    assert_eq!(
        of(&events[1]),
        ("nginx".into(), "127.0.0.1".into(), json!("two"))
    );
    assert_eq!(
        of(&events[2]),
        ("datadog".into(), "127.0.0.1".into(), json!("three"))
    );
    assert_eq!(events[0]["timestamp"], "2026-01-02T03:04:05.678Z");
    assert_eq!(events[0]["payload"].as_object().unwrap().len(), 4);
}

#[test]
fn probes_and_errors_have_the_shape_of_the_protocol() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for probe in ["{}", "[]", " [ ] "] {
        assert_eq!(
            post(&mut client, "/api/v2/logs", probe).expect(202),
            json!({})
        );
    }
    assert_eq!(
        client.get("/api/v1/validate").expect(200),
        json!({"valid": true})
    );
    for (body, detail) in [
        ("{", "the body is not JSON"),
        ("1", "the body must be an array or an object"),
        ("[1]", "a log must be an object"),
        ("\u{feff}[]", "the body is not JSON"),
    ] {
        let answer = post(&mut client, "/api/v2/logs", body).expect(400);
        let error = &answer["errors"][0];
        assert_eq!(
            (&error["status"], &error["title"]),
            (&json!("400"), &json!("Bad Request"))
        );
        assert!(
            error["detail"].as_str().unwrap().starts_with(detail),
            "{body}: {answer}"
        );
    }
    let response = client.request("POST", "/api/v2/logs", &["Content-Type: text/plain"], b"x");
    assert_eq!(response.expect(415)["errors"][0]["status"], "415");
    let response = client.request("GET", "/api/v2/logs", &[], b"");
    assert_eq!(response.header("allow"), Some("POST, OPTIONS"));
    assert_eq!(response.expect(405)["errors"][0]["status"], "405");
    assert!(stored(&server).is_empty());
}
