//! One server: every crate's handle, built in layer order, and the routes they serve. The only place that sees them all.

mod health;
pub(crate) mod home;
mod own_accounts;
mod work;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use futures_util::future::BoxFuture;
use lyceum_accounts::{Accounts, Entropy};
use lyceum_client_api::{RemoteMemory, ServedRooms};
use lyceum_events::{Clock, OWNED_STATE, ServerKey, SystemClock};
use lyceum_federation::Intake;
use lyceum_institution::{Institution, InstitutionParts};
use lyceum_media::{Media, MediaParts};
use lyceum_outbound::Outbound;
use lyceum_peers::{Partners, Peers, PeersParts, ServiceLookup, SystemServices};
use lyceum_push::{Push, PushParts, Registration, Services};
use lyceum_rooms::{CampusRules, Checked, Judge, Known, Lenient, Rooms, RoomsParts, Unreads};
use lyceum_search::{Search, SearchParts};
use lyceum_storage::Store;
use lyceum_sync::{Sync, SyncParts};
use lyceum_web::{Mounted, Routes, SessionAuthenticator, WebState};
use lyceum_workers::campus::{CampusRooms, CampusRoomsParts};
use lyceum_workers::moderation::{Finds, Moderation, ModerationParts};
use lyceum_workers::notices::{Notices, NoticesParts};
use lyceum_workers::support::{Support, SupportParts};
use lyceum_workers::{
    deletions::{Deletions, DeletionsParts},
    past_purges::PastPurges,
    redactions::Redactions,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use ruma::{RoomId, RoomVersionId};

use crate::chance;
use crate::config::{Api, Config};
use crate::operator::Operator;
use work::Work;

/// What a server is built from, and what tests replace: storage, time and randomness.
pub struct Parts {
    pub store: Store,
    pub clock: Arc<dyn Clock>,
    /// Seeds the server's randomness.
    pub seed: [u8; 32],
    /// What the server signs with.
    pub key: ServerKey,
    /// The way to other servers.
    pub outbound: Outbound,
    /// Who looks up where other servers are.
    pub services: Arc<dyn ServiceLookup>,
}

impl Parts {
    /// The system's clock, randomness and network.
    pub fn real(config: &Config, store: Store, key: ServerKey) -> anyhow::Result<Self> {
        Ok(Self {
            store,
            clock: Arc::new(SystemClock::default()),
            seed: chance::generator().random(),
            key,
            outbound: Outbound::new(&config.federation.outbound())?,
            services: Arc::new(SystemServices::new(chance::generator())),
        })
    }
}

/// One seed for each crate that needs randomness, from the server's own.
struct Seeds(StdRng);

impl Seeds {
    fn next(&mut self) -> [u8; 32] {
        self.0.random()
    }
}

/// A server ready to answer.
pub struct Server {
    data_dir: PathBuf,
    /// The bucket that media are kept in, if they are not in the data directory.
    bucket: Option<String>,
    store: Store,
    accounts: Accounts,
    rooms: Rooms,
    institution: Institution,
    /// `None` where no campus rules are in force.
    campus_rooms: Option<CampusRooms>,
    /// The same.
    moderation: Option<Moderation>,
    /// `None` where there is no support desk.
    support: Option<Support>,
    sync: Sync,
    search: Search,
    peers: Peers,
    push: Push,
    services: Services,
    web: WebState,
    client: lyceum_client_api::Api,
    federation: lyceum_federation::Api,
    console: lyceum_console::Api,
    federates: bool,
    work: Option<Work>,
}

impl Server {
    /// Builds the handles in layer order.
    pub async fn build(config: &Config, parts: Parts) -> anyhow::Result<Self> {
        let Parts { store, clock, seed, key, outbound, services } = parts;
        if let Some(mistake) = home::mistake(&store, config).await? {
            anyhow::bail!(mistake);
        }
        let mut seeds = Seeds(StdRng::from_seed(seed));
        let name = config.server.name.clone();
        let entropy = Entropy::from_seed(seeds.next());
        let accounts = Accounts::open(name, store.clone(), clock.clone(), entropy, config.accounts())?;

        let institution = Institution::open(InstitutionParts {
            store: store.clone(),
            key: key.clone(),
            clock: clock.clone(),
            settings: config.institution(),
        })
        .await?;
        own_accounts::check(&accounts, &institution).await?;

        let rooms = Rooms::new(RoomsParts {
            store: store.clone(),
            key: key.clone(),
            clock: clock.clone(),
            chance: StdRng::from_seed(seeds.next()),
            judge: rules(&institution),
            people: Arc::new(accounts.clone()),
            config: config.rooms(),
        });

        let media = Media::new(MediaParts {
            server: config.server.name.clone(),
            store: store.clone(),
            clock: clock.clone(),
            seed: seeds.next(),
            directory: config.server.data_dir.join("media"),
            config: config.media.clone(),
            outbound: outbound.clone(),
        })?;

        let unreads = Unreads::new(&rooms, &accounts);
        let sync = Sync::new(SyncParts {
            store: store.clone(),
            accounts: accounts.clone(),
            rooms: rooms.clone(),
            unreads: unreads.clone(),
            clock: clock.clone(),
        });
        let push = Push::new(PushParts {
            store: store.clone(),
            clock: clock.clone(),
            accounts: accounts.clone(),
            rooms: rooms.clone(),
            unreads,
            outbound: outbound.clone(),
        });
        let search = Search::open(SearchParts {
            store: store.clone(),
            rooms: rooms.clone(),
            directory: &config.server.data_dir.join("search"),
            config: config.search,
        })
        .context("the search index cannot be opened")?;
        let outbound_for_services = outbound.clone();
        let peers = Peers::start(PeersParts {
            store: store.clone(),
            key,
            clock: clock.clone(),
            outbound,
            services,
            config: config.federation.clone(),
        })
        .await?;

        rooms.ask_policy_servers_by(Arc::new(peers.clone()));
        let campus_rooms = institution.is_enabled().then(|| {
            CampusRooms::new(CampusRoomsParts {
                store: store.clone(),
                accounts: accounts.clone(),
                rooms: rooms.clone(),
                institution: institution.clone(),
                clock: clock.clone(),
            })
        });
        let notices = Notices::new(NoticesParts {
            store: store.clone(),
            accounts: accounts.clone(),
            rooms: rooms.clone(),
            institution: institution.clone(),
            config: config.notices.clone(),
        });
        let moderation = campus_rooms.clone().map(|keeper| {
            Moderation::new(ModerationParts {
                store: store.clone(),
                accounts: accounts.clone(),
                rooms: rooms.clone(),
                institution: institution.clone(),
                keeper,
                notices: notices.clone(),
                finds: Arc::new(Finder(search.clone())),
                clock: clock.clone(),
            })
        });
        let desk = institution.desk().and_then(|_| campus_rooms.clone().zip(moderation.clone()));
        let support = desk.map(|(keeper, moderation)| {
            Support::new(SupportParts {
                store: store.clone(),
                rooms: rooms.clone(),
                institution: institution.clone(),
                keeper,
                moderation,
                clock: clock.clone(),
            })
        });
        let services = self::services(config, outbound_for_services)?;
        accounts.reserve({
            let (services, institution) = (services.clone(), institution.clone());
            move |user| services.is_exclusive_user(user) || (institution.is_enabled() && institution.is_own(user))
        });
        let people = SessionAuthenticator::new(accounts.clone(), Arc::new(services.clone()));
        let web = WebState::new(config.web.clone(), &config.rate_limits, clock.clone(), people, peers.clone());
        let partners = Partners::new(&peers, &institution);
        let console =
            lyceum_console::Api { web: web.clone(), institution: institution.clone(), moderation: moderation.clone() };
        let federation = lyceum_federation::Api {
            web: web.clone(),
            accounts: accounts.clone(),
            media: media.clone(),
            rooms: rooms.clone(),
            peers: peers.clone(),
            intake: Intake::new(&rooms, &accounts, &peers, &partners),
            partners,
            services: services.clone(),
            institution: institution.clone(),
            clock: clock.clone(),
        };
        let client = lyceum_client_api::Api {
            web: web.clone(),
            accounts: accounts.clone(),
            media,
            rooms: rooms.clone(),
            institution: institution.clone(),
            sync: sync.clone(),
            search: search.clone(),
            peers: peers.clone(),
            push: push.clone(),
            services: services.clone(),
            clock: clock.clone(),
            served_rooms: served_rooms(&config.rooms.default_version),
            well_known: config.well_known.clone(),
            calls: Arc::new(config.calls.clone()),
            user_directory: config.user_directory,
            remote_memory: RemoteMemory::default(),
            redactions: Redactions::new(&store, &rooms),
            deletions: Deletions::new(DeletionsParts {
                store: store.clone(),
                rooms: rooms.clone(),
                clock: clock.clone(),
            }),
            moderation: moderation.clone(),
            past_purges: PastPurges::new(&store, &rooms, &clock),
            notices,
        };
        Ok(Self {
            data_dir: config.server.data_dir.clone(),
            bucket: config.media.bucket().map(str::to_owned),
            store,
            accounts,
            rooms,
            institution,
            campus_rooms,
            moderation,
            support,
            sync,
            search,
            peers,
            push,
            services,
            web,
            client,
            federation,
            console,
            federates: config.federation.enabled,
            work: None,
        })
    }

    /// Who carries out the operator's orders.
    pub fn operator(&self) -> Operator {
        Operator {
            store: self.store.clone(),
            accounts: self.accounts.clone(),
            rooms: self.rooms.clone(),
            search: self.search.clone(),
            institution: self.institution.clone(),
            moderation: self.moderation.clone(),
            peers: self.peers.clone(),
            sender: self.sender().cloned(),
            data_dir: self.data_dir.clone(),
            bucket: self.bucket.clone(),
        }
    }

    /// Looks at everything that is kept of rooms.
    pub async fn check(&self) -> anyhow::Result<Checked> {
        self.operator().examine().await
    }

    /// People.
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// Rooms.
    pub fn rooms(&self) -> &Rooms {
        &self.rooms
    }

    /// Files.
    pub fn media(&self) -> &Media {
        &self.client.media
    }

    /// Looking for words.
    pub fn search(&self) -> &Search {
        &self.search
    }

    /// Roles, units, campus rules.
    pub fn institution(&self) -> &Institution {
        &self.institution
    }

    /// Who keeps the institution's rooms, if there is one.
    pub fn campus_rooms(&self) -> Option<&CampusRooms> {
        self.campus_rooms.as_ref()
    }

    /// Who handles cases, if there is an institution.
    pub fn moderation(&self) -> Option<&Moderation> {
        self.moderation.as_ref()
    }

    /// Other servers.
    pub fn peers(&self) -> &Peers {
        &self.peers
    }

    /// A registration token that works: one there is, or a new one.
    pub(crate) async fn invitation(&self) -> anyhow::Result<String> {
        let mut valid = self.accounts.registration_tokens(Some(true)).await?;
        match valid.pop() {
            Some((token, _)) => Ok(token),
            None => Ok(self.accounts.create_registration_token(None, None, None, None).await?.0),
        }
    }

    /// Answers all who wait for news: the server is about to stop.
    pub(crate) fn close(&self) {
        self.sync.close();
    }

    /// Puts the settings in force that can change while running.
    pub(crate) fn reload(&self, fresh: &Config) {
        self.web.set_rate_limits(&fresh.rate_limits);
    }

    /// The finished router of these APIs, for one listener.
    pub fn router(&self, apis: &[Api]) -> Router {
        lyceum_web::finish(
            self.routes(apis).merge(health::routes(self.store.clone(), self.accounts.clone())),
            &self.web,
        )
    }

    /// Every endpoint of these APIs, for the test that compares them with the specification.
    pub fn mounted(&self, apis: &[Api]) -> Vec<Mounted> {
        self.routes(apis).mounted()
    }

    fn routes(&self, apis: &[Api]) -> Routes {
        let doors = apis.iter().map(|api| match api {
            Api::Client => lyceum_client_api::routes().with_state(self.client.clone()),
            Api::Federation => lyceum_federation::routes().with_state(self.federation.clone()),
            Api::Admin => lyceum_client_api::admin_routes()
                .with_state(self.client.clone())
                .join(lyceum_console::routes().with_state(self.console.clone())),
        });
        doors.fold(Routes::new(), Routes::join)
    }
}

/// The campus rules, if any are in force.
fn rules(institution: &Institution) -> Arc<dyn Judge> {
    match institution.is_enabled() {
        true => Arc::new(CampusRules::of(institution.clone())),
        false => Arc::new(Lenient),
    }
}

/// Search, as those who oversee use it.
struct Finder(Search);

impl Finds for Finder {
    fn find<'a>(
        &'a self,
        room: Option<&'a RoomId>,
        term: &'a str,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Arc<Known>>, String>> {
        Box::pin(async move { self.0.find_anywhere(room, term, limit).await.map_err(|error| error.to_string()) })
    }
}

/// The room versions of the specification, all of which are served, and those with owned state.
fn served_rooms(default: &RoomVersionId) -> ServedRooms {
    let names = (1..=12).map(|version: u8| version.to_string()).chain(OWNED_STATE.map(str::to_owned));
    let versions = names.filter_map(|name| RoomVersionId::try_from(name).ok()).collect();
    ServedRooms { default: default.clone(), versions }
}

/// The application services, as their files say.
fn services(config: &Config, outbound: Outbound) -> anyhow::Result<Services> {
    let read = |file: &PathBuf| Ok((file.clone(), Registration::read(file)?));
    let registrations = config.appservices.files.iter().map(read).collect::<anyhow::Result<_>>()?;
    Ok(Services::new(registrations, &config.server.name, outbound)?)
}
