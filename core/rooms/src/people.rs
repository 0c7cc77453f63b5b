//! What rooms need to know of people: how they want to be called and look.

use lyceum_accounts::{Accounts, InviteVerdict};
use ruma::{CanonicalJsonObject, UserId};

/// How a person is shown in a room.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemberProfile {
    /// The display name.
    pub displayname: Option<String>,
    /// The picture.
    pub avatar_url: Option<String>,
}

impl MemberProfile {
    /// Puts it into the content of a membership event.
    pub(crate) fn put_into(&self, content: &mut CanonicalJsonObject) {
        if let Some(name) = &self.displayname {
            content.insert("displayname".to_owned(), name.clone().into());
        }
        if let Some(url) = &self.avatar_url {
            content.insert("avatar_url".to_owned(), url.clone().into());
        }
    }
}

/// Knows this server's people.
#[async_trait::async_trait]
pub trait People: Send + Sync + 'static {
    /// How a person of this server is shown; nothing for others.
    async fn profile(&self, user: &UserId) -> MemberProfile;

    /// Whether there is such a person at this server, who has not closed their account.
    async fn is_here(&self, user: &UserId) -> bool;

    /// Whether a person of this server lets somebody ask them into rooms.
    async fn takes_invite(&self, invitee: &UserId, inviter: &UserId) -> bool;

    /// Whether what a person of this server sends is to reach nobody.
    async fn is_shadow_banned(&self, user: &UserId) -> bool;

    /// Whether a person of this server had all erased that they said.
    async fn is_erased(&self, user: &UserId) -> bool;
}

#[async_trait::async_trait]
impl People for Accounts {
    async fn profile(&self, user: &UserId) -> MemberProfile {
        // Whoever has no account here has no profile here: that is no failure of the act.
        let profile = self.member_profile(user).await.unwrap_or_default();
        MemberProfile { displayname: profile.display_name, avatar_url: profile.avatar_url }
    }

    async fn is_here(&self, user: &UserId) -> bool {
        // Who is locked out, or suspended, may be let in again, and finds then what they were asked.
        self.active_user(user).await.is_ok()
    }

    async fn takes_invite(&self, invitee: &UserId, inviter: &UserId) -> bool {
        self.privacy(invitee).await.is_ok_and(|privacy| privacy.invite_from(inviter) != InviteVerdict::Block)
    }

    async fn is_shadow_banned(&self, user: &UserId) -> bool {
        // If that cannot be read the store fails, and then the act does.
        Self::is_shadow_banned(self, user).await.unwrap_or_default()
    }

    async fn is_erased(&self, user: &UserId) -> bool {
        // As above.
        Self::is_erased(self, user).await.unwrap_or_default()
    }
}

/// Nobody has a name.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nameless;

#[async_trait::async_trait]
impl People for Nameless {
    async fn profile(&self, _: &UserId) -> MemberProfile {
        MemberProfile::default()
    }

    async fn is_here(&self, _: &UserId) -> bool {
        true
    }

    async fn takes_invite(&self, _: &UserId, _: &UserId) -> bool {
        true
    }

    async fn is_shadow_banned(&self, _: &UserId) -> bool {
        false
    }

    async fn is_erased(&self, _: &UserId) -> bool {
        false
    }
}
