//! Stories about rooms that two servers share: events go from one to the other by hand, in the order the story wants.

use lyceum_events::{Draft, Event, ServerKey, sign};
use lyceum_storage::Store;
use ruma::{OwnedRoomId, RoomId, RoomVersionId, UserId, events::StateEventType, server_name, user_id};
use serde_json::json;

use crate::{
    Acceptance, Direction, Membership, NewRoom, Place, Preset, RemoteJoin, RoomError, Rooms, Sender,
    testing::{alpha, content, over},
};

pub(crate) async fn beta() -> Rooms {
    over(Store::memory().await.unwrap(), "beta.test")
}

fn key_of(rooms: &Rooms) -> ServerKey {
    let seed = [rooms.server().as_bytes()[0]; 32];
    ServerKey::from_seed(rooms.server().to_owned(), &seed, "a").unwrap()
}

/// A person of `guest` joins a room of `host`, as servers do it for them.
pub(crate) async fn joins(guest: &Rooms, host: &Rooms, user: &UserId, room: &RoomId) {
    let version = RoomVersionId::V12;
    let lent = host.lend_template(room, user, Membership::Join, std::slice::from_ref(&version)).await.unwrap();
    let event = sign(lent.event, &version.rules().unwrap(), &key_of(guest)).unwrap();
    let told = host.take_up_join(guest.server(), event.clone(), false).await.unwrap();
    let join = RemoteJoin {
        room_id: room.to_owned(),
        version,
        event,
        state: told.state.iter().map(|known| known.event().clone()).collect(),
        auth_chain: told.auth_chain.iter().map(|known| known.event().clone()).collect(),
    };
    assert_eq!(guest.accept_remote_join(join).await.unwrap(), Acceptance::Accepted);
}

/// A room that a person of `guest` joins, in parts of so many events, those last that permit the others.
async fn joins_in_parts(guest: &Rooms, host: &Rooms, user: &UserId, room: &RoomId, count: usize) -> Acceptance {
    let version = RoomVersionId::V12;
    let lent = host.lend_template(room, user, Membership::Join, std::slice::from_ref(&version)).await.unwrap();
    let event = sign(lent.event, &version.rules().unwrap(), &key_of(guest)).unwrap();
    let told = host.take_up_join(guest.server(), event.clone(), false).await.unwrap();
    let state: Vec<_> = told.state.iter().map(|known| known.id().clone()).collect();
    let all: std::collections::BTreeMap<_, _> = told
        .state
        .iter()
        .chain(&told.auth_chain)
        .map(|known| ((known.event().depth(), known.id().clone()), known.event().clone()))
        .collect();
    let backwards: Vec<_> = all.into_values().rev().collect();
    let mut arrival = guest.arrival(room, &version);
    for part in backwards.chunks(count) {
        arrival.bring(part.to_vec()).await.unwrap();
    }
    arrival.join(&event, &state, None).await.unwrap()
}

#[tokio::test]
async fn a_room_is_whole_however_its_parts_come() {
    for count in [1, 3, 100] {
        let (alpha, beta) = (alpha().await, beta().await);
        let (ann, ben) = (user_id!("@ann:alpha.test"), user_id!("@ben:beta.test"));
        let new = NewRoom { preset: Preset::PublicChat, name: Some("Greek".into()), ..NewRoom::default() };
        let room = alpha.create(ann, new).await.unwrap().room_id;
        assert_eq!(joins_in_parts(&beta, &alpha, ben, &room, count).await, Acceptance::Accepted);
        agree(&alpha, &beta, &room).await;
        let members = beta.memberships(ann).await.unwrap();
        assert_eq!(members.get(&room).map(|row| row.membership), Some(Membership::Join), "in parts of {count}");
    }
}

pub(crate) async fn event(rooms: &Rooms, id: &ruma::EventId) -> Event {
    rooms.known(id).await.unwrap().unwrap().event().clone()
}

