//! One account: looking at it, making and changing it, closing it.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use lyceum_accounts::{AVATAR_URL, Accounts, DISPLAY_NAME, NewPerson, Proof, Restriction, User, UserKind};
use lyceum_rooms::Rooms;
use lyceum_web::{ApiError, AuthedRaw, RawJson, body};
use ruma::UserId;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use std::collections::BTreeMap;

use super::{administered, own, users_list::last_seen};
use crate::{
    account::deactivate::leave_everything,
    answers::{Raw, empty, user_id},
};

/// `GET /_synapse/admin/v2/users/{userId}`
pub(crate) async fn get(State(accounts): State<Accounts>, request: AuthedRaw<(String,)>) -> Raw {
    let user = administered(&accounts, &request.session, &request.path.0).await?;
    RawJson::of(&told(&accounts, user).await?)
}

/// What of an account is to be. Addresses and identities of elsewhere are not kept here and passed over, so that tools
/// which always send them can make accounts.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wish {
    password: Option<String>,
    logout_devices: Option<bool>,
    displayname: Option<String>,
    avatar_url: Option<String>,
    admin: Option<bool>,
    deactivated: Option<bool>,
    locked: Option<bool>,
    #[serde(deserialize_with = "told_or_null")]
    user_type: Option<Option<String>>,
}

/// Tells what is not said from what is said to be nothing.
fn told_or_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// `PUT /_synapse/admin/v2/users/{userId}`
pub(crate) async fn put(
    State(accounts): State<Accounts>,
    State(rooms): State<Rooms>,
    request: AuthedRaw<(String,)>,
) -> Result<Response, ApiError> {
    let user = own(&accounts, &request.session, &request.path.0)?;
    let wish: Wish = body::json(&request.body)?;
    if user == request.session.user_id && (wish.admin == Some(false) || wish.deactivated == Some(true)) {
        return Err(ApiError::unknown("You may not take your own rights away"));
    }
    let status = if accounts.exists(user).await? {
        change(&accounts, &rooms, user, &wish).await?;
        StatusCode::OK
    } else {
        let person = NewPerson {
            localpart: Some(user.localpart().to_owned()),
            password: wish.password.clone(),
            admin: wish.admin.unwrap_or_default(),
            user_type: wish.user_type.clone().flatten(),
            guest: None,
        };
        accounts.register(person, None).await?;
        StatusCode::CREATED
    };
    show(&accounts, &rooms, user, &wish).await?;
    if let Some(locked) = wish.locked {
        accounts.change_user(user, |account| account.locked = locked).await?;
    }
    Ok((status, RawJson::of(&told(&accounts, user).await?)?).into_response())
}

async fn change(accounts: &Accounts, rooms: &Rooms, user: &UserId, wish: &Wish) -> Result<(), ApiError> {
    let closed = accounts.user(user).await?.is_some_and(|account| account.deactivated_ms.is_some());
    match (wish.deactivated, &wish.password) {
        (Some(true), _) if !closed => {
            accounts.deactivate(user, false, &Proof::not_needed()).await?;
            leave_everything(rooms, user).await?;
        }
        (Some(false), password) if closed => accounts.reactivate(user, password.as_deref()).await?,
        (_, Some(password)) => accounts.reset_password(user, password, wish.logout_devices.unwrap_or(true)).await?,
        _ => {}
    }
    if wish.admin.is_some() || wish.user_type.is_some() {
        accounts
            .change_user(user, |account| {
                account.admin = wish.admin.unwrap_or(account.admin);
                if let Some(user_type) = &wish.user_type {
                    account.user_type.clone_from(user_type);
                }
            })
            .await?;
    }
    Ok(())
}

/// Sets name and picture; an empty text removes them.
async fn show(accounts: &Accounts, rooms: &Rooms, user: &UserId, wish: &Wish) -> Result<(), ApiError> {
    let mut changed = false;
    for (field, value) in [(DISPLAY_NAME, &wish.displayname), (AVATAR_URL, &wish.avatar_url)] {
        changed |= match value.as_deref() {
            None => false,
            Some("") => accounts.remove_profile_field(user, field).await?,
            Some(text) => accounts.set_profile_field(user, field, text.into()).await?,
        };
    }
    if changed {
        rooms.show_profile(user).await?;
    }
    Ok(())
}

