//! PostgreSQL as an ordinary user in a temporary folder, on a loopback address of its own.

use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, OnceLock};

use rustix::process::{kill_process, Pid, Signal};

use crate::harness::{fixed_address, TemporaryDirectory};
use crate::wait::wait_until;

/// The user that starts PostgreSQL if this is run by root, which may not.
const NOBODY: u32 = 65534;

/// The folder of its programs; none where it is not installed.
fn programs() -> Option<&'static Path> {
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    let find = || {
        let mut found: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
            .ok()?
            .flatten()
            .filter_map(|entry| {
                let version = entry.file_name().to_str()?.parse().ok()?;
                Some((version, entry.path().join("bin")))
            })
            .filter(|(_, folder)| folder.join("initdb").exists())
            .collect();
        found.sort();
        found.pop().map(|(_, folder)| folder)
    };
    FOLDER.get_or_init(find).as_deref()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A program of the engine, as the user that may run it.
fn command(program: &str) -> Command {
    as_user(&programs().unwrap().join(program))
}

fn as_user(path: &Path) -> Command {
    let mut command = match is_root() {
        true => {
            let mut command = Command::new("setpriv");
            let user = NOBODY.to_string();
            command.args(["--reuid", &user, "--regid", &user, "--clear-groups", "--"]);
            command.arg(path);
            command
        }
        false => Command::new(path),
    };
    command
        .env_clear()
        .env("LC_ALL", "C")
        .env("PATH", "/usr/bin:/bin")
        .current_dir("/");
    command
}

fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn give_away(path: &Path) {
    if is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
}

/// A folder that the engine's user may write to.
fn folder() -> TemporaryDirectory {
    let folder = TemporaryDirectory::new_in(std::env::temp_dir());
    give_away(folder.path());
    folder
}

/// An engine that runs.
pub struct Engine {
    folder: Arc<TemporaryDirectory>,
    data: PathBuf,
    address: SocketAddr,
    /// Nobody drops it.
    is_shared: bool,
    child: Child,
}

/// A session that has been left open.
pub struct Held(Child, Option<ChildStdin>);

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.1.take());
        let _ = self.0.wait();
    }
}

impl Engine {
    /// Starts one of its own; none, and it is said, where PostgreSQL is not installed.
    pub fn start() -> Option<Engine> {
        Engine::start_as(false)
    }

    fn start_as(is_shared: bool) -> Option<Engine> {
        if programs().is_none() {
            let _ = writeln!(
                io::stderr(),
                "SKIPPED the tests of a fleet: PostgreSQL is not installed"
            );
            return None;
        }
        let folder = folder();
        let data = folder.join("data");
        run(command("initdb").arg("-D").arg(&data).args([
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-locale",
            "--no-sync",
        ]));
        let access = "local all all trust\nhost all guarded,keeper,nobody all scram-sha-256\nhost all all all trust\n\
                      host replication all all trust\n";
        fs::write(data.join("pg_hba.conf"), access).unwrap();
        Some(Engine::run(
            Arc::new(folder),
            data,
            fixed_address(),
            is_shared,
        ))
    }

    fn run(
        folder: Arc<TemporaryDirectory>,
        data: PathBuf,
        address: SocketAddr,
        is_shared: bool,
    ) -> Engine {
        let child = spawn(&folder, &data, address, is_shared);
        Engine::wait_for(folder, data, address, is_shared, child)
    }

    fn wait_for(
        folder: Arc<TemporaryDirectory>,
        data: PathBuf,
        address: SocketAddr,
        is_shared: bool,
        child: Child,
    ) -> Engine {
        let engine = Engine {
            folder,
            data,
            address,
            is_shared,
            child,
        };
        wait_until("the engine to answer", || {
            engine.try_sql("postgres", "SELECT 1").is_ok()
        });
        engine
    }

