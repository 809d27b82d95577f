//! The project's files as text, and as code without comments and strings. Parses as little of Rust as the rules
//! need.

use std::fs;
use std::path::{Path, PathBuf};

pub struct Source {
    /// Relative to the project, with `/`.
    pub path: String,
    pub text: String,
    /// The text with comments, strings and characters blanked; lines and columns stay.
    pub code: String,
}

impl Source {
    pub fn of(path: &str, text: &str) -> Source {
        Source {
            path: path.to_owned(),
            text: text.to_owned(),
            code: blank(text),
        }
    }

    pub fn at(&self, offset: usize) -> String {
        format!(
            "{}:{}",
            self.path,
            self.code[..offset].matches('\n').count() + 1
        )
    }

    /// The top-level module that the file belongs to; none for `lib.rs` and `main.rs`.
    pub fn module(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src/")?;
        let name = inside.split('/').next()?.trim_end_matches(".rs");
        (name != "lib" && name != "main").then_some(name)
    }
}

pub fn project() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The sources of the project's packages; `fuzz` is one of its own.
pub const SOURCES: [&str; 4] = ["src", "bench", "tests", "fuzz"];

/// The files below `folder` whose name has one of these extensions, in the order of their paths.
pub fn files(folder: &str, extensions: &[&str]) -> Vec<Source> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                // What a build has made is nobody's source.
                if !path.ends_with("target") {
                    walk(&path, found);
                }
            } else {
                found.push(path);
            }
        }
    }
    let mut paths = Vec::new();
    walk(&project().join(folder), &mut paths);
    paths.sort();
    paths.retain(|path| {
        path.extension()
            .is_some_and(|found| extensions.iter().any(|wanted| found == *wanted))
    });
    let source = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let relative = path.strip_prefix(project()).unwrap();
        Source::of(relative.to_str().unwrap(), &text)
    };
    paths.into_iter().map(source).collect()
}

pub fn rust_files(folders: &[&str]) -> Vec<Source> {
    let found: Vec<Source> = folders
        .iter()
        .flat_map(|folder| files(folder, &["rs"]))
        .collect();
    assert!(!found.is_empty());
    found
}

/// The manifests of the project's packages: at the top and in the folders below.
pub fn manifests() -> Vec<(String, String)> {
    let folders = fs::read_dir(project()).unwrap();
    let folders = folders.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut paths: Vec<String> = folders
        .map(|folder| format!("{folder}/Cargo.toml"))
        .chain(["Cargo.toml".to_owned()])
        .filter(|path| project().join(path).is_file())
        .collect();
    paths.sort();
    let read = |path: String| {
        let manifest = fs::read_to_string(project().join(&path)).unwrap();
        (path, manifest)
    };
    paths.into_iter().map(read).collect()
}

pub fn none(rule: &str, broken: Vec<String>) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}

/// Replaces what is not code (comments, strings, characters) with spaces, byte for byte.
pub fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let before = if at == 0 { b' ' } else { bytes[at - 1] };
        let starts_word = !is_word(before) || before == b'b' && (at < 2 || !is_word(bytes[at - 2]));
        let length = if rest.starts_with(b"//") {
            rest.iter()
                .position(|&byte| byte == b'\n')
                .unwrap_or(rest.len())
        } else if rest.starts_with(b"/*") {
            find(rest, b"*/").map_or(rest.len(), |end| end + 2)
        } else if rest[0] == b'"' {
            quoted(rest, b'"')
        } else if rest[0] == b'r' && starts_word && raw_hashes(rest).is_some() {
            let hashes = raw_hashes(rest).unwrap();
            let close = [b"\"".to_vec(), vec![b'#'; hashes]].concat();
            let open = hashes + 2;
            find(&rest[open..], &close).map_or(rest.len(), |end| open + end + close.len())
        } else if rest[0] == b'\'' && is_character(text, at) {
            quoted(rest, b'\'')
        } else {
            at += 1;
            continue;
        };
        for byte in &mut code[at..at + length] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at += length;
    }
    String::from_utf8(code).expect("whole characters are blanked")
}

pub fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

pub fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