async fn told(accounts: &Accounts, id: &UserId) -> Result<Value, ApiError> {
    let user: User = accounts.user(id).await?.ok_or_else(|| ApiError::not_found("User not found"))?;
    let profile = accounts.member_profile(id).await?;
    let consent = accounts.consent(id).await?;
    let agreed = consent.as_ref().map(|consent| {
        consent
            .versions
            .iter()
            .map(|(document, version)| format!("{document} {version}"))
            .collect::<Vec<_>>()
            .join(", ")
    });
    let service = match &user.kind {
        UserKind::Bridged(service) => Some(service.as_str()),
        UserKind::Person | UserKind::Guest => None,
    };
    Ok(json!({
        "name": id,
        "displayname": profile.display_name,
        "avatar_url": profile.avatar_url,
        "threepids": [],
        "external_ids": [],
        "is_guest": user.kind == UserKind::Guest,
        "admin": user.admin,
        "deactivated": user.deactivated_ms.is_some(),
        "erased": user.erased,
        "shadow_banned": user.shadow_banned,
        "locked": user.locked,
        "suspended": user.suspended,
        // In seconds here, in milliseconds in the list, as Synapse has it.
        "creation_ts": user.created_ms / 1000,
        "last_seen_ts": last_seen(accounts, id).await?,
        "appservice_id": service,
        "consent_server_notice_sent": null,
        "consent_version": agreed,
        "consent_ts": consent.map(|consent| consent.at_ms),
        "user_type": user.user_type,
    }))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Closing {
    erase: bool,
}

/// `POST /_synapse/admin/v1/deactivate/{userId}`
pub(crate) async fn deactivate(
    State(accounts): State<Accounts>,
    State(rooms): State<Rooms>,
    request: AuthedRaw<(String,)>,
) -> Raw {
    let user = administered(&accounts, &request.session, &request.path.0).await?;
    let Closing { erase } = if request.body.is_empty() { Closing::default() } else { body::json(&request.body)? };
    accounts.deactivate(user, erase, &Proof::not_needed()).await?;
    leave_everything(&rooms, user).await?;
    RawJson::of(&json!({ "id_server_unbind_result": "success" }))
}

#[derive(Deserialize)]
struct NewPassword {
    new_password: Option<String>,
    logout_devices: Option<bool>,
}

/// `POST /_synapse/admin/v1/reset_password/{userId}`
pub(crate) async fn reset_password(State(accounts): State<Accounts>, request: AuthedRaw<(String,)>) -> Raw {
    let user = administered(&accounts, &request.session, &request.path.0).await?;
    let NewPassword { new_password, logout_devices } = body::json(&request.body)?;
    let password = new_password.ok_or_else(|| ApiError::missing_param("new_password is required"))?;
    accounts.reset_password(user, &password, logout_devices.unwrap_or(true)).await?;
    empty()
}

/// `GET /_synapse/admin/v1/users/{userId}/admin`
pub(crate) async fn is_admin(State(accounts): State<Accounts>, request: AuthedRaw<(String,)>) -> Raw {
    let user = administered(&accounts, &request.session, &request.path.0).await?;
    RawJson::of(&json!({ "admin": accounts.user(user).await?.is_some_and(|account| account.admin) }))
}

#[derive(Deserialize)]
struct Admin {
    admin: bool,
}

/// `PUT /_synapse/admin/v1/users/{userId}/admin`
pub(crate) async fn set_admin(State(accounts): State<Accounts>, request: AuthedRaw<(String,)>) -> Raw {
    let user = administered(&accounts, &request.session, &request.path.0).await?;
    let Admin { admin } = body::json(&request.body)?;
    if user == request.session.user_id && !admin {
        return Err(ApiError::unknown("You may not take your own rights away"));
    }
    accounts.change_user(user, |account| account.admin = admin).await?;
    empty()
}

#[derive(Deserialize)]
struct Suspension {
    suspend: bool,
}

/// `PUT /_synapse/admin/v1/suspend/{userId}`
pub(crate) async fn suspend(State(accounts): State<Accounts>, request: AuthedRaw<(String,)>) -> Raw {
    request.session.check_admin()?;
    let user = user_id(&request.path.0)?;
    let Suspension { suspend } = body::json(&request.body)?;
    accounts.restrict(&request.session.user_id, user, Restriction::Suspension, suspend).await?;
    RawJson::of(&json!({ format!("user_{user}_suspended"): suspend }))
}

/// `GET /_synapse/admin/v1/users/{userId}/joined_rooms`
pub(crate) async fn joined_rooms(
    State(accounts): State<Accounts>,
    State(rooms): State<Rooms>,
    request: AuthedRaw<(String,)>,
) -> Raw {
    let user = administered(&accounts, &request.session, &request.path.0).await?;
    let joined = rooms.joined_rooms(user).await?;
    RawJson::of(&json!({ "joined_rooms": joined, "total": joined.len() }))
}

/// `GET /_synapse/admin/v1/users/{userId}/memberships`
pub(crate) async fn memberships(
    State(accounts): State<Accounts>,
    State(rooms): State<Rooms>,
    request: AuthedRaw<(String,)>,
) -> Raw {
    let user = administered(&accounts, &request.session, &request.path.0).await?;
    let rows = rooms.memberships(user).await?;
    let memberships: BTreeMap<_, _> = rows.iter().map(|(room, row)| (room, row.membership.as_str())).collect();
    RawJson::of(&json!({ "memberships": memberships }))
}

#[derive(Deserialize)]
pub(crate) struct Name {
    username: String,
}

/// `GET /_synapse/admin/v1/username_available`
pub(crate) async fn username_available(State(accounts): State<Accounts>, request: AuthedRaw<(), Name>) -> Raw {
    request.session.check_admin()?;
    accounts.available(&request.query.username).await?;
    RawJson::of(&json!({ "available": true }))
}
