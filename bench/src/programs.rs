//! Finding programs of others that are installed on this machine.

use std::env;
use std::fs;
use std::path::PathBuf;

/// Folders that the search path of a user who is not root lacks.
const SYSTEM_FOLDERS: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];

/// The path of the program `name`: in `folders`, in the search path, or among the system's.
pub fn find(name: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    folders
        .iter()
        .cloned()
        .chain(env::split_paths(&path))
        .chain(SYSTEM_FOLDERS.map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
}

/// The folders `parent/VERSION/child`, the greatest version first.
pub fn newest_of(parent: &str, child: &str) -> Vec<PathBuf> {
    let mut versions: Vec<u32> = fs::read_dir(parent)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    versions.sort_unstable_by(|a, b| b.cmp(a));
    let folder = |version: u32| PathBuf::from(parent).join(version.to_string()).join(child);
    versions.into_iter().map(folder).collect()
}
