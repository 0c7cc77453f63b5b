//! Keys between servers: requests believed or not, rotation, notaries, events.

use lyceum_events::{Draft, Placing, Received, ServerKey, Verified, build};
use lyceum_storage::Store;
use ruma::{
    CanonicalJsonObject, MilliSecondsSinceUnixEpoch, OwnedServerName, RoomVersionId, UInt, owned_server_name, room_id,
    server_name,
};
use serde_json::{Value, json, value::RawValue};
use std::{sync::Arc, time::Duration};

use super::Unverified;
use crate::{
    AuthenticationError, Call, Credentials, FederationConfig, PeerError, Peers, Signed, StartError, Target,
    VerifyError, signing, testing::Net,
};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

async fn greet(from: &Peers, to: &str) -> Result<Value, PeerError> {
    let to = OwnedServerName::try_from(to).expect("a server name");
    let call = Call::put(Target::at("/_matrix/federation/v1/x").segment("a/b").query("q", "ü"), &json!({ "é": [1] }));
    from.ask(&to, call.expect("a body")).await
}

fn key(name: &str, n: u8) -> ServerKey {
    let mut seed = [n; 32];
    seed[0] = name.bytes().fold(0, u8::wrapping_add);
    ServerKey::from_seed(OwnedServerName::try_from(name).expect("a name"), &seed, &format!("k{n}")).expect("a key")
}

#[tokio::test]
async fn a_signed_request_is_believed_and_keys_are_fetched_once() {
    let net = Net::new();
    let (alpha, _beta) = (net.server("alpha").await, net.server("beta").await);
    for _ in 0..3 {
        let answer = greet(&alpha, "beta").await.expect("an answer");
        assert_eq!(answer["origin"], "alpha");
        assert_eq!(answer["target"], "/_matrix/federation/v1/x/a%2Fb?q=%C3%BC");
        assert_eq!(answer["body"], json!({ "é": [1] }));
    }
    assert_eq!(net.asked("alpha/_matrix/key/v2/server"), 1);
}

