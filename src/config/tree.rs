//! The configuration as written: a tree of values that each know where they stand, from the TOML file and from
//! `LYCEUM_SECTION__KEY` environment variables laid over it.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

use super::problem::{Origin, Problem};

/// The prefix of environment variables that override settings.
const ENVIRONMENT_PREFIX: &str = "LYCEUM_";

/// A value and where it was written.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) origin: Origin,
    pub(super) value: Value,
}

/// What was written.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Text(String),
    Integer(i128),
    Float(f64),
    Bool(bool),
    List(Vec<Node>),
    Table(BTreeMap<String, Node>),
    /// From the environment: its type is whatever the setting asks for.
    Untyped(String),
}

impl Node {
    /// Reads a TOML document.
    pub(super) fn parse(file: &str, text: &str) -> Result<Self, Vec<Problem>> {
        let (document, errors) = DeTable::parse_recoverable(text);
        if errors.is_empty() {
            return Ok(Self { origin: Origin::Line(1), value: table(document.get_ref(), text) });
        }
        let in_words = |error: &toml::de::Error| {
            let line = error.span().map_or(1, |span| line_at(text, span.start));
            Problem::new(file, &Origin::Line(line), &[], format!("not valid TOML: {}", error.message()))
        };
        Err(errors.iter().map(in_words).collect())
    }

    /// Lays `LYCEUM_SECTION__KEY` variables over what the file says. A number names an entry of a list.
    pub(super) fn override_from(&mut self, environment: impl IntoIterator<Item = (String, String)>) {
        for (variable, value) in environment {
            let Some(name) = variable.strip_prefix(ENVIRONMENT_PREFIX) else { continue };
            if !name.contains("__") {
                continue; // Not a setting: LYCEUM_CONFIG and the like.
            }
            let path: Vec<String> = name.split("__").map(str::to_ascii_lowercase).collect();
            self.put(&path, &Self { origin: Origin::Environment(variable.clone()), value: Value::Untyped(value) });
        }
    }

    fn put(&mut self, path: &[String], leaf: &Self) {
        let [step, rest @ ..] = path else {
            *self = leaf.clone();
            return;
        };
        if let (Value::List(entries), Ok(index)) = (&mut self.value, step.parse::<usize>())
            && let Some(entry) = entries.get_mut(index)
        {
            return entry.put(rest, leaf);
        }
        if !matches!(self.value, Value::Table(_)) {
            *self = Self { origin: leaf.origin.clone(), value: Value::Table(BTreeMap::new()) };
        }
        if let Value::Table(entries) = &mut self.value {
            let empty = || Self { origin: leaf.origin.clone(), value: Value::Table(BTreeMap::new()) };
            entries.entry(step.clone()).or_insert_with(empty).put(rest, leaf);
        }
    }

    /// The node at `path`, or the nearest one above it that was written.
    pub(super) fn nearest(&self, path: &[String]) -> &Self {
        let Some((step, rest)) = path.split_first() else { return self };
        let child = match &self.value {
            Value::Table(entries) => entries.get(step),
            Value::List(entries) => step.parse::<usize>().ok().and_then(|index| entries.get(index)),
            _ => None,
        };
        child.map_or(self, |child| child.nearest(rest))
    }

    /// Takes the node at `path` away, so that reading can go on to the next mistake.
    pub(super) fn remove(&mut self, path: &[String]) -> bool {
        let Some((step, rest)) = path.split_first() else { return false };
        match &mut self.value {
            Value::Table(entries) if rest.is_empty() => entries.remove(step).is_some(),
            Value::Table(entries) => entries.get_mut(step).is_some_and(|child| child.remove(rest)),
            Value::List(entries) => {
                let Some(index) = step.parse::<usize>().ok().filter(|index| *index < entries.len()) else {
                    return false;
                };
                if rest.is_empty() {
                    entries.remove(index);
                    return true;
                }
                entries[index].remove(rest)
            }
            _ => false,
        }
    }

    /// Whether a message shows the value.
    pub(super) fn shows_in(&self, message: &str) -> bool {
        match &self.value {
            Value::Text(text) | Value::Untyped(text) => {
                !text.is_empty() && (message.contains(text) || message.contains(&format!("{text:?}")))
            }
            Value::Integer(number) => message.contains(&number.to_string()),
            Value::Float(number) => message.contains(&number.to_string()),
            Value::Bool(_) | Value::List(_) | Value::Table(_) => false,
        }
    }

    /// The value in words, for "expected …, found …".
    pub(super) fn describe(&self) -> String {
        match &self.value {
            Value::Text(text) | Value::Untyped(text) => format!("the text {text:?}"),
            Value::Integer(number) => format!("the number {number}"),
            Value::Float(number) => format!("the number {number}"),
            Value::Bool(value) => value.to_string(),
            Value::List(_) => "a list".to_owned(),
            Value::Table(_) => "a table".to_owned(),
        }
    }
}

fn table(entries: &DeTable<'_>, text: &str) -> Value {
    let node = |value: &toml::Spanned<DeValue<'_>>, key_at: usize| Node {
        // A table's span is its header, a value's its own: the key's line is where one looks for either.
        origin: Origin::Line(line_at(text, key_at)),
        value: convert(value.get_ref(), text),
    };
    let entry = |(key, value): (&toml::Spanned<_>, &toml::Spanned<DeValue<'_>>)| {
        let key_name: &std::borrow::Cow<'_, str> = key.get_ref();
        (key_name.to_string(), node(value, key.span().start))
    };
    Value::Table(entries.iter().map(entry).collect())
}

fn convert(value: &DeValue<'_>, text: &str) -> Value {
    match value {
        DeValue::String(value) => Value::Text(value.to_string()),
        DeValue::Integer(value) => {
            let digits = value.as_str().replace('_', "");
            i128::from_str_radix(&digits, value.radix()).map_or_else(|_| Value::Text(digits.clone()), Value::Integer)
        }
        DeValue::Float(value) => Value::Float(value.as_str().replace('_', "").parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(value) => Value::Bool(*value),
        DeValue::Datetime(value) => Value::Text(value.to_string()),
        DeValue::Array(entries) => Value::List(
            entries
                .iter()
                .map(|entry| Node {
                    origin: Origin::Line(line_at(text, entry.span().start)),
                    value: convert(entry.get_ref(), text),
                })
                .collect(),
        ),
        DeValue::Table(entries) => table(entries, text),
    }
}

fn line_at(text: &str, offset: usize) -> usize {
    1 + text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count()
}
