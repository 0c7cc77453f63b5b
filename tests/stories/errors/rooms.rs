//! Making rooms, coming into them, and finding them.

use http::Method;
use serde_json::json;

use super::{CLIENT, blocks_invites, garbles, room_path};
use crate::support::{Campus, encoded};

#[tokio::test]
async fn a_room_is_made_as_it_can_be_or_not_at_all() {
    let campus = Campus::of(["alpha"]).await;
    let (anna, ben) = (campus.person("anna").await, campus.person("ben").await);
    let create = &format!("{CLIENT}/createRoom");
    garbles(&anna, Method::POST, create).await.refused_as("createRoom 400 M_NOT_JSON");
    // The creator has not the power to set the name.
    let powerless = json!({ "users": { &anna.id: 0 } });
    let room = json!({ "room_version": "11", "name": "Greek", "power_level_content_override": powerless });
    anna.post(create, room).await.refused_as("createRoom 400 M_INVALID_ROOM_STATE");
    blocks_invites(&ben).await;
    anna.post(create, json!({ "invite": [ben.id] })).await.refused_as("createRoom 403 M_INVITE_BLOCKED");
    let rooms = anna.get(&format!("{CLIENT}/joined_rooms")).await.ok();
    assert_eq!(rooms["joined_rooms"], json!([]), "nothing is left of them");
}

#[tokio::test]
async fn nobody_is_invited_against_the_rules_or_their_will() {
    let campus = Campus::of(["alpha"]).await;
    let (anna, ben) = (campus.person("anna").await, campus.person("ben").await);
    let (cat, eve) = (campus.person("cat").await, campus.person("eve").await);
    let room = anna.creates_room_with(json!({ "power_level_content_override": { "invite": 50 } })).await;
    anna.invites(&room, &ben).await;
    ben.joins(&room).await;
    let invite = room_path(&room, "invite");
    garbles(&anna, Method::POST, &invite).await.refused_as("inviteUser 400 M_NOT_JSON");
    // Somebody who is in already, by somebody who is not, and by somebody without the power.
    anna.post(&invite, json!({ "user_id": ben.id })).await.refused_as("inviteUser 403 M_FORBIDDEN");
    eve.post(&invite, json!({ "user_id": cat.id })).await.refused_as("inviteUser 403 M_FORBIDDEN");
    ben.post(&invite, json!({ "user_id": cat.id })).await.refused_as("inviteUser 403 M_FORBIDDEN");
    blocks_invites(&cat).await;
    anna.post(&invite, json!({ "user_id": cat.id })).await.refused_as("inviteUser 403 M_INVITE_BLOCKED");
    let member = room_path(&room, &format!("state/m.room.member/{}", encoded(&cat.id)));
    let invited = json!({ "membership": "invite" });
    anna.put(&member, invited).await.refused_as("setRoomStateWithKey 403 M_INVITE_BLOCKED");
    anna.get(&member).await.refused_as("getRoomStateWithKey 404 *");
}

#[tokio::test]
async fn a_server_that_cannot_be_in_such_a_room_is_not_invited() {
    let campus = Campus::of(["alpha.example", "beta.example"]).await;
    let anna = campus.person_at("alpha.example", "anna").await;
    let room = anna.creates_room().await;
    let (invite, ben) = (room_path(&room, "invite"), json!({ "user_id": "@ben:beta.example" }));
    let create = format!("{CLIENT}/createRoom");
    let refuses = |errcode: &str| {
        let error = json!({ "errcode": errcode, "error": "no", "room_version": "12" });
        campus.wires.answer("beta.example", "/_matrix/federation/v2/invite/", 400, error);
    };
    refuses("M_INCOMPATIBLE_ROOM_VERSION");
    anna.post(&invite, ben.clone()).await.refused_as("inviteUser 400 M_UNSUPPORTED_ROOM_VERSION");
    let with_ben = json!({ "invite": ["@ben:beta.example"] });
    anna.post(&create, with_ben).await.refused_as("createRoom 400 M_UNSUPPORTED_ROOM_VERSION");
    // What the other server does not like about this one's request is not the client's to mend.
    for errcode in ["M_MISSING_PARAM", "M_INVALID_PARAM"] {
        refuses(errcode);
        anna.post(&invite, ben.clone()).await.refused(502, "M_UNKNOWN");
    }
    let blocked = json!({ "errcode": "M_INVITE_BLOCKED", "error": "no" });
    campus.wires.answer("beta.example", "/_matrix/federation/v2/invite/", 403, blocked);
    anna.post(&invite, ben).await.refused_as("inviteUser 403 M_INVITE_BLOCKED");
}

#[tokio::test]
async fn doors_stay_shut_and_what_is_nowhere_has_none() {
    let campus = Campus::of(["alpha"]).await;
    let (anna, eve) = (campus.person("anna").await, campus.person("eve").await);
    let room = anna.creates_room().await;
    let join = |room: &str| format!("{CLIENT}/join/{}", encoded(room));
    let knock = |room: &str| format!("{CLIENT}/knock/{}", encoded(room));
    eve.post(&join(&room), json!({})).await.refused_as("joinRoom 403 M_FORBIDDEN");
    eve.post(&knock(&room), json!({})).await.refused_as("knockRoom 403 M_FORBIDDEN");
    for nowhere in ["!nowhere:alpha", "#nowhere:alpha"] {
        eve.post(&knock(nowhere), json!({})).await.refused_as("knockRoom 404 M_NOT_FOUND");
    }
    // Who is not in cannot be sent away, and who is away sends nobody.
    let kick = room_path(&room, "kick");
    anna.post(&kick, json!({ "user_id": eve.id })).await.refused_as("kick 403 M_FORBIDDEN");
    for (act, refusal) in
        [("kick", "kick 403 M_FORBIDDEN"), ("ban", "ban 403 M_FORBIDDEN"), ("unban", "unban 403 M_FORBIDDEN")]
    {
        eve.post(&room_path(&room, act), json!({ "user_id": anna.id })).await.refused_as(refusal);
    }
}

#[tokio::test]
async fn the_directory_knows_no_room_that_is_not_there() {
    let campus = Campus::of(["alpha"]).await;
    let (anna, eve) = (campus.person("anna").await, campus.person("eve").await);
    let listing = format!("{CLIENT}/directory/list/room/!nowhere:alpha");
    let public = json!({ "visibility": "public" });
    anna.put(&listing, public).await.refused_as("setRoomVisibilityOnDirectory 404 M_NOT_FOUND");
    let room = anna.creates_room().await;
    eve.get(&room_path(&room, "aliases")).await.refused_as("getLocalAliases 403 M_FORBIDDEN");
    eve.get(&room_path("nonsense", "aliases")).await.refused_as("getLocalAliases 400 M_INVALID_PARAM");
    let summary = |room: &str| format!("/_matrix/client/v1/room_summary/{}", encoded(room));
    for room in [room.as_str(), "!nowhere:alpha", "#nowhere:alpha"] {
        eve.get(&summary(room)).await.refused_as("getRoomSummary 404 M_NOT_FOUND");
    }
}
