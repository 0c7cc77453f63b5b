//! Killed with -9 under load, again and again: nothing acknowledged is missing, nothing is there twice, and a client that
//! syncs on from its old `since` gets every event once, in the order that the history has them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};

use crate::Failure;
use crate::options::Options;
use crate::people::{Person, crowd, gather, quoted};
use crate::server::Server;

const WRITERS: usize = 8;
const WIDE: &str = r#"{"room":{"timeline":{"limit":100}}}"#;

/// One who writes; a message that was not acknowledged is sent again under the same transaction id.
struct Writer {
    person: Person,
    name: usize,
    next: u64,
    acknowledged: Vec<(String, String)>,
}

impl Writer {
    async fn write_until(mut self, room: String, stop: Arc<AtomicBool>) -> Self {
        while !stop.load(Ordering::Relaxed) {
            let text = format!("w{}.{}", self.name, self.next);
            match self.person.say(&room, &text, &text).await {
                Ok(event) => {
                    self.acknowledged.push((text, event));
                    self.next += 1;
                }
                Err(_) => break,
            }
        }
        self
    }
}

/// A client that only syncs: where it stands and what it has seen, in order.
struct Reader {
    person: Person,
    since: String,
    seen: Vec<String>,
}

impl Reader {
    /// Syncs on until nothing new comes, paging back over a gap where the answer says that there is one.
    async fn catch_up(&mut self, room: &str) -> Result<(), Failure> {
        loop {
            let (next, answer) = self.person.sync(Some(&self.since), 0, WIDE).await?;
            self.since = next;
            let timeline = &answer["rooms"]["join"][room]["timeline"];
            let new = messages(&timeline["events"]);
            if new.is_empty() {
                return Ok(());
            }
            if timeline["limited"] == true {
                let from = timeline["prev_batch"].as_str().unwrap_or_default().to_owned();
                let missed = self.gap(room, from).await?;
                self.seen.extend(missed);
            }
            self.seen.extend(new);
        }
    }

    /// What lies between the last event seen and the token, oldest first.
    async fn gap(&mut self, room: &str, mut from: String) -> Result<Vec<String>, Failure> {
        let known: HashSet<_> = self.seen.iter().cloned().collect();
        let mut missed = Vec::new();
        loop {
            let path =
                format!("/_matrix/client/v3/rooms/{}/messages?dir=b&limit=100&from={}", quoted(room), quoted(&from));
            let page = self.person.ask(Method::GET, &path, None).await?;
            let events = messages(&page["chunk"]);
            let fresh = events.iter().take_while(|event| !known.contains(*event)).cloned().collect::<Vec<_>>();
            let ended = fresh.len() < events.len();
            missed.extend(fresh);
            match page["end"].as_str() {
                Some(end) if !ended => end.clone_into(&mut from),
                _ => break,
            }
        }
        missed.reverse();
        Ok(missed)
    }
}

fn messages(events: &Value) -> Vec<String> {
    let events = events.as_array().into_iter().flatten();
    let told = events.filter(|event| event["type"] == "m.room.message");
    told.filter_map(|event| event["event_id"].as_str().map(str::to_owned)).collect()
}

pub async fn run(options: &Options) -> Result<(), Failure> {
    let mut server = Server::start(options).await?;
    let mut people = crowd(server.address, &server.as_token, WRITERS + 1).await?;
    let room = people[0].create(json!({ "preset": "public_chat" })).await?;
    let others = people.split_off(1);
    let mut reader = Reader { person: people.remove(0), since: String::new(), seen: Vec::new() };
    let mut writers: Vec<_> = (0..)
        .zip(gather(others, &room).await?)
        .map(|(name, person)| Writer { person, name, next: 0, acknowledged: Vec::new() })
        .collect();
    reader.since = reader.person.sync(None, 0, WIDE).await?.0;
    let mut chance = options.seed | 1;
    for round in 0..options.rounds {
        let stop = Arc::new(AtomicBool::new(false));
        let tasks: Vec<_> =
            writers.drain(..).map(|writer| tokio::spawn(writer.write_until(room.clone(), stop.clone()))).collect();
        // Some xorshift steps: the moment of the kill need only be uneven, and the same for the same seed.
        for shift in [13_i32, -7, 17] {
            chance ^= if shift > 0 { chance << shift } else { chance >> -shift };
        }
        tokio::time::sleep(Duration::from_millis(150 + chance % 600)).await;
        server.crash_and_restart().await?;
        stop.store(true, Ordering::Relaxed);
        for task in tasks {
            writers.push(task.await?);
        }
        reader.catch_up(&room).await?;
        let acknowledged: usize = writers.iter().map(|writer| writer.acknowledged.len()).sum();
        eprintln!("# round {}: {acknowledged} acknowledged so far", round + 1);
    }
    // What was under way at the last kill is sent once more, under its old transaction id.
    for writer in &mut writers {
        let text = format!("w{}.{}", writer.name, writer.next);
        let event = writer.person.say(&room, &text, &text).await?;
        writer.acknowledged.push((text, event));
    }
    reader.catch_up(&room).await?;
    let verdict = judge(&mut reader, &room, &writers).await;
    server.stop().await;
    verdict.map(|words| println!("crash: killed {} times; {words}", options.rounds))
}

/// Holds what was acknowledged and what was synced against the room's whole history.
async fn judge(reader: &mut Reader, room: &str, writers: &[Writer]) -> Result<String, Failure> {
    let mut history = Vec::new();
    let mut bodies: HashMap<String, Vec<String>> = HashMap::new();
    let base = format!("/_matrix/client/v3/rooms/{}/messages?dir=b&limit=100", quoted(room));
    let mut path = base.clone();
    loop {
        let page = reader.person.ask(Method::GET, &path, None).await?;
        for event in page["chunk"].as_array().into_iter().flatten().filter(|event| event["type"] == "m.room.message") {
            let id = event["event_id"].as_str().unwrap_or_default().to_owned();
            bodies
                .entry(event["content"]["body"].as_str().unwrap_or_default().to_owned())
                .or_default()
                .push(id.clone());
            history.push(id);
        }
        match page["end"].as_str() {
            Some(end) => path = format!("{base}&from={}", quoted(end)),
            None => break,
        }
    }
    history.reverse();
    let acknowledged: Vec<_> = writers.iter().flat_map(|writer| &writer.acknowledged).collect();
    let missing =
        acknowledged.iter().filter(|(text, event)| bodies.get(text).is_none_or(|ids| !ids.contains(event))).count();
    let doubled = bodies.values().filter(|ids| ids.len() > 1).count();
    if missing > 0 || doubled > 0 {
        return Err(format!(
            "of {} acknowledged events {missing} are missing; {doubled} messages are there twice",
            acknowledged.len()
        )
        .into());
    }
    if reader.seen != history {
        let seen: HashSet<_> = reader.seen.iter().collect();
        let skipped = history.iter().filter(|event| !seen.contains(event)).count();
        let repeated = reader.seen.len() - seen.len();
        return Err(format!(
            "the syncing client skipped {skipped} events and was given {repeated} twice, of {}",
            history.len()
        )
        .into());
    }
    Ok(format!(
        "{} acknowledged events are there once each, the syncing client had all of them in order",
        acknowledged.len()
    ))
}
