//! Spaces as trees: the rooms below a space, as far as somebody may know of them.

use ruma::{
    OwnedRoomId, OwnedServerName, RoomId, ServerName,
    events::StateEventType,
    room::{RoomSummary, RoomType},
};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use std::{collections::HashSet, sync::Arc};

use crate::{Known, Result, RoomError, Rooms, Snapshot, summary::Asker};

/// Rooms that one walk through a space visits at most, those on the pages before included.
const VISITED_MAX: usize = 10_000;
/// Children of one space that are looked at.
const CHILDREN_MAX: usize = 1_000;

/// A room of a space.
#[derive(Debug, Clone)]
pub struct SpaceRoom {
    /// What may be told of it.
    pub summary: RoomSummary,
    /// Its `m.space.child` events, stripped.
    pub children: Vec<Box<RawValue>>,
}

/// A room as another server told of it.
#[derive(Debug, Clone)]
pub struct OutsideRoom {
    /// What may be told of it.
    pub summary: RoomSummary,
    /// Its `m.space.child` events, stripped.
    pub children: Vec<Box<RawValue>>,
    /// What the same server told of rooms directly below it.
    pub below: Vec<RoomSummary>,
}

impl OutsideRoom {
    /// What the server told of a room below this one, if that is all there is to be told: of a space it is not.
    fn leaf(&self, room: &RoomId) -> Option<Self> {
        let summary = self.below.iter().find(|summary| summary.room_id == room)?;
        let leaf = || Self { summary: summary.clone(), children: Vec::new(), below: Vec::new() };
        (summary.room_type != Some(RoomType::Space)).then(leaf)
    }
}

/// Knows of rooms that this server is not in.
#[async_trait::async_trait]
pub trait Outside: Send + Sync {
    /// What may be told of a room, by one of the servers in it.
    async fn look_at(&self, room: &RoomId, via: &[OwnedServerName], suggested_only: bool) -> Option<Arc<OutsideRoom>>;
}

/// How to walk through a space.
#[derive(Debug, Clone)]
pub struct Walk {
    /// Rooms seen on the pages before.
    pub skip: usize,
    /// Rooms wanted.
    pub limit: usize,
    /// How deep; `None`: all the way.
    pub depth_max: Option<u64>,
    /// Only children that are suggested.
    pub suggested_only: bool,
}

/// A page of a space's rooms.
#[derive(Debug, Clone)]
pub struct SpacePage {
    /// The rooms, the space first.
    pub rooms: Vec<SpaceRoom>,
    /// How many rooms come before the next page, if there is one.
    pub next: Option<usize>,
}

/// A space and what lies directly below it, for another server.
#[derive(Debug, Clone)]
pub struct SpacePart {
    /// The space.
    pub room: SpaceRoom,
    /// The rooms below it that the server's people could join or look into.
    pub children: Vec<SpaceRoom>,
    /// Those that they could not.
    pub inaccessible: Vec<OwnedRoomId>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ChildContent {
    via: Vec<OwnedServerName>,
    order: Option<String>,
    suggested: bool,
}

/// A child of a space, to be sorted as the specification says.
struct Child {
    room: OwnedRoomId,
    content: ChildContent,
    ts_ms: u64,
    stripped: Box<RawValue>,
}

/// An `m.space.child` event in its stripped form.
#[derive(Serialize, Deserialize)]
struct StrippedChild {
    content: Box<RawValue>,
    origin_server_ts: u64,
    sender: String,
    state_key: OwnedRoomId,
    #[serde(rename = "type")]
    kind: String,
}

impl Child {
    fn of(known: &Known) -> Option<Self> {
        let event = known.event();
        Self::read(StrippedChild {
            content: event.content().to_owned(),
            origin_server_ts: event.ts().get().into(),
            sender: event.sender().to_string(),
            state_key: OwnedRoomId::try_from(event.state_key()?).ok()?,
            kind: event.kind().to_string(),
        })
    }

    /// A child as another server told of it.
    fn told(json: &RawValue) -> Option<Self> {
        let told: StrippedChild = serde_json::from_str(json.get()).ok()?;
        (told.kind == "m.space.child").then(|| Self::read(told)).flatten()
    }

    fn read(stripped: StrippedChild) -> Option<Self> {
        let mut content: ChildContent = serde_json::from_str(stripped.content.get()).ok()?;
        if content.via.is_empty() {
            return None;
        }
        // Spec, "Ordering of children": no other `order` counts.
        let valid = |order: &String| order.len() <= 50 && order.bytes().all(|byte| (0x20..=0x7E).contains(&byte));
        content.order = content.order.filter(valid);
        let (room, ts_ms) = (stripped.state_key.clone(), stripped.origin_server_ts);
        Some(Self { room, content, ts_ms, stripped: to_raw_value(&stripped).ok()? })
    }

