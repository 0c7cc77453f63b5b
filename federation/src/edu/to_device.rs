//! `m.direct_to_device`: messages to devices of people here, each once.

use lyceum_accounts::{ToDeviceMessages, ToDeviceSender};
use ruma::OwnedUserId;
use serde::Deserialize;

use super::Hearing;
use crate::intake::Trouble;

#[derive(Deserialize)]
pub(super) struct Messages {
    sender: OwnedUserId,
    #[serde(rename = "type")]
    kind: String,
    /// Longer ones than the specification advises are no reason to lose the keys in a message: what is kept is a hash.
    message_id: String,
    messages: ToDeviceMessages,
}

impl Hearing<'_> {
    pub(super) async fn to_device(self, content: Result<Messages, Trouble>) -> Result<(), Trouble> {
        let Messages { sender, kind, message_id, messages } = content?;
        self.check_own(&sender)?;
        let scope = self.origin.as_str();
        let sender = ToDeviceSender { user: &sender, scope, transaction: &message_id };
        self.accounts.send_to_devices(sender, &kind, &messages, |_| ()).await?;
        Ok(())
    }
}
