//! A browser's own `EventSource`, in headless Chromium: it gets every event once, and goes on where it was
//! when its connection breaks. Between the two stands a listener of ours, which serves the page, so that
//! the stream has the page's origin, and cuts the first stream off.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{channel, Sender};
use std::thread;

use super::publish;
use crate::chromium::{self, Chromium};
use crate::harness::{Address, Server, Setup, TemporaryDirectory, TIMEOUT};

/// Events, and bytes of the stream that the browser gets before its connection breaks.
const EVENTS: usize = 300;
const CUT_BEHIND_BYTES: u64 = 20_000;

const PAGE: &str = r#"<!doctype html><script>
const seqs = [];
const source = new EventSource("/subscribe?after=0");
source.onmessage = message => {
  seqs.push(JSON.parse(message.data).seq);
  if (seqs.length >= 300) { source.close(); fetch("/report?" + seqs.join(",")); }
};
</script>"#;

/// What the listener tells the test.
enum Seen {
    /// The first lines of a request for a stream.
    Asked(String),
    Report(String),
}

fn head_of(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}

/// Answers one connection of the browser's: with the page, or with what the server says.
fn serve(mut client: TcpStream, server: SocketAddr, seen: &Sender<Seen>, is_first: &mut bool) {
    let Some(head) = head_of(&mut client) else {
        return;
    };
    let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let answer = |body: &str| {
        let length = body.len();
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n\
             Connection: close\r\n\r\n{body}"
        )
    };
    if let Some(report) = target.strip_prefix("/report?") {
        let _ = seen.send(Seen::Report(report.to_owned()));
    } else if target.starts_with("/subscribe") {
        let _ = seen.send(Seen::Asked(head.clone()));
        let mut upstream = TcpStream::connect(server).expect("the server listens");
        upstream
            .write_all(head.as_bytes())
            .expect("it takes a request");
        let limit = if std::mem::take(is_first) {
            CUT_BEHIND_BYTES
        } else {
            u64::MAX
        };
        thread::spawn(move || {
            // Ends when either side goes.
            let _ = std::io::copy(&mut (&mut upstream).take(limit), &mut client);
            let _ = client.shutdown(Shutdown::Both);
        });
        return;
    }
    let body = if target == "/page" { PAGE } else { "" };
    let _ = client.write_all(answer(body).as_bytes());
}

/// Ended when the test is.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn an_event_source_gets_every_event_once_though_its_connection_breaks() {
    let Some(program) = chromium::program() else {
        crate::report::skipped("a browser's EventSource", "chromium is not installed");
        return;
    };
    let server = Server::start(&[]);
    publish(&server, "t", "e", EVENTS);
    let Address::Tcp(address) = *server.address() else {
        panic!("the server listens on TCP");
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let page = format!("http://{}/page", listener.local_addr().unwrap());
    let (sender, seen) = channel();
    thread::spawn(move || {
        let mut is_first = true;
        for client in listener.incoming().flatten() {
            serve(client, address, &sender, &mut is_first);
        }
    });
    let profile = TemporaryDirectory::new();
    let mut command = Command::new(program);
    command
        .args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
        ])
        .args(["--no-first-run", "--remote-debugging-port=0"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(page)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let _running = Running(command.spawn().expect("the browser starts"));

    let mut asked = Vec::new();
    let report = loop {
        match seen.recv_timeout(TIMEOUT).expect("the browser goes on") {
            Seen::Asked(head) => asked.push(head),
            Seen::Report(report) => break report,
        }
    };
    let seqs: Vec<usize> = report.split(',').map(|seq| seq.parse().unwrap()).collect();
    assert_eq!(seqs, (1..=EVENTS).collect::<Vec<_>>());
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(
        !asked[0].contains("Last-Event-ID") && asked[1].contains("Last-Event-ID: "),
        "{asked:?}"
    );
}

/// The `id` of a reset takes the place of the position that was too large.
#[test]
fn a_browser_forgets_a_position_of_another_history() {
    let Some(browser) = Chromium::start("a reset in a browser") else {
        return;
    };
    let setup = Setup::with_fixed_address();
    let server = setup.start();
    publish(&server, "t", "e", 3);
    let page = browser.open(&server);
    page.evaluate(
        "window.seen = []; window.source = new EventSource('/subscribe?after=1000'); \
         source.addEventListener('reset', reset => seen.push(`${reset.lastEventId} ${reset.data}`)); \
         source.onmessage = event => seen.push(event.lastEventId); 0",
    );
    page.wait_for("seen.join(' ') === '3 {\"position\":1000,\"last_seq\":3}'");
    server.stop();
    let server = setup.start();
    // What comes while it is away is after the position that it has now.
    publish(&server, "t", "f", 2);
    page.wait_for("seen.slice(1).join(' ') === '4 5'");
    publish(&server, "t", "g", 1);
    page.wait_for("seen.slice(1).join(' ') === '4 5 6'");
}
