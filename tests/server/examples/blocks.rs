//! The blocks of code in a page, and the folder and server that they run with.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{symlink, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{fixed_address, Address, Server, Setup};

/// A block of code.
pub struct Block {
    pub language: String,
    pub text: String,
    /// Where it begins, as `PAGE:LINE`.
    pub place: String,
}

pub fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The blocks of a page, in order, without their indentation.
pub fn blocks(page: &str) -> Vec<Block> {
    let text = fs::read_to_string(project().join(page)).unwrap();
    let mut blocks = Vec::new();
    let mut open: Option<(Block, usize)> = None;
    for (at, line) in text.lines().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let fence = line.trim_start().strip_prefix("```");
        match (&mut open, fence) {
            (None, Some(language)) => {
                let block = Block {
                    language: language.trim().to_owned(),
                    text: String::new(),
                    place: format!("{page}:{}", at + 1),
                };
                open = Some((block, indent));
            }
            (Some(_), Some(_)) => blocks.extend(open.take().map(|(block, _)| block)),
            (Some((block, indent)), None) => {
                block.text += line.get(*indent..).unwrap_or_default();
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{page}: a block does not end");
    blocks
}

/// A server, and the folder in which the examples of a page run.
pub struct Stage {
    pub server: Server,
    folder: PathBuf,
    /// Where a second server of an example listens.
    second: SocketAddr,
}

/// Programs that an example starts and a test does not: with what they print.
const STAND_INS: [(&str, &str); 6] = [
    ("make", ""),
    ("apt", ""),
    ("systemctl", ""),
    ("ab", ""),
    ("docker", "a line"),
    ("journalctl", r#"{"__CURSOR":"s=1","MESSAGE":"hello"}"#),
];

impl Stage {
    pub fn new() -> Stage {
        let setup = Setup::new();
        let folder = setup.directory().join("work");
        for name in [
            "scripts",
            "log/app",
            "etc/default",
            "etc/systemd/system",
            "etc/logagg",
            "target/debian",
        ] {
            fs::create_dir_all(folder.join(name)).unwrap();
        }
        for (name, text) in [
            ("app.log", "a line\n"),
            ("log/app.log", "a line\n"),
            ("log/app/web.log", "a line\n"),
            ("target/debian/logagg_0.1.0-1_amd64.deb", ""),
            ("events.ndjson", EVENT),
        ] {
            fs::write(folder.join(name), text).unwrap();
        }
        symlink(project().join("deploy"), folder.join("deploy")).unwrap();
        let server = setup.database(folder.join("data/dedup.db")).start();
        let stage = Stage {
            server,
            folder,
            second: fixed_address(),
        };
        for (name, printed) in STAND_INS {
            stage.script(
                name,
                &format!("cat >/dev/null </dev/null; echo '{printed}'"),
            );
        }
        let program = env!("CARGO_BIN_EXE_logagg");
        stage.script("logagg", &LOGAGG.replace("PROGRAM", program));
        stage.script("curl", CURL);
        stage.copy_scripts();
        stage
    }

    fn script(&self, name: &str, text: &str) {
        let path = self.folder.join("scripts").join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// What runs is a copy, which this process has never had open to write: a program that another test was starting
    /// would keep it open for a moment, and nobody runs what is open to write ("text file busy").
    fn copy_scripts(&self) {
        let mut copy = Command::new("cp");
        copy.arg("-r").args(["scripts", "bin"]);
        let status = copy.current_dir(&self.folder).status().unwrap();
        assert!(status.success());
    }

    /// Stores an event that the examples of the commands look for.
    pub fn seed(&self) {
        let body = EVENT.trim_end().to_owned();
        self.server.client().publish(body).expect(200);
    }

    fn port(&self) -> u16 {
        match self.server.address() {
            Address::Tcp(address) => address.port(),
            Address::Unix(_) => unreachable!("it listens on TCP"),
        }
    }

    /// The text of an example with this stage's addresses and folders in place of the usual ones.
    pub fn fit(&self, text: &str) -> String {
        let folder = self.folder.display();
        text.replace("localhost:8080", &format!("127.0.0.1:{}", self.port()))
            .replace("127.0.0.1:8080/", &format!("127.0.0.1:{}/", self.port()))
            .replace(
                "http://127.0.0.1:8080 ",
                &format!("http://127.0.0.1:{} ", self.port()),
            )
            .replace("localhost:8081", &self.second.to_string())
            .replace(
                "--port 8081",
                &format!("--host {} --port {}", self.second.ip(), self.second.port()),
            )
            .replace("/etc/", &format!("{folder}/etc/"))
            .replace("/var/log/", &format!("{folder}/log/"))
            .replace("--duration 10s", "--duration 200ms")
            .replace("--duration 3s", "--duration 200ms")
    }

    /// A command in the folder, whose `logagg`, `curl` and others are those of this stage.
    pub fn command(&self, program: &str) -> Command {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new(program);
        command
            .current_dir(&self.folder)
            .env(
                "PATH",
                format!("{}:{path}", self.folder.join("bin").display()),
            )
            .env("REAL_PATH", path)
            .env("PORT", self.port().to_string())
            .env("LOGAGG_SERVER", format!("http://127.0.0.1:{}", self.port()))
            .env_remove("LOGAGG_TOKEN");
        command
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

/// What the commands of the pages find.
const EVENT: &str = concat!(
    r#"{"topic":"api.order","event_id":"evt-7","timestamp":"2026-01-02T03:04:05Z","source":"web-1","#,
    r#""payload":{"level":"error","ms":700,"msg":"timeout, declined","n":1}}"#,
    "\n"
);

/// Runs the program. What would go on for ever ends when it has said something: a tail when an event has come, a server
/// when it listens. What needs a database without a server gets a copy.
const LOGAGG: &str = r#"
send() {
    PROGRAM publish -t order.new -s web-1 -m '{"level":"error","ms":700,"msg":"timeout declined order"}' >/dev/null
}
follow() {
    said=$(mktemp)
    PROGRAM "$@" >"$said" 2>&1 &
    pid=$!
    tries=0
    until eval "$come"; do
        kill -0 "$pid" 2>/dev/null || { cat "$said"; wait "$pid"; exit 1; }
        [ "$command" = tail ] && send
        tries=$((tries + 1))
        [ "$tries" -lt 600 ] || { echo "nothing came of: $*"; kill "$pid"; exit 9; }
        sleep 0.1
    done
    kill -TERM "$pid"
    wait "$pid"
    cat "$said"
    rm "$said"
    exit 0
}
command=$1
case " $* " in
"tail --no-follow"*|*" --no-follow "*|*" --once "*|*" - "*|*" --port "*) exec PROGRAM "$@" ;;
esac
case "$command" in
tail) come='[ -s "$said" ]'; follow "$@" ;;
ship) come='[ "$(PROGRAM topics app --json | grep -c \"app\")" -gt 0 ]'; follow "$@" ;;
serve)
    DATABASE_PATH=$(mktemp -d)/dedup.db PORT=0
    export DATABASE_PATH PORT
    come='grep -q "listening on" "$said"'
    follow "$@" ;;
search|get)
    # Its event is of this hour.
    send
    for more in '-t order.paid --event-id evt-7' '-t api.order'; do
        PROGRAM publish $more -s web-1 -m '{"level":"error","ms":700,"msg":"declined"}' >/dev/null 2>&1
    done
    exec PROGRAM "$@" ;;
simulate) exec PROGRAM "$@" --events 200 ;;
bench) case " $* " in *" --duration "*) exec PROGRAM "$@" ;; *) exec PROGRAM "$@" --duration 200ms ;; esac ;;
restore) shift; exec PROGRAM restore $(echo "$*" | sed 's#data/dedup.db#restored.db#') ;;
convert) rm -f plain.db; PROGRAM backup --from data/dedup.db --to plain.db >/dev/null &&
    exec PROGRAM $(echo "$*" | sed 's#data/dedup.db#plain.db#') ;;
*) exec PROGRAM "$@" ;;
esac"#;

/// Runs curl; a stream ends when its head has come.
const CURL: &str = r#"
PATH=$REAL_PATH
case " $* " in
*" -N "*)
    head=$(mktemp)
    curl -D "$head" "$@" &
    pid=$!
    tries=0
    until grep -q '^HTTP/1.1 200' "$head"; do
        kill -0 "$pid" 2>/dev/null || { wait "$pid"; exit 1; }
        tries=$((tries + 1))
        [ "$tries" -lt 600 ] || { kill "$pid"; exit 9; }
        sleep 0.1
    done
    kill -TERM "$pid"
    rm "$head"
    exit 0 ;;
*) exec curl -sS "$@" ;;
esac"#;
