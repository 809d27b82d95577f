//! docs/RELIABILITY.md against the tests that it names and the figures that they print.

use std::fs;

use super::source::{files, none, project, Source, SOURCES};

/// Its own tests print figures that are none.
const WRITER: &str = "bench/src/reliability.rs";

fn page() -> String {
    fs::read_to_string(project().join("docs/RELIABILITY.md")).unwrap()
}

/// What may print a figure.
fn printers() -> Vec<Source> {
    let sources = SOURCES
        .iter()
        .flat_map(|folder| files(folder, &["rs", "sh"]));
    let is_printer = |source: &Source| source.path != WRITER && !source.path.contains("tidy");
    sources.filter(is_printer).collect()
}

/// What docs/RELIABILITY.md names in its tables: files, and after each the tests in it.
#[test]
fn the_tests_behind_each_promise_exist() {
    let page = page();
    let mut broken = Vec::new();
    let mut tests = 0;
    for row in page.lines().filter(|line| line.starts_with('|')) {
        let mut file: Option<(&str, String)> = None;
        for name in row.split('`').skip(1).step_by(2) {
            if name.ends_with(".rs") {
                match fs::read_to_string(project().join(name)) {
                    Ok(text) => file = Some((name, text)),
                    Err(error) => broken.push(format!("{name}: {error}")),
                }
            } else if let (true, Some((path, text))) = (name.contains('_'), &file) {
                tests += 1;
                if !text.contains(&format!("fn {name}()")) {
                    broken.push(format!("{path} has no {name}"));
                }
            }
        }
    }
    assert!(tests > 30, "the tables were found");
    none("docs/RELIABILITY.md names tests that exist", broken);
}

/// A mark whose test has gone would keep its last figure for ever.
#[test]
fn each_figure_of_the_page_is_printed_by_something() {
    let page = page();
    let sources = SOURCES
        .iter()
        .flat_map(|folder| files(folder, &["rs", "sh"]));
    let sources: Vec<Source> = sources.collect();
    let mut broken = Vec::new();
    let mut keys = Vec::new();
    for mark in page.split("<!-- figure ").skip(1) {
        let (key, figure) = mark.split_once(" -->").expect("a mark ends");
        if keys.contains(&key) {
            broken.push(format!("{key} stands there twice"));
        }
        keys.push(key);
        if figure.starts_with("not yet run") {
            continue;
        }
        // Some are put together: the last word is what varies.
        let stem = key.rsplit_once('-').map_or(key, |(stem, _)| stem);
        let prints = |source: &Source| {
            source.text.contains(&format!("\"{key}\""))
                || [key, stem]
                    .iter()
                    .any(|part| source.text.contains(&format!("FIGURE {part}")))
        };
        if !sources.iter().any(prints) {
            broken.push(key.to_owned());
        }
    }
    none(
        "a figure of docs/RELIABILITY.md is printed by nothing",
        broken,
    );
}

/// A figure without a place would be refused at the end of a long run.
#[test]
fn each_figure_that_is_printed_has_a_place_on_the_page() {
    let page = page();
    let mut broken = Vec::new();
    for source in printers() {
        for (at, before) in source.text.match_indices("FIGURE ") {
            let behind = &source.text[at + before.len()..];
            let is_key = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            let key = &behind[..behind.find(|c| !is_key(c)).unwrap_or(behind.len())];
            let rest = &behind[key.len()..];
            let has_place = match rest.chars().next() {
                Some(':') => page.contains(&format!("<!-- figure {key} -->")),
                // The rest of the key is known only to the run.
                Some('{' | '$') => page.contains(&format!("<!-- figure {key}")),
                _ => continue,
            };
            if !key.is_empty() && !has_place {
                broken.push(format!("{}: {key}", source.at(at)));
            }
        }
    }
    none("docs/RELIABILITY.md has no place for a figure", broken);
}
