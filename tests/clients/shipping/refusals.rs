//! What cannot be shipped, and who must not ship.

use std::fs;

use super::{append, lines, text, Scene};
use crate::program::run_at;

#[test]
fn wrong_arguments_end_with_2() {
    let scene = Scene::new();
    let log = scene.log();
    let log = text(&log);
    let long = "x".repeat(256);
    for arguments in [
        &["ship", "--topic", "t", "--source", "s"][..],
        &["ship", log, "--topic", "t"],
        &["ship", log, "--source", "s"],
        &["ship", log, "--topic", "", "--source", "s"],
        &["ship", log, "--topic", "t", "--source", &long],
        &["ship", log, log, "--topic", "t", "--source", "s"],
        &["ship", "/", "--topic", "t", "--source", "s"],
        &["ship", "/tmp/..", "--topic", "t", "--source", "s"],
    ] {
        let output = run_at(&scene.url, arguments, b"").expect(2);
        assert_eq!(output.stdout, "", "{arguments:?}");
    }
}

#[test]
fn files_and_folders_that_cannot_be_used_are_named() {
    let scene = Scene::new();
    let _server = scene.setup.start();
    let refused = |flags: &[&str], code: i32, sentence: &str| {
        let output = scene.once(flags).expect(code);
        assert!(output.stderr.contains(sentence), "{output:?}");
    };
    refused(&[], 1, "app.log: there is no such file yet");
    append(&scene.log(), "1\n");
    let file = scene.log();
    refused(&["--state", text(&file)], 2, "--state");
    refused(&["--state", "/proc"], 1, "--state keeps it elsewhere");

    let state = scene.folder.join("state");
    let flags = ["--state", text(&state)];
    scene.once(&flags).expect(0);
    let path = fs::read_dir(&state)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let whole = fs::read_to_string(&path).unwrap();
    for (broken, sentence) in [
        ("{".to_owned(), "cannot use the state"),
        (
            whole.replace("\"version\":2", "\"version\":9"),
            "another version",
        ),
        (
            whole.replace("\"length\":2", "\"length\":3"),
            "are inconsistent",
        ),
    ] {
        fs::write(&path, broken).unwrap();
        refused(&flags, 1, sentence);
    }
    fs::write(&path, whole).unwrap();
    assert_eq!(scene.once(&flags).expect(0).sum("read"), 0);
}

#[test]
fn a_line_that_the_server_refuses_is_told_and_the_others_are_stored() {
    let scene = Scene::new();
    let setup = scene.setup.clone().flags(["--max-body-bytes", "2048"]);
    let server = setup.start();
    append(&scene.log(), format!("1\n{}\n2\n", "x".repeat(3_000)));
    let output = scene.once(&[]).expect(1);
    assert_eq!((output.sum("accepted"), output.sum("rejected")), (2, 1));
    assert!(output.stderr.contains("app.log is refused"), "{output:?}");
    assert!(
        output.stderr.contains("1 lines are not stored"),
        "{output:?}"
    );
    assert_eq!(lines(&server), ["1", "2"]);
}

#[test]
fn who_may_not_publish_is_told_at_once() {
    let scene = Scene::new();
    let tokens = scene.folder.join("tokens");
    fs::write(
        &tokens,
        "reader read only-reads\nshipper publish may-publish\n",
    )
    .unwrap();
    let server = scene
        .setup
        .clone()
        .flags(["--auth-tokens-file", text(&tokens)])
        .start();
    append(&scene.log(), "1\n");
    let token = scene.folder.join("token");
    for (text_of_token, code, sentence) in [
        ("unknown", 1, "(401)"),
        ("only-reads", 1, "(403)"),
        ("may-publish", 0, ""),
    ] {
        fs::write(&token, text_of_token).unwrap();
        let output = scene.once(&["--token-file", text(&token)]).expect(code);
        assert!(output.stderr.contains(sentence), "{output:?}");
    }
    server.stop();
}
