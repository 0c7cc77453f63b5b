//! Signing in: who is meant, whether the proof fits, and the session that follows.

use lyceum_storage::Batch;
use ruma::{OwnedDeviceId, OwnedUserId, UserId};
use serde::Deserialize;

use crate::{AccountError, Accounts, SignedIn, error::Result};

/// The longest device id and device name taken, in bytes.
const DEVICE_ID_BYTES_MAX: usize = 255;
const DEVICE_NAME_BYTES_MAX: usize = 1024;

/// How a client names the person signing in (spec: "Identifier types").
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "type")]
pub enum Identifier {
    /// A local part or a full user id.
    #[serde(rename = "m.id.user")]
    User {
        /// Either of the two.
        user: String,
    },
    /// An address; nobody has one here yet, so it never fits.
    #[serde(rename = "m.id.thirdparty")]
    ThirdParty {
        /// `email` or `msisdn`.
        medium: String,
        /// The address.
        address: String,
    },
    /// A telephone number; never fits either.
    #[serde(rename = "m.id.phone")]
    Phone {
        /// Two letters.
        country: String,
        /// As dialled.
        phone: String,
    },
}

/// Which device a sign-in is for.
#[derive(Debug, Clone, Default)]
pub struct DeviceChoice {
    /// A device id that the client chose, known or new.
    pub device_id: Option<OwnedDeviceId>,
    /// What a new device is called.
    pub display_name: Option<String>,
    /// Whether the client can use refresh tokens.
    pub can_refresh: bool,
}

impl DeviceChoice {
    /// Refuses ids and names that are too long.
    pub(crate) fn check(&self) -> Result<()> {
        let id_fits = self
            .device_id
            .as_ref()
            .is_none_or(|id| !id.as_str().is_empty() && id.as_str().len() <= DEVICE_ID_BYTES_MAX);
        if !id_fits {
            return Err(AccountError::InvalidParam("device_id must have 1 to 255 bytes".into()));
        }
        check_device_name(self.display_name.as_deref())
    }
}

/// Refuses a device name that is too long.
pub(crate) fn check_device_name(name: Option<&str>) -> Result<()> {
    match name {
        Some(name) if name.len() > DEVICE_NAME_BYTES_MAX => {
            Err(AccountError::InvalidParam("the device's display name is too long".into()))
        }
        _ => Ok(()),
    }
}

impl Accounts {
    /// Signs in by password.
    pub async fn sign_in_by_password(
        &self,
        identifier: &Identifier,
        password: &str,
        choice: DeviceChoice,
    ) -> Result<SignedIn> {
        choice.check()?;
        let user = self.check_password(identifier, password).await?;
        self.sign_in(&user, choice).await
    }

    /// Opens a session for somebody whose proof has been checked.
    pub async fn sign_in(&self, user: &UserId, choice: DeviceChoice) -> Result<SignedIn> {
        choice.check()?;
        let _guard = self.lock(user.as_str()).await;
        self.check_may_sign_in(user).await?;
        let mut batch = Batch::new();
        let signed_in = self.add_session(&mut batch, user, choice).await?;
        self.store().commit(batch).await?;
        Ok(signed_in)
    }

    /// Refuses who is closed or locked.
    pub(crate) async fn check_may_sign_in(&self, user: &UserId) -> Result<()> {
        if self.active_user(user).await?.locked { Err(AccountError::Locked) } else { Ok(()) }
    }

    /// The person, if there is such a one and the password is theirs. Takes as long when there is not.
    pub(crate) async fn check_password(&self, identifier: &Identifier, password: &str) -> Result<OwnedUserId> {
        let known = self.resolve(identifier).await?;
        let account = match &known {
            Some(user) => self.user(user).await?,
            None => None,
        };
        if account.as_ref().is_some_and(|account| account.deactivated_ms.is_some()) {
            return Err(AccountError::Deactivated);
        }
        let hash = account.and_then(|account| account.password_hash);
        if !self.passwords().verify(hash.as_deref(), password).await? {
            return Err(AccountError::WrongCredentials);
        }
        known.ok_or(AccountError::WrongCredentials)
    }

    /// The account that an identifier means. New accounts are in lower case; people type capitals, and an old account may
    /// have them: what was typed is tried first, then its lower case.
    pub(crate) async fn resolve(&self, identifier: &Identifier) -> Result<Option<OwnedUserId>> {
        let Identifier::User { user } = identifier else { return Ok(None) };
        for name in [user.clone(), user.to_lowercase()] {
            let id = if name.starts_with('@') { UserId::parse(&name).ok() } else { self.user_id(&name) };
            if let Some(id) = id
                && self.exists(&id).await?
            {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }
}
