//! Who may name whom: modules of `src/` by layer, and crates by the folders that own them.

use super::circles::imports;
use super::source::{names_after, none, rust_files, words};

/// The layers of `src/`, the lowest first. A module names only modules of lower layers, and those of its
/// own layer where `knows_its_own` says so.
const LAYERS: [Layer; 7] = [
    Layer {
        modules: &["event", "search", "clock", "limits", "text", "uuid"],
        knows_its_own: true,
    },
    Layer {
        modules: &[
            "ring", "http", "store", "logging", "tokens", "hub", "postgres",
        ],
        knows_its_own: false,
    },
    Layer {
        modules: &["ingest", "api", "app", "metrics"],
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

/// The layers inside `store`, the lowest first, by the names of its files and folders. A file names only files of its
/// own and of lower layers; `circles` sees to the order inside a layer.
const STORE_LAYERS: [&[&str]; 4] = [
    // Types, names and files: nothing that asks SQLite.
    &[
        "error",
        "file_kind",
        "lock",
        "options",
        "page_checksum",
        "paths",
        "row_checksum",
        "temporary",
        "work",
    ],
    // The parts that hold state, and the store that holds the parts.
    &[
        "connection",
        "counters",
        "definitions",
        "events",
        "files",
        "head",
        "identity",
        "index",
        "lengths",
        "meta",
        "parts",
        "parts_load",
        "range",
        "rejected",
        "retention",
        "row_repair",
        "rows",
        "schema",
        "soundness",
        "state",
        "subscription_row",
        "subscriptions",
        "summaries",
        "topics",
        "transaction",
        "wal",
    ],
    // What is done with all parts at once.
    &[
        "commit",
        "load",
        "maintenance",
        "open",
        "reopen",
        "repair",
        "replaced",
    ],
    // The commands, without a server.
    &["offline"],
];

/// Where a crate may be named, as the start of a path.
const CRATE_ROOMS: [(&str, &[&str]); 6] = [
    (
        "mio",
        &["src/net/", "src/net.rs", "src/client/load/", "bench/"],
    ),
    ("slab", &["src/net/", "src/net.rs", "bench/"]),
    ("httparse", &["src/http/head.rs"]),
    ("rusqlite", &["src/store/", "src/store.rs", "bench/"]),
    ("ureq", &["src/client/"]),
    ("postgres_protocol", &["src/postgres/"]),
];

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
                "{}: say in tests/tidy/layers.rs to which layer {module} belongs",
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
                    "{}: {name} has no layer in tests/tidy/layers.rs",
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
fn imports_inside_the_store_go_down_only() {
    let layer_of = |module: &[String]| {
        let part = module.get(1)?;
        STORE_LAYERS
            .iter()
            .position(|layer| layer.contains(&part.as_str()))
    };
    let mut broken = Vec::new();
    for (module, named) in imports(&rust_files(&["src/store"])) {
        let [_, part, ..] = &module[..] else {
            continue;
        };
        let Some(layer) = layer_of(&module) else {
            broken.push(format!(
                "say in tests/tidy/layers.rs to which layer {part} belongs"
            ));
            continue;
        };
        for other in named {
            if layer_of(&other).is_none_or(|other| other > layer) {
                broken.push(format!("{} names {}", module.join("::"), other.join("::")));
            }
        }
    }
    none("imports inside the store go down only", broken);
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
