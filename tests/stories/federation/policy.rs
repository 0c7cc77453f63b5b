//! Rooms that let a policy server judge what is sent. Gamma's router gets an endpoint by which it is one: it signs everything
//! but what looks like spam.

use axum::{Router, extract::State, response::IntoResponse, routing::post};
use http::{Method, StatusCode};
use lyceum_events::{Draft, ServerKey, parse_pdu, redacted};
use ruma::{CanonicalJsonObject, RoomVersionId};
use serde_json::{Value, json};
use std::sync::Arc;

use crate::support::{
    Campus, Person,
    campus::Host,
    encoded,
    peer::{Forged, json_of},
};

const SIGN: &str = "/_matrix/policy/v1/sign";

/// Ann at alpha, Ben at beta and Pia at gamma in one room, whose policy server is gamma.
struct Watched {
    campus: Campus,
    ann: Person,
    ben: Person,
    pia: Person,
    room: String,
}

fn policy_key() -> ServerKey {
    let gamma = "gamma.example".try_into().expect("a name");
    ServerKey::from_seed(gamma, &[77; 32], "policy_server").expect("32 bytes make a key")
}

async fn sign(State(key): State<Arc<ServerKey>>, body: String) -> axum::response::Response {
    let rules = RoomVersionId::V12.rules().expect("a version of the specification");
    let event = parse_pdu(&body, &rules).expect("servers send events");
    if body.contains("spam") {
        let refusal = json!({ "errcode": "M_FORBIDDEN", "error": "That looks like spam" });
        return (StatusCode::BAD_REQUEST, refusal.to_string()).into_response();
    }
    let mut left: CanonicalJsonObject = redacted(&event, &rules).expect("an event can be redacted").object();
    left.remove("signatures");
    key.sign_json(&mut left).expect("it can be signed");
    let signatures = serde_json::to_value(&left["signatures"]).expect("JSON");
    signatures.to_string().into_response()
}

impl Watched {
    async fn begin() -> Self {
        let campus = Campus::of(["alpha.example", "beta.example", "gamma.example"]).await;
        let judge = Router::new().route(SIGN, post(sign)).with_state(Arc::new(policy_key()));
        let gamma = campus.host("gamma.example");
        campus.wires.reach("gamma.example", judge.fallback_service(gamma.router.clone()));
        let ann = campus.person_at("alpha.example", "ann").await;
        let ben = campus.person_at("beta.example", "ben").await;
        let pia = campus.person_at("gamma.example", "pia").await;
        let room = ann.creates_public_room().await;
        for person in [&ben, &pia] {
            let join = format!("/_matrix/client/v3/join/{}?server_name=alpha.example", encoded(&room));
            person.post(&join, json!({})).await.ok();
        }
        let policy = json!({
            "via": "gamma.example", "public_keys": { "ed25519": policy_key().public_key_base64() },
        });
        ann.sets(&room, "m.room.policy", "", policy).await;
        campus.settle().await;
        Self { campus, ann, ben, pia, room }
    }

    fn alpha(&self) -> &Host {
        self.campus.host("alpha.example")
    }

    fn beta(&self) -> &Host {
        self.campus.host("beta.example")
    }

    /// An event of Ben's that no policy server was asked about.
    async fn slips(&self, text: &str) -> lyceum_events::Event {
        let content = json!({ "msgtype": "m.text", "body": text });
        let draft = Draft::message("m.room.message", serde_json::from_value(content).expect("content"));
        self.beta().forges(&self.room, &self.ben.id, draft, Forged { ts: 9, ..Forged::default() }).await
    }
}

fn message(text: &str) -> Value {
    json!({ "msgtype": "m.text", "body": text })
}

#[tokio::test]
async fn what_the_policy_server_recommends_is_sent_with_its_signature() {
    let watched = Watched::begin().await;
    let said = watched.ann.says(&watched.room, "good morning").await;
    watched.ben.sees(&watched.room, "good morning").await;
    for host in [watched.alpha(), watched.beta()] {
        let event = json_of(&host.event(&said).await.expect("the event is here"));
        let signatures = &event["signatures"];
        assert!(signatures["gamma.example"]["ed25519:policy_server"].is_string(), "{signatures}");
        assert!(signatures["alpha.example"].is_object(), "its own signature stays");
    }
    watched.pia.says(&watched.room, "from the judge's own house").await;
    watched.ann.sees(&watched.room, "from the judge's own house").await;
    watched.ben.leaves(&watched.room).await;
    let left = watched.ann.waits_for(&watched.room, |event| event["content"]["membership"] == "leave").await;
    assert!(left.is_some(), "memberships are judged as well");
}

