//! Signatures over key objects: reading the key out of a cross-signing object, and checking one signature.

use ruma::{
    CanonicalJsonObject, SigningKeyAlgorithm,
    serde::Base64,
    signatures::{to_canonical_json_string_for_signing, verify_canonical_json_bytes},
};
use serde_json::Value;

use super::Object;
use crate::{AccountError, error::Result};

/// The one key of a cross-signing object: its id (`ed25519:…`) and the key itself.
pub(crate) fn only_key(object: &Object) -> Option<(&str, &str)> {
    let keys = object.get("keys")?.as_object()?;
    let (id, key) = keys.iter().next().filter(|_| keys.len() == 1)?;
    Some((id, key.as_str()?))
}

/// A device's signing key.
pub(crate) fn device_key<'a>(object: &'a Object, device: &str) -> Option<&'a str> {
    object.get("keys")?.get(format!("ed25519:{device}"))?.as_str()
}

/// The signature that `user` made with `key_id` on an object.
pub(crate) fn signature<'a>(object: &'a Object, user: &str, key_id: &str) -> Option<&'a str> {
    object.get("signatures")?.get(user)?.get(key_id)?.as_str()
}

/// Checks a signature over an object by a public key.
pub(crate) fn verify(object: &Object, public_key: &str, signature: &str) -> Result<()> {
    let invalid =
        |why: &dyn std::fmt::Display| AccountError::InvalidSignature(format!("the signature is not valid: {why}"));
    let canonical: CanonicalJsonObject =
        serde_json::from_value(Value::Object(object.clone())).map_err(|error| invalid(&error))?;
    let signed = to_canonical_json_string_for_signing(&canonical).map_err(|error| invalid(&error))?;
    let key = Base64::<ruma::serde::base64::Standard>::parse(public_key).map_err(|error| invalid(&error))?;
    let signature = Base64::<ruma::serde::base64::Standard>::parse(signature).map_err(|error| invalid(&error))?;
    verify_canonical_json_bytes(&SigningKeyAlgorithm::Ed25519, key.as_bytes(), signature.as_bytes(), signed.as_bytes())
        .map_err(|error| invalid(&error))
}

/// Whether two objects are the same but for their signatures and `unsigned`.
pub(crate) fn same_content(one: &Object, other: &Object) -> bool {
    let bare = |object: &Object| {
        let mut object = object.clone();
        object.remove("signatures");
        object.remove("unsigned");
        Value::Object(object)
    };
    bare(one) == bare(other)
}
