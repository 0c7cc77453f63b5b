//! Stories about rooms of one server.

use lyceum_storage::Store;
use ruma::{RoomVersionId, events::StateEventType, user_id};
use serde_json::json;

use crate::{
    Direction, InitialState, Membership, NewRoom, Outcome, Preset, RoomError, Sender,
    testing::{alpha, content, over},
};

#[tokio::test]
async fn a_room_of_every_version_is_made_whole() {
    let rooms = alpha().await;
    let (ann, ben) = (user_id!("@ann:alpha.test"), user_id!("@ben:alpha.test"));
    for version in 1..=12 {
        let new = NewRoom {
            version: Some(RoomVersionId::try_from(version.to_string()).unwrap()),
            preset: Preset::TrustedPrivateChat,
            name: Some("Greek".into()),
            topic: Some("Verbs".into()),
            invite: vec![ben.to_owned()],
            is_direct: true,
            ..NewRoom::default()
        };
        let room = rooms.create(ann, new).await.unwrap().room_id;
        let snapshot = rooms.snapshot(&room).await.unwrap();
        assert_eq!(snapshot.facts().name.as_deref(), Some("Greek"), "version {version}");
        assert_eq!(snapshot.facts().topic.as_deref(), Some("Verbs"));
        assert_eq!(snapshot.membership(ann), Membership::Join);
        assert_eq!(snapshot.membership(ben), Membership::Invite);
        assert_eq!((snapshot.joined_count(), snapshot.invited_count()), (1, 1));
        assert!(matches!(rooms.comes_in(ben, &room).await.unwrap(), Outcome::Done(_)));
        rooms.says(ben, &room, "hi").await.unwrap();
        let page = rooms.page(&room, Direction::Backward, i64::MAX, None, 100).await.unwrap();
        assert_eq!(page.events.last().unwrap().event().kind().to_string(), "m.room.create");
        assert!(page.next.is_none());
        // Both are as powerful as can be.
        assert!(rooms.kick(ann, &room, ben, None).await.is_err(), "version {version}");
    }
}

#[tokio::test]
async fn what_was_sent_is_there_after_a_restart_and_the_room_goes_on() {
    let store = Store::memory().await.unwrap();
    let rooms = over(store.clone(), "alpha.test");
    let (ann, ben) = (user_id!("@ann:alpha.test"), user_id!("@ben:alpha.test"));
    let room = rooms.public_room(ann).await;
    rooms.comes_in(ben, &room).await.unwrap();
    let mut sent = Vec::new();
    for n in 0..200 {
        sent.push(rooms.says(ann, &room, &n.to_string()).await.unwrap());
    }
    let before = rooms.snapshot(&room).await.unwrap();

    let rooms = over(store, "alpha.test");
    let after = rooms.snapshot(&room).await.unwrap();
    assert!(before.state().changes_to(after.state()).is_empty());
    assert_eq!((after.joined_count(), after.servers().count()), (2, 1));
    assert_eq!(rooms.joined_rooms(ben).await.unwrap(), std::slice::from_ref(&room));
    sent.push(rooms.says(ben, &room, "after").await.unwrap());

    let mut seen = Vec::new();
    let mut from = Some(i64::MAX);
    while let Some(place) = from {
        let page = rooms.page(&room, Direction::Backward, place, None, 30).await.unwrap();
        seen.extend(page.events.iter().map(|known| known.id().clone()));
        from = page.next;
    }
    seen.reverse();
    assert!(seen.ends_with(&sent), "every message once, in order");
    let mut forward = Vec::new();
    let mut from = Some(0);
    while let Some(place) = from {
        let page = rooms.page(&room, Direction::Forward, place, None, 30).await.unwrap();
        forward.extend(page.events.iter().map(|known| known.id().clone()));
        from = page.next;
    }
    assert_eq!(forward, seen);
}

