//! `m.typing`: somebody of another server types, or stopped.

use ruma::api::federation::transactions::edu::TypingContent;
use std::time::Duration;

use super::Hearing;
use crate::intake::Trouble;

/// How long somebody of another server is taken to be typing without word of it: theirs repeats it sooner.
const TYPING_TIMEOUT: Duration = Duration::from_secs(60);

impl Hearing<'_> {
    pub(super) async fn typing(self, content: Result<TypingContent, Trouble>) -> Result<(), Trouble> {
        let TypingContent { room_id, user_id, typing, .. } = content?;
        self.check_own(&user_id)?;
        if !self.room(&room_id).await?.may_be_joined(&user_id) {
            return Err(Trouble::there("who types is not in the room"));
        }
        if typing {
            self.rooms.typing().start(&room_id, &user_id, TYPING_TIMEOUT);
        } else {
            self.rooms.typing().stop(&room_id, &user_id);
        }
        Ok(())
    }
}
