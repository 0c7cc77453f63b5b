//! Acts in rooms that this server is not in: events made of the templates that another server lends
//! ([spec](https://spec.matrix.org/v1.19/server-server-api/#joining-rooms)). Of a template only the event's place in the
//! graph, and who vouches for a join, is believed; everything else this server writes itself.

use lyceum_events::{Event, Placing, build, rules_of};
use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, OwnedEventId, RoomId, RoomVersionId, ServerName, UserId,
    events::TimelineEventType, room_version_rules::RoomVersionRules,
};

use crate::{
    Act, Joining, MemberProfile, Membership, Result, RoomError, Rooms,
    membership_acts::{draft, member_content},
    write::bad,
};

/// Who vouches for a join to a restricted room.
const VOUCHED_BY: &str = "join_authorised_via_users_server";

/// Letters of an event id, in the room versions where the server chooses it.
pub(crate) const LOCAL_ID_LETTERS: usize = 18;

/// A template that another server lent.
#[derive(Debug, Clone, Copy)]
pub struct Borrowed<'a> {
    /// The room asked about.
    pub room: &'a RoomId,
    /// Its version, as that server says.
    pub version: &'a RoomVersionId,
    /// The event so far.
    pub event: &'a CanonicalJsonObject,
}

impl Rooms {
    /// The join of somebody of this server, made of a template.
    pub async fn complete_join(&self, joining: &Joining<'_>, borrowed: Borrowed<'_>) -> Result<Event> {
        if joining.is_guest {
            return Err(RoomError::forbidden("guests may not join rooms of other servers"));
        }
        let known = self.snapshot(borrowed.room).await.ok();
        let act = Act::Join { room: known.as_deref(), room_id: borrowed.room.to_owned() };
        self.judge(joining.user, &act).await?;
        let profile = self.0.people.profile(joining.user).await;
        let mut content = joining.content(&profile);
        if let Some(user) = borrowed.vouched_by()? {
            content.insert(VOUCHED_BY.to_owned(), user.into());
        }
        self.complete(joining.user, (Membership::Join, content), joining.reason, borrowed)
    }

    /// The knock of somebody of this server, made of a template.
    pub async fn complete_knock(&self, user: &UserId, reason: Option<&str>, borrowed: Borrowed<'_>) -> Result<Event> {
        let known = self.snapshot(borrowed.room).await.ok();
        self.judge(user, &Act::Knock { room: known.as_deref(), room_id: borrowed.room.to_owned() }).await?;
        let content = member_content(Membership::Knock, &self.0.people.profile(user).await);
        self.complete(user, (Membership::Knock, content), reason, borrowed)
    }

    /// The leave of somebody of this server, made of a template.
    pub fn complete_leave(&self, user: &UserId, reason: Option<&str>, borrowed: Borrowed<'_>) -> Result<Event> {
        let content = member_content(Membership::Leave, &MemberProfile::default());
        self.complete(user, (Membership::Leave, content), reason, borrowed)
    }

    fn complete(
        &self,
        user: &UserId,
        (membership, content): (Membership, CanonicalJsonObject),
        reason: Option<&str>,
        borrowed: Borrowed<'_>,
    ) -> Result<Event> {
        borrowed.check(user, membership)?;
        let rules = borrowed.rules()?;
        let local_id = self.letters(LOCAL_ID_LETTERS);
        let placing = Placing {
            room_id: Some(borrowed.room),
            sender: user,
            ts: self.0.clock.now(),
            prev_events: borrowed.references("prev_events")?,
            auth_events: borrowed.references("auth_events")?,
            depth: borrowed.depth()?,
            local_id: &local_id,
        };
        build(draft(user, content, reason), &placing, &rules, &self.0.key).map_err(bad)
    }

    /// An event of this server with the signature that another server put under it, if it did.
    pub fn with_signature(
        &self,
        event: &Event,
        version: &RoomVersionId,
        (server, signed): (&ServerName, &CanonicalJsonObject),
    ) -> Result<Event> {
        let rules = rules_of(version).ok_or_else(|| RoomError::UnsupportedVersion(version.to_string()))?;
        let of = |object: &CanonicalJsonObject| object.get("signatures")?.as_object()?.get(server.as_str()).cloned();
        let signature = of(signed).ok_or_else(|| RoomError::Bad(format!("{server} did not sign the event")))?;
        let mut object = event.object();
        if let Some(CanonicalJsonValue::Object(signatures)) = object.get_mut("signatures") {
            signatures.insert(server.to_string(), signature);
        }
        Event::from_object(&object, &rules).map_err(bad)
    }
}

