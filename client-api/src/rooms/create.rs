//! `/createRoom`.

use axum::extract::State;
use lyceum_accounts::Accounts;
use lyceum_peers::Partners;
use lyceum_push::Services;
use lyceum_rooms::{InitialState, NewRoom, Preset, Rooms};
use lyceum_web::{Answer, ApiError, Authed, Ruma};
use ruma::{
    CanonicalJsonObject, OwnedRoomAliasId, RoomAliasId, ServerName,
    api::client::room::{
        Visibility,
        create_room::v3::{Request, Response, RoomPreset},
    },
    events::StateEventType,
};
use serde::Deserialize;

use super::{content, join::carry_over};
use crate::{appservice::check_alias, remote::Remote};

/// The bytes of a name and a topic.
const NAME_BYTES_MAX: usize = 1_024;
const TOPIC_BYTES_MAX: usize = 16_384;

#[derive(Deserialize)]
struct StateOfRequest {
    #[serde(rename = "type")]
    kind: StateEventType,
    #[serde(default)]
    state_key: String,
    content: CanonicalJsonObject,
}

/// `POST /_matrix/client/v3/createRoom`.
pub(crate) async fn create_room(
    State(rooms): State<Rooms>,
    State(remote): State<Remote>,
    State(accounts): State<Accounts>,
    State(services): State<Services>,
    State(partners): State<Partners>,
    Authed { session, body }: Authed<Request>,
) -> Answer<Response> {
    let new = new_room(body, rooms.server())?;
    if let Some(alias) = &new.alias {
        check_alias(&services, &session, alias)?;
    }
    let invited: Vec<_> = new.invite.iter().map(|user| &**user).collect();
    services.make_known(&accounts, &invited).await?;
    partners.meet(&invited).await;
    let is_direct = new.is_direct;
    let created = rooms.create(&session.user_id, new).await?;
    for invitee in &created.remote_invites {
        remote.invite(&session.user_id, &created.room_id, invitee, None, is_direct).await?;
    }
    // Clients upgrade rooms by hand too, where they may not ask the server to.
    carry_over(&rooms, &accounts, &session.user_id, &created.room_id).await?;
    Ok(Ruma(Response::new(created.room_id)))
}

fn new_room(request: Request, server: &ServerName) -> Result<NewRoom, ApiError> {
    if !request.invite_3pid.is_empty() {
        return Err(ApiError::threepid_denied("This server does not invite by address"));
    }
    check_length("name", request.name.as_deref(), NAME_BYTES_MAX)?;
    check_length("topic", request.topic.as_deref(), TOPIC_BYTES_MAX)?;
    let is_listed = request.visibility == Visibility::Public;
    let initial_state = request.initial_state.iter().map(|raw| {
        let state: StateOfRequest = serde_json::from_str(raw.json().get())?;
        Ok(InitialState { kind: state.kind, state_key: state.state_key, content: state.content })
    });
    Ok(NewRoom {
        version: request.room_version,
        creation_content: request.creation_content.as_ref().map(content).transpose()?.unwrap_or_default(),
        preset: preset(request.preset.as_ref(), is_listed)?,
        is_listed,
        initial_state: initial_state.collect::<Result<_, ApiError>>()?,
        name: request.name.filter(|name| !name.is_empty()),
        topic: request.topic,
        alias: request.room_alias_name.as_deref().map(|name| alias(name, server)).transpose()?,
        invite: request.invite,
        is_direct: request.is_direct,
        power_levels: request.power_level_content_override.as_ref().map(content).transpose()?,
        ..NewRoom::default()
    })
}

fn preset(asked: Option<&RoomPreset>, is_listed: bool) -> Result<Preset, ApiError> {
    Ok(match asked {
        Some(RoomPreset::PublicChat) => Preset::PublicChat,
        Some(RoomPreset::PrivateChat) => Preset::PrivateChat,
        Some(RoomPreset::TrustedPrivateChat) => Preset::TrustedPrivateChat,
        Some(other) => return Err(ApiError::invalid_param(format!("There is no preset {}", other.as_str()))),
        None if is_listed => Preset::PublicChat,
        None => Preset::PrivateChat,
    })
}

fn alias(localpart: &str, server: &ServerName) -> Result<OwnedRoomAliasId, ApiError> {
    if localpart.is_empty() || localpart.contains([':', '#', '\0']) || localpart.contains(char::is_whitespace) {
        return Err(ApiError::invalid_param("An alias name holds no colon, hash sign or space"));
    }
    Ok(RoomAliasId::parse(format!("#{localpart}:{server}"))?)
}

fn check_length(field: &str, text: Option<&str>, bytes_max: usize) -> Result<(), ApiError> {
    if text.is_some_and(|text| text.len() > bytes_max) {
        return Err(ApiError::invalid_param(format!("The {field} is longer than {bytes_max} bytes")));
    }
    Ok(())
}
