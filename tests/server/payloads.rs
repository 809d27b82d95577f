//! The payload is kept exactly; only white space between its tokens may go.

use serde_json::json;

use crate::harness::{Client, Response, Server};

fn body(event_id: &str, payload: &str) -> String {
    format!(
        "{{\"topic\":\"t\",\"event_id\":\"{event_id}\",\"timestamp\":\"2026-01-02\",\
         \"source\":\"s\",\"payload\":{payload}}}"
    )
}

fn publish(client: &mut Client, event_id: &str, payload: &str) -> Response {
    client.publish_to("/publish?results=true", body(event_id, payload))
}

/// The text of the payload in the answer that holds one event.
fn payload_text(answer: &Response) -> String {
    let text = answer.text();
    let (_, rest) = text.split_once("\"payload\":").expect("there is a payload");
    let end = rest
        .find(",\"processed_at\":")
        .expect("the payload is followed");
    rest[..end].to_owned()
}

#[test]
fn it_comes_back_as_sent() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for (number, payload) in [
        "{}",
        r#"{"z":1,"a":2,"m":3}"#,
        r#"{"a":1,"a":2,"a":{"b":1,"b":1}}"#,
        r#"{"n":[12345678901234567890,0.10,1e400,-0,-0.0,1E+2,1.0,100000000000000000000000000000]}"#,
        r#"{"n":0.1000000000000000055511151231257827021181583404541015625}"#,
        r#"{"lone":"\ud800","lower":"\udc00x","key\udfff":1}"#,
        r#"{"escapes":"\u0041\u00e9\/\n\t\"\\\b\f\r\u0000\uD83D\uDE00"}"#,
        r#"{"white space  in \" a : string , stays":" { } [ ] \\"}"#,
        "{\"raw\":\"é日本😀\u{7f}\u{2028}\"}",
        r#"{"":"","topic":"x","events":[],"payload":{"payload":{}}}"#,
        r#"{"t":true,"f":false,"n":null,"a":[],"o":{}}"#,
        r#"{"__proto__":{"x":1},"constructor":null}"#,
    ]
    .iter()
    .enumerate()
    {
        let event_id = number.to_string();
        publish(&mut client, &event_id, payload).expect(200);
        assert_eq!(payload_text(&client.get("/events?limit=1")), **payload);
        assert_eq!(payload_text(&client.get(&format!("/events/t/{event_id}"))), **payload);
        // The same text again is a duplicate, not a conflict.
        let again = publish(&mut client, &event_id, payload).expect(200);
        assert_eq!(again["results"][0]["status"], "duplicate", "{payload}");
    }
    // And the file keeps them.
    let server = server.restart();
    let answer = server.get("/events/t/3");
    assert!(
        payload_text(&answer).starts_with(r#"{"n":[12345678901234567890,0.10,1e400,-0,-0.0,1E+2"#)
    );
}

#[test]
fn white_space_between_tokens_makes_no_difference() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let loose = "{ \"a b\"\t:\r\n[ 1 , \"x  \\\" y\" , { } , [ ] ]\n,\n\"c\" : null }";
    let tight = r#"{"a b":[1,"x  \" y",{},[]],"c":null}"#;
    publish(&mut client, "e", loose).expect(200);
    let kept = payload_text(&client.get("/events/t/e"));
    // It may go or stay.
    assert!([loose, tight].contains(&kept.as_str()), "{kept}");
    for payload in [tight, loose] {
        let again = publish(&mut client, "e", payload).expect(200);
        assert_eq!(again["results"], json!([{"status": "duplicate", "seq": 1}]));
    }
    // White space within a string is content.
    let other = r#"{"a b":[1,"x \" y",{},[]],"c":null}"#;
    let again = publish(&mut client, "e", other).expect(200);
    assert_eq!(again["results"], json!([{"status": "conflict", "seq": 1}]));
}

