//! The project's rules that a compiler does not know: who may name whom, and what a source file looks
//! like. Each test lists every place that breaks its rule.

#[path = "tidy/reliability.rs"]
mod reliability;

use std::fs;
use std::path::{Path, PathBuf};

/// The layers of `src/`, the lowest first. A module names only modules of lower layers, and those of its
/// own layer where `knows_its_own` says so.
const LAYERS: [Layer; 7] = [
    Layer {
        modules: &["event", "clock", "limits", "text", "uuid"],
        knows_its_own: true,
    },
    Layer {
        modules: &["ring", "http", "store", "logging", "tokens", "hub"],
        knows_its_own: false,
    },
    Layer {
        modules: &["api", "app", "metrics"],
        knows_its_own: true,
    },
    Layer {
        modules: &["net"],
        knows_its_own: false,
    },
    Layer {
        modules: &["config"],
        knows_its_own: false,
    },
    Layer {
        modules: &["client"],
        knows_its_own: false,
    },
    Layer {
        modules: &["cli"],
        knows_its_own: false,
    },
];

struct Layer {
    modules: &'static [&'static str],
    knows_its_own: bool,
}

/// Where a crate may be named, as the start of a path.
const CRATE_ROOMS: [(&str, &[&str]); 5] = [
    (
        "mio",
        &["src/net/", "src/net.rs", "src/client/load/", "bench/"],
    ),
    ("slab", &["src/net/", "src/net.rs", "bench/"]),
    ("httparse", &["src/http/head.rs"]),
    ("rusqlite", &["src/store/", "src/store.rs", "bench/"]),
    ("ureq", &["src/client/"]),
];

/// The one file with `unsafe` in it: an allocator that counts, for measuring.
const UNSAFE_FILE: &str = "bench/src/counting.rs";

const FILE_MAX_LINES: usize = 600;
const LINE_MAX_CHARS: usize = 120;

struct Source {
    /// Relative to the project, with `/`.
    path: String,
    text: String,
    /// The text with comments, strings and characters blanked; lines and columns stay.
    code: String,
}

impl Source {
    fn at(&self, offset: usize) -> String {
        format!(
            "{}:{}",
            self.path,
            self.code[..offset].matches('\n').count() + 1
        )
    }

    /// The top-level module that the file belongs to; none for `lib.rs` and `main.rs`.
    fn module(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src/")?;
        let name = inside.split('/').next()?.trim_end_matches(".rs");
        (name != "lib" && name != "main").then_some(name)
    }
}

fn project() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The sources of the project's packages; `fuzz` is one of its own.
const SOURCES: [&str; 4] = ["src", "bench", "tests", "fuzz"];

/// The files below `folder` whose name has one of these extensions, in the order of their paths.
fn files(folder: &str, extensions: &[&str]) -> Vec<Source> {
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
        let relative = path
            .strip_prefix(project())
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        Source {
            path: relative,
            code: blank(&text),
            text,
        }
    };
    paths.into_iter().map(source).collect()
}

fn rust_files(folders: &[&str]) -> Vec<Source> {
    let found: Vec<Source> = folders
        .iter()
        .flat_map(|folder| files(folder, &["rs"]))
        .collect();
    assert!(!found.is_empty());
    found
}

/// The manifests of the project's packages: at the top and in the folders below.
fn manifests() -> Vec<(String, String)> {
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

fn none(rule: &str, broken: Vec<String>) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}

