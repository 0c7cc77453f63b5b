//! `m.presence`: how people of another server are there.

use lyceum_accounts::STATUS_BYTES_MAX;
use ruma::api::federation::transactions::edu::{PresenceContent, PresenceUpdate};
use std::time::Duration;

use super::Hearing;
use crate::intake::Trouble;

/// People of one unit that are heard of.
const PEOPLE_MAX: usize = 1_000;

impl Hearing<'_> {
    pub(super) async fn presence(self, content: Result<PresenceContent, Trouble>) -> Result<(), Trouble> {
        let mut refused = None;
        for update in content?.push.into_iter().take(PEOPLE_MAX) {
            match self.one_presence(update).await {
                Err(here @ Trouble::Here(_)) => return Err(here),
                Err(there) => refused = Some(there),
                Ok(()) => {}
            }
        }
        refused.map_or(Ok(()), Err)
    }

    async fn one_presence(&self, update: PresenceUpdate) -> Result<(), Trouble> {
        let PresenceUpdate { user_id, presence, status_msg, last_active_ago, currently_active, .. } = update;
        self.check_own(&user_id)?;
        self.check_company(&user_id).await?;
        if status_msg.as_ref().is_some_and(|message| message.len() > STATUS_BYTES_MAX) {
            return Err(Trouble::there("the status message is too long"));
        }
        let ago = if currently_active { Duration::ZERO } else { Duration::from_millis(last_active_ago.into()) };
        self.accounts.presence().receive(&user_id, presence, status_msg, Some(ago));
        Ok(())
    }
}
