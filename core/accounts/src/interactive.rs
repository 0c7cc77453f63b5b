//! User-interactive authentication (spec: "User-Interactive Authentication API"): which stages an act takes, what a client
//! has completed, and the proof that lets the act go on.
//!
//! A session belongs to one act (method and path) of one person. It is used up by the batch of the act itself, so that an
//! act that fails for another reason may be tried again with it.

use lyceum_storage::Batch;
use ruma::{
    OwnedUserId, UserId,
    api::{
        client::uiaa::{AuthFlow, AuthType, UiaaInfo},
        error::{ErrorKind, StandardErrorBody},
    },
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::{
    AccountError, Accounts, Identifier, Terms, UserKind, error::Result, registration_tokens::TokenState,
    short_lived::Kind, tables::ShortLivedRow, terms,
};

/// How long a session lives.
const SESSION_LIFETIME_MS: u64 = 15 * 60_000;

/// A step of interactive authentication that this server knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// The person's password.
    Password,
    /// Nothing at all.
    Dummy,
    /// A registration token.
    RegistrationToken,
    /// Agreeing to documents.
    Terms,
}

impl Stage {
    fn auth_type(self) -> AuthType {
        match self {
            Self::Password => AuthType::Password,
            Self::Dummy => AuthType::Dummy,
            Self::RegistrationToken => AuthType::RegistrationToken,
            Self::Terms => AuthType::Terms,
        }
    }

    fn named(name: &str) -> Option<Self> {
        match name {
            "m.login.password" => Some(Self::Password),
            "m.login.dummy" => Some(Self::Dummy),
            "m.login.registration_token" | "org.matrix.msc3231.login.registration_token" => {
                Some(Self::RegistrationToken)
            }
            "m.login.terms" => Some(Self::Terms),
            _ => None,
        }
    }
}

/// The `auth` object of a request, of whatever type.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct InteractiveAuth {
    /// The stage; absent to ask how far the session is.
    #[serde(rename = "type")]
    pub stage: Option<String>,
    /// The session the server gave.
    pub session: Option<String>,
    /// For the password stage.
    pub identifier: Option<Identifier>,
    /// For the password stage, as older clients name the person.
    pub user: Option<String>,
    /// For the password stage.
    pub password: Option<String>,
    /// For the registration token stage.
    pub token: Option<String>,
}

/// What is kept of a session.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Progress {
    act: String,
    user: Option<OwnedUserId>,
    completed: Vec<Stage>,
    registration_token: Option<String>,
    /// Which versions of which documents were agreed to.
    #[serde(default)]
    agreed: BTreeMap<String, String>,
    /// Whom the act made, if it was a registration.
    #[serde(default)]
    registered: Option<OwnedUserId>,
}

/// That interactive authentication was completed. The act's batch uses it up.
#[derive(Debug)]
pub struct Proof {
    session: Option<(String, ShortLivedRow)>,
    /// The registration token that was shown.
    pub(crate) registration_token: Option<String>,
    /// The versions of documents that were agreed to.
    pub(crate) agreed: BTreeMap<String, String>,
}

impl Proof {
    /// For whom no authentication is asked: application services, and acts the specification frees.
    pub fn not_needed() -> Self {
        Self { session: None, registration_token: None, agreed: BTreeMap::new() }
    }
}

impl Accounts {
    /// The ways in which a person confirms an act of theirs.
    pub async fn confirmation_flows(&self, user: &UserId) -> Result<Vec<Vec<Stage>>> {
        let account = self.active_user(user).await?;
        // Who has no password signed in by way of another system, which this server cannot ask again.
        let stage = if account.password_hash.is_some() { Stage::Password } else { Stage::Dummy };
        Ok(vec![vec![stage]])
    }

    /// Confirms that it is `user` who wants `act` (its method and path). A bridged user's service needs no confirmation.
    pub async fn confirm(&self, act: &str, user: &UserId, auth: Option<&InteractiveAuth>) -> Result<Proof> {
        if matches!(self.active_user(user).await?.kind, UserKind::Bridged(_)) {
            return Ok(Proof::not_needed());
        }
        let flows = self.confirmation_flows(user).await?;
        self.interact(act, &flows, Some(user), auth).await
    }

