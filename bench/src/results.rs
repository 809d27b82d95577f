//! The page `bench/RESULTS.md`: each measurement keeps a section of its own there, which it replaces
//! whole. Nobody else writes to the page.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::provenance::{machine, today};

const INTRODUCTION: &str = "# Results

Written by the measurements themselves; run them to get your own. Ratios carry over to other machines,
rates and latencies do not.
";

/// The commands that have a section, in the order of the page.
const SECTIONS: [&str; 8] = [
    "make bench",
    "make bench-ingest",
    "make bench-subscribers",
    "make bench-peers",
    "make bench-scale",
    "make bench-stalls",
    "make bench-overload",
    "make bench-search",
];

/// The page in the project that this program was built from.
pub fn default_page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("RESULTS.md")
}

/// Puts `text` into the section of `command` of the page at `path`, which is made where it is not
/// there, with the date, the machine and the `version` of what was measured.
///
/// # Errors
/// The page cannot be read or written.
pub fn write(path: &Path, command: &str, version: &str, text: &str) -> io::Result<()> {
    let page = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        page => page?,
    };
    let about = format!("{}, {version}, {}", today(), machine()?);
    let section = format!("{about}\n\n```text\n{}\n```\n", text.trim_end());
    fs::write(path, replaced(&page, command, &section))?;
    println!("{command}: {}", path.display());
    Ok(())
}

/// The page with the section of `command` replaced.
fn replaced(page: &str, command: &str, section: &str) -> String {
    let mut new = INTRODUCTION.to_owned();
    for name in SECTIONS {
        let heading = format!("## `{name}`\n\n");
        let text = if name == command {
            Some(section)
        } else {
            // A section goes to the next heading or to the end.
            page.split_once(&heading)
                .map(|(_, rest)| rest.split_once("\n## ").map_or(rest, |(text, _)| text))
        };
        if let Some(text) = text {
            new.push_str(&format!("\n{heading}{}\n", text.trim_end()));
        }
    }
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_replaced_and_the_others_stay() {
        let first = replaced("", "make bench-scale", "one\n");
        let both = replaced(&first, "make bench", "two\n\n# not a section\n");
        let again = replaced(&both, "make bench-scale", "three");
        let expected = format!(
            "{INTRODUCTION}\n## `make bench`\n\ntwo\n\n# not a section\n\n## `make bench-scale`\n\nthree\n"
        );
        assert_eq!(again, expected);
    }
}
