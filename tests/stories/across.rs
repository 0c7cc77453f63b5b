//! What people of two and three servers do together, each with their own client at their own server.

mod absence;
mod devices;
mod history;
mod membership;
mod owned_state;
mod people;
mod spaces;
mod talk;

use serde_json::{Value, json};
use std::time::Duration;

use crate::support::{Campus, Person, encoded};

pub(crate) const ALPHA: &str = "alpha.example";
pub(crate) const BETA: &str = "beta.example";
pub(crate) const GAMMA: &str = "gamma.example";

/// Longer than any pause before a server is tried again.
const LONG: Duration = Duration::from_secs(2 * 3600);

/// Ann at alpha and Ben at beta.
struct Two {
    campus: Campus,
    ann: Person,
    ben: Person,
}

impl Two {
    async fn meet() -> Self {
        let campus = Campus::of([ALPHA, BETA]).await;
        let (ann, ben) = (campus.person_at(ALPHA, "ann").await, campus.person_at(BETA, "ben").await);
        Self { campus, ann, ben }
    }

    /// A public room of Ann's that Ben has joined.
    async fn share(&self, how: Value) -> String {
        let room = public(&self.ann, how).await;
        joins(&self.ben, &room, ALPHA).await;
        self.campus.settle().await;
        room
    }

    /// Both servers are sound, and agree on who holds which state of a room.
    async fn agree(&self, room: &str) {
        self.campus.settle().await;
        assert_eq!(state(&self.ann, room).await, state(&self.ben, room).await, "the state of {room}");
        for server in [ALPHA, BETA] {
            self.campus.host(server).is_sound().await;
        }
    }
}

async fn public(host: &Person, mut how: Value) -> String {
    how["preset"] = "public_chat".into();
    host.creates_room_with(how).await
}

fn join_path(room: &str, via: &str) -> String {
    format!("/_matrix/client/v3/join/{}?via={via}", encoded(room))
}

async fn joins(who: &Person, room: &str, via: &str) {
    who.post(&join_path(room, via), json!({})).await.ok();
}

fn at(room: &str, rest: &str) -> String {
    format!("/_matrix/client/v3/rooms/{}/{rest}", encoded(room))
}

/// Which event holds which state.
async fn state(who: &Person, room: &str) -> std::collections::BTreeMap<String, String> {
    let events = who.get(&at(room, "state")).await.ok();
    let key = |event: &Value| format!("{} {}", event["type"], event["state_key"]);
    let id = |event: &Value| event["event_id"].as_str().unwrap_or_default().to_owned();
    events.as_array().into_iter().flatten().map(|event| (key(event), id(event))).collect()
}

/// How somebody stands to a room, as another sees it.
async fn membership(watcher: &Person, room: &str, who: &Person) -> String {
    let path = at(room, &format!("state/m.room.member/{}", encoded(&who.id)));
    watcher.get(&path).await.json["membership"].as_str().unwrap_or("none").to_owned()
}

/// The room's part of the next sync that has one, under `invite`, `knock`, `leave` or `join`.
async fn hears(who: &Person, room: &str, part: &str) -> Value {
    for _ in 0..5 {
        let answer = who.syncs("timeout=2000").await;
        if let Some(found) = answer["rooms"][part].get(room) {
            return found.clone();
        }
    }
    panic!("{} should hear of {room} under {part}, and does not", who.id)
}
