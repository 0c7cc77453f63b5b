//! A request of a program: its token is looked at before anything else of it, its scope by each handler.

use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::{HeaderMap, header};
use lyceum_institution::{Change, Institution, Order, Scope, Token, audit::Actor, audit::Entry};
use lyceum_web::{ApiError, PublicRaw, RawJson};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Api;

/// What a handler answers.
pub(crate) type Raw = Result<RawJson, ApiError>;

/// No query is looked at.
#[derive(Debug, Clone, Copy, serde::Deserialize)]
pub(crate) struct NoQuery {}

/// Why something is done, where the request has no body.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Why {
    pub(crate) why: Option<String>,
}

/// Who asks. What they may do is known only once a scope was asked for.
pub(crate) struct Program(Token);

/// A program with the right to what it asks.
pub(crate) struct Caller {
    /// As the audit chain names it.
    pub(crate) actor: Actor,
    /// Whose word it brings.
    pub(crate) source: String,
}

/// A request of a program.
pub(crate) struct Asked<P, Q = NoQuery> {
    pub(crate) program: Program,
    pub(crate) path: P,
    pub(crate) query: Q,
    pub(crate) body: Bytes,
}

impl<P, Q> FromRequest<Api> for Asked<P, Q>
where
    P: DeserializeOwned + Send,
    Q: DeserializeOwned + Send,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, api: &Api) -> Result<Self, ApiError> {
        let program = recognise(&api.institution, request.headers()).await?;
        let PublicRaw { path, query, body, .. } = PublicRaw::from_request(request, api).await?;
        Ok(Self { program, path, query, body })
    }
}

async fn recognise(institution: &Institution, headers: &HeaderMap) -> Result<Program, ApiError> {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let secret = given.and_then(|value| value.strip_prefix("Bearer "));
    let secret = secret.ok_or_else(|| ApiError::missing_token("Missing access token"))?;
    let token = institution.token(secret).await?;
    token.map(Program).ok_or_else(|| ApiError::unknown_token(false))
}

impl Program {
    /// The caller, if their token has this scope.
    pub(crate) fn with(self, scope: Scope) -> Result<Caller, ApiError> {
        if !self.0.scopes.contains(&scope) {
            return Err(ApiError::forbidden(format!("This token has not the scope {}", scope.as_str())));
        }
        Ok(Caller { actor: Actor::Program(self.0.name), source: self.0.source })
    }
}

impl Caller {
    /// Writes down that something is read, before it is.
    pub(crate) async fn reads(
        &self,
        institution: &Institution,
        act: &'static str,
        over: Option<&str>,
        what: Value,
    ) -> Result<(), ApiError> {
        let entry = Entry { over: over.map(str::to_owned), what, ..Entry::new(&self.actor, act) };
        Ok(institution.audit().note(&entry).await?)
    }

    /// Says in the name of its source how something is.
    pub(crate) async fn says(
        &self,
        institution: &Institution,
        change: Change,
        why: Option<&str>,
    ) -> Result<(), ApiError> {
        let order = Order { by: &self.actor, source: &self.source, why, changes: vec![change] };
        institution.change(&order).await?;
        Ok(())
    }
}
