//! Spaces as trees: the rooms below a space, as far as somebody may know of them.

use ruma::{OwnedRoomId, OwnedServerName, RoomId, ServerName, events::StateEventType, room::RoomSummary};
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
    /// Rooms that this server knows nothing of, and servers that may: in the order they were met.
    pub elsewhere: Vec<(OwnedRoomId, Vec<OwnedServerName>)>,
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
    known: Arc<Known>,
}

impl Child {
    fn of(known: Arc<Known>) -> Option<Self> {
        let room = OwnedRoomId::try_from(known.event().state_key()?).ok()?;
        let mut content: ChildContent = known.event().content_as()?;
        if content.via.is_empty() {
            return None;
        }
        // Spec, "Ordering of children": no other `order` counts.
        let valid = |order: &String| order.len() <= 50 && order.bytes().all(|byte| (0x20..=0x7E).contains(&byte));
        content.order = content.order.filter(valid);
        Some(Self { room, content, known })
    }

    fn sort_key(&self) -> (bool, Option<&str>, u64, &OwnedRoomId) {
        let ts = self.known.event().ts().get().into();
        (self.content.order.is_none(), self.content.order.as_deref(), ts, &self.room)
    }

    fn stripped(&self) -> Option<Box<RawValue>> {
        #[derive(Serialize)]
        struct Stripped<'a> {
            content: &'a RawValue,
            origin_server_ts: u64,
            sender: &'a str,
            state_key: &'a str,
            #[serde(rename = "type")]
            kind: &'static str,
        }
        let event = self.known.event();
        let stripped = Stripped {
            content: event.content(),
            origin_server_ts: event.ts().get().into(),
            sender: event.sender().as_str(),
            state_key: self.room.as_str(),
            kind: "m.space.child",
        };
        to_raw_value(&stripped).ok()
    }
}

impl Rooms {
    /// Walks through a space, depth first.
    pub async fn hierarchy(&self, asker: Asker<'_>, space: &RoomId, walk: &Walk) -> Result<SpacePage> {
        let root = match self.snapshot(space).await {
            Ok(root) if self.may_know_of(asker, &root).await? => root,
            Ok(_) | Err(RoomError::UnknownRoom(_)) => {
                return Err(RoomError::forbidden("you may not look into this space"));
            }
            Err(error) => return Err(error),
        };
        let mut page = SpacePage { rooms: Vec::new(), next: None, elsewhere: Vec::new() };
        let mut seen = HashSet::from([space.to_owned()]);
        let mut stack = vec![(root, 0_u64)];
        let mut visited = 0;
        while let Some((snapshot, depth)) = stack.pop() {
            if visited >= VISITED_MAX {
                break;
            }
            if page.rooms.len() == walk.limit {
                page.next = Some(visited);
                break;
            }
            let children = self.children(&snapshot, walk.suggested_only).await?;
            if visited >= walk.skip {
                page.rooms.push(space_room(&snapshot, &children));
            }
            visited += 1;
            if walk.depth_max.is_some_and(|max| depth >= max) {
                continue;
            }
            // The last one pushed is visited first.
            for child in children.into_iter().rev() {
                if !seen.insert(child.room.clone()) {
                    continue;
                }
                match self.snapshot(&child.room).await {
                    Ok(snapshot) if self.may_know_of(asker, &snapshot).await? => stack.push((snapshot, depth + 1)),
                    Ok(_) => {}
                    Err(RoomError::UnknownRoom(_)) => page.elsewhere.push((child.room, child.content.via)),
                    Err(error) => return Err(error),
                }
            }
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
        let mut part = SpacePart { room: space_room(&root, &below), children: Vec::new(), inaccessible: Vec::new() };
        for child in below {
            match self.snapshot(&child.room).await {
                Ok(snapshot) if self.may_know_of(asker, &snapshot).await? => {
                    let further = self.children(&snapshot, suggested_only).await?;
                    part.children.push(space_room(&snapshot, &further));
                }
                // Of a room that nobody here is in any more another server knows better.
                Ok(snapshot) if snapshot.is_local() => part.inaccessible.push(child.room),
                Ok(_) | Err(RoomError::UnknownRoom(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(part)
    }

    /// The children of a space in their order; none of a room that is no space.
    async fn children(&self, snapshot: &Snapshot, suggested_only: bool) -> Result<Vec<Child>> {
        if !snapshot.facts().is_space() {
            return Ok(Vec::new());
        }
        let ids: Vec<_> = snapshot.state().of_type(&StateEventType::SpaceChild).map(|(_, id)| id.clone()).collect();
        let events = self.must_know_all(ids.iter().take(CHILDREN_MAX)).await?;
        let mut children: Vec<_> = events.into_iter().filter_map(Child::of).collect();
        children.retain(|child| !suggested_only || child.content.suggested);
        children.sort_by(|one, other| one.sort_key().cmp(&other.sort_key()));
        Ok(children)
    }
}

fn space_room(snapshot: &Snapshot, children: &[Child]) -> SpaceRoom {
    SpaceRoom { summary: snapshot.summary(), children: children.iter().filter_map(Child::stripped).collect() }
}
