//! Stories about history that is told after the join: event by event, page by page, and not in every way.

use lyceum_events::{Draft, Event};
use ruma::{OwnedEventId, OwnedRoomId, RoomId, RoomVersionId, UserId, user_id};
use serde_json::json;

use super::GivenStates;
use crate::{
    Direction, NewRoom, Part, Place, Preset, Rooms, Sender,
    federation_tests::{beta, event, joins},
    testing::{alpha, content},
};

fn ann() -> &'static UserId {
    user_id!("@ann:alpha.test")
}

fn ben() -> &'static UserId {
    user_id!("@ben:beta.test")
}

/// A room of Ann's that Ben has joined from another server after this was said in it.
async fn room_with_a_past(said: usize) -> (Rooms, Rooms, OwnedRoomId) {
    let (alpha, beta) = (alpha().await, beta().await);
    let new = NewRoom { preset: Preset::PublicChat, ..NewRoom::default() };
    let room = alpha.create(ann(), new).await.unwrap().room_id;
    for n in 0..said {
        alpha.says(ann(), &room, &format!("line {n}")).await.unwrap();
    }
    joins(&beta, &alpha, ben(), &room).await;
    (alpha, beta, room)
}

/// What alpha would tell of the time before these events.
async fn told(alpha: &Rooms, room: &RoomId, before: &[OwnedEventId], limit: usize) -> Vec<Event> {
    let order = alpha.known(&before[0]).await.unwrap().unwrap().order().unwrap();
    let page = alpha.page(room, Direction::Backward, order, None, limit).await.unwrap();
    page.events.iter().map(|known| known.event().clone()).collect()
}

/// Tells beta a piece of history, with the states it asks for.
async fn tells(alpha: &Rooms, beta: &Rooms, room: &RoomId, told: &[Event]) -> usize {
    let mut given = GivenStates::new();
    for id in beta.states_wanted(room, Part::Beginning, told).await.unwrap() {
        let state = alpha.state_before(room, &id).await.unwrap();
        let ids: Vec<_> = state.event_ids().cloned().collect();
        let mut events = Vec::new();
        for id in &ids {
            events.push(event(alpha, id).await);
        }
        beta.import(room, &RoomVersionId::V12, events).await.unwrap();
        given.insert(id, ids);
    }
    beta.import(room, &RoomVersionId::V12, told.to_vec()).await.unwrap();
    beta.take_earlier(room, Part::Beginning, told, &given).await.unwrap()
}

async fn timeline(rooms: &Rooms, room: &RoomId) -> Vec<OwnedEventId> {
    let page = rooms.page(room, Direction::Forward, i64::MIN, None, 1000).await.unwrap();
    page.events.iter().map(|known| known.id().clone()).collect()
}

#[tokio::test]
async fn history_is_told_page_by_page_back_to_the_creation() {
    let (alpha, beta, room) = room_with_a_past(20).await;
    assert_eq!(timeline(&beta, &room).await.len(), 1, "at first the join is all there is");
    let mut pages = 0;
    loop {
        let ends = beta.earlier(&room).await.unwrap();
        if ends.is_empty() {
            break;
        }
        let page = told(&alpha, &room, &ends, 7).await;
        assert_eq!(tells(&alpha, &beta, &room, &page).await, page.len(), "page {pages}");
        pages += 1;
        assert!(pages < 10, "history should end");
    }
    assert_eq!(timeline(&beta, &room).await, timeline(&alpha, &room).await);
    let page = beta.page(&room, Direction::Backward, i64::MAX, None, 1000).await.unwrap();
    assert_eq!(page.events.len(), timeline(&alpha, &room).await.len(), "it is there from the end, too");
    let (here, there) = (beta.snapshot(&room).await.unwrap(), alpha.snapshot(&room).await.unwrap());
    assert!(here.state().changes_to(there.state()).is_empty(), "the state of now is not touched");
    let said = beta.says(ben(), &room, "thanks").await.unwrap();
    assert!(timeline(&beta, &room).await.last() == Some(&said));
}

