//! A proxy in front of an engine, which cuts connections and lets them hang.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

const PASS: u8 = 0;
const HANG: u8 = 1;
const REFUSE: u8 = 2;

struct State {
    mode: AtomicU8,
    sockets: Mutex<Vec<TcpStream>>,
}

pub struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
}

impl Proxy {
    pub fn start(to: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            mode: AtomicU8::new(PASS),
            sockets: Mutex::new(Vec::new()),
        });
        let beside = state.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if beside.mode.load(Ordering::SeqCst) == REFUSE {
                    continue;
                }
                let Ok(engine) = TcpStream::connect(to) else {
                    continue;
                };
                let mut sockets = beside.sockets.lock().unwrap();
                for (from, to) in [(&client, &engine), (&engine, &client)] {
                    sockets.push(from.try_clone().unwrap());
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let state = beside.clone();
                    thread::spawn(move || copy(from, to, &state));
                }
            }
        });
        Proxy { address, state }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends all connections.
    pub fn cut(&self) {
        for socket in self.state.sockets.lock().unwrap().drain(..) {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    /// From now on nothing passes, and nobody is told.
    pub fn hang(&self) {
        self.state.mode.store(HANG, Ordering::SeqCst);
    }

    /// From now on all connections are ended at once.
    pub fn refuse(&self) {
        self.state.mode.store(REFUSE, Ordering::SeqCst);
        self.cut();
    }

    /// From now on all passes again, on new connections.
    pub fn pass(&self) {
        self.cut();
        self.state.mode.store(PASS, Ordering::SeqCst);
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream, state: &State) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        while state.mode.load(Ordering::SeqCst) == HANG {
            // Somebody may have cut it meanwhile.
            if from.peer_addr().is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
