//! People of a partner's and of a stranger's server, in the hands of servers that keep no rule, know every event of every
//! room, and sign whatever they like.

use http::Method;
use lyceum_events::{Draft, Event};
use lyceum_rooms::Membership;
use ruma::OwnedEventId;
use serde_json::{Value, json};

use super::{
    World, everybody,
    words::{KINDS, Who, Words, is_shown_to_servers},
};
use crate::support::{
    Person,
    campus::Host,
    encoded,
    peer::{Forged, VERSIONS, json_of},
};

/// Somebody of another server, and what this server is to see in them.
struct Outsider<'a> {
    host: &'a Host,
    person: Person,
    /// What their own server calls them.
    role: &'static str,
    who: Who,
}

async fn outsiders(world: &World) -> Vec<Outsider<'_>> {
    let (beta, gamma) = (world.campus.host("beta.example"), world.campus.host("gamma.example"));
    let partner = everybody(beta, "").await.into_iter();
    let partner = partner.map(|(role, person)| Outsider { host: beta, person, role, who: Who::of_partner(role) });
    let stranger = everybody(gamma, "").await.into_iter();
    let stranger = stranger.map(|(role, person)| Outsider { host: gamma, person, role, who: Who::STRANGER });
    partner.chain(stranger).collect()
}

fn message(text: &str) -> Draft {
    let content = json!({ "msgtype": "m.text", "body": text });
    Draft::message("m.room.message", serde_json::from_value(content).expect("canonical"))
}

fn member(user: &str, membership: &str) -> Draft {
    let content = json!({ "membership": membership });
    Draft::state("m.room.member", user, serde_json::from_value(content).expect("canonical"))
}

impl Outsider<'_> {
    /// For what an assertion says.
    fn told(&self) -> String {
        format!("a {} of {}", self.role, self.host.name())
    }

    async fn makes(&self, alpha: &Host, what: &str, room: &str) -> (u16, Value) {
        let (room, user) = (encoded(room), encoded(&self.person.id));
        let path = format!("/_matrix/federation/v1/make_{what}/{room}/{user}?{VERSIONS}");
        let answer = self.host.asks(alpha, Method::GET, &path, None).await;
        (answer.status, answer.json)
    }

    async fn forges(&self, alpha: &Host, room: &str, draft: Draft, at: Forged) -> Event {
        self.host.forges_knowing(alpha, room, &self.person.id, draft, at).await
    }

    /// A message that stands on a join that is not in the room's state.
    async fn says_after(&self, alpha: &Host, room: &str, join: &Event) -> Event {
        let told = self.forges(alpha, room, message(self.role), Forged::default()).await;
        let mut auth: Vec<OwnedEventId> = told.auth().to_vec();
        auth.push(join.id().clone());
        let at = Forged { ts: 2, depth: join.depth() + 1, prev: Some(vec![join.id().clone()]), auth: Some(auth) };
        self.forges(alpha, room, message(self.role), at).await
    }

    /// Comes in as servers do that keep the rules, and writes.
    async fn comes_in(&self, alpha: &Host, kind: &Words, room: &str) {
        let (event, _) = self.host.makes(alpha, "join", room, &self.person.id).await;
        self.host.hands_in(alpha, "v2/send_join", &event).await.ok();
        assert_eq!(alpha.membership(room, &self.person.id).await, Membership::Join);
        let said = self.forges(alpha, room, message(self.role), Forged::default()).await;
        let sent = format!("{}-{}", self.role, kind.kind);
        self.host.sends(alpha, &sent, &[json_of(&said)]).await.ok();
        let seen = alpha.has_in_timeline(said.id().as_str()).await;
        assert_eq!(seen, self.who.writes(kind), "{} writes in a {}", self.told(), kind.kind);
    }

    /// Tries everything to come in, to write, and to bring somebody along.
    async fn breaks_in(&self, alpha: &Host, kind: &Words, room: &str, victim: &str) {
        let what = format!("{} breaks into a {}", self.told(), kind.kind);
        let join = self.forges(alpha, room, member(&self.person.id, "join"), Forged::default()).await;
        self.host.hands_in(alpha, "v2/send_join", &join).await.refused(403, "M_FORBIDDEN");
        let said = self.says_after(alpha, room, &join).await;
        let at = || Forged { ts: 3, ..Forged::default() };
        let invite = self.forges(alpha, room, member(victim, "invite"), at()).await;
        let sent = format!("break-{}-{}", self.role, kind.kind);
        self.host.sends(alpha, &sent, &[json_of(&join), json_of(&said), json_of(&invite)]).await.ok();
        assert_ne!(alpha.membership(room, &self.person.id).await, Membership::Join, "{what}");
        assert_eq!(alpha.membership(room, victim).await, Membership::Leave, "{what} and invites");
        for event in [&join, &said, &invite] {
            assert!(!alpha.has_in_timeline(event.id().as_str()).await, "{what}: {}", event.json());
        }
    }

    async fn knocks(&self, alpha: &Host, kind: &Words, room: &str) {
        let what = format!("{} knocks on a {}", self.told(), kind.kind);
        let (status, answer) = self.makes(alpha, "knock", room).await;
        assert_eq!(status, if self.who.enters(kind) { 200 } else { 403 }, "{what}: {answer}");
        let knock = match self.who.enters(kind) {
            true => self.host.makes(alpha, "knock", room, &self.person.id).await.0,
            false => self.forges(alpha, room, member(&self.person.id, "knock"), Forged::default()).await,
        };
        let answer = self.host.hands_in(alpha, "v1/send_knock", &knock).await;
        assert_eq!(answer.status == 200, self.who.enters(kind), "{what}: {}", answer.json);
        let knocks = alpha.membership(room, &self.person.id).await == Membership::Knock;
        assert_eq!(knocks, self.who.enters(kind), "{what}");
    }
}

