//! Invites by an address of another kind: left in a room, claimed by whoever an identity server says the address is of.

use http::Method;
use lyceum_events::ServerKey;
use lyceum_rooms::Membership;
use ruma::{CanonicalJsonObject, server_name};
use serde_json::{Value, json};

use crate::support::{Campus, Person, campus::Host, encoded};

const ONBIND: &str = "/_matrix/federation/v1/3pid/onbind";
const TOKEN: &str = "abc123";

/// Ann at alpha, who leaves an invite for an address in her room, and Ben at beta, whose the address will be.
struct Left {
    campus: Campus,
    ann: Person,
    ben: Person,
    room: String,
    identity: ServerKey,
}

impl Left {
    async fn begin(how: Value) -> Self {
        let campus = Campus::of(["alpha.example", "beta.example", "gamma.example"]).await;
        let (ann, ben) =
            (campus.person_at("alpha.example", "ann").await, campus.person_at("beta.example", "ben").await);
        let room = ann.creates_room_with(how).await;
        let identity = ServerKey::from_seed(server_name!("id.example").to_owned(), &[9; 32], "0").expect("a key");
        let key = identity.public_key_base64();
        let invite = json!({
            "display_name": "b…@e…", "public_key": key, "key_validity_url": "https://id.example/valid",
            "public_keys": [{ "public_key": key }],
        });
        ann.sets(&room, "m.room.third_party_invite", TOKEN, invite).await;
        Self { campus, ann, ben, room, identity }
    }

    fn host(&self, name: &str) -> &Host {
        self.campus.host(name)
    }

    /// What the identity server signs.
    fn signed(&self, mxid: &str, token: &str) -> Value {
        let object = json!({ "mxid": mxid, "token": token });
        let mut object: CanonicalJsonObject = serde_json::from_value(object).expect("canonical");
        self.identity.sign_json(&mut object).expect("signed");
        serde_json::to_value(object).expect("JSON")
    }

    fn pending(&self) -> Value {
        json!({
            "medium": "email", "address": "ben@example.org", "mxid": self.ben.id, "room_id": self.room,
            "sender": self.ann.id, "signed": self.signed(&self.ben.id, TOKEN),
        })
    }

    fn bound(&self, invites: &[Value]) -> Value {
        json!({ "medium": "email", "address": "ben@example.org", "mxid": self.ben.id, "invites": invites })
    }

    /// What beta asks alpha to complete.
    fn partial(&self) -> Value {
        json!({
            "type": "m.room.member", "room_id": self.room, "sender": self.ann.id, "state_key": self.ben.id,
            "content": {
                "membership": "invite",
                "third_party_invite": { "display_name": "b", "signed": self.signed(&self.ben.id, TOKEN) },
            },
        })
    }

    fn exchange(&self) -> String {
        format!("/_matrix/federation/v1/exchange_third_party_invite/{}", encoded(&self.room))
    }
}

#[tokio::test]
async fn whose_an_address_is_found_to_be_is_invited_by_the_server_of_the_room() {
    let left = Left::begin(json!({})).await;
    let (alpha, beta) = (left.host("alpha.example"), left.host("beta.example"));
    assert_eq!(beta.stranger().put(ONBIND, left.bound(&[left.pending()])).await.ok(), json!({}));
    let sync = left.ben.syncs("timeout=0").await;
    assert!(sync["rooms"]["invite"].get(&left.room).is_some(), "ben should be invited: {sync}");
    assert_eq!(alpha.membership(&left.room, &left.ben.id).await, Membership::Invite);
    let path = format!("/_matrix/client/v3/join/{}", encoded(&left.room));
    left.ben.post(&path, json!({})).await.ok();
    left.ann.says(&left.room, "welcome").await;
    left.ben.sees(&left.room, "welcome").await;
    // Claimed again it is nothing that brings somebody out of the room.
    beta.stranger().put(ONBIND, left.bound(&[left.pending()])).await.refused(403, "M_FORBIDDEN");
    assert_eq!(alpha.membership(&left.room, &left.ben.id).await, Membership::Join);
    left.campus.settle().await;
    alpha.is_sound().await;
}

#[tokio::test]
async fn a_server_that_is_in_the_room_takes_the_claim_up_itself_and_tells_the_others() {
    for version in ["1", "6", "11", "12"] {
        let left = Left::begin(json!({ "preset": "public_chat", "room_version": version })).await;
        let (alpha, beta) = (left.host("alpha.example"), left.host("beta.example"));
        for (server, name) in [("beta.example", "cleo"), ("gamma.example", "dan")] {
            let person = left.campus.person_at(server, name).await;
            let path = format!("/_matrix/client/v3/join/{}?via=alpha.example", encoded(&left.room));
            person.post(&path, json!({})).await.ok();
        }
        left.campus.settle().await;
        beta.stranger().put(ONBIND, left.bound(&[left.pending()])).await.ok();
        left.campus.settle().await;
        for host in [alpha, beta, left.host("gamma.example")] {
            let found = host.membership(&left.room, &left.ben.id).await;
            assert_eq!(found, Membership::Invite, "at {} in version {version}", host.name());
        }
        let path =
            format!("/_matrix/client/v3/rooms/{}/state/m.room.member/{}", encoded(&left.room), encoded(&left.ben.id));
        let shown = left.ann.get(&path).await.ok()["third_party_invite"].clone();
        assert_eq!((&shown["display_name"], &shown["signed"]["token"]), (&json!("b…@e…"), &json!(TOKEN)));
        assert_eq!(left.campus.wires.times_asked("alpha.example", "/_matrix/federation/v1/exchange"), 0);
        alpha.is_sound().await;
    }
}

