//! Profiles of people of other servers.

use lyceum_peers::PeerError;
use lyceum_web::ApiError;
use ruma::UserId;
use serde_json::{Map, Value};
use std::{sync::Arc, time::Duration};

use super::{Remote, memory::Learnt};

/// How long a profile is told without asking again.
const FRESH: Duration = Duration::from_secs(10);
/// How long it is told when its server does not answer.
const BETTER_THAN_NOTHING: Duration = Duration::from_secs(24 * 60 * 60);
/// The largest profile (spec: "MUST be under 64 KiB").
const PROFILE_BYTES_MAX: usize = 64 * 1024;

impl Remote {
    /// The profile of somebody of another server.
    pub(crate) async fn profile(&self, user: &UserId) -> Result<Arc<Map<String, Value>>, ApiError> {
        let (profiles, now) = (self.memory.profiles(), self.clock.monotonic());
        let before = profiles.get(user);
        if let Some(learnt) = before.as_ref().filter(|learnt| learnt.is_within(FRESH, now)) {
            return Ok(learnt.what.clone());
        }
        match self.peers.profile(user.server_name(), user, None).await {
            Ok(profile) if serde_json::to_string(&profile).is_ok_and(|json| json.len() < PROFILE_BYTES_MAX) => {
                let what = Arc::new(profile);
                profiles.insert(user.to_owned(), Learnt { what: what.clone(), at: now });
                Ok(what)
            }
            Ok(_) => Err(ApiError::too_large("The profile is too large").with_status(http::StatusCode::BAD_GATEWAY)),
            Err(PeerError::Refused { status: 404, .. }) => {
                profiles.remove(user);
                Err(ApiError::not_found("There is no such profile"))
            }
            Err(error) => {
                match before.filter(|learnt| error.is_silence() && learnt.is_within(BETTER_THAN_NOTHING, now)) {
                    Some(learnt) => Ok(learnt.what),
                    None => Err(error.into()),
                }
            }
        }
    }
}
