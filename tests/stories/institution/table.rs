//! Every role against every role and every kind of room, for each act: people of this server with their clients (`here`),
//! those of a partner and of a stranger's server by signed requests that keep no rule of their own (`elsewhere`). What is
//! expected stands in words in `words`; whatever is forbidden there has to fail at this server.

mod elsewhere;
mod here;
mod words;

use lyceum_institution::{Change, Person as Role};
use lyceum_rooms::{InitialState, NewRoom, Preset};
use ruma::UserId;
use serde_json::json;
use std::collections::BTreeMap;

use super::id;
use crate::support::{Campus, Person, campus::Host};
use words::{KINDS, ROLES};

/// Beta is a partner of alpha's; gamma is a school too, and nobody's partner.
const SETTINGS: &str = "institution.enabled = true\n\
    institution.partners = [{ server = \"alpha.example\" }, { server = \"beta.example\" }]\n";

/// The rooms of one kind, all made by the institution's account, so that every kind has some.
struct Rooms {
    /// Anybody may join it, as far as Matrix knows, and the directory lists it.
    open: String,
    /// One knocks on it.
    knock: String,
    /// Like the first one, for those who are put into it.
    inside: String,
}

struct World {
    campus: Campus,
    rooms: BTreeMap<&'static str, Rooms>,
    /// Who invites: the Director of Studies, whom the rules let ask anybody.
    dora: Person,
}

impl World {
    async fn begin() -> Self {
        let campus = Campus::with(["alpha.example", "beta.example", "gamma.example"], SETTINGS).await;
        let alpha = campus.host("alpha.example");
        alpha.in_step().await;
        let dora = alpha.member("dora", "dos", &[]).await;
        let mut rooms = BTreeMap::new();
        for kind in KINDS.map(|words| words.kind) {
            let open = alpha.opens(kind, "public", &dora.id).await;
            let knock = alpha.opens(kind, "knock", &dora.id).await;
            let inside = alpha.opens(kind, "public", &dora.id).await;
            dora.joins(&open).await;
            dora.joins(&inside).await;
            rooms.insert(kind, Rooms { open, knock, inside });
        }
        Self { campus, rooms, dora }
    }

    fn alpha(&self) -> &Host {
        self.campus.host("alpha.example")
    }
}

impl Host {
    /// The institution's account makes a room of a kind. Nothing but the campus rules keeps anybody out of it: not even
    /// `m.federate`, which rooms have that people make of kinds that stay here.
    async fn opens(&self, kind: &str, join_rule: &str, powerful: &str) -> String {
        let creation = json!({ "org.lyceum.kind": kind });
        let levels = json!({ "invite": 0, "users": { powerful: 100 } });
        let new = NewRoom {
            creation_content: serde_json::from_value(creation).expect("canonical"),
            preset: Preset::PublicChat,
            is_listed: true,
            initial_state: vec![InitialState::of("m.room.join_rules", "", json!({ "join_rule": join_rule }))],
            name: Some(kind.to_owned()),
            power_levels: Some(serde_json::from_value(levels).expect("canonical")),
            ..NewRoom::default()
        };
        let account: &UserId = self.server.institution().account();
        self.server.rooms().create(account, new).await.expect("the account may do anything").room_id.to_string()
    }

    /// From now on somebody is this.
    async fn appoints(&self, person: &Person, role: &str) {
        self.changes(vec![Change::Person { user: id(person), person: Some(Role { role: role.to_owned() }) }]).await;
    }
}

/// Somebody of every role, named after it.
async fn everybody(host: &Host, suffix: &str) -> Vec<(&'static str, Person)> {
    let mut people = Vec::new();
    for role in ROLES {
        people.push((role, host.member(&format!("{role}{suffix}"), role, &[]).await));
    }
    people
}
