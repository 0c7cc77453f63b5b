//! What a client asks of `/sync`, made ready: filters compiled, limits bounded.

use lyceum_rooms::Looker;
use ruma::{
    RoomId, UserId,
    api::client::filter::{EventFormat, RoomEventFilter},
};
use std::time::Duration;

use crate::{
    filter::{EventFilter, SyncFilter},
    token::SyncToken,
};

/// Events of one room in one answer, if the client does not say.
const TIMELINE_DEFAULT: usize = 10;
/// Events of one room in one answer at most.
const TIMELINE_MAX: usize = 1000;
/// How long an answer may be waited for.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(180);

/// What a client asks.
#[derive(Debug)]
pub struct SyncRequest<'a> {
    /// Who asks.
    pub user: &'a UserId,
    /// With which device; an application service may have none.
    pub device: Option<&'a str>,
    /// Where the client stands; `None`: nowhere yet.
    pub since: Option<SyncToken>,
    /// What it wants.
    pub filter: &'a SyncFilter,
    /// The whole state of every room again.
    pub full_state: bool,
    /// Which end of the timeline the state is to be told for.
    pub state_form: StateForm,
    /// How long to wait if there is nothing new.
    pub timeout: Duration,
}

/// Which end of the timeline the state is to be told for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateForm {
    /// `state`: up to the start.
    Before,
    /// `state_after`: up to the end.
    After,
}

/// A client's filter, compiled.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) timeline: EventFilter,
    pub(crate) timeline_max: usize,
    pub(crate) state: EventFilter,
    pub(crate) ephemeral: EventFilter,
    pub(crate) room_account_data: EventFilter,
    pub(crate) account_data: EventFilter,
    pub(crate) presence: EventFilter,
    pub(crate) lazy: Lazy,
    pub(crate) include_leave: bool,
    pub(crate) by_thread: bool,
    rooms: RoomsWanted,
    timeline_rooms: RoomsWanted,
    state_rooms: RoomsWanted,
    ephemeral_rooms: RoomsWanted,
    account_data_rooms: RoomsWanted,
}

/// Which members a client wants to be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lazy {
    /// All of them.
    No,
    /// Those who wrote, unless the client has them.
    Yes,
    /// Those who wrote, each time.
    Redundant,
}

#[derive(Debug, Default)]
struct RoomsWanted {
    only: Option<Vec<String>>,
    never: Vec<String>,
}

impl RoomsWanted {
    fn of<I: ToString, N: ToString>(only: Option<&[I]>, never: &[N]) -> Self {
        let texts = |ids: &[I]| ids.iter().map(ToString::to_string).collect();
        Self { only: only.map(texts), never: never.iter().map(ToString::to_string).collect() }
    }

    fn of_filter(filter: &RoomEventFilter) -> Self {
        Self::of(filter.rooms.as_deref(), &filter.not_rooms)
    }

    fn include(&self, room: &RoomId) -> bool {
        !self.never.iter().any(|never| never == room.as_str())
            && self.only.as_ref().is_none_or(|only| only.iter().any(|one| one == room.as_str()))
    }
}

impl Wanted {
    pub(crate) fn of(filter: &SyncFilter) -> Self {
        use ruma::api::client::filter::LazyLoadOptions;
        let relations = filter.timeline.clone();
        let filter = &filter.definition;
        let room = &filter.room;
        let limit =
            room.timeline.limit.map_or(TIMELINE_DEFAULT, |limit| usize::try_from(limit).unwrap_or(TIMELINE_MAX));
        let lazy = match (&room.state.lazy_load_options, &room.timeline.lazy_load_options) {
            (LazyLoadOptions::Enabled { include_redundant_members: true }, _) => Lazy::Redundant,
            (LazyLoadOptions::Enabled { .. }, _) => Lazy::Yes,
            _ => Lazy::No,
        };
        Self {
            timeline: EventFilter::from(&room.timeline).related(relations),
            timeline_max: limit.min(TIMELINE_MAX),
            state: (&room.state).into(),
            ephemeral: (&room.ephemeral).into(),
            room_account_data: (&room.account_data).into(),
            account_data: (&filter.account_data).into(),
            presence: (&filter.presence).into(),
            lazy,
            include_leave: room.include_leave,
            by_thread: room.timeline.unread_thread_notifications,
            rooms: RoomsWanted::of(room.rooms.as_deref(), &room.not_rooms),
            timeline_rooms: RoomsWanted::of_filter(&room.timeline),
            state_rooms: RoomsWanted::of_filter(&room.state),
            ephemeral_rooms: RoomsWanted::of_filter(&room.ephemeral),
            account_data_rooms: RoomsWanted::of_filter(&room.account_data),
        }
    }

    /// Everything, and so many events of each room.
    pub(crate) fn plain(timeline_max: usize) -> Self {
        Self { timeline_max: timeline_max.min(TIMELINE_MAX), ..Self::of(&SyncFilter::default()) }
    }

    /// Whether anything of a room is wanted.
    pub(crate) fn room(&self, room: &RoomId) -> bool {
        self.rooms.include(room)
    }

    /// Whether events of a room are wanted.
    pub(crate) fn timeline_of(&self, room: &RoomId) -> bool {
        self.timeline_rooms.include(room) && !self.timeline.is_closed()
    }

    /// Whether state of a room is wanted.
    pub(crate) fn state_of(&self, room: &RoomId) -> bool {
        self.state_rooms.include(room) && !self.state.is_closed()
    }

    /// Whether typing and receipts of a room are wanted.
    pub(crate) fn ephemeral_of(&self, room: &RoomId) -> bool {
        self.ephemeral_rooms.include(room) && !self.ephemeral.is_closed()
    }

    /// Whether account data of a room is wanted.
    pub(crate) fn account_data_of(&self, room: &RoomId) -> bool {
        self.account_data_rooms.include(room) && !self.room_account_data.is_closed()
    }
}

impl<'a> SyncRequest<'a> {
    /// The one who looks, for forming events.
    pub(crate) fn looker(&self, now: ruma::MilliSecondsSinceUnixEpoch) -> Looker<'a> {
        let federated = self.filter.definition.event_format == EventFormat::Federation;
        Looker { user: self.user, device: self.device, now, federated }
    }
}
