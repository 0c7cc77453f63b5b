//! The account itself: a new password, its end, and what it may use.

use serde_json::{Value, json};

use crate::support::{Campus, Person, campus::PASSWORD};

const PASSWORD_PATH: &str = "/_matrix/client/v3/account/password";
const DEACTIVATE: &str = "/_matrix/client/v3/account/deactivate";
const WHOAMI: &str = "/_matrix/client/v3/account/whoami";
const LOGIN: &str = "/_matrix/client/v3/login";

fn auth(person: &Person, password: &str) -> Value {
    json!({ "type": "m.login.password", "identifier": { "type": "m.id.user", "user": person.id }, "password": password })
}

fn login(person: &Person, password: &str) -> Value {
    json!({ "type": "m.login.password", "user": person.id, "password": password })
}

#[tokio::test]
async fn a_new_password_ends_the_other_sessions_unless_asked_not_to() {
    let campus = Campus::of(["alpha.example"]).await;
    let anna = campus.person("anna").await;
    let stranger = campus.host("alpha.example").stranger();
    let other = anna.on_another_device().await;

    let refused = anna.post(PASSWORD_PATH, json!({ "new_password": "n", "auth": auth(&anna, "wrong") })).await;
    refused.refused_as("changePassword 401 *");
    other.get(WHOAMI).await.ok();

    let keep = json!({ "new_password": "second", "logout_devices": false, "auth": auth(&anna, PASSWORD) });
    anna.post(PASSWORD_PATH, keep).await.ok();
    other.get(WHOAMI).await.ok();
    stranger.post(LOGIN, login(&anna, PASSWORD)).await.refused(403, "M_FORBIDDEN");
    stranger.post(LOGIN, login(&anna, "second")).await.ok();

    anna.post(PASSWORD_PATH, json!({ "new_password": "third", "auth": auth(&anna, "second") })).await.ok();
    other.get(WHOAMI).await.refused(401, "M_UNKNOWN_TOKEN");
    anna.get(WHOAMI).await.ok();
    anna.post(PASSWORD_PATH, json!({ "auth": auth(&anna, "third") })).await.refused(400, "M_MISSING_PARAM");
    stranger.post(PASSWORD_PATH, json!({ "new_password": "x" })).await.refused(401, "M_MISSING_TOKEN");
}

#[tokio::test]
async fn a_session_of_confirmation_is_for_one_act_of_one_person() {
    let campus = Campus::of(["alpha.example"]).await;
    let (anna, ben) = (campus.person("anna").await, campus.person("ben").await);
    let session = anna.post(DEACTIVATE, json!({})).await.refused_as("deactivateAccount 401 *")["session"].clone();
    let mut other_act = auth(&anna, PASSWORD);
    other_act["session"] = session.clone();
    let body = json!({ "new_password": "x", "auth": other_act });
    anna.post(PASSWORD_PATH, body).await.refused(403, "M_FORBIDDEN");
    let mut other_person = auth(&ben, PASSWORD);
    other_person["session"] = session;
    ben.post(DEACTIVATE, json!({ "auth": other_person })).await.refused(403, "M_FORBIDDEN");
    // Somebody else's password proves nothing.
    anna.post(DEACTIVATE, json!({ "auth": auth(&ben, PASSWORD) })).await.refused(403, "M_FORBIDDEN");

    campus.clock.advance(std::time::Duration::from_secs(3600));
    let late = anna.post(DEACTIVATE, json!({ "auth": { "session": "long-gone" } })).await;
    assert_eq!(late.status, 401, "an unknown session begins anew");
    anna.get(WHOAMI).await.ok();
}

#[tokio::test]
async fn a_closed_account_is_closed_for_good() {
    let campus = Campus::of(["alpha.example"]).await;
    let (anna, ben) = (campus.person("anna").await, campus.person("ben").await);
    let stranger = campus.host("alpha.example").stranger();
    anna.put(&format!("/_matrix/client/v3/profile/{}/displayname", anna.id), json!({ "displayname": "Anna" }))
        .await
        .ok();
    let closed = anna.post(DEACTIVATE, json!({ "erase": true, "auth": auth(&anna, PASSWORD) })).await.ok();
    assert_eq!(closed["id_server_unbind_result"], "no-support");
    anna.get(WHOAMI).await.refused(401, "M_UNKNOWN_TOKEN");
    stranger.post(LOGIN, login(&anna, PASSWORD)).await.refused_as("login 403 M_USER_DEACTIVATED");
    let again = json!({ "username": "anna", "password": "x", "auth": { "type": "m.login.dummy" } });
    stranger.post("/_matrix/client/v3/register", again).await.refused(400, "M_USER_IN_USE");
    assert_eq!(ben.get(&format!("/_matrix/client/v3/profile/{}", anna.id)).await.ok(), json!({}));
    stranger.post(DEACTIVATE, json!({})).await.refused(401, "M_MISSING_TOKEN");
}

#[tokio::test]
async fn a_person_learns_what_the_server_lets_them_do() {
    let campus = Campus::of(["alpha.example"]).await;
    let anna = campus.person("anna").await;
    let capabilities = anna.get("/_matrix/client/v3/capabilities").await.ok()["capabilities"].clone();
    assert_eq!(capabilities["m.change_password"]["enabled"], true);
    assert_eq!(capabilities["m.room_versions"]["default"], "12");
    assert_eq!(capabilities["m.room_versions"]["available"]["1"], "stable");
    assert_eq!(anna.get("/_matrix/client/v3/account/3pid").await.ok(), json!({ "threepids": [] }));
    let stranger = campus.host("alpha.example").stranger();
    stranger.get("/_matrix/client/v3/capabilities").await.refused(401, "M_MISSING_TOKEN");
    stranger.get("/_matrix/client/v3/account/3pid").await.refused(401, "M_MISSING_TOKEN");
}

#[tokio::test]
async fn an_openid_token_is_given_to_its_owner_only() {
    let campus = Campus::of(["alpha.example"]).await;
    let (anna, ben) = (campus.person("anna").await, campus.person("ben").await);
    let path = format!("/_matrix/client/v3/user/{}/openid/request_token", anna.id);
    let answer = anna.post(&path, json!({})).await.ok();
    assert_eq!((&answer["token_type"], &answer["matrix_server_name"]), (&json!("Bearer"), &json!("alpha.example")));
    ben.post(&path, json!({})).await.refused(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn guests_come_in_where_they_are_welcome_and_not_far() {
    let campus = Campus::with(["alpha.example"], "registration.guests = true").await;
    let stranger = campus.host("alpha.example").stranger();
    let answer = stranger.post("/_matrix/client/v3/register?kind=guest", json!({})).await.ok();
    let guest = stranger.with_token(&answer["access_token"]);
    assert_eq!(guest.get(WHOAMI).await.ok()["is_guest"], true);
    let id = answer["user_id"].as_str().expect("an id");
    let named = json!({ "displayname": "Visitor" });
    guest.put(&format!("/_matrix/client/v3/profile/{id}/displayname"), named).await.ok();
    let avatar = json!({ "avatar_url": "mxc://a/b" });
    guest
        .put(&format!("/_matrix/client/v3/profile/{id}/avatar_url"), avatar)
        .await
        .refused(403, "M_GUEST_ACCESS_FORBIDDEN");
    guest.get("/_matrix/client/v3/account/3pid").await.refused(403, "M_GUEST_ACCESS_FORBIDDEN");
}
