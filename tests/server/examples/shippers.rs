//! The commands and snippets of the page about shippers, as far as they run without what they configure: the servers
//! start, messages of `logger` arrive, and Python and JavaScript are legal. The tests of `shippers` run the rest.

use std::process::Command;

use super::blocks::{blocks, Stage};
use super::shells::{is_installed, run};
use crate::harness::{fixed_address, Setup};
use crate::report::skipped;
use crate::wait::wait_until;

const PAGE: &str = "docs/SHIPPERS.md";

#[test]
fn the_commands_for_shippers_run() {
    let stage = Stage::new();
    let address = fixed_address();
    let (host, port) = (address.ip().to_string(), address.port().to_string());
    let setup = Setup::new();
    let socket = setup.directory().join("log");
    let sockets = format!("udp:{address},tcp:{address},unix:{}", socket.display());
    let others = setup.directory().join("others");
    std::fs::create_dir(&others).unwrap();
    let others = format!("unix:{}/", others.display());
    let server = setup.flags(["--syslog", &sockets]).start();
    let mut messages = 0;
    for block in blocks(PAGE) {
        if block.language != "sh" {
            continue;
        }
        if block.text.contains("logger ") {
            if !is_installed("logger") {
                skipped("the examples with logger", "it is not installed");
                continue;
            }
            messages += block.text.lines().count() as u64;
        }
        let text = block
            .text
            .replace("--server 127.0.0.1", &format!("--server {host}"))
            .replace("--port 514", &format!("--port {port}"))
            .replace(
                "logger --socket /run/logagg/log",
                &format!("logger --socket {}", socket.display()),
            )
            .replace("unix:/run/logagg/", &others)
            .replace("0.0.0.0:514", "127.0.0.1:0")
            .replace("0.0.0.0:24224", "127.0.0.1:0")
            .replace("0.0.0.0:12201", "127.0.0.1:0");
        run(&stage, &["sh", "-e", "-c"], &text, &block.place);
    }
    wait_until("the messages of logger", || {
        server.json("/stats")["unique_processed"] == messages
    });
}

#[test]
fn the_snippets_in_python_and_javascript_are_legal() {
    let stage = Stage::new();
    for (language, name, program, flags) in [
        ("python", "snippet.py", "python3", &["-m", "py_compile"][..]),
        ("js", "snippet.mjs", "node", &["--check"][..]),
    ] {
        if !is_installed(program) {
            skipped(
                &format!("the snippets in {language}"),
                format_args!("{program} is not installed"),
            );
            continue;
        }
        let snippets = blocks(PAGE);
        let snippets = snippets.iter().filter(|block| block.language == language);
        for block in snippets {
            let path = stage.write(name, &block.text);
            let output = Command::new(program)
                .args(flags)
                .arg(path)
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{}: {said}", block.place);
        }
    }
}
