//! `/search`: looking for words in the rooms one may see.

use axum::extract::State;
use lyceum_accounts::Accounts;
use lyceum_events::Clock;
use lyceum_institution::audit::Actor;
use lyceum_rooms::{Direction, Known, Looker, RoomError, Rooms, TimelineToken, Visibility};
use lyceum_search::{Found, Group, Hit, Key, Place, Query, Search, Sorting};
use lyceum_sync::filter::EventFilter;
use lyceum_web::{ApiError, Authed, RawJson};
use lyceum_workers::moderation::Moderation;
use ruma::{
    OwnedRoomId, OwnedUserId, UInt, UserId,
    api::client::search::search_events::v3::{
        Criteria, EventContext, EventContextResult, GroupingKey, OrderBy, Request, ResultCategories, ResultGroup,
        ResultGroupMap, ResultRoomEvents, SearchResult, UserProfile,
    },
    serde::Raw,
};
use serde::Deserialize;
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    answers,
    rooms::{looker, messages::is_wanted, raws},
};

/// Events in one answer, unless the client says how many, and at most.
const LIMIT: usize = 10;
const LIMIT_MAX: usize = 100;
/// Rooms that somebody who oversees looks into at once without being in them.
const OVERSEEN_MAX: usize = 50;
/// Events before and after a found one at most.
const CONTEXT_MAX: usize = 50;

/// `POST /_matrix/client/v3/search`
pub(crate) async fn search_events(
    State(search): State<Search>,
    State(accounts): State<Accounts>,
    State(rooms): State<Rooms>,
    State(clock): State<Arc<dyn Clock>>,
    State(moderation): State<Option<Moderation>>,
    Authed { session, body }: Authed<Request>,
) -> answers::Raw {
    let mut categories = ResultCategories::new();
    if let Some(criteria) = &body.search_categories.room_events {
        let (from, group) = place(body.next_batch.as_deref())?;
        let keys = keys(criteria)?;
        let query = Query {
            term: &criteria.search_term,
            keys: &keys,
            sorting: sorting(criteria)?,
            from,
            group,
            overseen: &overseen(&rooms, moderation.as_ref(), &session.user_id, criteria).await?,
            limit: limit(criteria),
        };
        let (filter, privacy) = (EventFilter::from(&criteria.filter), accounts.privacy(&session.user_id).await?);
        let in_rooms = |room: &OwnedRoomId| {
            criteria.filter.rooms.as_ref().is_none_or(|rooms| rooms.contains(room))
                && !criteria.filter.not_rooms.contains(room)
        };
        let wanted = |known: &Known| is_wanted(&filter, &privacy, known);
        let found = search.find(&session.user_id, &query, in_rooms, wanted).await?;
        let telling = Telling { rooms: &rooms, looker: looker(&session, &*clock), criteria, query: &query };
        categories.room_events = telling.told(found).await?;
    }
    let mut answer = json!({ "search_categories": categories });
    // Left out by ruma's form when nothing was found, yet clients go through it.
    if body.search_categories.room_events.is_some() {
        let found = &mut answer["search_categories"]["room_events"];
        if found["results"].is_null() {
            found["results"] = json!([]);
        }
    }
    RawJson::of(&answer)
}

/// The rooms among those that are named which the person is not in, if they oversee: that they look is written down.
async fn overseen(
    rooms: &Rooms,
    moderation: Option<&Moderation>,
    user: &UserId,
    criteria: &Criteria,
) -> Result<Vec<OwnedRoomId>, ApiError> {
    let (Some(moderation), Some(named)) = (moderation, &criteria.filter.rooms) else { return Ok(Vec::new()) };
    let (by, mut overseen) = (Actor::Person(user.to_owned()), Vec::new());
    if moderation.may_oversee(&by).await.is_err() {
        return Ok(overseen);
    }
    for room in named.iter().filter(|room| !criteria.filter.not_rooms.contains(*room)).take(OVERSEEN_MAX) {
        let is_theirs = match rooms.snapshot(room).await {
            Ok(snapshot) => snapshot.is_joined(user),
            Err(RoomError::UnknownRoom(_)) => true,
            Err(error) => return Err(error.into()),
        };
        if !is_theirs {
            moderation.note_search(&by, (Some(room), &criteria.search_term), None).await?;
            overseen.push(room.clone());
        }
    }
    Ok(overseen)
}

