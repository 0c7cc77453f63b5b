//! Building events in every room version.

use super::*;
use crate::EVENT_BYTES_MAX;
use ruma::{RoomVersionId, event_id, room_id, server_name, uint, user_id};

fn key() -> ServerKey {
    ServerKey::from_seed(server_name!("alpha.test").to_owned(), &[7; 32], "a").unwrap()
}

#[test]
fn every_room_version_builds_an_event_it_accepts() {
    for version in ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"] {
        let rules = RoomVersionId::try_from(version).unwrap().rules().unwrap();
        let placing = Placing {
            room_id: Some(room_id!("!room:alpha.test")),
            sender: user_id!("@a:alpha.test"),
            ts: MilliSecondsSinceUnixEpoch(uint!(1)),
            prev_events: vec![event_id!("$before:alpha.test").to_owned()],
            auth_events: vec![event_id!("$create:alpha.test").to_owned()],
            depth: 2,
            local_id: "local",
        };
        let redaction = Draft {
            kind: TimelineEventType::RoomRedaction,
            state_key: None,
            content: CanonicalJsonObject::new(),
            redacts: Some(event_id!("$before:alpha.test").to_owned()),
        };
        let event = build(redaction, &placing, &rules, &key()).unwrap();
        assert_eq!(event.redacts(), Some(event_id!("$before:alpha.test")), "version {version}");
        assert_eq!(event.prev(), placing.prev_events, "version {version}");
        let again = Event::from_stored(event.id().clone(), event.json().into(), &rules).unwrap();
        assert_eq!(again.object(), event.object());
        assert_eq!(Event::from_object(&event.object(), &rules).unwrap().id(), event.id());
    }
}

#[test]
fn too_large_is_said_to_be_too_large() {
    let rules = RoomVersionRules::V12;
    let content = CanonicalJsonObject::from([("body".to_owned(), "x".repeat(EVENT_BYTES_MAX).into())]);
    let placing = Placing {
        room_id: Some(room_id!("!room")),
        sender: user_id!("@a:alpha.test"),
        ts: MilliSecondsSinceUnixEpoch(uint!(1)),
        prev_events: vec![],
        auth_events: vec![],
        depth: 1,
        local_id: "",
    };
    let refused = build(Draft::message("m.room.message", content), &placing, &rules, &key());
    assert_eq!(refused.unwrap_err(), EventError::TooLarge);
}
