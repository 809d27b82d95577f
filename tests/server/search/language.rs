//! The language of the filters, in the words of the contract: what each example finds, and what is refused.

use serde_json::{json, Value};

use super::refusal;
use crate::harness::{event, Client, Server};

/// A value as it stands in an address.
fn encoded(value: &str) -> String {
    value.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Publishes events with these payloads, as JSON text, under the ids `e0`, `e1`, ….
fn publish(client: &mut Client, payloads: &[&str]) {
    for (n, payload) in payloads.iter().enumerate() {
        let head = event("t", &format!("e{n}")).to_string();
        let members: Value = serde_json::from_str(&head).unwrap();
        let (id, time, source) = (
            &members["event_id"],
            &members["timestamp"],
            &members["source"],
        );
        let body = format!(
            r#"{{"topic":"t","event_id":{id},"timestamp":{time},"source":{source},"payload":{payload}}}"#
        );
        client.publish(body).expect(200);
    }
}

/// Which of the events are found, by their numbers. Not all payloads are what a reader of JSON takes.
fn found(client: &mut Client, query: &str) -> Vec<usize> {
    let page = client.get(&format!("/events?after=0&limit=1000&{query}"));
    assert_eq!(page.status, 200, "{query}");
    let text = String::from_utf8(page.body).unwrap();
    let ids = text.split(r#""event_id":"e"#).skip(1);
    ids.map(|rest| rest.split('"').next().unwrap().parse().unwrap())
        .collect()
}

/// What each value of a member finds among these payloads.
fn check(member: &str, payloads: &[&str], table: &[(&str, &[usize])]) {
    let server = Server::start(&[]);
    let mut client = server.client();
    publish(&mut client, payloads);
    for (value, expected) in table {
        let query = format!("{member}={}", encoded(value));
        assert_eq!(found(&mut client, &query), *expected, "{member}={value}");
    }
}

#[test]
fn words_are_found_as_promised() {
    let payloads = [
        r#"{"msg":"Declined"}"#,
        r#"{"msg":"DECLINED: card expired"}"#,
        r#"{"msg":"undeclined"}"#,
        r#"{"msg":"connection timeout","host":"host:8080"}"#,
        r#"{"msg":["GET \/api\/v1","user-7"],"ip":"10.2.3.4"}"#,
        r#"{"declined":true,"n":-5,"x":0.10,"big":1e400}"#,
        r#"{"msg":"Connection reset","deep":{"a":[["caf\u00e9"]]}}"#,
        r#"{"msg":"card","other":"expired \"a\\b\""}"#,
        r#"{"half":"x\ud800y","null":null,"true":"no"}"#,
    ];
    let table: &[(&str, &[usize])] = &[
        ("declined", &[0, 1]),
        ("*declined", &[0, 1, 2]),
        ("DECLINED card", &[1]),
        ("\"card expired\"", &[1]),
        ("card expired", &[1, 7]),
        ("10.2.3.4", &[4]),
        ("2.3.4", &[4]),
        ("10.2.3", &[4]),
        ("0.2.3.4", &[]),
        ("/api/v1", &[4]),
        ("user-7", &[4]),
        ("8080", &[3]),
        (":8080", &[3]),
        ("080", &[]),
        ("*080", &[3]),
        ("time*", &[3]),
        ("*out", &[3]),
        ("*meo*", &[3]),
        ("\"connection res\"*", &[6]),
        ("\"-5\"", &[5]),
        ("5", &[5]),
        ("0.10", &[5]),
        ("0.1", &[]),
        ("1e400", &[5]),
        ("café", &[6]),
        ("caf", &[]),
        ("caf*", &[6]),
        ("CAFÉ", &[]),
        (r#""\"a\\b\"""#, &[7]),
        ("null", &[]),
        ("true", &[]),
        ("x", &[]),
        ("x*", &[8]),
        ("-declined -card", &[2, 3, 4, 5, 6, 8]),
        ("-\"card expired\" card", &[7]),
        ("-*meo* connection", &[6]),
        ("\"Declined undeclined\"", &[]),
        ("e3", &[3]),
        ("t -msg", &[0, 1, 2, 3, 4, 5, 6, 7, 8]),
    ];
    check("q", &payloads, table);
}

#[test]
fn conditions_find_what_is_promised() {
    let payloads = [
        r#"{"level":"error","ms":501,"trace_id":"4bf9"}"#,
        r#"{"level":"fatal","ms":"5.01e2","msg":"the card expired"}"#,
        r#"{"level":"debug","ms":500,"status":404}"#,
        r#"{"a":{"b":{"c":1}},"status":"503"}"#,
        r#"{"a.b":{"c":1},"status":4.04e2}"#,
        r#"{"a.b.c":1,"list":[]}"#,
        r#"{"a":[1,[{"b":{"c":[0,1]}}]],"n":12345678901234567890}"#,
        r#"{"n":12345678901234567891,"e":1e400,"z":-0,"s":""}"#,
        r#"{"p":0.10,"flag":true,"no":null,"o":{}}"#,
    ];
    let table: &[(&str, &[usize])] = &[
        ("level", &[0, 1, 2]),
        ("!level", &[3, 4, 5, 6, 7, 8]),
        ("level=error", &[0]),
        ("level=Error", &[]),
        ("level!=debug", &[0, 1, 3, 4, 5, 6, 7, 8]),
        ("level=*", &[0, 1, 2]),
        ("ms>500", &[0, 1]),
        ("ms>=500", &[0, 1, 2]),
        ("ms<501", &[2]),
        ("ms<=501", &[0, 1, 2]),
        ("ms=501", &[0]),
        ("status=404", &[2, 4]),
        ("status=\"404\"", &[]),
        ("status=\"503\"", &[3]),
        ("status=4*", &[2, 4]),
        ("status=5*", &[3]),
        ("!trace_id", &[1, 2, 3, 4, 5, 6, 7, 8]),
        ("msg~\"card expired\"", &[1]),
        ("msg!~card", &[0, 2, 3, 4, 5, 6, 7, 8]),
        ("a.b.c", &[3, 4, 5, 6]),
        ("a.b.c=1", &[3, 4, 5, 6]),
        ("a.b.c=0", &[6]),
        ("a.b.c!=1", &[0, 1, 2, 7, 8]),
        ("\"a.b\".c=1", &[4]),
        ("\"a.b.c\"", &[5]),
        ("list", &[5]),
        ("list!=x", &[0, 1, 2, 3, 4, 5, 6, 7, 8]),
        ("list=*", &[]),
        ("n=12345678901234567890", &[6]),
        ("n>12345678901234567890", &[7]),
        ("e>1e399", &[7]),
        ("z=0", &[7]),
        ("s=", &[7]),
        ("p=0.1", &[8]),
        ("p=1e-1", &[8]),
        ("p=0.1*", &[8]),
        ("flag=true", &[8]),
        ("flag=t*", &[]),
        ("no=null", &[8]),
        ("no", &[8]),
        ("o", &[8]),
        ("o=*", &[]),
        ("level<e", &[2]),
        ("level>=\"error\"", &[0, 1]),
        ("e>1e999999999999999999999", &[]),
    ];
    check("where", &payloads, table);
    let server = Server::start(&[]);
    let mut client = server.client();
    publish(&mut client, &payloads);
    for (query, expected) in [
        ("where=level=error&where=level=fatal", &[0, 1][..]),
        ("where=ms%3E100&where=ms%3C501", &[2]),
        ("where=level!=debug&where=level!=error&where=level", &[1]),
        ("where=level=error&where=ms=500", &[]),
        (
            "q=card&where=level=fatal&event_id=e*&source=*&topic=t",
            &[1],
        ),
        ("event_id=e1&event_id=e2&where=ms%3E500", &[1]),
        ("_=1&&where=ms+%3E+500", &[]),
    ] {
        assert_eq!(found(&mut client, query), expected, "{query}");
    }
}

#[test]
fn times_are_compared_as_instants() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let times = [
        "2026-01-02T04:00:00+01:00",
        "2026-01-02T03:00:00.000000001Z",
        "2026-01-02T02:59:60Z",
        "2026-01-02",
        "0000-01-01T00:00+00:01",
        "9999-12-31T23:59:60-23:59",
    ];
    for (n, time) in times.iter().enumerate() {
        let mut event = event("t", &format!("e{n}"));
        event["timestamp"] = json!(time);
        client.publish(event.to_string()).expect(200);
    }
    for (query, expected) in [
        ("since=2026-01-02T03:00:00Z", &[0, 1, 2, 5][..]),
        ("until=2026-01-02T03:00Z", &[3, 4]),
        (
            "since=2026-01-02T03:00Z&until=2026-01-02T03:00:00.000000001",
            &[0, 2],
        ),
        (
            "since=2026-01-02T04:00:00%2B01:00&until=2026-01-02T03:00:00Z",
            &[],
        ),
        ("since=2026-01-03&until=2026-01-02", &[]),
        ("until=0000-01-01", &[4]),
        ("since=now", &[5]),
        ("since=999999999w", &[0, 1, 2, 3, 4, 5]),
        ("until=999999999w", &[0, 1, 2, 3, 4, 5]),
        ("time=received&since=1h", &[0, 1, 2, 3, 4, 5]),
        ("time=received&until=1h", &[]),
        ("time=event&until=now", &[0, 1, 2, 3, 4]),
    ] {
        assert_eq!(found(&mut client, query), expected, "{query}");
    }
    let next = client
        .get("/events?since=1h&until=now&time=received&limit=1")
        .expect(200)["next"]
        .take();
    let next = next.as_str().unwrap();
    assert!(!next.contains("1h") && !next.contains("now"), "{next}");
    assert_eq!(client.get(next).expect(200)["count"], 1);
    let fault = client
        .get("/events?since=2026-01-02T03:00:00+01:00")
        .expect(422)["detail"][0]["msg"]
        .take();
    assert!(fault.as_str().unwrap().contains("%2B"), "{fault}");
    let fault = client.get("/events?since=tomorrow").expect(422)["detail"][0]["msg"].take();
    assert!(!fault.as_str().unwrap().contains("%2B"), "{fault}");
}

#[test]
fn what_is_not_legal_is_refused_on_each_route() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let long_name = format!("source={}", "a".repeat(256));
    let long_term = format!("q={}", "a".repeat(257));
    let long_where = format!("where={}", "a".repeat(513));
    let steps = format!("where={}", ["a"; 17].join("."));
    let many = |member: &str, times: usize| format!("{member}&").repeat(times);
    let (sources, ids) = (many("source=a", 65), many("event_id=a", 65));
    let (qs, terms, wheres) = (
        many("q=a", 9),
        format!("q={}", "a+".repeat(33)),
        many("where=a", 33),
    );
    let table = [
        ("topic", vec!["topic=", "topic=%00", "topic=%zz"]),
        (
            "source",
            vec!["source=", "source=a%0A", &long_name, &sources],
        ),
        ("event_id", vec!["event_id=", "event_id=%7F*", &ids]),
        (
            "since",
            vec![
                "since=",
                "since=1x",
                "since=1h&since=1h",
                "since=2026-02-30",
                "since=1234567890s",
            ],
        ),
        (
            "until",
            vec!["until=", "until=h", "until=now&until=now", "until=Now"],
        ),
        ("time", vec!["time=", "time=Event", "time=event&time=event"]),
        (
            "q",
            vec![
                "q=",
                "q=+",
                "q=-",
                "q=*",
                "q=**",
                "q=%22%22",
                "q=%22a",
                "q=%22a%22b",
                &long_term,
                &qs,
                &terms,
            ],
        ),
        (
            "where",
            vec![
                "where=",
                "where==a",
                "where=!",
                "where=a..b",
                "where=.a",
                "where=a.",
                "where=a!b",
                "where=!a=b",
                "where=%22a",
                "where=%22a%22b",
                "where=a%22b%22",
                "where=a=%22x",
                "where=a=%22x%22y",
                "where=a=%22%5Cud800%22",
                "where=a%3E",
                "where=a~",
                "where=a~-x",
                "where=a~x+y",
                &long_where,
                &steps,
                &wheres,
            ],
        ),
    ];
    for route in ["/events", "/subscribe", "/histogram", "/fields"] {
        for (name, queries) in &table {
            for query in queries {
                assert_eq!(
                    refusal(&mut client, &format!("{route}?{query}")),
                    json!(["query", name]),
                    "{route}?{query}"
                );
            }
        }
        let fault = client.get(&format!("{route}?sorce=a")).expect(422)["detail"][0].take();
        let expected = json!({
            "loc": ["query", "sorce"], "msg": "unknown query member; did you mean source?", "type": "unknown_member",
        });
        assert_eq!(fault, expected);
        let fault =
            client.get(&format!("{route}?nothing=a")).expect(422)["detail"][0]["msg"].take();
        assert!(fault.as_str().unwrap().contains("event_id"), "{fault}");
    }
}

#[test]
fn a_next_that_fits_into_no_address_is_refused() {
    let server = Server::start(&[]);
    let mut client = server.client();
    // As long in an address of a request, but three times as long when all is encoded.
    let where_ = |len: usize| format!("where=a={}", "/".repeat(len));
    let fits = [where_(400), where_(400), where_(400)].join("&");
    let too_long = (0..12).map(|_| where_(400)).collect::<Vec<_>>().join("&");
    for route in ["/events", "/histogram"] {
        client.get(&format!("{route}?{fits}")).expect(200);
        assert_eq!(
            refusal(&mut client, &format!("{route}?{too_long}")),
            json!(["query"])
        );
    }
}
