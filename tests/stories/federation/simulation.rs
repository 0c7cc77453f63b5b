//! Three servers in bad weather, by chance from a seed: requests are dropped, delayed, repeated, come in another order, wires
//! are cut, servers crash. Once the weather is calm all servers agree on every room, and nothing that was acknowledged is
//! missing anywhere.
//!
//! `LYCEUM_SEED=7 cargo test --test stories simulation -- --ignored one_seed` tells the story of one seed again.

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use ruma::RoomId;
use serde_json::json;
use std::time::Duration;

use crate::support::{Campus, Person, encoded};

mod difference;

const SERVERS: [&str; 3] = ["alpha.example", "beta.example", "gamma.example"];
const ROOM_VERSIONS: [&str; 4] = ["6", "10", "11", "12"];
const ACTS: usize = 40;
const SEEDS: u64 = 20;
/// With these, events or a membership were once lost at one server.
const SEEDS_ONCE_LOST: [u64; 3] = [84, 117, 443];
const SEEDS_LONG: u64 = 500;

/// How often time moves on before servers that have not settled are given up.
const CALM_STEPS: usize = 200;
/// In real time: how long one such step is.
const STEP: Duration = Duration::from_millis(3);

struct World {
    seed: u64,
    chance: StdRng,
    campus: Campus,
    /// One person at each server who stays, and one who may be sent away.
    steady: Vec<Person>,
    fickle: Vec<Person>,
    rooms: Vec<String>,
    /// What was answered with success: room and event.
    acknowledged: Vec<(String, String)>,
}

impl World {
    async fn begin(seed: u64) -> Self {
        let campus = Campus::of(SERVERS).await;
        let (mut steady, mut fickle) = (Vec::new(), Vec::new());
        for server in SERVERS {
            steady.push(campus.person_at(server, "steady").await);
            fickle.push(campus.person_at(server, "fickle").await);
        }
        let mut chance = StdRng::seed_from_u64(seed);
        let mut rooms = Vec::new();
        for _ in 0..2 {
            let version = ROOM_VERSIONS.choose(&mut chance).expect("some versions");
            let how = json!({
                "preset": "public_chat", "room_version": version,
                "power_level_content_override": { "events": { "m.room.name": 0, "m.room.topic": 0 } },
            });
            let room = steady[0].creates_room_with(how).await;
            for server in 1..SERVERS.len() {
                campus.host(SERVERS[server]).brings(campus.host(SERVERS[0]), &steady[server], &room).await;
                campus.settle().await;
            }
            rooms.push(room);
        }
        campus.settle().await;
        Self { seed, chance, campus, steady, fickle, rooms, acknowledged: Vec::new() }
    }

    async fn act(&mut self, number: usize) {
        let room = self.rooms.choose(&mut self.chance).expect("rooms").clone();
        let at = self.chance.random_range(0..SERVERS.len());
        let steady = self.chance.random_bool(0.7);
        let who = if steady { &self.steady[at] } else { &self.fickle[at] };
        let path = |rest: &str| format!("/_matrix/client/v3/rooms/{}/{rest}", encoded(&room));
        let (text, of) = (format!("{number} by {}", who.id), self.chance.random_range(0..SERVERS.len()));
        let answer = match self.chance.random_range(0..100) {
            0..50 => {
                let message = json!({ "msgtype": "m.text", "body": text });
                who.put(&path(&format!("send/m.room.message/n{number}")), message).await
            }
            50..62 => who.put(&path("state/m.room.topic/"), json!({ "topic": text })).await,
            62..70 => who.put(&path("state/m.room.name/"), json!({ "name": text })).await,
            70..78 => self.fickle[at].post(&path("join"), json!({})).await,
            78..82 => self.fickle[at].post(&path("leave"), json!({})).await,
            82..86 => self.steady[0].post(&path("kick"), json!({ "user_id": self.fickle[of].id })).await,
            86..94 => return self.cut_or_heal(),
            94..97 => return self.crash(at).await,
            _ => return self.campus.clock.advance(Duration::from_secs(self.chance.random_range(1..120))),
        };
        if let Some(id) = answer.json["event_id"].as_str() {
            self.acknowledged.push((room, id.to_owned()));
        }
    }

