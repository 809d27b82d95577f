//! The page `docs/RELIABILITY.md`: takes the figures that tests print over into it. The page's words are
//! written by hand; what stands between the marks `<!-- figure KEY -->` and `<!-- end -->` is written
//! here and nowhere else.
//!
//! A figure is a line `FIGURE KEY: SENTENCE` in what the tests print. One that counts over several tests
//! prints its total again and again, so the last line of a key counts. A key without a line keeps what the
//! page says of it, with its date.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};

use crate::args::ReliabilityArgs;
use crate::provenance::{machine, today};

const MARK: &str = "<!-- figure ";
const MARK_END: &str = " -->";
const END: &str = "<!-- end -->";

/// The page in the project that this program was built from.
pub fn default_page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/RELIABILITY.md")
}

/// Passes standard input on to standard output and writes its figures into the page; returns whether all
/// tests in it have passed. A figure is worth nothing where another test of the same run has failed, so the
/// page then stays as it is.
///
/// # Errors
/// No figure in the input, one that the page has no place for, or a page that cannot be read or written.
pub fn run(args: &ReliabilityArgs) -> io::Result<bool> {
    let path = args.page.clone().unwrap_or_else(default_page);
    let mut told = Told::default();
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let line = line?;
        writeln!(out, "{line}")?;
        told.hear(&line);
    }
    if told.failed {
        eprintln!("a test has failed: {} stays as it is", path.display());
        return Ok(false);
    }
    if told.figures.is_empty() {
        return Err(io::Error::other("no test has printed a figure"));
    }
    let page = fs::read_to_string(&path)?;
    let stamp = format!("({}, {})", today(), machine()?);
    let page = told.write_into(&page, &stamp).map_err(io::Error::other)?;
    fs::write(&path, page)?;
    eprintln!("{} figures: {}", told.figures.len(), path.display());
    Ok(true)
}

/// What a run of tests has printed.
#[derive(Default)]
struct Told {
    /// The sentences by their keys.
    figures: BTreeMap<String, String>,
    failed: bool,
}

impl Told {
    fn hear(&mut self, line: &str) {
        self.failed |= line.starts_with("test result: FAILED");
        if let Some((key, sentence)) = figure_in(line) {
            self.figures.insert(key.to_owned(), sentence.to_owned());
        }
    }

    /// The page with the new figures in their places. The error is a sentence.
    fn write_into(&self, page: &str, stamp: &str) -> Result<String, String> {
        let mut written = String::with_capacity(page.len());
        let mut unplaced: Vec<&str> = self.figures.keys().map(String::as_str).collect();
        let mut rest = page;
        while let Some(at) = rest.find(MARK) {
            let key_at = at + MARK.len();
            let (key, behind) = rest[key_at..]
                .split_once(MARK_END)
                .ok_or("the page has a mark that does not end")?;
            let (old, after) = behind
                .split_once(END)
                .filter(|(old, _)| !old.contains(MARK))
                .ok_or_else(|| format!("the mark of {key} has no {END} after it"))?;
            written.push_str(&rest[..key_at]);
            written.push_str(key);
            written.push_str(MARK_END);
            match self.figures.get(key) {
                // A bar would end the cell of a table.
                Some(sentence) => {
                    written.push_str(&format!("{} {stamp}", sentence.replace('|', "\\|")));
                }
                None => written.push_str(old),
            }
            written.push_str(END);
            unplaced.retain(|other| *other != key);
            rest = after;
        }
        written.push_str(rest);
        if unplaced.is_empty() {
            Ok(written)
        } else {
            let keys = unplaced.join(", ");
            Err(format!("the page has no place for the figures {keys}"))
        }
    }
}

/// The key and the sentence of a line. A run with one thread leaves the name of the test in front of
/// what it prints first.
fn figure_in(line: &str) -> Option<(&str, &str)> {
    let from = match line.find("FIGURE ")? {
        0 => 0,
        at => line[..at].ends_with(" ... ").then_some(at)?,
    };
    let (key, sentence) = line[from + "FIGURE ".len()..].split_once(": ")?;
    let is_kebab = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (!key.is_empty() && key.bytes().all(is_kebab)).then_some((key, sentence.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# Page\n\n| a | <!-- figure kills -->not yet run<!-- end --> |\n\
        | b | <!-- figure cuts -->9 cuts (2026-01-02, old)<!-- end --><br>more |\n";

    fn told(lines: &str) -> Told {
        let mut told = Told::default();
        lines.lines().for_each(|line| told.hear(line));
        told
    }

    #[test]
    fn the_last_line_of_a_key_counts_and_other_keys_keep_their_figure() {
        let told = told("test a ... FIGURE kills: 1 kill\nFIGURE kills: 2 kills | more\nok\n");
        let page = told.write_into(PAGE, "(today, here)").unwrap();
        let expected = PAGE.replace("not yet run", "2 kills \\| more (today, here)");
        assert_eq!(page, expected);
        // The marks stay, so the next run finds them.
        assert_eq!(told.write_into(&page, "(today, here)").unwrap(), page);
    }

    #[test]
    fn a_key_that_the_page_does_not_know_is_an_error() {
        let error = told("FIGURE kills: 1\nFIGURE storms: 3\n").write_into(PAGE, "");
        assert_eq!(
            error,
            Err("the page has no place for the figures storms".to_owned())
        );
    }

    #[test]
    fn a_mark_without_an_end_is_an_error() {
        for page in [
            "<!-- figure kills",
            "<!-- figure kills -->x",
            "<!-- figure a -->x<!-- figure kills -->y<!-- end -->",
        ] {
            assert!(
                told("FIGURE kills: 1").write_into(page, "").is_err(),
                "{page}"
            );
        }
    }

    #[test]
    fn a_failed_test_is_heard() {
        assert!(told("test result: FAILED. 3 passed; 1 failed;").failed);
        assert!(!told("test result: ok. 4 passed; 0 failed;").failed);
    }

    #[test]
    fn what_only_looks_like_a_figure_is_none() {
        for line in [
            "a FIGURE kills: 1",
            "FIGURE <key>: 1",
            "FIGURE Kills: 1",
            "FIGURE kills 1",
            "FIGURE : 1",
        ] {
            assert_eq!(figure_in(line), None, "{line}");
        }
    }

    /// The page of the project is one that a run can be written into.
    #[test]
    fn the_page_has_its_marks_in_order() {
        let page = fs::read_to_string(default_page()).unwrap();
        assert_eq!(Told::default().write_into(&page, "").unwrap(), page);
        assert!(page.contains(MARK));
    }
}
