//! What other servers ask of people and aliases: `/_matrix/federation/v1/query/…`.

use axum::extract::State;
use lyceum_accounts::Accounts;
use lyceum_institution::{Institution, ROLE_FIELD};
use lyceum_rooms::Rooms;
use lyceum_web::{Answer, ApiError, FromServer, FromServerRaw, RawJson, Ruma};
use ruma::{
    OwnedUserId,
    api::federation::query::{
        get_custom_information,
        get_room_information::v1::{Request as DirectoryRequest, Response as DirectoryResponse},
    },
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

#[derive(Debug, Deserialize)]
pub(crate) struct ProfileQuery {
    user_id: OwnedUserId,
    field: Option<String>,
}

/// `GET …/query/profile`: the whole profile, or one field of it.
pub(crate) async fn get_profile_information(
    State(accounts): State<Accounts>,
    State(institution): State<Institution>,
    request: FromServerRaw<(), ProfileQuery>,
) -> Result<RawJson, ApiError> {
    let ProfileQuery { user_id, field } = request.query;
    if !accounts.is_local(&user_id) {
        return Err(ApiError::not_found("This server knows the profiles of its own people only"));
    }
    let role = institution.stated_role(&user_id).await?.map(|statement| json!(statement));
    let Some(field) = field else {
        let mut profile = accounts.profile(&user_id).await?;
        profile.extend(role.map(|role| (ROLE_FIELD.to_owned(), role)));
        return RawJson::of(&profile);
    };
    let value = accounts.profile_field(&user_id, &field).await?;
    let value = role.filter(|_| field == ROLE_FIELD).or(value);
    RawJson::of(&value.map(|value| (field, value)).into_iter().collect::<Map<String, Value>>())
}

/// `GET …/query/directory`: the room an alias of this server stands for, and who else is in it.
pub(crate) async fn get_room_information(
    State(rooms): State<Rooms>,
    FromServer { body, .. }: FromServer<DirectoryRequest>,
) -> Answer<DirectoryResponse> {
    let room = rooms.resolve_alias(&body.room_alias).await?;
    let room = room.ok_or_else(|| ApiError::not_found("There is no such alias here"))?;
    let mut servers: Vec<_> = match rooms.snapshot(&room).await {
        Ok(snapshot) => snapshot.servers().map(|(server, _)| server.clone()).collect(),
        Err(_) => Vec::new(),
    };
    servers.sort_by_key(|server| server != rooms.server());
    Ok(Ruma(DirectoryResponse::new(room, servers)))
}

/// `GET …/query/{queryType}` of a type that nobody has defined.
pub(crate) async fn get_custom_information(
    request: FromServer<get_custom_information::v1::Request>,
) -> Result<RawJson, ApiError> {
    Err(ApiError::not_found(format!("This server has no answer to queries of the type {}", request.body.query_type)))
}
