//! A bridge that refuses what its server asks it: with the errors that the specification names for an application service, and
//! with others. Whatever it says, clients are told that there is nothing.

use serde_json::json;

use super::{CLIENT, bridged};
use crate::support::encoded;

/// What a bridge may say: not these credentials, not for you, not here; and what it should not.
const REFUSALS: [u16; 4] = [401, 403, 404, 500];

#[tokio::test]
async fn what_a_bridge_does_not_tell_is_not_found() {
    let (campus, bridge, _, _folder) = bridged().await;
    let alice = campus.person("alice").await;
    for status in REFUSALS {
        bridge.answers_at("/_matrix/app/v1/thirdparty/", status, json!({ "errcode": "M_FORBIDDEN" }));
        for (path, refusal) in [
            ("protocol/irc", "getProtocolMetadata 404 M_NOT_FOUND"),
            ("user/irc?nick=ann", "queryUserByProtocol 404 M_NOT_FOUND"),
            ("location/irc?channel=x", "queryLocationByProtocol 404 M_NOT_FOUND"),
            ("user?userid=@irc_ann:alpha.example", "queryUserByID 404 M_NOT_FOUND"),
            ("location?alias=%23irc_x:alpha.example", "queryLocationByAlias 404 M_NOT_FOUND"),
        ] {
            alice.get(&format!("{CLIENT}/thirdparty/{path}")).await.refused_as(refusal);
        }
    }
    let asked = |path: &str| bridge.calls().iter().filter(|call| call.path.contains(path)).count();
    assert!(asked("/thirdparty/user") >= REFUSALS.len(), "the bridge was asked each time");
}

#[tokio::test]
async fn whom_a_bridge_does_not_know_there_is_not() {
    let (campus, bridge, _, _folder) = bridged().await;
    let alice = campus.person("alice").await;
    let room = alice.creates_room().await;
    for status in REFUSALS {
        bridge.answers_at("/_matrix/app/v1/rooms/", status, json!({}));
        bridge.answers_at("/_matrix/app/v1/users/", status, json!({}));
        let alias = encoded(&format!("#irc_{status}:alpha.example"));
        let path = format!("{CLIENT}/directory/room/{alias}");
        alice.get(&path).await.refused_as("getRoomIdByAlias 404 M_NOT_FOUND");
        let join = format!("{CLIENT}/join/{alias}");
        alice.post(&join, json!({})).await.refused(404, "M_NOT_FOUND");

        let ghost = format!("@irc_{status}:alpha.example");
        alice.post(&format!("{CLIENT}/rooms/{}/invite", encoded(&room)), json!({ "user_id": ghost })).await;
        let profile = format!("{CLIENT}/profile/{}", encoded(&ghost));
        alice.get(&profile).await.refused_as("getUserProfile 404 M_NOT_FOUND");
        bridge.hears("who this is", |call| call.path.contains(&format!("users/%40irc_{status}"))).await;
    }
}
