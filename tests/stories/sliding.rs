//! Simplified sliding sync (MSC4186): what a client is told of the rooms it looks at.

use serde_json::{Value, json};

use super::support::{Campus, Person, encoded};

const PATH: &str = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync";

/// A connection of sliding sync.
struct Slider<'a> {
    person: &'a Person,
    pos: String,
}

impl<'a> Slider<'a> {
    fn of(person: &'a Person) -> Self {
        Self { person, pos: String::new() }
    }

    fn path(&self) -> String {
        let pos = if self.pos.is_empty() { String::new() } else { format!("&pos={}", encoded(&self.pos)) };
        format!("{PATH}?timeout=0{pos}")
    }

    /// What is new, without waiting for it.
    async fn asks(&mut self, request: Value) -> Value {
        let answer = self.person.post(&self.path(), request).await.ok();
        self.pos = answer["pos"].as_str().expect("a position").to_owned();
        answer
    }

    /// What is new of one room that it subscribes to.
    async fn subscribes(&mut self, room: &str, wishes: Value) -> Value {
        self.asks(json!({ "room_subscriptions": { room: wishes } })).await["rooms"][room].take()
    }
}

fn list(ranges: Value, more: Value) -> Value {
    let mut list = json!({ "ranges": ranges, "timeline_limit": 1, "required_state": [] });
    list.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    json!({ "lists": { "all": list } })
}

/// The rooms that a list with these filters shows, in the order of their ids.
async fn filtered(person: &Person, filters: Value) -> String {
    let answer = Slider::of(person).asks(list(json!([[0, 9]]), json!({ "filters": filters }))).await;
    let mut rooms: Vec<_> = answer["rooms"].as_object().into_iter().flatten().map(|(room, _)| room.clone()).collect();
    assert_eq!(answer["lists"]["all"]["count"], rooms.len());
    rooms.sort();
    rooms.join(" ")
}

fn texts(room: &Value) -> Vec<&str> {
    let events = room["timeline"].as_array().into_iter().flatten();
    events.filter_map(|event| event["content"]["body"].as_str()).collect()
}

#[tokio::test]
async fn a_list_shows_the_rooms_in_its_ranges_the_liveliest_first() {
    let campus = Campus::of(["alpha.example"]).await;
    let ann = campus.person("ann").await;
    let mut rooms = Vec::new();
    for n in 0..5 {
        rooms.push(ann.creates_room_with(json!({ "name": format!("room {n}") })).await);
    }
    ann.says(&rooms[0], "up").await;
    let mut slider = Slider::of(&ann);
    let answer = slider.asks(list(json!([[0, 1]]), json!({}))).await;
    assert_eq!(answer["lists"]["all"]["count"], 5);
    let shown = answer["rooms"].as_object().expect("rooms");
    assert_eq!(shown.len(), 2);
    let first = &shown[&rooms[0]];
    assert_eq!(
        (&first["initial"], &first["name"], &first["joined_count"]),
        (&json!(true), &json!("room 0"), &json!(1))
    );
    assert!(first["bump_stamp"].as_u64() > shown[&rooms[4]]["bump_stamp"].as_u64());
    assert_eq!((texts(first), &first["limited"]), (vec!["up"], &json!(true)));
    let before = format!(
        "/_matrix/client/v3/rooms/{}/messages?dir=b&limit=1&from={}",
        encoded(&rooms[0]),
        encoded(first["prev_batch"].as_str().expect("a place to read back from"))
    );
    assert_eq!(ann.get(&before).await.ok()["chunk"][0]["content"]["name"], "room 0");

    let wider = slider.asks(list(json!([[0, 1], [3, 3]]), json!({}))).await;
    assert_eq!(wider["rooms"].as_object().map(serde_json::Map::len), Some(1), "the others are known");
    assert_eq!(wider["rooms"][&rooms[2]]["initial"], true);
    ann.says(&rooms[1], "from below").await;
    let news = slider.asks(list(json!([[0, 1]]), json!({}))).await;
    let told = &news["rooms"][&rooms[1]];
    assert_eq!((texts(told), &told["initial"], &told["num_live"]), (vec!["from below"], &json!(true), &json!(1)));
    assert_eq!(slider.asks(list(json!([[0, 1]]), json!({}))).await["rooms"], json!({}), "nothing is new");
}

