//! `/_synapse/admin`: the part of Synapse's administration API that tools rely on, in its paths and words, so that Moodle,
//! synapse-admin and moderation bots work unchanged. Only for administrators, which is looked at before anything else.

pub(crate) mod deletions;
pub(crate) mod devices;
pub(crate) mod history;
pub(crate) mod media;
pub(crate) mod membership;
pub(crate) mod notices;
pub(crate) mod reading;
pub(crate) mod redactions;
pub(crate) mod reports;
pub(crate) mod restraints;
pub(crate) mod rooms;
pub(crate) mod statistics;
pub(crate) mod tokens;
pub(crate) mod users;
pub(crate) mod users_list;

use lyceum_accounts::Accounts;
use lyceum_institution::{
    Institution,
    audit::{Actor, Entry},
};
use lyceum_web::{ApiError, PublicRaw, RawJson, Session};
use ruma::UserId;
use serde_json::json;

use crate::answers::{Raw, user_id};

/// Entries on one page, unless asked otherwise, and at most.
const PAGE: usize = 100;
const PAGE_MAX: usize = 1_000;

/// `GET /_synapse/admin/v1/server_version`
pub(crate) async fn server_version(_: PublicRaw<()>) -> Raw {
    RawJson::of(&json!({ "server_version": concat!("Lyceum ", env!("CARGO_PKG_VERSION")) }))
}

/// The account of this server that an administrator names.
async fn administered<'a>(accounts: &Accounts, session: &Session, user: &'a str) -> Result<&'a UserId, ApiError> {
    let user = own(accounts, session, user)?;
    if accounts.exists(user).await? { Ok(user) } else { Err(ApiError::not_found("User not found")) }
}

/// A user id of this server that an administrator names, whether there is such an account or not.
fn own<'a>(accounts: &Accounts, session: &Session, user: &'a str) -> Result<&'a UserId, ApiError> {
    session.check_admin()?;
    let user = user_id(user)?;
    if accounts.is_local(user) {
        Ok(user)
    } else {
        Err(ApiError::invalid_param("The user does not belong to this server"))
    }
}

/// Notes in the audit chain what an administrator is about to do.
async fn audit(institution: &Institution, session: &Session, act: &'static str, over: &str) -> Result<(), ApiError> {
    let who = Actor::Person(session.user_id.clone());
    let entry = Entry { over: Some(over.to_owned()), ..Entry::new(&who, act) };
    Ok(institution.audit().note(&entry).await?)
}

/// A page of a list, and where the next one begins.
fn page<T>(all: Vec<T>, from: usize, limit: Option<usize>) -> (Vec<T>, Option<usize>) {
    let limit = limit.unwrap_or(PAGE).clamp(1, PAGE_MAX);
    let total = all.len();
    let next = from.saturating_add(limit);
    (all.into_iter().skip(from).take(limit).collect(), (next < total).then_some(next))
}
