//! The settings of `deploy/logagg.service` and `deploy/kubernetes.yaml` as far as they can be had without systemd and
//! Kubernetes: a user without rights, read-only folders, and a tokens file that is handed over.

use std::fs::{self, Permissions};
use std::os::unix::fs::{chown, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{kill_process, Pid, Signal};

use crate::harness::{event, Address, Client, Log, TemporaryDirectory};
use crate::report::skipped;

/// A user and group that nobody has.
const ID: u32 = 61_234;

/// What systemd does before it starts a program; `STATE` is the one folder that can be written to.
const CONFINE: &str = "umask 077
    mount --bind \"$STATE\" \"$STATE\" && mount -o remount,bind,ro / || exit 99
    exec setpriv --reuid=61234 --regid=61234 --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all \\
        env -i CREDENTIALS_DIRECTORY=\"$CREDENTIALS_DIRECTORY\" AUTH_TOKENS_FILE=\"$TOKENS\" \\
        DATABASE_PATH=\"$STATE/dedup.db\" \"$PROGRAM\" serve --listen 127.0.0.1:0";

struct Confined {
    child: Child,
    log: Log,
    state: PathBuf,
}

impl Drop for Confined {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn set(path: &Path, mode: u32, owner: u32, group: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    chown(path, Some(owner), Some(group)).unwrap();
}

/// Whether this machine lets a test do that.
fn can_confine() -> bool {
    let script =
        "mount -o remount,bind,ro / && setpriv --reuid=61234 --regid=61234 --clear-groups true";
    let mut unshare = Command::new("unshare");
    let unshare = unshare.args(["--mount", "--propagation", "private", "sh", "-c", script]);
    let status = unshare.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

impl Confined {
    /// `credentials` is the folder that systemd makes for the service.
    fn start(folder: &Path, tokens: &Path, credentials: Option<&Path>) -> Confined {
        let state = folder.join("state");
        let _ = fs::remove_dir_all(&state);
        fs::create_dir(&state).unwrap();
        set(&state, 0o700, ID, ID);
        let mut unshare = Command::new("unshare");
        let mut child = unshare
            .args(["--mount", "--propagation", "private", "sh", "-c", CONFINE])
            .env("STATE", &state)
            .env("TOKENS", tokens)
            .env(
                "CREDENTIALS_DIRECTORY",
                credentials.unwrap_or(Path::new("")),
            )
            .env("PROGRAM", folder.join("logagg"))
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Log::read(child.stderr.take().unwrap());
        Confined { child, log, state }
    }

    fn stop(mut self) -> String {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        assert_eq!(
            self.child.wait().unwrap().code(),
            Some(0),
            "{}",
            self.log.text()
        );
        self.log.text()
    }
}

#[test]
fn a_service_without_rights_gets_its_tokens() {
    if !can_confine() {
        skipped(
            "the service without rights",
            "only root can make mounts, with unshare and setpriv",
        );
        return;
    }
    let directory = TemporaryDirectory::new();
    let folder = directory.path();
    set(folder, 0o755, 0, 0);
    fs::copy(env!("CARGO_BIN_EXE_logagg"), folder.join("logagg")).unwrap();
    let handed = folder.join("handed");
    fs::create_dir(&handed).unwrap();
    let tokens = handed.join("tokens");
    fs::write(&tokens, "shop publish,read secret-of-shop\n").unwrap();
    // systemd's copy is the service's own, or root's with an entry for the service that shows as the group's; the
    // group of a Secret is fsGroup.
    for (mode, owner, group, is_credential) in [
        (0o400, ID, ID, true),
        (0o440, ID, 0, true),
        (0o440, 0, ID, false),
        (0o640, 0, ID, false),
    ] {
        set(&handed, 0o755, 0, 0);
        set(&tokens, mode, owner, group);
        let credentials = is_credential.then_some(handed.as_path());
        let server = Confined::start(folder, &tokens, credentials);
        let line = server.log.wait_for(1, "listening on ").remove(0);
        let (_, address) = line.split_once("listening on ").unwrap();
        let mut client = Client::connect(&Address::parse(address));
        client.get("/stats").expect(401);
        let fields = [
            "Authorization: Bearer secret-of-shop",
            "Content-Type: application/json",
        ];
        let body = event("t", "1").to_string();
        let answer = client.request("POST", "/publish", &fields, body.as_bytes());
        assert_eq!(answer.expect(200)["accepted"], 1);
        for entry in fs::read_dir(&server.state).unwrap() {
            let file = entry.unwrap();
            let metadata = file.metadata().unwrap();
            let found = (metadata.mode() & 0o777, metadata.uid());
            assert_eq!(found, (0o600, ID), "{}", file.path().display());
        }
        let text = server.stop();
        assert!(!text.contains(" WARN "), "{mode:o} {owner} {group}: {text}");
    }
    // Others can read it.
    set(&tokens, 0o444, 0, ID);
    let server = Confined::start(folder, &tokens, None);
    server.log.wait_for(1, "can be read by others");
    server.stop();
}

/// What the test above does is what the files say.
#[test]
fn the_files_say_how_the_tokens_come_to_the_service() {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
    let text = |name: &str| fs::read_to_string(deploy.join(name)).unwrap();
    let unit = text("logagg.service");
    for line in [
        "DynamicUser=yes",
        "UMask=0077",
        "StateDirectoryMode=0700",
        "ProtectSystem=strict",
        "NoNewPrivileges=yes",
        "LoadCredential=tokens:/etc/logagg/tokens",
        "EnvironmentFile=-/etc/default/logagg",
    ] {
        assert!(unit.lines().any(|other| other == line), "{line}");
    }
    let default = text("logagg.default");
    assert!(default.contains("#AUTH_TOKENS_FILE=/run/credentials/logagg.service/tokens"));
    let pod = text("kubernetes.yaml");
    for part in [
        "fsGroup: 1000",
        "defaultMode: 0440",
        "value: /etc/logagg/tokens",
        "mountPath: /etc/logagg",
    ] {
        assert!(pod.contains(part), "{part}");
    }
}
