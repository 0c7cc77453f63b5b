//! `/user_directory/search`: finding people of this server.

use axum::extract::State;
use lyceum_accounts::Accounts;
use lyceum_web::{ApiError, AuthedRaw, RawJson, body};
use serde::Deserialize;
use serde_json::json;

use crate::answers::Raw;

/// People in one answer, unless the client says how many.
const LIMIT: usize = 10;

#[derive(Deserialize)]
pub(crate) struct Search {
    search_term: Option<String>,
    limit: Option<usize>,
}

/// `POST /_matrix/client/v3/user_directory/search`
pub(crate) async fn search_users(State(accounts): State<Accounts>, request: AuthedRaw<()>) -> Raw {
    let Search { search_term, limit } = body::json(&request.body)?;
    let term = search_term.ok_or_else(|| ApiError::missing_param("search_term is required"))?;
    let (found, limited) = accounts.search_people(&term, limit.unwrap_or(LIMIT), |_| true).await?;
    let results = found.into_iter().map(|found| {
        let mut json = json!({ "user_id": found.user_id });
        let fields = [("display_name", found.profile.display_name), ("avatar_url", found.profile.avatar_url)];
        for (name, value) in fields {
            if let Some(value) = value {
                json[name] = value.into();
            }
        }
        json
    });
    RawJson::of(&json!({ "results": results.collect::<Vec<_>>(), "limited": limited }))
}
