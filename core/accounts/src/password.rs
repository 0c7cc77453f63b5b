//! Passwords: argon2id, computed off the async threads and only a few at once.

use argon2::{
    Algorithm, Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier, Version, password_hash::SaltString,
};
use std::sync::Arc;
use tokio::sync::Semaphore;

use crate::{AccountError, Config, error::Result, secret::Entropy};

/// The longest password taken, in bytes: hashing must not be a way to keep the server busy.
const PASSWORD_BYTES_MAX: usize = 512;

/// Hashes computed at once; each takes the memory that the cost says.
const HASHES_AT_ONCE: usize = 2;

/// Computes and checks password hashes.
pub(crate) struct Passwords {
    argon: Argon2<'static>,
    at_once: Arc<Semaphore>,
    length_min: usize,
    /// Checked when there is no such account, so that the time taken does not tell.
    decoy: Arc<str>,
}

impl Passwords {
    pub(crate) fn new(config: &Config) -> Result<Self> {
        let cost = config.sign_in.password_cost;
        let params = Params::new(cost.memory_kib, cost.passes, 1, None)
            .map_err(|error| AccountError::InvalidParam(format!("password_cost: {error}")))?;
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let decoy = hash_with(&argon, "decoy", &[7; 16])?.into();
        Ok(Self {
            argon,
            at_once: Arc::new(Semaphore::new(HASHES_AT_ONCE)),
            length_min: config.sign_in.password_length_min,
            decoy,
        })
    }

    /// Whether a password may be chosen.
    pub(crate) fn check_strength(&self, password: &str) -> Result<()> {
        if password.chars().count() < self.length_min {
            return Err(AccountError::WeakPassword("the password is too short"));
        }
        if password.len() > PASSWORD_BYTES_MAX {
            return Err(AccountError::WeakPassword("the password is too long"));
        }
        Ok(())
    }

    /// The hash to store.
    pub(crate) async fn hash(&self, entropy: &Entropy, password: &str) -> Result<String> {
        let (argon, password, salt) = (self.argon.clone(), password.to_owned(), entropy.bytes::<16>());
        self.off_thread(move || hash_with(&argon, &password, &salt)).await?
    }

    /// Whether `password` is the one that was hashed. With no hash the answer is no, after the same time.
    pub(crate) async fn verify(&self, hash: Option<&str>, password: &str) -> Result<bool> {
        if password.len() > PASSWORD_BYTES_MAX {
            return Ok(false);
        }
        let known = hash.is_some();
        let hash = hash.map_or_else(|| self.decoy.to_string(), str::to_owned);
        let (argon, password) = (self.argon.clone(), password.to_owned());
        let fits = self
            .off_thread(move || {
                PasswordHash::new(&hash).is_ok_and(|hash| argon.verify_password(password.as_bytes(), &hash).is_ok())
            })
            .await?;
        Ok(fits && known)
    }

    async fn off_thread<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let _permit = self.at_once.acquire().await.map_err(|_| AccountError::Closed)?;
        tokio::task::spawn_blocking(work).await.map_err(|_| AccountError::Closed)
    }
}

fn hash_with(argon: &Argon2<'_>, password: &str, salt: &[u8]) -> Result<String> {
    let failed = |error: argon2::password_hash::Error| AccountError::InvalidParam(format!("password: {error}"));
    let salt = SaltString::encode_b64(salt).map_err(failed)?;
    Ok(argon.hash_password(password.as_bytes(), &salt).map_err(failed)?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quick() -> Config {
        crate::testing::Fixture::config()
    }

    #[tokio::test]
    async fn only_the_right_password_fits_and_no_account_fits_none() {
        let passwords = Passwords::new(&quick()).unwrap();
        let hash = passwords.hash(&Entropy::from_seed([1; 32]), "correct horse").await.unwrap();
        assert!(hash.starts_with("$argon2id$"));
        assert!(passwords.verify(Some(&hash), "correct horse").await.unwrap());
        assert!(!passwords.verify(Some(&hash), "wrong").await.unwrap());
        assert!(!passwords.verify(None, "decoy").await.unwrap());
        assert!(!passwords.verify(Some("not a hash"), "x").await.unwrap());
    }

    #[test]
    fn short_and_endless_passwords_are_refused() {
        let mut config = quick();
        config.sign_in.password_length_min = 8;
        let passwords = Passwords::new(&config).unwrap();
        assert!(passwords.check_strength("seven..").is_err());
        assert!(passwords.check_strength("eight...").is_ok());
        assert!(passwords.check_strength(&"x".repeat(513)).is_err());
    }
}
