//! The account itself: who exists, and what they are allowed to be.

use ruma::{OwnedUserId, UserId};
use serde::{Deserialize, Serialize};

use crate::{AccountError, Accounts, error::Result, tables::USERS};
use lyceum_storage::Batch;

/// What stands behind an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum UserKind {
    /// Somebody who signs in.
    Person,
    /// A guest, who may read what is open to guests.
    Guest,
    /// A user of an application service, by its id.
    Bridged(String),
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// What stands behind it.
    pub kind: UserKind,
    /// The password's argon2 hash, where the account has one.
    pub password_hash: Option<String>,
    /// Whether it administers the server.
    pub admin: bool,
    /// When it was made.
    pub created_ms: u64,
    /// When it was closed.
    pub deactivated_ms: Option<u64>,
    /// Whether its owner asked for erasure: others no longer see what it sent.
    pub erased: bool,
    /// Locked: nothing but logging out works.
    pub locked: bool,
    /// Suspended: may read and leave.
    pub suspended: bool,
    /// Shadow-banned: what it sends reaches nobody.
    pub shadow_banned: bool,
    /// A free word that provisioning tools set (`bot`, `support`).
    pub user_type: Option<String>,
}

impl User {
    /// A new account of a kind.
    pub fn new(kind: UserKind, created_ms: u64) -> Self {
        Self {
            kind,
            password_hash: None,
            admin: false,
            created_ms,
            deactivated_ms: None,
            erased: false,
            locked: false,
            suspended: false,
            shadow_banned: false,
            user_type: None,
        }
    }
}

impl Accounts {
    /// The account with this id, closed or not.
    pub async fn user(&self, user: &UserId) -> Result<Option<User>> {
        if user.server_name() != self.server_name() {
            return Ok(None);
        }
        Ok(self.store().get(&USERS, user.as_str()).await?)
    }

    /// The account with this id, if it is local and not closed.
    pub async fn active_user(&self, user: &UserId) -> Result<User> {
        let found = self.user(user).await?.ok_or(AccountError::NotFound("user"))?;
        if found.deactivated_ms.is_some() { Err(AccountError::Deactivated) } else { Ok(found) }
    }

    /// Whether the person can sign in by password.
    pub async fn has_password(&self, user: &UserId) -> Result<bool> {
        Ok(self.user(user).await?.is_some_and(|account| account.password_hash.is_some()))
    }

    /// Whether there is such a local account, closed or not.
    pub async fn exists(&self, user: &UserId) -> Result<bool> {
        Ok(self.user(user).await?.is_some())
    }

    /// One page of accounts in order of their ids, after `after`.
    pub async fn users(&self, after: Option<&UserId>, limit: usize) -> Result<Vec<(OwnedUserId, User)>> {
        let scan = match after {
            Some(after) => USERS.all().after(&USERS, after.as_str()),
            None => USERS.all(),
        };
        let rows = self.store().scan(&USERS, scan.limit(limit)).await?;
        Ok(rows.into_iter().filter_map(|(id, user)| Some((UserId::parse(id).ok()?, user))).collect())
    }

    /// Changes an account by `change` and drops what is remembered of its sessions.
    pub async fn change_user(&self, id: &UserId, change: impl Fn(&mut User)) -> Result<User> {
        self.change_user_in(Batch::new(), id, change).await
    }

    /// The same as part of something else, of which the batch holds the rest.
    pub(crate) async fn change_user_in(
        &self,
        mut batch: Batch,
        id: &UserId,
        change: impl Fn(&mut User),
    ) -> Result<User> {
        let _guard = self.lock(id.as_str()).await;
        let before = self.user(id).await?.ok_or(AccountError::NotFound("user"))?;
        let mut after = before.clone();
        change(&mut after);
        batch.expect(&USERS, id.as_str(), Some(&before)).put(&USERS, id.as_str(), &after);
        self.touch_sessions(&mut batch, id);
        self.store().commit(batch).await?;
        Ok(after)
    }
}