    /// Completes one stage of a session from outside the request that began it (spec, "Fallback"). That request is then
    /// repeated with the session alone.
    pub async fn complete_stage(&self, session: &str, auth: InteractiveAuth) -> Result<()> {
        let row = self.kept(Kind::Interactive, session.as_bytes()).await?.ok_or(AccountError::NotFound("session"))?;
        let progress: Progress =
            serde_json::from_str(&row.content).map_err(|error| AccountError::BadJson(error.to_string()))?;
        if progress.registered.is_some() {
            return Err(AccountError::NotFound("session"));
        }
        let flows = match &progress.user {
            Some(user) => self.confirmation_flows(user).await?,
            None => self.registration_flows()?,
        };
        let auth = InteractiveAuth { session: Some(session.to_owned()), ..auth };
        match self.interact(&progress.act, &flows, progress.user.as_deref(), Some(&auth)).await {
            Err(AccountError::Interactive(info)) if info.auth_error.is_none() => Ok(()),
            done => done.map(drop),
        }
    }

    /// One step of interactive authentication: a proof when a flow is complete, otherwise [`AccountError::Interactive`].
    pub(crate) async fn interact(
        &self,
        act: &str,
        flows: &[Vec<Stage>],
        user: Option<&UserId>,
        auth: Option<&InteractiveAuth>,
    ) -> Result<Proof> {
        let (session, row, mut progress) = self.session_of(act, user, auth).await?;
        let refused = match auth.and_then(|auth| auth.stage.as_deref().map(|stage| (auth, stage))) {
            Some((auth, stage)) => self.try_stage(&mut progress, flows, stage, auth).await?,
            None => None,
        };
        let before = row.content.clone();
        let content = serde_json::to_string(&progress).map_err(|error| AccountError::BadJson(error.to_string()))?;
        let row = ShortLivedRow { content: content.clone(), ..row };
        if content != before {
            let mut batch = Batch::new();
            let old = ShortLivedRow { content: before, ..row.clone() };
            self.rewrite(&mut batch, Kind::Interactive, session.as_bytes(), &old, content);
            self.store().commit(batch).await?;
        }
        let complete = flows.iter().any(|flow| flow.iter().all(|stage| progress.completed.contains(stage)));
        if complete && refused.is_none() {
            let Progress { registration_token, agreed, .. } = progress;
            return Ok(Proof { session: Some((session, row)), registration_token, agreed });
        }
        Err(challenge((flows, self.terms()), &progress, session, refused))
    }

    /// The session that `auth` names if it is one for this act, otherwise a new one.
    async fn session_of(
        &self,
        act: &str,
        user: Option<&UserId>,
        auth: Option<&InteractiveAuth>,
    ) -> Result<(String, ShortLivedRow, Progress)> {
        if let Some(session) = auth.and_then(|auth| auth.session.as_deref())
            && let Some(row) = self.kept(Kind::Interactive, session.as_bytes()).await?
            && let Ok(progress) = serde_json::from_str::<Progress>(&row.content)
        {
            if progress.act != act || progress.user.as_deref() != user {
                return Err(AccountError::Forbidden("this session was begun for another request"));
            }
            return Ok((session.to_owned(), row, progress));
        }
        let progress = Progress {
            act: act.to_owned(),
            user: user.map(ToOwned::to_owned),
            completed: vec![],
            registration_token: None,
            agreed: BTreeMap::new(),
            registered: None,
        };
        let session = self.entropy().secret().reveal();
        let content = serde_json::to_string(&progress).map_err(|error| AccountError::BadJson(error.to_string()))?;
        let mut batch = Batch::new();
        let row = self.keep(&mut batch, Kind::Interactive, session.as_bytes(), content, SESSION_LIFETIME_MS);
        self.store().commit(batch).await?;
        Ok((session, row, progress))
    }

    /// Tries a stage: notes it as completed, or answers why not.
    async fn try_stage(
        &self,
        progress: &mut Progress,
        flows: &[Vec<Stage>],
        stage: &str,
        auth: &InteractiveAuth,
    ) -> Result<Option<(ErrorKind, &'static str)>> {
        let offered = Stage::named(stage).filter(|stage| flows.iter().flatten().any(|offered| offered == stage));
        let Some(stage) = offered else {
            return Ok(Some((ErrorKind::Unrecognized, "this stage is not offered here")));
        };
        let refused = match stage {
            Stage::Dummy => None,
            Stage::Terms => {
                progress.agreed = terms::versions(self.terms());
                None
            }
            Stage::Password => self.try_password(progress, auth).await?,
            Stage::RegistrationToken => self.try_registration_token(progress, auth).await?,
        };
        if refused.is_none() && !progress.completed.contains(&stage) {
            progress.completed.push(stage);
        }
        Ok(refused)
    }