/// Two servers with Ann at the first and Ben at the second in one room.
async fn shared_room() -> (Rooms, Rooms, OwnedRoomId) {
    let (alpha, beta) = (alpha().await, beta().await);
    let (ann, ben) = (user_id!("@ann:alpha.test"), user_id!("@ben:beta.test"));
    let new = NewRoom { preset: Preset::PublicChat, name: Some("Greek".into()), ..NewRoom::default() };
    let room = alpha.create(ann, new).await.unwrap().room_id;
    joins(&beta, &alpha, ben, &room).await;
    (alpha, beta, room)
}

async fn agree(alpha: &Rooms, beta: &Rooms, room: &RoomId) {
    let (here, there) = (alpha.snapshot(room).await.unwrap(), beta.snapshot(room).await.unwrap());
    let changes = here.state().changes_to(there.state());
    assert!(changes.is_empty(), "the servers should agree on the state, and differ in {changes:?}");
    assert_eq!(here.joined_count(), there.joined_count());
}

#[tokio::test]
async fn a_room_is_joined_by_another_servers_help_and_both_talk() {
    let (alpha, beta, room) = shared_room().await;
    agree(&alpha, &beta, &room).await;
    assert_eq!(beta.snapshot(&room).await.unwrap().facts().name.as_deref(), Some("Greek"));
    assert_eq!(beta.joined_rooms(user_id!("@ben:beta.test")).await.unwrap(), std::slice::from_ref(&room));
    let hi = alpha.says(user_id!("@ann:alpha.test"), &room, "hi").await.unwrap();
    let hi = event(&alpha, &hi).await;
    assert_eq!(beta.accept(&hi).await.unwrap(), Acceptance::Accepted);
    assert!(matches!(beta.accept(&hi).await.unwrap(), Acceptance::Known(Place::Timeline(_))));
    let hello = beta.says(user_id!("@ben:beta.test"), &room, "hello").await.unwrap();
    let hello = event(&beta, &hello).await;
    assert_eq!(hello.prev(), [hi.id().clone()]);
    assert_eq!(alpha.accept(&hello).await.unwrap(), Acceptance::Accepted);
    agree(&alpha, &beta, &room).await;
}

#[tokio::test]
async fn an_event_waits_for_what_comes_before_it() {
    let (alpha, beta, room) = shared_room().await;
    let ann = user_id!("@ann:alpha.test");
    let first = alpha.says(ann, &room, "first").await.unwrap();
    let second = alpha.says(ann, &room, "second").await.unwrap();
    let ends = beta.ends(&room).await.unwrap();
    let missing = beta.accept(&event(&alpha, &second).await).await.unwrap();
    assert_eq!(missing, Acceptance::Missing { auth: vec![], prev: vec![first.clone()] });
    let between = alpha.missing_events(&room, (&ends, std::slice::from_ref(&second)), (10, 0)).await.unwrap();
    assert_eq!(between.iter().map(|known| known.id().clone()).collect::<Vec<_>>(), [first]);
    for known in &between {
        assert_eq!(beta.accept(known.event()).await.unwrap(), Acceptance::Accepted);
    }
    assert_eq!(beta.accept(&event(&alpha, &second).await).await.unwrap(), Acceptance::Accepted);
}

