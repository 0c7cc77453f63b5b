//! What passes: who types, who is there. It is told to whoever can be reached now, or to nobody.

use lyceum_rooms::typing::TypingChange;
use ruma::{OwnedServerName, OwnedUserId};
use serde_json::json;
use std::collections::BTreeSet;
use tokio::sync::broadcast;

use super::RoomsSource;
use crate::{
    PeerError,
    sender::{Edu, Telling, What},
};

/// What changed that is in no commit.
pub(super) enum News {
    Typing(TypingChange),
    Presence(OwnedUserId),
    /// Some were missed; they are old news by now.
    Lost,
    /// There will be no more.
    Over,
}

impl News {
    pub(super) fn typing(change: Result<TypingChange, broadcast::error::RecvError>) -> Self {
        change.map_or_else(Self::gone, Self::Typing)
    }

    pub(super) fn presence(change: Result<OwnedUserId, broadcast::error::RecvError>) -> Self {
        change.map_or_else(Self::gone, Self::Presence)
    }

    fn gone(error: broadcast::error::RecvError) -> Self {
        match error {
            broadcast::error::RecvError::Lagged(_) => Self::Lost,
            broadcast::error::RecvError::Closed => Self::Over,
        }
    }
}

impl RoomsSource {
    /// Who is to be told of news, and what.
    pub(super) async fn news(&self, news: News) -> Result<Option<Telling>, PeerError> {
        let (servers, key, edu) = match news {
            News::Typing(TypingChange { room, user, typing }) if self.rooms.is_local(&user) => {
                let Some(snapshot) = self.snapshot(&room).await? else { return Ok(None) };
                let content = json!({ "room_id": room, "user_id": user, "typing": typing });
                (self.others(&snapshot), format!("typing {room} {user}"), Edu::new("m.typing", content))
            }
            News::Presence(user) => {
                let Some(edu) = self.presence_of(&user) else { return Ok(None) };
                (self.servers_of(&user).await?, format!("presence {user}"), edu)
            }
            News::Typing(_) | News::Lost => return Ok(None),
            News::Over => std::future::pending().await,
        };
        Ok((!servers.is_empty()).then(|| passing(&servers, key, edu)))
    }
}

pub(super) fn passing(servers: &BTreeSet<OwnedServerName>, key: String, edu: Edu) -> Telling {
    Telling { servers: servers.iter().cloned().collect(), what: What::Passing { key, edu } }
}
