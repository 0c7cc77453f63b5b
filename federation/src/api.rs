//! The handlers' state: cheap handles, each of which a handler takes by `State<…>`.

use axum::extract::FromRef;
use lyceum_accounts::Accounts;
use lyceum_events::Clock;
use lyceum_institution::Institution;
use lyceum_media::Media;
use lyceum_peers::{Partners, Peers};
use lyceum_push::Services;
use lyceum_rooms::Rooms;
use lyceum_web::WebState;
use std::sync::Arc;

use crate::Intake;

/// What the federation handlers work with.
#[derive(Clone)]
pub struct Api {
    /// Who is calling, limits, settings of the web.
    pub web: WebState,
    /// People and keys.
    pub accounts: Accounts,
    /// Files.
    pub media: Media,
    /// Rooms.
    pub rooms: Rooms,
    /// Other servers.
    pub peers: Peers,
    /// What people of partner servers are.
    pub partners: Partners,
    /// Application services.
    pub services: Services,
    /// Campus rules.
    pub institution: Institution,
    /// What other servers send of their own accord.
    pub intake: Intake,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Lets handlers take a field of [`Api`] by its type.
macro_rules! handles {
    ($($field:ident: $handle:ty,)*) => {
        $(impl FromRef<Api> for $handle {
            fn from_ref(api: &Api) -> Self {
                api.$field.clone()
            }
        })*
    };
}

handles! {
    web: WebState,
    accounts: Accounts,
    media: Media,
    rooms: Rooms,
    peers: Peers,
    partners: Partners,
    services: Services,
    institution: Institution,
    intake: Intake,
    clock: Arc<dyn Clock>,
}
