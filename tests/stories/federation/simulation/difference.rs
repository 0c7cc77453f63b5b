//! Where servers that disagree about a room began to: the events around which they know different states, the oldest first.

use lyceum_rooms::{Known, RoomState};
use ruma::{OwnedEventId, RoomId};
use std::{
    collections::{BTreeMap, HashSet},
    fmt::Write as _,
    sync::Arc,
};

use crate::support::Campus;

/// Events told at most.
const TOLD_MAX: usize = 12;

/// What two servers know differently of the events behind the ends of a room's graph at the first of them.
pub(super) async fn told(campus: &Campus, (one, other): (&str, &str), room: &RoomId) -> String {
    let mut seen: HashSet<OwnedEventId> = HashSet::new();
    let mut open = rooms(campus, one).ends(room).await.expect("the room is here");
    let mut differing: BTreeMap<(u64, OwnedEventId), String> = BTreeMap::new();
    while let Some(id) = open.pop() {
        if !seen.insert(id.clone()) {
            continue;
        }
        let here = rooms(campus, one).known(&id).await.expect("the store answers");
        let there = rooms(campus, other).known(&id).await.expect("the store answers");
        let Some(event) = here.as_ref().or(there.as_ref()).map(|known| known.event().clone()) else { continue };
        open.extend(event.prev().iter().cloned());
        let views = (view(campus, one, here.as_deref()).await, view(campus, other, there.as_deref()).await);
        if let Some(what) = difference(views) {
            let line = format!("{id} {} by {} prev {:?}\n{what}", event.kind(), event.sender(), event.prev());
            differing.insert((event.depth(), id), line);
        }
    }
    differing.into_values().take(TOLD_MAX).fold(String::new(), |mut text, line| {
        let _ = writeln!(text, "{line}");
        text
    })
}

fn rooms<'a>(campus: &'a Campus, server: &str) -> &'a lyceum_rooms::Rooms {
    campus.host(server).server.rooms()
}

/// One server's place for an event, and the states around it.
struct View {
    place: String,
    before: Option<Arc<RoomState>>,
    after: Option<Arc<RoomState>>,
}

async fn view(campus: &Campus, server: &str, known: Option<&Known>) -> View {
    let Some(known) = known else { return View { place: "unknown".to_owned(), before: None, after: None } };
    let state = async |group: Option<u64>| match group {
        Some(group) => rooms(campus, server).state_of_group(known.event().room(), group).await.ok(),
        None => None,
    };
    View {
        place: format!("{:?}", known.place()),
        before: state(known.before()).await,
        after: state(known.after()).await,
    }
}

fn difference((here, there): (View, View)) -> Option<String> {
    let changes = |one: &Option<Arc<RoomState>>, other: &Option<Arc<RoomState>>| match (one, other) {
        (Some(one), Some(other)) => one.changes_to(other),
        _ => Vec::new(),
    };
    let (before, after) = (changes(&here.before, &there.before), changes(&here.after, &there.after));
    let differs = !before.is_empty() || !after.is_empty();
    differs.then(|| format!("  {} | {}\n  before {before:?}\n  after {after:?}", here.place, there.place))
}
