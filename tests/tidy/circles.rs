//! Imports between the files of `src/` form no circle: a file can be read after those that it uses, and before those
//! that use it.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{is_word, none, rust_files, without_tests, words, Source};

/// A module, as the names on its path: `["store", "read"]`.
pub type Module = Vec<String>;

/// The module that a file holds. `main.rs` and `lib.rs` only put together what the others hold.
fn module_of(path: &str) -> Option<Module> {
    let inside = path.strip_prefix("src/")?.strip_suffix(".rs")?;
    let mut names: Module = inside.split('/').map(str::to_owned).collect();
    if names.last().is_some_and(|name| name == "mod") {
        names.pop();
    }
    (names != ["main"] && names != ["lib"]).then_some(names)
}

/// The paths that `code` names from one of the roots `crate`, `super` and `self`, with those in braces.
fn paths(code: &str) -> Vec<Module> {
    let mut found = Vec::new();
    for root in ["crate", "super", "self"] {
        for start in words(code, root) {
            let is_inside_a_path = code[..start].ends_with("::");
            if !is_inside_a_path && code[start..].starts_with(&format!("{root}::")) {
                branch(&code[start..], &Vec::new(), &mut found);
            }
        }
    }
    found
}

/// Reads `a::b::{c, d::e}` from the start of `text`; returns how much of it that was.
fn branch(text: &str, before: &Module, found: &mut Vec<Module>) -> usize {
    let mut path = before.clone();
    let mut at = 0;
    loop {
        at += text[at..].len() - text[at..].trim_start().len();
        if text[at..].starts_with('{') {
            at += 1;
            loop {
                at += branch(&text[at..], &path, found);
                at += text[at..].len() - text[at..].trim_start().len();
                if !text[at..].starts_with(',') {
                    break;
                }
                at += 1;
            }
            return at + text[at..].find('}').map_or(0, |end| end + 1);
        }
        let name: String = text[at..]
            .bytes()
            .take_while(|&byte| is_word(byte))
            .map(char::from)
            .collect();
        at += name.len();
        if !name.is_empty() {
            path.push(name);
        }
        match text[at..].strip_prefix("::") {
            Some(_) => at += 2,
            None => break,
        }
    }
    found.push(path);
    // What follows a name in braces: `as other`.
    at + text[at..]
        .bytes()
        .take_while(|&byte| is_word(byte) || byte == b' ')
        .count()
}

/// Whether `code` names something of a module below its own by a path that begins there.
fn names_child(code: &str, child: &Module) -> bool {
    let name = child.last().expect("a module has a name");
    let mut places = words(code, name);
    places
        .any(|start| !code[..start].ends_with("::") && code[start + name.len()..].starts_with("::"))
}

/// The longest part of a path, as seen in `module`, that is a module with a file.
fn target(path: &Module, module: &Module, known: &BTreeSet<Module>) -> Option<Module> {
    let mut base = module.clone();
    let mut rest = &path[..];
    while let Some((first, others)) = rest.split_first() {
        match first.as_str() {
            "crate" => base.clear(),
            "super" => drop(base.pop()),
            "self" => {}
            _ => break,
        }
        rest = others;
    }
    let full: Module = base.iter().chain(rest).cloned().collect();
    (1..=full.len())
        .rev()
        .map(|length| full[..length].to_vec())
        .find(|part| known.contains(part))
}

/// Which modules each module names.
pub fn imports(sources: &[Source]) -> BTreeMap<Module, BTreeSet<Module>> {
    let known: BTreeSet<Module> = sources.iter().filter_map(|s| module_of(&s.path)).collect();
    let mut imports = BTreeMap::new();
    for source in sources {
        // Tests sit beside what they test and may name all of it.
        let Some(module) = module_of(&source.path).filter(|_| !source.path.contains("/tests"))
        else {
            continue;
        };
        let code = without_tests(&source.code);
        let named = paths(&code);
        let targets = named
            .iter()
            .filter_map(|path| target(path, &module, &known));
        let mut others: BTreeSet<Module> = targets.filter(|other| *other != module).collect();
        let is_child = |other: &&Module| other.split_last().is_some_and(|(_, up)| up == module);
        let children = known.iter().filter(is_child);
        others.extend(children.filter(|child| names_child(&code, child)).cloned());
        imports.insert(module, others);
    }
    imports
}

/// Every module from which a way along the imports leads back to it.
fn in_circles(imports: &BTreeMap<Module, BTreeSet<Module>>) -> Vec<Module> {
    let leads_back = |start: &&Module| {
        let mut seen = BTreeSet::new();
        let mut next: Vec<&Module> = imports[*start].iter().collect();
        while let Some(module) = next.pop() {
            if module == *start {
                return true;
            }
            if seen.insert(module) {
                next.extend(imports.get(module).into_iter().flatten());
            }
        }
        false
    };
    imports.keys().filter(leads_back).cloned().collect()
}

#[test]
fn imports_form_no_circles() {
    let imports = imports(&rust_files(&["src"]));
    let circles = in_circles(&imports);
    let broken = circles.iter().map(|module| module.join("::")).collect();
    none("a file is in a circle of imports", broken);
}

#[test]
fn circles_are_found() {
    let files = [
        ("src/a.rs", "use crate::b::{self, c::C};"),
        ("src/b/mod.rs", "mod c; pub struct B;"),
        (
            "src/b/c.rs",
            "use super::super::a; fn f() { crate::d::g() }",
        ),
        (
            "src/d.rs",
            "use self::x; #[cfg(test)] mod tests { use crate::a; }",
        ),
        ("src/e/mod.rs", "mod f; pub use f::F; struct E;"),
        ("src/e/f.rs", "use super::E; pub struct F(E);"),
    ];
    let sources: Vec<Source> = files
        .iter()
        .map(|(path, text)| Source::of(path, text))
        .collect();
    let circles = in_circles(&imports(&sources));
    let found: Vec<String> = circles.iter().map(|module| module.join("::")).collect();
    assert_eq!(found, ["a", "b::c", "e", "e::f"]);
}
