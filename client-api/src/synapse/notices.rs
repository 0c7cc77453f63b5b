//! Telling somebody something in the server's name.

use axum::extract::State;
use lyceum_accounts::{Accounts, Session};
use lyceum_rooms::Transaction;
use lyceum_web::{AuthedRaw, RawJson, body};
use lyceum_workers::notices::{Notices, notice};
use ruma::CanonicalJsonObject;
use serde::Deserialize;
use serde_json::json;

use super::administered;
use crate::answers::Raw;

/// What is to be told whom.
#[derive(Deserialize)]
struct Notice {
    user_id: String,
    content: CanonicalJsonObject,
    #[serde(rename = "type")]
    kind: Option<String>,
    state_key: Option<String>,
}

/// `POST /_synapse/admin/v1/send_server_notice`
pub(crate) async fn send(
    State(accounts): State<Accounts>,
    State(notices): State<Notices>,
    request: AuthedRaw<()>,
) -> Raw {
    told((&accounts, &notices), (&request.session, &request.body), None).await
}

/// `PUT /_synapse/admin/v1/send_server_notice/{txnId}`
pub(crate) async fn send_once(
    State(accounts): State<Accounts>,
    State(notices): State<Notices>,
    request: AuthedRaw<(String,)>,
) -> Raw {
    // The transaction is the administrator's, whoever it is that the server speaks as.
    let device = request.session.user_id.as_str();
    let transaction = Transaction { device, endpoint: "notice", id: &request.path.0 };
    told((&accounts, &notices), (&request.session, &request.body), Some(transaction)).await
}

async fn told(
    (accounts, notices): (&Accounts, &Notices),
    (session, body): (&Session, &[u8]),
    transaction: Option<Transaction<'_>>,
) -> Raw {
    session.check_admin()?;
    let Notice { user_id, content, kind, state_key } = body::json(body)?;
    let user = administered(accounts, session, &user_id).await?;
    let event_id = notices.send(user, notice(kind.as_deref(), state_key.as_deref(), content), transaction).await?;
    RawJson::of(&json!({ "event_id": event_id }))
}
