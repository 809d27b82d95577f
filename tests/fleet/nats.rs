//! Three servers of NATS as one cluster, in a temporary folder, and a client that shares nothing with the program's.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::time::Duration;

use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;
use rustix::process::{kill_process, Pid, Signal};
use serde_json::{json, Value};

use crate::engine::watched;
use crate::harness::{events_of, fixed_address, Server, TemporaryDirectory};
use crate::wait::wait_until;

const MEMBERS: usize = 3;

/// Where `.ci/shippers` installs it.
fn program() -> Option<PathBuf> {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/shippers");
    let folder = std::env::var_os("LOGAGG_SHIPPERS").map_or_else(default, PathBuf::from);
    let program = folder.join("python/bin/nats-server");
    program.exists().then_some(program)
}

struct Member {
    address: SocketAddr,
    folder: PathBuf,
    child: Child,
}

/// A cluster that runs.
pub struct Cluster {
    folder: TemporaryDirectory,
    is_shared: bool,
    members: Vec<Member>,
}

impl Cluster {
    /// Starts one; none, and it is said, where NATS is not installed.
    pub fn start() -> Option<Cluster> {
        Cluster::start_as(false, "")
    }

    /// One with lines of its own in the file of settings.
    pub fn start_with(lines: &str) -> Option<Cluster> {
        Cluster::start_as(false, lines)
    }

    fn start_as(is_shared: bool, lines: &str) -> Option<Cluster> {
        if program().is_none() {
            let _ = writeln!(
                io::stderr(),
                "SKIPPED the tests of JetStream: NATS is not installed, see .ci/shippers"
            );
            return None;
        }
        let folder = TemporaryDirectory::new_in(std::env::temp_dir());
        let addresses = [(); MEMBERS].map(|()| fixed_address());
        let between = [(); MEMBERS].map(|()| fixed_address());
        let routes = between
            .map(|address| format!("\"nats://{address}\""))
            .join(",");
        let members = (0..MEMBERS).map(|at| {
            let own = folder.join(&format!("member-{at}"));
            fs::create_dir(&own).unwrap();
            let data = own.display();
            // By default the disk is synced every two minutes.
            let settings = format!(
                "server_name: member-{at}\nlisten: \"{}\"\npid_file: \"{data}/pid\"\n\
                 jetstream {{ store_dir: \"{data}/data\", sync_interval: always }}\n\
                 cluster {{ name: tests, listen: \"{}\", routes: [{routes}] }}\n{lines}\n",
                addresses[at], between[at]
            );
            fs::write(own.join("settings"), settings).unwrap();
            Member {
                address: addresses[at],
                child: spawn(&folder, &own, is_shared),
                folder: own,
            }
        });
        let members = members.collect();
        Some(Cluster {
            folder,
            is_shared,
            members,
        })
    }

    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.members.iter().map(|member| member.address).collect()
    }

    /// The address of a stream, with all members.
    pub fn url(&self, stream: &str) -> String {
        url_at(&self.addresses(), stream)
    }

    /// Makes a stream, and waits for its leader.
    pub fn stream(&self, name: &str, changes: Value) -> String {
        let mut config = json!({"name": name, "subjects": [format!("{name}.>")], "num_replicas": 3,
            "storage": "file", "allow_atomic": true});
        for (member, value) in changes.as_object().unwrap() {
            config[member] = value.clone();
        }
        wait_until("the stream to be made", || {
            let made = self.api(&format!("STREAM.CREATE.{name}"), &config);
            made["error"].is_null()
        });
        self.leader(name);
        self.url(name)
    }

    /// Asks JetStream at any member until it has a lasting answer.
    pub fn api(&self, subject: &str, body: &Value) -> Value {
        let mut answer = Value::Null;
        wait_until("an answer of JetStream", || {
            for address in self.addresses() {
                let found = Nats::connect(address).and_then(|mut nats| nats.api(subject, body));
                if let Some(found) = found.ok().filter(|found| !is_passing(found)) {
                    answer = found;
                    return true;
                }
            }
            false
        });
        answer
    }

    /// The member that leads a stream, once there is one.
    pub fn leader(&self, stream: &str) -> usize {
        let mut leader = None;
        wait_until("a leader", || {
            let info = self.api(&format!("STREAM.INFO.{stream}"), &Value::Null);
            let name = info["cluster"]["leader"].as_str().unwrap_or_default();
            leader = name.strip_prefix("member-").and_then(|at| at.parse().ok());
            leader.is_some()
        });
        leader.unwrap()
    }

    fn signal(&self, at: usize, signal: Signal) {
        let pid = fs::read_to_string(self.members[at].folder.join("pid")).unwrap();
        let pid = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
        let _ = kill_process(pid, signal);
    }

    /// Ends a member without a word.
    pub fn kill(&mut self, at: usize) {
        self.signal(at, Signal::KILL);
        let _ = self.members[at].child.wait();
    }

    /// Stops a member, or lets it go on: its connections stay and are silent.
    pub fn freeze(&self, at: usize, is_frozen: bool) {
        let signal = if is_frozen {
            Signal::STOP
        } else {
            Signal::CONT
        };
        self.signal(at, signal);
    }

    pub fn restart(&mut self, at: usize) {
        let member = &mut self.members[at];
        member.child = spawn(&self.folder, &member.folder, self.is_shared);
        let address = member.address;
        wait_until("the member to be back", || Nats::connect(address).is_ok());
    }

    /// Ends all members, and keeps or puts back what they have.
    pub fn replace(&mut self, put_back: bool) {
        for at in 0..MEMBERS {
            self.kill(at);
        }
        for member in &self.members {
            let [data, copy] = ["data", "copy"].map(|name| member.folder.join(name));
            let (from, to) = if put_back { (copy, data) } else { (data, copy) };
            let _ = fs::remove_dir_all(&to);
            let mut copy = Command::new("cp");
            assert!(copy.arg("-r").args([from, to]).status().unwrap().success());
        }
        for at in 0..MEMBERS {
            let member = &mut self.members[at];
            member.child = spawn(&self.folder, &member.folder, self.is_shared);
        }
    }

    /// All messages of a stream, in order.
    pub fn messages(&self, stream: &str) -> Vec<Stored> {
        let state = self.api(&format!("STREAM.INFO.{stream}"), &Value::Null)["state"].clone();
        let number = |name: &str| state[name].as_u64().unwrap();
        let subject = format!("STREAM.MSG.GET.{stream}");
        let mut nats: Option<Nats> = None;
        let mut found = Vec::new();
        // An empty one begins at 0.
        for seq in number("first_seq").max(1)..=number("last_seq") {
            let mut answer = Value::Null;
            wait_until("a message", || {
                let addresses = self.addresses();
                nats = nats
                    .take()
                    .or_else(|| addresses.iter().find_map(|at| Nats::connect(*at).ok()));
                let asked = nats
                    .as_mut()
                    .map(|nats| nats.api(&subject, &json!({ "seq": seq })));
                match asked {
                    Some(Ok(asked)) if !is_passing(&asked) => answer = asked,
                    _ => nats = None,
                }
                !answer.is_null()
            });
            if answer["error"]["code"] != 404 {
                found.push(stored(&answer["message"]));
            }
        }
        found
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for at in 0..self.members.len() {
            self.freeze(at, false);
        }
        for member in &mut self.members {
            drop(member.child.stdin.take());
            let _ = member.child.wait();
        }
    }
}

