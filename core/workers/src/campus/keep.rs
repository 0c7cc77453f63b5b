//! Bringing rooms into step with the plan: what is missing is made, who is missing comes in, who may not be there goes,
//! power and names heal. Every step is an act of its own and may be done twice: after a crash the next pass goes on.

use lyceum_accounts::{AccountError, Accounts, NewPerson, UserKind};
use lyceum_events::Clock;
use lyceum_institution::{
    Institution, InstitutionError,
    kinds::Encryption,
    policies::{self, Act, Facts, Place, Verdict},
};
use lyceum_rooms::{
    Arrangement, InitialState, KIND_FIELD, Membership, NewRoom, RoomError, Rooms, Snapshot, UNIT_FIELD, require_levels,
};
use lyceum_storage::{StorageError, Store};
use parking_lot::Mutex;
use ruma::{CanonicalJsonObject, OwnedRoomId, OwnedUserId, RoomId, UserId, events::StateEventType};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use super::plan::{Plan, Wanted, plan};
use crate::tables::CAMPUS_ROOMS;

/// Accounts read at once.
const PAGE: usize = 1_000;
/// Rooms that are kept at most.
const ROOMS_MAX: usize = 100_000;

/// What the keeper is built from.
pub struct CampusRoomsParts {
    /// Where it is kept which room is for what.
    pub store: Store,
    /// People.
    pub accounts: Accounts,
    /// Rooms.
    pub rooms: Rooms,
    /// Roles, units, enrolments.
    pub institution: Institution,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Keeps the institution's rooms. Cheap to clone.
#[derive(Clone)]
pub struct CampusRooms(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) parts: CampusRoomsParts,
    /// One pass at a time.
    passing: tokio::sync::Mutex<()>,
    /// The state each room was left with: when it is another, somebody changed it by hand.
    pub(super) left_with: Mutex<HashMap<OwnedRoomId, Option<u64>>>,
}

/// What a pass did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settled {
    /// Rooms made.
    pub made: usize,
    /// Events that changed rooms: joins, leaves, power, names.
    pub changed: usize,
    /// Rooms given up, because what they were for is gone.
    pub given_up: usize,
}

