//! What anybody may ask of a server before signing in.

use serde_json::json;

use crate::support::{Campus, encoded};

const CLIENT: &str = "/_matrix/client";

#[tokio::test]
async fn a_server_tells_what_it_speaks_and_how_it_is() {
    let campus = Campus::of(["alpha.example"]).await;
    let stranger = campus.host("alpha.example").stranger();

    let versions = stranger.get("/_matrix/client/versions").await.ok();
    assert!(versions["versions"].as_array().is_some_and(|versions| versions.iter().any(|v| v == "v1.11")));
    stranger.get("/_matrix/client/v3/no/such/thing").await.refused(404, "M_UNRECOGNIZED");
    assert_eq!(stranger.get("/health").await.status, 200);
    assert_eq!(stranger.get("/ready").await.status, 200);
}

/// Clients offer what they find under these names, and hide it otherwise.
#[tokio::test]
async fn what_clients_look_up_by_name_is_named_and_there() {
    let campus = Campus::of(["alpha.example"]).await;
    let anna = campus.person("anna").await;
    let room = anna.creates_room().await;
    let event = anna.says(&room, "to be taken back").await;
    let features = anna.get("/_matrix/client/versions").await.ok()["unstable_features"].take();
    let named = |name: &str| assert_eq!(features[name], true, "{name} is not named");

    named("com.beeper.msc4169");
    anna.sends(&room, "m.room.redaction", json!({ "redacts": event })).await;
    let taken_back = anna.get(&format!("{CLIENT}/v3/rooms/{}/event/{}", encoded(&room), encoded(&event))).await.ok();
    assert_eq!(taken_back["content"], json!({}));

    named("org.matrix.msc3391");
    let (stored, deleted) = (format!("{CLIENT}/v3/user/{}/account_data/org.example", anna.id), "org.matrix.msc3391");
    anna.put(&stored, json!({ "a": 1 })).await.ok();
    anna.delete(&format!("{CLIENT}/unstable/{deleted}/user/{}/account_data/org.example", anna.id)).await.ok();
    anna.get(&stored).await.refused(404, "M_NOT_FOUND");

    named("uk.tcpip.msc4133");
    let field = format!("profile/{}/org.example.pronouns", anna.id);
    anna.put(&format!("{CLIENT}/unstable/uk.tcpip.msc4133/{field}"), json!({ "org.example.pronouns": "she" }))
        .await
        .ok();
    named("uk.tcpip.msc4133.stable");
    assert_eq!(anna.get(&format!("{CLIENT}/v3/{field}")).await.ok()["org.example.pronouns"], "she");

    named("uk.half-shot.msc2666.query_mutual_rooms");
    named("uk.half-shot.msc2666.query_mutual_rooms.stable");
    let ben = campus.person("ben").await;
    let shared = format!("{CLIENT}/unstable/uk.half-shot.msc2666/user/mutual_rooms?user_id={}", encoded(&ben.id));
    assert_eq!(anna.get(&shared).await.ok()["joined"], json!([]));

    for (name, kind, content) in [
        (
            "org.matrix.msc4155",
            "org.matrix.msc4155.invite_permission_config",
            json!({ "enabled": true, "blocked_users": [ben.id] }),
        ),
        ("org.matrix.msc4380.stable", "m.invite_permission_config", json!({ "default_action": "block" })),
    ] {
        named(name);
        let config = format!("{CLIENT}/v3/user/{}/account_data/{kind}", anna.id);
        anna.put(&config, content).await.ok();
        let invite = format!("{CLIENT}/v3/rooms/{}/invite", encoded(&ben.creates_room().await));
        ben.post(&invite, json!({ "user_id": anna.id })).await.refused(403, "M_INVITE_BLOCKED");
        anna.put(&config, json!({})).await.ok();
        ben.post(&invite, json!({ "user_id": anna.id })).await.ok();
    }
}
