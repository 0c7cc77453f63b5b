//! How much is unread, as a connection of sliding sync hears of it.

use serde_json::{Value, json};

use super::support::{Campus, Person, encoded};

/// A connection that is told of all rooms.
struct Slider<'a> {
    person: &'a Person,
    pos: String,
}

impl<'a> Slider<'a> {
    async fn of(person: &'a Person) -> Self {
        let mut slider = Self { person, pos: String::new() };
        slider.slides().await;
        slider
    }

    /// What is new of the rooms, without waiting for it.
    async fn slides(&mut self) -> Value {
        let query = if self.pos.is_empty() { String::new() } else { format!("?timeout=0&pos={}", encoded(&self.pos)) };
        let path = format!("/_matrix/client/unstable/org.matrix.simplified_msc3575/sync{query}");
        let list = json!({ "ranges": [[0, 9]], "timeline_limit": 1, "required_state": [] });
        let answer = self.person.post(&path, json!({ "lists": { "all": list } })).await.ok();
        self.pos = answer["pos"].as_str().expect("a position").to_owned();
        answer["rooms"].clone()
    }

    /// The counts that are told of a room: `null` if nothing is.
    async fn hears_counts(&mut self, room: &str) -> [Value; 2] {
        let told = self.slides().await[room].clone();
        [told["notification_count"].clone(), told["highlight_count"].clone()]
    }
}

fn counts(notifications: u64, highlights: u64) -> [Value; 2] {
    [json!(notifications), json!(highlights)]
}

async fn mentions(person: &Person, room: &str, other: &Person) -> String {
    let content = json!({ "msgtype": "m.text", "body": "you!", "m.mentions": { "user_ids": [other.id] } });
    person.sends(room, "m.room.message", content).await
}

#[tokio::test]
async fn reading_is_told_to_ones_other_devices() {
    let campus = Campus::of(["alpha"]).await;
    let (ann, ben) = (campus.person("ann").await, campus.person("ben").await);
    let room = ann.creates_public_room().await;
    ben.joins(&room).await;
    let mut anns = Slider::of(&ann).await;
    for (kind, thread) in
        [("m.read", json!({})), ("m.read", json!({ "thread_id": "main" })), ("m.read.private", json!({}))]
    {
        let event = mentions(&ben, &room, &ann).await;
        assert_eq!(anns.hears_counts(&room).await, counts(1, 1));
        assert_eq!(anns.slides().await, json!({}), "nothing changed");
        ben.post(&format!("/_matrix/client/v3/rooms/{}/receipt/m.read/{}", encoded(&room), encoded(&event)), json!({}))
            .await
            .ok();
        assert_eq!(anns.slides().await, json!({}), "what others have read says nothing of one's own");
        ann.post(&format!("/_matrix/client/v3/rooms/{}/receipt/{kind}/{}", encoded(&room), encoded(&event)), thread)
            .await
            .ok();
        assert_eq!(anns.hears_counts(&room).await, counts(0, 0), "{kind}");
        assert_eq!(anns.slides().await, json!({}));
    }
}

#[tokio::test]
async fn a_change_of_what_one_wants_to_hear_is_told_for_every_room() {
    let campus = Campus::of(["alpha"]).await;
    let (ann, ben) = (campus.person("ann").await, campus.person("ben").await);
    let rooms = [ann.creates_public_room().await, ann.creates_public_room().await];
    for room in &rooms {
        ben.joins(room).await;
        ben.says(room, "hello").await;
        mentions(&ben, room, &ann).await;
    }
    let mut anns = Slider::of(&ann).await;
    let mute = format!("/_matrix/client/v3/pushrules/global/room/{}", encoded(&rooms[0]));
    ann.put(&mute, json!({ "actions": [] })).await.ok();
    let told = anns.slides().await;
    assert_eq!((&told[&rooms[0]]["notification_count"], &told[&rooms[1]]), (&json!(1), &Value::Null));
    ann.delete(&mute).await.ok();
    assert_eq!(anns.hears_counts(&rooms[0]).await, counts(2, 1));

    let ignored = |who: Value| (format!("/_matrix/client/v3/user/{}/account_data/m.ignored_user_list", ann.id), who);
    let (path, list) = ignored(json!({ "ignored_users": { &ben.id: {} } }));
    ann.put(&path, list).await.ok();
    let told = anns.slides().await;
    for room in &rooms {
        assert_eq!((&told[room]["notification_count"], &told[room]["highlight_count"]), (&json!(0), &json!(0)));
    }
    ann.put(&path, json!({ "ignored_users": {} })).await.ok();
    assert_eq!(anns.hears_counts(&rooms[1]).await, counts(2, 1));
    let other = format!("/_matrix/client/v3/user/{}/account_data/org.example", ann.id);
    ann.put(&other, json!({})).await.ok();
    assert_eq!(anns.slides().await, json!({}), "other data change nothing");
}

#[tokio::test]
async fn a_lost_answer_is_given_again_with_its_counts() {
    let campus = Campus::of(["alpha"]).await;
    let (ann, ben) = (campus.person("ann").await, campus.person("ben").await);
    let room = ann.creates_public_room().await;
    ben.joins(&room).await;
    let event = ben.says(&room, "hello").await;
    let mut anns = Slider::of(&ann).await;
    let before = anns.pos.clone();
    ann.post(&format!("/_matrix/client/v3/rooms/{}/receipt/m.read/{}", encoded(&room), encoded(&event)), json!({}))
        .await
        .ok();
    assert_eq!(anns.hears_counts(&room).await, counts(0, 0));
    anns.pos = before;
    assert_eq!(anns.hears_counts(&room).await, counts(0, 0));
}
