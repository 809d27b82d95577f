//! Settings and arguments that are wrong: what is said, and how the program ends.

use std::ffi::OsString;
use std::process::{Command as Process, Stdio};

use crate::{run, VARIABLES};

#[test]
fn a_wrong_setting_ends_the_program_with_2_and_a_sentence_that_names_it() {
    let long_path = format!("unix:/{}", "x".repeat(107));
    for (flag, variable, value) in [
        ("--host", "HOST", "a b"),
        ("--host", "HOST", "[::1"),
        ("--host", "HOST", "::x"),
        ("--host", "HOST", "127.0.0.1:80"),
        ("--allowed-hosts", "ALLOWED_HOSTS", "a b"),
        ("--allowed-hosts", "ALLOWED_HOSTS", "a,,b"),
        ("--allowed-hosts", "ALLOWED_HOSTS", "http://a"),
        ("--port", "PORT", "65536"),
        ("--port", "PORT", "http"),
        ("--listen", "LISTEN", "8080"),
        ("--listen", "LISTEN", "::1:8080"),
        ("--listen", "LISTEN", "a:1,"),
        ("--listen", "LISTEN", "a:"),
        ("--listen", "LISTEN", ":1"),
        ("--listen", "LISTEN", "unix:"),
        ("--listen", "LISTEN", &long_path),
        ("--database", "DATABASE_PATH", ":memory:"),
        ("--database", "DATABASE_PATH", "file:x.db"),
        ("--durability", "DURABILITY", "half"),
        ("--dedup", "DEDUP", "none"),
        ("--search-index", "SEARCH_INDEX", "fts"),
        ("--ring-capacity", "RING_CAPACITY", "0"),
        ("--ring-capacity", "RING_CAPACITY", "1000001"),
        ("--max-body-bytes", "MAX_BODY_BYTES", "1023"),
        ("--max-body-bytes", "MAX_BODY_BYTES", "1073741825"),
        ("--max-body-bytes", "MAX_BODY_BYTES", "1MB"),
        ("--max-connections", "MAX_CONNECTIONS", "0"),
        ("--max-connections", "MAX_CONNECTIONS", "-1"),
        ("--max-buffered-bytes", "MAX_BUFFERED_BYTES", "1048575"),
        (
            "--max-buffered-bytes",
            "MAX_BUFFERED_BYTES",
            "99999999999999999999999",
        ),
        ("--retain-events", "RETAIN_EVENTS", "7"),
        ("--retain-events", "RETAIN_EVENTS", "d"),
        ("--retain-events", "RETAIN_EVENTS", "7 d"),
        ("--retain-events", "RETAIN_EVENTS", "1.5h"),
        ("--retain-events", "RETAIN_EVENTS", "-7d"),
        ("--retain-events", "RETAIN_EVENTS", "0d"),
        ("--retain-events", "RETAIN_EVENTS", "5M"),
        ("--retain-events", "RETAIN_EVENTS", "50gb"),
        ("--retain-events", "RETAIN_EVENTS", "50TB"),
        ("--retain-events", "RETAIN_EVENTS", "99999999d"),
        ("--retain-keys", "RETAIN_KEYS", "forever"),
        ("--retain-keys", "RETAIN_KEYS", "0MB"),
        ("--retain-keys", "RETAIN_KEYS", "99999999999GB"),
        ("--log-level", "LOG_LEVEL", "loud"),
        ("--log-format", "LOG_FORMAT", "xml"),
        ("--log-duplicates", "LOG_DUPLICATES", "some"),
        ("--filter-memory-bytes", "FILTER_MEMORY_BYTES", "some"),
        ("--filter-memory-bytes", "FILTER_MEMORY_BYTES", "-1"),
        ("--port", "PORT", "-1"),
        ("--ring-capacity", "RING_CAPACITY", "-5"),
        ("--max-body-bytes", "MAX_BODY_BYTES", "-1e6"),
        ("--max-buffered-bytes", "MAX_BUFFERED_BYTES", "-"),
        ("--retain-keys", "RETAIN_KEYS", "-50GB"),
        ("--log-level", "LOG_LEVEL", "-v"),
        ("--durability", "DURABILITY", "--full"),
        // What only using it tells: a name of the kind that conda sets, files.
        ("--host", "HOST", "x86_64-conda-linux-gnu"),
        ("--listen", "LISTEN", "x86_64-conda-linux-gnu:0"),
        ("--auth-tokens-file", "AUTH_TOKENS_FILE", "/nowhere/tokens"),
    ] {
        let joined = format!("{flag}={value}");
        for flags in [&["serve", &joined][..], &["serve", flag, value]] {
            let flagged = run(&[], flags);
            let said = String::from_utf8(flagged.stderr).unwrap();
            assert_eq!(flagged.status.code(), Some(2), "{flag}={value}: {said}");
            assert!(said.contains(flag), "{flag}={value}: {said}");
            assert!(!said.contains("environment"), "{flag}={value}: {said}");
            assert!(
                !said.contains("unexpected argument"),
                "{flag}={value}: {said}"
            );
        }

        let from_variable = run(&[(variable, value)], &["serve"]);
        let said = String::from_utf8(from_variable.stderr).unwrap();
        assert_eq!(
            from_variable.status.code(),
            Some(2),
            "{variable}={value}: {said}"
        );
        assert!(said.contains(flag), "{said}");
        let origin = format!("the environment variable {variable}");
        assert!(
            said.trim_end().trim_end_matches('.').ends_with(&origin),
            "{said}"
        );
        assert!(from_variable.stdout.is_empty());
    }
}

