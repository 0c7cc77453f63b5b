//! Reading in rooms: lists, pages, and where they go on.

use serde_json::json;

use super::{CLIENT, text};
use crate::support::{Campus, encoded};

fn v1(room: &str, rest: &str) -> String {
    format!("/_matrix/client/v1/rooms/{}/{rest}", encoded(room))
}

#[tokio::test]
async fn relations_are_told_of_what_one_may_see() {
    let campus = Campus::of(["alpha"]).await;
    let (anna, eve) = (campus.person("anna").await, campus.person("eve").await);
    let room = anna.creates_room().await;
    let said = anna.says(&room, "private").await;
    for (person, event) in [(&anna, "$unknown"), (&eve, said.as_str())] {
        for (rest, refusal) in [
            ("", "getRelatingEvents 404 M_NOT_FOUND"),
            ("/m.thread", "getRelatingEventsWithRelType 404 M_NOT_FOUND"),
            ("/m.thread/m.room.message", "getRelatingEventsWithRelTypeAndEventType 404 M_NOT_FOUND"),
        ] {
            person.get(&v1(&room, &format!("relations/{}{rest}", encoded(event)))).await.refused_as(refusal);
        }
    }
}

#[tokio::test]
async fn threads_are_listed_to_who_may_look_from_where_they_were() {
    let campus = Campus::of(["alpha"]).await;
    let (anna, eve) = (campus.person("anna").await, campus.person("eve").await);
    let room = anna.creates_room().await;
    anna.get(&v1(&room, "threads?from=nonsense")).await.refused_as("getThreadRoots 400 M_INVALID_PARAM");
    for room in [room.as_str(), "!nowhere:alpha"] {
        eve.get(&v1(room, "threads")).await.refused_as("getThreadRoots 403 M_FORBIDDEN");
    }
}

#[tokio::test]
async fn a_walk_through_a_space_goes_on_as_it_began() {
    let campus = Campus::of(["alpha"]).await;
    let (anna, eve) = (campus.person("anna").await, campus.person("eve").await);
    let space = anna.creates_room_with(json!({ "creation_content": { "type": "m.space" } })).await;
    for _ in 0..2 {
        let child = anna.creates_room().await;
        anna.sets(&space, "m.space.child", &child, json!({ "via": ["alpha"] })).await;
    }
    let walk = async |rest: &str| anna.get(&v1(&space, &format!("hierarchy?limit=1{rest}"))).await;
    let from = walk("&max_depth=3").await.ok();
    let from = encoded(text(&from, "next_batch"));
    walk(&format!("&max_depth=3&from={from}")).await.ok();
    for other in ["", "&max_depth=2", "&max_depth=3&suggested_only=true"] {
        walk(&format!("{other}&from={from}")).await.refused_as("getSpaceHierarchy 400 M_INVALID_PARAM");
    }
    walk("&from=nonsense").await.refused_as("getSpaceHierarchy 400 M_INVALID_PARAM");
    for room in [space.as_str(), "!nowhere:alpha"] {
        eve.get(&v1(room, "hierarchy")).await.refused_as("getSpaceHierarchy 403 M_FORBIDDEN");
    }
}

#[tokio::test]
async fn a_peek_goes_on_where_one_was() {
    let campus = Campus::of(["alpha"]).await;
    let anna = campus.person("anna").await;
    let room = anna.creates_room().await;
    let path = format!("{CLIENT}/events?room_id={}&from=elsewhere&timeout=0", encoded(&room));
    anna.get(&path).await.refused_as("peekEvents 400 *");
}
