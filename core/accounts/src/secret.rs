//! Random secrets and their stored form. The randomness is given to [`crate::Accounts::open`], never ambient.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use parking_lot::Mutex;
use rand::{RngCore, SeedableRng, rngs::StdRng};
use sha2::{Digest, Sha256};

const SECRET_BYTES: usize = 32;

/// The crate's source of randomness: a cryptographic generator, seeded by whoever opens the server.
pub struct Entropy(Mutex<StdRng>);

impl Entropy {
    /// A generator from a seed: the system's randomness in a server, a fixed one in tests.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(Mutex::new(StdRng::from_seed(seed)))
    }

    /// `N` random bytes.
    pub(crate) fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.lock().fill_bytes(&mut bytes);
        bytes
    }

    /// A new secret.
    pub(crate) fn secret(&self) -> Secret {
        Secret(URL_SAFE_NO_PAD.encode(self.bytes::<SECRET_BYTES>()))
    }

    /// A short random name of capital letters, for device ids.
    pub(crate) fn capitals(&self, length: usize) -> String {
        let mut name = String::with_capacity(length);
        while name.len() < length {
            let byte = self.bytes::<1>()[0];
            // 26 * 9 = 234: what lies above would favour the first letters.
            if byte < 234 {
                name.push(char::from(b'A' + byte % 26));
            }
        }
        name
    }
}

/// A bearer secret: shown to its owner once, stored only as its hash.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text given to its owner.
    pub fn reveal(self) -> String {
        self.0
    }

    /// What is stored.
    pub(crate) fn hash(&self) -> SecretHash {
        hash(&self.0)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

/// A secret's stored form.
pub(crate) type SecretHash = [u8; 32];

/// The stored form of a secret that a client sent. The secrets are random and long, so a plain hash is enough.
pub(crate) fn hash(secret: &str) -> SecretHash {
    Sha256::digest(secret.as_bytes()).into()
}
