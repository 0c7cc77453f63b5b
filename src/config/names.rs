//! The names of all settings as environment variables, to tell a slip in one from a variable that is somebody else's.

use std::sync::LazyLock;

use super::tree::{Node, Value};

/// What environment variables that override settings begin with.
pub(super) const PREFIX: &str = "LYCEUM_";

/// Every setting is named here: a test holds it.
const EXAMPLE: &str = include_str!("../../config.toml.example");

/// Variables with our prefix that are no settings: where the configuration is, and what tests and measurements go by.
const KNOWN: [&str; 3] = ["CONFIG", "BIN", "SEED"];
const KNOWN_BEGINNINGS: [&str; 9] = [
    "TEST_",
    "BENCH_",
    "KILL_TEST_",
    "DISK_TEST_",
    "WRITE_",
    "COMPLEMENT_",
    "INTEROP_",
    // What container platforms tell every program of a service that is called lyceum.
    "SERVICE_",
    "PORT",
];

static SETTINGS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut names = Vec::new();
    if let Ok(tree) = Node::parse("config.toml.example", &in_force(EXAMPLE)) {
        collect(&tree, "LYCEUM", &mut names);
    }
    names
});

/// The example with all its settings in force: lines that begin with # and no space.
pub fn in_force(example: &str) -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(setting) if setting.starts_with(|first: char| first.is_ascii_lowercase() || first == '[') => {
            setting.to_owned()
        }
        _ => line.to_owned(),
    };
    example.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn collect(node: &Node, name: &str, names: &mut Vec<String>) {
    let joined = |step: &str| if name == "LYCEUM" { format!("{PREFIX}{step}") } else { format!("{name}__{step}") };
    match &node.value {
        Value::Table(entries) => {
            entries.iter().for_each(|(key, child)| collect(child, &joined(&key.to_ascii_uppercase()), names));
        }
        Value::List(entries) if entries.iter().any(|entry| matches!(entry.value, Value::Table(_))) => {
            entries.iter().enumerate().for_each(|(index, child)| collect(child, &joined(&index.to_string()), names));
        }
        _ => names.push(name.to_owned()),
    }
}

/// The setting that a variable without `__` was surely meant to be: one underscore where two are needed. What is only near
/// one may be somebody else's: container platforms name variables after services.
pub(super) fn slip(variable: &str) -> Option<&'static str> {
    if is_known(variable) {
        return None;
    }
    SETTINGS.iter().map(String::as_str).find(|setting| setting.replace("__", "_") == variable)
}

/// Variables with our prefix that nothing here reads.
pub(super) fn strangers(environment: impl IntoIterator<Item = (String, String)>) -> Vec<String> {
    let is_strange = |name: &String| name.starts_with(PREFIX) && !name.contains("__") && !is_known(name);
    environment.into_iter().map(|(name, _)| name).filter(is_strange).collect()
}

fn is_known(variable: &str) -> bool {
    variable.strip_prefix(PREFIX).is_none_or(|name| {
        KNOWN.contains(&name) || KNOWN_BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_in_a_name_finds_its_setting() {
        assert_eq!(slip("LYCEUM_SERVER_NAME"), Some("LYCEUM_SERVER__NAME"));
        assert_eq!(slip("LYCEUM_SIGN_IN_PASSWORD_LENGTH_MIN"), Some("LYCEUM_SIGN_IN__PASSWORD_LENGTH_MIN"));
        assert_eq!(slip("LYCEUM_LISTENERS_0_ADDRESS"), Some("LYCEUM_LISTENERS__0__ADDRESS"));
    }

    #[test]
    fn what_is_no_setting_is_left_alone() {
        let others =
            ["LYCEUM_CONFIG", "LYCEUM_TEST_POSTGRES", "LYCEUM_SEED", "LYCEUM_PORT_8008_TCP", "LYCEUM_SERVER_PORT"];
        for other in others {
            assert_eq!(slip(other), None, "{other}");
        }
        let environment = ["LYCEUM_COLOUR", "LYCEUM_BIN", "PATH", "LYCEUM_LOG__LEVEL"];
        let environment = environment.map(|name| (name.to_owned(), String::new()));
        assert_eq!(strangers(environment), ["LYCEUM_COLOUR"]);
    }
}