/// A value that is no text is refused by name as well, wherever it comes from.
#[test]
fn a_setting_that_is_no_text_is_named() {
    use std::os::unix::ffi::OsStringExt;
    let bad = || OsString::from_vec(b"8\xff".to_vec());
    for (flag, variable) in [
        ("--host", "HOST"),
        ("--port", "PORT"),
        ("--listen", "LISTEN"),
        ("--ring-capacity", "RING_CAPACITY"),
        ("--retain-events", "RETAIN_EVENTS"),
        ("--durability", "DURABILITY"),
        ("--access-log", "ACCESS_LOG"),
    ] {
        let mut process = Process::new(env!("CARGO_BIN_EXE_logagg"));
        for name in VARIABLES {
            process.env_remove(name);
        }
        let from_variable = process.arg("serve").env(variable, bad()).output().unwrap();
        let said = String::from_utf8_lossy(&from_variable.stderr).into_owned();
        assert_eq!(from_variable.status.code(), Some(2), "{variable}: {said}");
        assert!(said.contains(flag), "{variable}: {said}");
        assert!(
            said.contains(&format!("variable {variable}.")),
            "{variable}: {said}"
        );
        if flag == "--access-log" {
            continue;
        }
        process.env_remove(variable);
        let flagged = process.arg(flag).arg(bad()).output().unwrap();
        let said = String::from_utf8_lossy(&flagged.stderr).into_owned();
        assert_eq!(flagged.status.code(), Some(2), "{flag}: {said}");
        assert!(
            said.contains(flag) && !said.contains("environment"),
            "{flag}: {said}"
        );
    }
}

/// Of all commands, not of `serve` alone: a value with a hyphen in front is a value, and where it is none
/// the sentence names the option. The options are those that the help of each command lists.
#[test]
fn every_option_of_every_command_is_named_where_its_value_begins_with_a_hyphen() {
    let help = |arguments: &[&str]| String::from_utf8(run(&[], arguments).stdout).unwrap();
    let commands = help(&["--help"]);
    let commands = commands.split("Commands:\n").nth(1).unwrap();
    let commands: Vec<&str> = commands
        .lines()
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|name| !name.is_empty() && *name != "help")
        .collect();
    assert!(commands.len() > 15, "{commands:?}");
    let mut options = 0;
    for command in commands {
        for line in help(&[command, "--help"]).lines() {
            let Some(at) = line
                .find("--")
                .filter(|_| line.trim_start().starts_with('-'))
            else {
                continue;
            };
            let Some((flag, _)) = line[at..]
                .split_once(' ')
                .filter(|(_, v)| v.starts_with('<'))
            else {
                continue;
            };
            // Help comes before a command does anything, but after its options have been read.
            let refused = run(&[], &[command, flag, "-1", "--help"]);
            let said = String::from_utf8(refused.stderr).unwrap();
            assert!(
                !said.contains("unexpected argument"),
                "{command} {flag}: {said}"
            );
            options += 1;
            if !said.is_empty() {
                assert_eq!(refused.status.code(), Some(2), "{command} {flag}");
                assert!(
                    said.contains(&format!("for '{flag} <")),
                    "{command} {flag}: {said}"
                );
            }
        }
    }
    assert!(options > 60, "{options}");
}

#[test]
fn what_is_not_known_is_refused() {
    for arguments in [
        &[][..],
        &["sevre"],
        &["serve", "--prot", "80"],
        &["serve", "here"],
    ] {
        let output = run(&[], arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn version_and_help_go_to_standard_output() {
    let version = run(&[], &["--version"]);
    assert_eq!(version.status.code(), Some(0));
    assert_eq!(
        String::from_utf8(version.stdout).unwrap(),
        format!("logagg {}\n", env!("CARGO_PKG_VERSION"))
    );

    let help = run(&[("PORT", "4711")], &["serve", "--help"]);
    assert_eq!(help.status.code(), Some(0));
    let text = String::from_utf8(help.stdout).unwrap();
    for name in VARIABLES {
        assert!(
            text.contains(&format!("[env: {name}]")),
            "{name} is in the help:\n{text}"
        );
    }
    assert!(
        !text.contains("4711"),
        "help does not show what variables hold"
    );
    assert!(help.stderr.is_empty());
}

#[test]
fn a_closed_or_full_standard_error_does_not_change_the_exit_code() {
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let (reader, closed) = std::io::pipe().unwrap();
    drop(reader);
    for stderr in [Stdio::from(full), Stdio::from(closed)] {
        let mut process = Process::new(env!("CARGO_BIN_EXE_logagg"));
        let status = process
            .args(["serve"])
            .env("PORT", "x")
            .stderr(stderr)
            .status()
            .unwrap();
        assert_eq!(status.code(), Some(2));
    }
}