/// The length of a string or character with its quotes.
pub fn quoted(bytes: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < bytes.len() && bytes[at] != quote {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

/// The number of `#` where a raw string begins.
pub fn raw_hashes(bytes: &[u8]) -> Option<usize> {
    let hashes = bytes[1..].iter().take_while(|&&byte| byte == b'#').count();
    (bytes.get(1 + hashes) == Some(&b'"')).then_some(hashes)
}

/// Whether the quote at `at` opens a character and not a lifetime.
pub fn is_character(text: &str, at: usize) -> bool {
    let mut characters = text[at + 1..].chars();
    characters.next() == Some('\\') || characters.next() == Some('\'')
}

/// The offsets at which `word` stands alone in `code`.
pub fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let bytes = code.as_bytes();
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |&at| {
            (at == 0 || !is_word(bytes[at - 1]))
                && !bytes.get(at + word.len()).copied().is_some_and(is_word)
        })
}

/// `code` with its `#[cfg(test)]` items blanked.
pub fn without_tests(code: &str) -> String {
    let mut kept = code.to_owned();
    while let Some(start) = kept.find("#[cfg(test)]") {
        let mut depth = 0;
        let mut end = kept.len();
        for (offset, byte) in kept.bytes().enumerate().skip(start) {
            depth += i32::from(byte == b'{') - i32::from(byte == b'}');
            if depth == 0 && (byte == b'}' || byte == b';') {
                end = offset + 1;
                break;
            }
        }
        let blanks: String = kept[start..end]
            .chars()
            .map(|c| if c == '\n' { c } else { ' ' })
            .collect();
        kept.replace_range(start..end, &blanks);
    }
    kept
}

/// The names that follow `root::` in `code`, with their offsets, those in braces included.
pub fn names_after(code: &str, root: &str) -> Vec<(usize, String)> {
    let name_at = |at: usize| -> (usize, String) {
        let at = at + (code.len() - at - code[at..].trim_start().len());
        (
            at,
            code[at..]
                .bytes()
                .take_while(|&byte| is_word(byte))
                .map(char::from)
                .collect(),
        )
    };
    let mut names = Vec::new();
    for start in words(code, root) {
        let Some(rest) = code[start + root.len()..].strip_prefix("::") else {
            continue;
        };
        let inside = code.len() - rest.len();
        if !rest.starts_with('{') {
            names.push(name_at(inside));
            continue;
        }
        let mut depth = 0;
        for (offset, byte) in rest.bytes().enumerate() {
            depth += i32::from(byte == b'{') - i32::from(byte == b'}');
            if depth == 1 && (byte == b',' || byte == b'{') {
                names.push(name_at(inside + offset + 1));
            } else if depth == 0 {
                break;
            }
        }
    }
    names.retain(|(_, name)| !name.is_empty());
    names
}

#[test]
fn the_rules_see_what_they_should() {
    let text =
        "let a = \"mio // x\"; // slab\nlet b = 'm'; let q = '\"'; fn f<'a>(c: &'a str) {}\n\
        r#\"mio\"# /* mio */ mio::b(b\"q\\\"mio\")";
    let code = blank(text);
    assert_eq!(code.len(), text.len());
    assert_eq!(words(&code, "mio").count(), 1);
    assert_eq!(words(&code, "slab").count(), 0);
    assert_eq!(
        words("signal_hook_mio mio_x mio", "mio").collect::<Vec<_>>(),
        [22]
    );

    let tested = "a.unwrap();\n#[cfg(test)]\nmod tests { fn f() { b.unwrap() } }\nc.unwrap();";
    assert_eq!(without_tests(tested).matches(".unwrap()").count(), 2);
    assert_eq!(without_tests(tested).lines().count(), 4);

    let names = |code| {
        names_after(code, "crate")
            .into_iter()
            .map(|(_, name)| name)
            .collect::<Vec<_>>()
    };
    let listed = names("use crate::a::b; crate::c(); my_crate::d");
    assert_eq!(listed, ["a", "c"]);
    assert_eq!(
        names("use crate::{a::{b, c}, d,\n    e::f,\n};"),
        ["a", "d", "e"]
    );
}
