//! `/account/whoami` and `/capabilities`: what a session is and what it may use.

use axum::extract::State;
use lyceum_accounts::Accounts;
use lyceum_events::rules_of;
use lyceum_institution::Institution;
use lyceum_web::{Authed, RawJson};
use ruma::{
    RoomVersionId,
    api::client::{account::whoami, discovery::get_capabilities},
    room_version_rules::RoomVersionDisposition,
};
use serde_json::{Map, Value, json};

use crate::{ServedRooms, answers::Raw};

/// `GET /_matrix/client/v3/account/whoami`
pub(crate) async fn whoami(request: Authed<whoami::v3::Request>) -> Raw {
    let session = &request.session;
    let mut answer = json!({ "user_id": session.user_id, "is_guest": session.is_guest() });
    if let Some(device) = &session.device_id {
        answer["device_id"] = device.as_str().into();
    }
    RawJson::of(&answer)
}

/// `GET /_matrix/client/v3/capabilities`
pub(crate) async fn get_capabilities(
    State(accounts): State<Accounts>,
    State(rooms): State<ServedRooms>,
    State(institution): State<Institution>,
    request: Authed<get_capabilities::v3::Request>,
) -> Raw {
    let has_password = accounts.has_password(&request.session.user_id).await?;
    let available: Map<String, Value> =
        rooms.versions.iter().map(|version| (version.to_string(), stability(version).into())).collect();
    let yes = json!({ "enabled": true });
    let mut capabilities = json!({
        "m.change_password": { "enabled": has_password },
        "m.room_versions": { "default": rooms.default, "available": available },
        "m.set_displayname": yes,
        "m.set_avatar_url": yes,
        "m.profile_fields": yes,
        "uk.tcpip.msc4133.profile_fields": yes,
        "m.3pid_changes": { "enabled": false },
        "m.get_login_token": yes,
        "m.forget_forced_upon_leave": { "enabled": false },
        "m.account_moderation": { "suspend": request.session.admin, "lock": request.session.admin },
        "uk.timedout.msc4323": { "suspend": request.session.admin, "lock": request.session.admin },
    });
    if let Some(standing) = institution.standing(&request.session.user_id).await? {
        capabilities["org.lyceum.campus"] = json!({
            "role": standing.role,
            "blocked": standing.is_blocked,
            "default_kind": institution.settings().default_kind,
            "may_make": standing.may_make,
        });
    }
    RawJson::of(&json!({ "capabilities": capabilities }))
}

/// What clients are told of a room version: whether rooms of it are for everybody.
fn stability(version: &RoomVersionId) -> &'static str {
    match rules_of(version).map(|rules| rules.disposition) {
        Some(RoomVersionDisposition::Stable) => "stable",
        _ => "unstable",
    }
}
