//! Messages of both formats, and of none.

use proptest::prelude::*;

use super::*;
use crate::ingest::syslog::message::Time;

fn network(bytes: &str) -> Message<'_> {
    parse(bytes.as_bytes(), Place::Network)
}

/// Priority, time, host, tag, what stands in brackets, and the text, with `-` for what is not there.
fn shown(message: &Message) -> String {
    let text = |field: Option<&[u8]>| match field {
        Some(field) => String::from_utf8(field.to_vec()).unwrap(),
        None => "-".to_owned(),
    };
    let time = match message.time {
        None => "-".to_owned(),
        Some(Time::AsSent(text)) => text.to_owned(),
        Some(Time::Yearless {
            month,
            day,
            hour,
            minute,
            second,
        }) => format!("{month}/{day} {hour}:{minute}:{second}"),
    };
    format!(
        "{} | {time} | {} | {} | {} | {}",
        message.priority,
        text(message.hostname),
        text(message.app_name),
        text(message.proc_id),
        text(message.text)
    )
}

#[test]
fn rfc_5424_is_read() {
    // The examples of RFC 5424 §6.5.
    let message = network(
        "<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \u{feff}'su root' failed",
    );
    let expected = Message {
        priority: 34,
        time: Some(Time::AsSent("2003-10-11T22:14:15.003Z")),
        hostname: Some(b"mymachine.example.com"),
        app_name: Some(b"su"),
        proc_id: None,
        msg_id: Some(b"ID47"),
        structured_data: None,
        text: Some(b"'su root' failed"),
    };
    assert_eq!(message, expected);
    let data = r#"[exampleSDID@32473 iut="3" eventID="1011"][examplePriority@32473 class="high"]"#;
    let line = format!("<165>1 2003-10-11T22:14:15.003Z h evntslog 8710 - {data}");
    let message = network(&line);
    assert_eq!(message.structured_data, Some(data.as_bytes()));
    assert_eq!((message.proc_id, message.text), (Some(&b"8710"[..]), None));
    assert_eq!((message.facility(), message.severity()), (20, 5));
    let with_text = format!("{line} An application event\n");
    assert_eq!(network(&with_text).text, Some(&b"An application event"[..]));
    let all_nil = network("<0>1 - - - - - -");
    let nothing = Message {
        text: None,
        ..Message::plain(0, b"")
    };
    assert_eq!(all_nil, nothing);
    assert_eq!(network("<0>1 - - - - - - ").text, Some(&b""[..]));
}

#[test]
fn what_is_not_quite_rfc_5424_keeps_all_of_its_text() {
    for text in [
        "1 2003-13-11T22:14:15.003Z h a p m - text",
        "1 2003-10-11 h a p m - text",
        "1 - h a p m",
        "1 - h a p m [x text",
        "1 - h a p m [x]text",
        "1 - h  p m - text",
        "1 - h a p m -text",
        "1 ",
        "1",
        "2 - h a p m - text",
    ] {
        let line = format!("<14>{text}");
        assert_eq!(
            shown(&network(&line)),
            format!("14 | - | - | - | - | {text}")
        );
    }
}

#[test]
fn rfc_3164_is_read_as_it_is_found() {
    for (line, expected) in [
        (
            "<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8",
            "34 | 10/11 22:14:15 | mymachine | su | - | 'su root' failed for lonvick on /dev/pts/8",
        ),
        (
            "<13>Feb  5 17:32:18 10.0.0.99 sshd[12]: hi",
            "13 | 2/5 17:32:18 | 10.0.0.99 | sshd | 12 | hi",
        ),
        (
            "<13>Feb 05 17:32:18 fe80::1 a/b.c-d_e[x y]: hi",
            "13 | 2/5 17:32:18 | fe80::1 | - | - | a/b.c-d_e[x y]: hi",
        ),
        (
            "<13>Feb 5 17:32:18 2001:db8::1 tag: hi",
            "13 | 2/5 17:32:18 | 2001:db8::1 | tag | - | hi",
        ),
        (
            "<13>Feb 29 00:00:60 host text without tag",
            "13 | 2/29 0:0:60 | host | - | - | text without tag",
        ),
        (
            "<13>Oct 11 22:14:15 tag: no host",
            "13 | 10/11 22:14:15 | - | tag | - | no host",
        ),
        (
            "<13>Oct 11 22:14:15 tag[1]: no host",
            "13 | 10/11 22:14:15 | - | tag | 1 | no host",
        ),
        (
            "<13>Oct 11 22:14:15 word",
            "13 | 10/11 22:14:15 | - | - | - | word",
        ),
        (
            "<13>Oct 11 22:14:15 \"quoted\" text",
            "13 | 10/11 22:14:15 | - | - | - | \"quoted\" text",
        ),
        ("<13>Oct 11 22:14:15", "13 | 10/11 22:14:15 | - | - | - | "),
        (
            "<13>2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc[8710]: %% It's time.",
            "13 | 2003-08-24T05:14:15.000003-07:00 | 192.0.2.1 | myproc | 8710 | %% It's time.",
        ),
        (
            "<13> 2003-08-24T05:14:15Z h t: x",
            "13 | 2003-08-24T05:14:15Z | h | t | - | x",
        ),
    ] {
        assert_eq!(shown(&network(line)), expected, "{line}");
    }
}

