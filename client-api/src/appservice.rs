//! What application services alone may ask: a ping, and what their networks' room directories list. And what keeps their
//! namespaces theirs.

use axum::extract::State;
use lyceum_accounts::{Session, SessionKind};
use lyceum_events::Clock;
use lyceum_push::Services;
use lyceum_rooms::Rooms;
use lyceum_web::{Answer, ApiError, Appservice, Ruma};
use ruma::{
    RoomAliasId,
    api::client::{
        appservice::{request_ping, set_room_visibility},
        room::Visibility,
    },
};
use std::sync::Arc;

/// `POST /_matrix/client/v1/appservice/{appserviceId}/ping`
pub(crate) async fn request_ping(
    State(services): State<Services>,
    State(clock): State<Arc<dyn Clock>>,
    Appservice { service, body }: Appservice<request_ping::v1::Request>,
) -> Answer<request_ping::v1::Response> {
    let own = services.by_id(&service.id).filter(|service| service.registration.id == body.appservice_id);
    let own = own.ok_or_else(|| ApiError::forbidden("This is another application service's"))?;
    let begun = clock.monotonic();
    services.ping(own, body.transaction_id.as_ref().map(|id| id.as_str())).await?;
    Ok(Ruma(request_ping::v1::Response::new(clock.monotonic().saturating_sub(begun))))
}

/// `PUT /_matrix/client/v3/directory/list/appservice/{networkId}/{roomId}`
pub(crate) async fn set_room_visibility(
    State(rooms): State<Rooms>,
    Appservice { service, body }: Appservice<set_room_visibility::v3::Request>,
) -> Answer<set_room_visibility::v3::Response> {
    let listed = match body.visibility {
        Visibility::Public => true,
        Visibility::Private => false,
        _ => return Err(ApiError::invalid_param("A room is public or private in the directory")),
    };
    let network = format!("{}|{}", service.id, body.network_id);
    rooms.set_listed_by_network(&network, &body.room_id, listed).await?;
    Ok(Ruma(set_room_visibility::v3::Response::new()))
}

/// Refuses an alias that is an application service's alone, and a service what is not its own.
pub(crate) fn check_alias(services: &Services, session: &Session, alias: &RoomAliasId) -> Result<(), ApiError> {
    let by = match &session.kind {
        SessionKind::Appservice(id) => Some(id.as_str()),
        SessionKind::Person | SessionKind::Guest => None,
    };
    match services.may_use_alias(by, alias) {
        true => Ok(()),
        false => Err(ApiError::exclusive("This alias lies in a namespace that is not yours")),
    }
}
