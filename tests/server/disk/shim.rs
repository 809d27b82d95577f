//! Libraries that stand between the server and libc: C, because the crate forbids `unsafe`, compiled once
//! for each run of the tests.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The library for the files of a database, and where it is.
pub fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| compile("shim", "tests/server/disk/shim.c"))
}

/// Compiles a source file of this crate into a library of this name; says where that is.
pub fn compile(name: &str, source: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let library = folder.join(format!("{name}-{}.so", std::process::id()));
    let status = Command::new("cc")
        .args(["-O1", "-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(source))
        .status()
        .expect("a C compiler is called cc, as it is for the build of SQLite");
    assert!(status.success(), "the library cannot be compiled");
    // Loaded by its name, so the last one is simply replaced.
    let last = folder.join(format!("{name}.so"));
    std::fs::rename(&library, &last).expect("the folder can be written");
    last
}
