//! `/sendToDevice`: messages to devices here and elsewhere.

use axum::extract::State;
use lyceum_accounts::{Accounts, ToDeviceMessages, ToDeviceSender};
use lyceum_peers::{Peers, sender::Edu};
use lyceum_storage::Batch;
use lyceum_web::{ApiError, AuthedRaw, body};
use ruma::{ServerName, UserId};
use serde::Deserialize;
use serde_json::{json, value::RawValue};
use std::collections::BTreeMap;

use crate::answers::{Raw, empty};

#[derive(Deserialize)]
pub(crate) struct Body {
    messages: Option<ToDeviceMessages>,
}

/// `PUT /_matrix/client/v3/sendToDevice/{eventType}/{txnId}`
pub(crate) async fn send_event_to_device(
    State(accounts): State<Accounts>,
    request: AuthedRaw<(String, String)>,
) -> Raw {
    let (kind, transaction) = &request.path;
    let body: Body = body::json(&request.body)?;
    let messages = body.messages.ok_or_else(|| ApiError::missing_param("messages is required"))?;
    let session = &request.session;
    let scope = session.device_id.as_ref().map_or("", |device| device.as_str());
    let sender = ToDeviceSender { user: &session.user_id, scope, transaction };
    let remote = elsewhere(&accounts, &messages);
    let to_others = |batch: &mut Batch| {
        for (server, messages) in remote {
            let id = sender.message_id(kind);
            let content = json!({ "sender": session.user_id, "type": kind, "message_id": id, "messages": messages });
            Peers::add_to_outbox(batch, server, vec![Edu::new("m.direct_to_device", content)]);
        }
    };
    accounts.send_to_devices(sender, kind, &messages, to_others).await?;
    empty()
}

/// Messages by server, person and device.
type ByServer<'a> = BTreeMap<&'a ServerName, BTreeMap<&'a UserId, &'a BTreeMap<String, Box<RawValue>>>>;

fn elsewhere<'a>(accounts: &Accounts, messages: &'a ToDeviceMessages) -> ByServer<'a> {
    let mut servers = ByServer::new();
    for (user, devices) in messages.iter().filter(|(user, _)| !accounts.is_local(user)) {
        servers.entry(user.server_name()).or_default().insert(user, devices);
    }
    servers
}
