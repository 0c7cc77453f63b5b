//! What administrators hold against single people, or allow them: shadow-banning, and how often they may send.

use axum::extract::State;
use lyceum_accounts::{Accounts, RateOverride};
use lyceum_institution::Institution;
use lyceum_web::{ApiError, AuthedRaw, RawJson, Session, body};
use serde::Deserialize;
use serde_json::json;

use super::{administered, audit};
use crate::answers::{Raw, empty};

type OfUser = AuthedRaw<(String,)>;

/// `POST /_synapse/admin/v1/users/{userId}/shadow_ban`
pub(crate) async fn shadow_ban(
    State(accounts): State<Accounts>,
    State(institution): State<Institution>,
    request: OfUser,
) -> Raw {
    set_shadow_ban((&accounts, &institution), &request.session, &request.path.0, true).await
}

/// `DELETE /_synapse/admin/v1/users/{userId}/shadow_ban`
pub(crate) async fn lift_shadow_ban(
    State(accounts): State<Accounts>,
    State(institution): State<Institution>,
    request: OfUser,
) -> Raw {
    set_shadow_ban((&accounts, &institution), &request.session, &request.path.0, false).await
}

async fn set_shadow_ban(
    (accounts, institution): (&Accounts, &Institution),
    session: &Session,
    user: &str,
    on: bool,
) -> Raw {
    let user = administered(accounts, session, user).await?;
    let act = if on { "person.shadow_ban" } else { "person.shadow_ban.lift" };
    audit(institution, session, act, user.as_str()).await?;
    accounts.shadow_ban(&session.user_id, user, on).await?;
    empty()
}

/// `GET /_synapse/admin/v1/users/{userId}/override_ratelimit`
pub(crate) async fn rate_override(State(accounts): State<Accounts>, request: OfUser) -> Raw {
    let user = administered(&accounts, &request.session, &request.path.0).await?;
    match accounts.rate_override(user).await? {
        Some(kept) => told(kept),
        None => empty(),
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Wish {
    messages_per_second: i64,
    burst_count: i64,
}

/// `POST /_synapse/admin/v1/users/{userId}/override_ratelimit`
pub(crate) async fn set_rate_override(State(accounts): State<Accounts>, request: OfUser) -> Raw {
    let user = administered(&accounts, &request.session, &request.path.0).await?;
    let wish: Wish = body::json(&request.body)?;
    let count = |number: i64, name: &str| {
        u32::try_from(number).map_err(|_| ApiError::invalid_param(format!("{name} must be a number from 0")))
    };
    let wanted = RateOverride {
        messages_per_second: count(wish.messages_per_second, "messages_per_second")?,
        burst_count: count(wish.burst_count, "burst_count")?,
    };
    accounts.set_rate_override(user, Some(wanted)).await?;
    told(wanted)
}

/// `DELETE /_synapse/admin/v1/users/{userId}/override_ratelimit`
pub(crate) async fn remove_rate_override(State(accounts): State<Accounts>, request: OfUser) -> Raw {
    let user = administered(&accounts, &request.session, &request.path.0).await?;
    accounts.set_rate_override(user, None).await?;
    empty()
}

fn told(kept: RateOverride) -> Raw {
    RawJson::of(&json!({ "messages_per_second": kept.messages_per_second, "burst_count": kept.burst_count }))
}
