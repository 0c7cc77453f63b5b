//! The configuration as written: a tree of values that each know where they stand, from the TOML file and from
//! `LYCEUM_SECTION__KEY` environment variables laid over it.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

use super::names;
use super::problem::{Origin, Problem};
use super::sections::default_listeners;

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
            // The parser says that a key is twice, and not which.
            let which = error.span().filter(|_| error.message() == "duplicate key").and_then(|span| text.get(span));
            let which = which.map(|key| format!(" `{key}`")).unwrap_or_default();
            Problem::new(file, &Origin::Line(line), &[], format!("not valid TOML: {}{which}", error.message()))
        };
        Err(errors.iter().map(in_words).collect())
    }

    /// Lays `LYCEUM_SECTION__KEY` variables over what the file says. A number names an entry of a list, or the one after
    /// its last. Answers what is wrong with the variables' names.
    pub(super) fn override_from(&mut self, environment: impl IntoIterator<Item = (String, String)>) -> Vec<Problem> {
        let mut variables: Vec<Variable> = environment.into_iter().filter_map(Variable::of).collect();
        // An entry of a list is there before the one after it.
        variables.sort_by_cached_key(|variable| variable.path.iter().map(|step| in_order(step)).collect::<Vec<_>>());
        let mut wrong = Vec::new();
        for Variable { name, path, value } in variables {
            if let [_] = path.as_slice() {
                wrong.extend(names::slip(&name).map(|meant| {
                    Problem::of_variable(&name, format!("there is no such setting; did you mean {meant}?"))
                }));
                continue;
            }
            self.begin_built_in(&path);
            let leaf = Self { origin: Origin::Environment(name.clone()), value: Value::Untyped(value) };
            if let Err(text) = self.put(&path, &leaf) {
                wrong.push(Problem::of_variable(&name, text));
            }
        }
        wrong
    }

    /// Writes down the built-in listeners where none are written and the environment changes one of them.
    fn begin_built_in(&mut self, path: &[String]) {
        let (Value::Table(sections), "listeners") = (&mut self.value, path[0].as_str()) else { return };
        let node = |value| Self { origin: Origin::Default, value };
        let listener =
            |address: String| node(Value::Table(BTreeMap::from([("address".to_owned(), node(Value::Text(address)))])));
        let built_in = || default_listeners().iter().map(|built_in| listener(built_in.address.to_string())).collect();
        sections.entry("listeners".to_owned()).or_insert_with(|| node(Value::List(built_in())));
    }

    fn put(&mut self, path: &[String], leaf: &Self) -> Result<(), String> {
        let [step, rest @ ..] = path else {
            *self = leaf.clone();
            return Ok(());
        };
        let empty = || Self { origin: leaf.origin.clone(), value: Value::empty_for(rest) };
        match &mut self.value {
            Value::List(entries) => {
                let next = entries.len();
                let index = step.parse::<usize>().ok().filter(|index| *index <= next).ok_or_else(|| {
                    format!("names an entry of a list by its number, from 0 to {next} (a new one), and not {step:?}")
                })?;
                if index == next {
                    entries.push(empty());
                }
                entries[index].put(rest, leaf)
            }
            Value::Table(entries) => entries.entry(step.clone()).or_insert_with(empty).put(rest, leaf),
            _ => {
                *self = Self { origin: leaf.origin.clone(), value: Value::empty_for(path) };
                self.put(path, leaf)
            }
        }
    }

    /// Whether this counts although the other is written too: the environment goes before the file.
    pub(super) fn outweighs(&self, other: &Self) -> bool {
        let by_environment = |node: &Self| matches!(node.origin, Origin::Environment(_));
        by_environment(self) && !by_environment(other)
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

impl Value {
    /// What a value begins as into which something is put at `path`.
    fn empty_for(path: &[String]) -> Self {
        match path.first().map(|step| step.parse::<usize>()) {
            Some(Ok(_)) => Self::List(Vec::new()),
            _ => Self::Table(BTreeMap::new()),
        }
    }
}

/// An environment variable with our prefix.
struct Variable {
    name: String,
    /// The setting it names; a single step: none.
    path: Vec<String>,
    value: String,
}

impl Variable {
    fn of((name, value): (String, String)) -> Option<Self> {
        let path = name.strip_prefix(names::PREFIX)?.split("__").map(str::to_ascii_lowercase).collect();
        Some(Self { name, path, value })
    }
}

/// Numbers by their size, then words.
fn in_order(step: &str) -> (usize, String) {
    (step.parse().unwrap_or(usize::MAX), step.to_owned())
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