#[test]
fn text_that_means_the_same_is_still_a_conflict() {
    let server = Server::start(&[]);
    let mut client = server.client();
    publish(&mut client, "e", r#"{"a":1,"b":"c"}"#).expect(200);
    for other in [
        r#"{"a":1.0,"b":"c"}"#,
        r#"{"b":"c","a":1}"#,
        r#"{"a":1,"b":"\u0063"}"#,
        r#"{"a":1,"b":"c","b":"c"}"#,
    ] {
        let answer = publish(&mut client, "e", other).expect(200);
        assert_eq!(answer["results"][0]["status"], "conflict", "{other}");
    }
    assert_eq!(
        payload_text(&client.get("/events/t/e")),
        r#"{"a":1,"b":"c"}"#
    );
}

#[test]
fn it_may_be_nested_128_levels_and_no_deeper() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let objects = |levels: usize| "{\"a\":".repeat(levels - 1) + "{}" + &"}".repeat(levels - 1);
    let arrays = |levels: usize| {
        let inner = levels - 1;
        format!("{{\"a\":{}{}}}", "[".repeat(inner), "]".repeat(inner))
    };
    for (event_id, payload) in [("o", objects(128)), ("a", arrays(128))] {
        publish(&mut client, event_id, &payload).expect(200);
        assert_eq!(
            payload_text(&client.get(&format!("/events/t/{event_id}"))),
            payload
        );
    }
    // Brackets within strings and side by side are no levels.
    let wide = format!(
        "{{\"a\":\"{}\",\"b\":[{}[]]}}",
        "[{".repeat(500),
        "[],".repeat(500)
    );
    publish(&mut client, "w", &wide).expect(200);
    assert_eq!(payload_text(&client.get("/events/t/w")), wide);

    for payload in [
        objects(129),
        arrays(129),
        objects(100_000),
        arrays(100_000),
        arrays(2_000_000),
    ] {
        let answer = publish(&mut client, "deep", &payload).expect(422);
        assert_eq!(answer["detail"][0]["loc"], json!(["body", "payload"]));
    }
    assert_eq!(server.json("/stats")["received"], 3);
}

#[test]
fn deep_nesting_elsewhere_is_no_crash_either() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let depth = 100_000;
    for body in [
        "[".repeat(depth),
        "{\"events\":".repeat(depth),
        "{\"a\":".repeat(depth),
        "[".repeat(depth) + &"]".repeat(depth),
        format!("{{\"events\":{}{}}}", "[".repeat(depth), "]".repeat(depth)),
        format!("{{\"topic\":{}{}}}", "[".repeat(depth), "]".repeat(depth)),
    ] {
        let answer = client.publish(&body).expect(422);
        assert_eq!(answer["detail"][0]["loc"][0], "body");
    }
    assert_eq!(server.get("/health").status, 200);
}

/// Makes payloads from a seed: the same tokens once without and once with white space between them.
struct Maker {
    state: u64,
    tight: String,
    loose: String,
}

impl Maker {
    /// A number below `bound` (xorshift64).
    fn pick(&mut self, bound: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 11) as usize % bound
    }

    fn token(&mut self, token: &str) {
        self.tight.push_str(token);
        self.loose.push_str(token);
        for _ in 0..self.pick(3) {
            let white = [" ", "\t", "\n", "\r\n"][self.pick(4)];
            self.loose.push_str(white);
        }
    }

    fn string(&mut self) {
        const PARTS: [&str; 14] = [
            "a", " ", "  ", "\\\"", "\\\\", "\\u0000", "\\ud800", "\\uDFFF", "é", "😀", "{", "]",
            ":", ",",
        ];
        let mut string = String::from("\"");
        for _ in 0..self.pick(6) {
            string.push_str(PARTS[self.pick(PARTS.len())]);
        }
        string.push('"');
        self.token(&string);
    }

    fn value(&mut self, depth: usize) {
        const PLAIN: [&str; 8] = [
            "null",
            "true",
            "false",
            "0",
            "-0.0",
            "1e400",
            "0.10",
            "12345678901234567890",
        ];
        match self.pick(if depth < 6 { 4 } else { 2 }) {
            0 => {
                let plain = PLAIN[self.pick(PLAIN.len())];
                self.token(plain);
            }
            1 => self.string(),
            2 => {
                self.token("[");
                for n in 0..self.pick(5) {
                    if n > 0 {
                        self.token(",");
                    }
                    self.value(depth + 1);
                }
                self.token("]");
            }
            _ => self.object(depth),
        }
    }

    fn object(&mut self, depth: usize) {
        self.token("{");
        for n in 0..self.pick(5) {
            if n > 0 {
                self.token(",");
            }
            self.string();
            self.token(":");
            self.value(depth + 1);
        }
        self.token("}");
    }
}

#[test]
fn any_payload_comes_back_as_sent_and_white_space_makes_it_no_conflict() {
    let server = Server::start(&["--durability", "normal", "--log-duplicates", "off"]);
    let mut client = server.client();
    for seed in 1..=400_u64 {
        let mut maker = Maker {
            state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            tight: String::new(),
            loose: String::new(),
        };
        maker.object(0);
        let (first, second) = match seed % 2 {
            0 => (&maker.tight, &maker.loose),
            _ => (&maker.loose, &maker.tight),
        };
        let event_id = seed.to_string();
        publish(&mut client, &event_id, first).expect(200);
        let kept = payload_text(&client.get(&format!("/events/t/{event_id}")));
        assert!(
            [first, &maker.tight].contains(&&kept),
            "seed {seed}: {first} became {kept}"
        );
        let again = publish(&mut client, &event_id, second).expect(200);
        assert_eq!(
            again["results"][0]["status"], "duplicate",
            "seed {seed}: {second}"
        );
    }
    assert_eq!(server.json("/stats")["conflicts"], 0);
}
