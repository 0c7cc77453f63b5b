//! The settings of search.

use serde::Deserialize;

/// Full-text search. `[search]` in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SearchConfig {
    /// Whether messages can be searched.
    pub enabled: bool,
    /// The language whose word endings do not count.
    pub language: Stemming,
}

impl Default for SearchConfig {
    fn default() -> Self {
        Self { enabled: true, language: Stemming::English }
    }
}

/// A language, or none: words are then found as they are written only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "names of languages")]
pub enum Stemming {
    None,
    Arabic,
    Danish,
    Dutch,
    English,
    Finnish,
    French,
    German,
    Greek,
    Hungarian,
    Italian,
    Norwegian,
    Portuguese,
    Romanian,
    Russian,
    Spanish,
    Swedish,
    Tamil,
    Turkish,
}
