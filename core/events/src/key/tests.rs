//! Signatures against the specification's test vectors, and the text form of keys.
//! <https://spec.matrix.org/v1.19/appendices/#cryptographic-test-vectors>

use rand::{SeedableRng as _, rngs::StdRng};
use ruma::{MilliSecondsSinceUnixEpoch, UInt, server_name};
use serde_json::{Value, json};

use super::*;
use crate::{PublicKeys, SignatureError, canonical, parse_object, reference_hash, testing::object, verify_json};

const SEED: &str = "YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1";

fn key() -> ServerKey {
    ServerKey::from_text(server_name!("domain").to_owned(), &format!("ed25519 1 {SEED}\n")).unwrap()
}

fn signed(value: &Value) -> String {
    let mut object = object(value);
    key().sign_json(&mut object).unwrap();
    canonical(&object)
}

#[test]
fn json_is_signed_as_the_specification_does() {
    let empty = json!({ "signatures": { "domain": {
        "ed25519:1": "K8280/U9SSy9IVtjBuVeLr+HpOB4BQFWbg+UZaADMtTdGYI7Geitb76LTrr5QV/7Xg4ahLwYGYZzuHGZKM5ZAQ"
    } } });
    assert_eq!(signed(&json!({})), canonical(&object(&empty)));
    let data = json!({ "one": 1, "two": "Two", "signatures": { "domain": {
        "ed25519:1": "KqmLSbO39/Bzb0QIYE82zqLwsA+PDzYIpIRA2sRQ4sL53+sN6/fpNSoqE7BP7vBZhG6kYdD13EIMJpvhJI+6Bw"
    } } });
    assert_eq!(signed(&json!({ "one": 1, "two": "Two" })), canonical(&object(&data)));
}

#[test]
fn events_are_signed_as_the_specification_does() {
    let minimal = json!({
        "room_id": "!x:domain", "sender": "@a:domain", "origin": "domain", "origin_server_ts": 1_000_000,
        "signatures": {}, "hashes": {}, "type": "X", "content": {}, "prev_events": [], "auth_events": [], "depth": 3,
        "unsigned": { "age_ts": 1_000_000 }
    });
    let redactable = json!({
        "content": { "body": "Here is the message content" }, "event_id": "$0:domain", "origin": "domain",
        "origin_server_ts": 1_000_000, "type": "m.room.message", "room_id": "!r:domain", "sender": "@u:domain",
        "signatures": {}, "unsigned": { "age_ts": 1_000_000 }
    });
    let vectors = [
        (
            minimal,
            "5jM4wQpv6lnBo7CLIghJuHdW+s2CMBJPUOGOC89ncos",
            "KxwGjPSDEtvnFgU00fwFz+l6d2pJM6XBIaMEn81SXPTRl16AqLAYqfIReFGZlHi5KLjAWbOoMszkwsQma+lYAg",
        ),
        (
            redactable,
            "onLKD1bGljeBWQhWZ1kaP9SorVmRQNdN5aM2JYU2n/g",
            "Wm+VzmOUOz08Ds+0NTWb1d4CZrVsJSikkeRxh6aCcUwu6pNC78FunoD7KNWzqFn241eYHYMGCA5McEiVPdhzBA",
        ),
    ];
    for (mut event, hash, signature) in vectors {
        let mut ours = object(&event);
        key().sign_event(&mut ours, &RoomVersionRules::V1).unwrap();
        event["hashes"] = json!({ "sha256": hash });
        event["signatures"] = json!({ "domain": { "ed25519:1": signature } });
        assert_eq!(canonical(&ours), canonical(&object(&event)));
        assert_eq!(
            reference_hash(&ours, &RoomVersionRules::V1).unwrap(),
            ruma::signatures::reference_hash(&ours, &RoomVersionRules::V1).unwrap()
        );
    }
}

#[test]
fn a_key_is_the_same_after_its_text_was_read() {
    let made = ServerKey::generate(server_name!("domain").to_owned(), &mut StdRng::seed_from_u64(1));
    let text = made.to_text();
    assert!(text.starts_with("ed25519 a_") && text.ends_with('\n'));
    let read = ServerKey::from_text(server_name!("domain").to_owned(), &text).unwrap();
    assert_eq!((read.id(), read.public_key()), (made.id(), made.public_key()));
    for wrong in ["", "ed25519", "ed25519 a", "rsa a AAAA", "ed25519 a AAAA", "ed25519 a: AAAA", "ed25519 a b c"] {
        assert!(ServerKey::from_text(server_name!("domain").to_owned(), wrong).is_err(), "{wrong:?}");
    }
    let debugged = format!("{made:?}");
    assert!(!debugged.contains(text.split(' ').nth(2).unwrap().trim()), "a secret is never shown");
}

#[test]
fn only_what_the_server_signed_is_vouched_for() {
    let domain = server_name!("domain");
    let at = MilliSecondsSinceUnixEpoch(UInt::from(1_000_u32));
    let later = MilliSecondsSinceUnixEpoch(UInt::from(1_001_u32));
    let mut keys = PublicKeys::default();
    let mut document = parse_object(&signed(&json!({ "one": 1 }))).unwrap();
    assert_eq!(verify_json(&document, domain, &keys, at), Err(SignatureError::UnknownKey(domain.to_owned())));
    assert!(keys.add(domain, "ed25519:1", &key().public_key_base64(), at));
    assert!(!keys.add(domain, "ed25519:2", "AAAA", at));
    assert!(!keys.add(domain, "curve25519:1", &key().public_key_base64(), at));
    assert_eq!(verify_json(&document, domain, &keys, at), Ok(()));
    assert_eq!(verify_json(&document, domain, &keys, later), Err(SignatureError::UnknownKey(domain.to_owned())));
    let other = server_name!("other");
    assert_eq!(verify_json(&document, other, &keys, at), Err(SignatureError::NotSigned(other.to_owned())));
    document.insert("one".to_owned(), "two".into());
    assert_eq!(verify_json(&document, domain, &keys, at), Err(SignatureError::Mismatch(domain.to_owned())));
}