#[tokio::test]
async fn redactions_and_threads_of_the_past_are_as_they_were() {
    let (alpha, beta) = (alpha().await, beta().await);
    let new = NewRoom { preset: Preset::PublicChat, ..NewRoom::default() };
    let room = alpha.create(ann(), new).await.unwrap().room_id;
    let root = alpha.says(ann(), &room, "root").await.unwrap();
    let mut last = root.clone();
    for n in 0..3 {
        let relation = json!({"rel_type": "m.thread", "event_id": root});
        let said = content(json!({"msgtype": "m.text", "body": format!("reply {n}"), "m.relates_to": relation}));
        last = alpha.send(Sender::of(ann()), &room, Draft::message("m.room.message", said)).await.unwrap();
    }
    let slip = alpha.says(ann(), &room, "slip").await.unwrap();
    let original = event(&alpha, &slip).await;
    let redaction = alpha.redact(Sender::of(ann()), &room, &slip, None).await.unwrap();
    joins(&beta, &alpha, ben(), &room).await;
    let ends = beta.earlier(&room).await.unwrap();
    let mut page = told(&alpha, &room, &ends, 100).await;
    // A server that has not redacted it yet tells it whole.
    page.iter_mut().filter(|event| *event.id() == slip).for_each(|event| *event = original.clone());
    tells(&alpha, &beta, &room, &page).await;
    let known = beta.known(&slip).await.unwrap().unwrap();
    assert_eq!((known.event().content().get(), known.redacted_by()), ("{}", Some(&redaction)));
    let thread = beta.store().get(&crate::tables::THREADS, (room.as_str(), root.as_str())).await.unwrap();
    assert_eq!(thread, beta.known(&last).await.unwrap().unwrap().order());
}

#[tokio::test]
async fn what_leads_nowhere_gets_no_place_and_is_asked_for_again() {
    let (alpha, beta, room) = room_with_a_past(5).await;
    let ends = beta.earlier(&room).await.unwrap();
    let page = told(&alpha, &room, &ends, 100).await;
    // Without the last event, to which the join refers.
    assert_eq!(tells(&alpha, &beta, &room, &page[1..]).await, 0);
    assert_eq!(timeline(&beta, &room).await.len(), 1);
    assert_eq!(beta.earlier(&room).await.unwrap(), ends);
    assert_eq!(tells(&alpha, &beta, &room, &page).await, page.len());
    assert_eq!(tells(&alpha, &beta, &room, &page).await, 0, "each event once");
    assert_eq!(timeline(&beta, &room).await, timeline(&alpha, &room).await);
}

#[tokio::test]
async fn what_was_not_permitted_then_is_not_shown() {
    let (alpha, beta) = (alpha().await, beta().await);
    let new = NewRoom { preset: Preset::PublicChat, ..NewRoom::default() };
    let room = alpha.create(ann(), new).await.unwrap().room_id;
    // Made as a server would that does not ask its rules: its sender never was in the room.
    let mut writing = alpha.write(&room).await.unwrap();
    let draft = Draft::message("m.room.message", content(json!({"msgtype": "m.text", "body": "let me in"})));
    let auth = writing.auth_events(&draft, ann()).await.unwrap();
    let forged = writing.compose(Sender::of(user_id!("@eve:alpha.test")), draft, &auth).unwrap();
    writing.record(forged.clone()).await.unwrap();
    writing.queue().durable().await.unwrap();
    alpha.says(ann(), &room, "who was that?").await.unwrap();
    joins(&beta, &alpha, ben(), &room).await;
    let ends = beta.earlier(&room).await.unwrap();
    let page = told(&alpha, &room, &ends, 100).await;
    assert_eq!(tells(&alpha, &beta, &room, &page).await, page.len() - 1, "all but one of {}", page.len());
    let known = beta.known(forged.id()).await.unwrap().unwrap();
    assert!(matches!(known.place(), Place::Rejected(_)), "{:?}", known.place());
    assert!(!timeline(&beta, &room).await.contains(forged.id()));
    assert!(beta.earlier(&room).await.unwrap().is_empty());
}
