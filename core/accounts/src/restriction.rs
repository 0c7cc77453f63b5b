//! Locking, suspending and shadow-banning: how administrators restrict other people's accounts (spec, "Account locking" and "Account
//! suspension").

use lyceum_storage::Batch;
use ruma::UserId;

use crate::{AccountError, Accounts, User, error::Result};

/// How an account is restricted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restriction {
    /// Nothing but logging out works.
    Lock,
    /// The person may read and leave.
    Suspension,
}

impl Restriction {
    fn of(self, user: &mut User) -> &mut bool {
        match self {
            Self::Lock => &mut user.locked,
            Self::Suspension => &mut user.suspended,
        }
    }
}

impl Accounts {
    /// Whether an account is restricted, for an administrator who asks.
    pub async fn is_restricted(&self, admin: &UserId, user: &UserId, restriction: Restriction) -> Result<bool> {
        let mut account = self.account_to_judge(admin, user).await?;
        Ok(*restriction.of(&mut account))
    }

    /// Restricts an account, or no longer. Administrators restrict neither each other nor themselves.
    pub async fn restrict(&self, admin: &UserId, user: &UserId, restriction: Restriction, on: bool) -> Result<()> {
        self.account_to_judge(admin, user).await?;
        if admin == user {
            return Err(AccountError::Forbidden("you cannot restrict your own account"));
        }
        self.change_user(user, |account| *restriction.of(account) = on).await?;
        Ok(())
    }

    /// Restricts an account, or no longer, as part of something else, of which the batch holds the rest. Who may is decided
    /// above; administrators of the server are restricted by nobody this way.
    pub async fn restrict_in(&self, batch: Batch, user: &UserId, restriction: Restriction, on: bool) -> Result<()> {
        let account = self.user(user).await?.filter(|account| account.deactivated_ms.is_none());
        if account.ok_or(AccountError::NotFound("user"))?.admin {
            return Err(AccountError::Forbidden("the user is an administrator"));
        }
        self.change_user_in(batch, user, |account| *restriction.of(account) = on).await?;
        Ok(())
    }

    /// Lets what somebody sends reach nobody, without their noticing, or no longer.
    pub async fn shadow_ban(&self, admin: &UserId, user: &UserId, on: bool) -> Result<()> {
        self.account_to_judge(admin, user).await?;
        if admin == user {
            return Err(AccountError::Forbidden("you cannot restrict your own account"));
        }
        self.change_user(user, |account| account.shadow_banned = on).await?;
        Ok(())
    }

    /// Whether what somebody sends reaches nobody.
    pub async fn is_shadow_banned(&self, user: &UserId) -> Result<bool> {
        Ok(self.user(user).await?.is_some_and(|account| account.shadow_banned))
    }

    /// An account that this administrator may judge: one of this server, open, and no other administrator's.
    async fn account_to_judge(&self, admin: &UserId, user: &UserId) -> Result<User> {
        if !self.is_local(user) {
            return Err(AccountError::InvalidParam("the user does not belong to this server".to_owned()));
        }
        let account = self.user(user).await?.filter(|account| account.deactivated_ms.is_none());
        let account = account.ok_or(AccountError::NotFound("user"))?;
        if account.admin && admin != user {
            return Err(AccountError::Forbidden("the user is an administrator"));
        }
        Ok(account)
    }
}
