//! The campus rules against other servers, which forge roles and kinds and send joins, invites and messages past them.

use lyceum_events::{Draft, Event, ManualClock, ServerKey, sign};
use lyceum_institution::{Change, HAND, Institution, InstitutionParts, Order, Person, Settings, audit::Actor};
use lyceum_storage::Store;
use ruma::{OwnedRoomId, RoomId, RoomVersionId, UserId, server_name, user_id};
use serde_json::json;
use std::sync::Arc;

use crate::{
    Acceptance, CampusRules, KIND_FIELD, Membership, NewRoom, Preset, RoomError, Rooms,
    testing::{content, judged, over},
};

/// Alpha with rules and without, over one store: what it was before the rules were put in force.
struct School {
    governed: Rooms,
    lenient: Rooms,
    institution: Institution,
    beta: Rooms,
}

impl School {
    async fn new() -> Self {
        let store = Store::memory().await.unwrap();
        let key = ServerKey::from_seed(server_name!("alpha.test").to_owned(), &[b'a'; 32], "a").unwrap();
        let institution = Institution::open(InstitutionParts {
            store: store.clone(),
            key,
            clock: Arc::new(ManualClock::at(1_700_000_000_000)),
            settings: Settings { enabled: true, ..Settings::default() },
        })
        .await
        .unwrap();
        let rules = Arc::new(CampusRules::of(institution.clone()));
        Self {
            governed: judged(store.clone(), "alpha.test", rules),
            lenient: over(store, "alpha.test"),
            institution,
            beta: over(Store::memory().await.unwrap(), "beta.test"),
        }
    }

    async fn is(&self, user: &UserId, role: &str) {
        let changes = vec![Change::Person { user: user.to_owned(), person: Some(Person { role: role.to_owned() }) }];
        let order = Order { by: &Actor::Operator, source: HAND, why: None, changes };
        self.institution.change(&order).await.unwrap();
    }

    /// A room of a kind that anybody may join as far as Matrix goes.
    async fn room_of(&self, kind: &str) -> OwnedRoomId {
        let new = NewRoom {
            preset: Preset::PublicChat,
            creation_content: content(json!({ (KIND_FIELD): kind })),
            ..NewRoom::default()
        };
        self.lenient.create(self.institution.account(), new).await.unwrap().room_id
    }

    /// A join that another server made of a template it was once lent.
    async fn forged_join(&self, user: &UserId, room: &RoomId) -> Event {
        let version = RoomVersionId::V12;
        let versions = std::slice::from_ref(&version);
        let lent = self.lenient.lend_template(room, user, Membership::Join, versions).await.unwrap();
        sign(lent.event, &version.rules().unwrap(), &key_of(&self.beta)).unwrap()
    }
}

fn key_of(rooms: &Rooms) -> ServerKey {
    let seed = [rooms.server().as_bytes()[0]; 32];
    ServerKey::from_seed(rooms.server().to_owned(), &seed, "a").unwrap()
}

#[track_caller]
fn refused<T: std::fmt::Debug>(by: &str, done: Result<T, RoomError>) {
    match done {
        Err(RoomError::Refused { rule, .. }) if rule == by => {}
        other => panic!("the rule {by} should refuse this, and it was answered {other:?}"),
    }
}

#[tokio::test]
async fn a_stranger_enters_only_the_kinds_that_admit_visitors_and_only_those_that_federate() {
    let eve = user_id!("@eve:beta.test");
    let kinds: Vec<_> = Settings::default().kinds.into_values().filter(|kind| kind.name != "elsewhere").collect();
    for kind in kinds {
        let school = School::new().await;
        let room = school.room_of(&kind.name).await;
        let may = kind.federates && kind.admits_visitors();
        let versions = [RoomVersionId::V12];
        let lent = school.governed.lend_template(&room, eve, Membership::Join, &versions).await;
        assert_eq!(lent.is_ok(), may, "a template to join a {}: {lent:?}", kind.name);
        let join = school.forged_join(eve, &room).await;
        let taken = school.governed.take_up_join(eve.server_name(), join.clone(), false).await;
        assert_eq!(taken.is_ok(), may, "a join to a {}: {taken:?}", kind.name);
        if !may {
            let slipped = school.governed.accept(&join).await.unwrap();
            assert_eq!(slipped, Acceptance::SoftFailed, "a join to a {} past the door", kind.name);
            assert!(!school.governed.snapshot(&room).await.unwrap().is_joined(eve));
        }
    }
}

