//! Passwords: argon2id, computed off the async threads and only a few at once.

use argon2::{
    Algorithm, Argon2, Block, Params, PasswordHash, Version,
    password_hash::{self, Output, ParamsString, Salt, SaltString},
};
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::Semaphore;

use crate::{AccountError, Config, error::Result, secret::Entropy};

/// The longest password taken, in bytes: hashing must not be a way to keep the server busy.
const PASSWORD_BYTES_MAX: usize = 512;

/// Hashes computed at once; each takes the memory that the cost says.
const HASHES_AT_ONCE: usize = 2;

/// Bytes of a hash, and of the salt of a password set here.
const HASH_BYTES: usize = 32;
const SALT_BYTES: usize = 16;

/// Computes and checks password hashes.
pub(crate) struct Passwords {
    params: Params,
    at_once: Arc<Semaphore>,
    memory: Memory,
    length_min: usize,
}

/// The working memory of hashes, kept between them: the system's allocator would keep one for each thread that ever hashed,
/// some hundred MiB after a wave of logins. At most [`HASHES_AT_ONCE`] are here.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<Vec<Block>>>>);

impl Memory {
    /// Computes a hash.
    fn hash(&self, argon: &Argon2<'_>, password: &str, salt: &[u8]) -> password_hash::Result<Output> {
        let mut blocks = self.0.lock().pop().unwrap_or_default();
        blocks.resize(argon.params().block_count(), Block::default());
        let mut hash = [0; HASH_BYTES];
        let done = argon.hash_password_into_with_memory(password.as_bytes(), salt, &mut hash, &mut blocks);
        self.0.lock().push(blocks);
        done?;
        Output::new(&hash)
    }

    /// Whether a stored hash is that of a password.
    fn fits(&self, stored: &str, password: &str) -> password_hash::Result<bool> {
        let stored = PasswordHash::new(stored)?;
        let version = stored.version.map(Version::try_from).transpose()?.unwrap_or_default();
        let argon = Argon2::new(Algorithm::try_from(stored.algorithm)?, version, Params::try_from(&stored)?);
        let mut salt = [0; Salt::MAX_LENGTH];
        let salt = stored.salt.ok_or(password_hash::Error::PhcStringField)?.decode_b64(&mut salt)?;
        // Compared in constant time.
        Ok(Some(self.hash(&argon, password, salt)?) == stored.hash)
    }
}

impl Passwords {
    pub(crate) fn new(config: &Config) -> Result<Self> {
        let cost = config.sign_in.password_cost;
        let params = Params::new(cost.memory_kib, cost.passes, 1, Some(HASH_BYTES))
            .map_err(|error| AccountError::InvalidParam(format!("password_cost: {error}")))?;
        Ok(Self {
            params,
            at_once: Arc::new(Semaphore::new(HASHES_AT_ONCE)),
            memory: Memory::default(),
            length_min: config.sign_in.password_length_min,
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
        let (memory, params, password) = (self.memory.clone(), self.params.clone(), password.to_owned());
        let salt = entropy.bytes::<SALT_BYTES>();
        let hash = self.off_thread(move || stored_hash(&memory, params, &password, &salt)).await?;
        hash.map_err(|error| AccountError::InvalidParam(format!("password: {error}")))
    }

    /// Whether `password` is the one that was hashed. With no hash the answer is no, after the same time.
    pub(crate) async fn verify(&self, hash: Option<&str>, password: &str) -> Result<bool> {
        if password.len() > PASSWORD_BYTES_MAX {
            return Ok(false);
        }
        let (memory, params) = (self.memory.clone(), self.params.clone());
        let (hash, password) = (hash.map(str::to_owned), password.to_owned());
        self.off_thread(move || match hash {
            Some(hash) => memory.fits(&hash, &password).unwrap_or(false),
            None => {
                // Only for the time it takes.
                let _ = memory.hash(&argon(params), &password, &[0; SALT_BYTES]);
                false
            }
        })
        .await
    }

    async fn off_thread<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let _permit = self.at_once.acquire().await.map_err(|_| AccountError::Closed)?;
        tokio::task::spawn_blocking(work).await.map_err(|_| AccountError::Closed)
    }
}

fn argon(params: Params) -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// A password's hash as it is stored, with what it was made with.
fn stored_hash(memory: &Memory, params: Params, password: &str, salt: &[u8]) -> password_hash::Result<String> {
    let encoded = SaltString::encode_b64(salt)?;
    let written = ParamsString::try_from(&params)?;
    let hash = memory.hash(&argon(params), password, salt)?;
    let stored = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: written,
        salt: Some(encoded.as_salt()),
        hash: Some(hash),
    };
    Ok(stored.to_string())
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

    #[tokio::test]
    async fn hashes_of_other_makers_and_costs_are_understood_and_memory_is_kept() {
        use argon2::{PasswordHasher, PasswordVerifier};
        let passwords = Passwords::new(&quick()).unwrap();
        let salt = SaltString::encode_b64(&[9; 16]).unwrap();
        let costlier = Argon2::new(Algorithm::Argon2i, Version::V0x10, Params::new(256, 3, 2, None).unwrap());
        let theirs = costlier.hash_password(b"swordfish", &salt).unwrap().to_string();
        assert!(passwords.verify(Some(&theirs), "swordfish").await.unwrap());
        assert!(!passwords.verify(Some(&theirs), "sailfish").await.unwrap());

        let ours = passwords.hash(&Entropy::from_seed([1; 32]), "correct horse").await.unwrap();
        let parsed = PasswordHash::new(&ours).unwrap();
        assert!(Argon2::default().verify_password(b"correct horse", &parsed).is_ok(), "others understand ours");
        assert_eq!(passwords.memory.0.lock().len(), 1, "one after another they share their memory");
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
