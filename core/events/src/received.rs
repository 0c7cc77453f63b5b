//! Events as other servers send them: read strictly, hashed once, and believed only when they are signed by those who must.

use rayon::prelude::*;
use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, OwnedServerName, ServerName,
    canonical_json::redact_in_place,
    room_version_rules::{EventIdFormatVersion, RoomVersionRules},
};
use std::collections::BTreeSet;

use crate::{
    Event, EventError, PublicKeys, SignatureError,
    canonical::{canonical, parse_object},
    format::{EVENT_BYTES_MAX, References, check_fields},
    hash::{event_id, hash_matches, id_of_text, signed_text},
    required_servers,
    verify::verify_text,
};

/// An event that was received and has an event's form, but whose signatures nobody looked at yet.
#[derive(Debug, Clone)]
pub struct Received {
    event: Event,
    object: CanonicalJsonObject,
    unsigned: Option<CanonicalJsonObject>,
    signed_text: String,
    hash_matches: bool,
    required: BTreeSet<OwnedServerName>,
}

/// An event whose signatures hold.
#[derive(Debug, Clone)]
pub enum Verified {
    /// It has the content it was signed with.
    Whole(Event),
    /// Its content is another than the one it was signed with, so only what the signatures cover is kept.
    Redacted(Event),
}

impl Verified {
    /// The event to go on with.
    pub fn into_event(self) -> Event {
        match self {
            Self::Whole(event) | Self::Redacted(event) => event,
        }
    }
}

/// An event from the JSON another server sent, its signatures not checked.
pub fn parse_pdu(text: &str, rules: &RoomVersionRules) -> Result<Event, EventError> {
    Received::parse(text, rules).map(|received| received.event)
}

/// Reads many events on all cores, in their order.
pub fn parse_all<T: AsRef<str> + Sync>(
    texts: &[T],
    rules: &RoomVersionRules,
    named: References,
) -> Vec<Result<Received, EventError>> {
    texts.par_iter().map(|text| Received::parse_naming(text.as_ref(), rules, named)).collect()
}

/// Verifies many events on all cores, in their order.
pub fn verify_all(
    events: Vec<Received>,
    keys: &PublicKeys,
    rules: &RoomVersionRules,
) -> Vec<Result<Verified, SignatureError>> {
    events.into_par_iter().map(|received| received.verify(keys, rules)).collect()
}

impl Received {
    /// Reads an event's JSON. What it has in `unsigned` is kept apart: nobody vouches for it.
    pub fn parse(text: &str, rules: &RoomVersionRules) -> Result<Self, EventError> {
        Self::parse_naming(text, rules, References::Limited)
    }

    /// The same, where an event may name so many others.
    pub fn parse_naming(text: &str, rules: &RoomVersionRules, named: References) -> Result<Self, EventError> {
        // White space and escapes can be left out in the canonical form, but not to any extent.
        if text.len() > 4 * EVENT_BYTES_MAX {
            return Err(EventError::TooLarge);
        }
        Self::read(parse_object(text)?, rules, named)
    }

    /// An event from JSON that was read strictly already.
    pub fn from_object(object: CanonicalJsonObject, rules: &RoomVersionRules) -> Result<Self, EventError> {
        Self::read(object, rules, References::Limited)
    }

    fn read(mut object: CanonicalJsonObject, rules: &RoomVersionRules, named: References) -> Result<Self, EventError> {
        if canonical(&object).len() > EVENT_BYTES_MAX {
            return Err(EventError::TooLarge);
        }
        check_fields(&object, rules, named)?;
        let unsigned = match object.remove("unsigned") {
            Some(CanonicalJsonValue::Object(unsigned)) => Some(unsigned),
            _ => None,
        };
        let signed_text = signed_text(&object, rules)?;
        let id = match rules.event_id_format {
            EventIdFormatVersion::V1 => event_id(&object, rules)?,
            _ => id_of_text(&signed_text, rules)?,
        };
        Ok(Self {
            event: Event::from_stored(id, canonical(&object).into_boxed_str(), rules)?,
            hash_matches: hash_matches(&object)?,
            required: required_servers(&object, rules)?,
            object,
            unsigned,
            signed_text,
        })
    }

    /// The event, which nobody vouches for yet.
    pub fn event(&self) -> &Event {
        &self.event
    }

    /// Its JSON, without `unsigned`.
    pub fn object(&self) -> &CanonicalJsonObject {
        &self.object
    }

    /// What came with it in `unsigned`.
    pub fn unsigned(&self) -> Option<&CanonicalJsonObject> {
        self.unsigned.as_ref()
    }

    /// The servers that must have signed it.
    pub fn required_servers(&self) -> &BTreeSet<OwnedServerName> {
        &self.required
    }

    /// The same, without asking for the signature of a server that is yet to sign.
    #[must_use]
    pub fn yet_to_be_signed_by(mut self, server: &ServerName) -> Self {
        self.required.remove(server);
        self
    }

    /// Checks the signatures of all who must sign, then the content hash.
    pub fn verify(self, keys: &PublicKeys, rules: &RoomVersionRules) -> Result<Verified, SignatureError> {
        let at = rules.enforce_key_validity.then(|| self.event.ts());
        for server in &self.required {
            verify_text(&self.signed_text, &self.object, server, keys, at)?;
        }
        if self.hash_matches {
            return Ok(Verified::Whole(self.event));
        }
        let mut left = self.object;
        redact_in_place(&mut left, &rules.redaction, None).map_err(EventError::malformed)?;
        let json = canonical(&left).into_boxed_str();
        Ok(Verified::Redacted(Event::from_stored(self.event.id().clone(), json, rules)?))
    }
}

#[cfg(test)]
mod tests;
