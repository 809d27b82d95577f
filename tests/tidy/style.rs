//! What a source file looks like, and what no file may contain.

use std::fs;

use super::source::{files, manifests, none, project, rust_files, words, Source, SOURCES};

/// The one file with `unsafe` in it: an allocator that counts, for measuring.
const UNSAFE_FILE: &str = "bench/src/counting.rs";

const FILE_MAX_LINES: usize = 600;
const LINE_MAX_CHARS: usize = 120;

/// A lint forbids it, but for where an attribute allows it. Only one file may.
#[test]
fn unsafe_code_is_in_one_file() {
    let mut broken = Vec::new();
    for source in rust_files(&SOURCES) {
        if source.path != UNSAFE_FILE {
            broken.extend(words(&source.code, "unsafe").map(|at| source.at(at)));
        }
    }
    none("no unsafe code", broken);
}

/// The lints are the workspace's, and a package gets them only if it asks for them.
#[test]
fn every_package_has_the_lints() {
    let mut broken = Vec::new();
    for (path, manifest) in manifests() {
        // `fuzz` is no member: what libFuzzer calls has a name that one of them takes for unsafe code.
        if !path.starts_with("fuzz/") && !manifest.contains("\n[lints]\nworkspace = true\n") {
            broken.push(path);
        }
    }
    none("[lints] workspace = true", broken);
}

#[test]
fn source_files_are_short() {
    let mut broken = Vec::new();
    for source in rust_files(&SOURCES) {
        let lines = source.text.lines().count();
        if lines > FILE_MAX_LINES {
            broken.push(format!("{}: {lines} lines", source.path));
        }
    }
    let rule = format!("a file has at most {FILE_MAX_LINES} lines");
    none(&rule, broken);
}

#[test]
fn nothing_is_left_half_done() {
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
    ];
    let mut broken = Vec::new();
    for source in rust_files(&SOURCES) {
        for mark in marks {
            broken.extend(words(&source.text, mark).map(|at| format!("{}: {mark}", source.at(at))));
        }
    }
    none("unfinished work", broken);
}

#[test]
fn every_source_file_says_what_it_is() {
    let sources = rust_files(&SOURCES);
    let broken = sources
        .iter()
        .filter(|source| !source.text.starts_with("//! "))
        .map(|source| source.path.clone());
    none(
        "a file begins with its module's documentation",
        broken.collect(),
    );
}

#[test]
fn lines_are_clean_and_short() {
    let mut sources: Vec<Source> = SOURCES
        .iter()
        .flat_map(|folder| files(folder, &["rs", "sh", "lua"]))
        .collect();
    sources.retain(|source| !source.path.contains("/web/"));
    let mut broken = Vec::new();
    for source in &sources {
        for (number, line) in source.text.lines().enumerate() {
            let place = format!("{}:{}", source.path, number + 1);
            if line.ends_with(char::is_whitespace) {
                broken.push(format!("{place}: white space at the end"));
            }
            if line.contains('\t') {
                broken.push(format!("{place}: a tab"));
            }
            if line.chars().count() > LINE_MAX_CHARS {
                broken.push(format!("{place}: more than {LINE_MAX_CHARS} characters"));
            }
        }
        if !source.text.ends_with('\n') || source.text.ends_with("\n\n") {
            broken.push(format!("{}: ends with one line end", source.path));
        }
    }
    none("lines", broken);
}

#[test]
fn every_dependency_is_accounted_for() {
    let page = fs::read_to_string(project().join("docs/internals/dependencies.md"))
        .expect("the page says of each dependency what it is for");
    let mut broken = Vec::new();
    let mut count = 0;
    for (path, manifest) in manifests() {
        let mut section = "";
        for line in manifest.lines() {
            if let Some(name) = line.trim().strip_prefix('[') {
                section = name.trim_end_matches(']');
                continue;
            }
            let Some((name, _)) = line.split_once('=') else {
                continue;
            };
            let name = name.trim().trim_end_matches(".workspace");
            if section.ends_with("dependencies") && !name.starts_with('#') {
                count += 1;
                if !page.contains(&format!("`{name}`")) {
                    broken.push(format!("{path}: {name}"));
                }
            }
        }
    }
    assert!(count > 5, "the manifest's dependencies were found");
    none(
        "a dependency is not named (`like_this`) in docs/internals/dependencies.md",
        broken,
    );
}
