//! X-Matrix: signing requests, and reading the header of incoming ones (spec, "Request Authentication"). Pure.

use http::HeaderValue;
use lyceum_events::{EventError, ServerKey};
use ruma::{OwnedServerName, ServerName, api::federation::authentication::XMatrix};
use serde_json::{Number, Value};

use crate::error::AuthenticationError;

/// The longest header that is read.
const HEADER_BYTES_MAX: usize = 4096;

/// A request as its signature covers it.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// The method, in capitals.
    pub method: &'a str,
    /// The path and query as they stand in the request line.
    pub target: &'a str,
    /// The body; empty if there is none.
    pub body: &'a [u8],
}

/// Who says to have signed a request, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The sender.
    pub origin: OwnedServerName,
    /// Whom the request is meant for; very old servers leave it out.
    pub destination: Option<String>,
    /// The key's name.
    pub key: String,
    /// The signature, in base64.
    pub signature: String,
}

impl From<XMatrix> for Credentials {
    fn from(header: XMatrix) -> Self {
        Self {
            origin: header.origin,
            destination: header.destination.map(|destination| destination.to_string()),
            key: header.key.to_string(),
            signature: header.sig.encode(),
        }
    }
}

impl Credentials {
    /// Reads an `Authorization` header. Values may be quoted or, as old servers do it even for those with colons, not.
    pub fn parse(header: &HeaderValue) -> Result<Self, AuthenticationError> {
        let malformed = AuthenticationError::Malformed;
        let header = header.to_str().map_err(|_| malformed("not ASCII"))?;
        if header.len() > HEADER_BYTES_MAX {
            return Err(malformed("too long"));
        }
        let (scheme, parameters) = header.split_once(' ').ok_or(malformed("no parameters"))?;
        if !scheme.eq_ignore_ascii_case("X-Matrix") {
            return Err(malformed("another scheme"));
        }
        let [mut origin, mut destination, mut key, mut signature] = [const { None }; 4];
        let mut rest = parameters;
        while let Some((name, value, after)) = parameter(rest)? {
            rest = after;
            let slot = match name.to_ascii_lowercase().as_str() {
                "origin" => &mut origin,
                "destination" => &mut destination,
                "key" => &mut key,
                "sig" => &mut signature,
                _ => continue,
            };
            if slot.replace(value).is_some() {
                return Err(malformed("a parameter twice"));
            }
        }
        let origin = origin.ok_or(malformed("no origin"))?;
        Ok(Self {
            origin: OwnedServerName::try_from(origin).map_err(|_| malformed("the origin is not a server name"))?,
            destination,
            key: key.ok_or(malformed("no key"))?,
            signature: signature.ok_or(malformed("no sig"))?,
        })
    }
}

/// The next `name=value` of a list, and what follows it.
fn parameter(list: &str) -> Result<Option<(&str, String, &str)>, AuthenticationError> {
    let list = list.trim_start_matches([' ', '\t', ',']);
    if list.is_empty() {
        return Ok(None);
    }
    let malformed = AuthenticationError::Malformed;
    let (name, rest) = list.split_once('=').ok_or(malformed("a parameter without value"))?;
    let (name, rest) = (name.trim_end(), rest.trim_start());
    let Some(quoted) = rest.strip_prefix('"') else {
        let end = rest.find(',').unwrap_or(rest.len());
        return Ok(Some((name, rest[..end].trim_end().to_owned(), &rest[end..])));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => {
                let rest = quoted[at + 1..].trim_start();
                let ends = rest.is_empty() || rest.starts_with(',');
                return ends.then_some(Some((name, value, rest))).ok_or(malformed("text after a quoted value"));
            }
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            _ => value.push(character),
        }
    }
    Err(malformed("a quote that does not end"))
}

/// The text under the signature of a request. Rooms of before version 6 and messages to devices may hold numbers that
/// canonical JSON does not have, and one of them must not make the rest of a transaction unheard.
pub(crate) fn signed_text(
    request: Signed<'_>,
    origin: &str,
    destination: Option<&ServerName>,
) -> Result<String, serde_json::Error> {
    let mut object = serde_json::Map::new();
    object.insert("method".to_owned(), request.method.into());
    object.insert("uri".to_owned(), request.target.into());
    object.insert("origin".to_owned(), origin.into());
    if let Some(destination) = destination {
        object.insert("destination".to_owned(), destination.as_str().into());
    }
    if !request.body.is_empty() {
        object.insert("content".to_owned(), serde_json::from_slice(request.body)?);
    }
    Ok(written(&Value::Object(object)))
}

/// Canonical JSON, of numbers that it does not have as well.
pub(crate) fn written(value: &Value) -> String {
    let mut text = String::new();
    write_sorted(value, &mut text);
    text
}

/// JSON without white space, its keys in order. The parser bounds how deep it goes.
fn write_sorted(value: &Value, text: &mut String) {
    match value {
        Value::Object(object) => {
            let mut fields: Vec<_> = object.iter().collect();
            fields.sort_by_key(|(name, _)| *name);
            text.push('{');
            for (at, (name, value)) in fields.into_iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                text.push_str(&Value::from(name.as_str()).to_string());
                text.push(':');
                write_sorted(value, text);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (at, value) in items.iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                write_sorted(value, text);
            }
            text.push(']');
        }
        Value::Number(number) => text.push_str(&number_text(number)),
        plain => text.push_str(&plain.to_string()),
    }
}

