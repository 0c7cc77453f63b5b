//! One row: canonical JSON with the hash of the row before, signed.

use lyceum_events::{ServerKey, canonical};
use ruma::CanonicalJsonObject;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Entry;
use crate::{InstitutionError, Result, tables::StoredEnd};

/// The field that holds the signature: it covers all others.
pub(super) const SIGNATURE: &str = "signature";

/// What the verifier reads of a row.
#[derive(Debug, Deserialize)]
pub(super) struct Links {
    pub(super) number: u64,
    pub(super) previous: String,
}

/// The row that follows `end`.
pub(super) fn write(entry: &Entry<'_>, end: &StoredEnd, at_ms: u64, key: &ServerKey) -> Result<String> {
    let mut row = json!({
        "number": end.number + 1,
        "previous": end.hash,
        "at_ms": at_ms,
        "server": key.server(),
        "key": key.id(),
        "who": entry.who.to_string(),
        "act": entry.act,
        "what": entry.what,
    });
    if let Some(over) = &entry.over {
        row["over"] = Value::from(over.as_str());
    }
    if let Some(why) = entry.why {
        row["why"] = Value::from(why);
    }
    let wrong = |error: serde_json::Error| InstitutionError::Wrong(format!("an audit row: {error}"));
    let mut row: CanonicalJsonObject = serde_json::from_value(row).map_err(wrong)?;
    let signature = key.sign_text(&canonical(&row));
    row.insert(SIGNATURE.to_owned(), signature.into());
    Ok(canonical(&row))
}

/// A row's hash, signature included, so that nothing of it can change unseen.
pub(super) fn hash(line: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
    STANDARD_NO_PAD.encode(Sha256::digest(line.as_bytes()))
}