#[tokio::test]
async fn every_role_of_other_servers_at_every_kind_of_room() {
    let world = World::begin().await;
    let alpha = world.alpha();
    let victim = alpha.member("victim", "student", &[]).await;
    for outsider in outsiders(&world).await {
        for kind in &KINDS {
            let rooms = &world.rooms[kind.kind];
            let (status, answer) = outsider.makes(alpha, "join", &rooms.open).await;
            let expected = if outsider.who.enters(kind) { 200 } else { 403 };
            assert_eq!(status, expected, "{} joins a {}: {answer}", outsider.told(), kind.kind);
            match outsider.who.enters(kind) {
                true => outsider.comes_in(alpha, kind, &rooms.open).await,
                false => outsider.breaks_in(alpha, kind, &rooms.open, &victim.id).await,
            }
            outsider.knocks(alpha, kind, &rooms.knock).await;
        }
    }
    alpha.is_sound().await;
}

#[tokio::test]
async fn every_role_of_other_servers_is_asked_into_the_kinds_it_may_enter() {
    let world = World::begin().await;
    for outsider in outsiders(&world).await {
        for kind in &KINDS {
            let path = format!("/_matrix/client/v3/rooms/{}/invite", encoded(&world.rooms[kind.kind].inside));
            let answer = world.dora.post(&path, json!({ "user_id": outsider.person.id })).await;
            let what = format!("{} is invited to a {}: {}", outsider.told(), kind.kind, answer.json);
            // Their own server has a say as well: it lets its staff alone into rooms of others.
            let theirs = Who::here(outsider.role).enters_rooms_elsewhere();
            assert_eq!(answer.status == 200, outsider.who.enters(kind) && theirs, "{what}");
            if !outsider.who.enters(kind) {
                assert!(answer.refused(403, "M_FORBIDDEN")["rule"].is_string(), "{what}");
            }
        }
    }
}

#[tokio::test]
async fn every_role_of_other_servers_towards_every_role_here() {
    let world = World::begin().await;
    let alpha = world.alpha();
    let people = everybody(alpha, ".here").await;
    for outsider in outsiders(&world).await {
        // A room of their own, which nobody judges there.
        let room = outsider.host.opens("study_group", "public", &outsider.person.id).await;
        outsider.person.joins(&room).await;
        for (role, person) in &people {
            let event = outsider.forges(outsider.host, &room, member(&person.id, "invite"), Forged::default()).await;
            let create = outsider.person.get(&format!("/_matrix/client/v3/rooms/{}/state", encoded(&room))).await.ok();
            let create = create.as_array().into_iter().flatten().find(|one| one["type"] == "m.room.create");
            let create = create.and_then(|one| one["event_id"].as_str()).expect("a room has a first event");
            let create = json_of(&outsider.host.event(create).await.expect("it is there"));
            let body = json!({ "room_version": "12", "event": json_of(&event), "invite_room_state": [create] });
            let path = format!("/_matrix/federation/v2/invite/{}/{}", encoded(&room), encoded(event.id().as_str()));
            let answer = outsider.host.puts(alpha, &path, body).await;
            let whom = Who::here(role);
            let expected = outsider.who.reaches(whom) && whom.enters_rooms_elsewhere();
            let what = format!("{} invites a {role}: {}", outsider.told(), answer.json);
            assert_eq!(answer.status == 200, expected, "{what}");
            if !expected {
                assert!(answer.refused(403, "M_FORBIDDEN")["rule"].is_string(), "{what}");
            }
        }
    }
}

#[tokio::test]
async fn other_servers_are_shown_the_rooms_that_anybody_may_enter() {
    let world = World::begin().await;
    for server in ["beta.example", "gamma.example"] {
        let asking = world.campus.host(server);
        let listing = asking.gets(world.alpha(), "/_matrix/federation/v1/publicRooms?limit=100").await.ok();
        for kind in &KINDS {
            let mut rooms = listing["chunk"].as_array().into_iter().flatten();
            let shown = rooms.any(|room| room["room_id"] == world.rooms[kind.kind].open.as_str());
            assert_eq!(shown, is_shown_to_servers(kind), "{server} is shown a {}", kind.kind);
        }
    }
}
