//! `/thirdparty`: networks that application services bridge to, and whom and what can be found there.

use axum::extract::State;
use lyceum_push::Services;
use lyceum_web::{ApiError, AuthedRaw, RawJson};
use serde_json::Value;
use std::collections::BTreeMap;

use crate::answers::Raw;

/// The fields to look for, whatever the network calls them.
type Fields = BTreeMap<String, String>;

/// `GET /_matrix/client/v3/thirdparty/protocols`
pub(crate) async fn get_protocols(State(services): State<Services>, _: AuthedRaw<()>) -> Raw {
    RawJson::of(&services.protocols().await)
}

/// `GET /_matrix/client/v3/thirdparty/protocol/{protocol}`
pub(crate) async fn get_protocol(State(services): State<Services>, request: AuthedRaw<(String,)>) -> Raw {
    let protocol = services.protocol(&request.path.0).await;
    RawJson::of(&protocol.ok_or_else(|| ApiError::not_found("No application service bridges to this network"))?)
}

/// `GET /_matrix/client/v3/thirdparty/location/{protocol}`
pub(crate) async fn get_location_for_protocol(
    State(services): State<Services>,
    request: AuthedRaw<(String,), Fields>,
) -> Raw {
    found(services.third_parties("location", Some(&request.path.0), &query(&request.query)).await)
}

/// `GET /_matrix/client/v3/thirdparty/user/{protocol}`
pub(crate) async fn get_user_for_protocol(
    State(services): State<Services>,
    request: AuthedRaw<(String,), Fields>,
) -> Raw {
    found(services.third_parties("user", Some(&request.path.0), &query(&request.query)).await)
}

/// `GET /_matrix/client/v3/thirdparty/location`
pub(crate) async fn get_location_for_room_alias(
    State(services): State<Services>,
    request: AuthedRaw<(), Fields>,
) -> Raw {
    let alias = only("alias", &request.query)?;
    found(services.third_parties("location", None, &query(&alias)).await)
}

/// `GET /_matrix/client/v3/thirdparty/user`
pub(crate) async fn get_user_for_user_id(State(services): State<Services>, request: AuthedRaw<(), Fields>) -> Raw {
    let user = only("userid", &request.query)?;
    found(services.third_parties("user", None, &query(&user)).await)
}

fn only(name: &str, fields: &Fields) -> Result<Fields, ApiError> {
    let value = fields.get(name).ok_or_else(|| ApiError::missing_param(format!("{name} is required")))?;
    Ok(Fields::from([(name.to_owned(), value.clone())]))
}

/// The fields as a service is asked for them: without whose token it was.
fn query(fields: &Fields) -> String {
    let kept: Vec<_> = fields.iter().filter(|(name, _)| name.as_str() != "access_token").collect();
    serde_html_form::to_string(kept).unwrap_or_default()
}

/// Spec: "404: No portal rooms were found", and so for people.
fn found(found: Vec<Value>) -> Raw {
    match found.is_empty() {
        true => Err(ApiError::not_found("No application service knows of any")),
        false => RawJson::of(&found),
    }
}
