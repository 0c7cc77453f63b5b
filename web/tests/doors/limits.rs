//! Too many requests: who is counted with whom, when it goes on, and who is exempt.

use http::{Method, header};
use lyceum_accounts::RateOverride;
use lyceum_web::{ClientLimit, Family, Limit, RateLimits, WebConfig, Who};
use std::time::Duration;

use crate::world::{BRIDGE_TOKEN, World, no_limits, request};

const SEND: &str = "/_matrix/client/v3/rooms/!r:test/send/m.room.message/one";
const REGISTER: &str = "/_matrix/client/v3/register";

fn two_then_one_in_ten_seconds() -> RateLimits {
    let limit = Limit { per_second: 0.1, burst: 2 };
    let tight = ClientLimit { user: limit, address: limit };
    RateLimits { send: tight, registration: tight, login: tight, ..RateLimits::default() }
}

#[tokio::test]
async fn the_third_at_once_waits() {
    let world = World::with(WebConfig::default(), two_then_one_in_ten_seconds()).await;
    world.alice(Method::PUT, SEND, "{}").await.is_ok();
    world.alice(Method::PUT, SEND, "{}").await.is_ok();
    let refused = world.alice(Method::PUT, SEND, "{}").await;
    refused.is_error(429, "M_LIMIT_EXCEEDED");
    assert_eq!(refused.json["retry_after_ms"], 10_000);
    assert_eq!(refused.headers[header::RETRY_AFTER], "10");

    let bob = world.sign_up("bob").await;
    world.call(request(Method::PUT, SEND, Some(&bob), "{}")).await.is_ok();
    world.clock.advance(Duration::from_millis(9_999));
    world.alice(Method::PUT, SEND, "{}").await.is_error(429, "M_LIMIT_EXCEEDED");
    world.clock.advance(Duration::from_millis(1));
    world.alice(Method::PUT, SEND, "{}").await.is_ok();
}

#[tokio::test]
async fn nobody_is_counted_by_address() {
    let proxied = WebConfig { trusted_proxies: vec!["203.0.113.0/24".parse().expect("a range")], ..Default::default() };
    let world = World::with(proxied, two_then_one_in_ten_seconds()).await;
    let from = |address: &'static str| {
        let mut asked = request(Method::POST, REGISTER, None, "{}");
        asked.headers_mut().insert("x-forwarded-for", address.parse().expect("a header"));
        world.call(asked)
    };
    from("198.51.100.1").await.is_ok();
    from("198.51.100.1").await.is_ok();
    from("198.51.100.1").await.is_error(429, "M_LIMIT_EXCEEDED");
    from("198.51.100.2").await.is_ok();
    from("2001:db8::1").await.is_ok();
    from("2001:db8::2").await.is_ok();
    from("2001:db8::3").await.is_error(429, "M_LIMIT_EXCEEDED");
}

#[tokio::test]
async fn application_services_are_exempt() {
    let world = World::with(WebConfig::default(), two_then_one_in_ten_seconds()).await;
    for _ in 0..10 {
        world.call(request(Method::PUT, SEND, Some(BRIDGE_TOKEN), "{}")).await.is_ok();
        world.call(request(Method::POST, REGISTER, Some(BRIDGE_TOKEN), "{}")).await.is_ok();
    }
}

#[tokio::test]
async fn limits_are_replaced_while_running() {
    let world = World::with(WebConfig::default(), no_limits()).await;
    for _ in 0..10 {
        world.alice(Method::PUT, SEND, "{}").await.is_ok();
    }
    world.web.set_rate_limits(&two_then_one_in_ten_seconds());
    for _ in 0..2 {
        world.alice(Method::PUT, SEND, "{}").await.is_ok();
        world.web.set_rate_limits(&two_then_one_in_ten_seconds());
    }
    world.alice(Method::PUT, SEND, "{}").await.is_error(429, "M_LIMIT_EXCEEDED");
}

#[tokio::test]
async fn a_tried_account_has_a_bucket_of_its_own() {
    let world = World::with(WebConfig::default(), two_then_one_in_ten_seconds()).await;
    let try_account = |name| world.web.check_limit(Family::Login, Who::Account(name));
    assert!(try_account("alice").is_ok() && try_account("alice").is_ok());
    assert!(try_account("alice").is_err());
    assert!(try_account("bob").is_ok());
}

#[tokio::test]
async fn single_people_have_limits_of_their_own_where_administrators_said_so() {
    let world = World::with(WebConfig::default(), two_then_one_in_ten_seconds()).await;
    let (alice, _) = (ruma::user_id!("@alice:test"), world.sign_up("bob").await);
    let says = |messages_per_second, burst_count| Some(RateOverride { messages_per_second, burst_count });
    world.accounts.set_rate_override(alice, says(1, 3)).await.expect("alice has an account");
    for _ in 0..3 {
        world.alice(Method::PUT, SEND, "{}").await.is_ok();
    }
    let refused = world.alice(Method::PUT, SEND, "{}").await;
    refused.is_error(429, "M_LIMIT_EXCEEDED");
    assert_eq!(refused.json["retry_after_ms"], 1_000);

    world.accounts.set_rate_override(alice, says(0, 0)).await.expect("alice has an account");
    for _ in 0..20 {
        world.alice(Method::PUT, SEND, "{}").await.is_ok();
    }
    world.accounts.set_rate_override(alice, None).await.expect("alice has an account");
    world.alice(Method::PUT, SEND, "{}").await.is_ok();
    world.alice(Method::PUT, SEND, "{}").await.is_ok();
    world.alice(Method::PUT, SEND, "{}").await.is_error(429, "M_LIMIT_EXCEEDED");
}
