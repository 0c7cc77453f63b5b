//! What one server of a campus says to another by hand: signed with its key, whatever it is.

use http::{Method, header};
use lyceum_events::{Draft, Event, Placing, ServerKey, build, sign};
use lyceum_rooms::{Acceptance, Membership, Place, RemoteJoin};
use ruma::{
    CanonicalJsonObject, MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedRoomId, RoomId, RoomVersionId, ServerName,
    UInt, UserId,
};
use serde_json::{Value, json};

use super::campus::{Campus, Host};
use super::person::{Answer, Person, encoded};

/// Every room version that stories may meet.
pub(crate) const VERSIONS: &str = "ver=1&ver=2&ver=3&ver=4&ver=5&ver=6&ver=7&ver=8&ver=9&ver=10&ver=11&ver=12";

impl Host {
    /// This server's name.
    pub(crate) fn name(&self) -> &ServerName {
        self.key.server()
    }

    /// Asks another server, signed for it.
    pub(crate) async fn asks(&self, other: &Self, method: Method, path: &str, body: Option<Value>) -> Answer {
        self.asks_as(other, (self.name().as_str(), other.name().as_str()), method, path, body).await
    }

    /// Asks another server in the name of an origin, for a destination, with this server's key.
    pub(crate) async fn asks_as(
        &self,
        other: &Self,
        named: (&str, &str),
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        self.asks_by(&self.key, other, named, method, path, body).await
    }

    /// The same with any key.
    pub(crate) async fn asks_by(
        &self,
        key: &ServerKey,
        other: &Self,
        (origin, destination): (&str, &str),
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        let header = signed_by(key, (origin, destination), (&method, path, body.as_ref()));
        let body = body.map_or_else(Vec::new, |body| serde_json::to_vec(&body).expect("JSON can be written"));
        let headers = [(header::AUTHORIZATION.as_str(), header.as_str())];
        other.stranger().ask_with(method, path, &headers, body).await
    }

    pub(crate) async fn gets(&self, other: &Self, path: &str) -> Answer {
        self.asks(other, Method::GET, path, None).await
    }

    pub(crate) async fn puts(&self, other: &Self, path: &str, body: Value) -> Answer {
        self.asks(other, Method::PUT, path, Some(body)).await
    }

    /// Sends events in a transaction.
    pub(crate) async fn sends(&self, other: &Self, id: &str, pdus: &[Value]) -> Answer {
        let body = json!({ "origin": self.name(), "origin_server_ts": 1, "pdus": pdus });
        self.puts(other, &format!("/_matrix/federation/v1/send/{id}"), body).await
    }

    /// Sends other units in a transaction.
    pub(crate) async fn tells(&self, other: &Self, id: &str, edus: &[Value]) -> Answer {
        let body = json!({ "origin": self.name(), "origin_server_ts": 1, "pdus": [], "edus": edus });
        self.puts(other, &format!("/_matrix/federation/v1/send/{id}"), body).await
    }

