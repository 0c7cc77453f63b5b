//! `m.presence`: how people of another server are there. Each is read by itself, for one that is wrong says nothing of the
//! others.

use lyceum_accounts::{RemotePresence, STATUS_BYTES_MAX};
use ruma::{OwnedUserId, presence::PresenceState};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use std::time::Duration;

use super::{Hearing, parse};
use crate::intake::Trouble;

/// People of one unit that are heard of.
const PEOPLE_MAX: usize = 1_000;

#[derive(Deserialize)]
pub(super) struct Told {
    push: Vec<Box<RawValue>>,
}

/// How one person is there.
#[derive(Deserialize)]
struct Update {
    user_id: OwnedUserId,
    presence: PresenceState,
    status_msg: Option<String>,
    /// Left out of those who never did anything, and negative where clocks differ.
    #[serde(default)]
    last_active_ago: Value,
    currently_active: Option<bool>,
}

impl Hearing<'_> {
    pub(super) async fn presence(self, told: Result<Told, Trouble>) -> Result<(), Trouble> {
        let mut refused = None;
        for update in told?.push.iter().take(PEOPLE_MAX) {
            match self.one_presence(update).await {
                Err(here @ Trouble::Here(_)) => return Err(here),
                Err(there) => refused = Some(there),
                Ok(()) => {}
            }
        }
        refused.map_or(Ok(()), Err)
    }

    async fn one_presence(&self, update: &RawValue) -> Result<(), Trouble> {
        let Update { user_id, presence, status_msg, last_active_ago, currently_active } = parse(update)?;
        self.check_own(&user_id)?;
        self.check_company(&user_id).await?;
        if status_msg.as_ref().is_some_and(|message| message.len() > STATUS_BYTES_MAX) {
            return Err(Trouble::there("the status message is too long"));
        }
        let is_active = currently_active.unwrap_or_default();
        let ago_ms = last_active_ago.as_u64().filter(|_| !is_active).unwrap_or_default();
        let active_ago = Duration::from_millis(ago_ms);
        let said = RemotePresence { state: presence, status_message: status_msg, active_ago, is_active };
        self.accounts.presence().receive(&user_id, said);
        Ok(())
    }
}
