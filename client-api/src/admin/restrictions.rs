//! `/admin/lock` and `/admin/suspend`. Whether the caller may is looked at before anything about the account is, so that
//! nobody learns here which accounts there are.

use axum::extract::State;
use lyceum_accounts::{Accounts, Restriction};
use lyceum_web::{Answer, Authed, Ruma};
use ruma::api::client::admin::{is_user_locked, is_user_suspended, lock_user, suspend_user};

/// `GET /_matrix/client/v1/admin/lock/{userId}`
pub(crate) async fn is_user_locked(
    State(accounts): State<Accounts>,
    Authed { session, body }: Authed<is_user_locked::v1::Request>,
) -> Answer<is_user_locked::v1::Response> {
    session.check_admin()?;
    let locked = accounts.is_restricted(&session.user_id, &body.user_id, Restriction::Lock).await?;
    Ok(Ruma(is_user_locked::v1::Response::new(locked)))
}

/// `PUT /_matrix/client/v1/admin/lock/{userId}`
pub(crate) async fn lock_user(
    State(accounts): State<Accounts>,
    Authed { session, body }: Authed<lock_user::v1::Request>,
) -> Answer<lock_user::v1::Response> {
    session.check_admin()?;
    accounts.restrict(&session.user_id, &body.user_id, Restriction::Lock, body.locked).await?;
    Ok(Ruma(lock_user::v1::Response::new(body.locked)))
}

/// `GET /_matrix/client/v1/admin/suspend/{userId}`
pub(crate) async fn is_user_suspended(
    State(accounts): State<Accounts>,
    Authed { session, body }: Authed<is_user_suspended::v1::Request>,
) -> Answer<is_user_suspended::v1::Response> {
    session.check_admin()?;
    let suspended = accounts.is_restricted(&session.user_id, &body.user_id, Restriction::Suspension).await?;
    Ok(Ruma(is_user_suspended::v1::Response::new(suspended)))
}

/// `PUT /_matrix/client/v1/admin/suspend/{userId}`
pub(crate) async fn suspend_user(
    State(accounts): State<Accounts>,
    Authed { session, body }: Authed<suspend_user::v1::Request>,
) -> Answer<suspend_user::v1::Response> {
    session.check_admin()?;
    accounts.restrict(&session.user_id, &body.user_id, Restriction::Suspension, body.suspended).await?;
    Ok(Ruma(suspend_user::v1::Response::new(body.suspended)))
}