#[tokio::test]
async fn forgeries_are_refused() {
    let net = Net::new();
    let (_alpha, beta) = (net.server("alpha").await, net.server("beta").await);
    let request = Signed { method: "PUT", target: "/x", body: br#"{"a":1}"# };
    let header = |name: &str, n, to: &str, request| {
        let to = OwnedServerName::try_from(to).expect("a name");
        Credentials::parse(&signing::sign(&key(name, n), &to, request).expect("signed")).expect("a header")
    };
    let good = header("alpha", 1, "beta", request);
    assert_eq!(beta.authenticate(request, &good).await.expect("believed"), "alpha");

    let other = Signed { target: "/y", ..request };
    assert!(matches!(beta.authenticate(other, &good).await, Err(AuthenticationError::Signature)));
    let other = Signed { body: br#"{"a":2}"#, ..request };
    assert!(matches!(beta.authenticate(other, &good).await, Err(AuthenticationError::Signature)));
    let other = Signed { body: br#"{"a":1.5}"#, ..request };
    assert!(matches!(beta.authenticate(other, &good).await, Err(AuthenticationError::Signature)));
    let other = Signed { body: br#"{"a":"#, ..request };
    assert!(matches!(beta.authenticate(other, &good).await, Err(AuthenticationError::Body(_))));

    let elsewhere = header("alpha", 1, "gamma", request);
    assert!(matches!(beta.authenticate(request, &elsewhere).await, Err(AuthenticationError::WrongDestination(_))));
    let redirected = Credentials { destination: Some("beta".into()), ..elsewhere };
    assert!(matches!(beta.authenticate(request, &redirected).await, Err(AuthenticationError::Signature)));
    let stolen_name = Credentials { origin: owned_server_name!("alpha"), ..header("mallory", 1, "beta", request) };
    assert!(matches!(beta.authenticate(request, &stolen_name).await, Err(AuthenticationError::Signature)));
    let unknown_key = header("alpha", 2, "beta", request);
    assert!(matches!(beta.authenticate(request, &unknown_key).await, Err(AuthenticationError::NoKey { .. })));
    let nobody = header("nobody", 1, "beta", request);
    assert!(matches!(beta.authenticate(request, &nobody).await, Err(AuthenticationError::NoKey { .. })));
    let myself = header("beta", 1, "beta", request);
    assert!(matches!(beta.authenticate(request, &myself).await, Err(AuthenticationError::Malformed(_))));
}

#[tokio::test]
async fn the_lists_hold_in_both_directions() {
    let net = Net::new();
    let denying = FederationConfig { denied_servers: vec!["al*".into()], ..FederationConfig::default() };
    let (alpha, beta) = (net.server("alpha").await, net.server_with("beta", denying).await);
    assert!(matches!(greet(&beta, "alpha").await, Err(PeerError::NotAllowed(_))));
    let refused = greet(&alpha, "beta").await;
    assert!(matches!(&refused, Err(PeerError::Refused { status: 401, errcode, .. }) if errcode == "M_UNAUTHORIZED"));
    assert_eq!(net.asked("alpha/_matrix/key/v2/server"), 0, "not even its keys are asked for");
    assert!(matches!(greet(&alpha, "alpha").await, Err(PeerError::Myself(_))));
    let dots = Call::get(Target::at("/_matrix/federation/v1/media/download").segment(".."));
    assert!(matches!(alpha.request(server_name!("beta"), dots).await, Err(PeerError::Unsendable(_))));
}

#[tokio::test]
async fn a_silent_server_is_left_alone_until_it_is_heard_of() {
    let net = Net::new();
    let (alpha, beta) = (net.server("alpha").await, net.server("beta").await);
    net.cut("beta");
    assert!(matches!(greet(&alpha, "beta").await, Err(PeerError::Unreachable { .. })));
    net.heal("beta");
    assert!(matches!(greet(&alpha, "beta").await, Err(PeerError::LeftAlone(_))));
    greet(&beta, "alpha").await.expect("beta reaches alpha");
    greet(&alpha, "beta").await.expect("a sign of life ends the pause");
}

#[tokio::test]
async fn rotation_retires_the_old_key_and_others_notice() {
    let net = Net::new();
    let store = Store::memory().await.expect("a store");
    let beta = net.server("beta").await;
    let alpha = net.server_on(&store, "alpha", 1, FederationConfig::default()).await;
    greet(&alpha, "beta").await.expect("with the first key");
    net.pass(HOUR);
    let alpha = net.server_on(&store, "alpha", 2, FederationConfig::default()).await;
    let document = json!(alpha.key_document().expect("a document"));
    assert_eq!(document["old_verify_keys"]["ed25519:k1"]["expired_ts"], 1_700_003_600_000_u64);
    assert!(document["verify_keys"]["ed25519:k2"]["key"].is_string());
    greet(&alpha, "beta").await.expect("with the second key");
    let request = Signed { method: "GET", target: "/x", body: b"" };
    let header = signing::sign(&key("alpha", 1), server_name!("beta"), request).expect("signed");
    let old = beta.authenticate(request, &Credentials::parse(&header).expect("a header")).await;
    assert!(matches!(old, Err(AuthenticationError::NoKey { .. })), "an old key signs no requests: {old:?}");

    let reused = ServerKey::from_seed(owned_server_name!("alpha"), &[9; 32], "k1").expect("a key");
    let clash = super::OwnKeys::start(&store, reused, Arc::new(net.clock.clone())).await;
    assert!(matches!(clash, Err(StartError::KeyNameTaken(id)) if id == "ed25519:k1"));
}

#[tokio::test]
async fn keys_outlive_a_restart_and_are_refreshed_when_they_age() {
    let net = Net::new();
    let store = Store::memory().await.expect("a store");
    let alpha = net.server("alpha").await;
    net.server_on(&store, "beta", 1, FederationConfig::default()).await;
    greet(&alpha, "beta").await.expect("an answer");
    net.server_on(&store, "beta", 1, FederationConfig::default()).await;
    greet(&alpha, "beta").await.expect("an answer");
    assert_eq!(net.asked("alpha/_matrix/key/v2/server"), 1, "remembered over a restart");
    net.pass(DAY + HOUR);
    greet(&alpha, "beta").await.expect("an answer");
    assert_eq!(net.asked("alpha/_matrix/key/v2/server"), 2, "expired, so fetched again");
}

fn event(name: &str, n: u8, version: &RoomVersionId, ts: u64) -> Unverified {
    let rules = version.rules().expect("a known version");
    let sender = ruma::UserId::parse(format!("@u:{name}")).expect("a user");
    let placing = Placing {
        room_id: Some(room_id!("!r:alpha")),
        sender: &sender,
        ts: MilliSecondsSinceUnixEpoch(UInt::new_saturating(ts)),
        prev_events: vec![],
        auth_events: vec![],
        depth: 1,
        local_id: "x",
    };
    let draft = Draft::message("m.room.message", CanonicalJsonObject::from([("body".into(), "hi".to_owned().into())]));
    let event = build(draft, &placing, &rules, &key(name, n)).expect("an event");
    let event = Received::parse(event.json(), &rules).expect("an event");
    Unverified { event, rules: Arc::new(rules) }
}

async fn verdict(peers: &Peers, event: Unverified) -> Result<Verified, VerifyError> {
    let mut verdicts = peers.verify_events(vec![event]).await.expect("verdicts");
    verdicts.remove(0)
}

#[tokio::test]
async fn events_are_checked_many_at_once() {
    let net = Net::new();
    let (alpha, _, _) = (net.server("alpha").await, net.server("beta").await, net.server("gamma").await);
    let now = 1_700_000_000_000;
    let mut events: Vec<_> =
        (0..40).map(|n| event(["alpha", "beta", "gamma"][n % 3], 1, &RoomVersionId::V11, now)).collect();
    let mut change = |at: usize, field: &str, value: ruma::CanonicalJsonValue| {
        let mut object = events[at].event.object().clone();
        object.insert(field.to_owned(), value);
        events[at].event = Received::from_object(object, &events[at].rules).expect("an event");
    };
    change(7, "origin_server_ts", ruma::CanonicalJsonValue::Integer(5.into()));
    change(8, "content", CanonicalJsonObject::from([("body".into(), "x".to_owned().into())]).into());
    let verdicts = alpha.verify_events(events).await.expect("verdicts");
    for (at, verdict) in verdicts.iter().enumerate() {
        match at {
            7 => assert!(matches!(verdict, Err(VerifyError::Signature(_))), "{verdict:?}"),
            8 => assert!(matches!(verdict, Ok(Verified::Redacted(_))), "{verdict:?}"),
            _ => assert!(matches!(verdict, Ok(Verified::Whole(_))), "{verdict:?}"),
        }
    }
    assert_eq!(net.asked("/_matrix/key/v2/server"), 2, "one question for each other server");
}

#[tokio::test]
async fn very_many_events_are_believed_part_by_part() {
    let net = Net::new();
    let (alpha, _) = (net.server("alpha").await, net.server("beta").await);
    let now = 1_700_000_000_000;
    let one = |n: u64| event("beta", 1, &RoomVersionId::V11, now + n).event;
    let text = |event: &Received| RawValue::from_string(event.event().json().to_owned()).expect("JSON");
    let mut sent: Vec<_> = (0..7).map(one).map(|event| text(&event)).collect();
    let forged = event("beta", 2, &RoomVersionId::V11, now + 100).event;
    sent.insert(2, RawValue::from_string("{}".to_owned()).expect("JSON"));
    sent.insert(4, text(&forged));
    sent.push(text(&one(0)));
    let rules = Arc::new(RoomVersionId::V11.rules().expect("a known version"));
    let mut reading = alpha.begin_reading(Some(server_name!("beta")), sent, &rules).await.expect("read");
    let ids = reading.ids().to_vec();
    assert_eq!((ids.len(), &ids[2], &ids[9]), (10, &None, &ids[0]), "in the places of what was sent");
    let last = ids[1].clone().expect("an event");
    reading.put_last(|event| *event.id() == last);
    let (mut sizes, mut believed) = (Vec::new(), Vec::new());
    while let Some(part) = reading.next(3).await.expect("checked") {
        sizes.push(part.len());
        believed.extend(part.iter().map(|event| Some(event.id().clone())));
    }
    assert_eq!(sizes, [2, 3, 2], "each event is checked once, and the forged one left out");
    let expected: Vec<_> = [0, 3, 5, 6, 7, 8, 1].map(|at| ids[at].clone()).into();
    assert_eq!(believed, expected);
    assert_eq!(net.asked("/_matrix/key/v2/server"), 1, "keys are fetched once for all");
}

#[tokio::test]
async fn a_key_must_have_held_at_the_time_since_version_five() {
    let net = Net::new();
    let store = Store::memory().await.expect("a store");
    let alpha = net.server("alpha").await;
    net.server_on(&store, "beta", 1, FederationConfig::default()).await;
    net.pass(HOUR);
    net.server_on(&store, "beta", 2, FederationConfig::default()).await;
    let retired = 1_700_003_600_000;
    assert!(verdict(&alpha, event("beta", 1, &RoomVersionId::V5, retired)).await.is_ok());
    let late = verdict(&alpha, event("beta", 1, &RoomVersionId::V5, retired + 1)).await;
    assert!(matches!(late, Err(VerifyError::NoKey(_))), "{late:?}");
    assert!(verdict(&alpha, event("beta", 1, &RoomVersionId::V4, retired + 1)).await.is_ok());
    assert!(verdict(&alpha, event("beta", 2, &RoomVersionId::V12, retired + 1)).await.is_ok());
}

#[tokio::test]
async fn a_notary_vouches_for_a_server_that_is_gone() {
    let net = Net::new();
    let config = FederationConfig { key_servers: vec![owned_server_name!("notary")], ..FederationConfig::default() };
    let alpha = net.server_with("alpha", config).await;
    let (beta, _notary) = (net.server("beta").await, net.server("notary").await);
    greet(&beta, "notary").await.expect("the notary meets beta");
    net.cut("beta");
    assert!(verdict(&alpha, event("beta", 1, &RoomVersionId::V11, 1_700_000_000_000)).await.is_ok());
    let unknown = verdict(&alpha, event("gone", 1, &RoomVersionId::V11, 1_700_000_000_000)).await;
    assert!(matches!(unknown, Err(VerifyError::NoKeyYet(_))), "{unknown:?}");
    net.pass(DAY + HOUR);
    let lost = verdict(&alpha, event("gone", 1, &RoomVersionId::V11, 1_700_000_000_000)).await;
    assert!(matches!(lost, Err(VerifyError::NoKey(_))), "{lost:?}");
}

async fn joined(peers: &Peers, resident: &Peers, event: &Unverified) -> Option<usize> {
    let sent = RawValue::from_string(event.event.event().json().to_owned()).expect("JSON");
    let reading = peers.begin_reading(Some(resident.server()), vec![sent], &event.rules).await;
    reading.expect("read").next(1).await.expect("checked").map(|believed| believed.len())
}

#[tokio::test]
async fn who_helps_into_a_room_tells_the_keys_of_servers_that_are_gone_for_that_room_only() {
    let net = Net::new();
    let (alpha, beta, gamma) = (net.server("alpha").await, net.server("beta").await, net.server("gamma").await);
    greet(&beta, "gamma").await.expect("gamma meets beta");
    net.cut("beta");
    let said = || event("beta", 1, &RoomVersionId::V11, 1_700_000_000_000);
    assert_eq!(joined(&alpha, &gamma, &said()).await, Some(1));
    let elsewhere = verdict(&alpha, said()).await;
    assert!(matches!(elsewhere, Err(VerifyError::NoKeyYet(_))), "{elsewhere:?}");
    let request = Signed { method: "GET", target: "/x", body: b"" };
    let header = signing::sign(&key("beta", 1), server_name!("alpha"), request).expect("signed");
    let request = alpha.authenticate(request, &Credentials::parse(&header).expect("a header")).await;
    assert!(matches!(request, Err(AuthenticationError::NoKey { .. })), "hearsay is no key: {request:?}");
}

/// What gamma would have to say to speak for beta: a document of its own making, as a notary hands it out.
#[tokio::test]
async fn nobody_speaks_for_a_server_whose_keys_are_known() {
    let net = Net::new();
    let (alpha, beta, gamma) = (net.server("alpha").await, net.server("beta").await, net.server("gamma").await);
    greet(&beta, "alpha").await.expect("alpha meets beta");
    // Gamma believes that this is beta.
    let impostor =
        net.server_on(&Store::memory().await.expect("a store"), "beta", 2, FederationConfig::default()).await;
    greet(&impostor, "gamma").await.expect("gamma meets the impostor");
    net.cut("beta");
    let forged = event("beta", 2, &RoomVersionId::V11, 1_700_000_000_000);
    assert_eq!(joined(&alpha, &gamma, &forged).await, Some(0));
    let verdict = verdict(&alpha, forged).await;
    assert!(verdict.is_err(), "{verdict:?}");
}
