//! The programs of the quickstart: the pieces of a language, one after another.

use super::blocks::{blocks, Stage};
use crate::report::skipped;

fn run(language: &str, name: &str, command: &[&str]) {
    let stage = Stage::new();
    let blocks = blocks("docs/QUICKSTART.md");
    let pieces = blocks.iter().filter(|block| block.language == language);
    let text: String = pieces.map(|block| stage.fit(&block.text) + "\n").collect();
    assert!(text.len() > 500, "the pieces were found");
    let path = stage.write(name, &text);
    // What the commands of the page have stored.
    stage.seed();
    let mut program = stage.command(command[0]);
    let output = match program.args(&command[1..]).arg(path).output() {
        Ok(output) => output,
        Err(error) => {
            skipped(
                &format!("the examples in {language}"),
                format_args!("{} cannot be started: {error}", command[0]),
            );
            return;
        }
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let stats = stage.server.json("/stats");
    assert!(stats["unique_processed"].as_u64() > Some(4), "{stats}");
    assert_eq!(
        stage.server.json("/subscriptions")["subscriptions"][0]["lag"],
        0
    );
}

#[test]
fn the_program_in_python_runs() {
    run("python", "quickstart.py", &["python3"]);
}

/// Node.js of before 18 has no `fetch`.
#[test]
fn the_program_in_javascript_runs() {
    let version = std::process::Command::new("node").arg("--version").output();
    let version = version.map_or(String::new(), |output| {
        String::from_utf8_lossy(&output.stdout).into_owned()
    });
    let major = version.trim_start_matches('v').split('.').next();
    if major.and_then(|major| major.parse().ok()) < Some(18_u32) {
        skipped(
            "the examples in javascript",
            "there is no Node.js of version 18 or later",
        );
        return;
    }
    run("javascript", "quickstart.mjs", &["node"]);
}

#[test]
fn the_program_in_go_runs() {
    run("go", "quickstart.go", &["go", "run"]);
}
