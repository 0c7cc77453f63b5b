//! Whom a person does not want to hear from: the ignore list, and who may invite them. Read from their account data, kept
//! in memory until that changes.

use ruma::{OwnedUserId, UserId};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::{collections::HashSet, sync::Arc};
use wildmatch::WildMatch;

use crate::{Accounts, cached::ReadAt, error::Result};

/// The type of account data that holds whom a person ignores.
pub(crate) const IGNORED: &str = "m.ignored_user_list";

/// What becomes of an invite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InviteVerdict {
    /// It arrives.
    Allow,
    /// It is accepted and never shown (MSC4155).
    Ignore,
    /// It is refused, and the inviter is told.
    Block,
}

/// A person's wishes.
#[derive(Debug, Clone, Default)]
pub struct Privacy {
    ignored: HashSet<OwnedUserId>,
    block_all_invites: bool,
    invites: InviteRules,
}

/// Lists of MSC4155's account data: globs over user ids and server names.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct InviteRules {
    enabled: Option<bool>,
    allowed_users: Vec<String>,
    ignored_users: Vec<String>,
    blocked_users: Vec<String>,
    allowed_servers: Vec<String>,
    ignored_servers: Vec<String>,
    blocked_servers: Vec<String>,
}

impl InviteRules {
    fn verdict(&self, inviter: &UserId) -> Option<InviteVerdict> {
        if self.enabled == Some(false) {
            return None;
        }
        let (user, server) = (inviter.as_str(), inviter.server_name().host());
        let lists = [
            (&self.allowed_users, user, InviteVerdict::Allow),
            (&self.ignored_users, user, InviteVerdict::Ignore),
            (&self.blocked_users, user, InviteVerdict::Block),
            (&self.allowed_servers, server, InviteVerdict::Allow),
            (&self.ignored_servers, server, InviteVerdict::Ignore),
            (&self.blocked_servers, server, InviteVerdict::Block),
        ];
        let hit = lists.iter().find(|(globs, name, _)| globs.iter().any(|glob| WildMatch::new(glob).matches(name)));
        hit.map(|(_, _, verdict)| *verdict)
    }
}

impl Privacy {
    /// Whether they ignore somebody.
    pub fn ignores(&self, user: &UserId) -> bool {
        self.ignored.contains(user)
    }

    /// Whether they are not to hear of invites from `inviter`.
    pub fn hides_invite_from(&self, inviter: &UserId) -> bool {
        self.ignores(inviter) || self.invite_from(inviter) == InviteVerdict::Ignore
    }

    /// Whom they ignore.
    pub fn ignored(&self) -> &HashSet<OwnedUserId> {
        &self.ignored
    }

    /// What becomes of an invite from `inviter`.
    pub fn invite_from(&self, inviter: &UserId) -> InviteVerdict {
        let rules = self.invites.verdict(inviter);
        if self.block_all_invites && rules != Some(InviteVerdict::Allow) {
            return InviteVerdict::Block;
        }
        match rules.unwrap_or(InviteVerdict::Allow) {
            InviteVerdict::Allow if self.ignores(inviter) => InviteVerdict::Ignore,
            verdict => verdict,
        }
    }
}

impl Accounts {
    /// A person's wishes. From memory when warm.
    pub async fn privacy(&self, user: &UserId) -> Result<Arc<Privacy>> {
        let changed = self.changed().account_data.at(user.as_str());
        if let Some(read) = self.privacy_cache().get(user)
            && changed <= read.at
        {
            return Ok(read.value);
        }
        let at = self.store().committed();
        let privacy = Arc::new(self.load_privacy(user).await?);
        self.privacy_cache().insert(user.to_owned(), ReadAt { at, value: privacy.clone() });
        Ok(privacy)
    }

    async fn load_privacy(&self, user: &UserId) -> Result<Privacy> {
        let mut privacy = Privacy::default();
        if let Some(Value::Object(ignored)) = self.object(user, IGNORED).await?.remove("ignored_users") {
            privacy.ignored = ignored.keys().filter_map(|id| UserId::parse(id).ok()).collect();
        }
        // Spec since v1.18, and MSC4380 before it.
        for kind in ["m.invite_permission_config", "org.matrix.msc4380.invite_permission_config"] {
            let config = self.object(user, kind).await?;
            privacy.block_all_invites |= config.get("default_action").and_then(Value::as_str) == Some("block");
        }
        let rules = self.object(user, "org.matrix.msc4155.invite_permission_config").await?;
        privacy.invites = serde_json::from_value(Value::Object(rules)).unwrap_or_default();
        Ok(privacy)
    }

    async fn object(&self, user: &UserId, kind: &str) -> Result<Map<String, Value>> {
        let content = self.account_data(user, None, kind).await?;
        Ok(content.and_then(|content| serde_json::from_str(&content).ok()).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Fixture;
    use ruma::user_id;
    use serde_json::json;

    async fn set(fixture: &Fixture, kind: &str, content: Value) {
        let raw = serde_json::value::to_raw_value(&content).unwrap();
        fixture.accounts.set_account_data(user_id!("@anna:test"), None, kind, &raw).await.unwrap();
    }

    #[tokio::test]
    async fn invites_follow_the_lists_and_their_changes() {
        let fixture = Fixture::with_people(&["anna"]).await;
        let (anna, ben, cleo) = (user_id!("@anna:test"), user_id!("@ben:test"), user_id!("@cleo:far.example"));
        let verdict = async |of: &UserId| fixture.accounts.privacy(anna).await.unwrap().invite_from(of);
        assert_eq!(verdict(ben).await, InviteVerdict::Allow);

        set(&fixture, "m.ignored_user_list", json!({"ignored_users": {"@ben:test": {}}})).await;
        assert_eq!(verdict(ben).await, InviteVerdict::Ignore);
        assert!(fixture.accounts.privacy(anna).await.unwrap().ignores(ben));

        let rules = json!({"allowed_users": ["@cleo:*"], "blocked_servers": ["*.example"]});
        set(&fixture, "org.matrix.msc4155.invite_permission_config", rules).await;
        assert_eq!(verdict(cleo).await, InviteVerdict::Allow);
        assert_eq!(verdict(user_id!("@dan:far.example")).await, InviteVerdict::Block);

        set(&fixture, "m.invite_permission_config", json!({"default_action": "block"})).await;
        assert_eq!(verdict(ben).await, InviteVerdict::Block);
        assert_eq!(verdict(cleo).await, InviteVerdict::Allow);
        set(&fixture, "m.invite_permission_config", json!({})).await;
        assert_eq!(verdict(ben).await, InviteVerdict::Ignore);
    }
}
