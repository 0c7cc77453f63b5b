//! Walking over every room: events are what their ids say and signed by those who must, and every index leads to what it
//! names. For `lyceum check`; changes nothing, and may run while the server does.

use lyceum_events::{PublicKeys, Received, References, Verified, verify_all};
use lyceum_storage::StorageError;
use ruma::{OwnedServerName, RoomId, room_version_rules::RoomVersionRules};
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use crate::{
    Place, Result, Rooms,
    rooms::version_of,
    tables::{EVENTS, HEADS, MEMBERSHIPS, OUTLIERS, StoredEvent, StoredHead, TIMELINE},
};

/// Events looked at in one go.
const PAGE: usize = 500;

/// Findings described at most; further ones are only counted.
const FINDINGS_MAX: usize = 100;

/// Knows servers' keys without asking anybody.
#[async_trait::async_trait]
pub trait KeptKeys: Send + Sync {
    /// All keys that these servers are known to have had.
    async fn kept_keys(&self, servers: &BTreeSet<OwnedServerName>) -> Result<PublicKeys, StorageError>;
}

/// What a walk over all rooms found.
#[derive(Debug, Clone, Default)]
pub struct Checked {
    /// Rooms looked at.
    pub rooms: u64,
    /// Events looked at.
    pub events: u64,
    /// Things that are not as they should be.
    pub wrong: u64,
    /// The first of those, in words.
    pub findings: Vec<String>,
}

impl Checked {
    fn wrong(&mut self, what: String) {
        self.wrong += 1;
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(what);
        }
    }
}

impl Rooms {
    /// Looks at everything that is kept of rooms.
    pub async fn check(&self, keys: &dyn KeptKeys) -> Result<Checked> {
        let mut checked = Checked::default();
        let mut versions = HashMap::new();
        let mut after: Option<String> = None;
        loop {
            let scan = match &after {
                Some(room) => HEADS.all().after(&HEADS, room),
                None => HEADS.all(),
            };
            let page = self.store().scan(&HEADS, scan.limit(PAGE)).await?;
            for (room, head) in &page {
                checked.rooms += 1;
                match version_of(&head.room_version) {
                    Ok((_, rules)) => {
                        versions.insert(room.clone(), rules.clone());
                        self.check_timeline(room, &rules, keys, &mut checked).await?;
                        self.check_head(room, head, &mut checked).await?;
                    }
                    Err(error) => checked.wrong(format!("room {room}: {error}")),
                }
            }
            let Some((last, _)) = page.into_iter().next_back() else { break };
            after = Some(last);
        }
        self.check_outliers(&versions, keys, &mut checked).await?;
        self.check_places(&mut checked).await?;
        Ok(checked)
    }

    async fn check_timeline(
        &self,
        room: &str,
        rules: &Arc<RoomVersionRules>,
        keys: &dyn KeptKeys,
        checked: &mut Checked,
    ) -> Result<()> {
        let mut after: Option<i64> = None;
        loop {
            let scan = TIMELINE.prefix((room,));
            let scan = match after {
                Some(order) => scan.after(&TIMELINE, (room, order)),
                None => scan,
            };
            let page = self.store().scan(&TIMELINE, scan.limit(PAGE)).await?;
            let Some(((_, last), _)) = page.last() else { return Ok(()) };
            after = Some(*last);
            let ids: Vec<&str> = page.iter().map(|(_, stored)| stored.event_id.as_str()).collect();
            let places = self.store().get_many(&EVENTS, ids).await?;
            for (((_, order), stored), place) in page.iter().zip(places) {
                let right = place.is_some_and(|at| at.room_id == room && at.place == Place::Timeline(*order));
                if !right {
                    checked.wrong(format!("event {} of {room} is not found by its id", stored.event_id));
                }
            }
            let events = page.into_iter().map(|(_, stored)| stored).collect();
            check_events(events, rules, keys, checked).await?;
        }
    }

    async fn check_outliers(
        &self,
        versions: &HashMap<String, Arc<RoomVersionRules>>,
        keys: &dyn KeptKeys,
        checked: &mut Checked,
    ) -> Result<()> {
        let mut after: Option<String> = None;
        loop {
            let scan = match &after {
                Some(id) => OUTLIERS.all().after(&OUTLIERS, id),
                None => OUTLIERS.all(),
            };
            let page = self.store().scan(&OUTLIERS, scan.limit(PAGE)).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(last.clone());
            let ids: Vec<&str> = page.iter().map(|(id, _)| id.as_str()).collect();
            let places = self.store().get_many(&EVENTS, ids).await?;
            let mut by_room: HashMap<String, Vec<StoredEvent>> = HashMap::new();
            for ((id, stored), place) in page.into_iter().zip(places) {
                match place.filter(|at| !matches!(at.place, Place::Timeline(_))) {
                    Some(at) => by_room.entry(at.room_id).or_default().push(stored),
                    None => checked.wrong(format!("event {id} is not found by its id")),
                }
            }
            for (room, events) in by_room {
                // Of a room that this server never was in, the version is not known.
                if let Some(rules) = versions.get(&room) {
                    check_events(events, rules, keys, checked).await?;
                }
            }
        }
    }

    /// The way back: every id leads to an event.
    async fn check_places(&self, checked: &mut Checked) -> Result<()> {
        let mut after: Option<String> = None;
        loop {
            let scan = match &after {
                Some(id) => EVENTS.all().after(&EVENTS, id),
                None => EVENTS.all(),
            };
            let page = self.store().scan(&EVENTS, scan.limit(PAGE)).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(last.clone());
            for (id, at) in &page {
                let stored = match &at.place {
                    Place::Timeline(order) => self.store().get(&TIMELINE, (&at.room_id, *order)).await?,
                    _ => self.store().get(&OUTLIERS, id).await?,
                };
                if stored.is_none_or(|stored| stored.event_id != *id) {
                    checked.wrong(format!("event {id} of {} is missing from its place", at.room_id));
                }
            }
        }
    }