    /// A copy that follows it, at an address of its own.
    pub fn standby(&self, name: &str) -> Engine {
        let data = self.folder.join(name);
        let address = fixed_address();
        let connection = format!(
            "host={} port={} user=postgres application_name={name}",
            self.address.ip(),
            self.address.port()
        );
        run(command("pg_basebackup").arg("-D").arg(&data).args([
            "-R",
            "-c",
            "fast",
            "-X",
            "stream",
            "--no-sync",
            "-d",
            &connection,
        ]));
        Engine::run(self.folder.clone(), data, address, false)
    }

    /// Runs a script that sets a primary up, as the image of PostgreSQL does: `PGDATA` and psql's variables are
    /// those of this engine.
    pub fn run_script(&self, script: &str, variables: &[(&str, &str)]) {
        let mut shell = script_of(script, &self.data);
        for (name, value) in variables {
            shell.env(name, value);
        }
        shell.env("PGHOST", self.address.ip().to_string());
        shell.env("PGPORT", self.address.port().to_string());
        shell.env("PGUSER", "postgres");
        run(&mut shell);
    }

    /// A standby that a script makes and runs, with the arguments of postgres.
    pub fn standby_of_script(&self, script: &str, variables: &[(&str, &str)]) -> Engine {
        let data = self.folder.join("standby");
        fs::create_dir(&data).unwrap();
        give_away(&data);
        let address = fixed_address();
        let mut shell = script_of(script, &data);
        for (name, value) in variables {
            shell.env(name, value);
        }
        shell.env("PRIMARY_HOST", self.address.ip().to_string());
        shell.env("PRIMARY_PORT", self.address.port().to_string());
        settings(&mut shell, address);
        let child = watched(&self.folder, &shell, false);
        Engine::wait_for(self.folder.clone(), data, address, false, child)
    }

    /// The access rules of a new engine, as the lines of its file. `postgres` is let in.
    pub fn set_access(&self, rules: &str) {
        let rules = format!("host all postgres all trust\n{rules}");
        fs::write(self.data.join("pg_hba.conf"), rules).unwrap();
        self.reload();
    }

    pub fn reload(&self) {
        self.sql("postgres", "SELECT pg_reload_conf()");
    }

