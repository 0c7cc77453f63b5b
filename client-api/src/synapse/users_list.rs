//! The list of accounts.

use axum::extract::State;
use lyceum_accounts::{Accounts, MemberProfile, User, UserKind};
use lyceum_web::{ApiError, AuthedRaw, RawJson};
use ruma::OwnedUserId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::page;
use crate::answers::Raw;

/// Accounts read at once.
const READ_AT_ONCE: usize = 500;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Query {
    user_id: Option<String>,
    name: Option<String>,
    guests: Option<bool>,
    admins: Option<bool>,
    deactivated: Option<bool>,
    locked: bool,
    limit: Option<usize>,
    from: usize,
    order_by: Option<String>,
    dir: Option<String>,
    not_user_type: Vec<String>,
}

/// An account as it is listed.
struct Listed {
    id: OwnedUserId,
    user: User,
    profile: MemberProfile,
    last_seen_ms: Option<u64>,
}

/// `GET /_synapse/admin/v2/users`: without closed accounts unless asked for.
pub(crate) async fn list_v2(State(accounts): State<Accounts>, request: AuthedRaw<(), Query>) -> Raw {
    request.session.check_admin()?;
    let closed = request.query.deactivated == Some(true);
    list(&accounts, &request.query, |user| closed || user.deactivated_ms.is_none()).await
}

/// `GET /_synapse/admin/v3/users`: closed accounts only, none of them, or all.
pub(crate) async fn list_v3(State(accounts): State<Accounts>, request: AuthedRaw<(), Query>) -> Raw {
    request.session.check_admin()?;
    let closed = request.query.deactivated;
    list(&accounts, &request.query, |user| closed.is_none_or(|closed| closed == user.deactivated_ms.is_some())).await
}

async fn list(accounts: &Accounts, query: &Query, wanted: impl Fn(&User) -> bool) -> Raw {
    let (mut all, mut after): (Vec<Listed>, Option<OwnedUserId>) = (Vec::new(), None);
    loop {
        let read = accounts.users(after.as_deref(), READ_AT_ONCE).await?;
        let Some((last, _)) = read.last() else { break };
        after = Some(last.clone());
        for (id, user) in read.into_iter().filter(|(_, user)| wanted(user) && query.wants(user)) {
            let profile = accounts.member_profile(&id).await?;
            if query.names(&id, profile.display_name.as_deref()) {
                let last_seen_ms = last_seen(accounts, &id).await?;
                all.push(Listed { id, user, profile, last_seen_ms });
            }
        }
    }
    query.sort(&mut all)?;
    let total = all.len();
    let (users, next) = page(all, query.from, query.limit);
    let mut answer = json!({ "users": users.iter().map(told).collect::<Vec<_>>(), "total": total });
    if let Some(next) = next {
        answer["next_token"] = next.to_string().into();
    }
    RawJson::of(&answer)
}

/// When an account was last seen on any device.
pub(super) async fn last_seen(accounts: &Accounts, user: &ruma::UserId) -> Result<Option<u64>, ApiError> {
    Ok(accounts.devices(user).await?.iter().filter_map(|device| device.last_seen_ms).max())
}

impl Query {
    fn wants(&self, user: &User) -> bool {
        let kind = user.user_type.as_deref().unwrap_or_default();
        (self.guests != Some(false) || user.kind != UserKind::Guest)
            && self.admins.is_none_or(|admins| admins == user.admin)
            && (self.locked || !user.locked)
            && !self.not_user_type.iter().any(|not| not == kind)
    }

    fn names(&self, id: &OwnedUserId, display_name: Option<&str>) -> bool {
        match (&self.name, &self.user_id) {
            (Some(name), _) => {
                let name = name.to_lowercase();
                id.localpart().to_lowercase().contains(&name)
                    || display_name.is_some_and(|shown| shown.to_lowercase().contains(&name))
            }
            (None, Some(part)) => id.as_str().contains(part.as_str()),
            (None, None) => true,
        }
    }

    fn sort(&self, all: &mut [Listed]) -> Result<(), ApiError> {
        let by = self.order_by.as_deref().unwrap_or("name");
        // In order of their ids already, which stays the second order.
        match by {
            "name" => {}
            "is_guest" => all.sort_by_key(|one| one.user.kind == UserKind::Guest),
            "admin" => all.sort_by_key(|one| one.user.admin),
            "user_type" => all.sort_by(|a, b| a.user.user_type.cmp(&b.user.user_type)),
            "deactivated" => all.sort_by_key(|one| one.user.deactivated_ms.is_some()),
            "shadow_banned" => all.sort_by_key(|one| one.user.shadow_banned),
            "displayname" => all.sort_by(|a, b| a.profile.display_name.cmp(&b.profile.display_name)),
            "avatar_url" => all.sort_by(|a, b| a.profile.avatar_url.cmp(&b.profile.avatar_url)),
            "creation_ts" => all.sort_by_key(|one| one.user.created_ms),
            "last_seen_ts" => all.sort_by_key(|one| one.last_seen_ms),
            _ => return Err(ApiError::invalid_param(format!("Accounts cannot be ordered by {by}"))),
        }
        if self.dir.as_deref() == Some("b") {
            all.reverse();
        }
        Ok(())
    }
}

fn told(listed: &Listed) -> Value {
    let user = &listed.user;
    json!({
        "name": listed.id,
        "user_type": user.user_type,
        "is_guest": user.kind == UserKind::Guest,
        "admin": user.admin,
        "deactivated": user.deactivated_ms.is_some(),
        "erased": user.erased,
        "shadow_banned": user.shadow_banned,
        "locked": user.locked,
        "displayname": listed.profile.display_name,
        "avatar_url": listed.profile.avatar_url,
        "creation_ts": user.created_ms,
        "last_seen_ts": listed.last_seen_ms,
    })
}
