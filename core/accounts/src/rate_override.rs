//! How often single people may act, where administrators have said so: instead of what holds for everybody.

use lyceum_storage::Batch;
use ruma::UserId;
use serde::{Deserialize, Serialize};

use crate::{AccountError, Accounts, error::Result, tables::RATE_OVERRIDES};

/// How often one person may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RateOverride {
    /// Events a second in the long run; 0: nothing this person does is limited.
    pub messages_per_second: u32,
    /// Events at once.
    pub burst_count: u32,
}

impl Accounts {
    /// What was said about one person, if anything was.
    pub async fn rate_override(&self, user: &UserId) -> Result<Option<RateOverride>> {
        Ok(self.store().get(&RATE_OVERRIDES, user.as_str()).await?)
    }

    /// Says how often one person may send, or that what holds for everybody holds for them too.
    pub async fn set_rate_override(&self, user: &UserId, wanted: Option<RateOverride>) -> Result<()> {
        if self.user(user).await?.is_none() {
            return Err(AccountError::NotFound("user"));
        }
        let mut batch = Batch::new();
        match wanted {
            Some(wanted) => batch.put(&RATE_OVERRIDES, user.as_str(), &wanted),
            None => batch.delete(&RATE_OVERRIDES, user.as_str()),
        };
        self.touch_sessions(&mut batch, user);
        self.store().commit(batch).await?;
        Ok(())
    }
}
