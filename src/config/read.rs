//! From the tree of written values to the configuration structs: a serde deserializer that knows where each value
//! stands, names the nearest key for an unknown one, reads `key_file` for `key`, and goes on after a mistake so that
//! all of them are told at once.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, Visitor};

use super::problem::{Origin, Problem, dotted, nearest};
use super::tree::{Node, Value};

/// Mistakes told in one go: beyond these the file is probably not ours.
const PROBLEMS_MAX: usize = 50;

/// Parts of the names of settings whose values are never shown: mistakes are written to logs and sent to those who help.
const SECRET_NAMES: [&str; 5] = ["secret", "password", "key", "url", "token"];

/// What is said in the place of such a value.
const HIDDEN: &str = "something else (not shown: it may be secret)";

/// What reading a tree gave.
pub(super) struct Reading<T> {
    /// The settings, unless something needed is missing or wrong.
    pub(super) settings: Option<T>,
    pub(super) problems: Vec<Problem>,
    /// Settings that exist and were not written (full names).
    pub(super) absent: Vec<String>,
}

/// Reads `tree` into `T`, collecting every mistake: a value that is wrong is noted, taken away, and reading starts again.
/// `base` is where the paths of `key_file` begin.
pub(super) fn read<T: DeserializeOwned>(file: &str, base: &Path, mut tree: Node) -> Reading<T> {
    let mut mistakes: Vec<Mistake> = Vec::new();
    loop {
        let notes = Notes { base, unknown: RefCell::default(), absent: RefCell::default() };
        let result = T::deserialize(Cursor { node: &tree, path: Vec::new(), notes: &notes });
        let Notes { unknown, absent, .. } = notes;
        for mistake in unknown.into_inner() {
            if !mistakes.iter().any(|known| known.path == mistake.path) {
                mistakes.push(mistake);
            }
        }
        let (settings, mistake) = match result {
            Ok(settings) => (Some(settings), None),
            Err(mistake) => (None, Some(mistake)),
        };
        let again = mistake.is_some_and(|mistake| {
            let removed = tree.remove(&mistake.path);
            if !mistake.follows_from(&mistakes) {
                mistakes.push(mistake);
            }
            removed && mistakes.len() < PROBLEMS_MAX
        });
        if !again {
            let mut problems: Vec<Problem> = mistakes.into_iter().map(|mistake| mistake.into_problem(file)).collect();
            problems.sort_by_key(|problem| problem.line);
            return Reading { settings, problems, absent: absent.into_inner() };
        }
    }
}

/// What one reading goes by, and what it notes.
struct Notes<'a> {
    /// Where the paths of `key_file` begin.
    base: &'a Path,
    unknown: RefCell<Vec<Mistake>>,
    absent: RefCell<Vec<String>>,
}

/// A mistake on its way up to the reader; the innermost value that failed gives it its place.
#[derive(Debug)]
pub(super) struct Mistake {
    text: String,
    origin: Option<Origin>,
    path: Vec<String>,
    /// The key that is missing in the table at `path`.
    missing: Option<&'static str>,
}

impl Mistake {
    /// Whether this says that something is missing only because it was wrong and is already told.
    fn follows_from(&self, told: &[Self]) -> bool {
        let Some(missing) = self.missing else { return false };
        told.iter().any(|earlier| {
            let below = earlier.path.strip_prefix(self.path.as_slice());
            below.and_then(|rest| rest.first()).is_some_and(|step| step == missing)
        })
    }

    fn at(mut self, node: &Node, path: &[String]) -> Self {
        if self.origin.is_none() {
            if may_be_secret(path) && !self.text.contains(HIDDEN) && node.shows_in(&self.text) {
                self.text = format!("expected another kind of value, found {HIDDEN}");
            }
            self.origin = Some(node.origin.clone());
            self.path = path.to_vec();
        }
        self
    }

