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
