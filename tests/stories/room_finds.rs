//! Finding rooms and things in them: directory, spaces, summaries, relations, threads, dates, upgrades, reports, peeking.

use super::support::{Campus, Person, encoded};
use serde_json::{Value, json};
use std::time::Duration;

fn v1(room: &str, rest: &str) -> String {
    format!("/_matrix/client/v1/rooms/{}/{rest}", encoded(room))
}

fn v3(room: &str, rest: &str) -> String {
    format!("/_matrix/client/v3/rooms/{}/{rest}", encoded(room))
}

fn ids<'a>(list: &'a Value, key: &str) -> Vec<&'a str> {
    list.as_array().unwrap().iter().map(|one| one[key].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_directory_lists_what_was_published_and_is_searched_and_paged() {
    let campus = Campus::of(["alpha"]).await;
    let (ann, ben) = (campus.person("ann").await, campus.person("ben").await);
    let published = |name: &str, more: Value| {
        let mut room = json!({ "visibility": "public", "name": name });
        room.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        room
    };
    let greek = ann.creates_room_with(published("Greek", json!({ "topic": "Verbs" }))).await;
    let latin = ann.creates_room_with(published("Latin", json!({}))).await;
    let space = published("Languages", json!({ "creation_content": { "type": "m.space" } }));
    let space = ann.creates_room_with(space).await;
    ann.creates_public_room().await;
    ben.joins(&latin).await;

    let stranger = campus.host("alpha").stranger();
    let all = stranger.get("/_matrix/client/v3/publicRooms").await.ok();
    assert_eq!(all["total_room_count_estimate"], 3);
    assert_eq!(all["chunk"][0]["room_id"], latin, "the room with most people comes first");
    assert_eq!(all["chunk"][0]["num_joined_members"], 2);
    assert_eq!(all["chunk"][0]["join_rule"], "public");
    let search = |filter: Value| ann.post("/_matrix/client/v3/publicRooms", json!({ "filter": filter }));
    let found = search(json!({ "generic_search_term": "verb" })).await.ok();
    assert_eq!(ids(&found["chunk"], "room_id"), [greek.as_str()]);
    let found = search(json!({ "room_types": ["m.space"] })).await.ok();
    assert_eq!(ids(&found["chunk"], "room_id"), [space.as_str()]);
    assert_eq!(found["chunk"][0]["room_type"], "m.space");

    let (mut seen, mut since) = (Vec::new(), String::new());
    loop {
        let page = ann.get(&format!("/_matrix/client/v3/publicRooms?limit=2{since}")).await.ok();
        seen.extend(ids(&page["chunk"], "room_id").into_iter().map(ToOwned::to_owned));
        match page["next_batch"].as_str() {
            Some(next) => since = format!("&since={next}"),
            None => break,
        }
    }
    assert_eq!(seen.len(), 3);
    let list = format!("/_matrix/client/v3/directory/list/room/{}", encoded(&latin));
    ben.put(&list, json!({ "visibility": "private" })).await.refused(403, "M_FORBIDDEN");
    ann.put(&list, json!({ "visibility": "private" })).await.ok();
    assert_eq!(stranger.get(&list).await.ok()["visibility"], "private");
    ann.get("/_matrix/client/v3/publicRooms?since=nonsense").await.refused(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn a_space_is_walked_and_a_room_summed_up() {
    let campus = Campus::of(["alpha"]).await;
    let (ann, ben) = (campus.person("ann").await, campus.person("ben").await);
    let make = json!({ "preset": "public_chat", "name": "Faculty", "creation_content": { "type": "m.space" } });
    let space = ann.creates_room_with(make.clone()).await;
    let inner = ann.creates_room_with(make).await;
    let (open, closed) = (ann.creates_public_room().await, ann.creates_room().await);
    for (parent, child, order) in [(&space, &inner, "b"), (&space, &open, "a"), (&inner, &closed, "a")] {
        ann.sets(parent, "m.space.child", child, json!({ "via": ["alpha"], "order": order })).await;
    }
    let tree = ann.get(&v1(&space, "hierarchy")).await.ok();
    assert_eq!(ids(&tree["rooms"], "room_id"), [&*space, &*open, &*inner, &*closed]);
    assert_eq!(tree["rooms"][0]["children_state"].as_array().unwrap().len(), 2);
    let tree = ben.get(&v1(&space, "hierarchy")).await.ok();
    assert_eq!(ids(&tree["rooms"], "room_id"), [&*space, &*open, &*inner]);
    let page = ben.get(&v1(&space, "hierarchy?limit=2")).await.ok();
    let next = page["next_batch"].as_str().unwrap();
    let page = ben.get(&v1(&space, &format!("hierarchy?limit=2&from={next}"))).await.ok();
    assert_eq!(ids(&page["rooms"], "room_id"), [&*inner]);
    let tree = ben.get(&v1(&space, "hierarchy?max_depth=0")).await.ok();
    assert_eq!(ids(&tree["rooms"], "room_id"), [&*space]);
    ben.get(&v1(&closed, "hierarchy")).await.refused_as("getSpaceHierarchy 403 M_FORBIDDEN");

    for path in ["/_matrix/client/v1/room_summary", "/_matrix/client/unstable/im.nheko.summary/summary"] {
        let summary = ben.get(&format!("{path}/{}", encoded(&space))).await.ok();
        assert_eq!((&summary["name"], &summary["room_type"]), (&json!("Faculty"), &json!("m.space")));
        assert_eq!(summary["membership"], "leave");
        ben.get(&format!("{path}/{}", encoded(&closed))).await.refused(404, "M_NOT_FOUND");
    }
    campus.host("alpha").stranger().get(&format!("/_matrix/client/v1/room_summary/{}", encoded(&open))).await.ok();
}

async fn thread_reply(person: &Person, room: &str, root: &str, text: &str) -> String {
    let content = json!({ "body": text, "m.relates_to": { "rel_type": "m.thread", "event_id": root } });
    person.sends(room, "m.room.message", content).await
}

#[tokio::test]
async fn relations_and_threads_are_listed() {
    let campus = Campus::of(["alpha"]).await;
    let (ann, ben) = (campus.person("ann").await, campus.person("ben").await);
    let room = ann.creates_public_room().await;
    ben.joins(&room).await;
    let (first, second) = (ann.says(&room, "first").await, ann.says(&room, "second").await);
    let replies = [thread_reply(&ben, &room, &first, "one").await, thread_reply(&ann, &room, &first, "two").await];
    let other = thread_reply(&ann, &room, &second, "three").await;
    let like = json!({ "m.relates_to": { "rel_type": "m.annotation", "event_id": replies[0], "key": "+" } });
    let like = ann.sends(&room, "m.reaction", like).await;

    let relations = |rest: &str| v1(&room, &format!("relations/{}{rest}", encoded(&first)));
    let found = ann.get(&relations("")).await.ok();
    assert_eq!(ids(&found["chunk"], "event_id"), [&*replies[1], &*replies[0]]);
    let found = ann.get(&relations("/m.thread/m.room.message?dir=f")).await.ok();
    assert_eq!(ids(&found["chunk"], "event_id"), [&*replies[0], &*replies[1]]);
    assert!(ann.get(&relations("/m.annotation")).await.ok()["chunk"].as_array().unwrap().is_empty());
    let found = ann.get(&relations("?recurse=true")).await.ok();
    assert_eq!(ids(&found["chunk"], "event_id"), [&*like, &*replies[1], &*replies[0]]);
    let page = ann.get(&relations("?limit=1")).await.ok();
    let next = page["next_batch"].as_str().unwrap();
    let page = ann.get(&relations(&format!("?limit=1&from={next}"))).await.ok();
    assert_eq!(ids(&page["chunk"], "event_id"), [&*replies[0]]);
    ann.get(&v1(&room, "relations/$unknown")).await.refused(404, "M_NOT_FOUND");

    let threads = ann.get(&v1(&room, "threads")).await.ok();
    assert_eq!(ids(&threads["chunk"], "event_id"), [&*second, &*first]);
    assert_eq!(threads["chunk"][1]["unsigned"]["m.relations"]["m.thread"]["count"], 2);
    let threads = ben.get(&v1(&room, "threads?include=participated")).await.ok();
    assert_eq!(ids(&threads["chunk"], "event_id"), [&*first]);
    ann.put(&v3(&room, &format!("redact/{}/r", encoded(&other))), json!({})).await.ok();
    let threads = ann.get(&v1(&room, "threads")).await.ok();
    assert_eq!(ids(&threads["chunk"], "event_id"), [&*first], "a thread whose only event was redacted is none");
}

#[tokio::test]
async fn a_date_leads_to_the_nearest_event() {
    let campus = Campus::of(["alpha"]).await;
    let (ann, eve) = (campus.person("ann").await, campus.person("eve").await);
    let room = ann.creates_room().await;
    let mut said = Vec::new();
    for n in 0..30 {
        campus.clock.advance(Duration::from_secs(60));
        let event = ann.says(&room, &n.to_string()).await;
        let event = ann.get(&v3(&room, &format!("event/{}", encoded(&event)))).await.ok();
        said.push((event["origin_server_ts"].as_u64().unwrap(), event["event_id"].as_str().unwrap().to_owned()));
    }
    let nearest = async |ts: u64, dir: &str| {
        let path = v1(&room, &format!("timestamp_to_event?ts={ts}&dir={dir}"));
        ann.get(&path).await
    };
    for (n, (ts, event)) in said.iter().enumerate() {
        assert_eq!(nearest(*ts, "f").await.ok()["event_id"], **event, "event {n} at its own time");
        assert_eq!(nearest(ts + 1, "b").await.ok()["event_id"], **event, "event {n} from just after");
        assert_eq!(nearest(ts - 1, "f").await.ok()["event_id"], **event, "event {n} from just before");
    }
    nearest(said[29].0 + 1, "f").await.refused_as("getEventByTimestamp 404 M_NOT_FOUND");
    eve.get(&v1(&room, "timestamp_to_event?ts=0&dir=f")).await.refused(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn an_upgraded_room_goes_on_in_another() {
    let campus = Campus::of(["alpha"]).await;
    let (ann, ben, cat) = (campus.person("ann").await, campus.person("ben").await, campus.person("cat").await);
    for (from, to) in [("9", "11"), ("11", "12"), ("12", "12")] {
        let alias = format!("greek{from}{to}");
        let old = ann
            .creates_room_with(json!({
                "preset": "public_chat", "room_version": from, "name": "Greek", "room_alias_name": alias,
            }))
            .await;
        ben.joins(&old).await;
        ann.post(&v3(&old, "ban"), json!({ "user_id": cat.id })).await.ok();
        ben.post(&v3(&old, "upgrade"), json!({ "new_version": to })).await.refused_as("upgradeRoom 403 M_FORBIDDEN");
        let unknown = json!({ "new_version": "99" });
        ann.post(&v3(&old, "upgrade"), unknown).await.refused_as("upgradeRoom 400 M_UNSUPPORTED_ROOM_VERSION");
        let answer = ann.post(&v3(&old, "upgrade"), json!({ "new_version": to })).await.ok();
        let new = answer["replacement_room"].as_str().unwrap();
        let tombstone = ben.get(&v3(&old, "state/m.room.tombstone")).await.ok();
        assert_eq!(tombstone["replacement_room"], new);
        ben.joins(new).await;
        let create = ben.get(&v3(new, "state/m.room.create")).await.ok();
        assert_eq!((&create["predecessor"]["room_id"], &create["room_version"]), (&json!(old), &json!(to)));
        assert_eq!(ben.get(&v3(new, "state/m.room.name")).await.ok()["name"], "Greek");
        cat.post(&v3(new, "join"), json!({})).await.refused(403, "M_FORBIDDEN");
        let path = format!("/_matrix/client/v3/directory/room/{}", encoded(&format!("#{alias}:alpha")));
        assert_eq!(ben.get(&path).await.ok()["room_id"], new);
        let main = ben.get(&v3(new, "state/m.room.canonical_alias")).await.ok();
        assert_eq!(main["alias"], format!("#{alias}:alpha"));
        ann.says(new, "here").await;
        let send = v3(&old, "send/m.room.message/late");
        ben.put(&send, json!({ "body": "anybody?" })).await.refused(403, "M_FORBIDDEN");
    }
}

#[tokio::test]
async fn things_are_reported_by_those_who_see_them() {
    let campus = Campus::of(["alpha"]).await;
    let (ann, eve) = (campus.person("ann").await, campus.person("eve").await);
    let room = ann.creates_room().await;
    let said = ann.says(&room, "rude").await;
    let path = v3(&room, &format!("report/{}", encoded(&said)));
    ann.post(&path, json!({ "reason": "rude", "score": -100 })).await.ok();
    eve.post(&path, json!({})).await.refused_as("reportEvent 404 M_NOT_FOUND");
    ann.post(&v3(&room, "report"), json!({ "reason": "spam" })).await.ok();
    ann.post(&v3("!nowhere:alpha", "report"), json!({ "reason": "spam" }))
        .await
        .refused_as("reportRoom 404 M_NOT_FOUND");
    let user = |id: &str| format!("/_matrix/client/v3/users/{}/report", encoded(id));
    ann.post(&user(&eve.id), json!({ "reason": "rude" })).await.ok();
    ann.post(&user("@nobody:alpha"), json!({ "reason": "rude" })).await.refused_as("reportUser 404 M_NOT_FOUND");
    let reports = campus.host("alpha").server.rooms().reports_since(Default::default(), 10).await.unwrap();
    assert_eq!(reports.len(), 3);
}

#[tokio::test]
async fn a_world_readable_room_is_peeked_into() {
    let campus = Campus::of(["alpha"]).await;
    let (ann, eve) = (campus.person("ann").await, campus.person("eve").await);
    let readable =
        json!({ "type": "m.room.history_visibility", "content": { "history_visibility": "world_readable" } });
    let room = ann.creates_room_with(json!({ "initial_state": [readable] })).await;
    ann.says(&room, "to everybody").await;
    let seen = eve.get(&v3(&room, "initialSync")).await.ok();
    let end = seen["messages"]["end"].as_str().unwrap().to_owned();
    assert_eq!(seen["messages"]["chunk"].as_array().unwrap().last().unwrap()["content"]["body"], "to everybody");
    let events = format!("/_matrix/client/v3/events?room_id={}&from={end}&timeout=20000", encoded(&room));
    let (new, _) = tokio::join!(eve.get(&events), ann.says(&room, "and more"));
    assert_eq!(new.ok()["chunk"][0]["content"]["body"], "and more");
    let send = v3(&room, "send/m.room.message/1");
    eve.put(&send, json!({ "body": "me too" })).await.refused(403, "M_FORBIDDEN");
    let closed = ann.creates_room().await;
    eve.get(&v3(&closed, "initialSync")).await.refused_as("roomInitialSync 403 *");
}

#[tokio::test]
async fn two_people_find_the_rooms_they_share() {
    let campus = Campus::of(["alpha"]).await;
    let (ann, ben) = (campus.person("ann").await, campus.person("ben").await);
    let shared = ann.creates_public_room().await;
    ann.creates_public_room().await;
    ben.joins(&shared).await;
    let found = ann.get(&format!("/_matrix/client/v1/mutual_rooms?user_id={}", encoded(&ben.id))).await.ok();
    assert_eq!((&found["joined"], &found["count"]), (&json!([shared]), &json!(1)));
    ann.get(&format!("/_matrix/client/v1/mutual_rooms?user_id={}", encoded(&ann.id)))
        .await
        .refused_as("getMutualRooms 400 M_INVALID_PARAM");
}

#[tokio::test]
async fn an_alias_of_another_server_is_asked_of_that_server() {
    let campus = Campus::of(["alpha", "beta"]).await;
    let (ann, ben) = (campus.person_at("alpha", "ann").await, campus.person_at("beta", "ben").await);
    let room = ann.creates_room_with(json!({ "preset": "public_chat", "room_alias_name": "greek" })).await;
    let path = |alias: &str| format!("/_matrix/client/v3/directory/room/{}", encoded(alias));
    let found = ben.get(&path("#greek:alpha")).await.ok();
    assert_eq!(found, json!({ "room_id": room, "servers": ["alpha"] }));
    ben.get(&path("#latin:alpha")).await.refused(404, "M_NOT_FOUND");
    ben.get(&path("#greek:nowhere")).await.refused(404, "M_NOT_FOUND");
}
