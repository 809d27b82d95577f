//! `/metrics` and `/health` of a forwarder, on a thread of its own: they answer also while it waits for its engine.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::node;
use super::status::Status;
use crate::cli::failure::Failure;
use crate::client::{Client, ClientArgs, GiveUp, Interrupt};
use crate::limits::HEAD_MAX_BYTES;

/// How long a client, or the node that is asked for it, may take.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Listens, and says where.
pub(super) fn listen(
    address: &str,
    of_client: &ClientArgs,
    interrupt: &Arc<Interrupt>,
    status: &Arc<Status>,
    client: &Client,
) -> Result<(), Failure> {
    let listener = TcpListener::bind(address).map_err(|error| {
        let sentence = format!("cannot listen at {address} (--listen): {error}");
        match error.kind() {
            io::ErrorKind::InvalidInput => Failure::Setting(sentence),
            _ => Failure::Failed(sentence),
        }
    })?;
    if let Ok(bound) = listener.local_addr() {
        client.report(&format!(
            "listening on http://{bound} for /metrics and /health"
        ));
    }
    let mut of_client = of_client.clone();
    of_client.timeout = TIMEOUT;
    let (interrupt, status) = (interrupt.clone(), status.clone());
    let serve = move || {
        let client = Client::new(&of_client, GiveUp::After(Duration::ZERO), interrupt);
        let Ok(client) = client else {
            return;
        };
        for socket in listener.incoming().flatten() {
            // A client without an answer will ask again.
            let _ = answer(socket, &client, &status);
        }
    };
    let thread = thread::Builder::new().name("metrics".to_owned());
    let spawned = thread.spawn(serve);
    spawned
        .map(drop)
        .map_err(|error| Failure::Failed(format!("cannot start a thread: {error}")))
}

fn answer(mut socket: TcpStream, client: &Client, status: &Status) -> io::Result<()> {
    socket.set_write_timeout(Some(TIMEOUT))?;
    let head = read_head(&mut socket)?;
    let mut words = head.split_ascii_whitespace();
    let (method, target) = (words.next(), words.next().unwrap_or_default());
    let path = target.split('?').next().unwrap_or_default();
    let (code, kind, body) = match (method, path) {
        (Some("GET" | "HEAD"), "/metrics") => {
            ask_node(client, status);
            (
                "200 OK",
                "text/plain; version=0.0.4; charset=utf-8",
                status.metrics(),
            )
        }
        (Some("GET" | "HEAD"), "/health") => {
            ask_node(client, status);
            ("200 OK", "application/json", status.health())
        }
        (Some("GET" | "HEAD"), _) => (
            "404 Not Found",
            "text/plain",
            "/metrics and /health\n".to_owned(),
        ),
        _ => ("405 Method Not Allowed", "text/plain", String::new()),
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {code}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    socket.write_all(head.as_bytes())?;
    if method == Some("GET") {
        socket.write_all(body.as_bytes())?;
    }
    Ok(())
}

/// The lag grows also while the forwarder waits for its engine, so the node is asked for each page.
fn ask_node(client: &Client, status: &Status) {
    let stats = node::stats(client);
    status.has_node.store(stats.is_ok(), Relaxed);
    if let Ok(stats) = stats {
        status.last_seq.store(stats.last_seq, Relaxed);
    }
}

fn read_head(socket: &mut TcpStream) -> io::Result<String> {
    let until = Instant::now() + TIMEOUT;
    let mut head = Vec::new();
    let mut piece = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let left = until.saturating_duration_since(Instant::now());
        socket.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        let count = socket.read(&mut piece)?;
        if count == 0 || left.is_zero() || head.len() + count > HEAD_MAX_BYTES {
            return Err(io::ErrorKind::InvalidData.into());
        }
        head.extend_from_slice(&piece[..count]);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}
