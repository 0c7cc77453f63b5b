//! Signatures of others: which ones something needs, and whether they are theirs.
//! <https://spec.matrix.org/v1.19/appendices/#checking-for-a-signature>

use ed25519_dalek::{Signature, VerifyingKey};
use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedServerName, OwnedUserId,
    ServerName, room_version_rules::RoomVersionRules, signatures::to_canonical_json_string_for_signing,
};
use std::collections::{BTreeSet, HashMap};

use crate::{Event, EventError, key::from_base64, redacted};

/// Why signatures do not vouch for something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// A server that has to sign did not.
    #[error("there is no signature of {0}")]
    NotSigned(OwnedServerName),
    /// None of the keys that the server signed with is known, or was valid then.
    #[error("no key is known that {0} signed with")]
    UnknownKey(OwnedServerName),
    /// A signature is not one.
    #[error("the signature of {0} does not match")]
    Mismatch(OwnedServerName),
    /// What is signed is not what it should be.
    #[error(transparent)]
    Event(#[from] EventError),
}

/// A server's public key.
#[derive(Debug, Clone)]
pub struct PublicKey {
    key: VerifyingKey,
    valid_until: MilliSecondsSinceUnixEpoch,
}

/// Public keys of servers, by their names.
#[derive(Debug, Clone, Default)]
pub struct PublicKeys(HashMap<OwnedServerName, HashMap<String, PublicKey>>);

impl PublicKeys {
    /// Adds a server's key: its name (`ed25519:…`), its public half in base64, and until when it vouches for what is
    /// signed with it: `valid_until_ts` of a current key, `expired_ts` of an old one. Keys of other algorithms and what is
    /// no key are left out, and the answer is `false`.
    pub fn add(&mut self, server: &ServerName, id: &str, key: &str, valid_until: MilliSecondsSinceUnixEpoch) -> bool {
        let bytes = from_base64(key).and_then(|bytes| bytes.try_into().ok());
        bytes.is_some_and(|bytes| self.add_bytes(server, id, &bytes, valid_until))
    }

    /// Adds a server's key by its bytes.
    pub fn add_bytes(
        &mut self,
        server: &ServerName,
        id: &str,
        key: &[u8; 32],
        valid_until: MilliSecondsSinceUnixEpoch,
    ) -> bool {
        let key = id.starts_with("ed25519:").then(|| VerifyingKey::from_bytes(key).ok()).flatten();
        let Some(key) = key else { return false };
        let keys = self.0.entry(server.to_owned()).or_default();
        keys.insert(id.to_owned(), PublicKey { key, valid_until });
        true
    }

    /// Whether a key is there.
    pub fn contains(&self, server: &ServerName, id: &str) -> bool {
        self.get(server, id).is_some()
    }

    fn get(&self, server: &ServerName, id: &str) -> Option<&PublicKey> {
        self.0.get(server)?.get(id)
    }
}

/// Whether a text in base64 is an ed25519 public key.
pub fn is_public_key(text: &str) -> bool {
    let bytes: Option<[u8; 32]> = from_base64(text).and_then(|bytes| bytes.try_into().ok());
    bytes.is_some_and(|bytes| VerifyingKey::from_bytes(&bytes).is_ok())
}

/// The names of the keys with which a server signed an object.
pub fn signed_with<'a>(
    object: &'a CanonicalJsonObject,
    server: &ServerName,
) -> impl Iterator<Item = &'a str> + use<'a> {
    signatures_of(object, server).map(|(id, _)| id)
}

fn signatures_of<'a>(
    object: &'a CanonicalJsonObject,
    server: &ServerName,
) -> impl Iterator<Item = (&'a str, &'a CanonicalJsonValue)> + use<'a> {
    let all = object.get("signatures").and_then(CanonicalJsonValue::as_object);
    let of_server = all.and_then(|all| all.get(server.as_str())?.as_object());
    of_server.into_iter().flatten().map(|(id, signature)| (id.as_str(), signature))
}