#[tokio::test]
async fn one_transaction_id_makes_one_event_however_often_it_is_sent() {
    let store = Store::memory().await.unwrap();
    let rooms = over(store.clone(), "alpha.test");
    let ann = user_id!("@ann:alpha.test");
    let room = rooms.public_room(ann).await;
    let (one, two) = tokio::join!(rooms.says_once(ann, &room, "a"), rooms.says_once(ann, &room, "a"));
    let again = over(store, "alpha.test").says_once(ann, &room, "a").await.unwrap();
    assert_eq!(one.as_ref().unwrap(), two.as_ref().unwrap());
    assert_eq!(one.unwrap(), again);
    assert_ne!(rooms.says_once(ann, &room, "b").await.unwrap(), again);
}

#[tokio::test]
async fn many_senders_at_once_lose_nothing() {
    let rooms = alpha().await;
    let ann = user_id!("@ann:alpha.test");
    let room = rooms.public_room(ann).await;
    let sends = (0..100).map(|n| {
        let (rooms, room) = (rooms.clone(), room.clone());
        tokio::spawn(async move { rooms.says(user_id!("@ann:alpha.test"), &room, &n.to_string()).await })
    });
    let sent: Vec<_> =
        futures_util::future::join_all(sends).await.into_iter().map(|one| one.unwrap().unwrap()).collect();
    let page = rooms.page(&room, Direction::Backward, i64::MAX, None, 100).await.unwrap();
    for id in &sent {
        assert!(page.events.iter().any(|known| known.id() == id));
    }
    let ends: std::collections::HashSet<_> =
        page.events.iter().flat_map(|known| known.event().prev().to_vec()).collect();
    assert_eq!(ends.len(), 100, "one line of events, no fork");
}

#[tokio::test]
async fn two_servers_processes_on_one_store_decide_again_when_the_other_was_quicker() {
    let store = Store::memory().await.unwrap();
    let (one, two) = (over(store.clone(), "alpha.test"), over(store, "alpha.test"));
    let ann = user_id!("@ann:alpha.test");
    let room = one.public_room(ann).await;
    two.snapshot(&room).await.unwrap();
    for n in 0..5 {
        one.says(ann, &room, &format!("one {n}")).await.unwrap();
        two.says(ann, &room, &format!("two {n}")).await.unwrap();
    }
    let fresh = one.page(&room, Direction::Backward, i64::MAX, None, 100).await.unwrap();
    let stored = two.page(&room, Direction::Backward, i64::MAX, None, 100).await.unwrap();
    assert!(stored.events.len() >= 10);
    assert_eq!(fresh.events.len(), stored.events.len() - 1, "the first has not been told of the last yet");
}

#[tokio::test]
async fn people_are_kicked_banned_and_let_in_again() {
    let rooms = alpha().await;
    let (ann, ben) = (user_id!("@ann:alpha.test"), user_id!("@ben:alpha.test"));
    let room = rooms.public_room(ann).await;
    assert!(matches!(rooms.says(ben, &room, "let me").await, Err(RoomError::Forbidden(_))));
    rooms.comes_in(ben, &room).await.unwrap();
    rooms.kick(ann, &room, ben, Some("noise")).await.unwrap();
    assert!(matches!(rooms.says(ben, &room, "but").await, Err(RoomError::Forbidden(_))));
    rooms.comes_in(ben, &room).await.unwrap();
    rooms.ban(ann, &room, ben, None).await.unwrap();
    assert!(matches!(rooms.comes_in(ben, &room).await, Err(RoomError::Forbidden(_))));
    rooms.unban(ann, &room, ben, None).await.unwrap();
    rooms.comes_in(ben, &room).await.unwrap();
    assert!(matches!(rooms.forget(ben, &room).await, Err(RoomError::StillIn)));
    rooms.leave(ben, &room, None).await.unwrap();
    rooms.forget(ben, &room).await.unwrap();
    assert!(rooms.membership(ben, &room).await.unwrap().unwrap().forgotten);
}

