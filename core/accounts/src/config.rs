//! What an administrator can set about accounts.

use argon2::Params;
use serde::Deserialize;

/// Who may register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RegistrationMode {
    /// Anybody.
    Open,
    /// Whoever has a registration token.
    #[default]
    Token,
    /// Nobody, apart from the shared secret and the command line.
    Closed,
}

/// What one password hash costs.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PasswordCost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over that memory.
    pub passes: u32,
}

impl Default for PasswordCost {
    fn default() -> Self {
        Self { memory_kib: 19 * 1024, passes: 2 }
    }
}

/// How people sign in and how long that holds. `[sign_in]` in the configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SignInConfig {
    /// The shortest password that may be chosen, in characters. One by default, as other servers have it; `lyceum init`
    /// writes 8.
    pub password_length_min: usize,
    /// How long an access token lives that its client can refresh, in seconds.
    pub access_token_secs: u64,
    /// How long any other access token lives, in seconds. Until it is logged out, unless set.
    pub access_token_without_refresh_secs: Option<u64>,
    /// What a password hash costs.
    pub password_cost: PasswordCost,
    /// An issuer of JSON Web Tokens that sign people in.
    pub jwt: Option<crate::JwtConfig>,
}

impl Default for SignInConfig {
    fn default() -> Self {
        Self {
            password_length_min: 1,
            access_token_secs: 300,
            access_token_without_refresh_secs: None,
            password_cost: PasswordCost::default(),
            jwt: None,
        }
    }
}

impl SignInConfig {
    /// What is wrong with the settings, each with its key.
    pub fn mistakes(&self) -> Vec<(&'static str, String)> {
        let PasswordCost { memory_kib, passes } = self.password_cost;
        let least = |key, value, min, what| (value < min).then(|| (key, format!("a hash needs at least {min} {what}")));
        let mut found: Vec<_> = [
            least("password_cost.memory_kib", memory_kib, Params::MIN_M_COST, "KiB"),
            least("password_cost.passes", passes, Params::MIN_T_COST, "pass"),
        ]
        .into_iter()
        .flatten()
        .collect();
        found.extend(self.jwt.as_ref().and_then(crate::JwtConfig::mistake));
        found
    }
}

/// Accounts' settings, filled from several sections of the configuration.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Who may register.
    pub registration: RegistrationMode,
    /// Enables registration by `POST /_synapse/admin/v1/register`.
    pub shared_secret: Option<String>,
    /// Whether guests may register.
    pub guests: bool,
    /// How people sign in.
    pub sign_in: SignInConfig,
    /// What whoever makes an account agrees to.
    pub terms: crate::Terms,
}

impl Config {
    /// How long an access token of a client that can refresh it lives.
    pub(crate) fn access_token_ms(&self) -> u64 {
        self.sign_in.access_token_secs.saturating_mul(1000)
    }

    /// How long any other access token lives.
    pub(crate) fn access_token_without_refresh_ms(&self) -> Option<u64> {
        self.sign_in.access_token_without_refresh_secs.map(|seconds| seconds.saturating_mul(1000))
    }
}
