//! Short tokens that prove who one is: to sign in once on another device, and to another service (OpenID).

use lyceum_storage::Batch;
use ruma::{OwnedUserId, UserId};

use crate::{AccountError, Accounts, DeviceChoice, Secret, SignedIn, error::Result, secret::hash, short_lived::Kind};

/// How long a login token is good: the time to carry it to the other device.
pub const LOGIN_TOKEN_LIFETIME_MS: u64 = 2 * 60_000;

/// How long an OpenID token is good.
pub const OPENID_TOKEN_LIFETIME_MS: u64 = 60 * 60_000;

impl Accounts {
    /// Gives out a token that signs `user` in once (spec: `POST /login/get_token`).
    pub async fn create_login_token(&self, user: &UserId, proof: &crate::Proof) -> Result<Secret> {
        self.active_user(user).await?;
        let token = self.entropy().secret();
        let mut batch = Batch::new();
        self.use_proof(&mut batch, proof);
        self.keep(&mut batch, Kind::LoginToken, &token.hash(), user.to_string(), LOGIN_TOKEN_LIFETIME_MS);
        self.store().commit(batch).await?;
        Ok(token)
    }

    /// Signs in by a login token, which is used up with it.
    pub async fn sign_in_by_token(&self, token: &str, choice: DeviceChoice) -> Result<SignedIn> {
        choice.check()?;
        let key = hash(token);
        let wrong = AccountError::Forbidden("the login token is not valid or has expired");
        let row = self.kept(Kind::LoginToken, &key).await?.ok_or(wrong.clone())?;
        let user = UserId::parse(&row.content).map_err(|_| wrong.clone())?;
        let _guard = self.lock(user.as_str()).await;
        self.check_may_sign_in(&user).await?;
        let mut batch = Batch::new();
        self.use_up(&mut batch, Kind::LoginToken, &key, &row);
        let signed_in = self.add_session(&mut batch, &user, choice).await?;
        match self.store().commit(batch).await {
            Ok(_) => Ok(signed_in),
            // Somebody else used the token first.
            Err(lyceum_storage::CommitError::Conflict(_)) => Err(wrong),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives out a token by which another service learns that it speaks with `user`.
    pub async fn create_openid_token(&self, user: &UserId) -> Result<Secret> {
        let token = self.entropy().secret();
        let mut batch = Batch::new();
        self.keep(&mut batch, Kind::OpenId, &token.hash(), user.to_string(), OPENID_TOKEN_LIFETIME_MS);
        self.store().commit(batch).await?;
        Ok(token)
    }

    /// Whom an OpenID token speaks for.
    pub async fn openid_user(&self, token: &str) -> Result<Option<OwnedUserId>> {
        let row = self.kept(Kind::OpenId, &hash(token)).await?;
        Ok(row.and_then(|row| UserId::parse(row.content).ok()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Fixture;
    use std::time::Duration;

    #[tokio::test]
    async fn a_login_token_signs_in_once_and_not_too_late() {
        let fixture = Fixture::with_people(&["anna"]).await;
        let anna = ruma::user_id!("@anna:test");
        let proof = crate::Proof::not_needed();
        let token = fixture.accounts.create_login_token(anna, &proof).await.unwrap().reveal();
        assert!(fixture.accounts.sign_in_by_token(&token, DeviceChoice::default()).await.is_ok());
        assert!(fixture.accounts.sign_in_by_token(&token, DeviceChoice::default()).await.is_err());

        let late = fixture.accounts.create_login_token(anna, &proof).await.unwrap().reveal();
        fixture.clock.advance(Duration::from_millis(LOGIN_TOKEN_LIFETIME_MS));
        assert!(fixture.accounts.sign_in_by_token(&late, DeviceChoice::default()).await.is_err());
    }

    #[tokio::test]
    async fn an_openid_token_tells_its_owner_and_the_sweep_forgets_it() {
        let fixture = Fixture::with_people(&["anna"]).await;
        let anna = ruma::user_id!("@anna:test");
        let token = fixture.accounts.create_openid_token(anna).await.unwrap().reveal();
        assert_eq!(fixture.accounts.openid_user(&token).await.unwrap().as_deref(), Some(anna));
        assert_eq!(fixture.accounts.sweep().await.unwrap(), 0);
        fixture.clock.advance(Duration::from_millis(OPENID_TOKEN_LIFETIME_MS + 1));
        assert_eq!(fixture.accounts.openid_user(&token).await.unwrap(), None);
        assert_eq!(fixture.accounts.sweep().await.unwrap(), 1);
    }
}
