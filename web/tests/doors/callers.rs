//! Who gets in: tokens, guests, locked and suspended accounts, application services, servers.

use http::{Method, Request, header};
use lyceum_web::WebConfig;
use serde_json::json;

use crate::world::{BRIDGE_TOKEN, World, alice, no_limits, request};

const WHOAMI: &str = "/_matrix/client/v3/account/whoami";

#[tokio::test]
async fn a_token_opens_by_header_or_query() {
    let world = World::new().await;
    let reply = world.alice(Method::GET, WHOAMI, "").await;
    reply.is_ok();
    assert_eq!(reply.json["user_id"], "@alice:test");
    let by_query = format!("{WHOAMI}?access_token={}", world.token);
    world.nobody(Method::GET, &by_query).await.is_ok();
    let lower = Request::get(WHOAMI).header(header::AUTHORIZATION, format!("bearer {}", world.token));
    world.call(lower.body("".into()).expect("a request")).await.is_ok();

    let strict = WebConfig { access_token_in_query: false, ..WebConfig::default() };
    let world = World::with(strict, no_limits()).await;
    let by_query = format!("{WHOAMI}?access_token={}", world.token);
    world.nobody(Method::GET, &by_query).await.is_error(401, "M_MISSING_TOKEN");
}

#[tokio::test]
async fn strangers_are_told_why() {
    let world = World::new().await;
    world.nobody(Method::GET, WHOAMI).await.is_error(401, "M_MISSING_TOKEN");
    let reply = world.call(request(Method::GET, WHOAMI, Some("wrong"), "")).await;
    reply.is_error(401, "M_UNKNOWN_TOKEN");
    assert_eq!(reply.json["soft_logout"], false);
    let basic = Request::get(WHOAMI).header(header::AUTHORIZATION, "Basic YTpi").body("".into()).expect("a request");
    world.call(basic).await.is_error(401, "M_MISSING_TOKEN");
}

#[tokio::test]
async fn guests_go_only_where_they_may() {
    let world = World::new().await;
    let guest = world.accounts.register_guest(None).await.expect("a guest");
    let token = guest.session.expect("guests are signed in").access_token.reveal();
    world.call(request(Method::GET, WHOAMI, Some(&token), "")).await.is_ok();
    let create = request(Method::POST, "/_matrix/client/v3/createRoom", Some(&token), "{}");
    world.call(create).await.is_error(403, "M_GUEST_ACCESS_FORBIDDEN");
}

#[tokio::test]
async fn a_locked_account_can_only_log_out() {
    let world = World::new().await;
    world.accounts.change_user(&alice(), |user| user.locked = true).await.expect("locked");
    let reply = world.alice(Method::GET, WHOAMI, "").await;
    reply.is_error(401, "M_USER_LOCKED");
    assert_eq!(reply.json["soft_logout"], true);
    world.alice(Method::POST, "/_matrix/client/v3/logout", "").await.is_ok();
}

#[tokio::test]
async fn a_suspended_account_is_refused_where_the_route_says_so() {
    let world = World::new().await;
    world.accounts.change_user(&alice(), |user| user.suspended = true).await.expect("suspended");
    world.alice(Method::GET, WHOAMI, "").await.is_ok();
    world.alice(Method::POST, "/_matrix/client/v3/createRoom", "{}").await.is_error(403, "M_USER_SUSPENDED");
}

#[tokio::test]
async fn an_optional_token_must_be_good_if_it_is_there() {
    let world = World::new().await;
    let path = "/_matrix/client/v3/account/deactivate";
    let reply = world.nobody(Method::POST, path).await;
    reply.is_ok();
    assert_eq!(reply.json, json!({ "user": null, "erase": false }));
    let reply = world.alice(Method::POST, path, r#"{"erase":true}"#).await;
    assert_eq!(reply.json, json!({ "user": "@alice:test", "erase": true }));
    world.call(request(Method::POST, path, Some("wrong"), "{}")).await.is_error(401, "M_UNKNOWN_TOKEN");
}

#[tokio::test]
async fn an_application_service_acts_for_itself_and_its_own() {
    let world = World::new().await;
    let call = |path: &str| world.call(request(Method::GET, path, Some(BRIDGE_TOKEN), ""));
    assert_eq!(call(WHOAMI).await.json["user_id"], "@bridge:test");
    let ghost = call(&format!("{WHOAMI}?user_id=%40ghost_one%3Atest")).await;
    assert_eq!(ghost.json["user_id"], "@ghost_one:test");
    call(&format!("{WHOAMI}?user_id=%40alice%3Atest")).await.is_error(403, "M_FORBIDDEN");
    call(&format!("{WHOAMI}?user_id=%40ghost_two%3Atest")).await.is_error(403, "M_FORBIDDEN");
    let device = format!("{WHOAMI}?user_id=%40ghost_one%3Atest&device_id=NONE&org.matrix.msc3202.device_id=NONE");
    call(&device).await.is_error(400, "M_UNKNOWN_DEVICE");
    call(&format!("{WHOAMI}?user_id=nonsense")).await.is_error(400, "M_INVALID_PARAM");

    let ping = "/_matrix/client/v1/appservice/bridge/ping";
    let pinged = world.call(request(Method::POST, ping, Some(BRIDGE_TOKEN), "{}")).await;
    assert_eq!(pinged.json, json!({ "service": "bridge", "path": "bridge" }));
    world.alice(Method::POST, ping, "{}").await.is_error(403, "M_FORBIDDEN");
    world.nobody(Method::POST, ping).await.is_error(401, "M_MISSING_TOKEN");

    let register = "/_matrix/client/v3/register";
    let body = r#"{"username":"ghost_two"}"#;
    let by_bridge = world.call(request(Method::POST, register, Some(BRIDGE_TOKEN), body)).await;
    assert_eq!(by_bridge.json, json!({ "service": "bridge", "name": "ghost_two" }));
    let stale = world.call(request(Method::POST, register, Some("stale"), body)).await;
    assert_eq!(stale.json, json!({ "service": null, "name": "ghost_two" }));
}

#[tokio::test]
async fn a_server_comes_in_by_its_signature() {
    let world = World::new().await;
    let signed = |method: Method, path: &str, key: &str, body: &'static str| {
        let x_matrix = format!(r#"X-Matrix origin="far.example",destination="test",key="{key}",sig="c2ln""#);
        Request::builder().method(method).uri(path).header(header::AUTHORIZATION, x_matrix).body(body.into())
    };
    let event = "/_matrix/federation/v1/event/$some:far.example";
    let reply = world.call(signed(Method::GET, event, "ed25519:good", "").expect("a request")).await;
    assert_eq!(reply.json, json!({ "origin": "far.example", "event": "$some:far.example" }));
    let bad = signed(Method::GET, event, "ed25519:bad", "").expect("a request");
    world.call(bad).await.is_error(401, "M_UNAUTHORIZED");
    world.nobody(Method::GET, event).await.is_error(401, "M_UNAUTHORIZED");
    world.alice(Method::GET, event, "").await.is_error(401, "M_UNAUTHORIZED");

    let send = "/_matrix/federation/v1/send/one";
    let sent = signed(Method::PUT, send, "ed25519:good", r#"{"pdus":[]}"#).expect("a request");
    let reply = world.call(sent).await;
    assert_eq!(reply.json, json!({ "origin": "far.example", "txn": "one", "content": { "pdus": [] } }));
}
