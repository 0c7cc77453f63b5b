//! The house rules that a test can hold.

mod endpoints;
mod errors;
mod layers;
mod sources;

use std::path::{Path, PathBuf};

/// The workspace's own directory.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file of the workspace.
fn rust_files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut to_visit = vec![root().to_owned()];
    while let Some(directory) = to_visit.pop() {
        for entry in std::fs::read_dir(&directory).expect("a directory of the workspace can be read").flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            if path.is_dir() && !name.starts_with('.') && name != "target" && name != "node_modules" {
                to_visit.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// A path as one writes it, from the workspace's root.
fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}
