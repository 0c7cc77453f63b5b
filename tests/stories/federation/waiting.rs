//! Events that have no place yet, for want of what they build on: they wait and are tried again.

use lyceum_events::{Draft, Event};
use ruma::OwnedEventId;
use serde_json::json;
use std::time::Duration;

use crate::support::{
    campus::Host,
    peer::{Forged, Shared, json_of},
};

const ALPHA: &str = "alpha.example";
const BETA: &str = "beta.example";
const MISSING: &str = "/_matrix/federation/v1/get_missing_events";
const EVENT: &str = "/_matrix/federation/v1/event/";
const STATE_IDS: &str = "/_matrix/federation/v1/state_ids/";
/// Longer than the pause before the first try.
const PAUSE: Duration = Duration::from_secs(11);
/// Until nobody tries any more.
const DAY: Duration = Duration::from_secs(25 * 3_600);

/// Two messages of Ben's, one after the other. Only the second is sent, and beta keeps the first to itself.
struct Withheld {
    first: Event,
    second: Event,
}

async fn says(shared: &Shared, text: &str, prev: Option<OwnedEventId>) -> Event {
    let content = serde_json::from_value(json!({ "body": text, "msgtype": "m.text" })).expect("canonical");
    let at = Forged { prev: prev.map(|prev| vec![prev]), ..Forged::default() };
    shared.beta().forges(&shared.room, &shared.ben.id, Draft::message("m.room.message", content), at).await
}

impl Withheld {
    async fn begin(shared: &Shared) -> Self {
        let first = says(shared, "unheard", None).await;
        let second = says(shared, "heard", Some(first.id().clone())).await;
        for path in [MISSING, EVENT, STATE_IDS] {
            shared.campus.wires.answer(BETA, path, 503, json!({ "errcode": "M_UNKNOWN" }));
        }
        let answer = shared.beta().sends(shared.alpha(), "second", &[json_of(&second)]).await.ok();
        assert_eq!(answer["pdus"][second.id().as_str()], json!({}), "it was taken, and is not lost");
        assert!(!shared.alpha().has_in_timeline(second.id().as_str()).await);
        Self { first, second }
    }

    /// From now on beta tells what it has kept to itself.
    fn is_told(&self, shared: &Shared) {
        shared.campus.wires.answer(BETA, MISSING, 200, json!({ "events": [json_of(&self.first)] }));
    }
}

