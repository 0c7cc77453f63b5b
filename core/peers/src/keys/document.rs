//! The document in which a server publishes its keys: read, and believed only as far as its signatures reach. Pure.

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, OwnedServerName, ServerName,
    signatures::{SigningKeyAlgorithm, to_canonical_json_string_for_signing, verify_canonical_json_bytes},
};
use std::collections::BTreeMap;

/// The bytes of an ed25519 public key.
pub(crate) type PublicKey = [u8; 32];

/// Keys of one document that are read; further ones are passed over.
const DOCUMENT_KEYS_MAX: usize = 200;

/// A document of keys, proved to come from the server it names.
#[derive(Debug, Clone)]
pub(crate) struct KeyDocument {
    pub(crate) server: OwnedServerName,
    /// Keys in use.
    pub(crate) current: BTreeMap<String, PublicKey>,
    /// Keys no longer in use, with the time each ended.
    pub(crate) old: BTreeMap<String, (PublicKey, u64)>,
    /// Until when the server says that the keys in use hold.
    pub(crate) valid_until_ms: u64,
    pub(crate) object: CanonicalJsonObject,
}

impl KeyDocument {
    /// Reads a document and checks that one of the keys it publishes signed it.
    pub(crate) fn read(object: CanonicalJsonObject) -> Result<Self, &'static str> {
        let name = object.get("server_name").and_then(CanonicalJsonValue::as_str).ok_or("no server_name")?;
        let server = OwnedServerName::try_from(name).map_err(|_| "server_name is not one")?;
        let valid_until = object.get("valid_until_ts").ok_or("no valid_until_ts")?;
        let document = Self {
            current: keys(&object, "verify_keys").map(|(id, key, _)| (id, key)).collect(),
            old: keys(&object, "old_verify_keys").filter_map(|(id, key, of)| Some((id, (key, expired(of)?)))).collect(),
            valid_until_ms: integer(valid_until).ok_or("valid_until_ts is not a time")?,
            server,
            object,
        };
        let signed = is_signed(&document.object, &document.server, |id| document.current.get(id).copied());
        if signed { Ok(document) } else { Err("not signed by any key it publishes") }
    }
}

/// The usable keys of one of the document's two lists, each with its entry.
fn keys<'a>(
    object: &'a CanonicalJsonObject,
    list: &str,
) -> impl Iterator<Item = (String, PublicKey, &'a CanonicalJsonObject)> + use<'a> {
    let entries = object.get(list).and_then(CanonicalJsonValue::as_object);
    entries.into_iter().flatten().take(DOCUMENT_KEYS_MAX).filter_map(|(id, entry)| {
        let entry = entry.as_object()?;
        let key = public_key(entry.get("key")?.as_str()?)?;
        id.starts_with("ed25519:").then(|| (id.clone(), key, entry))
    })
}

fn expired(entry: &CanonicalJsonObject) -> Option<u64> {
    integer(entry.get("expired_ts")?)
}

fn integer(value: &CanonicalJsonValue) -> Option<u64> {
    value.as_integer().and_then(|value| u64::try_from(i64::from(value)).ok())
}

fn public_key(text: &str) -> Option<PublicKey> {
    STANDARD_NO_PAD.decode(text.trim_end_matches('=')).ok()?.try_into().ok()
}

/// Whether `server` signed the object with at least one of the keys that `key` knows, and with none of them wrongly.
pub(crate) fn is_signed(
    object: &CanonicalJsonObject,
    server: &ServerName,
    key: impl Fn(&str) -> Option<PublicKey>,
) -> bool {
    let Ok(signed) = to_canonical_json_string_for_signing(object) else { return false };
    let known: Vec<_> = signatures(object, server).filter_map(|(id, signature)| Some((key(id)?, signature))).collect();
    let fits = |(key, signature): &(PublicKey, &str)| is_signature(key, signature, signed.as_bytes());
    !known.is_empty() && known.iter().all(fits)
}

/// The signatures of a server under an object, by key.
pub(crate) fn signatures<'a>(
    object: &'a CanonicalJsonObject,
    server: &ServerName,
) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
    let of_server = object.get("signatures").and_then(|all| all.as_object()?.get(server.as_str())?.as_object());
    of_server.into_iter().flatten().filter_map(|(id, signature)| Some((id.as_str(), signature.as_str()?)))
}

/// Whether a signature in base64 over `signed` was made with a key.
pub(crate) fn is_signature(key: &PublicKey, signature: &str, signed: &[u8]) -> bool {
    let Ok(signature) = STANDARD_NO_PAD.decode(signature.trim_end_matches('=')) else { return false };
    verify_canonical_json_bytes(&SigningKeyAlgorithm::Ed25519, key, &signature, signed).is_ok()
}

/// A public key in base64, as documents carry it.
pub(crate) fn encoded(key: &PublicKey) -> String {
    STANDARD_NO_PAD.encode(key)
}
