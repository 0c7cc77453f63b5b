//! Rooms joined with part of their state: the person is in, reads and writes; the rest comes later.

use lyceum_rooms::Membership;
use ruma::OwnedEventId;
use serde_json::{Value, json};
use std::time::Duration;

use crate::support::{
    Campus, Person,
    campus::Host,
    encoded,
    peer::{Forged, json_of},
};

const ALPHA: &str = "alpha.example";
const BETA: &str = "beta.example";
const GAMMA: &str = "gamma.example";
const STATE_IDS: &str = "/_matrix/federation/v1/state_ids/";
/// Longer than the answer to a join waits for the rest.
const JOIN_WAIT: Duration = Duration::from_secs(1);
/// Longer than the pause after the first try that failed.
const TRY_PAUSE: Duration = Duration::from_secs(6);

/// Ann, Cleo and Dora at alpha are in a room that Ben at beta comes into; alpha does not tell the rest of its state yet.
struct InPart {
    campus: Campus,
    ann: Person,
    cleo: Person,
    dora: Person,
    ben: Person,
    room: String,
}

impl InPart {
    async fn begin() -> Self {
        let before = Self::before_joining(json!({})).await;
        before.joins_in_part(&before.ben).await;
        before
    }

    async fn before_joining(levels: Value) -> Self {
        let campus = Campus::of([ALPHA, BETA, GAMMA]).await;
        let ann = campus.person_at(ALPHA, "ann").await;
        let how = json!({ "preset": "public_chat", "name": "Greek", "power_level_content_override": levels });
        let room = ann.creates_room_with(how).await;
        let (cleo, dora) = (campus.person_at(ALPHA, "cleo").await, campus.person_at(ALPHA, "dora").await);
        for person in [&cleo, &dora] {
            person.joins(&room).await;
        }
        let ben = campus.person_at(BETA, "ben").await;
        campus.wires.answer(ALPHA, STATE_IDS, 503, json!({ "errcode": "M_UNKNOWN" }));
        Self { campus, ann, cleo, dora, ben, room }
    }

    fn beta(&self) -> &Host {
        self.campus.host(BETA)
    }

    /// Joins while nobody tells the rest: the answer waits for it, and then no longer.
    async fn joins_in_part(&self, person: &Person) {
        let path = format!("/_matrix/client/v3/join/{}?via={ALPHA}", encoded(&self.room));
        let join = person.post(&path, json!({}));
        tokio::pin!(join);
        loop {
            tokio::select! {
                answer = &mut join => return drop(answer.ok()),
                () = tokio::time::sleep(Duration::from_millis(20)) => self.campus.clock.advance(JOIN_WAIT),
            }
        }
    }