    async fn try_password(
        &self,
        progress: &Progress,
        auth: &InteractiveAuth,
    ) -> Result<Option<(ErrorKind, &'static str)>> {
        let Some(password) = &auth.password else {
            return Ok(Some((ErrorKind::MissingParam, "password is required")));
        };
        let named = auth.identifier.clone().or_else(|| auth.user.clone().map(|user| Identifier::User { user }));
        let identifier = match (named, &progress.user) {
            (Some(named), _) => named,
            (None, Some(user)) => Identifier::User { user: user.to_string() },
            (None, None) => return Ok(Some((ErrorKind::MissingParam, "identifier is required"))),
        };
        match self.check_password(&identifier, password).await {
            Ok(user) if Some(&user) == progress.user.as_ref() => Ok(None),
            // Trying again cannot help: whoever this is, it is not whose act it is.
            Ok(_) => Err(AccountError::Forbidden("somebody else's password confirms nothing here")),
            Err(AccountError::WrongCredentials | AccountError::Deactivated) => {
                Ok(Some((ErrorKind::Forbidden, "the password does not fit this account")))
            }
            Err(error) => Err(error),
        }
    }

    async fn try_registration_token(
        &self,
        progress: &mut Progress,
        auth: &InteractiveAuth,
    ) -> Result<Option<(ErrorKind, &'static str)>> {
        let Some(token) = &auth.token else {
            return Ok(Some((ErrorKind::MissingParam, "token is required")));
        };
        match self.registration_token_state(token).await? {
            TokenState::Valid => {
                progress.registration_token = Some(token.clone());
                Ok(None)
            }
            TokenState::Unknown | TokenState::UsedUp | TokenState::Expired => {
                Ok(Some((ErrorKind::Unauthorized, "the registration token is not valid")))
            }
        }
    }

    /// Who was registered in the session that `auth` names: the answer may have been lost, and the client asks again.
    pub(crate) async fn registered_in(&self, auth: Option<&InteractiveAuth>) -> Result<Option<OwnedUserId>> {
        let Some(session) = auth.and_then(|auth| auth.session.as_deref()) else { return Ok(None) };
        let row = self.kept(Kind::Interactive, session.as_bytes()).await?;
        Ok(row.and_then(|row| serde_json::from_str::<Progress>(&row.content).ok()?.registered))
    }

    /// Adds to a registration's batch whom it makes, for as long as the session lives; after that its proof is used up.
    pub(crate) fn note_registered(&self, batch: &mut Batch, proof: &Proof, user: &UserId) -> Result<()> {
        let Some((session, row)) = &proof.session else { return Ok(()) };
        let bad = |error: serde_json::Error| AccountError::BadJson(error.to_string());
        let mut progress: Progress = serde_json::from_str(&row.content).map_err(bad)?;
        progress.registered = Some(user.to_owned());
        let content = serde_json::to_string(&progress).map_err(bad)?;
        self.rewrite(batch, Kind::Interactive, session.as_bytes(), row, content);
        Ok(())
    }

    /// Adds to the act's batch that its proof is used up.
    pub(crate) fn use_proof(&self, batch: &mut Batch, proof: &Proof) {
        if let Some((session, row)) = &proof.session {
            self.use_up(batch, Kind::Interactive, session.as_bytes(), row);
        }
    }
}

fn challenge(
    (flows, documents): (&[Vec<Stage>], &Terms),
    progress: &Progress,
    session: String,
    refused: Option<(ErrorKind, &'static str)>,
) -> AccountError {
    let mut params = serde_json::Map::new();
    if flows.iter().flatten().any(|stage| *stage == Stage::Terms) {
        params.insert(AuthType::Terms.to_string(), serde_json::json!(terms::params(documents)));
    }
    let flows = flows.iter().map(|flow| AuthFlow::new(flow.iter().map(|stage| stage.auth_type()).collect())).collect();
    let mut info = UiaaInfo::new(flows);
    info.completed = progress.completed.iter().map(|stage| stage.auth_type()).collect();
    info.session = Some(session);
    // Some clients read `params` without looking whether it is there.
    info.params = serde_json::value::to_raw_value(&params).ok();
    info.auth_error = refused.map(|(kind, why)| Box::new(StandardErrorBody::new(kind, why.to_owned())));
    AccountError::Interactive(Box::new(info))
}
