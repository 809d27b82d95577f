//! Every write of the server goes through `store/transaction.rs`, which tells all parts how it ended.

use super::source::{none, rust_files};

/// What begins or ends a transaction, and the files of `src/store/` that may have it.
const WORDS: [(&str, &[&str]); 7] = [
    ("\"BEGIN", &["connection.rs", "wal/file.rs"]),
    ("\"COMMIT", &["connection.rs"]),
    ("\"ROLLBACK", &["connection.rs", "wal/file.rs"]),
    // A database that nobody has open, so there is no memory to follow it.
    (".transaction()", &["identity.rs"]),
    ("transaction_with_behavior", &[]),
    (".begin()", &["transaction.rs"]),
    (".commit()", &["transaction.rs", "identity.rs"]),
];

#[test]
fn writes_begin_and_end_in_one_place() {
    let mut broken = Vec::new();
    for source in rust_files(&["src/store"]) {
        let path = source.path.trim_start_matches("src/store/");
        // The commands work on databases that no server has open.
        if path.starts_with("offline/") || path.contains("tests") {
            continue;
        }
        for (word, files) in WORDS {
            let places = source.text.match_indices(word);
            let places = places.filter(|_| !files.contains(&path));
            broken.extend(places.map(|(at, _)| format!("{}: {word}", source.at(at))));
        }
    }
    none("a transaction begins or ends by hand", broken);
}
