//! What clients are told for calls: credentials for the servers that relay them, and where calls of many people meet.

use axum::extract::State;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac};
use lyceum_events::Clock;
use lyceum_web::{AuthedRaw, RawJson};
use ruma::UserId;
use serde_json::{Value, json};
use sha1::Sha1;
use std::sync::Arc;

use crate::{CallsConfig, answers::Raw};

/// How long credentials are good unless the configuration says otherwise.
const LIFETIME_SECS: u64 = 86_400;

/// `GET /_matrix/client/v3/voip/turnServer`: `{}` where there is none, as clients expect.
pub(crate) async fn get_turn_server_info(
    State(calls): State<Arc<CallsConfig>>,
    State(clock): State<Arc<dyn Clock>>,
    request: AuthedRaw<()>,
) -> Raw {
    RawJson::of(&turn_server(&calls, &request.session.user_id, u64::from(clock.now().get()) / 1_000))
}

/// `GET …/unstable/org.matrix.msc4143/rtc/transports`
pub(crate) async fn rtc_transports(State(calls): State<Arc<CallsConfig>>, _: AuthedRaw<()>) -> Raw {
    RawJson::of(&json!({ "rtc_transports": livekit(&calls) }))
}

/// Where calls of many people meet, as clients are told it.
pub(crate) fn livekit(calls: &CallsConfig) -> Vec<Value> {
    let urls = calls.livekit_service_urls.iter().map(|url| url.as_str().trim_end_matches('/'));
    urls.map(|url| json!({ "type": "livekit", "livekit_service_url": url })).collect()
}

fn turn_server(calls: &CallsConfig, user: &UserId, now_secs: u64) -> Value {
    if calls.turn_uris.is_empty() {
        return json!({});
    }
    let ttl = calls.turn_lifetime_secs.unwrap_or(LIFETIME_SECS);
    let credentials = match &calls.turn_secret {
        Some(secret) => made_for(user, secret, now_secs.saturating_add(ttl)),
        None => calls.turn_username.clone().zip(calls.turn_password.clone()),
    };
    let Some((username, password)) = credentials else { return json!({}) };
    json!({ "username": username, "password": password, "uris": calls.turn_uris, "ttl": ttl })
}

/// The user name that says until when it is good, and the password that proves that it was given out here ("A REST API for
/// access to TURN services", which coturn and its relatives follow).
fn made_for(user: &UserId, secret: &str, until_secs: u64) -> Option<(String, String)> {
    let username = format!("{until_secs}:{user}");
    let mut mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(username.as_bytes());
    Some((username, STANDARD.encode(mac.finalize().into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ruma::user_id;

    fn relay() -> CallsConfig {
        CallsConfig { turn_uris: vec!["turn:turn.example:3478".to_owned()], ..CallsConfig::default() }
    }

    #[test]
    fn credentials_are_made_for_each_person_and_expire() {
        let calls = CallsConfig {
            turn_secret: Some("n0t4ctuAllymatr1Xd0TorgSshar3d5ecret4obvIousreAsons".to_owned()),
            turn_lifetime_secs: Some(86_400),
            ..relay()
        };
        let told = turn_server(&calls, user_id!("@alice:example.org"), 1_443_779_631 - 86_400);
        assert_eq!(told["username"], "1443779631:@alice:example.org");
        // As `openssl dgst -sha1 -hmac` makes it of the two.
        assert_eq!(told["password"], "RObV/dkafD/IeOHskeO0qjbqdxM=");
        assert_eq!((&told["ttl"], &told["uris"]), (&json!(86_400), &json!(["turn:turn.example:3478"])));
    }

    #[test]
    fn one_password_for_all_is_told_as_it_is_and_without_a_relay_nothing() {
        let calls = CallsConfig { turn_username: Some("all".into()), turn_password: Some("known".into()), ..relay() };
        let told = turn_server(&calls, user_id!("@alice:example.org"), 0);
        assert_eq!((&told["username"], &told["password"]), (&json!("all"), &json!("known")));
        assert_eq!(turn_server(&CallsConfig::default(), user_id!("@alice:example.org"), 0), json!({}));
    }
}