#[tokio::test]
async fn a_restricted_room_lets_members_of_the_other_room_in() {
    let rooms = alpha().await;
    let (ann, ben, cat) = (user_id!("@ann:alpha.test"), user_id!("@ben:alpha.test"), user_id!("@cat:alpha.test"));
    let space = rooms.public_room(ann).await;
    rooms.comes_in(ben, &space).await.unwrap();
    let rule = json!({"join_rule": "restricted", "allow": [{"type": "m.room_membership", "room_id": space}]});
    let state = InitialState { kind: StateEventType::RoomJoinRules, state_key: String::new(), content: content(rule) };
    let new = NewRoom { initial_state: vec![state], ..NewRoom::default() };
    let room = rooms.create(ann, new).await.unwrap().room_id;
    rooms.comes_in(ben, &room).await.unwrap();
    assert!(matches!(rooms.comes_in(cat, &room).await, Err(RoomError::Forbidden(_))));
}

#[tokio::test]
async fn history_is_seen_by_those_it_is_for() {
    let rooms = alpha().await;
    let (ann, ben) = (user_id!("@ann:alpha.test"), user_id!("@ben:alpha.test"));
    let room = rooms.public_room(ann).await;
    let shared = rooms.says(ann, &room, "for all who come").await.unwrap();
    let joined = content(json!({"history_visibility": "joined"}));
    let kind = StateEventType::RoomHistoryVisibility;
    rooms.set_state(Sender::of(ann), &room, (kind, ""), joined).await.unwrap();
    let hidden = rooms.says(ann, &room, "for those here").await.unwrap();
    let sees = async |id: &ruma::EventId| {
        let known = rooms.known(id).await.unwrap().unwrap();
        rooms.visibility(ben, &room).await.unwrap().may_see(&known).await.unwrap()
    };
    assert!(!sees(&shared).await);
    rooms.comes_in(ben, &room).await.unwrap();
    let seen = rooms.says(ann, &room, "welcome").await.unwrap();
    assert!(sees(&shared).await && !sees(&hidden).await && sees(&seen).await);
    rooms.leave(ben, &room, None).await.unwrap();
    let gone = rooms.says(ann, &room, "bye").await.unwrap();
    assert!(sees(&shared).await && !sees(&hidden).await && sees(&seen).await && !sees(&gone).await);
}

#[tokio::test]
async fn a_redacted_event_says_nothing_more_and_the_same_state_is_not_set_twice() {
    let store = Store::memory().await.unwrap();
    let rooms = over(store.clone(), "alpha.test");
    let (ann, ben) = (user_id!("@ann:alpha.test"), user_id!("@ben:alpha.test"));
    let room = rooms.public_room(ann).await;
    rooms.comes_in(ben, &room).await.unwrap();
    let said = rooms.says(ann, &room, "oops").await.unwrap();
    assert!(matches!(rooms.redact(Sender::of(ben), &room, &said, None).await, Err(RoomError::Forbidden(_))));
    let redaction = rooms.redact(Sender::of(ann), &room, &said, Some("typo")).await.unwrap();
    for rooms in [&rooms, &over(store, "alpha.test")] {
        let known = rooms.known(&said).await.unwrap().unwrap();
        assert_eq!(known.event().content().get(), "{}");
        assert_eq!(known.redacted_by(), Some(&redaction));
        let page = rooms.page(&room, Direction::Backward, i64::MAX, None, 10).await.unwrap();
        assert!(page.events.iter().all(|known| !known.event().json().contains("oops")));
    }
    let name = || content(json!({"name": "Latin"}));
    let first = rooms.set_state(Sender::of(ann), &room, (StateEventType::RoomName, ""), name()).await.unwrap();
    let second = rooms.set_state(Sender::of(ann), &room, (StateEventType::RoomName, ""), name()).await.unwrap();
    assert_eq!(first, second);
    rooms.redact(Sender::of(ann), &room, &first, None).await.unwrap();
    assert_eq!(rooms.snapshot(&room).await.unwrap().facts().name, None);
}
