//! What a gateway is told (spec, "Push Gateway API"), put together from what is known. Pure.

use ruma::push::{Action, HighlightTweakValue, Tweak};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json, value::RawValue};

use crate::Pusher;

/// What a person's rules say to do about an event, as far as a gateway is told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tweaks {
    pub(crate) sound: Option<String>,
    pub(crate) highlight: bool,
}

impl Tweaks {
    /// The tweaks of an event that notifies; `None`: it does not.
    pub(crate) fn of(actions: &[Action]) -> Option<Self> {
        if !actions.iter().any(Action::should_notify) {
            return None;
        }
        let sound = actions.iter().find_map(Action::sound).map(|sound| sound.as_str().to_owned());
        let loud = |action: &Action| matches!(action, Action::SetTweak(Tweak::Highlight(HighlightTweakValue::Yes)));
        Some(Self { sound, highlight: actions.iter().any(loud) })
    }

    fn json(&self) -> Value {
        let mut tweaks = Map::new();
        if let Some(sound) = &self.sound {
            tweaks.insert("sound".to_owned(), sound.as_str().into());
        }
        if self.highlight {
            tweaks.insert("highlight".to_owned(), true.into());
        }
        tweaks.into()
    }
}

/// What is told of an event to those who may know it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told {
    pub(crate) event_id: String,
    pub(crate) room_id: String,
    pub(crate) kind: String,
    pub(crate) sender: String,
    pub(crate) sender_display_name: Option<String>,
    pub(crate) room_name: Option<String>,
    pub(crate) room_alias: Option<String>,
    pub(crate) content: Option<Box<RawValue>>,
    /// For a membership event about the person themselves: what they are by it.
    pub(crate) own_membership: Option<String>,
}

/// The notification of an event.
pub(crate) fn of_event(pusher: &Pusher, told: &Told, tweaks: &Tweaks, unread: u64) -> Value {
    let mut notification = json!({
        "event_id": told.event_id,
        "room_id": told.room_id,
        // What is encrypted may be anything: it is not held back.
        "prio": if tweaks.highlight || tweaks.sound.is_some() || told.kind == "m.room.encrypted" { "high" } else { "low" },
        "counts": counts(pusher, unread),
        "devices": [device(pusher, Some(tweaks))],
    });
    if !pusher.wants_ids_only() {
        add_details(&mut notification, told);
    }
    json!({ "notification": notification })
}

fn add_details(notification: &mut Value, told: &Told) {
    // Its older name, which gateways made for older servers look for.
    notification["id"] = told.event_id.as_str().into();
    notification["type"] = told.kind.as_str().into();
    notification["sender"] = told.sender.as_str().into();
    let words = [
        ("sender_display_name", &told.sender_display_name),
        ("room_name", &told.room_name),
        ("room_alias", &told.room_alias),
        ("membership", &told.own_membership),
    ];
    for (name, word) in words {
        if let Some(word) = word {
            notification[name] = word.as_str().into();
        }
    }
    if told.own_membership.is_some() {
        notification["user_is_target"] = true.into();
    }
    if let Some(content) = &told.content {
        notification["content"] = serde_json::from_str(content.get()).unwrap_or_default();
    }
}

/// The notification that less is unread now.
pub(crate) fn of_counts(pusher: &Pusher, unread: u64) -> Value {
    json!({ "notification": {
        "prio": "low",
        "counts": counts(pusher, unread),
        "devices": [device(pusher, None)],
    }})
}

fn counts(pusher: &Pusher, unread: u64) -> Value {
    if pusher.counts_itself() { json!({}) } else { json!({ "unread": unread }) }
}

/// The device, with all of the pusher's data but its gateway's address.
fn device(pusher: &Pusher, tweaks: Option<&Tweaks>) -> Value {
    let mut data = pusher.data.clone();
    data.remove("url");
    let mut device = json!({
        "app_id": pusher.key.app_id,
        "pushkey": pusher.key.pushkey,
        "pushkey_ts": pusher.set_ms / 1_000,
        "data": data,
    });
    if let Some(tweaks) = tweaks {
        device["tweaks"] = tweaks.json();
    }
    device
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PusherKey;
    use ruma::user_id;

    fn pusher(data: Value) -> Pusher {
        Pusher {
            key: PusherKey { user: user_id!("@a:x").to_owned(), app_id: "app".into(), pushkey: "key".into() },
            app_display_name: "App".into(),
            device_display_name: "Phone".into(),
            lang: "en".into(),
            profile_tag: None,
            data: data.as_object().cloned().unwrap_or_default(),
            device: None,
            set_ms: 7_500,
            enabled: true,
        }
    }

    fn told() -> Told {
        Told {
            event_id: "$e".into(),
            room_id: "!r".into(),
            kind: "m.room.message".into(),
            sender: "@b:x".into(),
            content: serde_json::value::to_raw_value(&json!({ "body": "hi" })).ok(),
            ..Told::default()
        }
    }

    #[test]
    fn a_gateway_is_told_everything_but_its_own_address() {
        let pusher = pusher(json!({ "url": "https://push.example", "brand": "x" }));
        let tweaks = Tweaks { sound: Some("default".into()), highlight: true };
        let notification = of_event(&pusher, &told(), &tweaks, 3);
        assert_eq!(
            notification["notification"],
            json!({
                "event_id": "$e", "id": "$e", "room_id": "!r", "type": "m.room.message", "sender": "@b:x",
                "prio": "high",
                "content": { "body": "hi" }, "counts": { "unread": 3 },
                "devices": [{
                    "app_id": "app", "pushkey": "key", "pushkey_ts": 7, "data": { "brand": "x" },
                    "tweaks": { "sound": "default", "highlight": true },
                }],
            })
        );
    }

    #[test]
    fn who_wants_ids_only_is_told_no_more_and_a_plain_message_is_not_urgent() {
        let pusher = pusher(json!({ "url": "x", "format": "event_id_only" }));
        let notification = of_event(&pusher, &told(), &Tweaks::default(), 1)["notification"].clone();
        let fields: Vec<_> = notification.as_object().unwrap().keys().cloned().collect();
        assert_eq!(fields, ["counts", "devices", "event_id", "prio", "room_id"]);
        assert_eq!(notification["prio"], "low");
    }

    #[test]
    fn who_counts_themselves_is_told_no_count() {
        let pusher = pusher(json!({ "url": "x", "org.matrix.msc4076.disable_badge_count": true }));
        assert_eq!(of_counts(&pusher, 4)["notification"]["counts"], json!({}));
    }
}