/// Lets time pass until an event has its place.
async fn is_placed_in_time(shared: &Shared, host: &Host, id: &str) {
    for _ in 0..200 {
        if host.has_in_timeline(id).await {
            return;
        }
        shared.campus.clock.advance(PAUSE);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{id} should have its place by now");
}

#[tokio::test]
async fn what_has_no_place_yet_gets_it_without_another_event() {
    let shared = Shared::begin().await;
    let withheld = Withheld::begin(&shared).await;
    withheld.is_told(&shared);
    is_placed_in_time(&shared, shared.alpha(), withheld.second.id().as_str()).await;
    shared.ann.sees(&shared.room, "unheard").await;
    shared.ann.sees(&shared.room, "heard").await;
    shared.alpha().is_sound().await;
}

#[tokio::test]
async fn what_waits_outlives_a_crash() {
    let mut shared = Shared::begin().await;
    let withheld = Withheld::begin(&shared).await;
    shared.campus.crashes(ALPHA).await;
    withheld.is_told(&shared);
    is_placed_in_time(&shared, shared.alpha(), withheld.second.id().as_str()).await;
}

#[tokio::test]
async fn what_waits_is_tried_soon_when_what_it_builds_on_comes() {
    let shared = Shared::begin().await;
    let withheld = Withheld::begin(&shared).await;
    shared.beta().sends(shared.alpha(), "first", &[json_of(&withheld.first)]).await.ok();
    // Sooner than it would be tried otherwise.
    for _ in 0..200 {
        if shared.alpha().has_in_timeline(withheld.second.id().as_str()).await {
            break;
        }
        shared.campus.clock.advance(Duration::from_millis(20));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    shared.ann.sees(&shared.room, "heard").await;
}

#[tokio::test]
async fn what_never_finds_a_place_is_given_up() {
    let shared = Shared::begin().await;
    let withheld = Withheld::begin(&shared).await;
    let waiting = || async { shared.alpha().server.rooms().waiting_events().await.expect("the store answers").len() };
    assert_eq!(waiting().await, 1);
    let tried = shared.campus.wires.times_asked(BETA, MISSING);
    for _ in 0..200 {
        if waiting().await == 0 {
            break;
        }
        shared.campus.clock.advance(DAY);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(waiting().await, 0, "it is forgotten after a day");
    assert!(shared.campus.wires.times_asked(BETA, MISSING) > tried, "it was tried once more before");
    assert!(!shared.alpha().has_in_timeline(withheld.second.id().as_str()).await);
}

#[tokio::test]
async fn of_one_server_so_many_events_wait_and_no_more() {
    let shared = Shared::begin().await;
    let nowhere = OwnedEventId::try_from("$nowhere-to-be-found-at-all-and-of-the-right-length").expect("an id");
    Withheld::begin(&shared).await;
    let mut refused = 0;
    for n in 0..101 {
        let event = says(&shared, &format!("{n}"), Some(nowhere.clone())).await;
        let answer = shared.beta().sends(shared.alpha(), &format!("t{n}"), &[json_of(&event)]).await.ok();
        refused += usize::from(answer["pdus"][event.id().as_str()]["error"].is_string());
    }
    assert_eq!(refused, 2);
}

/// Ben renames himself in secret, again and again, and one of the steps is lost: what rests on it has no place, and nothing of
/// what cannot be proved gets into the state.
#[tokio::test]
async fn nothing_rests_on_what_cannot_be_proved() {
    let shared = Shared::begin().await;
    let (alpha, beta, room, ben) = (shared.alpha(), shared.beta(), &shared.room, &shared.ben);
    let joined = alpha.state_event(room, "m.room.member", &ben.id).await;
    shared.campus.wires.cut(ALPHA, BETA);
    let mut lost = String::new();
    for name in ["A", "B", "C"] {
        let path = format!("/_matrix/client/v3/profile/{}/displayname", ben.id);
        ben.put(&path, json!({ "displayname": name })).await.ok();
        if name == "B" {
            lost = beta.state_event(room, "m.room.member", &ben.id).await.to_string();
        }
    }
    ben.says(room, "before the gap").await;
    let told = json_of(&beta.event(&ben.says(room, "told").await).await.expect("it is at beta"));
    let last = ben.says(room, "sent").await;
    shared.campus.wires.heal(ALPHA, BETA);
    shared.campus.wires.answer(BETA, MISSING, 200, json!({ "events": [told] }));
    shared.campus.wires.answer(BETA, &format!("{EVENT}{}", lost.replace('$', "%24")), 404, json!({}));
    shared.campus.wires.answer(BETA, &format!("{EVENT}{lost}"), 404, json!({}));
    shared.campus.wires.answer(BETA, "/_matrix/federation/v1/event_auth/", 404, json!({}));
    let asked = shared.campus.wires.times_asked(BETA, STATE_IDS);
    let answer = beta.sends(alpha, "t", &[json_of(&beta.event(&last).await.expect("it is at beta"))]).await.ok();
    assert_eq!(answer["pdus"][&last], json!({}), "it waits");
    assert!(!alpha.has_in_timeline(&last).await);
    assert_eq!(alpha.state_event(room, "m.room.member", &ben.id).await, joined);
    assert_eq!(shared.campus.wires.times_asked(BETA, STATE_IDS), asked + 1, "another state is of no help");
    alpha.is_sound().await;
}