/// A number as those servers write it that sign numbers with fractions at all: like Python, which has its own borders from
/// which on an exponent is written, and two digits in it.
fn number_text(number: &Number) -> String {
    let plain = number.to_string();
    let scientific = number.as_f64().filter(|_| number.is_f64()).map(|float| format!("{float:e}")).unwrap_or_default();
    let Some((digits, exponent)) = scientific.split_once('e') else { return plain };
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..16).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
        _ => plain,
    }
}

/// The `Authorization` header for a request to `destination`.
pub(crate) fn sign(key: &ServerKey, destination: &ServerName, request: Signed<'_>) -> Result<HeaderValue, EventError> {
    let malformed = |what: String| EventError::Malformed(what);
    let origin = key.server().as_str();
    let text = signed_text(request, origin, Some(destination)).map_err(|error| malformed(error.to_string()))?;
    let (id, signature) = (key.id(), key.sign_text(&text));
    let header = format!(r#"X-Matrix origin="{origin}",destination="{destination}",key="{id}",sig="{signature}""#);
    HeaderValue::try_from(header).map_err(|error| malformed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ruma::{CanonicalJsonObject, CanonicalJsonValue, owned_server_name, server_name};

    fn parse(header: &'static str) -> Result<Credentials, AuthenticationError> {
        Credentials::parse(&HeaderValue::from_static(header))
    }

    #[test]
    fn headers_of_every_kind_of_server_are_read() {
        let expected = Credentials {
            origin: owned_server_name!("a.example:80"),
            destination: Some("b.example".into()),
            key: "ed25519:k".into(),
            signature: "ab+/".into(),
        };
        for header in [
            r#"X-Matrix origin="a.example:80",destination="b.example",key="ed25519:k",sig="ab+/""#,
            "X-Matrix origin=a.example:80,destination=b.example,key=ed25519:k,sig=ab+/",
            "x-matrix   Origin = \"a.example:80\" ,\t sig=\"ab+/\" , KEY=\"ed25519:\\k\",destination=b.example, other=\"x,y\"",
        ] {
            assert_eq!(parse(header).expect(header), expected, "{header}");
        }
        assert_eq!(parse("X-Matrix origin=a,key=k,sig=s").expect("old servers").destination, None);
    }

    #[test]
    fn other_headers_are_refused() {
        for header in [
            "Bearer x",
            "X-Matrix",
            "X-Matrix origin=a,key=k",
            "X-Matrix origin=a,origin=b,key=k,sig=s",
            "X-Matrix origin=\"a,key=k,sig=s",
            "X-Matrix origin=\"a\"b,key=k,sig=s",
            "X-Matrix origin=a b/,key=k,sig=s",
            "X-Matrix nonsense",
        ] {
            assert!(parse(header).is_err(), "{header}");
        }
    }

    #[test]
    fn the_text_that_is_signed_is_that_of_canonical_json() {
        let body = "{\"b\":[1,true,null,\"\\u00e9\\n\\u0001\"],\"a\":{\"z\":-5,\"y\":{}}}".as_bytes();
        let request = Signed { method: "PUT", target: "/_matrix/x?y=1", body };
        let beta = server_name!("b.example");
        let content: CanonicalJsonValue = serde_json::from_slice(body).expect("canonical JSON");
        let text = |value: &str| CanonicalJsonValue::from(value.to_owned());
        let canonical = CanonicalJsonObject::from([
            ("method".to_owned(), text("PUT")),
            ("uri".to_owned(), text("/_matrix/x?y=1")),
            ("origin".to_owned(), text("a.example")),
            ("destination".to_owned(), text("b.example")),
            ("content".to_owned(), content),
        ]);
        let signed = signed_text(request, "a.example", Some(beta)).expect("JSON");
        assert_eq!(signed, lyceum_events::canonical(&canonical));
    }

    #[test]
    fn numbers_that_canonical_json_lacks_are_written_like_python_does() {
        let written = |text: &str| written(&serde_json::from_str(text).expect("JSON"));
        for (number, expected) in [
            ("0.1", "0.1"),
            ("-2.0", "-2.0"),
            ("9007199254740993", "9007199254740993"),
            ("0.0001", "0.0001"),
            ("0.000012", "1.2e-05"),
            ("1e-7", "1e-07"),
            ("1e15", "1000000000000000.0"),
            ("1e16", "1e+16"),
            ("-1.5e300", "-1.5e+300"),
        ] {
            assert_eq!(written(number), expected, "{number}");
        }
        assert_eq!(written(r#"{"b":1.5,"a":[0.1,-2.0]}"#), r#"{"a":[0.1,-2.0],"b":1.5}"#);
    }

    #[test]
    fn what_is_signed_can_be_verified() {
        let key = ServerKey::from_seed(owned_server_name!("a.example"), &[1; 32], "k").expect("a key");
        let request = Signed { method: "PUT", target: "/_matrix/x?y=1", body: br#"{"b":1,"a":"\u00e9"}"# };
        let header = sign(&key, server_name!("b.example"), request).expect("signed");
        let read = Credentials::parse(&header).expect("a header");
        assert_eq!((read.origin.as_str(), read.destination.as_deref()), ("a.example", Some("b.example")));
        assert_eq!(read.key, "ed25519:k");
        assert!(sign(&key, server_name!("b.example"), Signed { body: b"{\"a\":1.5}", ..request }).is_ok());
        assert!(sign(&key, server_name!("b.example"), Signed { body: b"{\"a\":", ..request }).is_err());
    }
}
