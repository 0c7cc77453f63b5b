//! What people keep and show: account data, profiles, presence, accounts under the eyes of an administrator.

use http::Method;
use serde_json::json;

use super::{CLIENT, garbles};
use crate::support::{Campus, encoded};

#[tokio::test]
async fn account_data_is_an_object_of_its_owner() {
    let campus = Campus::of(["alpha"]).await;
    let (anna, ben) = (campus.person("anna").await, campus.person("ben").await);
    let room = anna.creates_room().await;
    let own = format!("{CLIENT}/user/{}", encoded(&anna.id));
    let (global, in_room) = (format!("{own}/account_data/a"), format!("{own}/rooms/{}/account_data/a", encoded(&room)));
    ben.put(&global, json!({})).await.refused_as("setAccountData 403 M_FORBIDDEN");
    garbles(&anna, Method::PUT, &global).await.refused_as("setAccountData 400 M_NOT_JSON");
    anna.put(&in_room, json!([])).await.refused_as("setAccountDataPerRoom 400 M_BAD_JSON");
    garbles(&anna, Method::PUT, &in_room).await.refused_as("setAccountDataPerRoom 400 M_NOT_JSON");
    ben.get(&in_room).await.refused_as("getAccountDataPerRoom 403 M_FORBIDDEN");
    anna.get(&in_room).await.refused_as("getAccountDataPerRoom 404 M_NOT_FOUND");
    let nowhere = format!("{own}/rooms/nonsense/account_data/a");
    anna.get(&nowhere).await.refused_as("getAccountDataPerRoom 400 M_INVALID_PARAM");
}

#[tokio::test]
async fn a_field_that_cannot_be_is_neither_set_nor_taken_away() {
    let campus = Campus::of(["alpha"]).await;
    let anna = campus.person("anna").await;
    let path = |field: &str| format!("{CLIENT}/profile/{}/{field}", encoded(&anna.id));
    anna.put(&path("org.example"), json!([])).await.refused_as("setProfileField 400 M_BAD_JSON");
    anna.get(&path("org.example")).await.refused_as("getProfileField 404 *");
    let nobody = format!("{CLIENT}/profile/@nobody:alpha/displayname");
    anna.get(&nobody).await.refused_as("getProfileField 404 *");
    anna.delete(&path("Not.A.Field")).await.refused_as("deleteProfileField 400 M_INVALID_PARAM");
}

#[tokio::test]
async fn presence_is_for_those_who_share_a_room() {
    let campus = Campus::of(["alpha"]).await;
    let (anna, ben) = (campus.person("anna").await, campus.person("ben").await);
    let status = format!("{CLIENT}/presence/{}/status", encoded(&anna.id));
    ben.get(&status).await.refused_as("getPresence 403 M_FORBIDDEN");
    let room = anna.creates_public_room().await;
    ben.joins(&room).await;
    ben.get(&status).await.ok();
}

#[tokio::test]
async fn a_closed_account_is_neither_locked_nor_suspended() {
    let campus = Campus::of(["alpha"]).await;
    let (root, anna) = (campus.host("alpha").admin("root").await, campus.person("anna").await);
    let path = |what: &str| format!("/_matrix/client/v1/admin/{what}/{}", encoded(&anna.id));
    root.post(&format!("/_synapse/admin/v1/deactivate/{}", encoded(&anna.id)), json!({})).await.ok();
    root.get(&path("lock")).await.refused_as("getAdminLockUser 404 M_NOT_FOUND");
    root.get(&path("suspend")).await.refused_as("getAdminSuspendUser 404 M_NOT_FOUND");
    root.put(&path("lock"), json!({ "locked": true })).await.refused_as("setAdminLockUser 404 M_NOT_FOUND");
    root.put(&path("suspend"), json!({ "suspended": true })).await.refused_as("setAdminSuspendUser 404 M_NOT_FOUND");
}