#[tokio::test]
async fn what_it_refuses_is_not_sent_and_its_words_are_handed_on() {
    let watched = Watched::begin().await;
    let path = format!("/_matrix/client/v3/rooms/{}/send/m.room.message/one", encoded(&watched.room));
    let refused = watched.ann.put(&path, message("buy spam")).await.refused(400, "M_FORBIDDEN");
    assert_eq!(refused["error"], "That looks like spam");
    watched.campus.settle().await;
    watched.ben.does_not_see(&watched.room, "buy spam").await;
    watched.ann.does_not_see(&watched.room, "buy spam").await;

    watched.campus.wires.cut("alpha.example", "gamma.example");
    watched.ann.put(&path, message("unheard")).await.refused(403, "M_FORBIDDEN");
    watched.ben.does_not_see(&watched.room, "unheard").await;
    // The policy itself is not judged, so that a room can rid itself of a server that is gone.
    watched.ann.sets(&watched.room, "m.room.policy", "", json!({})).await;
    watched.ann.says(&watched.room, "on our own").await;
    watched.ben.sees(&watched.room, "on our own").await;
}

#[tokio::test]
async fn events_of_others_without_a_signature_are_asked_about_and_kept_out_of_sight_if_refused() {
    let watched = Watched::begin().await;
    let (good, bad) = (watched.slips("harmless").await, watched.slips("more spam").await);
    watched.beta().sends(watched.alpha(), "t1", &[json_of(&good)]).await.ok();
    watched.ann.sees(&watched.room, "harmless").await;
    watched.beta().sends(watched.alpha(), "t2", &[json_of(&bad)]).await.ok();
    assert!(!watched.alpha().has_in_timeline(bad.id().as_str()).await);
    watched.ann.does_not_see(&watched.room, "more spam").await;

    // A signature by another key than the room names recommends nothing.
    let forged = watched.slips("spam in disguise").await;
    let mut json = json_of(&forged);
    json["signatures"]["gamma.example"]["ed25519:policy_server"] = json["signatures"]["beta.example"]
        .as_object()
        .and_then(|all| all.values().next().cloned())
        .expect("a signature");
    watched.beta().sends(watched.alpha(), "t3", &[json]).await.ok();
    assert!(!watched.alpha().has_in_timeline(forged.id().as_str()).await);
}

#[tokio::test]
async fn a_server_that_has_nobody_in_the_room_judges_nothing_there() {
    let watched = Watched::begin().await;
    watched.pia.leaves(&watched.room).await;
    watched.campus.settle().await;
    watched.ann.says(&watched.room, "spam, spam, spam").await;
    watched.ben.sees(&watched.room, "spam, spam, spam").await;
}

#[tokio::test]
async fn this_server_is_no_policy_server_and_says_so() {
    let campus = Campus::of(["alpha.example", "beta.example"]).await;
    let (alpha, beta) = (campus.host("alpha.example"), campus.host("beta.example"));
    beta.asks(alpha, Method::POST, SIGN, Some(json!({})))
        .await
        .refused_as("servers/askPolicyServerToSign 404 M_UNRECOGNIZED");
    alpha.stranger().post(SIGN, json!({})).await.refused(401, "M_UNAUTHORIZED");
    let well_known = "/.well-known/matrix/policy_server";
    alpha.stranger().get(well_known).await.refused_as("getWellknownPolicy 404 *");
    let key = "6yhHGKhCiXTSEN2ksjV7kX/N6rBQZ3Xb+M7LlC6NS+s";
    let campus = Campus::with(["alpha.example"], &format!("well_known.policy_server_key = {key:?}")).await;
    let told = campus.host("alpha.example").stranger().get(well_known).await.ok();
    assert_eq!(told, json!({ "public_keys": { "ed25519": key } }));
}
