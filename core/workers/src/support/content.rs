//! What of a message is passed on: what it says, without anything that names who wrote it.

use lyceum_events::Draft;
use ruma::{CanonicalJsonObject, CanonicalJsonValue, EventId, OwnedEventId, UserId};
use serde_json::json;

/// What is passed on of a message. Encrypted files are not among it: those rooms are not encrypted.
const PASSED: [&str; 8] =
    ["msgtype", "body", "format", "formatted_body", "url", "info", "filename", "org.matrix.msc3245.voice"];
/// The text in place of the id of somebody who is not to be named.
const SOMEBODY: &str = "(who asks)";
/// What clients used to put before an answer: what it answers, with its author.
const QUOTED: &str = "<mx-reply>";

/// A message as it is passed on; nothing if it says nothing. `hidden` is who is not to be named.
pub(super) fn passed(content: &CanonicalJsonObject, hidden: Option<&UserId>) -> Option<CanonicalJsonObject> {
    let of_field = |field: &str| Some((field.to_owned(), content.get(field)?.clone()));
    let mut passed: CanonicalJsonObject = PASSED.into_iter().filter_map(of_field).collect();
    passed.get("msgtype")?.as_str()?;
    let body = passed.get("body")?.as_str()?;
    let mut body = if answers(content) { without_quote(body) } else { body }.to_owned();
    let names = |text: &str| hidden.is_some_and(|hidden| text.contains(hidden.as_str()));
    if let Some(hidden) = hidden {
        body = body.replace(hidden.as_str(), SOMEBODY);
    }
    let formatted = passed.get("formatted_body").and_then(CanonicalJsonValue::as_str);
    if formatted.is_some_and(|html| html.contains(QUOTED) || names(html)) {
        passed.remove("format");
        passed.remove("formatted_body");
    }
    passed.insert("body".to_owned(), body.into());
    passed.insert("m.mentions".to_owned(), CanonicalJsonValue::Object(CanonicalJsonObject::new()));
    Some(passed)
}

/// Puts a message into the thread of a request.
pub(super) fn in_thread(content: &mut CanonicalJsonObject, root: &str) {
    let relation = json!({
        "rel_type": "m.thread",
        "event_id": root,
        "is_falling_back": true,
        "m.in_reply_to": { "event_id": root },
    });
    content.insert("m.relates_to".to_owned(), value(relation));
}

/// The later wording of an event, which says this now.
pub(super) fn rewritten(event: &str, newer: CanonicalJsonObject) -> CanonicalJsonObject {
    let mut content = newer.clone();
    if let Some(body) = newer.get("body").and_then(CanonicalJsonValue::as_str) {
        content.insert("body".to_owned(), format!("* {body}").into());
    }
    content.insert("m.new_content".to_owned(), CanonicalJsonValue::Object(newer));
    content.insert("m.relates_to".to_owned(), value(json!({ "rel_type": "m.replace", "event_id": event })));
    content
}

/// What the desk says itself.
pub(super) fn said(text: &str) -> CanonicalJsonObject {
    match value(json!({ "msgtype": "m.notice", "body": text, "m.mentions": {} })) {
        CanonicalJsonValue::Object(content) => content,
        _ => CanonicalJsonObject::new(),
    }
}

pub(super) fn message(content: CanonicalJsonObject) -> Draft {
    Draft::message("m.room.message", content)
}

/// The events that a message answers: the one its thread begins with, and the one it answers itself.
pub(super) fn answered(content: &CanonicalJsonObject) -> Vec<OwnedEventId> {
    let Some(CanonicalJsonValue::Object(relation)) = content.get("m.relates_to") else { return Vec::new() };
    let text = |of: &'_ CanonicalJsonObject, field: &str| {
        of.get(field).and_then(CanonicalJsonValue::as_str).map(str::to_owned)
    };
    let thread = text(relation, "rel_type").is_some_and(|kind| kind == "m.thread").then_some(relation);
    let direct = match relation.get("m.in_reply_to") {
        Some(CanonicalJsonValue::Object(direct)) => Some(direct),
        _ => None,
    };
    thread.into_iter().chain(direct).filter_map(|of| EventId::parse(text(of, "event_id")?).ok()).collect()
}

fn answers(content: &CanonicalJsonObject) -> bool {
    let relation = content.get("m.relates_to");
    matches!(relation, Some(CanonicalJsonValue::Object(relation)) if relation.contains_key("m.in_reply_to"))
}

/// A text without the lines that quote what it answers.
fn without_quote(body: &str) -> &str {
    let mut rest = body;
    while rest.starts_with("> ") {
        rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
    }
    if rest.len() == body.len() { body } else { rest.trim_start_matches('\n') }
}

fn value(json: serde_json::Value) -> CanonicalJsonValue {
    json.try_into().unwrap_or(CanonicalJsonValue::Null)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ruma::user_id;

    fn object(json: serde_json::Value) -> CanonicalJsonObject {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn nothing_that_names_who_asks_is_passed_on() {
        let ann = user_id!("@ann:a.b");
        let content = object(json!({
            "msgtype": "m.text",
            "body": "> <@ann:a.b> first\n> line\n\nI am @ann:a.b",
            "format": "org.matrix.custom.html",
            "formatted_body": "<mx-reply>…</mx-reply>I am Ann",
            "m.mentions": { "user_ids": ["@ann:a.b"] },
            "m.relates_to": { "m.in_reply_to": { "event_id": "$e" } },
            "com.example.more": "@ann:a.b",
        }));
        let passed_on = passed(&content, Some(ann)).unwrap();
        assert_eq!(json!(passed_on), json!({ "msgtype": "m.text", "body": "I am (who asks)", "m.mentions": {} }));
        let named = passed(&object(json!({ "msgtype": "m.text", "body": "@ann:a.b > b\n> c" })), None).unwrap();
        assert_eq!(json!(named["body"]), "@ann:a.b > b\n> c", "no answer: nothing is a quote");
    }

    #[test]
    fn files_keep_what_shows_them_and_what_says_nothing_is_not_passed_on() {
        let file = json!({ "msgtype": "m.image", "body": "screen.png", "url": "mxc://a.b/c", "info": { "w": 1 } });
        let passed_on = json!(passed(&object(file.clone()), None).unwrap());
        assert_eq!((&passed_on["url"], &passed_on["info"]), (&file["url"], &file["info"]));
        for nothing in [json!({}), json!({ "msgtype": "m.text" }), json!({ "msgtype": 1, "body": "x" })] {
            assert_eq!(passed(&object(nothing), None), None);
        }
    }

    #[test]
    fn answers_are_found_by_their_thread_and_by_what_they_answer() {
        let mut content = said("hello");
        assert!(answered(&content).is_empty());
        in_thread(&mut content, "$root");
        assert_eq!(answered(&content), ["$root", "$root"]);
        let direct = object(json!({ "m.relates_to": { "m.in_reply_to": { "event_id": "$e" } } }));
        assert_eq!(answered(&direct), ["$e"]);
        let newer = json!(rewritten("$e", said("better")));
        assert_eq!((&newer["body"], &newer["m.new_content"]["body"]), (&json!("* better"), &json!("better")));
    }
}
