//! What of an event can be found: a message's body, a room's name, a room's topic.

use ruma::events::TimelineEventType;
use serde::Deserialize;

/// Where in an event something is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// `content.body`
    Body,
    /// `content.name`
    Name,
    /// `content.topic`
    Topic,
}

impl Key {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Body, Self::Name, Self::Topic];

    /// The key of this name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "content.body" => Some(Self::Body),
            "content.name" => Some(Self::Name),
            "content.topic" => Some(Self::Topic),
            _ => None,
        }
    }
}

/// More of one text than this is not indexed.
const TEXT_BYTES_MAX: usize = 16 * 1024;

#[derive(Default, Deserialize)]
struct Content {
    body: Option<String>,
    name: Option<String>,
    topic: Option<String>,
    #[serde(rename = "m.new_content")]
    new_content: Option<NewContent>,
    #[serde(rename = "m.relates_to")]
    relates_to: Option<RelatesTo>,
}

#[derive(Deserialize)]
struct NewContent {
    body: Option<String>,
}

#[derive(Deserialize)]
struct RelatesTo {
    #[serde(rename = "m.in_reply_to")]
    in_reply_to: Option<serde::de::IgnoredAny>,
}

/// What an event of this type and content says, and where. `edit` is the content of its last edit.
pub(crate) fn text_of(kind: &TimelineEventType, content: &str, edit: Option<&str>) -> Option<(Key, String)> {
    let read = |json: &str| serde_json::from_str::<Content>(json).ok();
    let content = read(content)?;
    let (key, text) = match kind {
        TimelineEventType::RoomMessage => {
            let edited = edit.and_then(read).and_then(|edit| edit.new_content?.body);
            let is_reply = content.relates_to.is_some_and(|relation| relation.in_reply_to.is_some());
            let body = content.body.map(|body| if is_reply { without_quote(&body).to_owned() } else { body });
            (Key::Body, edited.or(body)?)
        }
        TimelineEventType::RoomName => (Key::Name, content.name?),
        TimelineEventType::RoomTopic => (Key::Topic, content.topic?),
        _ => return None,
    };
    (!text.is_empty()).then(|| (key, shortened(text)))
}

/// A reply without the quoted message that older clients put before it (spec before v1.13, "Fallbacks for rich replies").
fn without_quote(body: &str) -> &str {
    if !body.starts_with("> ") {
        return body;
    }
    let quoted: usize = body.split_inclusive('\n').take_while(|line| line.starts_with('>')).map(str::len).sum();
    body[quoted..].trim_start_matches('\n')
}

fn shortened(mut text: String) -> String {
    if text.len() > TEXT_BYTES_MAX {
        let end = (0..=TEXT_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_says_what_people_read_in_it() {
        let said = |kind: TimelineEventType, content: &str, edit| text_of(&kind, content, edit).map(|(_, text)| text);
        let message = TimelineEventType::RoomMessage;
        assert_eq!(said(message.clone(), r#"{"body":"hi"}"#, None).as_deref(), Some("hi"));
        let edit = r#"{"body":"* ho","m.new_content":{"body":"ho"}}"#;
        assert_eq!(said(message.clone(), r#"{"body":"hi"}"#, Some(edit)).as_deref(), Some("ho"));
        let reply = r#"{"body":"> <@a:b> quoted\n> more\n\nown","m.relates_to":{"m.in_reply_to":{"event_id":"$e"}}}"#;
        assert_eq!(said(message.clone(), reply, None).as_deref(), Some("own"));
        assert_eq!(said(message.clone(), r#"{"body":"> wisdom"}"#, None).as_deref(), Some("> wisdom"));
        assert_eq!(said(TimelineEventType::RoomTopic, r#"{"topic":"Verbs"}"#, None).as_deref(), Some("Verbs"));
        for nothing in ["{}", r#"{"body":7}"#, r#"{"body":""}"#, "[]"] {
            assert_eq!(said(message.clone(), nothing, None), None, "{nothing}");
        }
        assert_eq!(said(TimelineEventType::RoomMember, r#"{"name":"x"}"#, None), None);
        let long = format!(r#"{{"body":"{}"}}"#, "ä".repeat(TEXT_BYTES_MAX));
        assert_eq!(said(message, &long, None).map(|text| text.len()), Some(TEXT_BYTES_MAX));
    }
}