    fn into_problem(self, file: &str) -> Problem {
        Problem::new(file, self.origin.as_ref().unwrap_or(&Origin::Default), &self.path, self.text)
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Mistake {}

impl de::Error for Mistake {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { text: message.to_string(), origin: None, path: Vec::new(), missing: None }
    }

    fn invalid_type(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::custom(expected_in_words(&expected.to_string()))
    }

    fn invalid_value(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::custom(format!("{}, found {}", expected_in_words(&expected.to_string()), found_in_words(found)))
    }

    fn unknown_variant(written: &str, known: &'static [&'static str]) -> Self {
        let list: Vec<String> = known.iter().map(|name| format!("{name:?}")).collect();
        let hint = nearest(written, known).map(|name| format!("; did you mean {name:?}?")).unwrap_or_default();
        Self::custom(format!("{written:?} is not one of {}{hint}", list.join(", ")))
    }

    fn missing_field(field: &'static str) -> Self {
        Self { missing: Some(field), ..Self::custom(format!("`{field}` is missing and must be set")) }
    }
}

/// serde's name for a value, as this file names values elsewhere.
fn found_in_words(found: de::Unexpected<'_>) -> String {
    match found {
        de::Unexpected::Unsigned(number) => format!("the number {number}"),
        de::Unexpected::Signed(number) => format!("the number {number}"),
        de::Unexpected::Float(number) => format!("the number {number}"),
        de::Unexpected::Str(text) => format!("the text {text:?}"),
        other => other.to_string(),
    }
}

/// serde's name for a type, as the person writing the file would say it.
fn expected_in_words(expected: &str) -> String {
    let words = match expected {
        "a boolean" => "true or false, without quotes",
        "a string" | "path string" => "text in quotes",
        "a sequence" => "a list, for example [\"one\", \"two\"]",
        "a map" => "a table",
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number, not negative",
        "a nonzero u32" => "a whole number from 1 to 4294967295",
        "a nonzero u64" | "a nonzero usize" => "a whole number, at least 1",
        "i8" | "i16" | "i32" | "i64" => "a whole number",
        "f32" | "f64" => "a number",
        other if other.starts_with("struct ") => "a table",
        other => other,
    };
    format!("expected {words}")
}

/// Whether the setting at `path` has a name that secrets have. An entry of a list goes by the list's name; where the file is
/// that holds a secret is none.
fn may_be_secret(path: &[String]) -> bool {
    let name = path.iter().rev().find(|step| step.parse::<usize>().is_err());
    name.is_some_and(|name| !name.ends_with("_file") && SECRET_NAMES.iter().any(|part| name.contains(part)))
}

struct Cursor<'a> {
    node: &'a Node,
    path: Vec<String>,
    notes: &'a Notes<'a>,
}

impl Cursor<'_> {
    /// The value in words, as far as it may be shown.
    fn found(&self) -> String {
        if may_be_secret(&self.path) { HIDDEN.to_owned() } else { self.node.describe() }
    }

    fn wrong_type(&self, expected: &dyn de::Expected) -> Mistake {
        let text = format!("{}, found {}", expected_in_words(&expected.to_string()), self.found());
        let mistake: Mistake = de::Error::custom(text);
        mistake.at(self.node, &self.path)
    }
}

/// Parses an environment variable's text as the type that is asked for.
macro_rules! scalar {
    ($method:ident, $visit:ident, $type:ty) => {
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
            if let Value::Untyped(text) = &self.node.value {
                return match text.trim().parse::<$type>() {
                    Ok(value) => visitor.$visit(value).map_err(|m: Mistake| m.at(self.node, &self.path)),
                    Err(_) => Err(self.wrong_type(&visitor)),
                };
            }
            self.deserialize_any(visitor)
        }
    };
}