#[tokio::test]
async fn two_branches_meet_and_both_servers_see_the_same() {
    let (alpha, beta, room) = shared_room().await;
    let (ann, ben) = (user_id!("@ann:alpha.test"), user_id!("@ben:beta.test"));
    let level = json!({"users": {ben: 50}, "state_default": 50, "events": {"m.room.name": 0, "m.room.topic": 0}});
    let levels = (StateEventType::RoomPowerLevels, "");
    let set = alpha.set_state(Sender::of(ann), &room, levels, content(level)).await.unwrap();
    assert_eq!(beta.accept(&event(&alpha, &set).await).await.unwrap(), Acceptance::Accepted);
    // The wire is cut: both go on by themselves.
    let mut here = Vec::new();
    let mut there = Vec::new();
    for n in 0..3 {
        let name = content(json!({"name": format!("alpha {n}")}));
        here.push(alpha.set_state(Sender::of(ann), &room, (StateEventType::RoomName, ""), name).await.unwrap());
        let name = content(json!({"name": format!("beta {n}")}));
        there.push(beta.set_state(Sender::of(ben), &room, (StateEventType::RoomName, ""), name).await.unwrap());
        let topic = content(json!({"topic": format!("beta {n}")}));
        there.push(beta.set_state(Sender::of(ben), &room, (StateEventType::RoomTopic, ""), topic).await.unwrap());
    }
    for id in &here {
        assert_eq!(beta.accept(&event(&alpha, id).await).await.unwrap(), Acceptance::Accepted);
    }
    for id in &there {
        assert_eq!(alpha.accept(&event(&beta, id).await).await.unwrap(), Acceptance::Accepted);
    }
    agree(&alpha, &beta, &room).await;
    let joined = alpha.says(ann, &room, "together").await.unwrap();
    let joined = event(&alpha, &joined).await;
    assert_eq!(joined.prev().len(), 2, "it follows both branches");
    assert_eq!(beta.accept(&joined).await.unwrap(), Acceptance::Accepted);
    agree(&alpha, &beta, &room).await;
    assert_eq!(beta.ends(&room).await.unwrap(), [joined.id().clone()]);
}

#[tokio::test]
async fn who_was_banned_meanwhile_is_heard_by_nobody() {
    let (alpha, beta, room) = shared_room().await;
    let (ann, ben) = (user_id!("@ann:alpha.test"), user_id!("@ben:beta.test"));
    let evading = beta.says(ben, &room, "before I knew").await.unwrap();
    alpha.ban(ann, &room, ben, None).await.unwrap();
    let evading = event(&beta, &evading).await;
    assert_eq!(alpha.accept(&evading).await.unwrap(), Acceptance::SoftFailed);
    let page = alpha.page(&room, Direction::Backward, i64::MAX, None, 50).await.unwrap();
    assert!(page.events.iter().all(|known| known.id() != evading.id()));
    assert!(!alpha.ends(&room).await.unwrap().contains(evading.id()));
    assert!(matches!(alpha.accept(&evading).await.unwrap(), Acceptance::Known(Place::SoftFailed)));
}

#[tokio::test]
async fn what_the_rules_forbid_is_refused_and_what_follows_it_is_not() {
    let (alpha, beta, room) = shared_room().await;
    let (ann, ben) = (user_id!("@ann:alpha.test"), user_id!("@ben:beta.test"));
    // Made as a server would that does not ask its rules.
    let writing = beta.write(&room).await.unwrap();
    let draft = Draft::state("m.room.name", "", content(json!({"name": "mine"})));
    let auth = writing.auth_events(&draft, ben).await.unwrap();
    let forbidden = writing.compose(Sender::of(ben), draft, &auth).unwrap();
    drop(writing);
    assert!(matches!(alpha.accept(&forbidden).await.unwrap(), Acceptance::Rejected(_)));
    assert_eq!(alpha.snapshot(&room).await.unwrap().facts().name.as_deref(), Some("Greek"));
    assert!(matches!(alpha.accept(&forbidden).await.unwrap(), Acceptance::Known(Place::Rejected(_))));
    let said = alpha.says(ann, &room, "we go on").await.unwrap();
    assert!(!event(&alpha, &said).await.prev().contains(forbidden.id()));
}