    /// The end of the graph and the current state are there, and members stand to the room as the state says.
    async fn check_head(&self, room: &str, head: &StoredHead, checked: &mut Checked) -> Result<()> {
        let ends = head.extremities.iter().filter(|end| !end.is_let_go());
        for id in ends.map(|end| end.event_id.as_str()) {
            if self.store().get(&EVENTS, id).await?.is_none() {
                checked.wrong(format!("{room} ends in event {id}, which is missing"));
            }
        }
        let (Some(group), Ok(room_id)) = (head.group, RoomId::parse(room)) else { return Ok(()) };
        let state = match self.state_of_group(&room_id, group).await {
            Ok(state) => state,
            Err(error) => {
                checked.wrong(format!("the state of {room}: {error}"));
                return Ok(());
            }
        };
        let ids: Vec<&str> = state.event_ids().map(|id| id.as_str()).collect();
        let places = self.store().get_many(&EVENTS, ids.iter().copied()).await?;
        for (id, _) in ids.iter().zip(places).filter(|(_, place)| place.is_none()) {
            checked.wrong(format!("the state of {room} holds event {id}, which is missing"));
        }
        for (user, member) in state.members() {
            let row = self.store().get(&MEMBERSHIPS, (user.as_str(), room)).await?;
            if row.is_none_or(|row| row.membership != member.membership) {
                checked.wrong(format!("the membership of {user} in {room} is not what the room's state says"));
            }
        }
        Ok(())
    }
}

/// Ids, hashes and signatures of a page of events.
async fn check_events(
    events: Vec<StoredEvent>,
    rules: &Arc<RoomVersionRules>,
    keys: &dyn KeptKeys,
    checked: &mut Checked,
) -> Result<()> {
    let (mut whole, mut servers) = (Vec::new(), BTreeSet::new());
    for stored in events {
        checked.events += 1;
        match Received::parse_naming(&stored.json, rules, References::AsTheyAre) {
            Ok(received) if received.event().id().as_str() == stored.event_id => {
                servers.extend(received.required_servers().iter().cloned());
                whole.push(received);
            }
            Ok(received) => {
                let found = received.event().id();
                checked.wrong(format!("event {} has the content of {found}", stored.event_id));
            }
            Err(error) => checked.wrong(format!("event {}: {error}", stored.event_id)),
        }
    }
    let keys = keys.kept_keys(&servers).await?;
    let events: Vec<_> = whole.iter().map(|received| received.event().clone()).collect();
    let rules = rules.clone();
    let verified = tokio::task::spawn_blocking(move || verify_all(whole, &keys, &rules)).await;
    for (event, verified) in events.iter().zip(verified.unwrap_or_default()) {
        match verified {
            Err(error) => checked.wrong(format!("event {}: {error}", event.id())),
            // Of a redacted event there is no more than this left.
            Ok(Verified::Redacted(left)) if left.json() != event.json() => {
                checked.wrong(format!("event {} does not have the content it was signed with", event.id()));
            }
            Ok(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{tables::StoredPlace, testing::alpha};
    use lyceum_storage::Batch;
    use ruma::{MilliSecondsSinceUnixEpoch, UInt, user_id};

    /// The keys of the tests' only server.
    struct Own<'a>(&'a Rooms);

    #[async_trait::async_trait]
    impl KeptKeys for Own<'_> {
        async fn kept_keys(&self, _: &BTreeSet<OwnedServerName>) -> Result<PublicKeys, StorageError> {
            let (key, mut keys) = (&self.0.0.key, PublicKeys::default());
            let always = MilliSecondsSinceUnixEpoch(UInt::MAX);
            keys.add(key.server(), &key.id(), &key.public_key_base64(), always);
            Ok(keys)
        }
    }

    #[tokio::test]
    async fn what_was_tampered_with_is_found() {
        let (rooms, ada) = (alpha().await, user_id!("@ada:alpha.test"));
        let room = rooms.public_room(ada).await;
        let said = rooms.says(ada, &room, "pay 10").await.unwrap();
        assert_eq!(rooms.check(&Own(&rooms)).await.unwrap().wrong, 0);

        let Place::Timeline(order) = rooms.known(&said).await.unwrap().unwrap().place().clone() else { panic!() };
        let mut stored = rooms.store().get(&TIMELINE, (room.as_str(), order)).await.unwrap().unwrap();
        stored.json = stored.json.replace("pay 10", "pay 99").into();
        let mut batch = Batch::new();
        batch.put(&TIMELINE, (room.as_str(), order), &stored);
        batch.put(&EVENTS, "$gone", &StoredPlace { room_id: room.to_string(), place: Place::Timeline(9_999) });
        batch.delete(&MEMBERSHIPS, (ada.as_str(), room.as_str()));
        rooms.store().commit(batch).await.unwrap();
        let checked = rooms.check(&Own(&rooms)).await.unwrap();
        let found = checked.findings.join("\n");
        for words in ["$gone", "membership of @ada:alpha.test"] {
            assert!(found.contains(words), "{words:?} is not in {found}");
        }
        // A changed text leaves id and signature whole: only the content hash tells.
        assert!(found.contains(said.as_str()), "{said} is not in {found}");
    }
}
