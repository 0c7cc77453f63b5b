//! What servers in a room may ask of its graph, and what they are told.

use serde_json::{Value, json};

use crate::support::{Campus, Person, campus::Host, encoded};

/// Ann's room at alpha, in which Ben of beta is since some messages; `gamma` is in no room.
struct Shared {
    campus: Campus,
    ann: Person,
    room: String,
    /// What was said before Ben came, and after.
    before: String,
    after: String,
}

impl Shared {
    async fn begin(preset: Value) -> Self {
        let campus = Campus::of(["alpha.example", "beta.example", "gamma.example"]).await;
        let ann = campus.person_at("alpha.example", "ann").await;
        let ben = campus.person_at("beta.example", "ben").await;
        let room = ann.creates_room_with(preset).await;
        let before = ann.says(&room, "before").await;
        campus.host("beta.example").brings(campus.host("alpha.example"), &ben, &room).await;
        let after = ann.says(&room, "after").await;
        campus.settle().await;
        Self { campus, ann, room, before, after }
    }

    fn hosts(&self) -> (&Host, &Host, &Host) {
        let host = |name| self.campus.host(name);
        (host("alpha.example"), host("beta.example"), host("gamma.example"))
    }
}

fn public() -> Value {
    json!({ "preset": "public_chat" })
}

fn ids(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(|id| id.as_str().map(str::to_owned)).collect()
}

fn bodies(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(|event| event["content"]["body"].as_str()).collect()
}

#[tokio::test]
async fn each_endpoint_asks_who_is_asking() {
    let shared = Shared::begin(public()).await;
    let (alpha, beta, gamma) = shared.hosts();
    let (room, event) = (encoded(&shared.room), encoded(&shared.after));
    let paths = [
        format!("state/{room}?event_id={event}"),
        format!("state_ids/{room}?event_id={event}"),
        format!("event/{event}"),
        format!("event_auth/{room}/{event}"),
        format!("backfill/{room}?v={event}&limit=5"),
        format!("timestamp_to_event/{room}?ts=0&dir=f"),
    ];
    for path in paths {
        let path = format!("/_matrix/federation/v1/{path}");
        beta.gets(alpha, &path).await.ok();
        gamma.gets(alpha, &path).await.refused(403, "M_FORBIDDEN");
        alpha.stranger().get(&path).await.refused(401, "M_UNAUTHORIZED");
        let nowhere = path.replace(&room, "!nowhere:alpha.example").replace(&event, "$nothing");
        beta.gets(alpha, &nowhere).await.refused(404, "M_NOT_FOUND");
    }
    let path = format!("/_matrix/federation/v1/get_missing_events/{room}");
    let body = json!({ "earliest_events": [], "latest_events": [shared.after] });
    gamma.asks(alpha, http::Method::POST, &path, Some(body.clone())).await.refused(403, "M_FORBIDDEN");
    alpha.stranger().post(&path, body).await.refused(401, "M_UNAUTHORIZED");
}

#[tokio::test]
async fn a_server_that_is_kept_out_is_told_nothing() {
    let shared = Shared::begin(public()).await;
    let (alpha, beta, _) = shared.hosts();
    let acl = json!({ "allow": ["*"], "deny": ["beta.example"], "allow_ip_literals": false });
    shared.ann.sets(&shared.room, "m.room.server_acl", "", acl).await;
    let path = format!("/_matrix/federation/v1/event/{}", encoded(&shared.after));
    beta.gets(alpha, &path).await.refused(403, "M_FORBIDDEN");
}

/// Synapse joins with part of the state and asks for the rest when it is in: whoever sends its person away meanwhile must not
/// leave it with half a room for ever.
#[tokio::test]
async fn a_server_that_is_sent_away_may_still_take_up_what_it_joined() {
    let shared = Shared::begin(public()).await;
    let (alpha, beta, gamma) = shared.hosts();
    let room = encoded(&shared.room);
    let ask = |what: &str, event: &str| match what {
        "event" => format!("/_matrix/federation/v1/event/{}", encoded(event)),
        "event_auth" => format!("/_matrix/federation/v1/event_auth/{room}/{}", encoded(event)),
        _ => format!("/_matrix/federation/v1/{what}/{room}?event_id={}", encoded(event)),
    };
    for act in ["kick", "ban"] {
        let path = format!("/_matrix/client/v3/rooms/{room}/{act}");
        shared.ann.post(&path, json!({ "user_id": "@ben:beta.example" })).await.ok();
        let later = shared.ann.says(&shared.room, "not for you").await;
        for what in ["state", "state_ids", "event", "event_auth"] {
            beta.gets(alpha, &ask(what, &shared.after)).await.ok();
            beta.gets(alpha, &ask(what, &later)).await.refused(403, "M_FORBIDDEN");
            gamma.gets(alpha, &ask(what, &shared.after)).await.refused(403, "M_FORBIDDEN");
        }
    }
}

