//! What is asked of servers that send e-mails or sign people in elsewhere, and the pages that clients open in a browser.

use serde_json::json;

use crate::support::{Campus, campus::PASSWORD};

#[tokio::test]
async fn addresses_are_refused_in_the_specification_s_words() {
    let campus = Campus::of(["alpha.example"]).await;
    let (anna, stranger) = (campus.person("anna").await, campus.host("alpha.example").stranger());
    let asked = json!({ "client_secret": "s", "send_attempt": 1, "email": "anna@alpha.example" });
    for path in ["account/3pid/email", "account/3pid/msisdn", "register/email", "register/msisdn"] {
        let path = format!("/_matrix/client/v3/{path}/requestToken");
        stranger.post(&path, asked.clone()).await.refused(403, "M_THREEPID_DENIED");
        stranger.post(&path, json!({})).await.refused(400, "M_MISSING_PARAM");
    }
    for medium in ["email", "msisdn"] {
        let path = format!("/_matrix/client/v3/account/password/{medium}/requestToken");
        stranger.post(&path, asked.clone()).await.refused(400, "M_THREEPID_NOT_FOUND");
        stranger.post(&path, json!({ "client_secret": "s" })).await.refused(400, "M_MISSING_PARAM");
    }
    let account = |path: &str| format!("/_matrix/client/v3/account/3pid{path}");
    let add = json!({ "client_secret": "s", "sid": "1" });
    anna.post(&account(""), json!({ "three_pid_creds": {} })).await.refused_as("post3PIDs 403 M_THREEPID_AUTH_FAILED");
    let asked = anna.post(&account("/add"), add.clone()).await.refused_as("add3PID 401 *");
    let mut confirmed = add.clone();
    confirmed["auth"] = json!({ "type": "m.login.password", "password": PASSWORD, "session": asked["session"] });
    anna.post(&account("/add"), confirmed).await.refused(400, "M_THREEPID_AUTH_FAILED");
    let mut bind = add.clone();
    bind["id_server"] = "id.example".into();
    bind["id_access_token"] = "t".into();
    anna.post(&account("/bind"), bind.clone()).await.refused(400, "M_SERVER_NOT_TRUSTED");
    let address = json!({ "medium": "email", "address": "anna@alpha.example" });
    for path in ["/delete", "/unbind"] {
        let answer = anna.post(&account(path), address.clone()).await.ok();
        assert_eq!(answer["id_server_unbind_result"], "no-support");
        stranger.post(&account(path), address.clone()).await.refused(401, "M_MISSING_TOKEN");
    }
    for (path, body) in [("", json!({})), ("/add", add), ("/bind", bind)] {
        stranger.post(&account(path), body).await.refused(401, "M_MISSING_TOKEN");
    }
}

#[tokio::test]
async fn clients_are_told_that_people_sign_in_here() {
    let campus = Campus::of(["alpha.example"]).await;
    let stranger = campus.host("alpha.example").stranger();
    for path in ["v1", "unstable/org.matrix.msc2965"] {
        stranger.get(&format!("/_matrix/client/{path}/auth_metadata")).await.refused(404, "M_UNRECOGNIZED");
    }
    let page = stranger.get("/_matrix/static/client/login/").await;
    assert_eq!((page.status, &page.headers["content-type"]), (200, &"text/html; charset=utf-8".parse().unwrap()));
    let text = String::from_utf8(page.bytes).expect("a page is text");
    assert!(text.contains("matrixLogin.onLogin"), "the client is told of the sign-in");
    assert!(page.headers["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
}

#[tokio::test]
async fn a_stage_done_in_a_browser_lets_the_request_go_on() {
    let campus = Campus::with(["alpha.example"], "registration.mode = \"token\"").await;
    let host = campus.host("alpha.example");
    let stranger = host.stranger();
    let (token, _) = host.server.accounts().create_registration_token(None, None, None, None).await.expect("a token");
    let wish = json!({ "username": "anna", "password": "long enough" });
    let begun = stranger.post("/_matrix/client/v3/register", wish.clone()).await;
    let session = begun.json["session"].as_str().expect("a session").to_owned();
    let stage = |kind: &str, session: &str| {
        format!("/_matrix/client/v3/auth/{kind}/fallback/web?session={}", crate::support::encoded(session))
    };
    let path = stage("m.login.registration_token", &session);
    let page = stranger.get(&path).await;
    assert_eq!(page.status, 200);
    assert!(String::from_utf8_lossy(&page.bytes).contains("onAuthDone"), "the client is told when it is done");

    stranger.post(&path, json!({ "token": "made up" })).await.refused(403, "M_FORBIDDEN");
    stranger.post(&stage("m.login.dummy", &session), json!({})).await.refused(403, "M_FORBIDDEN");
    let mut again = wish;
    again["auth"] = json!({ "session": session });
    assert_eq!(stranger.post("/_matrix/client/v3/register", again.clone()).await.status, 401, "not done yet");
    stranger.post(&path, json!({ "token": token })).await.ok();
    let made = stranger.post("/_matrix/client/v3/register", again).await.ok();
    assert_eq!(made["user_id"], "@anna:alpha.example");

    stranger.post(&path, json!({ "token": token })).await.refused(404, "M_NOT_FOUND");
    stranger.get(&stage("m.login.recaptcha", &session)).await.refused(404, "M_UNRECOGNIZED");
    stranger.get("/_matrix/client/v3/auth/m.login.dummy/fallback/web").await.refused(400, "M_MISSING_PARAM");
}