#[test]
fn rfc_3164_may_have_no_time() {
    for (line, expected) in [
        ("<13>tag: text", "13 | - | - | tag | - | text"),
        ("<13>tag:text", "13 | - | - | tag | - | text"),
        ("<13>tag[7]:text", "13 | - | - | tag | 7 | text"),
        ("<13>tag[]: text", "13 | - | - | tag | - | text"),
        ("<13>tag[7] text", "13 | - | - | - | - | tag[7] text"),
        ("<13>host tag: text", "13 | - | - | - | - | host tag: text"),
        (
            "<13>%LINK-3-UPDOWN: Interface",
            "13 | - | - | %LINK-3-UPDOWN | - | Interface",
        ),
        ("<13>tag:  two blanks", "13 | - | - | tag | - |  two blanks"),
        ("<13>tag:", "13 | - | - | tag | - | "),
        (
            "<13>http://example.com down",
            "13 | - | - | - | - | http://example.com down",
        ),
        ("<13>12:34 o'clock", "13 | - | - | - | - | 12:34 o'clock"),
        ("<13>: text", "13 | - | - | - | - | : text"),
        (
            "<13>Oct 32 22:14:15 h t: x",
            "13 | - | - | - | - | Oct 32 22:14:15 h t: x",
        ),
        (
            "<13>Feb 30 22:14:15 h t: x",
            "13 | - | - | - | - | Feb 30 22:14:15 h t: x",
        ),
        (
            "<13>Oct 11 24:14:15 h t: x",
            "13 | - | - | - | - | Oct 11 24:14:15 h t: x",
        ),
        (
            "<13>Oct 11 22:14:15.1 h t: x",
            "13 | - | - | - | - | Oct 11 22:14:15.1 h t: x",
        ),
        ("<13>", "13 | - | - | - | - | "),
        ("<191>x", "191 | - | - | - | - | x"),
        ("<000>x", "0 | - | - | - | - | x"),
    ] {
        assert_eq!(shown(&network(line)), expected, "{line}");
    }
}

#[test]
fn without_a_priority_all_is_the_text() {
    for line in [
        "",
        "text",
        "tag: text",
        "Oct 11 22:14:15 h t: x",
        "<192>x",
        "<>x",
        "<1234>x",
        "<13",
        "<1x>y",
        " <13>x",
        "<-1>x",
    ] {
        assert_eq!(
            shown(&network(line)),
            format!("13 | - | - | - | - | {line}")
        );
    }
}

#[test]
fn on_a_unix_socket_a_host_stands_only_before_a_tag() {
    let local = |line: &'static str| shown(&parse(line.as_bytes(), Place::Local));
    for (line, expected) in [
        (
            "<13>Oct 11 22:14:15 app[1]: hi",
            "13 | 10/11 22:14:15 | - | app | 1 | hi",
        ),
        (
            "<13>Oct 11 22:14:15 host app: hi",
            "13 | 10/11 22:14:15 | host | app | - | hi",
        ),
        (
            "<13>Oct 11 22:14:15 a plain text",
            "13 | 10/11 22:14:15 | - | - | - | a plain text",
        ),
        (
            "<13>Oct 11 22:14:15 root: the message: hi",
            "13 | 10/11 22:14:15 | - | root | - | the message: hi",
        ),
    ] {
        assert_eq!(local(line), expected);
    }
}

#[test]
fn one_end_of_line_is_taken_off() {
    for (line, text) in [
        ("<1>a\n", "a"),
        ("<1>a\r\n", "a"),
        ("<1>a\0", "a"),
        ("<1>a\n\n", "a\n"),
        ("<1>a\0\0", "a\0"),
        ("<1>a\r", "a\r"),
        ("<1>a\n\0", "a\n"),
        ("<1>a\nb\n", "a\nb"),
        ("<1>\u{feff}a", "a"),
        ("<1>tag: \u{feff}a", "a"),
        ("\u{feff}a", "a"),
        ("\n", ""),
    ] {
        assert_eq!(network(line).text, Some(text.as_bytes()), "{line:?}");
    }
}

proptest! {
    /// The fields of a message are parts of it in their order, and what is between them is short.
    #[test]
    fn each_byte_is_accounted_for(
        bytes in "(<[0-9]{0,4}>)?(1 )?[ -~\\[\\]:\u{e9}\n]{0,60}",
        is_local in any::<bool>(),
    ) {
        let place = if is_local { Place::Local } else { Place::Network };
        let message = parse(bytes.as_bytes(), place);
        let Message { hostname, app_name, proc_id, msg_id, structured_data, text, .. } = message;
        let mut end = 0;
        for field in [hostname, app_name, proc_id, msg_id, structured_data, text].into_iter().flatten() {
            let start = field.as_ptr() as usize - bytes.as_ptr() as usize;
            prop_assert!(start >= end);
            end = start + field.len();
        }
        if text.is_some() {
            prop_assert!(bytes.len() - end <= 2);
        }
    }

    #[test]
    fn what_was_sent_as_rfc_5424_is_read(
        priority in 0..192u8,
        words in prop::array::uniform4("-|[!-~]{1,20}"),
        text in prop::option::of("[^\u{feff}\n\u{0}\r]{0,30}"),
    ) {
        let [host, app, pid, id] = &words;
        let mut line = format!("<{priority}>1 2026-01-02T03:04:05Z {host} {app} {pid} {id} -");
        if let Some(text) = &text {
            line += " ";
            line += text;
        }
        let message = network(&line);
        let field = |word: &str| if word == "-" { None } else { Some(word.as_bytes().to_vec()) };
        let found = [message.hostname, message.app_name, message.proc_id, message.msg_id];
        let found = found.map(|field| field.map(<[u8]>::to_vec));
        prop_assert_eq!(found, [field(host), field(app), field(pid), field(id)]);
        prop_assert_eq!(message.text, text.as_ref().map(|text| text.as_bytes()));
    }

    #[test]
    fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        parse(&bytes, Place::Network);
        parse(&bytes, Place::Local);
    }
}
