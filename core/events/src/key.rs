//! This server's signing key.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD_NO_PAD},
};
use ed25519_dalek::{Signer as _, SigningKey};
use rand::CryptoRng;
use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, OwnedServerName, ServerName, room_version_rules::RoomVersionRules,
    signatures::to_canonical_json_string_for_signing,
};
use std::sync::Arc;

use crate::{
    EventError,
    hash::{content_hash, signed_text},
};

/// The key this server signs with, and the name it signs as. Cheap to clone.
#[derive(Clone)]
pub struct ServerKey(Arc<Named>);

struct Named {
    server: OwnedServerName,
    id: String,
    secret: SigningKey,
}

impl ServerKey {
    /// The key made from 32 secret bytes, named `ed25519:<version>`.
    pub fn from_seed(server: OwnedServerName, seed: &[u8; 32], version: &str) -> Result<Self, EventError> {
        let well_named = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if version.is_empty() || !version.chars().all(well_named) {
            return Err(EventError::Malformed(format!("a signing key cannot be named {version:?}")));
        }
        let id = format!("ed25519:{version}");
        Ok(Self(Arc::new(Named { server, id, secret: SigningKey::from_bytes(seed) })))
    }

    /// A new key with a name of its own.
    pub fn generate(server: OwnedServerName, rng: &mut impl CryptoRng) -> Self {
        const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
        let mut seed = [0; 32];
        rng.fill_bytes(&mut seed);
        let name = (0..4).map(|_| char::from(LETTERS[rng.next_u32() as usize % LETTERS.len()]));
        let id = format!("ed25519:a_{}", name.collect::<String>());
        Self(Arc::new(Named { server, id, secret: SigningKey::from_bytes(&seed) }))
    }

    /// The key in the one line of text that key files hold: `ed25519 a_xxxx <seed in base64>`. Other servers' key files
    /// have the same form, so a server that moves here keeps its key.
    pub fn from_text(server: OwnedServerName, text: &str) -> Result<Self, EventError> {
        let mut words = text.split_ascii_whitespace();
        let (Some("ed25519"), Some(version), Some(seed), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(EventError::malformed("a signing key is one line: ed25519 NAME SEED"));
        };
        match from_base64(seed).and_then(|seed| <[u8; 32]>::try_from(seed).ok()) {
            Some(seed) => Self::from_seed(server, &seed, version),
            None => Err(EventError::malformed("the seed of a signing key is 32 bytes in base64")),
        }
    }

    /// The line of text that [`Self::from_text`] reads. It is a secret.
    pub fn to_text(&self) -> String {
        let version = self.0.id.trim_start_matches("ed25519:");
        format!("ed25519 {version} {}\n", STANDARD_NO_PAD.encode(self.0.secret.to_bytes()))
    }

    /// The name it signs as.
    pub fn server(&self) -> &ServerName {
        &self.0.server
    }

    /// The key's name, such as `ed25519:a1`.
    pub fn id(&self) -> String {
        self.0.id.clone()
    }

    pub(crate) fn id_str(&self) -> &str {
        &self.0.id
    }

    /// The public half.
    pub fn public_key(&self) -> [u8; 32] {
        self.0.secret.verifying_key().to_bytes()
    }

    /// The public half as key documents carry it.
    pub fn public_key_base64(&self) -> String {
        STANDARD_NO_PAD.encode(self.public_key())
    }

    /// Signs a text; the signature in base64.
    pub fn sign_text(&self, text: &str) -> String {
        STANDARD_NO_PAD.encode(self.0.secret.sign(text.as_bytes()).to_bytes())
    }

    /// Adds this server's signature to an object.
    pub fn sign_json(&self, object: &mut CanonicalJsonObject) -> Result<(), EventError> {
        let text = to_canonical_json_string_for_signing(object).map_err(EventError::malformed)?;
        self.add_signature(object, &text)
    }

    /// Adds content hash and signature to an event.
    pub fn sign_event(&self, object: &mut CanonicalJsonObject, rules: &RoomVersionRules) -> Result<(), EventError> {
        let hash = content_hash(object)?;
        inner(object, "hashes")?.insert("sha256".to_owned(), hash.into());
        self.countersign(object, rules)
    }

    /// Adds this server's signature to an event that has its hash: what a server does that helps another's user into a
    /// restricted room.
    pub fn countersign(&self, object: &mut CanonicalJsonObject, rules: &RoomVersionRules) -> Result<(), EventError> {
        let text = signed_text(object, rules)?;
        self.add_signature(object, &text)
    }

    fn add_signature(&self, object: &mut CanonicalJsonObject, text: &str) -> Result<(), EventError> {
        let signature = self.sign_text(text);
        let ours = inner(inner(object, "signatures")?, self.0.server.as_str())?;
        ours.insert(self.0.id.clone(), signature.into());
        Ok(())
    }
}

fn inner<'a>(object: &'a mut CanonicalJsonObject, name: &str) -> Result<&'a mut CanonicalJsonObject, EventError> {
    let value = object.entry(name.to_owned()).or_insert_with(|| CanonicalJsonObject::new().into());
    match value {
        CanonicalJsonValue::Object(object) => Ok(object),
        _ => Err(EventError::Malformed(format!("`{name}` is not an object"))),
    }
}

/// Base64 as others write it: padded or not, and with bits left over in the last letter, as in the specification's own
/// test vectors.
const AS_OTHERS_WRITE: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The bytes of a key or a signature.
pub(crate) fn from_base64(text: &str) -> Option<Vec<u8>> {
    AS_OTHERS_WRITE.decode(text).ok()
}

impl std::fmt::Debug for ServerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ServerKey({} {})", self.0.server, self.0.id)
    }
}

#[cfg(test)]
mod tests;
