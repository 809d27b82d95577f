//! The links between the project's pages.

use std::collections::BTreeSet;
use std::fs;

use super::source::{files, none, project, Source};

/// The pages at the top and in the folders that hold some.
fn pages() -> Vec<Source> {
    let mut pages = Vec::new();
    for entry in fs::read_dir(project()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".md") {
            let text = fs::read_to_string(project().join(&name)).unwrap();
            pages.push(Source::of(&name, &text));
        }
    }
    for folder in ["docs", "bench", "tests"] {
        pages.extend(files(folder, &["md"]));
    }
    assert!(pages.len() > 8, "the pages were found");
    pages
}

/// The anchors of a page, as GitHub makes them of its headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |line: &str| -> String {
        let heading = line.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter_map(|c| match c {
            ' ' => Some('-'),
            '-' | '_' => Some(c),
            _ => c.is_alphanumeric().then_some(c),
        });
        kept.collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn links_between_the_pages_lead_somewhere() {
    let mut broken = Vec::new();
    for page in pages() {
        for (at, _) in page.text.match_indices("](") {
            let link = &page.text[at + 2..];
            let link = &link[..link.find(')').unwrap_or(0)];
            if link.contains(':') {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match path {
                "" => project().join(&page.path),
                path => project().join(&page.path).with_file_name(path),
            };
            let is_there = target.exists()
                && (anchor.is_empty()
                    || fs::read_to_string(&target)
                        .is_ok_and(|text| anchors(&text).contains(anchor)));
            if !is_there {
                broken.push(format!("{}: {link}", page.path));
            }
        }
    }
    none("a link leads nowhere", broken);
}

/// The files and folders that the pages about the code name, as `net/memory.rs` or `fuzz/corpus/`.
#[test]
fn files_that_the_pages_name_exist() {
    let sources = files("src", &["rs", "html", "json"]);
    let is_about_code = |page: &Source| {
        page.path.starts_with("docs/internals/")
            || ["ARCHITECTURE.md", "CONTRIBUTING.md", "tests/README.md"].contains(&&page.path[..])
    };
    let mut broken = Vec::new();
    let mut count = 0;
    for page in pages().iter().filter(|page| is_about_code(page)) {
        for name in page.text.split('`').skip(1).step_by(2) {
            let is_path = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
            let names_file = name.ends_with(".rs") || name.len() > 1 && name.ends_with('/');
            if !names_file || name.starts_with('/') || !name.chars().all(is_path) {
                continue;
            }
            count += 1;
            // A page may leave out the folders that its chapter is about.
            let is_there = project().join(name).exists()
                || sources.iter().any(|source| {
                    let part = format!("/{name}");
                    source.path.ends_with(&part)
                        || name.ends_with('/') && source.path.contains(&part)
                });
            if !is_there {
                broken.push(format!("{}: {name}", page.path));
            }
        }
    }
    assert!(count > 40, "the names were found");
    none("a page names a file that is not there", broken);
}
