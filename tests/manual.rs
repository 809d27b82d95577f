//! What is made of the command line besides `--help`: completions for shells and the manual, which must name all that
//! there is, and what is said of words that are nearly right.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::process::{Command, Stdio};

/// Runs the program and returns its standard output.
fn said(arguments: &[&str]) -> String {
    let mut program = Command::new(env!("CARGO_BIN_EXE_logagg"));
    let output = program
        .env_clear()
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The commands that `--help` lists.
fn commands() -> Vec<String> {
    let help = said(&["--help"]);
    let (_, list) = help.split_once("Commands:\n").unwrap();
    let lines = list.lines().take_while(|line| line.starts_with("  "));
    let names = lines.filter_map(|line| line.split_whitespace().next());
    let names: Vec<String> = names.map(str::to_owned).collect();
    assert!(names.len() > 15, "{names:?}");
    names
}

/// The long flags and the variables in the help of a command.
fn settings(command: &str) -> Vec<String> {
    let help = said(&[command, "--help"]);
    let mut found = Vec::new();
    for line in help.lines().map(str::trim) {
        let flag = line.split(' ').find(|word| word.starts_with("--"));
        if let Some(flag) = flag.filter(|_| line.starts_with('-')) {
            found.push(flag.trim_end_matches(',').to_owned());
        }
        if let Some((_, rest)) = line.split_once("[env: ") {
            found.push(rest.trim_end_matches(['=', ']']).to_owned());
        }
    }
    found
}

#[test]
fn completions_know_every_command() {
    let commands = commands();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = said(&["completions", shell]);
        for command in &commands {
            assert!(script.contains(&command[..]), "{shell}: {command}");
        }
        for flag in ["auth-tokens-file", "lost-answers", "give-up-after"] {
            assert!(script.contains(flag), "{shell}: {flag}");
        }
    }
}

/// Bash loads the script, and completes by it.
#[test]
fn bash_completes() {
    let script = said(&["completions", "bash"]);
    let complete =
        "COMP_WORDS=(logagg ser); COMP_CWORD=1; _logagg logagg ser logagg; echo ${COMPREPLY[@]}";
    let bash = Command::new("bash")
        .args(["--norc", "-c", &format!("{script}\n{complete}")])
        .stdin(Stdio::null())
        .output()
        .expect("bash can be started");
    assert_eq!(String::from_utf8_lossy(&bash.stdout), "serve\n", "{bash:?}");
}

#[test]
fn the_manual_has_a_page_for_every_command_with_all_its_settings() {
    let folder = std::env::temp_dir().join(format!("logagg-manual-{}", std::process::id()));
    said(&["man", "--folder", folder.to_str().unwrap()]);
    let page = |name: &str| {
        let text = fs::read_to_string(folder.join(format!("{name}.1"))).unwrap();
        text.replace("\\-", "-")
    };
    let first = page("logagg");
    assert!(first.contains("EXIT STATUS"), "{first}");
    assert_eq!(first, said(&["man"]).replace("\\-", "-"));
    let mut count = 0;
    for command in commands().iter().filter(|command| *command != "help") {
        assert!(first.contains(&format!("logagg-{command}")), "{command}");
        let page = page(&format!("logagg-{command}"));
        assert!(page.contains(&format!("logagg {command}")), "{page}");
        for setting in settings(command) {
            assert!(page.contains(&setting), "{command}: {setting}: {page}");
            count += 1;
        }
    }
    assert!(count > 100, "{count} settings were found");
    for variable in [
        "DATABASE_PATH",
        "AUTH_TOKENS_FILE",
        "LOG_FORMAT",
        "DURABILITY",
    ] {
        assert!(page("logagg-serve").contains(variable), "{variable}");
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn synopses_have_the_names_of_values() {
    let synopsis = |command: &str| {
        let page = said(&["man", command]).replace("\\-", "-");
        let (_, rest) = page.split_once(".SH SYNOPSIS\n").unwrap();
        let synopsis = rest.lines().next().unwrap();
        synopsis
            .replace("\\fB", "")
            .replace("\\fI", "")
            .replace("\\fR", "")
    };
    let publish = synopsis("publish");
    assert!(publish.starts_with("logagg publish [--"), "{publish}");
    for part in ["[--topic TOPIC]", "[--ids KIND]", "[--now]", "[FILE...]"] {
        assert!(publish.contains(part), "{part}: {publish}");
    }
    let get = synopsis("get");
    assert!(get.ends_with(" TOPIC EVENT_ID"), "{get}");
    assert!(synopsis("restore").contains(" --from FILE"));
    assert!(synopsis("subscriptions").ends_with(" COMMAND"));
    assert!(synopsis("subscriptions-ack").contains(" NAME SEQ"));
}

/// The commands of a command have pages and completions too.
#[test]
fn the_commands_of_a_command_are_known() {
    let page = said(&["man", "subscriptions"]).replace("\\-", "-");
    let script = said(&["completions", "bash"]);
    for name in ["list", "create", "ack", "delete"] {
        assert!(
            page.contains(&format!("logagg-subscriptions-{name}")),
            "{page}"
        );
        let own = said(&["man", &format!("subscriptions-{name}")]).replace("\\-", "-");
        assert!(own.contains("--server"), "{own}");
        assert!(
            script.contains(&format!("logagg__subcmd__subscriptions__subcmd__{name}"))
                || script.contains(&format!("logagg__subscriptions__{name}")),
            "{name}"
        );
    }
}

#[test]
fn a_page_of_nothing_is_refused() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_logagg"));
    let output = program.args(["man", "nothing"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said, "logagg: there is no command \"nothing\"\n");
}

/// The exit code and what is said on standard error.
fn refusal(variables: &[(&str, &str)], arguments: &[&str]) -> (Option<i32>, String) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_logagg"));
    let program = program.env_clear().envs(variables.iter().copied());
    let output = program
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said)
}

#[test]
fn what_is_nearly_right_is_named() {
    for (arguments, meant) in [
        (&["srve"][..], "serve"),
        (&["subscriptions", "lst"], "list"),
        (&["serve", "--prot", "1"], "--port"),
        (&["serve", "--log-duplicate=off"], "--log-duplicates"),
        (&["subscriptions", "list", "--servr", "x"], "--server"),
        (&["serve", "--durability", "ful"], "full"),
        (&["bench", "--order", "Randm"], "random"),
    ] {
        let (code, said) = refusal(&[], arguments);
        assert_eq!(code, Some(2), "{said}");
        let question = format!("Did you mean '{meant}'?\n");
        assert!(said.ends_with(&question), "{arguments:?}: {said}");
    }
    let (_, said) = refusal(&[("DURABILITY", "nromal")], &["serve"]);
    assert!(said.contains("Did you mean 'normal'?"), "{said}");
    for arguments in [&["nothing"][..], &["serve", "--nothing"], &["--help"]] {
        let (_, said) = refusal(&[], arguments);
        assert!(!said.contains("Did you mean"), "{arguments:?}: {said}");
    }
}
