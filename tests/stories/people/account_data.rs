//! What clients keep on the server: account data, tags, filters.

use serde_json::{Value, json};

use crate::support::Campus;

#[tokio::test]
async fn account_data_is_kept_for_its_owner_alone() {
    let campus = Campus::of(["alpha.example"]).await;
    let (anna, ben) = (campus.person("anna").await, campus.person("ben").await);
    let stranger = campus.host("alpha.example").stranger();
    let global = format!("/_matrix/client/v3/user/{}/account_data/m.direct", anna.id);
    let in_room = format!("/_matrix/client/v3/user/{}/rooms/!r:alpha.example/account_data/org.note", anna.id);
    anna.get(&global).await.refused_as("getAccountData 404 M_NOT_FOUND");
    anna.put(&global, json!({ "@ben:alpha.example": ["!r:alpha.example"] })).await.ok();
    anna.put(&in_room, json!({ "text": "hi" })).await.ok();
    assert_eq!(anna.get(&global).await.ok(), json!({ "@ben:alpha.example": ["!r:alpha.example"] }));
    assert_eq!(anna.get(&in_room).await.ok(), json!({ "text": "hi" }));

    ben.get(&global).await.refused_as("getAccountData 403 M_FORBIDDEN");
    ben.put(&in_room, json!({})).await.refused_as("setAccountDataPerRoom 403 M_FORBIDDEN");
    stranger.get(&global).await.refused(401, "M_MISSING_TOKEN");
    anna.put(&global, json!([1])).await.refused_as("setAccountData 400 M_BAD_JSON");
    for managed in ["m.push_rules", "m.fully_read"] {
        let path = format!("/_matrix/client/v3/user/{}/account_data/{managed}", anna.id);
        anna.put(&path, json!({ "a": 1 })).await.refused_as("setAccountData 405 M_BAD_JSON");
        let path = format!("/_matrix/client/v3/user/{}/rooms/!r:alpha.example/account_data/{managed}", anna.id);
        anna.put(&path, json!({ "a": 1 })).await.refused_as("setAccountDataPerRoom 405 M_BAD_JSON");
    }
    let bad_room = format!("/_matrix/client/v3/user/{}/rooms/nonsense/account_data/a", anna.id);
    anna.put(&bad_room, json!({})).await.refused_as("setAccountDataPerRoom 400 M_INVALID_PARAM");

    let unstable = format!("/_matrix/client/unstable/org.matrix.msc3391/user/{}/account_data/m.direct", anna.id);
    ben.delete(&unstable).await.refused(403, "M_FORBIDDEN");
    anna.delete(&unstable).await.ok();
    anna.get(&global).await.refused(404, "M_NOT_FOUND");
}

#[tokio::test]
async fn rooms_have_tags() {
    let campus = Campus::of(["alpha.example"]).await;
    let (anna, ben) = (campus.person("anna").await, campus.person("ben").await);
    let tags = format!("/_matrix/client/v3/user/{}/rooms/!r:alpha.example/tags", anna.id);
    anna.put(&format!("{tags}/m.favourite"), json!({ "order": 0.25 })).await.ok();
    anna.put(&format!("{tags}/u.work"), json!({})).await.ok();
    anna.delete(&format!("{tags}/u.work")).await.ok();
    assert_eq!(anna.get(&tags).await.ok(), json!({ "tags": { "m.favourite": { "order": 0.25 } } }));
    anna.put(&format!("{tags}/u.x"), json!({ "order": {} })).await.refused(400, "M_INVALID_PARAM");
    let long = format!("{tags}/{}", "x".repeat(256));
    anna.put(&long, json!({})).await.refused(400, "M_INVALID_PARAM");
    ben.get(&tags).await.refused(403, "M_FORBIDDEN");
    campus.host("alpha.example").stranger().get(&tags).await.refused(401, "M_MISSING_TOKEN");
}

#[tokio::test]
async fn a_filter_is_found_again_by_its_id() {
    let campus = Campus::of(["alpha.example"]).await;
    let (anna, ben) = (campus.person("anna").await, campus.person("ben").await);
    let path = format!("/_matrix/client/v3/user/{}/filter", anna.id);
    let filter = json!({ "room": { "timeline": { "limit": 5 } } });
    let id = anna.post(&path, filter.clone()).await.ok()["filter_id"].as_str().expect("an id").to_owned();
    assert_eq!(anna.post(&path, filter.clone()).await.ok()["filter_id"], *id);
    assert_eq!(anna.get(&format!("{path}/{id}")).await.ok(), filter);
    anna.get(&format!("{path}/unknown")).await.refused_as("getFilter 404 *");
    anna.post(&path, json!({ "room": { "timeline": 5 } })).await.refused(400, "M_BAD_JSON");
    ben.get(&format!("{path}/{id}")).await.refused(403, "M_FORBIDDEN");
    ben.post(&path, json!({})).await.refused(403, "M_FORBIDDEN");
    campus.host("alpha.example").stranger().post(&path, json!({})).await.refused(401, "M_MISSING_TOKEN");
}

#[tokio::test]
async fn what_was_deleted_of_a_room_leaves_an_empty_list() {
    let campus = Campus::of(["alpha.example"]).await;
    let anna = campus.person("anna").await;
    let room = anna.creates_room().await;
    let room_path = crate::support::encoded(&room);
    let path = format!("/_matrix/client/v3/user/{}/rooms/{room_path}/account_data/org.example", anna.id);
    anna.put(&path, json!({ "a": 1 })).await.ok();
    let told = |synced: &Value| synced["rooms"]["join"][&room]["account_data"]["events"].clone();
    assert_eq!(told(&anna.syncs("").await), json!([{ "type": "org.example", "content": { "a": 1 } }]));
    anna.put(&path, json!({})).await.ok();
    assert_eq!(told(&anna.syncs("").await), json!([{ "type": "org.example", "content": {} }]));
    assert_eq!(told(&anna.get("/_matrix/client/v3/sync").await.ok()), json!([]));
}

#[tokio::test]
async fn invites_that_are_ignored_are_never_heard_of() {
    let campus = Campus::of(["alpha.example"]).await;
    let (anna, ben) = (campus.person("anna").await, campus.person("ben").await);
    let config =
        format!("/_matrix/client/v3/user/{}/account_data/org.matrix.msc4155.invite_permission_config", anna.id);
    for ignoring in [json!({ "ignored_users": [ben.id] }), json!({ "ignored_servers": ["alpha.*"] })] {
        anna.put(&config, ignoring).await.ok();
        ben.creates_room_with(json!({ "invite": [anna.id] })).await;
        let synced = anna.get("/_matrix/client/v3/sync").await.ok();
        assert_eq!(synced["rooms"]["invite"], Value::Null);
    }
    anna.put(&config, json!({})).await.ok();
    let synced = anna.get("/_matrix/client/v3/sync").await.ok();
    assert_eq!(synced["rooms"]["invite"].as_object().map(serde_json::Map::len), Some(2));
}
