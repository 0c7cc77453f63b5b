//! Rules over the sources: every file says what lives in it, table names are unique, the example configuration is complete.

use std::collections::BTreeMap;

use super::{root, rust_files, shown};

#[test]
fn every_file_opens_by_saying_what_lives_in_it() {
    let silent: Vec<String> = rust_files()
        .iter()
        .filter(|path| !std::fs::read_to_string(path).expect("a source file is text").starts_with("//! "))
        .map(|path| shown(path))
        .collect();
    assert!(silent.is_empty(), "these files do not open with a //! line: {silent:#?}");
}

#[test]
fn no_module_is_called_mod() {
    let found: Vec<String> =
        rust_files().iter().filter(|path| path.ends_with("mod.rs")).map(|path| shown(path)).collect();
    assert!(found.is_empty(), "write foo.rs beside foo/, not foo/mod.rs: {found:?}");
}

#[test]
fn table_names_are_unique() {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in rust_files() {
        let place = shown(&path);
        if place.starts_with("tests/") || place.contains("/benches/") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a source file is text");
        for name in text.split("Table::new(").skip(1).filter_map(first_text) {
            // "t." is for the tables of tests, which never meet.
            if !name.starts_with("t.") {
                places.entry(name).or_default().push(place.clone());
            }
        }
    }
    places.retain(|_, places| places.len() > 1);
    assert!(places.is_empty(), "these table names are used more than once: {places:#?}");
}

/// The quoted text that a call begins with.
fn first_text(call: &str) -> Option<String> {
    let quoted = call.trim_start().strip_prefix('"')?;
    quoted.split('"').next().map(str::to_owned)
}

#[test]
fn the_example_configuration_names_every_setting() {
    let path = root().join("config.toml.example");
    let example = std::fs::read_to_string(path).expect("there is a config.toml.example");
    let absent =
        lyceum::config::absent(&lyceum::config::in_force(&example)).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(absent.is_empty(), "config.toml.example lacks {absent:#?}");
}

#[test]
fn the_example_configuration_works_as_it_is() {
    let example = std::fs::read_to_string(root().join("config.toml.example")).expect("there is a config.toml.example");
    lyceum::config::parse("config.toml.example", &example, []).unwrap_or_else(|problems| panic!("{problems}"));
}
