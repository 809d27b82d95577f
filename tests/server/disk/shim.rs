//! The library itself: C, because the crate forbids `unsafe`, compiled once for each run of the tests.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Compiles the library and says where it is.
pub fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let library = folder.join(format!("shim-{}.so", std::process::id()));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/server/disk/shim.c");
        let status = Command::new("cc")
            .args(["-O1", "-shared", "-fPIC", "-o"])
            .arg(&library)
            .arg(source)
            .status()
            .expect("a C compiler is called cc, as it is for the build of SQLite");
        assert!(status.success(), "the library cannot be compiled");
        // Loaded by its name, so the last one is simply replaced.
        let last = folder.join("shim.so");
        std::fs::rename(&library, &last).expect("the folder can be written");
        last
    })
}
