//! `m.signing_key_update`: somebody of another server has new cross-signing keys. Synapse sends it under the name it had as
//! a proposal as well.

use ruma::OwnedUserId;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Hearing, device_list::signing_key};
use crate::intake::Trouble;

#[derive(Deserialize)]
pub(super) struct Keys {
    user_id: OwnedUserId,
    master_key: Option<Box<RawValue>>,
    self_signing_key: Option<Box<RawValue>>,
}

impl Hearing<'_> {
    pub(super) async fn signing_keys(self, content: Result<Keys, Trouble>) -> Result<(), Trouble> {
        let Keys { user_id: user, master_key, self_signing_key } = content?;
        self.check_own(&user)?;
        self.check_company(&user).await?;
        let master = signing_key(&user, master_key.as_deref())?;
        let self_signing = signing_key(&user, self_signing_key.as_deref())?;
        if master.is_some() || self_signing.is_some() {
            self.accounts.take_remote_signing_keys(&user, master, self_signing).await?;
        }
        Ok(())
    }
}
