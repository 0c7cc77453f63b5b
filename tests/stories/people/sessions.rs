//! Signing in, keeping signed in, signing out.

use serde_json::{Value, json};
use std::time::Duration;

use crate::support::{Campus, Person, campus::PASSWORD};

const LOGIN: &str = "/_matrix/client/v3/login";
const WHOAMI: &str = "/_matrix/client/v3/account/whoami";

fn password_login(user: &str, password: &str) -> Value {
    let identifier = json!({ "type": "m.id.user", "user": user });
    json!({ "type": "m.login.password", "identifier": identifier, "password": password })
}

async fn school() -> (Campus, Person, Person) {
    let campus = Campus::of(["alpha.example"]).await;
    let (anna, stranger) = (campus.person("anna").await, campus.host("alpha.example").stranger());
    (campus, anna, stranger)
}

#[tokio::test]
async fn a_person_signs_in_by_any_spelling_of_their_name() {
    let (_campus, _, stranger) = school().await;
    let flows = stranger.get(LOGIN).await.ok();
    assert!(flows["flows"].as_array().is_some_and(|flows| flows.iter().any(|flow| flow["type"] == "m.login.password")));
    for name in ["anna", "Anna", "@anna:alpha.example", "@ANNA:alpha.example"] {
        let answer = stranger.post(LOGIN, password_login(name, PASSWORD)).await.ok();
        assert_eq!(answer["user_id"], "@anna:alpha.example", "{name}");
    }
    let old = json!({ "type": "m.login.password", "user": "anna", "password": PASSWORD, "device_id": "OLD" });
    assert_eq!(stranger.post("/_matrix/client/r0/login", old).await.ok()["device_id"], "OLD");
}

#[tokio::test]
async fn a_wrong_sign_in_is_refused_by_its_reason() {
    let (_campus, _, stranger) = school().await;
    stranger.post(LOGIN, password_login("anna", "wrong")).await.refused_as("login 403 M_FORBIDDEN");
    stranger.post(LOGIN, password_login("nobody", PASSWORD)).await.refused(403, "M_FORBIDDEN");
    stranger.post(LOGIN, password_login("@anna:elsewhere", PASSWORD)).await.refused(403, "M_FORBIDDEN");
    stranger.post(LOGIN, json!({})).await.refused(400, "M_MISSING_PARAM");
    stranger.post(LOGIN, json!({ "type": "m.login.magic" })).await.refused_as("login 400 M_UNKNOWN");
    stranger.post(LOGIN, json!({ "type": "m.login.password", "user": "anna" })).await.refused(400, "M_MISSING_PARAM");
    stranger.post(LOGIN, json!({ "type": 5 })).await.refused(400, "M_BAD_JSON");
    stranger.post(LOGIN, json!({ "type": "m.login.token", "token": "made-up" })).await.refused(403, "M_FORBIDDEN");
    let service = json!({ "type": "m.login.application_service", "user": "anna" });
    stranger.post(LOGIN, service).await.refused(401, "M_MISSING_TOKEN");
    let mut long = password_login("anna", PASSWORD);
    long["device_id"] = "x".repeat(300).into();
    stranger.post(LOGIN, long).await.refused(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn a_session_ends_with_logout_and_all_of_them_with_logout_all() {
    let (_campus, anna, stranger) = school().await;
    let (second, third) = (anna.on_another_device().await, anna.on_another_device().await);
    let answer = anna.get(WHOAMI).await.ok();
    assert_eq!(answer, json!({ "user_id": anna.id, "device_id": anna.device, "is_guest": false }));
    second.post("/_matrix/client/v3/logout", json!({})).await.ok();
    assert_eq!(second.get(WHOAMI).await.refused_as("getTokenOwner 401 M_UNKNOWN_TOKEN")["soft_logout"], false);
    third.post("/_matrix/client/v3/logout/all", json!({})).await.ok();
    anna.get(WHOAMI).await.refused(401, "M_UNKNOWN_TOKEN");
    stranger.get(WHOAMI).await.refused(401, "M_MISSING_TOKEN");
    stranger.post("/_matrix/client/v3/logout", json!({})).await.refused(401, "M_MISSING_TOKEN");
}

#[tokio::test]
async fn an_expired_token_is_refreshed_and_the_old_ones_end_with_its_use() {
    let (campus, anna, stranger) = school().await;
    let mut login = password_login("anna", PASSWORD);
    login["refresh_token"] = true.into();
    let session = stranger.post(LOGIN, login).await.ok();
    let first = anna.with_token(&session["access_token"]);
    campus.clock.advance(Duration::from_millis(session["expires_in_ms"].as_u64().expect("an expiry")));
    assert_eq!(first.get(WHOAMI).await.refused(401, "M_UNKNOWN_TOKEN")["soft_logout"], true);

    let refresh = json!({ "refresh_token": session["refresh_token"] });
    let fresh = stranger.post("/_matrix/client/v3/refresh", refresh.clone()).await.ok();
    anna.with_token(&fresh["access_token"]).get(WHOAMI).await.ok();
    stranger.post("/_matrix/client/v3/refresh", refresh).await.refused_as("refresh 401 M_UNKNOWN_TOKEN");
    stranger.post("/_matrix/client/v3/refresh", json!({})).await.refused(400, "M_BAD_JSON");
}

#[tokio::test]
async fn a_login_token_carries_a_session_to_another_device_once() {
    let (_campus, anna, stranger) = school().await;
    let path = "/_matrix/client/v1/login/get_token";
    let asked = anna.post(path, json!({})).await;
    let asked = asked.refused_as("generateLoginToken 401 *");
    assert_eq!(asked["flows"], json!([{ "stages": ["m.login.password"] }]));
    let auth = json!({
        "type": "m.login.password", "password": PASSWORD, "session": asked["session"],
        "identifier": { "type": "m.id.user", "user": "anna" },
    });
    let token = anna.post(path, json!({ "auth": auth })).await.ok()["login_token"].clone();
    let login = json!({ "type": "m.login.token", "token": token });
    assert_eq!(stranger.post(LOGIN, login.clone()).await.ok()["user_id"], anna.id);
    stranger.post(LOGIN, login).await.refused(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn a_locked_person_can_only_log_out() {
    let (campus, anna, stranger) = school().await;
    let accounts = campus.host("alpha.example").server.accounts().clone();
    let id = ruma::UserId::parse(&anna.id).expect("an id");
    accounts.change_user(&id, |user| user.locked = true).await.expect("anna is there");
    assert_eq!(anna.get(WHOAMI).await.refused(401, "M_USER_LOCKED")["soft_logout"], true);
    anna.post("/_matrix/client/v3/logout", json!({})).await.ok();
    stranger.post(LOGIN, password_login("anna", PASSWORD)).await.refused(401, "M_USER_LOCKED");
}