#[tokio::test]
async fn filters_say_which_rooms_belong_to_a_list() {
    let campus = Campus::of(["alpha.example"]).await;
    let (ann, ben) = (campus.person("ann").await, campus.person("ben").await);
    let plain = ann.creates_room_with(json!({ "name": "Chess club" })).await;
    let space = ann.creates_room_with(json!({ "creation_content": { "type": "m.space" } })).await;
    let encryption = json!({ "type": "m.room.encryption", "content": { "algorithm": "m.megolm.v1.aes-sha2" } });
    let closed = ann.creates_room_with(json!({ "initial_state": [encryption] })).await;
    let asked = ben.creates_room_with(json!({ "invite": [ann.id] })).await;
    let data = |rest: &str| format!("/_matrix/client/v3/user/{}/{rest}", ann.id);
    ann.put(&data("account_data/m.direct"), json!({ &ben.id: [closed] })).await.ok();
    ann.put(&data(&format!("rooms/{}/tags/m.favourite", encoded(&plain))), json!({})).await.ok();

    assert_eq!(filtered(&ann, json!({ "is_invite": true })).await, asked);
    assert_eq!(filtered(&ann, json!({ "is_dm": true })).await, closed);
    assert_eq!(filtered(&ann, json!({ "is_encrypted": true })).await, closed);
    assert_eq!(filtered(&ann, json!({ "room_types": ["m.space"] })).await, space);
    assert_eq!(filtered(&ann, json!({ "tags": ["m.favourite"] })).await, plain);
    assert_eq!(filtered(&ann, json!({ "room_name_like": "chess" })).await, plain);
    let mut others = [plain, closed];
    others.sort();
    assert_eq!(filtered(&ann, json!({ "not_room_types": ["m.space"], "is_invite": false })).await, others.join(" "));
    let rest = json!({ "is_dm": false, "is_invite": false, "not_tags": ["m.favourite"] });
    assert_eq!(filtered(&ann, rest).await, space);
}

#[tokio::test]
async fn state_is_what_was_asked_for_and_only_what_changed_after() {
    let campus = Campus::of(["alpha.example"]).await;
    let (ann, ben, cat) = (campus.person("ann").await, campus.person("ben").await, campus.person("cat").await);
    let room = ann.creates_public_room().await;
    for person in [&ben, &cat] {
        person.joins(&room).await;
    }
    ben.says(&room, "hello").await;
    let mut slider = Slider::of(&ann);
    let keys = |told: &Value| -> Vec<String> {
        let events = told["required_state"].as_array().into_iter().flatten();
        let mut keys: Vec<_> = events.map(|event| format!("{} {}", event["type"], event["state_key"])).collect();
        keys.sort();
        keys
    };
    let member = |person: &Person| format!("\"m.room.member\" \"{}\"", person.id);
    let mine = json!([["m.room.member", "$ME"], ["m.room.create", ""]]);
    let told = slider.subscribes(&room, json!({ "timeline_limit": 1, "required_state": mine })).await;
    assert_eq!(keys(&told), ["\"m.room.create\" \"\"".to_owned(), member(&ann)]);
    assert_eq!(told["heroes"].as_array().map(Vec::len), Some(2), "the room has no name");
    let lazy = json!([["m.room.member", "$LAZY"], ["m.room.topic", "*"]]);
    cat.says(&room, "hi").await;
    let told = slider.subscribes(&room, json!({ "timeline_limit": 1, "required_state": lazy })).await;
    assert_eq!(keys(&told), [member(&cat)], "who wrote, and nothing that is known");
    ann.sets(&room, "m.room.topic", "", json!({ "topic": "chess" })).await;
    let told = slider.subscribes(&room, json!({ "timeline_limit": 1, "required_state": lazy })).await;
    assert_eq!(keys(&told), ["\"m.room.topic\" \"\""]);
    ben.leaves(&room).await;
    let told = slider.subscribes(&room, json!({ "timeline_limit": 1, "required_state": lazy })).await;
    assert_eq!((&told["joined_count"], &told["heroes"][0]["user_id"]), (&json!(2), &json!(cat.id)));
}

