//! `.ci/times` and `.ci/again` with a stand-in for cargo: which failures are flaky, and which fail the command.

use std::fs;
use std::process::Command;

use super::directory::TemporaryDirectory;
use super::source::project;

/// Prints what all tests together printed and fails. Of a test that is run alone, `broken` fails, `rare` fails the
/// fourth time, and there is none that is called `gone`.
const CARGO: &str = r#"
for name; do :; done
case "$*" in
*" -- --exact "*) ;;
*) cat output; exit 101 ;;
esac
echo "$*" >>runs
case "$name $(grep -c " $name\$" runs)" in
*broken*|rare" "4) echo 'test result: FAILED. 0 passed; 1 failed; 0 ignored'; exit 101 ;;
gone*) echo 'test result: ok. 0 passed; 0 failed; 0 ignored' ;;
*) echo 'test result: ok. 1 passed; 0 failed; 0 ignored' ;;
esac
"#;

/// What cargo prints of a program in which these tests fail.
fn failing(program: &str, names: &[&str]) -> String {
    let listed: String = names.iter().map(|name| format!("    {name}\n")).collect();
    let count = names.len();
    format!(
        "     Running tests/x.rs (target/debug/deps/x-0)\n\nfailures:\n\n---- {0} stdout ----\nfailures:\n    \
         no test\nat x.rs:1\n\nfailures:\n{listed}\ntest result: FAILED. 7 passed; {count} failed; 0 ignored; 0 \
         measured; 0 filtered out; finished in 1.00s\n\nerror: test failed, to rerun pass `{program}`\n",
        names[0]
    )
}

/// Runs a test command that printed `output`; whether it succeeds, what is said, and which tests were run alone.
fn times(output: &str) -> (bool, String, Vec<String>) {
    let folder = TemporaryDirectory::new();
    fs::write(folder.join("cargo"), CARGO).unwrap();
    fs::write(folder.join("output"), output).unwrap();
    let done = Command::new("bash")
        .arg(project().join(".ci/times"))
        .args(["sh", "cargo", "test", "--workspace"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let runs = fs::read_to_string(folder.join("runs")).unwrap_or_default();
    (
        done.status.success(),
        String::from_utf8(done.stdout).unwrap(),
        runs.lines().map(str::to_owned).collect(),
    )
}

#[test]
fn a_test_that_passes_five_times_alone_is_named_and_fails_nothing() {
    let passing = "     Running unittests src/lib.rs (target/debug/deps/y-0)\ntest result: ok. 9 passed; 0 failed; \
                   0 ignored; 0 measured; 0 filtered out; finished in 0.10s\n";
    let output = failing("--test check", &["pages::one", "two"])
        + passing
        + &failing("-p logagg-bench --lib", &["unit::three"]);
    let (is_success, said, runs) = times(&output);
    assert!(is_success, "{said}");
    for (program, name) in [
        ("--test check", "pages::one"),
        ("--test check", "two"),
        ("--lib", "unit::three"),
    ] {
        let line = format!(
            "\nFLAKY {program} {name}: failed once beside the others, passed 5 times alone\n"
        );
        assert!(said.contains(&line), "{said}");
        let run = format!("test --workspace {program} -- --exact {name}");
        assert_eq!(runs.iter().filter(|one| **one == run).count(), 5);
    }
    assert_eq!(runs.len(), 15, "{runs:?}");
    // The command's own table stays.
    assert!(said.contains("  y, unit tests in src/lib.rs\n"), "{said}");
}

#[test]
fn a_test_that_fails_again_fails_the_command() {
    for name in ["broken", "rare", "gone"] {
        let (is_success, said, _) = times(&failing("--test check", &["one", name]));
        assert!(!is_success, "{said}");
        assert!(said.contains("\nFLAKY --test check one: "), "{said}");
        assert!(
            !said.contains(&format!("FLAKY --test check {name}")),
            "{said}"
        );
    }
}

#[test]
fn what_is_no_failing_test_or_too_many_of_them_is_not_tried_again() {
    let crashed = "     Running tests/y.rs (target/debug/deps/y-0)\n\nrunning 3 tests\nerror: test failed, to rerun \
                   pass `--test y`\n\nCaused by:\n  process didn't exit successfully (signal: 6, SIGABRT)\n";
    let cut_off = failing("--test check", &["one"]).replace("1 failed", "2 failed");
    for output in [
        "error: could not compile `logagg` (lib) due to 1 previous error\n",
        &(failing("--test check", &["one"]) + crashed),
        &cut_off,
        &failing("--test check", &["a", "b", "c", "d", "e", "f"]),
    ] {
        let (is_success, said, runs) = times(output);
        assert!(!is_success && runs.is_empty(), "{said}");
        assert!(!said.contains("FLAKY"), "{said}");
    }
}
