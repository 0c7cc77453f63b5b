//! What people have here: the files they uploaded, and where they are notified.

use axum::extract::State;
use lyceum_accounts::Accounts;
use lyceum_media::{Media, Uploads};
use lyceum_push::Push;
use lyceum_web::{ApiError, AuthedRaw, RawJson};
use ruma::OwnedUserId;
use serde::Deserialize;
use serde_json::json;

use super::{administered, page};
use crate::{answers::Raw, push::shown};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Query {
    from: usize,
    limit: Option<usize>,
    order_by: Option<String>,
    dir: Option<String>,
    from_ts: u64,
    until_ts: Option<u64>,
    search_term: Option<String>,
}

/// Somebody with files here.
struct Uploader {
    user: OwnedUserId,
    name: Option<String>,
    uploads: Uploads,
}

/// `GET /_synapse/admin/v1/statistics/users/media`
pub(crate) async fn media(
    State(accounts): State<Accounts>,
    State(media): State<Media>,
    request: AuthedRaw<(), Query>,
) -> Raw {
    request.session.check_admin()?;
    let query = &request.query;
    let mut all = Vec::new();
    for (user, uploads) in media.uploaded_between(query.from_ts, query.until_ts.unwrap_or(u64::MAX)).await? {
        let Ok(user) = OwnedUserId::try_from(user) else { continue };
        let name = accounts.member_profile(&user).await?.display_name;
        let uploader = Uploader { user, name, uploads };
        if query.wants(&uploader) {
            all.push(uploader);
        }
    }
    query.sort(&mut all)?;
    let total = all.len();
    let (shown, next) = page(all, query.from, query.limit);
    let told = |one: &Uploader| {
        json!({
            "user_id": one.user,
            "displayname": one.name,
            "media_count": one.uploads.files,
            "media_length": one.uploads.bytes,
        })
    };
    let mut answer = json!({ "users": shown.iter().map(told).collect::<Vec<_>>(), "total": total });
    if let Some(next) = next {
        answer["next_token"] = next.into();
    }
    RawJson::of(&answer)
}

impl Query {
    fn wants(&self, one: &Uploader) -> bool {
        self.search_term.as_ref().is_none_or(|term| {
            one.user.localpart().contains(term.as_str()) || one.name.as_ref().is_some_and(|name| name.contains(term))
        })
    }

    fn sort(&self, all: &mut [Uploader]) -> Result<(), ApiError> {
        match self.order_by.as_deref().unwrap_or("user_id") {
            // As they come.
            "user_id" => {}
            "displayname" => all.sort_by_key(|one| one.name.clone()),
            "media_length" => all.sort_by_key(|one| one.uploads.bytes),
            "media_count" => all.sort_by_key(|one| one.uploads.files),
            other => return Err(ApiError::invalid_param(format!("Users cannot be ordered by {other}"))),
        }
        if self.dir.as_deref() == Some("b") {
            all.reverse();
        }
        Ok(())
    }
}

/// `GET /_synapse/admin/v1/users/{userId}/pushers`
pub(crate) async fn pushers(
    State(accounts): State<Accounts>,
    State(push): State<Push>,
    request: AuthedRaw<(String,)>,
) -> Raw {
    let user = administered(&accounts, &request.session, &request.path.0).await?;
    let pushers: Vec<_> = push.pushers(user).await?.iter().map(shown).collect();
    RawJson::of(&json!({ "total": pushers.len(), "pushers": pushers }))
}
