//! The commands of the pages, in the shells that people use. Where a page shows what is printed, that is printed.

use std::process::Output;

use super::blocks::{blocks, Block, Stage};
use crate::report::skipped;

const PAGES: [&str; 6] = [
    "README.md",
    "docs/HTTP.md",
    "docs/COMMANDS.md",
    "docs/QUICKSTART.md",
    "docs/OPERATIONS.md",
    "docs/SECURITY.md",
];

#[test]
fn the_commands_of_the_pages_run_in_sh() {
    run_all(&["sh", "-e", "-c"]);
}

#[test]
fn the_commands_of_the_pages_run_in_zsh() {
    run_all(&["zsh", "-f", "-e", "-c"]);
}

fn run_all(shell: &[&str]) {
    for program in [shell[0], "curl", "sqlite3", "openssl", "gzip"] {
        if !is_installed(program) {
            skipped(
                &format!("the examples of the pages in {}", shell[0]),
                format_args!("{program} is not installed"),
            );
            return;
        }
    }
    for page in PAGES {
        let stage = Stage::new();
        if page == "docs/COMMANDS.md" {
            stage.seed();
        }
        let blocks = blocks(page);
        let mut count = 0;
        for block in &blocks {
            match block.language.as_str() {
                "sh" => {
                    run(&stage, shell, &block.text, &block.place);
                }
                "console" => run_console(&stage, shell, block),
                _ => continue,
            }
            count += 1;
        }
        assert!(count > 0, "{page} has examples");
    }
}

pub fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Runs a script to its end, and returns what it printed.
pub fn run(stage: &Stage, shell: &[&str], script: &str, place: &str) -> String {
    let mut command = stage.command(shell[0]);
    let command = command.args(&shell[1..]).arg(stage.fit(script));
    let output: Output = command.output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{place} in {}: {}\n{script}\n{printed}\n{errors}",
        shell[0],
        output.status
    );
    printed
}

/// Runs the commands after the prompts of a block; the lines after each are what it prints.
fn run_console(stage: &Stage, shell: &[&str], block: &Block) {
    for part in format!("\n{}", block.text).split("\n$ ").skip(1) {
        let lines: Vec<&str> = part.lines().collect();
        // A command goes on where a quote is open, and after a backslash.
        let mut end = 1;
        while lines[..end].join("\n").matches('\'').count() % 2 == 1
            || lines[end - 1].ends_with('\\')
        {
            end += 1;
        }
        let printed = run(stage, shell, &lines[..end].join("\n"), &block.place);
        let expected = lines[end..].join("\n");
        if !expected.is_empty() {
            assert_eq!(
                without_times(printed.trim_end()),
                without_times(&expected),
                "{}",
                block.place
            );
        }
    }
}

/// A text without what differs from run to run.
fn without_times(text: &str) -> String {
    let mut text = text.to_owned();
    for (before, after) in [
        ("\"processed_at\":\"", '"'),
        ("\"updated_at\":\"", '"'),
        ("\"elapsed_ms\":", '}'),
    ] {
        let mut parts = text.split(before);
        let mut kept = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let rest = part.find(after).map_or("", |at| &part[at..]);
            kept = kept + before + rest;
        }
        text = kept;
    }
    text
}