fn keys(criteria: &Criteria) -> Result<Vec<Key>, ApiError> {
    let Some(asked) = criteria.keys.as_ref().filter(|keys| !keys.is_empty()) else { return Ok(Key::ALL.to_vec()) };
    let key =
        |name: &str| Key::named(name).ok_or_else(|| ApiError::invalid_param(format!("{name} cannot be searched")));
    asked.iter().map(|asked| key(asked.as_str())).collect()
}

fn sorting(criteria: &Criteria) -> Result<Sorting, ApiError> {
    match &criteria.order_by {
        None | Some(OrderBy::Rank) => Ok(Sorting::Rank),
        Some(OrderBy::Recent) => Ok(Sorting::Recent),
        Some(_) => Err(ApiError::invalid_param("order_by is rank or recent")),
    }
}

fn limit(criteria: &Criteria) -> usize {
    let asked = criteria.filter.limit.map_or(LIMIT, |limit| usize::try_from(u64::from(limit)).unwrap_or(LIMIT_MAX));
    asked.clamp(1, LIMIT_MAX)
}

/// What a token of ours says: where to go on, and in which group.
fn place(token: Option<&str>) -> Result<(Place, Group), ApiError> {
    let Some(token) = token else { return Ok((Place::default(), Group::All)) };
    let read = || {
        let mut parts = token.strip_prefix("q1_")?.splitn(3, '_');
        let offset = parts.next()?.parse().ok()?;
        let before = match parts.next()? {
            "" => None,
            before => Some(before.parse().ok()?),
        };
        let group = match parts.next()? {
            "" => Group::All,
            sender if sender.starts_with('@') => Group::Sender(sender.to_owned()),
            room => Group::Room(room.to_owned()),
        };
        Some((Place { offset, before }, group))
    };
    read().ok_or_else(|| ApiError::invalid_param("next_batch was not made by this server"))
}

fn token(at: Place, group: &Group) -> String {
    let before = at.before.map(|before| before.to_string()).unwrap_or_default();
    let group = match group {
        Group::All => "",
        Group::Room(id) | Group::Sender(id) => id,
    };
    format!("q1_{}_{before}_{group}", at.offset)
}

/// Telling somebody what was found.
struct Telling<'a> {
    rooms: &'a Rooms,
    looker: Looker<'a>,
    criteria: &'a Criteria,
    query: &'a Query<'a>,
}