/// The servers that must have signed an event.
/// <https://spec.matrix.org/v1.19/server-server-api/#validating-hashes-and-signatures-on-received-events>
pub fn required_servers(
    event: &CanonicalJsonObject,
    rules: &RoomVersionRules,
) -> Result<BTreeSet<OwnedServerName>, EventError> {
    let text = |object: &'_ CanonicalJsonObject, name: &str| match object.get(name) {
        Some(CanonicalJsonValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    let empty = CanonicalJsonObject::new();
    let member = text(event, "type").is_some_and(|kind| kind == "m.room.member");
    let content = event.get("content").and_then(CanonicalJsonValue::as_object).filter(|_| member).unwrap_or(&empty);
    let invite = text(content, "membership").is_some_and(|membership| membership == "invite");
    let mut servers = BTreeSet::new();
    // Who was invited at an address of another kind is invited by the server that knows the address.
    if !(invite && content.contains_key("third_party_invite")) {
        let sender = text(event, "sender").unwrap_or_default();
        servers.insert(OwnedUserId::try_from(sender).map_err(EventError::malformed)?.server_name().to_owned());
    }
    if rules.signatures.check_event_id_server {
        let id = OwnedEventId::try_from(text(event, "event_id").unwrap_or_default()).map_err(EventError::malformed)?;
        let server = id.server_name().ok_or_else(|| EventError::malformed("the event id names no server"))?;
        servers.insert(server.to_owned());
    }
    if rules.signatures.check_join_authorised_via_users_server
        && let Some(user) = text(content, "join_authorised_via_users_server")
    {
        servers.insert(OwnedUserId::try_from(user).map_err(EventError::malformed)?.server_name().to_owned());
    }
    Ok(servers)
}

/// Checks that a server signed an object that is no event: a key document, a request.
pub fn verify_json(
    object: &CanonicalJsonObject,
    server: &ServerName,
    keys: &PublicKeys,
    at: MilliSecondsSinceUnixEpoch,
) -> Result<(), SignatureError> {
    let text = to_canonical_json_string_for_signing(object).map_err(EventError::malformed)?;
    verify_text(&text, object, server, keys, Some(at))
}

/// Whether a server signed an event with one key, which is known. Whatever else signed it does not matter here.
pub fn is_signed_with(event: &Event, rules: &RoomVersionRules, (server, id): (&ServerName, &str), key: &str) -> bool {
    let mut keys = PublicKeys::default();
    let text = redacted(event, rules)
        .and_then(|left| to_canonical_json_string_for_signing(&left.object()).map_err(EventError::malformed));
    keys.add(server, id, key, MilliSecondsSinceUnixEpoch(ruma::UInt::MAX))
        && text.is_ok_and(|text| verify_text(&text, &event.object(), server, &keys, None).is_ok())
}

/// Checks that a server signed a text, with the signatures that stand in `object`. One that holds is enough: anybody can
/// add one that does not. `at` is when the key has to have been valid, if that matters.
pub(crate) fn verify_text(
    text: &str,
    object: &CanonicalJsonObject,
    server: &ServerName,
    keys: &PublicKeys,
    at: Option<MilliSecondsSinceUnixEpoch>,
) -> Result<(), SignatureError> {
    let mut outcome = SignatureError::NotSigned(server.to_owned());
    for (id, signature) in signatures_of(object, server) {
        let usable = |key: &&PublicKey| at.is_none_or(|at| at <= key.valid_until);
        let Some(key) = keys.get(server, id).filter(usable) else {
            if matches!(outcome, SignatureError::NotSigned(_)) {
                outcome = SignatureError::UnknownKey(server.to_owned());
            }
            continue;
        };
        let bytes = signature.as_str().and_then(from_base64);
        let signature = bytes.and_then(|bytes| Signature::from_slice(&bytes).ok());
        if signature.is_some_and(|signature| key.key.verify_strict(text.as_bytes(), &signature).is_ok()) {
            return Ok(());
        }
        outcome = SignatureError::Mismatch(server.to_owned());
    }
    Err(outcome)
}