    fn cut_or_heal(&mut self) {
        let one = self.chance.random_range(0..SERVERS.len());
        let other = (one + 1) % SERVERS.len();
        if self.chance.random_bool(0.5) {
            self.campus.wires.cut(SERVERS[one], SERVERS[other]);
        } else {
            self.campus.wires.heal(SERVERS[one], SERVERS[other]);
        }
    }

    async fn crash(&mut self, at: usize) {
        self.campus.crashes(SERVERS[at]).await;
        let host = self.campus.host(SERVERS[at]);
        (self.steady[at], self.fickle[at]) = (self.steady[at].at(host), self.fickle[at].at(host));
    }

    /// Lets time go on until everything is delivered.
    async fn calms(&self) {
        self.campus.wires.calm();
        let mut in_a_row = 0;
        for _ in 0..CALM_STEPS {
            self.campus.clock.advance(Duration::from_secs(60));
            tokio::time::sleep(STEP).await;
            in_a_row = if self.campus.is_settled() { in_a_row + 1 } else { 0 };
            if in_a_row == 3 {
                return;
            }
        }
        panic!("seed {}: the servers do not settle", self.seed);
    }

    /// Each server says a last word in each room, after it has heard those of the others.
    async fn last_words(&mut self) {
        for room in self.rooms.clone() {
            for person in &self.steady {
                let said = person.says(&room, "last words").await;
                self.acknowledged.push((room.clone(), said));
                self.calms().await;
            }
        }
    }

    async fn is_at_one(&self) {
        for room in &self.rooms {
            let id = <&RoomId>::try_from(room.as_str()).expect("a room id");
            let snapshot = async |server: &str| {
                self.campus.host(server).server.rooms().snapshot(id).await.expect("the room is here")
            };
            let first = snapshot(SERVERS[0]).await;
            for server in &SERVERS[1..] {
                let differs = first.state().changes_to(snapshot(server).await.state());
                if !differs.is_empty() {
                    let began = difference::told(&self.campus, (SERVERS[0], server), id).await;
                    panic!("seed {}: {server} sees {room} otherwise: {differs:?}\n{began}", self.seed);
                }
            }
        }
    }

    async fn nothing_is_missing(&self) {
        for (room, id) in &self.acknowledged {
            for server in SERVERS {
                let known = self.campus.host(server).event(id).await;
                assert!(known.is_some(), "seed {}: {server} misses {id} of {room}", self.seed);
            }
        }
    }
}

#[expect(clippy::print_stdout, reason = "a story that fails without a word of its own is found by its seed")]
async fn story(seed: u64) {
    println!("seed {seed}");
    let mut world = World::begin(seed).await;
    world.campus.wires.storm(seed);
    for number in 0..ACTS {
        world.act(number).await;
        for _ in 0..world.chance.random_range(0..40) {
            tokio::task::yield_now().await;
        }
    }
    world.calms().await;
    world.last_words().await;
    world.is_at_one().await;
    world.nothing_is_missing().await;
    for server in SERVERS {
        world.campus.host(server).is_sound().await;
    }
}

#[tokio::test]
async fn servers_agree_after_bad_weather() {
    for seed in (0..SEEDS).chain(SEEDS_ONCE_LOST) {
        story(seed).await;
    }
}

#[tokio::test]
#[ignore = "the long form: many minutes"]
async fn servers_agree_after_much_bad_weather() {
    for seed in SEEDS..SEEDS + SEEDS_LONG {
        story(seed).await;
    }
}

#[tokio::test]
#[ignore = "for a seed that failed: LYCEUM_SEED"]
async fn one_seed() {
    let seed = std::env::var("LYCEUM_SEED").ok().and_then(|seed| seed.parse().ok());
    story(seed.expect("LYCEUM_SEED holds a number")).await;
}
