//! A crate depends only on crates of lower layers; only the crates named here know the big outside ones.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

/// The house, from the ground (ARCHITECTURE.md draws it).
const LAYERS: [&[&str]; 7] = [
    &["lyceum-heap", "lyceum-storage", "lyceum-events", "lyceum-outbound"],
    &["lyceum-accounts", "lyceum-media", "lyceum-institution"],
    &["lyceum-rooms"],
    &["lyceum-sync", "lyceum-peers", "lyceum-push", "lyceum-search", "lyceum-workers"],
    &["lyceum-web"],
    &["lyceum-client-api", "lyceum-federation", "lyceum-console"],
    &["lyceum"],
];

/// Outside crates that only some of ours may know.
const KEPT_BEHIND: [(&str, &[&str]); 8] = [
    ("axum", &["lyceum-web", "lyceum-client-api", "lyceum-federation", "lyceum-console", "lyceum"]),
    ("sled", &["lyceum-storage"]),
    ("tokio-postgres", &["lyceum-storage"]),
    ("deadpool-postgres", &["lyceum-storage"]),
    ("tantivy", &["lyceum-search"]),
    ("reqwest", &["lyceum-outbound"]),
    ("object_store", &["lyceum-media"]),
    ("anyhow", &["lyceum"]),
];

#[test]
fn a_crate_depends_only_on_lower_layers() {
    let layer = |name: &str| LAYERS.iter().position(|layer| layer.contains(&name));
    for (name, dependencies) in packages() {
        let own = layer(&name).unwrap_or_else(|| panic!("{name} has no layer: give it one in this file"));
        for dependency in dependencies.iter().filter(|dependency| dependency.starts_with("lyceum")) {
            let below = layer(dependency).unwrap_or_else(|| panic!("{dependency} has no layer"));
            assert!(below < own, "{name} (layer {own}) must not depend on {dependency} (layer {below})");
        }
    }
}

#[test]
fn outside_crates_stay_behind_their_doors() {
    for (name, dependencies) in packages() {
        for (outside, allowed) in KEPT_BEHIND {
            let knows = dependencies.iter().any(|dependency| dependency == outside);
            assert!(!knows || allowed.contains(&name.as_str()), "{name} must not know {outside}; only {allowed:?} may");
        }
    }
}

/// Each package of the workspace with what it is built from (not what only its tests use).
fn packages() -> BTreeMap<String, Vec<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(super::root())
        .output()
        .expect("cargo can be run");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata answers in JSON");
    let built_from = |package: &Value| {
        let dependencies = package["dependencies"].as_array().into_iter().flatten();
        let kept = dependencies.filter(|dependency| dependency["kind"] != "dev");
        kept.filter_map(|dependency| dependency["name"].as_str().map(str::to_owned)).collect()
    };
    let packages = metadata["packages"].as_array().expect("there are packages");
    packages
        .iter()
        .map(|package| (package["name"].as_str().unwrap_or_default().to_owned(), built_from(package)))
        .collect()
}