/// Why a pass was not finished.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// A room could not be made or changed.
    #[error(transparent)]
    Rooms(#[from] RoomError),
    /// People could not be read.
    #[error(transparent)]
    Accounts(#[from] AccountError),
    /// The roster could not be read.
    #[error(transparent)]
    Institution(#[from] InstitutionError),
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

type Result<T> = std::result::Result<T, KeepError>;

impl CampusRooms {
    /// The keeper of an institution's rooms.
    pub fn new(parts: CampusRoomsParts) -> Self {
        Self(Arc::new(Inner { parts, passing: Default::default(), left_with: Mutex::default() }))
    }

    /// The server's own account, which makes the rooms.
    fn account(&self) -> &UserId {
        self.0.parts.institution.account()
    }

    /// Brings everything into step.
    pub async fn settle(&self) -> Result<Settled> {
        let _pass = self.0.passing.lock().await;
        let roster = self.0.parts.institution.roster().await?;
        let facts = self.0.parts.institution.facts(&roster);
        let people = self.people().await?;
        let plan = plan(&facts, &people);
        if plan.is_empty() && self.kept().await?.is_empty() {
            return Ok(Settled::default());
        }
        self.make_accounts().await?;
        let mut settled = Settled::default();
        let mut ids = self.kept().await?;
        for (key, wanted) in &plan {
            if !ids.contains_key(key) {
                ids.insert(key.clone(), self.make(key, wanted).await?);
                settled.made += 1;
            }
        }
        for (key, wanted) in &plan {
            settled.changed += self.bring_into_step(key, wanted, (&plan, &ids), &facts).await?;
        }
        for (key, room) in ids.iter().filter(|(key, _)| !plan.contains_key(*key)) {
            settled.changed += self.give_up(key, room).await?;
            settled.given_up += 1;
        }
        Ok(settled)
    }

    /// The accounts of people that are open.
    async fn people(&self) -> Result<BTreeSet<OwnedUserId>> {
        let (mut people, mut after) = (BTreeSet::new(), None::<OwnedUserId>);
        loop {
            let page = self.0.parts.accounts.users(after.as_deref(), PAGE).await?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            let open =
                page.into_iter().filter(|(_, user)| user.deactivated_ms.is_none() && user.kind == UserKind::Person);
            people.extend(open.map(|(id, _)| id));
        }
        people.retain(|user| !self.0.parts.institution.is_own(user));
        Ok(people)
    }

    /// The rooms there are, by what they are for.
    async fn kept(&self) -> Result<BTreeMap<String, OwnedRoomId>> {
        let rows = self.0.parts.store.scan(&CAMPUS_ROOMS, CAMPUS_ROOMS.all().limit(ROOMS_MAX)).await?;
        Ok(rows.into_iter().filter_map(|(key, room)| Some((key, room.try_into().ok()?))).collect())
    }

    /// The room that is kept for something.
    pub(crate) async fn room_for(&self, key: &str) -> Result<Option<OwnedRoomId>> {
        let row = self.0.parts.store.get(&CAMPUS_ROOMS, key).await?;
        Ok(row.and_then(|room| room.try_into().ok()))
    }

    /// Makes sure that the institution's own accounts are there. Nobody can sign in as one of them.
    async fn make_accounts(&self) -> Result<()> {
        let institution = &self.0.parts.institution;
        let settings = institution.settings();
        self.make_account(self.account(), &settings.name).await?;
        if let (Some(account), Some(desk)) = (institution.desk(), &settings.desk) {
            self.make_account(account, &desk.name).await?;
        }
        Ok(())
    }

    async fn make_account(&self, account: &UserId, name: &str) -> Result<()> {
        let accounts = &self.0.parts.accounts;
        if accounts.user(account).await?.is_none() {
            let localpart = Some(account.localpart().to_owned());
            accounts.register(NewPerson { localpart, ..NewPerson::default() }, None).await?;
            accounts.set_profile_field(account, "displayname", json!(name)).await?;
        }
        Ok(())
    }

    async fn make(&self, key: &str, wanted: &Wanted<'_>) -> Result<OwnedRoomId> {
        let note = |room: &RoomId, batch: &mut lyceum_storage::Batch| {
            batch.expect(&CAMPUS_ROOMS, key, None).put(&CAMPUS_ROOMS, key, &room.to_string());
        };
        let rooms = &self.0.parts.rooms;
        let alias = ruma::RoomAliasId::parse(format!("#{}:{}", wanted.alias, rooms.server())).ok();
        let new = NewRoom { alias, ..new_room(wanted) };
        let made = match rooms.create_noted(self.account(), new.clone(), &note).await {
            // Somebody has taken the alias: the room is there without one.
            Err(RoomError::RoomInUse(_)) => {
                rooms.create_noted(self.account(), NewRoom { alias: None, ..new }, &note).await
            }
            made => made,
        };
        Ok(made?.room_id)
    }

    async fn bring_into_step(
        &self,
        key: &str,
        wanted: &Wanted<'_>,
        (plan, ids): (&Plan<'_>, &BTreeMap<String, OwnedRoomId>),
        facts: &Facts<'_>,
    ) -> Result<usize> {
        let Some(room) = ids.get(key) else { return Ok(0) };
        let rooms = &self.0.parts.rooms;
        let snapshot = rooms.snapshot(room).await?;
        let mut state = vec![InitialState::of("m.room.name", "", json!({ "name": wanted.name }))];
        state.push(InitialState::of("m.room.join_rules", "", join_rules(wanted, ids)));
        state.extend(power_levels(&snapshot, wanted));
        state.extend(self.children(key, &snapshot, plan, ids));
        let is_in = |user: &OwnedUserId| snapshot.is_joined(user);
        let arrangement = Arrangement {
            state,
            joins: wanted.members.iter().filter(|user| !is_in(user)).cloned().collect(),
            leaves: self.misplaced(&snapshot, wanted, facts),
        };
        let changed = rooms.arrange(self.account(), room, &arrangement).await?;
        let left_with = rooms.snapshot(room).await?.group();
        self.0.left_with.lock().insert(room.clone(), left_with);
        Ok(changed)
    }

    /// Who is in a room and may not be.
    fn misplaced(&self, snapshot: &Snapshot, wanted: &Wanted<'_>, facts: &Facts<'_>) -> Vec<OwnedUserId> {
        let place = Place {
            room: Some(snapshot.room_id()),
            kind: wanted.kind,
            unit: wanted.unit,
            is_ours: true,
            is_encrypted: false,
            others: &[],
        };
        let may_stay = |user: &OwnedUserId| {
            user == self.account()
                || wanted.members.contains(user)
                || policies::judge(user, &Act::See(place), facts) == Verdict::Allow
        };
        let inside = snapshot.state().members().filter(|(_, member)| {
            matches!(member.membership, Membership::Join | Membership::Invite | Membership::Knock)
        });
        inside.map(|(user, _)| user).filter(|user| !may_stay(user)).cloned().collect()
    }

    /// The children that a space is to have, and those of ours that it is to have no more.
    fn children(
        &self,
        key: &str,
        snapshot: &Snapshot,
        plan: &Plan<'_>,
        ids: &BTreeMap<String, OwnedRoomId>,
    ) -> Vec<InitialState> {
        let mut children = Vec::new();
        let named: BTreeSet<&str> =
            snapshot.state().of_type(&StateEventType::SpaceChild).map(|(room, _)| room).collect();
        for (other, room) in ids {
            let lies_here = plan.get(other).is_some_and(|wanted| wanted.parent.as_deref() == Some(key));
            if lies_here {
                let content = json!({ "via": [self.account().server_name()], "suggested": true });
                children.push(InitialState::of("m.space.child", room.as_str(), content));
            } else if named.contains(room.as_str()) {
                children.push(InitialState::of("m.space.child", room.as_str(), json!({})));
            }
        }
        children
    }

    /// Lets a room go that is for nothing any more: everybody leaves it, and it is noted no longer.
    async fn give_up(&self, key: &str, room: &RoomId) -> Result<usize> {
        let rooms = &self.0.parts.rooms;
        let snapshot = rooms.snapshot(room).await?;
        let inside = snapshot.state().members().filter(|(_, member)| member.membership.is_in_or_invited());
        let leaves = inside.map(|(user, _)| user).filter(|user| *user != self.account()).cloned().collect();
        let arrangement = Arrangement { leaves, ..Arrangement::default() };
        let changed = rooms.arrange(self.account(), room, &arrangement).await?;
        for alias in rooms.aliases_of(room).await? {
            rooms.remove_alias(self.account(), &alias, true).await?;
        }
        let mut batch = lyceum_storage::Batch::new();
        batch.delete(&CAMPUS_ROOMS, key);
        self.0.parts.store.commit(batch).await.map_err(RoomError::from)?;
        self.0.left_with.lock().remove(room);
        Ok(changed)
    }
}

/// A room as it begins.
fn new_room(wanted: &Wanted<'_>) -> NewRoom {
    let mut creation = json!({ KIND_FIELD: wanted.kind.name });
    if let Some(unit) = wanted.unit {
        creation[UNIT_FIELD] = unit.into();
    }
    if wanted.is_space {
        creation["type"] = "m.space".into();
    }
    if !wanted.kind.federates {
        creation["m.federate"] = false.into();
    }
    let mut initial_state = vec![
        InitialState::of(
            "m.room.history_visibility",
            "",
            json!({ "history_visibility": wanted.kind.history.as_str() }),
        ),
        InitialState::of("m.room.guest_access", "", json!({ "guest_access": "forbidden" })),
    ];
    if wanted.kind.encryption == Encryption::Required {
        initial_state.push(InitialState::of("m.room.encryption", "", json!({ "algorithm": "m.megolm.v1.aes-sha2" })));
    }
    NewRoom {
        creation_content: object(creation),
        initial_state,
        is_listed: wanted.kind.listed,
        required_levels: wanted.kind.levels.clone(),
        name: Some(wanted.name.clone()),
        ..NewRoom::default()
    }
}

/// Who is in the space a room lies in may come in by themselves, as far as the rules of the campus let them.
fn join_rules(wanted: &Wanted<'_>, ids: &BTreeMap<String, OwnedRoomId>) -> Value {
    let parent = wanted.parent.as_ref().and_then(|parent| ids.get(parent));
    let allow: Vec<_> = parent.iter().map(|room| json!({ "type": "m.room_membership", "room_id": room })).collect();
    json!({ "join_rule": "restricted", "allow": allow })
}

/// The power levels with the people in them who are to have power, and nobody else.
fn power_levels(snapshot: &Snapshot, wanted: &Wanted<'_>) -> Option<InitialState> {
    let mut content: CanonicalJsonObject = snapshot.kept(&StateEventType::RoomPowerLevels)?.content_as()?;
    let mut users: BTreeMap<String, Value> =
        wanted.powers.iter().map(|(user, power)| (user.to_string(), json!(power))).collect();
    // Since version 12 who made a room is above all numbers, and must not be given one.
    for creator in &snapshot.facts().creators {
        match snapshot.rules().authorization.explicitly_privilege_room_creators {
            true => drop(users.remove(creator.as_str())),
            false => drop(users.insert(creator.to_string(), json!(100))),
        }
    }
    content.insert("users".to_owned(), object(json!(users)).into());
    require_levels(&mut content, &wanted.kind.levels);
    Some(InitialState { kind: StateEventType::RoomPowerLevels, state_key: String::new(), content })
}

fn object(value: Value) -> CanonicalJsonObject {
    serde_json::from_value(value).unwrap_or_default()
}