#[tokio::test]
async fn a_redaction_that_comes_first_is_kept_for_its_event() {
    let (alpha, beta, room) = shared_room().await;
    let ann = user_id!("@ann:alpha.test");
    let said = alpha.says(ann, &room, "oops").await.unwrap();
    let original = event(&alpha, &said).await;
    let redaction = alpha.redact(Sender::of(ann), &room, &said, None).await.unwrap();
    let redaction = event(&alpha, &redaction).await;
    let state: Vec<_> = alpha.state_before(&room, redaction.id()).await.unwrap().event_ids().cloned().collect();
    assert_eq!(beta.accept_at(&redaction, &state).await.unwrap(), Acceptance::Accepted);
    assert_eq!(beta.accept(&original).await.unwrap(), Acceptance::Accepted);
    let known = beta.known(&said).await.unwrap().unwrap();
    assert_eq!((known.event().content().get(), known.redacted_by()), ("{}", Some(redaction.id())));
}

#[tokio::test]
async fn an_invite_from_outside_is_signed_seen_and_refused() {
    let (alpha, beta) = (alpha().await, beta().await);
    let (ann, ben) = (user_id!("@ann:alpha.test"), user_id!("@ben:beta.test"));
    let room = alpha.create(ann, NewRoom::default()).await.unwrap().room_id;
    let invitation = alpha.write_invitation(ann, &room, ben, Some("come"), true).await.unwrap();
    let stripped: Vec<_> = invitation.state.iter().map(|one| one.get().to_owned()).collect();
    let signed = beta.take_invite(alpha.server(), &invitation.version, invitation.event, stripped).await.unwrap();
    assert_eq!(alpha.accept(&signed).await.unwrap(), Acceptance::Accepted);
    assert_eq!(alpha.snapshot(&room).await.unwrap().membership(ben), Membership::Invite);
    let row = beta.membership(ben, &room).await.unwrap().unwrap();
    assert_eq!((row.membership, row.sender.as_str()), (Membership::Invite, ann.as_str()));
    assert!(beta.stripped_state(ben, &room).await.unwrap().iter().any(|one| one.contains("m.room.create")));
    assert_eq!(beta.server_of_invite(ben, &room).await.unwrap().as_deref(), Some(server_name!("alpha.test")));
    beta.leave_outside(ben, &room, Some("no time")).await.unwrap();
    assert_eq!(beta.membership(ben, &room).await.unwrap().unwrap().membership, Membership::Leave);
    let left = beta.stripped_state(ben, &room).await.unwrap();
    assert!(matches!(&left[..], [one] if one.contains("no time") && one.contains("event_id")), "{left:?}");
}

#[tokio::test]
async fn a_server_asks_a_person_into_so_many_rooms_and_no_more_until_some_are_answered() {
    let (alpha, beta) = (alpha().await, beta().await);
    let ben = user_id!("@ben:beta.test");
    let version = RoomVersionId::V11;
    let asks = async |host: &Rooms, number: usize| {
        let server = host.server();
        let invite = json!({
            "type": "m.room.member", "room_id": format!("!made-up{number}:{server}"), "sender": format!("@ann:{server}"),
            "state_key": ben, "content": { "membership": "invite" }, "origin_server_ts": 1, "depth": 1,
            "prev_events": [], "auth_events": [],
        });
        let event = sign(content(invite), &version.rules().unwrap(), &key_of(host)).unwrap();
        beta.take_invite(server, &version, event, Vec::new()).await.map(|signed| signed.room().to_owned())
    };
    let mut rooms = Vec::new();
    let refused = loop {
        match asks(&alpha, rooms.len()).await {
            Ok(room) => rooms.push(room),
            Err(refused) => break refused,
        }
        assert!(rooms.len() < 1_000, "there should be an end to it");
    };
    assert!(matches!(refused, RoomError::Forbidden(_)), "{refused:?}");
    let gamma = over(Store::memory().await.unwrap(), "gamma.test");
    asks(&gamma, 0).await.expect("other servers are not to blame");
    asks(&alpha, 0).await.expect("the same invite again is no other one");
    beta.leave_outside(ben, &rooms[0], None).await.unwrap();
    asks(&alpha, rooms.len()).await.expect("one was answered");
}