    /// Puts a body as it is written, its keys in order and without white space: that is what is signed, whatever it holds.
    pub(crate) async fn sends_as_written(&self, other: &Self, path: &str, body: &str) -> Answer {
        let (origin, destination) = (self.name(), other.name());
        let signed = format!(
            r#"{{"content":{body},"destination":"{destination}","method":"PUT","origin":"{origin}","uri":"{path}"}}"#
        );
        let (key, signature) = (self.key.id(), self.key.sign_text(&signed));
        let header = format!(r#"X-Matrix origin="{origin}",destination="{destination}",key="{key}",sig="{signature}""#);
        let headers = [(header::AUTHORIZATION.as_str(), header.as_str())];
        other.stranger().ask_with(Method::PUT, path, &headers, body.as_bytes().to_vec()).await
    }

    /// The template of a membership event of somebody here, completed and signed; not sent yet.
    pub(crate) async fn makes(&self, other: &Self, what: &str, room: &str, user: &str) -> (Event, RoomVersionId) {
        let path = format!("/_matrix/federation/v1/make_{what}/{}/{}?{VERSIONS}", encoded(room), encoded(user));
        let lent = self.gets(other, &path).await.ok();
        let version: RoomVersionId = serde_json::from_value(lent["room_version"].clone()).expect("a room version");
        let mut object: CanonicalJsonObject = serde_json::from_value(lent["event"].clone()).expect("an event");
        let rules = version.rules().expect("a version of the specification");
        if matches!(version, RoomVersionId::V1 | RoomVersionId::V2) {
            object.insert("event_id".into(), format!("${what}{}:{}", &room[1..9], self.name()).into());
        }
        (sign(object, &rules, &self.key).expect("it can be signed"), version)
    }

    /// Sends a completed membership event.
    pub(crate) async fn hands_in(&self, other: &Self, endpoint: &str, event: &Event) -> Answer {
        let (room, id) = (encoded(event.room().as_str()), encoded(event.id().as_str()));
        self.puts(other, &format!("/_matrix/federation/{endpoint}/{room}/{id}"), json_of(event)).await
    }

    /// Somebody here joins a room by another server's help, step by step.
    pub(crate) async fn brings(&self, other: &Self, person: &Person, room: &str) {
        let (event, version) = self.makes(other, "join", room, &person.id).await;
        let told = self.hands_in(other, "v2/send_join", &event).await.ok();
        let rules = version.rules().expect("a version of the specification");
        let events = |name: &str| -> Vec<Event> {
            let list = told[name].as_array().expect("a list of events");
            list.iter().map(|one| lyceum_events::parse_pdu(&one.to_string(), &rules).expect("an event")).collect()
        };
        let event = match told.get("event") {
            Some(signed) => lyceum_events::parse_pdu(&signed.to_string(), &rules).expect("an event"),
            None => event,
        };
        let join = RemoteJoin {
            room_id: event.room().to_owned(),
            version,
            event,
            state: events("state"),
            auth_chain: events("auth_chain"),
        };
        let accepted = self.server.rooms().accept_remote_join(join).await.expect("the room is taken up");
        assert_eq!(accepted, Acceptance::Accepted);
    }

    /// How somebody stands to a room by this server's state of it.
    pub(crate) async fn membership(&self, room: &str, user: &str) -> Membership {
        let (room, user) =
            (<&RoomId>::try_from(room).expect("a room id"), <&UserId>::try_from(user).expect("a user id"));
        self.server.rooms().snapshot(room).await.expect("the room is here").membership(user)
    }

    /// The event that holds some state of a room, as this server has it.
    pub(crate) async fn state_event(&self, room: &str, kind: &str, state_key: &str) -> OwnedEventId {
        let room = <&RoomId>::try_from(room).expect("a room id");
        let snapshot = self.server.rooms().snapshot(room).await.expect("the room is here");
        snapshot.state().get(&kind.into(), state_key).expect("there is such state").to_owned()
    }

    /// An event as this server has it.
    pub(crate) async fn event(&self, id: &str) -> Option<Event> {
        let id = OwnedEventId::try_from(id).expect("an event id");
        self.server.rooms().known(&id).await.expect("the store answers").map(|known| known.event().clone())
    }

    /// Why an event was rejected here, if it was.
    pub(crate) async fn why_rejected(&self, id: &str) -> Option<String> {
        let id = OwnedEventId::try_from(id).expect("an event id");
        let known = self.server.rooms().known(&id).await.expect("the store answers")?;
        match known.place() {
            Place::Rejected(why) => Some(why.clone()),
            _ => None,
        }
    }

    /// Whether an event has a place in its room's timeline here.
    pub(crate) async fn has_in_timeline(&self, id: &str) -> bool {
        let id = OwnedEventId::try_from(id).expect("an event id");
        let known = self.server.rooms().known(&id).await.expect("the store answers");
        known.is_some_and(|known| known.order().is_some())
    }

    /// An event of any kind at any place in the graph, signed by this server: its rules are not asked.
    pub(crate) async fn forges(&self, room: &str, sender: &str, draft: Draft, at: Forged) -> Event {
        self.forges_knowing(self, room, sender, draft, at).await
    }

    /// The same of a room that only `knower` is in: somebody there has told this server everything.
    pub(crate) async fn forges_knowing(
        &self,
        knower: &Self,
        room: &str,
        sender: &str,
        draft: Draft,
        at: Forged,
    ) -> Event {
        let room_id = OwnedRoomId::try_from(room).expect("a room id");
        let snapshot = knower.server.rooms().snapshot(&room_id).await.expect("the room is there");
        let rules = snapshot.rules();
        let sender = <&UserId>::try_from(sender).expect("a user id");
        let types = lyceum_events::auth_types(&draft, sender, rules).expect("a draft");
        let auth: Vec<_> = types.iter().filter_map(|(kind, key)| snapshot.state().get(kind, key)).collect();
        let placing = Placing {
            room_id: Some(&room_id),
            sender,
            ts: MilliSecondsSinceUnixEpoch(UInt::new_saturating(at.ts)),
            prev_events: match at.prev {
                Some(prev) => prev,
                None => knower.server.rooms().ends(&room_id).await.expect("the room is there"),
            },
            auth_events: at.auth.unwrap_or_else(|| auth.into_iter().map(ToOwned::to_owned).collect()),
            depth: at.depth,
            local_id: "forged",
        };
        build(draft, &placing, rules, &self.key).expect("an event")
    }
}

/// The header of a request that is signed by a key in the name of an origin, for a destination.
pub(crate) fn signed_by(
    key: &ServerKey,
    (origin, destination): (&str, &str),
    (method, path, body): (&Method, &str, Option<&Value>),
) -> String {
    let mut object = json!({ "method": method.as_str(), "uri": path, "origin": origin, "destination": destination });
    if let Some(body) = body {
        object["content"] = body.clone();
    }
    let mut object: CanonicalJsonObject = serde_json::from_value(object).expect("canonical JSON");
    key.sign_json(&mut object).expect("it can be signed");
    let signature = serde_json::to_value(&object["signatures"]).expect("JSON");
    let signature = &signature[key.server().as_str()][&key.id()];
    format!("X-Matrix origin=\"{origin}\",destination=\"{destination}\",key=\"{}\",sig={signature}", key.id())
}

/// Ann at alpha and Ben at beta, who are in one room.
pub(crate) struct Shared {
    pub(crate) campus: Campus,
    pub(crate) ann: Person,
    pub(crate) ben: Person,
    pub(crate) room: String,
}

impl Shared {
    pub(crate) async fn begin() -> Self {
        let campus = Campus::of(["alpha.example", "beta.example", "gamma.example"]).await;
        let ann = campus.person_at("alpha.example", "ann").await;
        let ben = campus.person_at("beta.example", "ben").await;
        let room = ann.creates_public_room().await;
        campus.host("beta.example").brings(campus.host("alpha.example"), &ben, &room).await;
        campus.settle().await;
        Self { campus, ann, ben, room }
    }

    pub(crate) fn alpha(&self) -> &Host {
        self.campus.host("alpha.example")
    }

    pub(crate) fn beta(&self) -> &Host {
        self.campus.host("beta.example")
    }

    /// A server that is in no room.
    pub(crate) fn gamma(&self) -> &Host {
        self.campus.host("gamma.example")
    }
}

/// Where a forged event stands.
pub(crate) struct Forged {
    pub(crate) ts: u64,
    pub(crate) depth: u64,
    /// The events before it; the ends of the room where it is not said.
    pub(crate) prev: Option<Vec<OwnedEventId>>,
    /// The events that permit it; the right ones where it is not said.
    pub(crate) auth: Option<Vec<OwnedEventId>>,
}

impl Default for Forged {
    fn default() -> Self {
        Self { ts: 1, depth: 100, prev: None, auth: None }
    }
}

/// An event as it stands in a transaction.
pub(crate) fn json_of(event: &Event) -> Value {
    serde_json::from_str(event.json()).expect("an event is JSON")
}