impl<'de> de::Deserializer<'de> for Cursor<'_> {
    type Error = Mistake;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        let wrong = Wrong { expected: expected_of(&visitor), found: self.found() };
        let (node, path) = (self.node, self.path.clone());
        let result = match &self.node.value {
            Value::Text(text) | Value::Untyped(text) => visitor.visit_str(text),
            Value::Integer(number) => match (u64::try_from(*number), i64::try_from(*number)) {
                (Ok(number), _) => visitor.visit_u64(number),
                (_, Ok(number)) => visitor.visit_i64(number),
                _ => Err(de::Error::custom(format!("the number is too large; the largest is {}", u64::MAX))),
            },
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::List(entries) => visitor.visit_seq(Entries::new(entries.iter(), self.path, self.notes)),
            Value::Table(entries) => visitor.visit_map(Pairs::new(entries.iter(), self.path, self.notes)),
        };
        result.map_err(|mistake| wrong.explain(mistake).at(node, &path))
    }

    scalar!(deserialize_bool, visit_bool, bool);
    scalar!(deserialize_i8, visit_i8, i8);
    scalar!(deserialize_i16, visit_i16, i16);
    scalar!(deserialize_i32, visit_i32, i32);
    scalar!(deserialize_i64, visit_i64, i64);
    scalar!(deserialize_u8, visit_u8, u8);
    scalar!(deserialize_u16, visit_u16, u16);
    scalar!(deserialize_u32, visit_u32, u32);
    scalar!(deserialize_u64, visit_u64, u64);
    scalar!(deserialize_f32, visit_f32, f32);
    scalar!(deserialize_f64, visit_f64, f64);

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        if let Value::Table(_) = &self.node.value {
            let text = format!(
                "expected a list, found a table; entries that are tables begin with two brackets: [[{}]]",
                dotted(&self.path)
            );
            let mistake: Mistake = de::Error::custom(text);
            return Err(mistake.at(self.node, &self.path));
        }
        let Value::Untyped(text) = &self.node.value else { return self.deserialize_any(visitor) };
        // From the environment: a list is written with commas.
        let origin = self.node.origin.clone();
        let entry = |item: &str| Node { origin: origin.clone(), value: Value::Untyped(item.trim().to_owned()) };
        let entries: Vec<Node> = text.split(',').filter(|item| !item.trim().is_empty()).map(entry).collect();
        visitor.visit_seq(Entries::new(entries.iter(), self.path, self.notes))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Mistake> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        let Value::Table(entries) = &self.node.value else { return Err(self.wrong_type(&visitor)) };
        let entries = sort_keys(entries, known, &self.path, self.notes)?;
        let pairs = Pairs::new(entries.iter(), self.path.clone(), self.notes);
        visitor.visit_map(pairs).map_err(|mistake| mistake.at(self.node, &self.path))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        let (Value::Text(text) | Value::Untyped(text)) = &self.node.value else {
            return Err(self.wrong_type(&visitor));
        };
        let name: de::value::StrDeserializer<'_, Mistake> = text.as_str().into_deserializer();
        visitor.visit_enum(name).map_err(|mistake| mistake.at(self.node, &self.path))
    }

    serde::forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct tuple tuple_struct map identifier ignored_any i128 u128
    }
}

/// Keeps what a "wrong type" message needs while the visitor consumes the value.
struct Wrong {
    expected: String,
    found: String,
}

impl Wrong {
    fn explain(&self, mut mistake: Mistake) -> Mistake {
        if mistake.origin.is_none() {
            mistake.text = foreign_in_words(&mistake.text, &self.found).unwrap_or(mistake.text);
        }
        if mistake.origin.is_none() && mistake.text == self.expected {
            mistake.text = format!("{}, found {}", self.expected, self.found);
        }
        mistake
    }
}

/// What the parsers of others say, for the person who wrote the value.
fn foreign_in_words(said: &str, found: &str) -> Option<String> {
    let expected = match said {
        "invalid IP address syntax" => "a network as address and prefix, for example \"10.0.0.0/8\" or \"fd00::/8\"",
        _ if said.starts_with("relative URL without a base") || said.starts_with("empty host") => {
            "a web address, for example \"https://matrix.campus.example\""
        }
        _ => return None,
    };
    Some(format!("expected {expected}, found {found}"))
}

fn expected_of<'de>(visitor: &impl Visitor<'de>) -> String {
    let expected: &dyn de::Expected = visitor;
    expected_in_words(&expected.to_string())
}