impl Borrowed<'_> {
    fn rules(&self) -> Result<RoomVersionRules> {
        rules_of(self.version).ok_or_else(|| RoomError::UnsupportedVersion(self.version.to_string()))
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.event.get(name)?.as_str()
    }

    fn content(&self, name: &str) -> Option<&str> {
        self.event.get("content")?.as_object()?.get(name)?.as_str()
    }

    /// The template is for what was asked, not for something else.
    fn check(&self, user: &UserId, membership: Membership) -> Result<()> {
        let fits = self.text("type") == Some(&*TimelineEventType::RoomMember.to_string())
            && self.text("room_id") == Some(self.room.as_str())
            && self.text("sender") == Some(user.as_str())
            && self.text("state_key") == Some(user.as_str())
            && self.content("membership") == Some(membership.as_str());
        if fits { Ok(()) } else { Err(RoomError::Bad("the template is for something else".to_owned())) }
    }

    fn vouched_by(&self) -> Result<Option<String>> {
        let Some(user) = self.content(VOUCHED_BY).filter(|_| !user_free(self.version)) else { return Ok(None) };
        let user = UserId::parse(user).map_err(|error| RoomError::Bad(error.to_string()))?;
        Ok(Some(user.to_string()))
    }

    fn depth(&self) -> Result<u64> {
        let depth = self.event.get("depth").and_then(CanonicalJsonValue::as_integer).map(i64::from);
        let depth = depth.and_then(|depth| u64::try_from(depth).ok());
        depth.ok_or_else(|| RoomError::Bad("the template has no depth".to_owned()))
    }

    /// Events named in the template; in the first two room versions each stands in a list with its hashes.
    fn references(&self, name: &str) -> Result<Vec<OwnedEventId>> {
        let wrong = || RoomError::Bad(format!("the template's {name} are no list of events"));
        let one = |value: &CanonicalJsonValue| {
            let id = match value {
                CanonicalJsonValue::Array(pair) => pair.first()?.as_str()?,
                value => value.as_str()?,
            };
            OwnedEventId::try_from(id).ok()
        };
        let list = self.event.get(name).and_then(CanonicalJsonValue::as_array).ok_or_else(wrong)?;
        list.iter().map(one).collect::<Option<_>>().ok_or_else(wrong)
    }
}

/// Whether nobody vouches for joins in a room version.
fn user_free(version: &RoomVersionId) -> bool {
    rules_of(version).is_none_or(|rules| !rules.authorization.restricted_join_rule)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{testing::alpha, testing::content};
    use ruma::{room_id, server_name, user_id};
    use serde_json::json;

    fn template(changes: serde_json::Value) -> CanonicalJsonObject {
        let mut template = json!({
            "type": "m.room.member", "room_id": "!r:beta.test", "sender": "@ann:alpha.test", "depth": 7,
            "state_key": "@ann:alpha.test", "content": { "membership": "join" }, "origin_server_ts": 1,
            "prev_events": ["$one"], "auth_events": ["$two"],
        });
        for (name, value) in changes.as_object().expect("changes are an object") {
            template[name] = value.clone();
        }
        content(template)
    }

    async fn completed(changes: serde_json::Value, version: RoomVersionId) -> Result<Event> {
        let rooms = alpha().await;
        let (user, reason) = (user_id!("@ann:alpha.test"), Some("hello"));
        let joining = Joining { user, reason, is_guest: false, more: CanonicalJsonObject::new() };
        let event = template(changes);
        let borrowed = Borrowed { room: room_id!("!r:beta.test"), version: &version, event: &event };
        rooms.complete_join(&joining, borrowed).await
    }

    #[tokio::test]
    async fn a_template_gives_the_place_and_nothing_else() {
        let more = json!({
            "content": { "membership": "join", "displayname": "theirs", VOUCHED_BY: "@ben:beta.test" },
            "unsigned": { "age": 1 }, "org.example": "x", "origin_server_ts": 99,
        });
        let event = completed(more, RoomVersionId::V10).await.expect("completed");
        assert_eq!((event.depth(), event.prev()[0].as_str(), event.auth()[0].as_str()), (7, "$one", "$two"));
        let said = event.content_as::<serde_json::Value>().expect("content");
        assert_eq!(said, json!({ "membership": "join", "reason": "hello", VOUCHED_BY: "@ben:beta.test" }));
        assert!(!event.json().contains("org.example"));
        let old =
            json!({ "prev_events": [["$one:beta.test", {}]], "auth_events": [["$two:beta.test", { "sha256": "" }]] });
        let event = completed(old, RoomVersionId::V1).await.expect("completed");
        assert_eq!(event.prev()[0].as_str(), "$one:beta.test");
    }

    #[tokio::test]
    async fn a_template_for_something_else_is_refused() {
        for wrong in [
            json!({ "type": "m.room.name" }),
            json!({ "room_id": "!other:beta.test" }),
            json!({ "sender": "@eve:beta.test" }),
            json!({ "state_key": "@eve:beta.test" }),
            json!({ "content": { "membership": "leave" } }),
            json!({ "content": { "membership": "join", VOUCHED_BY: "nobody" } }),
            json!({ "prev_events": "$one" }),
            json!({ "auth_events": [[]] }),
            json!({ "depth": -1 }),
        ] {
            let refused = completed(wrong.clone(), RoomVersionId::V10).await;
            assert!(matches!(refused, Err(RoomError::Bad(_))), "{wrong}: {refused:?}");
        }
    }

    #[tokio::test]
    async fn only_the_signature_is_taken_from_what_another_server_signed() {
        let rooms = alpha().await;
        let event = completed(json!({}), RoomVersionId::V10).await.expect("completed");
        let mut theirs = event.object();
        theirs.insert("content".into(), CanonicalJsonValue::Object(CanonicalJsonObject::new()));
        let beta = server_name!("beta.test");
        let unsigned = rooms.with_signature(&event, &RoomVersionId::V10, (beta, &theirs));
        assert!(matches!(unsigned, Err(RoomError::Bad(_))));
        theirs.insert("signatures".into(), CanonicalJsonValue::Object(content(json!({ beta: { "ed25519:b": "x" } }))));
        let signed = rooms.with_signature(&event, &RoomVersionId::V10, (beta, &theirs)).expect("signed");
        assert_eq!((signed.id(), signed.content().get()), (event.id(), event.content().get()));
        assert!(signed.json().contains("beta.test\":{\"ed25519:b\"") && signed.json().contains("alpha.test"));
    }
}
