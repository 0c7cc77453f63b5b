//! Signing in by a JSON Web Token from an issuer that configuration trusts, such as a campus portal.

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{AccountError, Accounts, DeviceChoice, NewPerson, SignedIn, error::Result};

/// How far the issuer's clock may be from ours.
const LEEWAY_SECONDS: u64 = 60;

/// The algorithms that are taken.
const ALGORITHMS: [&str; 12] =
    ["HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];

/// Whose tokens are taken, and how they are read.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JwtConfig {
    /// The signature's algorithm, such as `HS256`, `RS256`, `ES256` or `EdDSA`. No other is taken.
    pub algorithm: String,
    /// The shared secret (`HS…`), or the issuer's public key as PEM.
    pub key: String,
    /// What `iss` must be.
    pub issuer: Option<String>,
    /// One of these must be in `aud`.
    #[serde(default)]
    pub audiences: Vec<String>,
    /// The claim that holds the user's local part.
    #[serde(default = "subject")]
    pub subject_claim: String,
    /// Whether an account is made for whom the issuer vouches and who has none.
    #[serde(default = "yes")]
    pub register: bool,
}

fn subject() -> String {
    "sub".into()
}

fn yes() -> bool {
    true
}

/// A trusted issuer's key and rules, ready for use.
pub(crate) struct Issuer {
    key: DecodingKey,
    validation: Validation,
    subject_claim: String,
    register: bool,
}

impl JwtConfig {
    /// What is wrong with the settings, with the key below `[sign_in]`.
    pub(crate) fn mistake(&self) -> Option<(&'static str, String)> {
        self.key().err()
    }

    /// How signatures are checked, and by what.
    fn key(&self) -> std::result::Result<(Algorithm, DecodingKey), (&'static str, String)> {
        let algorithm: Algorithm = self
            .algorithm
            .parse()
            .map_err(|_| ("jwt.algorithm", format!("{:?} is none of {}", self.algorithm, ALGORITHMS.join(", "))))?;
        let pem = self.key.as_bytes();
        let key = match algorithm {
            Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 if self.key.trim().is_empty() => {
                return Err((
                    "jwt.key",
                    "an empty secret is no secret; write the one shared with the portal".to_owned(),
                ));
            }
            Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => Ok(DecodingKey::from_secret(pem)),
            Algorithm::ES256 | Algorithm::ES384 => DecodingKey::from_ec_pem(pem),
            Algorithm::EdDSA => DecodingKey::from_ed_pem(pem),
            _ => DecodingKey::from_rsa_pem(pem),
        };
        let key = key.map_err(|_| {
            let begins = "-----BEGIN PUBLIC KEY-----";
            let text = format!("not a public key for {}; it is PEM text that begins with {begins}", self.algorithm);
            ("jwt.key", text)
        })?;
        Ok((algorithm, key))
    }
}

impl Issuer {
    pub(crate) fn new(config: &JwtConfig) -> Result<Self> {
        let wrong = |(key, what): (&str, String)| AccountError::InvalidParam(format!("{key}: {what}"));
        let (algorithm, key) = config.key().map_err(wrong)?;
        let mut validation = Validation::new(algorithm);
        // The times are checked below, against the server's own clock.
        validation.validate_exp = false;
        validation.required_spec_claims.clear();
        match &config.issuer {
            Some(issuer) => {
                validation.set_issuer(&[issuer]);
                validation.required_spec_claims.insert("iss".into());
            }
            None => validation.iss = None,
        }
        if config.audiences.is_empty() {
            validation.validate_aud = false;
        } else {
            validation.set_audience(&config.audiences);
            validation.required_spec_claims.insert("aud".into());
        }
        Ok(Self { key, validation, subject_claim: config.subject_claim.clone(), register: config.register })
    }