#[tokio::test]
async fn who_was_in_a_staff_room_before_the_rules_says_nothing_there_any_more() {
    let (school, eve) = (School::new().await, user_id!("@eve:beta.test"));
    let room = school.room_of("help").await;
    let join = school.forged_join(eve, &room).await;
    let told = school.lenient.take_up_join(eve.server_name(), join.clone(), false).await.unwrap();
    let arrived = crate::RemoteJoin {
        room_id: room.clone(),
        version: RoomVersionId::V12,
        event: join,
        state: told.state.iter().map(|known| known.event().clone()).collect(),
        auth_chain: told.auth_chain.iter().map(|known| known.event().clone()).collect(),
    };
    school.beta.accept_remote_join(arrived).await.unwrap();
    let said = school.beta.says(eve, &room, "psst").await.unwrap();
    let said = school.beta.known(&said).await.unwrap().unwrap().event().clone();
    assert_eq!(school.governed.accept(&said).await.unwrap(), Acceptance::SoftFailed);
}

#[tokio::test]
async fn a_strangers_invite_reaches_the_staff_and_no_student() {
    let (school, eve) = (School::new().await, user_id!("@eve:beta.test"));
    let (student, teacher) = (user_id!("@ann:alpha.test"), user_id!("@ben:alpha.test"));
    school.is(student, "student").await;
    school.is(teacher, "teacher").await;
    let new = NewRoom { creation_content: content(json!({ (KIND_FIELD): "study_group" })), ..NewRoom::default() };
    let room = school.beta.create(eve, new).await.unwrap().room_id;
    for (invitee, may) in [(student, false), (teacher, true)] {
        let invitation = school.beta.write_invitation(eve, &room, invitee, None, false).await.unwrap();
        let taken = school.governed.take_invite(eve.server_name(), &invitation.version, invitation.event, vec![]).await;
        match may {
            true => assert!(taken.is_ok(), "{taken:?}"),
            false => refused("entry", taken),
        }
    }
    // What the other server calls its room opens no door.
    refused("entry", school.governed.comes_in(student, &room).await);
}

#[tokio::test]
async fn a_student_never_enters_a_staff_room_invited_or_not() {
    let school = School::new().await;
    let (student, teacher) = (user_id!("@ann:alpha.test"), user_id!("@ben:alpha.test"));
    school.is(student, "student").await;
    school.is(teacher, "teacher").await;
    let room = school.room_of("staff").await;
    refused("entry", school.governed.comes_in(student, &room).await);
    school.governed.comes_in(teacher, &room).await.unwrap();
    let draft = |membership: &str| {
        Draft::state("m.room.member", student.as_str(), content(json!({ "membership": membership })))
    };
    let by_teacher = school.governed.send(crate::Sender::of(teacher), &room, draft("invite")).await;
    refused("entry", by_teacher);
    // Invited before the rules were in force.
    school.lenient.snapshot(&room).await.unwrap();
    let invited = school.governed.send(crate::Sender::of(school.institution.account()), &room, draft("invite")).await;
    invited.unwrap();
    refused("entry", school.governed.comes_in(student, &room).await);
    let forced = school.governed.send(crate::Sender::of(student), &room, draft("join")).await;
    refused("entry", forced);
}

#[tokio::test]
async fn a_room_is_made_as_its_kind_wants_it() {
    let school = School::new().await;
    let (student, teacher) = (user_id!("@ann:alpha.test"), user_id!("@ben:alpha.test"));
    school.is(student, "student").await;
    school.is(teacher, "teacher").await;
    let made = school.governed.create(student, NewRoom::default()).await.unwrap().room_id;
    let snapshot = school.governed.snapshot(&made).await.unwrap();
    assert_eq!(snapshot.facts().campus.kind.as_deref(), Some("study_group"), "the default kind");
    assert!(!snapshot.facts().guest_can_join && snapshot.facts().federate);
    let of = |kind: &str| NewRoom { creation_content: content(json!({ (KIND_FIELD): kind })), ..NewRoom::default() };
    refused("creation", school.governed.create(student, of("staff")).await);
    refused("creation", school.governed.create(student, of("castle")).await);
    let made = school.governed.create(teacher, of("staff")).await.unwrap().room_id;
    assert!(!school.governed.snapshot(&made).await.unwrap().facts().federate, "staff rooms stay here");
}
