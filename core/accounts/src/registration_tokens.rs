//! Registration tokens: what lets people in while registration is not open. Administrators make, change and remove them.

use lyceum_storage::Batch;
use serde::{Deserialize, Serialize};

use crate::{AccountError, Accounts, error::Result, tables::REGISTRATION_TOKENS};

/// Spec: "a token is at most 64 characters of the opaque identifier grammar".
const TOKEN_LENGTH_MAX: usize = 64;

/// The length of a token that the server makes up, unless asked otherwise.
const TOKEN_LENGTH_DEFAULT: usize = 16;

/// A registration token's limits and use.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RegistrationToken {
    /// How many accounts it is good for; without end when `None`.
    pub uses_allowed: Option<u64>,
    /// How many it has made.
    pub completed: u64,
    /// When it ends.
    pub expires_ms: Option<u64>,
}

/// Whether a token lets one in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenState {
    /// It does.
    Valid,
    /// No such token.
    Unknown,
    /// It has made all the accounts it was good for.
    UsedUp,
    /// Its time is over.
    Expired,
}

impl Accounts {
    /// Whether this token would let somebody in now.
    pub async fn registration_token_state(&self, token: &str) -> Result<TokenState> {
        let Some(row) = self.registration_token(token).await? else { return Ok(TokenState::Unknown) };
        Ok(self.state_of(&row))
    }

    /// Whether a token would let somebody in; an error where nobody is let in.
    pub async fn lets_in(&self, token: &str) -> Result<bool> {
        self.registration_flows()?;
        Ok(self.registration_token_state(token).await? == TokenState::Valid)
    }

    fn state_of(&self, token: &RegistrationToken) -> TokenState {
        if token.uses_allowed.is_some_and(|allowed| token.completed >= allowed) {
            TokenState::UsedUp
        } else if token.expires_ms.is_some_and(|expires| expires <= self.now_ms()) {
            TokenState::Expired
        } else {
            TokenState::Valid
        }
    }

    /// A token's limits and use.
    pub async fn registration_token(&self, token: &str) -> Result<Option<RegistrationToken>> {
        Ok(self.store().get(&REGISTRATION_TOKENS, token).await?)
    }

    /// All tokens, valid or not as `valid` asks.
    pub async fn registration_tokens(&self, valid: Option<bool>) -> Result<Vec<(String, RegistrationToken)>> {
        let mut rows = self.store().scan(&REGISTRATION_TOKENS, REGISTRATION_TOKENS.all()).await?;
        rows.retain(|(_, row)| valid.is_none_or(|valid| valid == (self.state_of(row) == TokenState::Valid)));
        Ok(rows)
    }

    /// Makes a token, with a name of its own or a random one of `length`.
    pub async fn create_registration_token(
        &self,
        token: Option<String>,
        length: Option<usize>,
        uses_allowed: Option<u64>,
        expires_ms: Option<u64>,
    ) -> Result<(String, RegistrationToken)> {
        let token = match token {
            Some(token) => token,
            None => {
                let length = length.unwrap_or(TOKEN_LENGTH_DEFAULT);
                if !(1..=TOKEN_LENGTH_MAX).contains(&length) {
                    return Err(AccountError::InvalidParam("length must be between 1 and 64".into()));
                }
                self.entropy().capitals(length)
            }
        };
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte);
        if token.is_empty() || token.len() > TOKEN_LENGTH_MAX || !token.bytes().all(allowed) {
            return Err(AccountError::InvalidParam("a token is 1 to 64 of A-Z, a-z, 0-9 and . _ ~ -".into()));
        }
        let row = RegistrationToken { uses_allowed, completed: 0, expires_ms: self.future(expires_ms)? };
        let mut batch = Batch::new();
        batch.expect(&REGISTRATION_TOKENS, &token, None).put(&REGISTRATION_TOKENS, &token, &row);
        match self.store().commit(batch).await {
            Ok(_) => Ok((token, row)),
            Err(lyceum_storage::CommitError::Conflict(_)) => {
                Err(AccountError::InvalidParam(format!("Token already exists: {token}")))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Changes a token's limits; `Some(None)` lifts one.
    pub async fn change_registration_token(
        &self,
        token: &str,
        uses_allowed: Option<Option<u64>>,
        expires_ms: Option<Option<u64>>,
    ) -> Result<RegistrationToken> {
        let before = self.registration_token(token).await?.ok_or(AccountError::NotFound("registration token"))?;
        let mut after = before.clone();
        if let Some(uses_allowed) = uses_allowed {
            after.uses_allowed = uses_allowed;
        }
        if let Some(expires_ms) = expires_ms {
            after.expires_ms = self.future(expires_ms)?;
        }
        let mut batch = Batch::new();
        batch.expect(&REGISTRATION_TOKENS, token, Some(&before)).put(&REGISTRATION_TOKENS, token, &after);
        self.store().commit(batch).await?;
        Ok(after)
    }

    /// Removes a token.
    pub async fn delete_registration_token(&self, token: &str) -> Result<()> {
        self.registration_token(token).await?.ok_or(AccountError::NotFound("registration token"))?;
        let mut batch = Batch::new();
        batch.delete(&REGISTRATION_TOKENS, token);
        self.store().commit(batch).await?;
        Ok(())
    }

    fn future(&self, expires_ms: Option<u64>) -> Result<Option<u64>> {
        match expires_ms {
            Some(expires) if expires <= self.now_ms() => {
                Err(AccountError::InvalidParam("expiry_time must not be in the past".into()))
            }
            expires => Ok(expires),
        }
    }

    /// Adds to `batch` that the token has made one more account. Refused if it has been used up meanwhile.
    pub(crate) async fn count_registration(&self, batch: &mut Batch, token: &str) -> Result<()> {
        let row = self.registration_token(token).await?;
        let Some(row) = row.filter(|row| self.state_of(row) == TokenState::Valid) else {
            return Err(AccountError::Forbidden("the registration token is no longer valid"));
        };
        let after = RegistrationToken { completed: row.completed + 1, ..row.clone() };
        batch.expect(&REGISTRATION_TOKENS, token, Some(&row)).put(&REGISTRATION_TOKENS, token, &after);
        Ok(())
    }
}
