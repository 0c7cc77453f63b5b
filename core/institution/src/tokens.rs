//! Tokens of programs that use the institution's HTTP API: each has a name, which the audit chain knows it by, the scopes it
//! may use, and the source whose word it brings. Only a token's hash is stored.

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use lyceum_storage::Batch;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::{
    Institution, InstitutionError, Result,
    audit::{Actor, Entry},
    change::check_source,
    tables::TOKENS,
};

/// Tokens there may be at once.
const TOKENS_MAX: usize = 1_000;
/// The bytes of a token's name.
const NAME_BYTES_MAX: usize = 64;
/// How often a change is decided again after another one was quicker.
const TRIES: usize = 5;

/// What a token is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    /// Reading what people are.
    #[serde(rename = "people:read")]
    PeopleRead,
    /// Saying what people are.
    #[serde(rename = "people:write")]
    PeopleWrite,
    /// Reading the units.
    #[serde(rename = "units:read")]
    UnitsRead,
    /// Changing the units.
    #[serde(rename = "units:write")]
    UnitsWrite,
    /// Reading who is enrolled where.
    #[serde(rename = "enrolments:read")]
    EnrolmentsRead,
    /// Enrolling people.
    #[serde(rename = "enrolments:write")]
    EnrolmentsWrite,
    /// Reading cases, what they are about, and posts that wait.
    #[serde(rename = "cases:read")]
    CasesRead,
    /// Handling them.
    #[serde(rename = "cases:write")]
    CasesWrite,
    /// Reading and verifying the audit chain.
    #[serde(rename = "audit:read")]
    AuditRead,
    /// Reading exams and blocks.
    #[serde(rename = "restraints:read")]
    RestraintsRead,
    /// Setting and lifting them.
    #[serde(rename = "restraints:write")]
    RestraintsWrite,
    /// Reading and searching rooms, and the sealed archive.
    #[serde(rename = "oversight:read")]
    OversightRead,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::PeopleRead,
        Self::PeopleWrite,
        Self::UnitsRead,
        Self::UnitsWrite,
        Self::EnrolmentsRead,
        Self::EnrolmentsWrite,
        Self::CasesRead,
        Self::CasesWrite,
        Self::AuditRead,
        Self::RestraintsRead,
        Self::RestraintsWrite,
        Self::OversightRead,
    ];

    /// The spelling in commands and documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PeopleRead => "people:read",
            Self::PeopleWrite => "people:write",
            Self::UnitsRead => "units:read",
            Self::UnitsWrite => "units:write",
            Self::EnrolmentsRead => "enrolments:read",
            Self::EnrolmentsWrite => "enrolments:write",
            Self::CasesRead => "cases:read",
            Self::CasesWrite => "cases:write",
            Self::AuditRead => "audit:read",
            Self::RestraintsRead => "restraints:read",
            Self::RestraintsWrite => "restraints:write",
            Self::OversightRead => "oversight:read",
        }
    }

    /// By that spelling.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == name)
    }
}

/// A token, without the secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Its name: no two have the same.
    pub name: String,
    /// What it is good for.
    pub scopes: Vec<Scope>,
    /// Whose word it brings.
    pub source: String,
    /// When it was made.
    pub made_ms: u64,
    /// Until when it counts, that moment excluded; for good, if not said.
    pub until_ms: Option<u64>,
}

impl Institution {
    /// Lets a program in that shows this secret.
    pub async fn make_token(&self, by: &Actor, token: &Token, secret: &str) -> Result<()> {
        check(token)?;
        let what = json!({ "scopes": token.scopes, "source": token.source, "until_ms": token.until_ms });
        let entry = Entry { over: Some(token.name.clone()), what, ..Entry::new(by, "token.make") };
        for _ in 0..TRIES {
            let tokens = self.token_rows().await?;
            if tokens.len() >= TOKENS_MAX {
                return Err(InstitutionError::Limit(format!("there are at most {TOKENS_MAX} tokens: revoke some")));
            }
            if tokens.iter().any(|(_, other)| other.name == token.name) {
                return Err(InstitutionError::Wrong(format!("there is a token {} already", token.name)));
            }
            let mut batch = Batch::new();
            batch.expect(&TOKENS, hash(secret).as_str(), None).put(&TOKENS, hash(secret).as_str(), token);
            match self.noted(batch, &entry).await {
                Err(InstitutionError::Busy) => {}
                done => return done,
            }
        }
        Err(InstitutionError::Busy)
    }

