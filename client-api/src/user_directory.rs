//! `/user_directory/search`: finding people of this server, and of others that are met in rooms.

use axum::extract::State;
use lyceum_accounts::{Accounts, FOUND_MAX, Found, MemberProfile, Words};
use lyceum_institution::{Institution, Roster};
use lyceum_rooms::Rooms;
use lyceum_web::{ApiError, AuthedRaw, RawJson, body};
use ruma::UserId;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

use crate::{answers::Raw, config::UserDirectoryConfig};

/// People in one answer, unless the client says how many.
const LIMIT: usize = 10;
/// Pages of people whose names fit that are looked through for those who may be found.
const PAGES_MAX: usize = 20;

#[derive(Deserialize)]
pub(crate) struct Search {
    search_term: Option<String>,
    limit: Option<usize>,
}

/// `POST /_matrix/client/v3/user_directory/search`
pub(crate) async fn search_users(
    State(accounts): State<Accounts>,
    State(rooms): State<Rooms>,
    State(config): State<UserDirectoryConfig>,
    State(institution): State<Institution>,
    request: AuthedRaw<()>,
) -> Raw {
    let Search { search_term, limit } = body::json(&request.body)?;
    let term = search_term.ok_or_else(|| ApiError::missing_param("search_term is required"))?;
    let limit = limit.unwrap_or(LIMIT).min(FOUND_MAX);
    let searcher = &request.session.user_id;
    let finders = Finders { roster: institution.roster().await?, rooms, config, institution };
    let mut found = people_here(&accounts, &finders, searcher, &term, limit + 1).await?;
    if found.len() <= limit {
        let (words, room_for) = (Words::of(&term), limit + 1 - found.len());
        let fits = |user: &UserId, name: Option<&str>| words.fit(user, name) && finders.rules_let_find(searcher, user);
        let elsewhere = finders.rooms.people_elsewhere(searcher, room_for, fits).await?;
        found.extend(elsewhere.into_iter().map(|(user_id, shown)| {
            let profile = MemberProfile { display_name: shown.displayname, avatar_url: shown.avatar_url };
            Found { user_id, profile }
        }));
    }
    let limited = found.len() > limit;
    found.truncate(limit);
    let results: Vec<Value> = found.into_iter().map(told).collect();
    RawJson::of(&json!({ "results": results, "limited": limited }))
}

/// Who says who finds whom.
struct Finders {
    rooms: Rooms,
    config: UserDirectoryConfig,
    institution: Institution,
    roster: Arc<Roster>,
}

impl Finders {
    /// Whether somebody finds a person of this server. Where an institution has rules about that they alone count.
    async fn may_find(&self, searcher: &UserId, user: &UserId) -> Result<bool, ApiError> {
        match self.institution.is_enabled() {
            true => Ok(self.rules_let_find(searcher, user)),
            false => Ok(self.config.everybody || self.rooms.may_find(searcher, user).await?),
        }
    }

    fn rules_let_find(&self, searcher: &UserId, user: &UserId) -> bool {
        self.institution.may_find(&self.roster, searcher, user)
    }
}

async fn people_here(
    accounts: &Accounts,
    finders: &Finders,
    searcher: &UserId,
    term: &str,
    limit: usize,
) -> Result<Vec<Found>, ApiError> {
    let mut found: Vec<Found> = Vec::new();
    let mut after = None;
    for _ in 0..PAGES_MAX {
        let page = accounts.search_people(term, after.as_deref(), FOUND_MAX).await?;
        let is_last = page.len() < FOUND_MAX;
        after = page.last().map(|last| last.user_id.clone());
        for one in page {
            if finders.may_find(searcher, &one.user_id).await? {
                found.push(one);
            }
            if found.len() >= limit {
                return Ok(found);
            }
        }
        if is_last {
            break;
        }
    }
    Ok(found)
}

fn told(found: Found) -> Value {
    let mut json = json!({ "user_id": found.user_id });
    for (name, value) in [("display_name", found.profile.display_name), ("avatar_url", found.profile.avatar_url)] {
        if let Some(value) = value {
            json[name] = value.into();
        }
    }
    json
}