#[tokio::test]
async fn what_an_identity_server_says_that_makes_no_sense_is_refused() {
    let left = Left::begin(json!({})).await;
    let beta = left.host("beta.example").stranger();
    let with = |field: &str, value: Value| {
        let mut pending = left.pending();
        pending[field] = value;
        left.bound(&[pending])
    };
    for (what, body, status, errcode) in [
        ("no object", json!([]), 400, "M_BAD_JSON"),
        ("no invites", json!({ "mxid": left.ben.id }), 400, "M_BAD_JSON"),
        ("too many", left.bound(&vec![left.pending(); 21]), 400, "M_INVALID_PARAM"),
        ("for somebody else", with("mxid", json!(left.ann.id)), 400, "M_INVALID_PARAM"),
        ("signed for somebody else", with("signed", left.signed(&left.ann.id, TOKEN)), 400, "M_INVALID_PARAM"),
        ("no token", with("signed", json!({ "mxid": left.ben.id })), 400, "M_INVALID_PARAM"),
        ("an unknown token", with("signed", left.signed(&left.ben.id, "other")), 403, "M_FORBIDDEN"),
        ("by one of ours in no room", with("sender", json!("@cat:beta.example")), 404, "M_NOT_FOUND"),
    ] {
        let answer = beta.put(ONBIND, body).await;
        assert_eq!((answer.status, answer.json["errcode"].as_str()), (status, Some(errcode)), "{what}: {answer:?}");
    }
    for nobody in ["@nobody:beta.example", &*left.ann.id] {
        let body = json!({ "medium": "email", "address": "x@example.org", "mxid": nobody, "invites": [] });
        beta.put(ONBIND, body).await.refused(404, "M_NOT_FOUND");
    }
    // Of several the good one is taken all the same.
    let mut bad = left.pending();
    bad["signed"] = left.signed(&left.ben.id, "other");
    beta.put(ONBIND, left.bound(&[bad, left.pending()])).await.refused(403, "M_FORBIDDEN");
    assert_eq!(left.host("alpha.example").membership(&left.room, &left.ben.id).await, Membership::Invite);
}

#[tokio::test]
async fn a_claim_that_does_not_hold_is_refused() {
    let left = Left::begin(json!({})).await;
    let (alpha, beta, gamma) = (left.host("alpha.example"), left.host("beta.example"), left.host("gamma.example"));
    let path = left.exchange();
    let with = |pointer: &str, value: Value| {
        let mut partial = left.partial();
        *partial.pointer_mut(pointer).expect("it is there") = value;
        partial
    };
    let signed = "/content/third_party_invite/signed";
    let mut forged = left.signed(&left.ben.id, TOKEN);
    forged["signatures"]["id.example"]["ed25519:0"] = json!("A".repeat(86));
    for (what, body, status, errcode) in [
        ("no body", json!({}), 400, "M_BAD_JSON"),
        ("another type", with("/type", json!("m.room.name")), 400, "M_INVALID_PARAM"),
        ("another membership", with("/content/membership", json!("join")), 400, "M_INVALID_PARAM"),
        ("another room", with("/room_id", json!("!other:alpha.example")), 400, "M_INVALID_PARAM"),
        ("signed for another", with(signed, left.signed(&left.ann.id, TOKEN)), 400, "M_INVALID_PARAM"),
        ("an unknown token", with(signed, left.signed(&left.ben.id, "other")), 403, "M_FORBIDDEN"),
        ("a forged signature", with(signed, forged), 403, "M_FORBIDDEN"),
        ("left by somebody of another server", with("/sender", json!("@eve:gamma.example")), 403, "M_FORBIDDEN"),
        ("left by somebody else", with("/sender", json!("@cat:alpha.example")), 403, "M_FORBIDDEN"),
    ] {
        let answer = beta.puts(alpha, &path, body).await;
        assert_eq!((answer.status, answer.json["errcode"].as_str()), (status, Some(errcode)), "{what}: {answer:?}");
    }
    gamma.puts(alpha, &path, left.partial()).await.refused(403, "M_FORBIDDEN");
    alpha.stranger().put(&path, left.partial()).await.refused(401, "M_UNAUTHORIZED");
    let as_gamma = ("gamma.example", "alpha.example");
    beta.asks_as(alpha, as_gamma, Method::PUT, &path, Some(left.partial())).await.refused(401, "M_UNAUTHORIZED");
    beta.puts(gamma, &path, with("/sender", json!("@cat:gamma.example"))).await.refused(404, "M_NOT_FOUND");
    let ban = format!("/_matrix/client/v3/rooms/{}/ban", encoded(&left.room));
    left.ann.post(&ban, json!({ "user_id": left.ben.id })).await.ok();
    beta.puts(alpha, &path, left.partial()).await.refused(403, "M_FORBIDDEN");
    assert_eq!(alpha.membership(&left.room, &left.ben.id).await, Membership::Ban);
}