    /// Takes a token's rights away.
    pub async fn revoke_token(&self, by: &Actor, name: &str) -> Result<()> {
        let entry = Entry { over: Some(name.to_owned()), ..Entry::new(by, "token.revoke") };
        for _ in 0..TRIES {
            let tokens = self.token_rows().await?;
            let found = tokens.into_iter().find(|(_, token)| token.name == name);
            let (key, token) = found.ok_or_else(|| InstitutionError::NotFound(format!("there is no token {name}")))?;
            let mut batch = Batch::new();
            batch.expect(&TOKENS, key.as_str(), Some(&token)).delete(&TOKENS, key.as_str());
            match self.noted(batch, &entry).await {
                Err(InstitutionError::Busy) => {}
                done => return done,
            }
        }
        Err(InstitutionError::Busy)
    }

    /// All tokens, by name.
    pub async fn tokens(&self) -> Result<Vec<Token>> {
        let mut tokens: Vec<_> = self.token_rows().await?.into_iter().map(|(_, token)| token).collect();
        tokens.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(tokens)
    }

    /// The token that a secret stands for, if it counts now.
    pub async fn token(&self, secret: &str) -> Result<Option<Token>> {
        let token = self.store().get(&TOKENS, hash(secret).as_str()).await?;
        Ok(token.filter(|token| token.until_ms.is_none_or(|until| self.now_ms() < until)))
    }

    async fn token_rows(&self) -> Result<Vec<(String, Token)>> {
        Ok(self.store().scan(&TOKENS, TOKENS.all().limit(TOKENS_MAX)).await?)
    }

    async fn noted(&self, mut batch: Batch, entry: &Entry<'_>) -> Result<()> {
        let mut chain = self.audit().hold().await?;
        chain.add(&mut batch, entry)?;
        chain.commit(batch).await.map(drop)
    }
}

fn check(token: &Token) -> Result<()> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if token.name.is_empty() || token.name.len() > NAME_BYTES_MAX || !token.name.bytes().all(fits) {
        return Err(InstitutionError::Wrong(format!("{:?} cannot be the name of a token", token.name)));
    }
    if token.scopes.is_empty() {
        return Err(InstitutionError::Wrong("a token without a scope is good for nothing".to_owned()));
    }
    check_source(&token.source)
}

/// The stored form. Secrets are random and long, so a plain hash is enough.
fn hash(secret: &str) -> String {
    STANDARD_NO_PAD.encode(Sha256::digest(secret.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HAND, testing};

    fn token(name: &str, until_ms: Option<u64>) -> Token {
        Token { name: name.into(), scopes: vec![Scope::PeopleRead], source: HAND.into(), made_ms: 0, until_ms }
    }

    #[tokio::test]
    async fn a_token_counts_until_it_ends_or_is_revoked() {
        let (store, institution) = testing::institution().await;
        let now = institution.now_ms();
        let make = async |token: &Token, secret: &str| institution.make_token(&Actor::Operator, token, secret).await;
        make(&token("portal", None), "s3cret").await.unwrap();
        make(&token("old", Some(now)), "0ld").await.unwrap();
        assert!(make(&token("portal", None), "other").await.is_err(), "the name is taken");
        assert!(make(&token("", None), "x").await.is_err() && make(&token("a b", None), "x").await.is_err());
        assert!(make(&Token { scopes: vec![], ..token("none", None) }, "x").await.is_err());
        assert_eq!(institution.token("s3cret").await.unwrap(), Some(token("portal", None)));
        assert_eq!(institution.token("0ld").await.unwrap(), None);
        assert_eq!(institution.token("nothing").await.unwrap(), None);
        let rows = store.scan(&TOKENS, TOKENS.all()).await.unwrap();
        assert!(rows.iter().all(|(key, _)| !key.contains("s3cret")), "the secret itself is nowhere");
        institution.revoke_token(&Actor::Operator, "portal").await.unwrap();
        assert_eq!(institution.token("s3cret").await.unwrap(), None);
        assert!(institution.revoke_token(&Actor::Operator, "portal").await.is_err());
        let rows = institution.audit().rows(0, 10).await.unwrap();
        assert_eq!(rows.len(), 3);
        assert!(rows[0].1.contains("token.make") && rows[2].1.contains("token.revoke"));
    }

    #[test]
    fn scopes_are_spelt_alike_everywhere() {
        for scope in Scope::ALL {
            assert_eq!(serde_json::to_value(scope).unwrap(), scope.as_str());
            assert_eq!(Scope::named(scope.as_str()), Some(scope));
        }
    }
}