    /// A file that the engine's user may read, beside its data.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.join(name);
        fs::write(&path, text).unwrap();
        give_away(&path);
        path
    }

    /// From now on it takes writes.
    pub fn promote(&self) {
        self.sql("postgres", "SELECT pg_promote(true, 60)");
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A new database; the connection string of it.
    pub fn database(&self, name: &str) -> String {
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        self.url(name)
    }

    pub fn url(&self, database: &str) -> String {
        url_at(&[self.address], database)
    }

    /// Runs statements; the rows as `psql -At` prints them.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        self.try_sql(database, sql)
            .unwrap_or_else(|said| panic!("{sql}: {said}"))
    }

    pub fn try_sql(&self, database: &str, sql: &str) -> Result<String, String> {
        let mut psql = self.psql(database);
        let mut child = psql
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let sql = sql.to_owned();
        let writer = std::thread::spawn(move || input.write_all(sql.as_bytes()));
        let output = child.wait_with_output().unwrap();
        let _ = writer.join().unwrap();
        match output.status.success() {
            true => Ok(String::from_utf8(output.stdout)
                .unwrap()
                .trim_end()
                .to_owned()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    /// Runs statements, and keeps their session until the guard is dropped.
    pub fn hold(&self, database: &str, sql: &str) -> Held {
        let mut psql = self.psql(database);
        let mut child = psql.stdin(Stdio::piped()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(sql.as_bytes()).unwrap();
        input.flush().unwrap();
        Held(child, Some(input))
    }

    fn psql(&self, database: &str) -> Command {
        let mut psql = command("psql");
        psql.args([
            "-X",
            "-q",
            "-At",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            "postgres",
            "-d",
            database,
        ]);
        psql.args([
            "-h",
            &self.address.ip().to_string(),
            "-p",
            &self.address.port().to_string(),
        ]);
        psql.env("PGCONNECT_TIMEOUT", "30");
        psql
    }

    /// The store of a database as the statements that make it again.
    pub fn dump(&self, database: &str) -> String {
        let mut dump = command("pg_dump");
        dump.args(["-U", "postgres", "-n", "logagg", "-d", database]);
        dump.args([
            "-h",
            &self.address.ip().to_string(),
            "-p",
            &self.address.port().to_string(),
        ]);
        run(&mut dump)
    }

    fn signal(&self, signal: Signal) {
        let pid = fs::read_to_string(self.data.join("postmaster.pid")).unwrap();
        let pid = pid.lines().next().unwrap().parse().unwrap();
        let _ = kill_process(Pid::from_raw(pid).unwrap(), signal);
    }

    /// Ends it without a word, as a crash does.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.child.wait();
    }

    /// Starts it again where it was.
    pub fn restart(&mut self) {
        // What has lost its parent ends a moment later, and is in the way until then.
        wait_until("the engine to come back", || {
            if self.child.try_wait().unwrap().is_some() {
                self.child = spawn(&self.folder, &self.data, self.address, self.is_shared);
            }
            self.try_sql("postgres", "SELECT 1").is_ok()
        });
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Its end is that of the pipe which its shell reads.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// The connection string of hosts.
pub fn url_at(addresses: &[SocketAddr], database: &str) -> String {
    let hosts: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
    format!("postgres://postgres@{}/{database}", hosts.join(","))
}

fn spawn(folder: &TemporaryDirectory, data: &Path, address: SocketAddr, is_shared: bool) -> Child {
    let mut engine = command("postgres");
    engine.arg("-D").arg(data);
    settings(&mut engine, address);
    watched(folder, &engine, is_shared)
}

/// What is asked of each engine.
fn settings(engine: &mut Command, address: SocketAddr) {
    let own = [
        format!("listen_addresses={}", address.ip()),
        format!("port={}", address.port()),
        // Two in one folder would be in each other's way.
        "unix_socket_directories=".to_owned(),
        // Each front has some, and as many tests run at a time as the machine has time for.
        "max_connections=300".to_owned(),
        "shared_buffers=16MB".to_owned(),
        "hot_standby=on".to_owned(),
        "fsync=off".to_owned(),
    ];
    for setting in own {
        engine.arg("-c").arg(setting);
    }
}

/// A script of `deploy/`, whose arguments follow, by the engine's user, who finds the engine's programs. The user may
/// not be able to read the file.
fn script_of(script: &str, data: &Path) -> Command {
    let mut shell = as_user(Path::new("/bin/sh"));
    shell.args(["-c", script, "script"]);
    shell.env(
        "PATH",
        format!("{}:/usr/bin:/bin", programs().unwrap().display()),
    );
    shell.env("PGDATA", data);
    shell
}

/// A shell around an engine ends it when this process is gone, however that ends.
pub fn watched(folder: &TemporaryDirectory, engine: &Command, is_shared: bool) -> Child {
    let log = fs::File::options()
        .create(true)
        .append(true)
        .open(folder.join("log"))
        .unwrap();
    // A child in the background of a shell reads no input.
    let script = "\"$0\" \"$@\" </dev/null & engine=$!; \
                  (read -r _; kill -QUIT $engine 2>/dev/null) <&3 & reader=$!; \
                  wait $engine; kill $reader 2>/dev/null; [ -z \"$GARBAGE\" ] || rm -rf \"$GARBAGE\"";
    let script = format!("exec 3<&0; {script}");
    let mut shell = Command::new("/bin/sh");
    shell
        .arg("-c")
        .arg(script)
        .arg(engine.get_program())
        .args(engine.get_args());
    shell.env_clear().current_dir("/");
    for (name, value) in engine.get_envs() {
        shell.env(name, value.unwrap());
    }
    if is_shared {
        shell.env("GARBAGE", folder.path());
    }
    shell
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(log);
    shell.spawn().unwrap()
}

/// An engine that many tests share, each with a database of its own.
pub fn shared() -> Option<&'static Engine> {
    static SHARED: OnceLock<Option<Engine>> = OnceLock::new();
    // A value that lives until the end is never dropped, so its shell removes its folder.
    SHARED.get_or_init(|| Engine::start_as(true)).as_ref()
}