    /// The local part that a good token names.
    fn localpart(&self, token: &str, now_seconds: u64) -> Option<String> {
        let claims = decode::<Map<String, Value>>(token, &self.key, &self.validation).ok()?.claims;
        let in_time = |claim: &str, fits: &dyn Fn(u64) -> bool| match claims.get(claim) {
            None => true,
            Some(value) => value.as_f64().is_some_and(|at| at >= 0.0 && fits(at as u64)),
        };
        let valid = in_time("exp", &|at| now_seconds < at.saturating_add(LEEWAY_SECONDS))
            && in_time("nbf", &|at| now_seconds.saturating_add(LEEWAY_SECONDS) >= at);
        let subject = claims.get(&self.subject_claim)?.as_str()?;
        valid.then(|| subject.to_owned())
    }
}

impl Accounts {
    /// Whether signing in by JSON Web Token is set up.
    pub fn takes_jwt(&self) -> bool {
        self.issuer().is_some()
    }

    /// Signs in whom a JSON Web Token names, making the account where that is configured.
    pub async fn sign_in_by_jwt(&self, token: &str, choice: DeviceChoice) -> Result<SignedIn> {
        let wrong = AccountError::Forbidden("the JSON Web Token is not valid");
        let issuer = self.issuer().ok_or(AccountError::Forbidden("JSON Web Tokens are not taken here"))?;
        let localpart = issuer.localpart(token, self.now_ms() / 1000).ok_or(wrong.clone())?;
        let user = self.user_id(&localpart.to_lowercase()).ok_or(wrong)?;
        if self.exists(&user).await? || !issuer.register {
            return self.sign_in(&user, choice).await.map_err(|error| match error {
                AccountError::NotFound(_) => AccountError::WrongCredentials,
                error => error,
            });
        }
        let person = NewPerson { localpart: Some(localpart), ..NewPerson::default() };
        match self.register(person, Some(choice.clone())).await {
            Ok(registered) => registered.session.ok_or(AccountError::Busy),
            // Two first sign-ins at once: the other one made the account.
            Err(AccountError::UserInUse | AccountError::Busy) => self.sign_in(&user, choice).await,
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Fixture;
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::json;

    fn token(claims: &Value, secret: &str) -> String {
        encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
    }

    async fn fixture() -> Fixture {
        let jwt = JwtConfig {
            algorithm: "HS256".into(),
            key: "portal".into(),
            issuer: Some("campus".into()),
            audiences: vec![],
            subject_claim: "sub".into(),
            register: true,
        };
        let mut config = Fixture::config();
        config.sign_in.jwt = Some(jwt);
        Fixture::with_config(config, &[]).await
    }

    #[tokio::test]
    async fn whom_the_issuer_vouches_for_gets_an_account_and_a_session() {
        let fixture = fixture().await;
        let good = token(&json!({"sub": "Ben", "iss": "campus", "exp": 1_700_000_100}), "portal");
        let signed_in = fixture.accounts.sign_in_by_jwt(&good, DeviceChoice::default()).await.unwrap();
        assert_eq!(signed_in.user_id, "@ben:test");
        assert!(fixture.accounts.sign_in_by_jwt(&good, DeviceChoice::default()).await.is_ok());
    }

    #[tokio::test]
    async fn another_key_issuer_or_time_is_refused() {
        let fixture = fixture().await;
        let refused = [
            token(&json!({"sub": "ben", "iss": "campus"}), "other"),
            token(&json!({"sub": "ben", "iss": "elsewhere"}), "portal"),
            token(&json!({"sub": "ben"}), "portal"),
            token(&json!({"iss": "campus"}), "portal"),
            token(&json!({"sub": "ben", "iss": "campus", "exp": 1_699_990_000}), "portal"),
            token(&json!({"sub": "ben", "iss": "campus", "nbf": 1_700_001_000}), "portal"),
            "x.y.z".to_owned(),
        ];
        for token in refused {
            assert!(fixture.accounts.sign_in_by_jwt(&token, DeviceChoice::default()).await.is_err(), "{token}");
        }
    }
}
