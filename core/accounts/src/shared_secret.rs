//! Registration by shared secret, as Synapse's `/_synapse/admin/v1/register` does it: provisioning tools and test suites
//! rely on every detail.

use hmac::{Hmac, Mac};
use lyceum_storage::Batch;
use serde::Deserialize;
use serde_json::Value;
use sha1::Sha1;

use crate::{
    AccountError, Accounts, DISPLAY_NAME, DeviceChoice, Registered, User, UserKind, error::Result,
    profile::checked_value, short_lived::Kind,
};

/// How long a nonce is good.
const NONCE_LIFETIME_MS: u64 = 60_000;

/// The longest user name and password in characters, as Synapse has it.
const VALUE_LENGTH_MAX: usize = 512;

/// The free words that Synapse knows.
const USER_TYPES: [&str; 2] = ["support", "bot"];

/// What the tool sends.
#[derive(Debug, Clone, Deserialize)]
pub struct SharedSecretRequest {
    /// The nonce it was given.
    pub nonce: Option<Value>,
    /// The wanted name: text, or it is refused in its turn.
    pub username: Option<Value>,
    /// The password: the same.
    pub password: Option<Value>,
    /// Whether to make an administrator.
    pub admin: Option<bool>,
    /// One of [`USER_TYPES`].
    pub user_type: Option<String>,
    /// The display name.
    pub displayname: Option<String>,
    /// Hexadecimal HMAC-SHA1 over the fields, under the shared secret.
    pub mac: Option<String>,
    /// Not to open a session.
    #[serde(default)]
    pub inhibit_login: bool,
}

impl Accounts {
    fn shared_secret(&self) -> Result<&str> {
        self.config()
            .shared_secret
            .as_deref()
            .filter(|secret| !secret.is_empty())
            .ok_or_else(|| unknown("Shared secret registration is not enabled"))
    }

    /// Gives out a nonce.
    pub async fn shared_secret_nonce(&self) -> Result<String> {
        self.shared_secret()?;
        let nonce = self.entropy().secret().reveal();
        let mut batch = Batch::new();
        self.keep(&mut batch, Kind::Nonce, nonce.as_bytes(), String::new(), NONCE_LIFETIME_MS);
        self.store().commit(batch).await?;
        Ok(nonce)
    }

    /// Makes the account if the MAC fits. The nonce is used up whether or not it does.
    pub async fn register_by_shared_secret(&self, request: SharedSecretRequest) -> Result<Registered> {
        let secret = self.shared_secret()?;
        let nonce = request.nonce.as_ref().ok_or_else(|| bad("nonce must be specified"))?;
        let nonce = nonce.as_str().ok_or_else(|| unknown("unrecognised nonce"))?;
        let row = self.kept(Kind::Nonce, nonce.as_bytes()).await?.ok_or_else(|| unknown("unrecognised nonce"))?;
        let mut used = Batch::new();
        self.use_up(&mut used, Kind::Nonce, nonce.as_bytes(), &row);
        self.store().commit(used).await.map_err(|_| unknown("unrecognised nonce"))?;

        let username = checked(request.username.as_ref(), "username must be specified", "Invalid username")?;
        let password = checked(request.password.as_ref(), "password must be specified", "Invalid password")?;
        if password.is_empty() {
            return Err(unknown("Invalid password"));
        }
        let user_type = request.user_type.as_deref();
        if user_type.is_some_and(|user_type| !USER_TYPES.contains(&user_type)) {
            return Err(unknown("Invalid user type"));
        }
        let mac = request.mac.as_deref().ok_or_else(|| bad("mac must be specified"))?;
        let admin = request.admin.unwrap_or_default();
        verify(secret, &signed_bytes(nonce, username, password, admin, user_type), mac)?;

        let user = self.available(username).await?;
        let mut batch = Batch::new();
        if let Some(name) = checked_value(DISPLAY_NAME, request.displayname.map_or(Value::Null, Value::String))? {
            self.add_profile_field(&mut batch, &user, DISPLAY_NAME, Some(&name));
        }
        let account = User {
            password_hash: Some(self.passwords().hash(self.entropy(), password).await?),
            admin,
            user_type: request.user_type,
            ..User::new(UserKind::Person, self.now_ms())
        };
        let choice = (!request.inhibit_login).then(DeviceChoice::default);
        self.add_account(user, account, choice, batch).await
    }
}

fn bad(why: &str) -> AccountError {
    AccountError::BadJson(why.into())
}

fn unknown(why: &str) -> AccountError {
    AccountError::Unknown(why.into())
}

fn checked<'a>(value: Option<&'a Value>, missing: &str, invalid: &str) -> Result<&'a str> {
    let text = value.ok_or_else(|| bad(missing))?.as_str();
    let fits = |text: &&str| text.chars().count() <= VALUE_LENGTH_MAX && !text.contains('\0');
    text.filter(fits).ok_or_else(|| unknown(invalid))
}

/// What the MAC covers, zero bytes between the fields.
fn signed_bytes(nonce: &str, username: &str, password: &str, admin: bool, user_type: Option<&str>) -> Vec<u8> {
    let mut fields = vec![nonce, username, password, if admin { "admin" } else { "notadmin" }];
    fields.extend(user_type);
    fields.join("\0").into_bytes()
}

fn verify(secret: &str, signed: &[u8], mac_hex: &str) -> Result<()> {
    let refused = AccountError::WrongMac;
    let mut mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes()).map_err(|_| refused.clone())?;
    mac.update(signed);
    let given = from_hex(mac_hex).ok_or(refused.clone())?;
    mac.verify_slice(&given).map_err(|_| refused)
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| Some(digit(*high)? * 16 + digit(*low)?)).collect())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mac_is_over_the_fields_with_zero_bytes_between() {
        let signed = signed_bytes("n", "u", "p", false, Some("bot"));
        assert_eq!(signed, b"n\0u\0p\0notadmin\0bot");
        // HMAC-SHA1 under "secret", computed by Python's hmac.
        let mac = "0f2b4751fa14a68d6a6878c313b752580706c394";
        assert!(verify("secret", b"n\0u\0p\0notadmin", mac).is_ok());
        assert!(verify("secret", b"n\0u\0p\0admin", mac).is_err());
    }

    #[test]
    fn hexadecimal_is_read_or_refused() {
        assert_eq!(from_hex("00fF10"), Some(vec![0, 255, 16]));
        assert_eq!(from_hex("0"), None);
        assert_eq!(from_hex("zz"), None);
    }
}