    fn sort_key(&self) -> (bool, Option<&str>, u64, &OwnedRoomId) {
        (self.content.order.is_none(), self.content.order.as_deref(), self.ts_ms, &self.room)
    }
}

fn in_order(children: impl Iterator<Item = Child>, suggested_only: bool) -> Vec<Child> {
    let mut children: Vec<_> = children.filter(|child| !suggested_only || child.content.suggested).collect();
    children.sort_by(|one, other| one.sort_key().cmp(&other.sort_key()));
    children
}

impl Rooms {
    /// Walks through a space, depth first; of rooms that are not here, servers that may know of them are asked.
    pub async fn hierarchy(
        &self,
        asker: Asker<'_>,
        (space, via): (&RoomId, &[OwnedServerName]),
        walk: &Walk,
        outside: &dyn Outside,
    ) -> Result<SpacePage> {
        let mut page = SpacePage { rooms: Vec::new(), next: None };
        let mut seen = HashSet::from([space.to_owned()]);
        let mut stack = vec![Ahead { room: space.to_owned(), via: via.to_owned(), depth: 0, above: None }];
        let mut visited = 0;
        while let Some(ahead) = stack.pop() {
            if visited >= VISITED_MAX {
                break;
            }
            let Some(Visited { summary, children, told }) = self.visit(asker, &ahead, walk, outside).await? else {
                if visited == 0 {
                    return Err(RoomError::forbidden("you may not look into this space"));
                }
                continue;
            };
            if page.rooms.len() == walk.limit {
                page.next = Some(visited);
                break;
            }
            if visited >= walk.skip {
                page.rooms.push(space_room(summary, &children));
            }
            visited += 1;
            if walk.depth_max.is_some_and(|max| ahead.depth >= max) {
                continue;
            }
            // The last one pushed is visited first.
            let unseen = children.into_iter().rev().filter(|child| seen.insert(child.room.clone()));
            let depth = ahead.depth + 1;
            stack.extend(unseen.map(|Child { room, content, .. }| Ahead {
                room,
                via: content.via,
                depth,
                above: told.clone(),
            }));
        }
        Ok(page)
    }

    /// A space and what lies directly below it, as far as another server's people may know of it.
    pub async fn space_for_server(
        &self,
        server: &ServerName,
        space: &RoomId,
        suggested_only: bool,
    ) -> Result<SpacePart> {
        let (asker, root) = (Asker::Server(server), self.snapshot(space).await?);
        if !self.may_know_of(asker, &root).await? {
            return Err(RoomError::UnknownRoom(space.to_owned()));
        }
        let below = self.children(&root, suggested_only).await?;
        let mut part =
            SpacePart { room: space_room(root.summary(), &below), children: Vec::new(), inaccessible: Vec::new() };
        for child in below {
            match self.snapshot(&child.room).await {
                Ok(snapshot) if self.may_know_of(asker, &snapshot).await? => {
                    let further = self.children(&snapshot, suggested_only).await?;
                    part.children.push(space_room(snapshot.summary(), &further));
                }
                // Of a room that nobody here is in any more another server knows better.
                Ok(snapshot) if snapshot.is_local() => part.inaccessible.push(child.room),
                Ok(_) | Err(RoomError::UnknownRoom(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(part)
    }

    /// What somebody may know of a room, and its children.
    async fn visit(
        &self,
        asker: Asker<'_>,
        ahead: &Ahead,
        walk: &Walk,
        outside: &dyn Outside,
    ) -> Result<Option<Visited>> {
        let here = match self.snapshot(&ahead.room).await {
            Ok(snapshot) => Some(snapshot),
            Err(RoomError::UnknownRoom(_)) => None,
            Err(error) => return Err(error),
        };
        // What is here of a room that this server has left is old.
        if here.as_ref().is_none_or(|snapshot| !snapshot.is_local())
            && let Some(there) = ahead.look(outside, walk.suggested_only).await
        {
            let may = self.may_know_of_outside(asker, &there.summary).await?;
            let children = there.children.iter().take(CHILDREN_MAX).filter_map(|json| Child::told(json));
            let children = in_order(children, walk.suggested_only);
            return Ok(may.then(|| Visited { summary: there.summary.clone(), children, told: Some(there) }));
        }
        match here {
            Some(snapshot) if self.may_know_of(asker, &snapshot).await? => {
                let children = self.children(&snapshot, walk.suggested_only).await?;
                Ok(Some(Visited { summary: snapshot.summary(), children, told: None }))
            }
            _ => Ok(None),
        }
    }

    /// The children of a space in their order; none of a room that is no space.
    async fn children(&self, snapshot: &Snapshot, suggested_only: bool) -> Result<Vec<Child>> {
        if !snapshot.facts().is_space() {
            return Ok(Vec::new());
        }
        let ids: Vec<_> = snapshot.state().of_type(&StateEventType::SpaceChild).map(|(_, id)| id.clone()).collect();
        let events = self.must_know_all(ids.iter().take(CHILDREN_MAX)).await?;
        Ok(in_order(events.iter().filter_map(|known| Child::of(known)), suggested_only))
    }
}

/// A room to be visited.
struct Ahead {
    room: OwnedRoomId,
    via: Vec<OwnedServerName>,
    depth: u64,
    /// The space above, if another server told of it.
    above: Option<Arc<OutsideRoom>>,
}

/// A room on the walk.
struct Visited {
    summary: RoomSummary,
    children: Vec<Child>,
    /// What another server told, if it did.
    told: Option<Arc<OutsideRoom>>,
}

impl Ahead {
    /// What another server tells of the room, or told already with the space above.
    async fn look(&self, outside: &dyn Outside, suggested_only: bool) -> Option<Arc<OutsideRoom>> {
        if let Some(leaf) = self.above.as_ref().and_then(|above| above.leaf(&self.room)) {
            return Some(Arc::new(leaf));
        }
        outside.look_at(&self.room, &self.via, suggested_only).await
    }
}

fn space_room(summary: RoomSummary, children: &[Child]) -> SpaceRoom {
    SpaceRoom { summary, children: children.iter().map(|child| child.stripped.clone()).collect() }
}