fn spawn(folder: &TemporaryDirectory, own: &Path, is_shared: bool) -> Child {
    let mut server = Command::new(program().unwrap());
    server.arg("-c").arg(own.join("settings"));
    watched(folder, &server, is_shared)
}

/// The address of a stream at some members.
pub fn url_at(addresses: &[SocketAddr], stream: &str) -> String {
    let hosts: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
    format!("nats://{}/{stream}", hosts.join(","))
}

/// A cluster that many tests share, each with a stream of its own.
pub fn shared() -> Option<&'static Cluster> {
    static SHARED: OnceLock<Option<Cluster>> = OnceLock::new();
    SHARED.get_or_init(|| Cluster::start_as(true, "")).as_ref()
}

/// Nobody leads at the moment, or the member is not ready.
fn is_passing(answer: &Value) -> bool {
    let code = answer["error"]["code"].as_u64();
    answer.is_null() || code.is_some_and(|code| code >= 500)
}

/// A message as it stands in a stream.
#[derive(Debug)]
pub struct Stored {
    pub subject: String,
    pub headers: String,
    pub body: Value,
}

impl Stored {
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.headers.lines();
        lines
            .filter_map(|line| line.split_once(": "))
            .find_map(|(found, value)| (found == name).then_some(value))
    }
}

