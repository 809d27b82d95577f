//! Payloads, and how text is had back from them.

use proptest::prelude::*;
use serde_json::{json, Value};

use super::*;
use crate::event::payload_error;
use crate::ingest::syslog::{parse, Place};

fn write(writer: &mut PayloadWriter, bytes: &[u8], truncated: bool, out: &mut Vec<u8>) {
    let message = parse(bytes, Place::Network);
    writer.write(&message, Text::of(&message), truncated, out);
}

fn payload(bytes: &[u8]) -> Value {
    let mut out = b"before".to_vec();
    write(&mut PayloadWriter::default(), bytes, false, &mut out);
    let text = String::from_utf8(out.split_off(b"before".len())).unwrap();
    assert_eq!(payload_error(&text), None, "{text}");
    serde_json::from_str(&text).unwrap()
}

#[test]
fn all_members_are_there_and_no_others() {
    let line =
        br#"<165>1 2003-10-11T22:14:15Z h.example app 8710 ID47 [a@1 x="1"] text "quoted" \n"#;
    let expected = json!({
        "facility": 20, "severity": 5, "hostname": "h.example", "appname": "app", "procid": "8710", "msgid": "ID47",
        "structured_data": {"a@1": {"x": "1"}}, "message": "text \"quoted\" \\n",
    });
    assert_eq!(payload(line), expected);
    assert_eq!(
        payload(b"<0>1 - - - - - -"),
        json!({"facility": 0, "severity": 0})
    );
    assert_eq!(
        payload(b""),
        json!({"facility": 1, "severity": 5, "message": ""})
    );
    let mut out = Vec::new();
    write(&mut PayloadWriter::default(), b"a\0b", true, &mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        r#"{"facility":1,"severity":5,"message":"a\u0000b","truncated":true}"#
    );
}

#[test]
fn structured_data_is_grouped_in_the_order_in_which_it_came() {
    let mut out = Vec::new();
    let mut writer = PayloadWriter::default();
    for (data, expected) in [
        (r#"[b y="1"][a x="2"]"#, r#"{"b":{"y":"1"},"a":{"x":"2"}}"#),
        (r#"[a]"#, r#"{"a":{}}"#),
        (r#"[a][b z="\]"]"#, r#"{"a":{},"b":{"z":"]"}}"#),
        (
            r#"[a x="1" w="0" x="2"][b][a v="" x="\"\\\n3"]"#,
            r#"{"a":{"x":["1","2","\"\\\\n3"],"w":"0","v":""},"b":{}}"#,
        ),
        (r#"[a][a x="1"]"#, r#"{"a":{"x":"1"}}"#),
        (r#"[a x="1"][a]"#, r#"{"a":{"x":"1"}}"#),
    ] {
        let line = format!("<1>1 - - - - - {data}");
        out.clear();
        write(&mut writer, line.as_bytes(), false, &mut out);
        let expected = format!(r#"{{"facility":0,"severity":1,"structured_data":{expected}}}"#);
        assert_eq!(String::from_utf8(out.clone()).unwrap(), expected);
    }
}

#[test]
fn what_is_not_utf_8_is_escaped_in_the_whole_message() {
    let expected = json!({
        "facility": 0, "severity": 1, "appname": "a\\\\b", "message": "c:\\\\x \\xff\\xc3é", "escaped": true,
    });
    assert_eq!(payload(b"<1>a\\b: c:\\x \xff\xc3\xc3\xa9"), expected);
    let plain = json!({"facility": 0, "severity": 1, "message": "c:\\x é"});
    assert_eq!(payload("<1>c:\\x é".as_bytes()), plain);
    let message = parse(b"<1>a\xe9: b", Place::Network);
    assert_eq!(
        Text::of(&message).plain(message.app_name.unwrap()),
        "a\\xe9"
    );
}

/// Undoes what [`Text`] does to text that is not UTF-8.
fn unescaped(text: &str) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, others @ ..] = rest {
        rest = match (first, others) {
            (b'\\', [b'\\', others @ ..]) => {
                out.push(b'\\');
                others
            }
            (b'\\', [b'x', digits @ ..]) => {
                let hex = std::str::from_utf8(&digits[..2]).unwrap();
                out.push(u8::from_str_radix(hex, 16).unwrap());
                &digits[2..]
            }
            _ => {
                out.push(*first);
                others
            }
        };
    }
    out
}

proptest! {
    #[test]
    fn a_text_can_be_had_back(text in prop::collection::vec(
        prop_oneof![any::<u8>(), prop::sample::select(&b"\\x\"a\xc3\xa9"[..])], 0..60)) {
        let line = [b"<1>1 - - - - - - ", &text[..]].concat();
        let message = parse(&line, Place::Network);
        let sent = message.text.unwrap();
        let payload = payload(&line);
        let written = payload["message"].as_str().unwrap();
        let is_escaped = payload.get("escaped") == Some(&Value::Bool(true));
        prop_assert_eq!(is_escaped, std::str::from_utf8(&line).is_err());
        let back = if is_escaped { unescaped(written) } else { written.as_bytes().to_vec() };
        prop_assert_eq!(back, sent);
    }

    #[test]
    fn whatever_comes_is_a_payload(bytes in prop::collection::vec(
        prop_oneof![any::<u8>(), prop::sample::select(&b"<1>1 - [a b=\"c\"]: "[..])], 0..80)) {
        payload(&bytes);
        payload(&[b"<1>1 - - - - - ", &bytes[..]].concat());
    }
}