impl Telling<'_> {
    async fn told(&self, found: Found) -> Result<ResultRoomEvents, ApiError> {
        let mut told = ResultRoomEvents::new();
        told.count = Some(UInt::new_saturating(found.count as u64));
        told.highlights = found.highlights.iter().cloned().collect();
        told.next_batch = found.next.map(|next| token(next, &self.query.group));
        self.add_groups(&mut told, &found);
        let mut views: BTreeMap<OwnedRoomId, Visibility> = BTreeMap::new();
        for hit in &found.hits {
            let room = hit.known.event().room();
            if !views.contains_key(room) {
                let view = match self.query.overseen.iter().any(|overseen| overseen == room) {
                    true => self.rooms.oversight(self.looker.user, room).await?,
                    false => self.rooms.visibility(self.looker.user, room).await?,
                };
                views.insert(room.to_owned(), view);
            }
            if let Some(view) = views.get(room) {
                told.results.push(self.result(hit, view).await?);
            }
        }
        if self.criteria.include_state == Some(true) {
            for room in views.into_keys().filter(|room| !self.query.overseen.contains(room)) {
                let state = self.rooms.state_events_for(self.looker.user, &room).await?;
                told.state.insert(room, raws(self.rooms.present_state(self.looker, &state).await?));
            }
        }
        Ok(told)
    }

    fn add_groups(&self, told: &mut ResultRoomEvents, found: &Found) {
        for key in self.criteria.groupings.group_by.iter().filter_map(|grouping| grouping.key.as_ref()) {
            match key {
                GroupingKey::RoomId => {
                    let of = |hit: &Hit| hit.known.event().room().to_owned();
                    let groups = self.grouped(found, of, |room| Group::Room(room.to_string()));
                    told.groups.insert(ResultGroupMap::RoomId(groups));
                }
                GroupingKey::Sender => {
                    let of = |hit: &Hit| hit.known.event().sender().to_owned();
                    let groups = self.grouped(found, of, |sender| Group::Sender(sender.to_string()));
                    told.groups.insert(ResultGroupMap::Sender(groups));
                }
                _ => {}
            }
        }
    }

    fn grouped<K: Ord + Clone>(
        &self,
        found: &Found,
        of: impl Fn(&Hit) -> K,
        group: impl Fn(&K) -> Group,
    ) -> BTreeMap<K, ResultGroup> {
        let mut groups: BTreeMap<K, ResultGroup> = BTreeMap::new();
        for (at, hit) in found.hits.iter().enumerate() {
            let entry = groups.entry(of(hit)).or_insert_with(|| {
                let mut group = ResultGroup::new();
                group.order = Some(UInt::new_saturating(at as u64));
                group
            });
            entry.results.push(hit.known.id().clone());
        }
        if let Some(next) = found.next {
            for (key, entry) in &mut groups {
                // Within a group there is no more before than what of it is on this page and those before it.
                let at = Place { offset: entry.results.len(), ..next };
                entry.next_batch = Some(token(at, &group(key)));
            }
        }
        groups
    }

    async fn result(&self, hit: &Hit, view: &Visibility) -> Result<SearchResult, ApiError> {
        let mut result = SearchResult::new();
        let forms = self.rooms.present(view, self.looker, std::slice::from_ref(&hit.known)).await?;
        result.rank = Some(f64::from(hit.rank));
        result.result = forms.into_iter().next().map(Raw::from_json);
        result.context = self.context(hit, view).await?;
        Ok(result)
    }

    async fn context(&self, hit: &Hit, view: &Visibility) -> Result<EventContextResult, ApiError> {
        let mut context = EventContextResult::new();
        let (EventContext { before_limit, after_limit, include_profile, .. }, Some(order)) =
            (&self.criteria.event_context, hit.known.order())
        else {
            return Ok(context);
        };
        let before = self.around(view, Direction::Backward, order.saturating_sub(1), *before_limit).await?;
        let after = self.around(view, Direction::Forward, order, *after_limit).await?;
        let edge = |events: &[Arc<Known>]| events.last().and_then(|known| known.order()).unwrap_or(order);
        context.start = Some(TimelineToken(edge(&before).saturating_sub(1)).to_string());
        context.end = Some(TimelineToken(edge(&after)).to_string());
        if *include_profile {
            let shown: Vec<_> = before.iter().chain(&after).chain([&hit.known]).cloned().collect();
            context.profile_info = self.profiles(hit, &shown).await?;
        }
        context.events_before = raws(self.rooms.present(view, self.looker, &before).await?);
        context.events_after = raws(self.rooms.present(view, self.looker, &after).await?);
        Ok(context)
    }

    async fn around(
        &self,
        view: &Visibility,
        direction: Direction,
        from: i64,
        limit: UInt,
    ) -> Result<Vec<Arc<Known>>, ApiError> {
        match usize::try_from(u64::from(limit)).unwrap_or(CONTEXT_MAX).min(CONTEXT_MAX) {
            0 => Ok(Vec::new()),
            limit => Ok(self.rooms.history(view, direction, (Some(from), None), limit, |_| true).await?.events),
        }
    }

    /// How those who wrote were called then.
    async fn profiles(&self, hit: &Hit, shown: &[Arc<Known>]) -> Result<BTreeMap<OwnedUserId, UserProfile>, ApiError> {
        #[derive(Default, Deserialize)]
        struct Shown {
            displayname: Option<String>,
            avatar_url: Option<String>,
        }
        let members = self.rooms.senders_of(hit.known.event().room(), shown).await?;
        let profile = |known: &Arc<Known>| {
            let shown: Shown = known.event().content_as().unwrap_or_default();
            let mut profile = UserProfile::new();
            profile.displayname = shown.displayname;
            profile.avatar_url = shown.avatar_url.map(Into::into);
            Some((known.event().state_key()?.try_into().ok()?, profile))
        };
        let senders: BTreeSet<&str> = shown.iter().map(|known| known.event().sender().as_str()).collect();
        let members = members.iter().filter(|known| known.event().state_key().is_some_and(|one| senders.contains(one)));
        Ok(members.filter_map(profile).collect())
    }
}