/// Synapse does so for the sake of Element X, which fills its screen with what it is given when a room is opened.
#[tokio::test]
async fn a_longer_timeline_is_told_from_its_beginning_also_once_more_after_a_gap() {
    let campus = Campus::of(["alpha.example"]).await;
    let ann = campus.person("ann").await;
    let room = ann.creates_room().await;
    let mut said = 0;
    let mut says = async |count: usize| {
        for n in said..said + count {
            ann.says(&room, &n.to_string()).await;
        }
        said += count;
    };
    says(5).await;
    let mut slider = Slider::of(&ann);
    let wishes = |limit: u64| json!({ "timeline_limit": limit, "required_state": [] });
    assert_eq!(texts(&slider.subscribes(&room, wishes(1)).await), ["4"]);
    let opened = slider.subscribes(&room, wishes(3)).await;
    assert_eq!((texts(&opened), &opened["limited"]), (vec!["2", "3", "4"], &json!(true)));
    assert_eq!((&opened["initial"], &opened["unstable_expanded_timeline"]), (&Value::Null, &json!(true)));
    assert_eq!(opened["num_live"], 0);
    says(1).await;
    let closed = slider.subscribes(&room, wishes(1)).await;
    assert_eq!((texts(&closed), &closed["limited"]), (vec!["5"], &Value::Null));
    assert_eq!(slider.subscribes(&room, wishes(3)).await, Value::Null, "there is no gap in what it has");

    slider.subscribes(&room, wishes(1)).await;
    says(4).await;
    let missed = slider.subscribes(&room, wishes(1)).await;
    assert_eq!((texts(&missed), &missed["limited"]), (vec!["9"], &json!(true)));
    let opened = slider.subscribes(&room, wishes(3)).await;
    assert_eq!((texts(&opened), &opened["unstable_expanded_timeline"]), (vec!["7", "8", "9"], &json!(true)));
}

#[tokio::test]
async fn an_answer_that_was_lost_is_given_again_and_a_connection_that_was_forgotten_begins_anew() {
    let campus = Campus::of(["alpha.example"]).await;
    let ann = campus.person("ann").await;
    let room = ann.creates_room().await;
    let mut slider = Slider::of(&ann);
    let request = list(json!([[0, 9]]), json!({}));
    slider.asks(request.clone()).await;
    let before = slider.pos.clone();
    ann.says(&room, "is it lost?").await;
    for _ in 0..2 {
        slider.pos.clone_from(&before);
        assert_eq!(texts(&slider.asks(request.clone()).await["rooms"][&room]), ["is it lost?"]);
    }
    assert_eq!(slider.asks(request.clone()).await["rooms"], json!({}));
    slider.pos = before;
    ann.post(&slider.path(), request.clone()).await.refused(400, "M_UNKNOWN_POS");
    let stranger = campus.host("alpha.example").stranger();
    stranger.post(PATH, request).await.refused(401, "M_MISSING_TOKEN");
    ann.post(PATH, json!({ "lists": [] })).await.refused(400, "M_BAD_JSON");
}

#[tokio::test]
async fn what_belongs_to_no_timeline_comes_with_the_extensions() {
    let campus = Campus::of(["alpha.example"]).await;
    let (ann, ben) = (campus.person("ann").await, campus.person("ben").await);
    let room = ann.creates_public_room().await;
    ben.joins(&room).await;
    let said = ben.says(&room, "hello").await;
    let mut request = list(json!([[0, 9]]), json!({}));
    let on = json!({ "enabled": true });
    request["extensions"] = json!({ "to_device": on, "e2ee": on, "account_data": on, "receipts": on, "typing": on });
    let mut slider = Slider::of(&ann);
    let first = slider.asks(request.clone()).await["extensions"].take();
    assert!(first["e2ee"]["device_one_time_keys_count"].is_object(), "{first}");

    let at = |rest: &str| format!("/_matrix/client/v3/rooms/{}/{rest}", encoded(&room));
    ben.post(&at(&format!("receipt/m.read/{}", encoded(&said))), json!({})).await.ok();
    ben.put(&at(&format!("typing/{}", ben.id)), json!({ "typing": true, "timeout": 9_000 })).await.ok();
    ann.put(&format!("/_matrix/client/v3/user/{}/account_data/org.example", ann.id), json!({ "a": 1 })).await.ok();
    let message = json!({ "messages": { &ann.id: { "*": { "knock": "knock" } } } });
    ben.put("/_matrix/client/v3/sendToDevice/org.example.knock/1", message).await.ok();
    let told = slider.asks(request.clone()).await["extensions"].take();
    assert!(told["receipts"]["rooms"][&room]["content"][&said]["m.read"][&ben.id].is_object(), "{told}");
    assert_eq!(told["typing"]["rooms"][&room]["content"]["user_ids"], json!([ben.id]));
    assert_eq!(told["account_data"]["global"][0]["content"], json!({ "a": 1 }));
    assert_eq!(told["to_device"]["events"][0]["content"]["knock"], "knock");
    request["extensions"]["to_device"]["since"] = told["to_device"]["next_batch"].clone();
    let told = slider.asks(request).await["extensions"].take();
    assert!(told["to_device"]["events"].as_array().is_none_or(Vec::is_empty), "it was acknowledged: {told}");
}
