//! How long a function may be.

use super::source::{is_word, none, rust_files, words, Source};

const FUNCTION_MAX_LINES: usize = 70;

/// The functions of a file: the name, the offset of its `fn`, and the lines from there to its last brace.
fn functions(source: &Source) -> Vec<(&str, usize, usize)> {
    let code = &source.code;
    let mut found = Vec::new();
    for start in words(code, "fn") {
        let name = code[start + 2..].trim_start();
        let name = &name[..name.bytes().take_while(|&byte| is_word(byte)).count()];
        if let (false, Some(end)) = (name.is_empty(), body_end(code, start)) {
            found.push((name, start, code[start..end].matches('\n').count() + 1));
        }
    }
    found
}

/// Where the body of the function at `start` ends; none if it has none.
fn body_end(code: &str, start: usize) -> Option<usize> {
    let (mut braces, mut brackets) = (0, 0);
    for (offset, byte) in code.bytes().enumerate().skip(start) {
        match byte {
            b'(' | b'[' => brackets += 1,
            b')' | b']' => brackets -= 1,
            b'{' => braces += 1,
            b'}' => braces -= 1,
            _ => {}
        }
        if byte == b'}' && braces == 0 && brackets == 0 {
            return Some(offset + 1);
        }
        if byte == b';' && braces == 0 && brackets == 0 {
            return None;
        }
    }
    None
}

#[test]
fn functions_are_short() {
    let mut broken = Vec::new();
    for source in rust_files(&["src", "bench"]) {
        for (name, start, lines) in functions(&source) {
            if lines > FUNCTION_MAX_LINES {
                broken.push(format!("{}: {name} has {lines} lines", source.at(start)));
            }
        }
    }
    let rule = format!("a function has at most {FUNCTION_MAX_LINES} lines");
    none(&rule, broken);
}

#[test]
fn a_function_is_measured_from_its_name_to_its_last_brace() {
    let text =
        "trait T { fn none(&self); }\nfn one() {}\nfn three(a: [u8; 2]) {\n    if true {}\n}\n";
    let source = Source::of("x.rs", text);
    let lines: Vec<(&str, usize)> = functions(&source)
        .into_iter()
        .map(|(name, _, lines)| (name, lines))
        .collect();
    assert_eq!(lines, [("one", 1), ("three", 3)]);
}
