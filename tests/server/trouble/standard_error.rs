//! A log that nobody can write to must not stop the service.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::json;

use crate::harness::{event, unread_pipe, Address, Client, TemporaryDirectory};
use crate::wait::wait_until;

/// A server whose standard error is not read by the harness.
struct Mute {
    child: Child,
    address: Address,
    _folder: TemporaryDirectory,
}

impl Mute {
    fn start(standard_error: Stdio) -> Mute {
        let folder = TemporaryDirectory::new();
        let socket: PathBuf = folder.join("socket");
        let child = Command::new(env!("CARGO_BIN_EXE_logagg"))
            .env_clear()
            .arg("serve")
            .arg("--database")
            .arg(folder.join("events.db"))
            .arg("--listen")
            .arg(format!("unix:{}", socket.display()))
            .args(["--log-duplicates", "each"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(standard_error)
            .spawn()
            .unwrap();
        let mute = Mute {
            child,
            address: Address::Unix(socket),
            _folder: folder,
        };
        wait_until("the server", || {
            let Address::Unix(socket) = &mute.address else {
                return false;
            };
            std::os::unix::net::UnixStream::connect(socket).is_ok()
        });
        mute
    }

    fn goes_on(mut self) {
        let mut client = Client::connect(&self.address);
        // Each repeat is a line of the log.
        let events: Vec<_> = (0..500).map(|_| event("t", "1")).collect();
        for round in 0..20 {
            let answer = client.publish(json!(events).to_string()).expect(200);
            assert_eq!(answer["accepted"], u64::from(round == 0));
        }
        assert_eq!(client.get("/health").expect(200)["status"], "healthy");
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }
}

impl Drop for Mute {
    fn drop(&mut self) {
        // Both fail only where the process has been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_log_on_a_full_disk() {
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    Mute::start(full.into()).goes_on();
}

#[test]
fn a_log_into_a_pipe_that_nobody_has_open() {
    Mute::start(unread_pipe().into()).goes_on();
}
