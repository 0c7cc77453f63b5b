//! Pure event rules: canonical JSON, hashes, signatures, authorization, state resolution.
//!
//! Nothing here opens a socket, reads a table or asks the time: facts come in, decisions go out. [`Event`] is the one form
//! in which all crates above pass events on. An event comes to be in one of three ways: [`build`] (ours), [`Received`]
//! (another server's, to be verified), [`Event::from_stored`] (from our own store, trusted).
//!
//! Room versions 1 to 12, and those of `versions`. In versions 1 to 5 the specification lets events hold numbers that canonical JSON cannot; such
//! events are refused here as in later versions.

mod authorize;
mod build;
mod canonical;
mod clock;
mod error;
mod event;
mod format;
mod hash;
mod key;
mod received;
mod redact;
mod resolve;
mod verify;
mod versions;

#[cfg(test)]
mod testing;

pub use authorize::{Denied, auth_types, auth_types_of, authorize_by_auth_events, authorize_by_state, create_of};
pub use build::{Draft, Placing, build, countersign, sign, template};
pub use canonical::{JSON_DEPTH_MAX, JsonError, canonical, parse_object, parse_value};
pub use clock::{Clock, ManualClock, Sleep, SystemClock};
pub use error::EventError;
pub use event::Event;
pub use format::{AUTH_EVENTS_MAX, EVENT_BYTES_MAX, ID_BYTES_MAX, PREV_EVENTS_MAX, References, check_format};
pub use hash::{content_hash, event_id, reference_hash, room_id_of_create};
pub use key::ServerKey;
pub use received::{Received, Verified, parse_all, parse_pdu, verify_all};
pub use redact::redacted;
pub use resolve::{Fork, ResolveError, StateMap, missing_from_auth_chains, resolve, resolve_states};
pub use verify::{
    PublicKey, PublicKeys, SignatureError, is_public_key, is_signed_with, required_servers, signed_with, verify_json,
};
pub use versions::{OWNED_STATE, rules_of};
