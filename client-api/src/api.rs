//! The handlers' state: cheap handles, each of which a handler takes by `State<…>`.

use axum::extract::FromRef;
use lyceum_accounts::Accounts;
use lyceum_events::Clock;
use lyceum_institution::{EncryptionAdvice, Institution};
use lyceum_media::Media;
use lyceum_peers::{Partners, Peers};
use lyceum_push::{Push, Services};
use lyceum_rooms::Rooms;
use lyceum_search::Search;
use lyceum_sync::Sync;
use lyceum_web::WebState;
use lyceum_workers::{
    deletions::Deletions, moderation::Moderation, notices::Notices, past_purges::PastPurges, redactions::Redactions,
};
use std::sync::Arc;

use crate::{
    config::{CallsConfig, UserDirectoryConfig, WellKnownConfig},
    media::Library,
    remote::{Remote, RemoteMemory},
};

/// What the client-server handlers work with.
#[derive(Clone)]
pub struct Api {
    /// Who is calling, limits, settings of the web.
    pub web: WebState,
    /// People and keys.
    pub accounts: Accounts,
    /// Files.
    pub media: Media,
    /// Rooms and what is said in them.
    pub rooms: Rooms,
    /// Campus rules.
    pub institution: Institution,
    /// What clients have not seen yet.
    pub sync: Sync,
    /// Looking for words.
    pub search: Search,
    /// Other servers.
    pub peers: Peers,
    /// Notifications.
    pub push: Push,
    /// Application services.
    pub services: Services,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Which versions of rooms are made here.
    pub served_rooms: ServedRooms,
    /// What the `.well-known` documents say.
    pub well_known: WellKnownConfig,
    /// What clients are told for calls.
    pub calls: Arc<CallsConfig>,
    /// Who is found in the user directory.
    pub user_directory: UserDirectoryConfig,
    /// What was lately learnt of other servers.
    pub remote_memory: RemoteMemory,
    /// Who oversees what is said; only where campus rules are in force.
    pub moderation: Option<Moderation>,
    /// What the server itself tells people.
    pub notices: Notices,
    /// What administrators want redacted.
    pub redactions: Redactions,
    /// Which rooms administrators want taken away.
    pub deletions: Deletions,
    /// How much of rooms' pasts administrators want forgotten.
    pub past_purges: PastPurges,
}

/// Which versions of rooms this server makes and joins.
#[derive(Debug, Clone)]
pub struct ServedRooms {
    /// What a new room gets.
    pub default: ruma::RoomVersionId,
    /// All of them.
    pub versions: std::sync::Arc<[ruma::RoomVersionId]>,
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
    institution: Institution,
    sync: Sync,
    search: Search,
    peers: Peers,
    push: Push,
    services: Services,
    moderation: Option<Moderation>,
    notices: Notices,
    redactions: Redactions,
    deletions: Deletions,
    past_purges: PastPurges,
    clock: Arc<dyn Clock>,
    served_rooms: ServedRooms,
    well_known: WellKnownConfig,
    calls: Arc<CallsConfig>,
    user_directory: UserDirectoryConfig,
}

impl FromRef<Api> for Option<EncryptionAdvice> {
    fn from_ref(api: &Api) -> Self {
        api.institution.encryption_advice()
    }
}

impl FromRef<Api> for Remote {
    fn from_ref(api: &Api) -> Self {
        let handles = (api.rooms.clone(), api.peers.clone());
        Self::new(handles, api.clock.clone(), api.served_rooms.versions.clone(), api.remote_memory.clone())
    }
}

impl FromRef<Api> for Partners {
    fn from_ref(api: &Api) -> Self {
        Self::new(&api.peers, &api.institution)
    }
}

impl FromRef<Api> for Library {
    fn from_ref(api: &Api) -> Self {
        Self::new(api.media.clone(), api.peers.clone())
    }
}