    /// From now on the rest is told; waits until it is here.
    async fn rest_comes(&self) {
        self.campus.wires.answer_no_more(ALPHA, STATE_IDS);
        let asked = self.campus.wires.times_asked(ALPHA, STATE_IDS);
        while !self.beta().server.rooms().partial_rooms().await.expect("the store answers").is_empty() {
            // Those who wait for it wait so long and no longer: the clock goes on until it is asked for, and stands then.
            if self.campus.wires.times_asked(ALPHA, STATE_IDS) == asked {
                self.campus.clock.advance(TRY_PAUSE);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn member_path(&self, what: &str) -> String {
        format!("/_matrix/client/v3/rooms/{}/{what}", encoded(&self.room))
    }
}

/// A sync from the beginning, with members as they are needed or all of them.
async fn first_sync(person: &Person, lazy: bool) -> Value {
    let filter = json!({ "room": { "state": { "lazy_load_members": lazy } } });
    let filter: String = encoded(&filter.to_string());
    person.get(&format!("/_matrix/client/v3/sync?timeout=0&filter={filter}")).await.ok()
}

fn texts(room: &Value) -> Vec<&str> {
    let events = room["timeline"]["events"].as_array().map(Vec::as_slice).unwrap_or_default();
    events.iter().filter_map(|event| event["content"]["body"].as_str()).collect()
}

fn state_keys(events: &Value, kind: &str) -> Vec<String> {
    let events = events.as_array().cloned().unwrap_or_default();
    let of_kind = events.iter().filter(|event| event["type"] == kind);
    of_kind.filter_map(|event| event["state_key"].as_str().map(str::to_owned)).collect()
}

#[tokio::test]
async fn who_joins_with_part_of_the_state_reads_and_writes_at_once() {
    let InPart { campus, ann, cleo, ben, room, .. } = &InPart::begin().await;
    ben.says(room, "here I am").await;
    ann.sees(room, "here I am").await;
    cleo.says(room, "welcome").await;
    campus.settle().await;
    let lazily = first_sync(ben, true).await["rooms"]["join"][room].clone();
    assert_eq!(texts(&lazily), ["here I am", "welcome"]);
    assert!(state_keys(&lazily["state"]["events"], "m.room.member").contains(&cleo.id), "who wrote is told: {lazily}");
}

#[tokio::test]
async fn a_client_that_wants_all_members_is_shown_the_room_once_they_are_known() {
    let story = InPart::begin().await;
    let InPart { ann, cleo, dora, ben, room, .. } = &story;
    assert_eq!(first_sync(ben, false).await["rooms"]["join"].get(room), None);
    ben.syncs("timeout=0").await;
    assert!(first_sync(ben, true).await["rooms"]["join"].get(room).is_some());
    story.rest_comes().await;
    let eagerly = ben.syncs("timeout=0").await["rooms"]["join"][room].clone();
    let members = [
        state_keys(&eagerly["state"]["events"], "m.room.member"),
        state_keys(&eagerly["timeline"]["events"], "m.room.member"),
    ];
    for person in [ann, cleo, dora, ben] {
        assert!(members.concat().contains(&person.id), "{} is told: {eagerly}", person.id);
    }
    assert_eq!(eagerly["summary"]["m.joined_member_count"], 4);
}

#[tokio::test]
async fn what_needs_all_members_waits_for_them() {
    let story = InPart::begin().await;
    let InPart { ben, dora, .. } = &story;
    let (members, joined) = (story.member_path("members"), story.member_path("joined_members"));
    let one = story.member_path(&format!("state/m.room.member/{}", encoded(&dora.id)));
    let ((), members, joined, one) =
        tokio::join!(story.rest_comes(), ben.get(&members), ben.get(&joined), ben.get(&one));
    assert_eq!(members.ok()["chunk"].as_array().map(Vec::len), Some(4));
    assert_eq!(joined.ok()["joined"].as_object().map(serde_json::Map::len), Some(4));
    assert_eq!(one.ok()["membership"], "join");
}

#[tokio::test]
async fn what_needs_all_members_is_told_to_come_again_when_they_do_not_come() {
    let story = InPart::begin().await;
    let members = story.member_path("members");
    let refused = story.ben.get(&members);
    tokio::pin!(refused);
    let answer = loop {
        tokio::select! {
            answer = &mut refused => break answer,
            () = tokio::time::sleep(Duration::from_millis(20)) => story.campus.clock.advance(TRY_PAUSE),
        }
    };
    answer.refused(503, "M_UNKNOWN");
}

#[tokio::test]
async fn nobody_is_helped_into_a_room_that_is_not_known_whole() {
    let story = InPart::begin().await;
    let (beta, gamma) = (story.beta(), story.campus.host(GAMMA));
    let gus = story.campus.person_at(GAMMA, "gus").await;
    for what in ["join", "knock", "leave"] {
        let path = format!(
            "/_matrix/federation/v1/make_{what}/{}/{}?{}",
            encoded(&story.room),
            encoded(&gus.id),
            crate::support::peer::VERSIONS,
        );
        gamma.gets(beta, &path).await.refused(404, "M_NOT_FOUND");
    }
    let (alpha, ends) = (story.campus.host(ALPHA), story.ben.says(&story.room, "the last").await);
    let path = format!("{STATE_IDS}{}?event_id={}", encoded(&story.room), encoded(&ends));
    alpha.gets(beta, &path).await.refused(403, "M_FORBIDDEN");
    story.rest_comes().await;
    let told = alpha.gets(beta, &path).await.ok();
    assert!(told["pdu_ids"].as_array().is_some_and(|ids| ids.len() > 8), "{told}");
}

#[tokio::test]
async fn the_rest_comes_after_a_crash_too() {
    let mut story = InPart::begin().await;
    story.campus.crashes(BETA).await;
    story.ben = story.ben.at(story.campus.host(BETA));
    story.ben.says(&story.room, "still here").await;
    story.rest_comes().await;
    assert_eq!(story.beta().membership(&story.room, &story.dora.id).await, Membership::Join);
    story.ann.says(&story.room, "so am I").await;
    story.ben.sees(&story.room, "so am I").await;
    story.beta().is_sound().await;
}

#[tokio::test]
async fn the_rest_is_asked_of_another_server_when_the_first_does_not_tell_it() {
    let story = InPart::before_joining(json!({})).await;
    let gus = story.campus.person_at(GAMMA, "gus").await;
    story.campus.wires.answer_no_more(ALPHA, STATE_IDS);
    gus.post(&format!("/_matrix/client/v3/join/{}?via={ALPHA}", encoded(&story.room)), json!({})).await.ok();
    story.campus.wires.answer(ALPHA, STATE_IDS, 503, json!({ "errcode": "M_UNKNOWN" }));
    story.campus.settle().await;
    let path = format!("/_matrix/client/v3/join/{}?via={ALPHA}", encoded(&story.room));
    story.ben.post(&path, json!({})).await.ok();
    // Gamma has told it while the answer waited.
    assert_eq!(story.beta().membership(&story.room, &story.dora.id).await, Membership::Join);
    assert!(story.campus.wires.times_asked(GAMMA, STATE_IDS) > 0);
}

#[tokio::test]
async fn what_the_whole_state_does_not_permit_is_taken_away_again() {
    let story = InPart::before_joining(json!({ "users": { "@dora:alpha.example": 50 } })).await;
    let InPart { campus, ann, dora, ben, room, .. } = &story;
    let (alpha, beta) = (campus.host(ALPHA), campus.host(BETA));
    let joined = alpha.state_event(room, "m.room.member", &dora.id).await;
    dora.leaves(room).await;
    story.joins_in_part(ben).await;
    // Dora's server says that she was there when she wrote it.
    let content = serde_json::from_value(json!({ "topic": "mine" })).expect("an object");
    let draft = lyceum_events::Draft::state("m.room.topic", "", content);
    // Since version 12 nothing names the create event.
    let auth: Vec<OwnedEventId> = vec![alpha.state_event(room, "m.room.power_levels", "").await, joined];
    let at = Forged { auth: Some(auth), ..Forged::default() };
    let event = alpha.forges(room, &dora.id, draft, at).await;
    alpha.sends(beta, "claim", &[json_of(&event)]).await.ok();
    assert!(beta.has_in_timeline(event.id().as_str()).await, "nothing known speaks against it");
    let topic = story.member_path("state/m.room.topic/");
    ann.says(room, "after it").await;
    campus.settle().await;
    assert_eq!(ben.get(&topic).await.ok()["topic"], "mine");
    story.rest_comes().await;
    assert!(beta.why_rejected(event.id().as_str()).await.is_some());
    ben.get(&story.member_path(&format!("event/{}", encoded(event.id().as_str())))).await.refused(404, "M_NOT_FOUND");
    ben.get(&topic).await.refused(404, "M_NOT_FOUND");
    ben.sees(room, "after it").await;
    beta.is_sound().await;
}

#[tokio::test]
async fn one_leaves_comes_again_and_another_follows_before_the_rest_is_there() {
    let story = InPart::begin().await;
    let InPart { campus, ann, ben, room, .. } = &story;
    let bea = campus.person_at(BETA, "bea").await;
    story.joins_in_part(&bea).await;
    ben.leaves(room).await;
    ben.leaves(room).await;
    campus.settle().await;
    let alpha = campus.host(ALPHA);
    assert_eq!(alpha.membership(room, &ben.id).await, Membership::Leave);
    bea.says(room, "I stay").await;
    ann.sees(room, "I stay").await;
    bea.leaves(room).await;
    campus.settle().await;
    story.joins_in_part(ben).await;
    story.rest_comes().await;
    ann.says(room, "welcome back").await;
    ben.sees(room, "welcome back").await;
    let (beta, all) = (story.beta(), [&ann.id, &story.cleo.id, &story.dora.id, &ben.id]);
    for id in all {
        assert_eq!(beta.membership(room, id).await, Membership::Join, "{id}");
    }
    assert_eq!(beta.membership(room, &bea.id).await, Membership::Leave);
    beta.is_sound().await;
}

#[tokio::test]
async fn a_ban_that_came_meanwhile_holds() {
    let story = InPart::begin().await;
    let InPart { campus, ann, ben, room, .. } = &story;
    ann.post(&story.member_path("ban"), json!({ "user_id": ben.id })).await.ok();
    campus.settle().await;
    let path = format!("/_matrix/client/v3/join/{}?via={ALPHA}", encoded(room));
    ben.post(&path, json!({})).await.refused(403, "M_FORBIDDEN");
    assert_eq!(story.beta().membership(room, &ben.id).await, Membership::Ban);
}

#[tokio::test]
async fn what_was_fetched_for_a_gap_meanwhile_stays_where_it_is() {
    let story = InPart::begin().await;
    let InPart { campus, ann, ben, dora, room, .. } = &story;
    let (alpha, beta) = (campus.host(ALPHA), story.beta());
    // Nobody asks for the rest before the clock goes on.
    campus.wires.answer_no_more(ALPHA, STATE_IDS);
    campus.wires.cut(ALPHA, BETA);
    let mut last = String::new();
    for n in 0..30 {
        last = ann.says(room, &format!("line {n}")).await;
    }
    campus.wires.heal(ALPHA, BETA);
    campus.wires.answer(ALPHA, "/_matrix/federation/v1/get_missing_events", 200, json!({ "events": [] }));
    let told = json_of(&alpha.event(&last).await.expect("it was said"));
    alpha.sends(beta, "last", &[told]).await.ok();
    let read = |page: Value| texts(&json!({ "timeline": { "events": page["chunk"] } })).join(" ");
    let messages = format!("{}?dir=b&limit=50", story.member_path("messages"));
    assert!(read(ben.get(&messages).await.ok()).contains("line 7"));
    story.rest_comes().await;
    assert_eq!(beta.membership(room, &dora.id).await, Membership::Join);
    assert!(read(ben.get(&messages).await.ok()).contains("line 7"));
    beta.is_sound().await;
}

#[tokio::test]
async fn whom_a_false_kick_put_out_may_leave() {
    let story = InPart::before_joining(json!({ "users": { "@dora:alpha.example": 50 } })).await;
    let InPart { campus, ann, cleo, dora, ben, room, .. } = &story;
    let (alpha, beta) = (campus.host(ALPHA), campus.host(BETA));
    let of_dora = alpha.state_event(room, "m.room.member", &dora.id).await;
    dora.leaves(room).await;
    story.joins_in_part(ben).await;
    cleo.says(room, "I am here").await;
    campus.settle().await;
    // Dora, who had left, puts her out.
    let of_cleo = alpha.state_event(room, "m.room.member", &cleo.id).await;
    let levels = alpha.state_event(room, "m.room.power_levels", "").await;
    let content = || serde_json::from_value(json!({ "membership": "leave" })).expect("an object");
    let out = || lyceum_events::Draft::state("m.room.member", &cleo.id, content());
    let at = Forged { auth: Some(vec![levels.clone(), of_dora]), ..Forged::default() };
    let kick = alpha.forges(room, &dora.id, out(), at).await;
    alpha.sends(beta, "kick", &[json_of(&kick)]).await.ok();
    assert_eq!(beta.membership(room, &cleo.id).await, Membership::Leave, "nothing known speaks against it");
    // Her own server knows better: for all it knows she is still in when she leaves.
    let prev = Some(vec![kick.id().to_owned()]);
    let at = Forged { ts: campus.clock_ms(), prev, auth: Some(vec![levels, of_cleo]), depth: 101 };
    let leave = alpha.forges(room, &cleo.id, out(), at).await;
    alpha.sends(beta, "leave", &[json_of(&leave)]).await.ok();
    assert!(beta.has_in_timeline(leave.id().as_str()).await, "{:?}", beta.why_rejected(leave.id().as_str()).await);
    story.rest_comes().await;
    assert!(beta.why_rejected(kick.id().as_str()).await.is_some());
    assert!(beta.has_in_timeline(leave.id().as_str()).await);
    assert_eq!(beta.membership(room, &cleo.id).await, Membership::Leave);
    ann.says(room, "after all that").await;
    ben.sees(room, "after all that").await;
    beta.is_sound().await;
}