#[tokio::test]
async fn the_state_before_an_event_is_told_with_what_permits_it() {
    let shared = Shared::begin(public()).await;
    let (alpha, beta, _) = shared.hosts();
    shared.ann.sets(&shared.room, "m.room.topic", "", json!({ "topic": "later" })).await;
    let (room, event) = (encoded(&shared.room), encoded(&shared.after));
    let whole = beta.gets(alpha, &format!("/_matrix/federation/v1/state/{room}?event_id={event}")).await.ok();
    let by_id = beta.gets(alpha, &format!("/_matrix/federation/v1/state_ids/{room}?event_id={event}")).await.ok();
    let count = |list: &Value| list.as_array().map(Vec::len);
    assert_eq!(count(&whole["pdus"]), count(&by_id["pdu_ids"]));
    assert_eq!(count(&whole["auth_chain"]), count(&by_id["auth_chain_ids"]));
    assert!(whole["pdus"].to_string().contains("@ben:beta.example"));
    assert!(!whole["pdus"].to_string().contains("later"), "the topic came after");
    let auth = beta.gets(alpha, &format!("/_matrix/federation/v1/event_auth/{room}/{event}")).await.ok();
    let kinds: Vec<_> = auth["auth_chain"].as_array().into_iter().flatten().map(|event| &event["type"]).collect();
    assert!(kinds.contains(&&json!("m.room.power_levels")) && kinds.contains(&&json!("m.room.member")), "{kinds:?}");
    let one = beta.gets(alpha, &format!("/_matrix/federation/v1/event/{event}")).await.ok();
    assert_eq!((bodies(&one["pdus"]), &one["origin"]), (vec!["after"], &json!("alpha.example")));
    assert!(ids(&by_id["pdu_ids"]).iter().all(|id| id.starts_with('$')));
}

