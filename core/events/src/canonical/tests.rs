//! Canonical JSON against the specification's examples, and what must hold for any.

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::testing::{any_json, any_object};

/// <https://spec.matrix.org/v1.19/appendices/#examples>
#[test]
fn the_examples_of_the_specification_hold() {
    let examples = [
        ("{}", "{}"),
        (r#"{ "one": 1, "two": "Two" }"#, r#"{"one":1,"two":"Two"}"#),
        (r#"{ "b": "2", "a": "1" }"#, r#"{"a":"1","b":"2"}"#),
        (r#"{"b":"2","a":"1"}"#, r#"{"a":"1","b":"2"}"#),
        (
            r#"{ "auth": { "success": true, "mxid": "@john.doe:example.com", "profile": { "display_name": "John Doe",
                 "three_pids": [ { "medium": "email", "address": "john.doe@example.org" },
                                 { "medium": "msisdn", "address": "123456789" } ] } } }"#,
            r#"{"auth":{"mxid":"@john.doe:example.com","profile":{"display_name":"John Doe","three_pids":[{"address":"john.doe@example.org","medium":"email"},{"address":"123456789","medium":"msisdn"}]},"success":true}}"#,
        ),
        (r#"{ "a": "日本語" }"#, r#"{"a":"日本語"}"#),
        (r#"{ "本": 2, "日": 1 }"#, r#"{"日":1,"本":2}"#),
        (r#"{ "a": "\u65E5" }"#, r#"{"a":"日"}"#),
        (r#"{ "a": null }"#, r#"{"a":null}"#),
        (r#"{ "a": -0, "b": 1e10 }"#, r#"{"a":0,"b":10000000000}"#),
    ];
    for (given, expected) in examples {
        assert_eq!(canonical(&parse_object(given).unwrap()), expected);
    }
}

#[test]
fn control_characters_are_escaped_as_the_grammar_says() {
    let given = r#"{"a":"\u0000\u0008\t\n\u000b\f\r\u001f\u007f\/\"\\ \ud83d\ude00"}"#;
    let expected = "{\"a\":\"\\u0000\\b\\t\\n\\u000b\\f\\r\\u001f\u{7f}/\\\"\\\\ 😀\"}";
    assert_eq!(canonical(&parse_object(given).unwrap()), expected);
}

#[test]
fn what_has_no_canonical_form_is_refused() {
    let refused = [
        r#"{"a":9007199254740992}"#,
        r#"{"a":-9007199254740992}"#,
        r#"{"a":18446744073709551616}"#,
        r#"{"a":1.1}"#,
        r#"{"a":1e400}"#,
        r#"{"a":NaN}"#,
        r#"{"a":Infinity}"#,
        r#"{"a":1,"a":1}"#,
        r#"{"x":{"a":1,"b":2,"a":3}}"#,
        r#"{"a":"\ud800"}"#,
        r#"{"a":01}"#,
        "{\"a\":\"\n\"}",
        r#"{"a":1} x"#,
        "[1]",
        "",
    ];
    for text in refused {
        assert!(parse_object(text).is_err(), "{text}");
    }
    assert!(parse_object(r#"{"a":9007199254740991,"b":-9007199254740991}"#).is_ok());
}

#[test]
fn json_may_not_be_too_deep() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(parse_value(&nested(JSON_DEPTH_MAX)).is_ok());
    assert!(parse_value(&nested(JSON_DEPTH_MAX + 1)).is_err());
    assert!(parse_value(&nested(1_000_000)).is_err());
}

proptest! {
    #[test]
    fn what_is_written_reads_as_the_same_and_is_written_the_same(value in any_object()) {
        let object = parse_object(&serde_json::to_string_pretty(&value).unwrap()).unwrap();
        let text = canonical(&object);
        prop_assert_eq!(&parse_object(&text).unwrap(), &object);
        prop_assert_eq!(&serde_json::from_str::<Value>(&text).unwrap(), &value);
        // The order of keys and the escapes are those of the writer that ruma uses.
        prop_assert_eq!(text, serde_json::to_string(&object).unwrap());
    }

    #[test]
    fn any_value_goes_round(value in any_json()) {
        let parsed = parse_value(&value.to_string()).unwrap();
        let mut text = String::new();
        write_value(&mut text, &parsed);
        prop_assert_eq!(parse_value(&text).unwrap(), parsed);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in any::<String>()) {
        let _ = parse_value(&text);
    }
}