/// Replaces what is not code (comments, strings, characters) with spaces, byte for byte.
fn blank(text: &str) -> String {
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

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

/// The length of a string or character with its quotes.
fn quoted(bytes: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < bytes.len() && bytes[at] != quote {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

/// The number of `#` where a raw string begins.
fn raw_hashes(bytes: &[u8]) -> Option<usize> {
    let hashes = bytes[1..].iter().take_while(|&&byte| byte == b'#').count();
    (bytes.get(1 + hashes) == Some(&b'"')).then_some(hashes)
}

/// Whether the quote at `at` opens a character and not a lifetime.
fn is_character(text: &str, at: usize) -> bool {
    let mut characters = text[at + 1..].chars();
    characters.next() == Some('\\') || characters.next() == Some('\'')
}

/// The offsets at which `word` stands alone in `code`.
fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let bytes = code.as_bytes();
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |&at| {
            (at == 0 || !is_word(bytes[at - 1]))
                && !bytes.get(at + word.len()).copied().is_some_and(is_word)
        })
}

/// `code` with its `#[cfg(test)]` items blanked.
fn without_tests(code: &str) -> String {
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
fn names_after(code: &str, root: &str) -> Vec<(usize, String)> {
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

fn layer_of(module: &str) -> Option<usize> {
    LAYERS
        .iter()
        .position(|layer| layer.modules.contains(&module))
}

#[test]
fn imports_go_down_only() {
    let mut broken = Vec::new();
    for source in rust_files(&["src"]) {
        let Some(module) = source.module() else {
            continue;
        };
        let Some(layer) = layer_of(module) else {
            broken.push(format!(
                "{}: say in tests/tidy.rs to which layer {module} belongs",
                source.path
            ));
            continue;
        };
        let mut named = names_after(&source.code, "crate");
        let is_top = source.path.matches('/').count() == 1 || source.path.ends_with("/mod.rs");
        if is_top {
            // One `super` leads out of the module here, unless a module inside the file says it.
            named.extend(
                names_after(&source.code, "super")
                    .into_iter()
                    .filter(|(_, name)| layer_of(name).is_some()),
            );
        }
        for (offset, name) in named {
            let Some(other) = layer_of(&name) else {
                broken.push(format!(
                    "{}: {name} has no layer in tests/tidy.rs",
                    source.at(offset)
                ));
                continue;
            };
            let is_legal =
                other < layer || name == module || other == layer && LAYERS[layer].knows_its_own;
            if !is_legal {
                broken.push(format!("{}: {module} names {name}", source.at(offset)));
            }
        }
    }
    none("imports go down only", broken);
}

#[test]
fn crates_are_named_only_in_their_rooms() {
    let mut broken = Vec::new();
    for source in rust_files(&["src", "bench", "fuzz"]) {
        for (name, rooms) in CRATE_ROOMS {
            if rooms.iter().any(|room| source.path.starts_with(room)) {
                continue;
            }
            broken.extend(words(&source.code, name).map(|at| format!("{}: {name}", source.at(at))));
        }
    }
    none("a crate is named outside its room", broken);
}

/// A lint says so to the compiler; this sees that no package is without it, and that no file but one,
/// which has the exception, says the word.
#[test]
fn unsafe_code_is_forbidden() {
    let mut broken = Vec::new();
    for (path, manifest) in manifests() {
        let wanted = match path.as_str() {
            "bench/Cargo.toml" => "unsafe_code = \"deny\"",
            // What libFuzzer calls has a name without a mangled form, which the lint takes for unsafe code.
            "fuzz/Cargo.toml" => continue,
            _ => "unsafe_code = \"forbid\"",
        };
        if !manifest.lines().any(|line| line == wanted) {
            broken.push(format!("{path}: {wanted}"));
        }
    }
    for source in rust_files(&SOURCES) {
        if source.path != UNSAFE_FILE {
            broken.extend(words(&source.code, "unsafe").map(|at| source.at(at)));
        }
    }
    none("no unsafe code", broken);
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
fn every_unwrap_outside_tests_says_why_it_holds() {
    let mut broken = Vec::new();
    for source in rust_files(&["src"]) {
        if source.path.ends_with("/tests.rs") {
            continue;
        }
        let code = without_tests(&source.code);
        broken.extend(code.match_indices(".unwrap()").map(|(at, _)| source.at(at)));
    }
    none("expect with the invariant, in place of unwrap", broken);
}

#[test]
fn nothing_is_left_half_done() {
    let macros = [
        concat!("to", "do"),
        concat!("db", "g"),
        concat!("unimple", "mented"),
    ];
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
    ];
    let mut broken = Vec::new();
    for source in rust_files(&SOURCES) {
        for name in macros {
            let calls = words(&source.code, name)
                .filter(|at| source.code[at + name.len()..].starts_with('!'));
            broken.extend(calls.map(|at| format!("{}: {name}!", source.at(at))));
        }
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
    let page = fs::read_to_string(project().join("ARCHITECTURE.md"))
        .expect("ARCHITECTURE.md says of each dependency what it is for");
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
        "a dependency is not named (`like_this`) in ARCHITECTURE.md",
        broken,
    );
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