#[tokio::test]
async fn a_server_that_is_kept_out_or_asks_for_others_is_refused() {
    let (alpha, beta, room) = shared_room().await;
    let (ann, eve) = (user_id!("@ann:alpha.test"), user_id!("@eve:evil.test"));
    let acl = json!({"allow": ["*"], "deny": ["evil.test"], "allow_ip_literals": false});
    let key = (StateEventType::RoomServerAcl, "");
    alpha.set_state(Sender::of(ann), &room, key, content(acl)).await.unwrap();
    let versions = [RoomVersionId::V12];
    let lent = alpha.lend_template(&room, eve, Membership::Join, &versions).await;
    assert!(matches!(lent, Err(RoomError::Forbidden(_))));
    let old = alpha.lend_template(&room, user_id!("@cat:beta.test"), Membership::Join, &[RoomVersionId::V9]).await;
    assert!(matches!(old, Err(RoomError::IncompatibleVersion(_))));
    assert!(alpha.check_server(&room, server_name!("gamma.test")).await.is_err());
    alpha.check_server(&room, beta.server()).await.unwrap();
}

#[tokio::test]
async fn what_another_node_has_given_its_place_is_not_placed_again() {
    let (alpha, beta, room) = shared_room().await;
    // The same server once more over the same store: another node of it, or one that is on its way down.
    let twin = over(beta.store().clone(), "beta.test");
    let hi = alpha.says(user_id!("@ann:alpha.test"), &room, "hi").await.unwrap();
    let hi = event(&alpha, &hi).await;
    beta.import(&room, &RoomVersionId::V12, vec![hi.clone()]).await.unwrap();
    for node in [&beta, &twin] {
        assert_eq!(*node.known(hi.id()).await.unwrap().unwrap().place(), Place::Outlier);
    }
    assert_eq!(beta.accept(&hi).await.unwrap(), Acceptance::Accepted);
    assert!(matches!(twin.accept(&hi).await.unwrap(), Acceptance::Known(Place::Timeline(_))));
    let page = beta.page(&room, Direction::Forward, 0, None, 100).await.unwrap();
    assert_eq!(page.events.iter().filter(|known| known.id() == hi.id()).count(), 1);
}

#[tokio::test]
async fn what_is_known_of_another_room_is_no_state_of_this_one() {
    let (alpha, beta, other) = shared_room().await;
    let (ann, ben) = (user_id!("@ann:alpha.test"), user_id!("@ben:beta.test"));
    // Beta knows it, since Ben is in that room: a topic there, which this room does not have.
    let key = (StateEventType::RoomTopic, "");
    let topic = alpha.set_state(Sender::of(ann), &other, key, content(json!({"topic": "elsewhere"}))).await.unwrap();
    let topic = event(&alpha, &topic).await;
    assert_eq!(beta.accept(&topic).await.unwrap(), Acceptance::Accepted);
    let room = alpha.public_room(ann).await;
    let version = RoomVersionId::V12;
    let lent = alpha.lend_template(&room, ben, Membership::Join, std::slice::from_ref(&version)).await.unwrap();
    let join = sign(lent.event, &version.rules().unwrap(), &key_of(&beta)).unwrap();
    let told = alpha.take_up_join(beta.server(), join.clone(), false).await.unwrap();
    let mut state: Vec<_> = told.state.iter().map(|known| known.event().clone()).collect();
    state.push(topic);
    let auth_chain = told.auth_chain.iter().map(|known| known.event().clone()).collect();
    let join = RemoteJoin { room_id: room.clone(), version, event: join, state, auth_chain };
    assert_eq!(beta.accept_remote_join(join).await.unwrap(), Acceptance::Accepted);
    assert_eq!(beta.snapshot(&room).await.unwrap().facts().topic, None);
    agree(&alpha, &beta, &room).await;
}