fn stored(message: &Value) -> Stored {
    let bytes = |name: &str| {
        let text = message[name].as_str().unwrap_or_default();
        STANDARD.decode(text).unwrap()
    };
    Stored {
        subject: message["subject"].as_str().unwrap().to_owned(),
        headers: String::from_utf8(bytes("hdrs")).unwrap(),
        body: serde_json::from_slice(&bytes("data")).unwrap_or_default(),
    }
}

/// All events of a node, as its pages show them.
pub fn pages_of(server: &Server) -> Vec<Value> {
    let (mut events, mut after) = (Vec::new(), 0);
    loop {
        let page = server.json(&format!("/events?limit=1000&after={after}"));
        let Some(last) = events_of(&page).last() else {
            return events;
        };
        after = last["seq"].as_u64().unwrap();
        events.extend(events_of(&page).iter().cloned());
    }
}

pub fn database_id(server: &Server) -> String {
    let id = server.json("/stats")["database_id"].clone();
    id.as_str().unwrap().to_owned()
}

/// Checks that a stream has each event of a node once, as the node shows it, and in its order.
pub fn check(cluster: &Cluster, stream: &str, server: &Server) {
    let start = format!("{stream}.{}.", database_id(server));
    let messages = cluster.messages(stream);
    let own = messages
        .iter()
        .filter(|message| message.subject.starts_with(&start));
    let own: Vec<&Stored> = own.collect();
    for message in &own {
        let seq = message.body["seq"].to_string();
        assert_eq!(message.header("Logagg-Seq"), Some(&seq[..]));
        assert_eq!(message.header("Nats-Msg-Id"), None);
    }
    let found: Vec<&Value> = own.iter().map(|message| &message.body).collect();
    let wanted = pages_of(server);
    let seqs = |events: &[&Value]| -> Vec<u64> {
        let seqs = events.iter().map(|event| event["seq"].as_u64().unwrap());
        seqs.collect()
    };
    let wanted: Vec<&Value> = wanted.iter().collect();
    assert_eq!(seqs(&found), seqs(&wanted), "each once, and in order");
    assert!(found == wanted, "events are as the node shows them");
}

/// A connection to a member.
pub struct Nats {
    reader: BufReader<TcpStream>,
    inbox: String,
    requests: u32,
}

impl Nats {
    pub fn connect(address: SocketAddr) -> io::Result<Nats> {
        let socket = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
        socket.set_read_timeout(Some(Duration::from_secs(5)))?;
        let mut nats = Nats {
            inbox: format!("_INBOX.test{}", socket.local_addr()?.port()),
            reader: BufReader::new(socket),
            requests: 0,
        };
        let hello = format!(
            "CONNECT {{\"verbose\":false,\"headers\":true,\"no_responders\":true,\
             \"user\":\"tester\",\"pass\":\"right\"}}\r\nSUB {}.* 1\r\nPING\r\n",
            nats.inbox
        );
        nats.reader.get_mut().write_all(hello.as_bytes())?;
        while nats.line()? != "PONG" {}
        Ok(nats)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.reader.read_line(&mut line)?;
        match line.is_empty() || line.starts_with("-ERR") {
            true => Err(io::Error::other(line)),
            false => Ok(line.trim_end().to_owned()),
        }
    }

    /// Publishes; the subject of the answer.
    pub fn publish(&mut self, subject: &str, headers: &str, body: &str) -> io::Result<String> {
        self.requests += 1;
        let reply = format!("{}.{}", self.inbox, self.requests);
        let headers = format!("NATS/1.0\r\n{headers}\r\n");
        let (of_headers, total) = (headers.len(), headers.len() + body.len());
        let text = format!("HPUB {subject} {reply} {of_headers} {total}\r\n{headers}{body}\r\n");
        self.reader.get_mut().write_all(text.as_bytes())?;
        Ok(reply)
    }

    /// The answer; `Null` if it is empty or nobody gives one.
    pub fn answer(&mut self, reply: &str) -> io::Result<Value> {
        loop {
            let line = self.line()?;
            let words: Vec<&str> = line.split(' ').collect();
            if !line.starts_with("MSG") && !line.starts_with("HMSG") {
                continue;
            }
            let total: usize = words[words.len() - 1].parse().unwrap();
            let mut bytes = vec![0; total + 2];
            self.reader.read_exact(&mut bytes)?;
            if words[1] == reply {
                return Ok(serde_json::from_slice(&bytes).unwrap_or_default());
            }
        }
    }

    pub fn api(&mut self, subject: &str, body: &Value) -> io::Result<Value> {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let reply = self.publish(&format!("$JS.API.{subject}"), "", &body)?;
        self.answer(&reply)
    }
}
