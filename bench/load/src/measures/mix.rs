//! A campus at noon: 200 people online with presence, each in a long poll, acts arriving at a steady rate whether or not earlier ones are done.

use std::time::{Duration, Instant};

use hyper::Method;
use serde_json::json;

use super::room_of;
use crate::Failure;
use crate::figures::{Latencies, Report};
use crate::options::Options;
use crate::people::{Person, quoted};
use crate::server::Server;

const ROOMS: usize = 10;
const MEMBERS: usize = 20;
const ACTS_PER_SECOND: u64 = 500;

pub async fn campus(server: &Server, options: &Options, report: &mut Report) -> Result<(), Failure> {
    let (mut actors, mut polls) = (Vec::new(), Vec::new());
    for _ in 0..ROOMS {
        let (room, people) = room_of(server, MEMBERS).await?;
        for person in people {
            polls.push(tokio::spawn(online(person.again())));
            actors.push((person, room.clone()));
        }
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let crew = actors.len() as u64;
    let acts = ACTS_PER_SECOND * options.seconds;
    let begun = Instant::now();
    let tasks: Vec<_> = actors
        .into_iter()
        .enumerate()
        .map(|(place, (person, room))| tokio::spawn(act(person, room, place as u64, crew, acts, begun)))
        .collect();
    let mut all = Latencies::default();
    for task in tasks {
        all.extend(task.await??);
    }
    let rate = all.len() as f64 / begun.elapsed().as_secs_f64();
    polls.iter().for_each(tokio::task::JoinHandle::abort);
    report.line(
        "campus mix: 200 online",
        vec![("acts/s", rate), ("ms p50", all.percentile_ms(0.5)), ("ms p99", all.percentile_ms(0.99))],
    );
    Ok(())
}

/// Every act has its appointed time; lateness of the server is counted from that time on.
async fn act(
    mut person: Person,
    room: String,
    place: u64,
    crew: u64,
    acts: u64,
    begun: Instant,
) -> Result<Latencies, Failure> {
    let mut latencies = Latencies::default();
    let (room_path, user) = (quoted(&room), quoted(&person.id));
    let mut last: Option<String> = None;
    for number in (place..acts).step_by(crew as usize) {
        let due = begun + Duration::from_micros(number * 1_000_000 / ACTS_PER_SECOND);
        tokio::time::sleep_until(due.into()).await;
        match (number / crew % 10, &last) {
            (7, Some(event)) => {
                let path = format!("/_matrix/client/v3/rooms/{room_path}/receipt/m.read/{}", quoted(event));
                person.ask(Method::POST, &path, Some(&json!({}))).await?;
            }
            (3 | 8, _) => {
                let path = format!("/_matrix/client/v3/rooms/{room_path}/typing/{user}");
                person.ask(Method::PUT, &path, Some(&json!({ "typing": true, "timeout": 5000 }))).await?;
            }
            _ => last = Some(person.say(&room, &format!("m{number}"), "Where do we meet for lunch today?").await?),
        }
        latencies.push(due.elapsed());
    }
    Ok(latencies)
}

/// Somebody whose client syncs without end and so is online.
async fn online(mut person: Person) -> Result<(), Failure> {
    let mut since = String::new();
    loop {
        let path = if since.is_empty() {
            "/_matrix/client/v3/sync?timeout=0".to_owned()
        } else {
            format!("/_matrix/client/v3/sync?timeout=30000&since={}", quoted(&since))
        };
        let answer = person.ask(Method::GET, &path, None).await?;
        since = answer["next_batch"].as_str().unwrap_or_default().to_owned();
    }
}
