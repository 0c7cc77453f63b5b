//! The handlers' state: cheap handles, each of which a handler takes by `State<…>`.

use axum::extract::FromRef;
use lyceum_institution::Institution;
use lyceum_web::{ApiError, WebState};
use lyceum_workers::moderation::Moderation;

/// What the handlers work with.
#[derive(Clone)]
pub struct Api {
    /// Limits, settings of the web.
    pub web: WebState,
    /// People, units, enrolments, tokens, the audit chain.
    pub institution: Institution,
    /// Cases and posts that wait; only where campus rules are in force.
    pub moderation: Option<Moderation>,
}

impl FromRef<Api> for WebState {
    fn from_ref(api: &Api) -> Self {
        api.web.clone()
    }
}

impl FromRef<Api> for Institution {
    fn from_ref(api: &Api) -> Self {
        api.institution.clone()
    }
}

impl FromRef<Api> for Desk {
    fn from_ref(api: &Api) -> Self {
        Self(api.moderation.clone())
    }
}

/// Who handles cases, if anybody does.
pub(crate) struct Desk(Option<Moderation>);

impl Desk {
    pub(crate) fn open(&self) -> Result<&Moderation, ApiError> {
        let closed = || ApiError::not_found("No campus rules are in force here, so there are no cases");
        self.0.as_ref().ok_or_else(closed)
    }
}
