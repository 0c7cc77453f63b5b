//! Events that cannot be, and acts that one may not do.

use serde_json::{Value, json};

use super::two;
use crate::support::{Person, encoded};

fn path(room: &str, rest: &str) -> String {
    format!("/_matrix/client/v3/rooms/{}/{rest}", encoded(room))
}

/// The events of a room, newest first.
async fn history(person: &Person, room: &str) -> Vec<Value> {
    let page = person.get(&path(room, "messages?dir=b&limit=100")).await.ok();
    page["chunk"].as_array().expect("a page").clone()
}

#[tokio::test]
async fn an_event_fits_into_its_limits_or_is_refused() {
    let (_campus, ann, _) = two().await;
    let room = ann.creates_room().await;
    let before = history(&ann, &room).await.len();
    let send = path(&room, "send/m.room.message/");
    ann.put(&format!("{send}1"), json!({ "body": "x".repeat(65_536) })).await.refused(413, "M_TOO_LARGE");
    let state = path(&room, "state/org.example.state/k");
    ann.put(&state, json!({ "a": "x".repeat(65_536) })).await.refused(413, "M_TOO_LARGE");
    ann.put(&path(&room, &format!("send/{}/2", "t".repeat(256))), json!({})).await.refused(400, "M_BAD_JSON");
    let long_key = path(&room, &format!("state/org.example.state/{}", "k".repeat(256)));
    ann.put(&long_key, json!({})).await.refused(400, "M_BAD_JSON");
    assert_eq!(history(&ann, &room).await.len(), before, "nothing was sent");
    ann.put(&format!("{send}3"), json!({ "body": "x".repeat(60_000) })).await.ok();
    ann.put(&path(&room, &format!("send/{}/4", "t".repeat(255))), json!({})).await.ok();
}

#[tokio::test]
async fn numbers_are_whole_and_within_the_canonical_range() {
    let (_campus, ann, _) = two().await;
    let room = ann.creates_room().await;
    let before = history(&ann, &room).await.len();
    let sends = async |number: &str, txn: &str| {
        let body = format!("{{\"body\":\"n\",\"deep\":[{{\"n\":{number}}}]}}").into_bytes();
        let send = path(&room, &format!("send/m.room.message/{txn}"));
        ann.ask_bytes(http::Method::PUT, &send, "application/json", body).await
    };
    for wrong in ["9007199254740992", "-9007199254740992", "1.5", "1e400", "123456789012345678901234567890", "0.1"] {
        sends(wrong, wrong).await.refused(400, "M_BAD_JSON");
    }
    assert_eq!(history(&ann, &room).await.len(), before, "nothing was sent");
    for fine in ["9007199254740991", "-9007199254740991", "0"] {
        sends(fine, fine).await.ok();
    }
    let levels = json!({ "users_default": 9_007_199_254_740_992_u64 });
    ann.put(&path(&room, "state/m.room.power_levels"), levels).await.refused(400, "M_BAD_JSON");
}

#[tokio::test]
async fn control_characters_belong_into_no_identifier() {
    let (_campus, ann, _) = two().await;
    let room = ann.creates_room().await;
    for nasty in ["%00", "%01", "%0A", "%7F", "a%00b"] {
        for rest in [
            format!("send/m.room.message/{nasty}"),
            format!("send/{nasty}/1"),
            format!("state/m.x/{nasty}"),
            format!("state/{nasty}/"),
            format!("redact/{nasty}/1"),
        ] {
            ann.put(&path(&room, &rest), json!({})).await.refused(400, "M_INVALID_PARAM");
        }
        let own = format!("/_matrix/client/v3/user/{}", ann.id);
        ann.put(&format!("{own}/account_data/{nasty}"), json!({})).await.refused(400, "M_INVALID_PARAM");
        ann.get(&format!("/_matrix/client/v3/rooms/{nasty}/state")).await.refused(400, "M_INVALID_PARAM");
        ann.get(&format!("/_matrix/client/v3/profile/{nasty}")).await.refused(400, "M_INVALID_PARAM");
        ann.get(&format!("/_matrix/client/v1/media/download/alpha/{nasty}")).await.refused(400, "M_INVALID_PARAM");
    }
    // In what people write they are theirs to use, and come back as they were.
    let said = ann.says(&room, "nul \0 bell \u{7} done").await;
    let event = ann.get(&path(&room, &format!("event/{}", encoded(&said)))).await.ok();
    assert_eq!(event["content"]["body"], "nul \0 bell \u{7} done");
}

