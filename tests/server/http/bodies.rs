//! Chunked request bodies, and bodies of every size.

use super::{exchange, PUBLISH};
use crate::harness::{event, Server};

fn chunked(parts: &[(&str, &str)], end: &str) -> String {
    let mut request = format!("{PUBLISH}Transfer-Encoding: chunked\r\n\r\n");
    for (extension, part) in parts {
        request += &format!("{:x}{extension}\r\n{part}\r\n", part.len());
    }
    request + end
}

#[test]
fn chunks_extensions_and_trailers() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let body = event("chunks", "1").to_string();
    let (front, back) = body.split_at(body.len() / 2);
    let whole = [("", body.as_str())];
    let halves = [("", front), ("", back)];
    let extended = [(";a", front), (" ; b=c ;d=\"e;f\"", back)];
    let ends = [
        "0\r\n\r\n",
        "000\r\n\r\n",
        "0;last\r\n\r\n",
        "0\r\nDigest: x\r\nContent-Length: 3\r\n\r\n",
    ];
    let mut received = 0;
    for parts in [&whole[..], &halves[..], &extended[..]] {
        for end in ends {
            received += 1;
            let answer = exchange(&mut client, chunked(parts, end)).expect(200);
            assert_eq!(answer["received"], 1, "{parts:?} {end:?}");
        }
    }
    let singles: Vec<String> = body.chars().map(String::from).collect();
    let singles: Vec<(&str, &str)> = singles.iter().map(|one| ("", one.as_str())).collect();
    exchange(&mut client, chunked(&singles, ends[0])).expect(200);
    let stats = client.get("/stats").expect(200);
    assert_eq!(stats["received"], received + 1);
    assert_eq!(stats["unique_processed"], 1);
    assert_eq!(stats["conflicts"], 0);
}

/// What is not data is bounded by what is: a body that is nearly all framing is refused before its end, and
/// one of as small chunks as there are is taken.
#[test]
fn the_framing_of_a_chunked_body_is_bounded_by_its_data() {
    let server = Server::start(&[]);
    for size in [
        format!("1;{}", "x".repeat(999)),
        format!("{}1", "0".repeat(999)),
    ] {
        let mut client = server.client();
        client.send(format!("{PUBLISH}Transfer-Encoding: chunked\r\n\r\n"));
        client.send(format!("{size}\r\n \r\n").repeat(500));
        let answer = client.response();
        assert!(answer.sentence(400).contains("framing"));
        assert_eq!(answer.header("connection"), Some("close"));
    }
    let mut large = event("small-chunks", "1");
    large["payload"]["text"] = "x".repeat(1_000_000).into();
    let mut body = String::new();
    for letter in large.to_string().chars() {
        body.extend(["1\r\n", letter.encode_utf8(&mut [0; 4]), "\r\n"]);
    }
    let mut client = server.client();
    client.send(format!(
        "{PUBLISH}Transfer-Encoding: chunked\r\n\r\n{body}0\r\n\r\n"
    ));
    assert_eq!(client.response().expect(200)["accepted"], 1);
    let stored = client.get("/events/small-chunks/1").expect(200);
    assert_eq!(stored["payload"], large["payload"]);
}

/// The coding's name is case-insensitive, and an empty chunked body is an empty body.
#[test]
fn an_empty_chunked_body_is_no_event() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let empty = format!("{PUBLISH}Transfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n");
    exchange(&mut client, empty).expect(422);
    client.get("/health").expect(200);
}

/// A body many times larger than any buffer on its way, both ways of framing it.
#[test]
fn a_large_body_arrives_whole() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let mut large = event("large", "1");
    large["payload"]["text"] = "x".repeat(3_000_000).into();
    let by_length = client.publish(large.to_string()).expect(200);
    assert_eq!(by_length["accepted"], 1);
    large["event_id"] = "2".into();
    let body = large.to_string();
    let parts: Vec<(&str, &str)> = (0..body.len())
        .step_by(100_000)
        .map(|at| ("", &body[at..body.len().min(at + 100_000)]))
        .collect();
    let answer = exchange(&mut client, chunked(&parts, "0\r\n\r\n")).expect(200);
    assert_eq!(answer["accepted"], 1);
    let stored = client.get("/events/large/2").expect(200);
    assert_eq!(stored["payload"], large["payload"]);
}
