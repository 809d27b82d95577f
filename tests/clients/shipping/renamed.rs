//! Files that get a name that no rotation gives, while nobody looks.

use std::fs;
use std::path::Path;

use super::{append, lines, text, Scene};
use crate::harness::Server;
use crate::program::{run_at, Output};

fn ship(scene: &Scene, patterns: &[&str]) -> Output {
    let paths: Vec<_> = patterns.iter().map(|it| scene.folder.join(it)).collect();
    let mut arguments = vec!["ship"];
    arguments.extend(paths.iter().map(|path| text(path)));
    arguments.extend(["--topic", super::TOPIC, "--source", "test", "--once"]);
    run_at(&scene.url, &arguments, b"").expect(0)
}

fn assert_each_once(server: &Server, output: &Output, expected: &[&str]) {
    let mut found = lines(server);
    found.sort();
    assert_eq!(found, expected);
    assert_eq!(output.stderr, "", "{output:?}");
    let stats = server.json("/stats");
    assert_eq!(stats["duplicate_dropped"], 0, "{stats}");
}

type Renaming = fn(&Path, &Path);

const RENAMINGS: [(&str, Renaming); 2] = [
    ("a rename", |from, to| fs::rename(from, to).unwrap()),
    ("a copy, as to another file system", |from, to| {
        fs::copy(from, to).unwrap();
        fs::remove_file(from).unwrap();
    }),
];

#[test]
fn a_file_under_another_name_of_the_pattern_goes_on_where_it_was() {
    for (what, rename) in RENAMINGS {
        for has_new_file in [true, false] {
            println!("{what}, has_new_file={has_new_file}");
            let scene = Scene::new();
            let server = scene.setup.start();
            append(&scene.log(), "1\n2\n");
            ship(&scene, &["*.log"]);
            append(&scene.log(), "3\n");
            rename(&scene.log(), &scene.folder.join("app-saved.log"));
            if has_new_file {
                append(&scene.log(), "4\n");
            }
            let output = ship(&scene, &["*.log"]);
            let expected: &[&str] = match has_new_file {
                true => &["1", "2", "3", "4"],
                false => &["1", "2", "3"],
            };
            assert_each_once(&server, &output, expected);
            append(&scene.folder.join("app-saved.log"), "5\n");
            let output = ship(&scene, &["*.log"]);
            assert_each_once(&server, &output, &[expected, &["5"]].concat());
        }
    }
}

#[test]
fn a_file_in_a_folder_of_another_pattern_goes_on_where_it_was() {
    for (what, rename) in RENAMINGS {
        println!("{what}");
        let scene = Scene::new();
        let server = scene.setup.start();
        fs::create_dir(scene.folder.join("old")).unwrap();
        let patterns = ["*.log", "old/*.log"];
        append(&scene.folder.join("other.log"), "0\n");
        append(&scene.log(), "1\n2\n");
        ship(&scene, &patterns);
        append(&scene.log(), "3\n");
        rename(&scene.log(), &scene.folder.join("old/2026.log"));
        append(&scene.log(), "4\n");
        append(&scene.folder.join("old/else.log"), "5\n");
        let output = ship(&scene, &patterns);
        assert_each_once(&server, &output, &["0", "1", "2", "3", "4", "5"]);
    }
}

/// A log file that is named by itself may have become one that a pattern matches.
#[test]
fn a_file_that_was_named_goes_on_in_a_pattern() {
    for (what, rename) in RENAMINGS {
        println!("{what}");
        let scene = Scene::new();
        let server = scene.setup.start();
        fs::create_dir(scene.folder.join("old")).unwrap();
        append(&scene.log(), "1\n2\n");
        let arguments = ["app.log", "old/*.log"];
        append(&scene.folder.join("old/first.log"), "0\n");
        ship(&scene, &arguments);
        append(&scene.log(), "3\n");
        rename(&scene.log(), &scene.folder.join("old/2026.log"));
        append(&scene.log(), "4\n");
        let output = ship(&scene, &arguments);
        assert_each_once(&server, &output, &["0", "1", "2", "3", "4"]);
    }
}
