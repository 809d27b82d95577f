//! What stands between a client and the server, to cut answers off and to be away for a while. Clients keep its
//! address while servers come and go.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::harness::{Address, Server};

/// A proxy for TCP. Its threads end with the test program.
#[derive(Clone)]
pub struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    /// None while the server is away: connections are closed at once.
    server: Mutex<Option<SocketAddr>>,
    /// Answers that are still to be cut off.
    to_cut: AtomicUsize,
    /// Most bytes that are passed on of such an answer.
    passed: AtomicUsize,
    /// Answers that have been.
    cut: AtomicUsize,
    /// Connections that were refused because the server was away.
    refused: AtomicUsize,
}

impl Proxy {
    pub fn start(server: &Server) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Proxy {
            address: listener.local_addr().unwrap(),
            state: Arc::new(State {
                server: Mutex::new(None),
                to_cut: AtomicUsize::new(0),
                passed: AtomicUsize::new(usize::MAX),
                cut: AtomicUsize::new(0),
                refused: AtomicUsize::new(0),
            }),
        };
        proxy.lead_to(server);
        let state = proxy.state.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let state = state.clone();
                thread::spawn(move || state.serve(client));
            }
        });
        proxy
    }

    /// Its address as `HOST:PORT`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// From now on connections lead to this server.
    pub fn lead_to(&self, server: &Server) {
        let Address::Tcp(address) = server.address() else {
            panic!("the server listens on TCP");
        };
        *self.state.server.lock().unwrap() = Some(*address);
    }

    /// From now on connections are closed at once. Those that there are stay.
    pub fn leave(&self) {
        *self.state.server.lock().unwrap() = None;
    }

    /// Cuts the next answers off: of each the first half of what comes is passed on, and the connection ends. The
    /// server has taken the request by then.
    pub fn cut_answers(&self, count: usize) {
        self.state.to_cut.fetch_add(count, Ordering::SeqCst);
    }

    /// Of an answer that is cut off no more bytes than these are passed on. Python takes a head that ends early for a
    /// whole one, but not a status line.
    pub fn pass_at_most(&self, bytes: usize) {
        self.state.passed.store(bytes, Ordering::SeqCst);
    }

    /// How many answers have been cut off.
    pub fn cut(&self) -> usize {
        self.state.cut.load(Ordering::SeqCst)
    }

    /// How many connections were closed because the server was away.
    pub fn refused(&self) -> usize {
        self.state.refused.load(Ordering::SeqCst)
    }
}

impl State {
    fn serve(&self, client: TcpStream) {
        let server = *self.server.lock().unwrap();
        let Some(server) = server.and_then(|server| TcpStream::connect(server).ok()) else {
            self.refused.fetch_add(1, Ordering::SeqCst);
            return;
        };
        let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        let requests = thread::spawn(move || pass_on(from, to));
        // Either end may leave at any time.
        let _ = self.answers(server.try_clone().unwrap(), client.try_clone().unwrap());
        let _ = (
            client.shutdown(Shutdown::Both),
            server.shutdown(Shutdown::Both),
        );
        let _ = requests.join();
    }

    fn answers(&self, mut from: TcpStream, mut to: TcpStream) -> io::Result<()> {
        let mut buffer = [0; 16 * 1024];
        loop {
            let read = from.read(&mut buffer)?;
            if read == 0 {
                return to.shutdown(Shutdown::Write);
            }
            let take = |left: usize| left.checked_sub(1);
            if self
                .to_cut
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, take)
                .is_ok()
            {
                self.cut.fetch_add(1, Ordering::SeqCst);
                let passed = (read / 2).min(self.passed.load(Ordering::SeqCst));
                return to.write_all(&buffer[..passed]);
            }
            to.write_all(&buffer[..read])?;
        }
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream) {
    // Either end may leave at any time.
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}