/// Parts a table's keys into the known ones, which are answered, and the unknown ones, which are noted with the
/// nearest known key. A known key may also be given as `key_file`, the path of a file that holds it; of the two, the one
/// in the environment counts.
fn sort_keys(
    entries: &BTreeMap<String, Node>,
    known: &'static [&'static str],
    path: &[String],
    notes: &Notes<'_>,
) -> Result<BTreeMap<String, Node>, Mistake> {
    let mut kept = BTreeMap::new();
    for (key, node) in entries {
        let place: Vec<String> = path.iter().cloned().chain([key.clone()]).collect();
        let by_file = key.strip_suffix("_file").filter(|name| known.contains(name));
        if known.contains(&key.as_str()) {
            if !entries.get(&format!("{key}_file")).is_some_and(|by_file| by_file.outweighs(node)) {
                kept.insert(key.clone(), node.clone());
            }
        } else if let Some(name) = by_file {
            let read = counted_file(name, node, entries.get(name), notes.base);
            if let Some(read) = read.map_err(|mistake| mistake.at(node, &place))? {
                kept.insert(name.to_owned(), read);
            }
        } else {
            let hint = match nearest(key, known) {
                Some(name) => format!("there is no such setting; did you mean `{name}`?"),
                None => format!("there is no such setting; here one can set {}", known.join(", ")),
            };
            let mistake: Mistake = de::Error::custom(hint);
            notes.unknown.borrow_mut().push(mistake.at(node, &place));
        }
    }
    let absent = known.iter().filter(|name| !kept.contains_key(**name));
    notes
        .absent
        .borrow_mut()
        .extend(absent.map(|name| dotted(&path.iter().cloned().chain([(*name).to_owned()]).collect::<Vec<_>>())));
    Ok(kept)
}

/// What a `key_file` holds, unless the key itself is written too and counts instead.
fn counted_file(name: &str, node: &Node, itself: Option<&Node>, base: &Path) -> Result<Option<Node>, Mistake> {
    match itself {
        Some(itself) if itself.outweighs(node) => Ok(None),
        Some(itself) if !node.outweighs(itself) => {
            Err(de::Error::custom(format!("`{name}` is written too; keep one of the two")))
        }
        _ => from_file(node, base).map(Some),
    }
}

fn from_file(node: &Node, base: &Path) -> Result<Node, Mistake> {
    let (Value::Text(path) | Value::Untyped(path)) = &node.value else {
        return Err(de::Error::custom("expected the path of a file, in quotes"));
    };
    let path = base.join(path);
    let shown = path.display();
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            Ok(Node { origin: Origin::SecretFile(shown.to_string()), value: Value::Text(text.trim_end().to_owned()) })
        }
        Err(error) => Err(de::Error::custom(format!("cannot read {shown}: {}", super::checks::in_words(&error)))),
    }
}

/// The entries of a list, each with its place.
struct Entries<'a, I> {
    nodes: std::iter::Enumerate<I>,
    path: Vec<String>,
    notes: &'a Notes<'a>,
}

impl<'a, I: Iterator> Entries<'a, I> {
    fn new(nodes: I, path: Vec<String>, notes: &'a Notes<'a>) -> Self {
        Self { nodes: nodes.enumerate(), path, notes }
    }
}

impl<'de, 'a, I: Iterator<Item = &'a Node>> de::SeqAccess<'de> for Entries<'a, I> {
    type Error = Mistake;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Mistake> {
        let Some((index, node)) = self.nodes.next() else { return Ok(None) };
        let path: Vec<String> = self.path.iter().cloned().chain([index.to_string()]).collect();
        let cursor = Cursor { node, path: path.clone(), notes: self.notes };
        seed.deserialize(cursor).map(Some).map_err(|mistake| mistake.at(node, &path))
    }
}

/// The keys and values of a table, each with its place.
struct Pairs<'a, I> {
    pairs: I,
    value: Option<(&'a String, &'a Node)>,
    path: Vec<String>,
    notes: &'a Notes<'a>,
}

impl<'a, I> Pairs<'a, I> {
    fn new(pairs: I, path: Vec<String>, notes: &'a Notes<'a>) -> Self {
        Self { pairs, value: None, path, notes }
    }
}

impl<'de, 'a, I: Iterator<Item = (&'a String, &'a Node)>> de::MapAccess<'de> for Pairs<'a, I> {
    type Error = Mistake;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Mistake> {
        self.value = self.pairs.next();
        self.value.map(|(key, _)| seed.deserialize(key.as_str().into_deserializer())).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Mistake> {
        let (key, node) = self.value.take().ok_or_else(|| <Mistake as de::Error>::custom("a value without its key"))?;
        let path: Vec<String> = self.path.iter().cloned().chain([key.clone()]).collect();
        let cursor = Cursor { node, path: path.clone(), notes: self.notes };
        seed.deserialize(cursor).map_err(|mistake| mistake.at(node, &path))
    }
}
