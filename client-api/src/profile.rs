//! `/profile`: display names, avatars and the other fields that people show of themselves.

use axum::extract::State;
use lyceum_accounts::{AVATAR_URL, Accounts, DISPLAY_NAME};
use lyceum_institution::{Institution, ROLE_FIELD};
use lyceum_rooms::Rooms;
use lyceum_web::{ApiError, AuthedRaw, PublicRaw, RawJson, Session, body};
use ruma::UserId;
use serde_json::{Map, Value, json};

use crate::{
    answers::{Raw, empty, user_id},
    remote::Remote,
};

/// `GET /_matrix/client/v3/profile/{userId}`
pub(crate) async fn get_profile(
    State(accounts): State<Accounts>,
    State(remote): State<Remote>,
    State(institution): State<Institution>,
    request: PublicRaw<(String,)>,
) -> Raw {
    let user = user_id(&request.path.0)?;
    if !accounts.is_local(user) {
        return RawJson::of(&*remote.profile(user).await?);
    }
    let mut profile = accounts.profile(user).await?;
    profile.extend(role(&institution, user).await?.map(|role| (ROLE_FIELD.to_owned(), role)));
    RawJson::of(&profile)
}

/// What the institution states of somebody.
async fn role(institution: &Institution, user: &UserId) -> Result<Option<Value>, ApiError> {
    Ok(institution.stated_role(user).await?.map(|statement| json!(statement)))
}

/// `GET /_matrix/client/v3/profile/{userId}/{keyName}`
pub(crate) async fn get_profile_field(
    State(accounts): State<Accounts>,
    State(remote): State<Remote>,
    State(institution): State<Institution>,
    request: PublicRaw<(String, String)>,
) -> Raw {
    let (user, field) = (user_id(&request.path.0)?, request.path.1.as_str());
    let value = match accounts.is_local(user) {
        true => {
            let own = accounts.profile_field(user, field).await?;
            if field == ROLE_FIELD { role(&institution, user).await?.or(own) } else { own }
        }
        false => remote.profile(user).await?.get(field).cloned(),
    };
    // The two oldest fields are answered as absent, not as an error, which older clients rely on.
    match value {
        Some(value) => RawJson::of(&json!({ field: value })),
        None if [DISPLAY_NAME, AVATAR_URL].contains(&field) => empty(),
        None => Err(ApiError::not_found("The profile has no such field")),
    }
}

/// `PUT /_matrix/client/v3/profile/{userId}/{keyName}`
pub(crate) async fn set_profile_field(
    State(accounts): State<Accounts>,
    State(rooms): State<Rooms>,
    State(institution): State<Institution>,
    request: AuthedRaw<(String, String)>,
) -> Raw {
    let (user, field) = (user_id(&request.path.0)?, request.path.1.as_str());
    check_may_change((&accounts, &institution), &request.session, user, field)?;
    let mut fields: Map<String, Value> = body::json(&request.body)?;
    let value = fields.remove(field).ok_or_else(|| ApiError::missing_param(format!("{field} is required")))?;
    if accounts.set_profile_field(user, field, value).await? {
        rooms.show_profile(user).await?;
    }
    empty()
}

/// `DELETE /_matrix/client/v3/profile/{userId}/{keyName}`
pub(crate) async fn delete_profile_field(
    State(accounts): State<Accounts>,
    State(rooms): State<Rooms>,
    State(institution): State<Institution>,
    request: AuthedRaw<(String, String)>,
) -> Raw {
    let (user, field) = (user_id(&request.path.0)?, request.path.1.as_str());
    check_may_change((&accounts, &institution), &request.session, user, field)?;
    if accounts.remove_profile_field(user, field).await? {
        rooms.show_profile(user).await?;
    }
    empty()
}

fn check_may_change(
    (accounts, institution): (&Accounts, &Institution),
    session: &Session,
    user: &UserId,
    field: &str,
) -> Result<(), ApiError> {
    if field == ROLE_FIELD && institution.is_enabled() {
        return Err(ApiError::forbidden("The institution says who has which role"));
    }
    if session.user_id != user && !(session.admin && accounts.is_local(user)) {
        return Err(ApiError::forbidden("This profile belongs to somebody else"));
    }
    if session.is_guest() && field != DISPLAY_NAME {
        return Err(ApiError::guest_access_forbidden("Guests may set their display name only"));
    }
    Ok(())
}
