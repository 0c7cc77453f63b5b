//! `/account/deactivate`: the end of an account, by its owner.

use axum::extract::State;
use lyceum_accounts::{Accounts, InteractiveAuth};
use lyceum_rooms::{Membership, Rooms};
use lyceum_web::{ApiError, MaybeAuthedRaw, RawJson, body};
use ruma::UserId;
use serde::Deserialize;
use serde_json::json;

use crate::answers::Raw;

#[derive(Deserialize)]
pub(crate) struct Body {
    auth: Option<InteractiveAuth>,
    #[serde(default)]
    erase: bool,
}

/// `POST /_matrix/client/v3/account/deactivate`
pub(crate) async fn deactivate(
    State(accounts): State<Accounts>,
    State(rooms): State<Rooms>,
    request: MaybeAuthedRaw<()>,
) -> Raw {
    let session = request.session.ok_or_else(|| ApiError::missing_token("Missing access token"))?;
    let body: Body = body::json(&request.body)?;
    let proof = accounts.confirm("POST /account/deactivate", &session.user_id, body.auth.as_ref()).await?;
    accounts.deactivate(&session.user_id, body.erase, &proof).await?;
    leave_everything(&rooms, &session.user_id).await?;
    RawJson::of(&json!({ "id_server_unbind_result": "no-support" }))
}

/// Takes a closed account out of its rooms, invites and knocks included. A room that will not let it go is passed over.
pub(crate) async fn leave_everything(rooms: &Rooms, user: &UserId) -> Result<(), ApiError> {
    for (room, row) in rooms.memberships(user).await?.iter() {
        if matches!(row.membership, Membership::Join | Membership::Invite | Membership::Knock)
            && let Err(error) = rooms.leave(user, room, None).await
        {
            tracing::warn!(%error, %room, "a closed account could not leave a room");
        }
    }
    Ok(())
}
