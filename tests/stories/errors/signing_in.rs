//! Before anybody is signed in: accounts, tokens, and what a server tells of itself.

use http::Method;
use serde_json::json;

use super::{CLIENT, garbles};
use crate::support::Campus;

#[tokio::test]
async fn a_name_that_is_taken_is_not_free() {
    let campus = Campus::of(["alpha"]).await;
    campus.person("anna").await;
    let stranger = campus.host("alpha").stranger();
    let available = format!("{CLIENT}/register/available?username=anna");
    stranger.get(&available).await.refused_as("checkUsernameAvailability 400 M_USER_IN_USE");
}

#[tokio::test]
async fn a_closed_server_takes_no_token() {
    let campus = Campus::with(["alpha"], "registration.mode = \"closed\"").await;
    let stranger = campus.host("alpha").stranger();
    let validity = "/_matrix/client/v1/register/m.login.registration_token/validity?token=welcome";
    stranger.get(validity).await.refused_as("registrationTokenValidity 403 M_FORBIDDEN");
}

#[tokio::test]
async fn a_login_token_is_asked_for_in_json() {
    let campus = Campus::of(["alpha"]).await;
    let anna = campus.person("anna").await;
    let path = "/_matrix/client/v1/login/get_token";
    garbles(&anna, Method::POST, path).await.refused_as("generateLoginToken 400 *");
    anna.post(path, json!({ "auth": 7 })).await.refused_as("generateLoginToken 400 *");
}

#[tokio::test]
async fn what_a_server_does_not_have_it_does_not_tell() {
    let campus = Campus::of(["alpha"]).await;
    let stranger = campus.host("alpha").stranger();
    for (path, refusal) in [
        ("/.well-known/matrix/client", "getWellknown 404 *"),
        ("/.well-known/matrix/support", "getWellknownSupport 404 *"),
        ("/.well-known/matrix/policy_server", "getWellknownPolicy 404 *"),
        ("/_matrix/client/v1/auth_metadata", "getAuthMetadata 404 M_UNRECOGNIZED"),
        ("/_matrix/client/v3/login/sso/redirect/nobody?redirectUrl=https://x.example", "redirectToIdP 404 *"),
    ] {
        stranger.get(path).await.refused_as(refusal);
    }
}