#[tokio::test]
async fn what_came_before_is_told_the_latest_first() {
    let shared = Shared::begin(public()).await;
    let (alpha, beta, _) = shared.hosts();
    let path = |v: &str, limit| {
        format!("/_matrix/federation/v1/backfill/{}?v={}&limit={limit}", encoded(&shared.room), encoded(v))
    };
    let all = beta.gets(alpha, &path(&shared.after, 50)).await.ok();
    assert_eq!(bodies(&all["pdus"]), ["after", "before"]);
    assert_eq!(
        all["pdus"].as_array().and_then(|pdus| pdus.last()).map(|event| &event["type"]),
        Some(&json!("m.room.create"))
    );
    let few = beta.gets(alpha, &path(&shared.after, 2)).await.ok();
    assert_eq!(few["pdus"].as_array().map(Vec::len), Some(2));
    beta.gets(alpha, &format!("/_matrix/federation/v1/backfill/{}?limit=x", encoded(&shared.room)))
        .await
        .refused(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn what_lies_between_is_told_the_earliest_first() {
    let shared = Shared::begin(public()).await;
    let (alpha, beta, _) = shared.hosts();
    let mut said = vec![shared.after.clone()];
    for n in 0..5 {
        said.push(shared.ann.says(&shared.room, &format!("{n}")).await);
    }
    let path = format!("/_matrix/federation/v1/get_missing_events/{}", encoded(&shared.room));
    let ask = async |limit: usize, min_depth: usize| {
        let body = json!({
            "earliest_events": [said[0]], "latest_events": [said[5]], "limit": limit, "min_depth": min_depth,
        });
        beta.asks(alpha, http::Method::POST, &path, Some(body)).await.ok()
    };
    assert_eq!(bodies(&ask(10, 0).await["events"]), ["0", "1", "2", "3"]);
    assert_eq!(bodies(&ask(2, 0).await["events"]), ["2", "3"], "those next to the latest");
    assert_eq!(bodies(&ask(10, 1_000_000).await["events"]), Vec::<&str>::new());
    beta.asks(alpha, http::Method::POST, &path, Some(json!({}))).await.refused(400, "M_BAD_JSON");
}

#[tokio::test]
async fn what_a_server_may_not_see_it_is_told_without_content() {
    let shared = Shared::begin(json!({
        "preset": "public_chat",
        "initial_state": [{ "type": "m.room.history_visibility", "content": { "history_visibility": "joined" } }],
    }))
    .await;
    let (alpha, beta, _) = shared.hosts();
    let room = encoded(&shared.room);
    let path = format!("/_matrix/federation/v1/backfill/{room}?v={}&limit=50", encoded(&shared.after));
    assert_eq!(bodies(&beta.gets(alpha, &path).await.ok()["pdus"]), ["after"]);
    let early = beta.gets(alpha, &format!("/_matrix/federation/v1/event/{}", encoded(&shared.before))).await.ok();
    assert_eq!(early["pdus"][0]["content"], json!({}));
    let nearest = format!("/_matrix/federation/v1/timestamp_to_event/{room}?ts=0&dir=f");
    let nearest = beta.gets(alpha, &nearest).await.ok();
    assert_ne!(nearest["event_id"], shared.before.as_str());
}

#[tokio::test]
async fn the_event_at_a_time_is_found() {
    let shared = Shared::begin(public()).await;
    let (alpha, beta, _) = shared.hosts();
    shared.campus.clock.advance(std::time::Duration::from_secs(3600));
    let later = shared.ann.says(&shared.room, "later").await;
    let ts = alpha.event(&later).await.expect("it is there").ts().get();
    let path = |ts: u64, dir: &str| {
        format!("/_matrix/federation/v1/timestamp_to_event/{}?ts={ts}&dir={dir}", encoded(&shared.room))
    };
    let ts = u64::from(ts);
    let found = beta.gets(alpha, &path(ts - 5, "f")).await.ok();
    assert_eq!((&found["event_id"], &found["origin_server_ts"]), (&json!(later), &json!(ts)));
    let found = beta.gets(alpha, &path(ts - 5, "b")).await.ok();
    assert_ne!(found["event_id"], later.as_str());
    beta.gets(alpha, &path(ts + 5, "f")).await.refused_as("servers/getEventByTimestamp 404 M_NOT_FOUND");
    beta.gets(alpha, &path(ts, "x")).await.refused(400, "M_INVALID_PARAM");
}

#[tokio::test]
async fn a_notary_asks_again_only_when_what_it_has_does_not_hold_long_enough() {
    let shared = Shared::begin(public()).await;
    let (alpha, beta, _) = shared.hosts();
    let asked = || shared.campus.wires.times_asked("beta.example", "/_matrix/key/v2/server");
    let path = |until: u64| format!("/_matrix/key/v2/query/{}?minimum_valid_until_ts={until}", beta.name());
    let told = alpha.stranger().get(&path(1)).await.ok();
    let holds_until = told["server_keys"][0]["valid_until_ts"].as_u64().expect("keys hold until a time");
    // Long enough that the server may be asked again.
    shared.campus.clock.advance(std::time::Duration::from_secs(3600));
    let before = asked();
    alpha.stranger().get(&path(holds_until)).await.ok();
    assert_eq!(asked(), before, "what it has holds until then");
    alpha.stranger().get(&path(holds_until + 1)).await.ok();
    assert_eq!(asked(), before + 1, "what it has does not hold so long");
}

#[tokio::test]
async fn state_from_before_a_server_came_is_told_without_content_too() {
    let shared = Shared::begin(json!({
        "preset": "public_chat", "topic": "among ourselves",
        "initial_state": [{ "type": "m.room.history_visibility", "content": { "history_visibility": "joined" } }],
    }))
    .await;
    let (alpha, beta, _) = shared.hosts();
    let topic = alpha.state_event(&shared.room, "m.room.topic", "").await;
    let path =
        format!("/_matrix/federation/v1/backfill/{}?v={}&limit=50", encoded(&shared.room), encoded(&shared.after));
    let told = beta.gets(alpha, &path).await.ok();
    let of = |kind: &str, key: &str| {
        let mut events = told["pdus"].as_array().into_iter().flatten();
        events.find(|event| event["type"] == kind && event["state_key"] == key).map(|event| event["content"].clone())
    };
    assert_eq!(of("m.room.topic", ""), Some(json!({})));
    assert_eq!(of("m.room.history_visibility", ""), Some(json!({ "history_visibility": "joined" })));
    assert_eq!(
        of("m.room.member", "@ben:beta.example").map(|content| content["membership"].clone()),
        Some(json!("join"))
    );
    let one = beta.gets(alpha, &format!("/_matrix/federation/v1/event/{}", encoded(topic.as_str()))).await.ok();
    assert_eq!(one["pdus"][0]["content"], json!({}));
    // What is in force when it is there it may see, whenever that was said: the state is told whole.
    let path = format!("/_matrix/federation/v1/state/{}?event_id={}", encoded(&shared.room), encoded(&shared.after));
    assert!(beta.gets(alpha, &path).await.ok()["pdus"].to_string().contains("among ourselves"));
    shared.ann.sets(&shared.room, "m.room.topic", "", json!({ "topic": "for all" })).await;
    let topic = alpha.state_event(&shared.room, "m.room.topic", "").await;
    let one = beta.gets(alpha, &format!("/_matrix/federation/v1/event/{}", encoded(topic.as_str()))).await.ok();
    assert_eq!(one["pdus"][0]["content"]["topic"], "for all");
}
