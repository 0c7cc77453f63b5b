//! What is wrong with a setting, where it is written, and how to put it right.

use std::fmt;

/// Where a setting was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// On this line of the configuration file, counted from one.
    Line(usize),
    /// In this environment variable.
    Environment(String),
    /// In a file that the setting `…_file` names.
    SecretFile(String),
    /// Nowhere: the built-in value.
    Default,
}

/// One thing that is wrong with a configuration, in words for the person who wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file and line, or the environment variable.
    pub place: String,
    /// The setting's full name, for example `server.name`; empty when the file itself cannot be read.
    pub key: String,
    /// What was found, what was expected, what to change.
    pub text: String,
    /// The line, for the order of telling; zero when there is none.
    pub(super) line: usize,
}

impl Problem {
    /// Something wrong with the file as a whole.
    pub(super) fn of_file(file: &str, text: String) -> Self {
        Self { place: file.to_owned(), key: String::new(), text, line: 0 }
    }

    /// Something wrong with an environment variable's name.
    pub(super) fn of_variable(name: &str, text: String) -> Self {
        Self { place: format!("environment variable {name}"), key: String::new(), text, line: 0 }
    }

    pub(super) fn new(file: &str, origin: &Origin, path: &[String], text: impl Into<String>) -> Self {
        let place = match origin {
            Origin::Line(line) => format!("{file}:{line}"),
            Origin::Environment(variable) => format!("environment variable {variable}"),
            Origin::SecretFile(path) => path.clone(),
            Origin::Default => file.to_owned(),
        };
        let line = if let Origin::Line(line) = origin { *line } else { 0 };
        Self { place, key: dotted(path), text: text.into(), line }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() {
            write!(f, "{}: {}", self.place, self.text)
        } else {
            write!(f, "{}: {}: {}", self.place, self.key, self.text)
        }
    }
}

/// All that is wrong with a configuration: never empty.
#[derive(Debug, Clone)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => writeln!(f, "The configuration has a mistake:")?,
            n => writeln!(f, "The configuration has {n} mistakes:")?,
        }
        for problem in &self.0 {
            writeln!(f, "  {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// `["listeners", "0", "address"]` as `listeners[0].address`.
pub(super) fn dotted(path: &[String]) -> String {
    path.iter().fold(String::new(), |text, step| match step.parse::<usize>() {
        Ok(index) => format!("{text}[{index}]"),
        Err(_) if text.is_empty() => step.clone(),
        Err(_) => format!("{text}.{step}"),
    })
}

/// The candidate that `written` was probably meant to be.
pub(super) fn nearest<'a>(written: &str, candidates: &[&'a str]) -> Option<&'a str> {
    candidates
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(written, candidate), *candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len().max(written.len()) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_fingers_finds_its_key() {
        assert_eq!(nearest("data_dri", &["name", "data_dir"]), Some("data_dir"));
        assert_eq!(nearest("enabeld", &["enabled", "files"]), Some("enabled"));
        assert_eq!(nearest("colour", &["name", "data_dir"]), None);
    }

    #[test]
    fn a_path_reads_like_toml() {
        let path = ["listeners", "0", "tls", "key"].map(str::to_owned);
        assert_eq!(dotted(&path), "listeners[0].tls.key");
    }
}
