//! Canonical JSON: reading strictly, writing in the one form that is signed.
//! <https://spec.matrix.org/v1.19/appendices/#canonical-json>

use ruma::{CanonicalJsonObject, CanonicalJsonValue};
use serde::{
    Deserializer,
    de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor},
};
use std::{collections::btree_map::Entry, fmt};

/// How deep arrays and objects may lie in one another. Less than what the parser itself can bear.
pub const JSON_DEPTH_MAX: usize = 100;

/// The greatest integer of canonical JSON, and the least one negated.
const INTEGER_MAX: i64 = (1 << 53) - 1;

/// Why text is not JSON that has a canonical form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct JsonError(String);

/// Reads JSON that has a canonical form: integers within ±(2^53-1), no other numbers, no key twice, not too deep.
/// A number with an exponent that is such an integer counts as one, as the specification's examples have it.
pub fn parse_value(text: &str) -> Result<CanonicalJsonValue, JsonError> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Strict { depth: 0 }.deserialize(&mut deserializer).map_err(|error| JsonError(error.to_string()))?;
    deserializer.end().map_err(|error| JsonError(error.to_string()))?;
    Ok(value)
}

/// Reads a JSON object that has a canonical form.
pub fn parse_object(text: &str) -> Result<CanonicalJsonObject, JsonError> {
    match parse_value(text)? {
        CanonicalJsonValue::Object(object) => Ok(object),
        _ => Err(JsonError("expected an object".to_owned())),
    }
}

/// An object's canonical JSON.
pub fn canonical(object: &CanonicalJsonObject) -> String {
    let mut out = String::with_capacity(256);
    write_object(&mut out, object);
    out
}

struct Strict {
    depth: usize,
}

impl Strict {
    fn deeper<E: Error>(&self) -> Result<usize, E> {
        if self.depth == JSON_DEPTH_MAX {
            return Err(E::custom(format_args!("arrays and objects are more than {JSON_DEPTH_MAX} deep")));
        }
        Ok(self.depth + 1)
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = CanonicalJsonValue;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = CanonicalJsonValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON that has a canonical form")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(CanonicalJsonValue::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(CanonicalJsonValue::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        match js_int::Int::new(value) {
            Some(value) => Ok(CanonicalJsonValue::Integer(value)),
            None => Err(E::custom("an integer is outside of ±(2^53-1)")),
        }
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        self.visit_i64(i64::try_from(value).unwrap_or(i64::MAX))
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "exact within ±(2^53-1)")]
    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        if value.fract() == 0.0 && value.abs() <= INTEGER_MAX as f64 {
            return self.visit_i64(value as i64);
        }
        Err(E::custom("a number is not an integer within ±(2^53-1)"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(CanonicalJsonValue::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Self::Value, E> {
        Ok(CanonicalJsonValue::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let depth = self.deeper()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(Strict { depth })? {
            array.push(item);
        }
        Ok(CanonicalJsonValue::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let depth = self.deeper()?;
        let mut object = CanonicalJsonObject::new();
        while let Some(key) = entries.next_key::<String>()? {
            match object.entry(key) {
                Entry::Vacant(place) => drop(place.insert(entries.next_value_seed(Strict { depth })?)),
                Entry::Occupied(place) => {
                    return Err(A::Error::custom(format_args!("the key {:?} stands twice in an object", place.key())));
                }
            }
        }
        Ok(CanonicalJsonValue::Object(object))
    }
}

pub(crate) fn write_value(out: &mut String, value: &CanonicalJsonValue) {
    match value {
        CanonicalJsonValue::Null => out.push_str("null"),
        CanonicalJsonValue::Bool(true) => out.push_str("true"),
        CanonicalJsonValue::Bool(false) => out.push_str("false"),
        CanonicalJsonValue::Integer(integer) => write_integer(out, (*integer).into()),
        CanonicalJsonValue::String(text) => write_string(out, text),
        CanonicalJsonValue::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_value(out, item);
            }
            out.push(']');
        }
        CanonicalJsonValue::Object(object) => write_object(out, object),
    }
}

pub(crate) fn write_object(out: &mut String, object: &CanonicalJsonObject) {
    out.push('{');
    // A BTreeMap of strings is in the order of their UTF-8 bytes, which is that of their code points.
    for (index, (key, value)) in object.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_string(out, key);
        out.push(':');
        write_value(out, value);
    }
    out.push('}');
}

pub(crate) fn write_integer(out: &mut String, integer: i64) {
    use fmt::Write as _;
    // Writing to a string does not fail.
    let _ = write!(out, "{integer}");
}

pub(crate) fn write_string(out: &mut String, text: &str) {
    out.push('"');
    let mut written = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0x08 => "\\b",
            0x0c => "\\f",
            0x00..=0x1f => "",
            _ => continue,
        };
        out.push_str(&text[written..at]);
        out.push_str(escape);
        if escape.is_empty() {
            use fmt::Write as _;
            // Writing to a string does not fail.
            let _ = write!(out, "\\u{byte:04x}");
        }
        written = at + 1;
    }
    out.push_str(&text[written..]);
    out.push('"');
}

#[cfg(test)]
mod tests;
