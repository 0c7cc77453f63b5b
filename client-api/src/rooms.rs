//! Rooms: making them, coming and going, saying and reading things in them.

pub(crate) mod aliases;
pub(crate) mod by_time;
pub(crate) mod create;
pub(crate) mod delayed;
pub(crate) mod directory;
pub(crate) mod join;
pub(crate) mod members;
pub(crate) mod messages;
pub(crate) mod moderation;
pub(crate) mod peek;
pub(crate) mod relations;
pub(crate) mod reports;
pub(crate) mod send;
pub(crate) mod spaces;
pub(crate) mod state;
pub(crate) mod upgrade;

use lyceum_accounts::Session;
use lyceum_events::Clock;
use lyceum_rooms::Looker;
use lyceum_web::ApiError;
use ruma::{CanonicalJsonObject, serde::Raw};
use serde_json::value::RawValue;

/// Who looks: a caller, now.
pub(crate) fn looker<'a>(session: &'a Session, clock: &dyn Clock) -> Looker<'a> {
    let device = session.device_id.as_deref().map(|device| device.as_str());
    Looker { user: &session.user_id, device, now: clock.now(), federated: false }
}

/// Event content as a client sent it, in the form events carry.
fn content<T>(raw: &Raw<T>) -> Result<CanonicalJsonObject, ApiError> {
    serde_json::from_str(raw.json().get()).map_err(|error| ApiError::bad_json(error.to_string()))
}

/// Forms that are JSON already, as ruma's types hold them.
pub(crate) fn raws<T>(forms: Vec<Box<RawValue>>) -> Vec<Raw<T>> {
    forms.into_iter().map(Raw::from_json).collect()
}