#[tokio::test]
async fn identifiers_have_their_form_and_length() {
    let (_campus, ann, _) = two().await;
    let room = ann.creates_room().await;
    let long = |sigil: &str| format!("{sigil}{}:alpha", "x".repeat(250));
    for wrong in ["ann", "@ann", "!ann:alpha", "@ann:", "@:", "", long("@").as_str()] {
        ann.post(&path(&room, "invite"), json!({ "user_id": wrong })).await.refused_as("inviteUser 400 M_BAD_JSON");
        ann.post(&path(&room, "ban"), json!({ "user_id": wrong })).await.refused(400, "M_BAD_JSON");
        if !wrong.is_empty() {
            let profile = format!("/_matrix/client/v3/profile/{}", encoded(wrong));
            ann.get(&profile).await.refused(400, "M_INVALID_PARAM");
        }
    }
    for wrong in ["r:alpha", "@r:alpha", long("!").as_str()] {
        ann.get(&path(wrong, "state")).await.refused(400, "M_INVALID_PARAM");
        ann.put(&path(wrong, "send/m.room.message/1"), json!({})).await.refused(400, "M_INVALID_PARAM");
        ann.post(&format!("/_matrix/client/v3/join/{}", encoded(wrong)), json!({}))
            .await
            .refused(400, "M_INVALID_PARAM");
    }
    for wrong in ["e", "!e"] {
        ann.get(&path(&room, &format!("event/{}", encoded(wrong)))).await.refused(400, "M_INVALID_PARAM");
        ann.get(&path(&room, &format!("context/{}", encoded(wrong)))).await.refused(400, "M_INVALID_PARAM");
        ann.put(&path(&room, &format!("redact/{}/1", encoded(wrong))), json!({})).await.refused(400, "M_INVALID_PARAM");
    }
    for wrong in ["a:alpha", "!a:alpha", long("#").as_str()] {
        let alias = format!("/_matrix/client/v3/directory/room/{}", encoded(wrong));
        ann.get(&alias).await.refused_as("getRoomIdByAlias 400 M_INVALID_PARAM");
        ann.put(&alias, json!({ "room_id": room })).await.refused_as("setRoomAlias 400 M_INVALID_PARAM");
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let (_campus, ann, ben) = two().await;
    let (room, other) = (ann.creates_room().await, ann.creates_room().await);
    let elsewhere = ann.says(&other, "elsewhere").await;
    let long = format!("${}", "x".repeat(255));
    for event in ["$unknown", long.as_str(), elsewhere.as_str()] {
        for rest in ["event", "context"] {
            ann.get(&path(&room, &format!("{rest}/{}", encoded(event)))).await.refused(404, "M_NOT_FOUND");
        }
        ann.put(&path(&room, &format!("redact/{}/1", encoded(event))), json!({})).await.refused(404, "M_NOT_FOUND");
        ann.post(&path(&room, &format!("report/{}", encoded(event))), json!({})).await.refused(404, "M_NOT_FOUND");
        ann.post(&path(&room, &format!("receipt/m.read/{}", encoded(event))), json!({}))
            .await
            .refused(404, "M_NOT_FOUND");
        ann.post(&path(&room, "read_markers"), json!({ "m.fully_read": event })).await.refused(404, "M_NOT_FOUND");
        let relations = format!("/_matrix/client/v1/rooms/{}/relations/{}", encoded(&room), encoded(event));
        ann.get(&relations).await.refused_as("getRelatingEvents 404 M_NOT_FOUND");
    }
    ann.post("/_matrix/client/v3/join/!nowhere:alpha", json!({})).await.refused(404, "M_NOT_FOUND");
    ann.get("/_matrix/client/v3/directory/room/%23nowhere:alpha").await.refused(404, "M_NOT_FOUND");
    ann.delete("/_matrix/client/v3/directory/room/%23nowhere:alpha")
        .await
        .refused_as("deleteRoomAlias 404 M_NOT_FOUND");
    ann.get("/_matrix/client/v3/directory/list/room/!nowhere:alpha")
        .await
        .refused_as("getRoomVisibilityOnDirectory 404 M_NOT_FOUND");
    ann.get("/_matrix/client/v3/profile/@nobody:alpha").await.refused_as("getUserProfile 404 M_NOT_FOUND");
    let eve = ben;
    eve.get(&path(&room, "joined_members")).await.refused(403, "M_FORBIDDEN");
    eve.get(&path(&room, "state/m.room.name/")).await.refused_as("getRoomStateWithKey 403 *");
}

#[tokio::test]
async fn the_powerless_and_the_banned_change_nothing() {
    let (campus, ann, ben) = two().await;
    let cay = campus.person("cay").await;
    let room = ann.creates_public_room().await;
    ben.joins(&room).await;
    cay.joins(&room).await;
    let before = history(&ann, &room).await.len();
    for (kind, content) in [
        ("m.room.name", json!({ "name": "mine" })),
        ("m.room.power_levels", json!({ "users": { &ben.id: 100 } })),
        ("m.room.join_rules", json!({ "join_rule": "public" })),
        ("m.room.tombstone", json!({ "body": "", "replacement_room": "!x:alpha" })),
    ] {
        ben.put(&path(&room, &format!("state/{kind}/")), content)
            .await
            .refused_as("setRoomStateWithKey 403 M_FORBIDDEN");
    }
    for (act, refusal) in
        [("kick", "kick 403 M_FORBIDDEN"), ("ban", "ban 403 M_FORBIDDEN"), ("unban", "unban 403 M_FORBIDDEN")]
    {
        ben.post(&path(&room, act), json!({ "user_id": cay.id })).await.refused_as(refusal);
    }
    ben.post(&path(&room, "upgrade"), json!({ "new_version": "11" })).await.refused(403, "M_FORBIDDEN");
    assert_eq!(history(&ann, &room).await.len(), before, "nothing changed");

    ann.post(&path(&room, "ban"), json!({ "user_id": ben.id })).await.ok();
    ben.put(&path(&room, "send/m.room.message/1"), json!({ "body": "still here" })).await.refused(403, "M_FORBIDDEN");
    ben.post(&path(&room, "join"), json!({})).await.refused(403, "M_FORBIDDEN");
    ben.post(&format!("/_matrix/client/v3/knock/{}", encoded(&room)), json!({}))
        .await
        .refused_as("knockRoom 403 M_FORBIDDEN");
    ben.put(&path(&room, &format!("typing/{}", ben.id)), json!({ "typing": true })).await.refused(403, "M_FORBIDDEN");
    cay.post(&path(&room, "invite"), json!({ "user_id": ben.id })).await.refused(403, "M_FORBIDDEN");
    assert_eq!(history(&ann, &room).await.len(), before + 1, "the ban alone");
}
