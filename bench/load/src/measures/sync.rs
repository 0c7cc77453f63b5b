//! `/sync` and sliding sync: the first one of a person in many rooms, and the ones that bring nothing new.

use std::time::{Duration, Instant};

use hyper::Method;
use serde_json::{Value, json};

use super::Stopwatch;
use crate::Failure;
use crate::figures::{Latencies, Report};
use crate::options::Options;
use crate::people::{Person, crowd, quoted};
use crate::server::Server;

const REPEATS: usize = 20;
const AT_ONCE: usize = 16;
const SLIDING: &str = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync";
const LIMIT_20: &str = r#"{"room":{"timeline":{"limit":20}}}"#;

pub async fn initial(server: &Server, report: &mut Report) -> Result<(), Failure> {
    for rooms in [50, 200] {
        let mut person = resident(server, rooms, 20).await?;
        person.sync(None, 0, LIMIT_20).await?;
        let mut all = Latencies::default();
        for _ in 0..REPEATS {
            let begun = Instant::now();
            person.bytes(&crate::people::sync_path(None, 0, LIMIT_20)).await?;
            all.push(begun.elapsed());
        }
        report.line(
            format!("initial sync: {rooms} rooms of 20 events"),
            vec![("ms p50", all.percentile_ms(0.5)), ("ms p99", all.percentile_ms(0.99))],
        );
    }
    Ok(())
}

pub async fn empty(server: &Server, options: &Options, report: &mut Report) -> Result<(), Failure> {
    for rooms in [50, 500] {
        let mut person = resident(server, rooms, 1).await?;
        let since = person.sync(None, 0, LIMIT_20).await?.0;
        let watch = Stopwatch::start(server);
        let until = Instant::now() + Duration::from_secs(options.seconds);
        let tasks: Vec<_> = (0..AT_ONCE)
            .map(|_| {
                let (mut person, path) = (person.again(), crate::people::sync_path(Some(&since), 0, ""));
                tokio::spawn(async move {
                    let mut count = 0_usize;
                    while Instant::now() < until {
                        person.bytes(&path).await?;
                        count += 1;
                    }
                    Ok::<_, Failure>(count)
                })
            })
            .collect();
        let mut count = 0;
        for task in tasks {
            count += task.await??;
        }
        report.line(
            format!("empty incremental sync, in {rooms} rooms"),
            vec![("syncs/s", watch.rate(count)), ("ms CPU each", watch.cpu_ms_each(count))],
        );
    }
    Ok(())
}

/// What Element X asks for its first screen.
fn first_screen() -> Value {
    let types = ["m.room.name", "m.room.encryption", "m.room.avatar", "m.room.topic", "m.room.canonical_alias"];
    let mut state: Vec<_> = types.map(|kind| json!([kind, ""])).into();
    state.extend([json!(["m.room.member", "$ME"]), json!(["m.room.member", "$LAZY"]), json!(["m.room.create", ""])]);
    let on = json!({ "enabled": true });
    json!({
        "lists": { "all_rooms": { "ranges": [[0, 19]], "timeline_limit": 1, "required_state": state } },
        "extensions": { "account_data": on, "receipts": on, "typing": on, "to_device": on, "e2ee": on },
    })
}

pub async fn slide(server: &Server, report: &mut Report) -> Result<(), Failure> {
    const ROOMS: usize = 500;
    let mut person = resident(server, ROOMS, 1).await?;
    let (request, path) = (first_screen(), format!("{SLIDING}?timeout=0"));
    // Warm, and nothing in it that was said just now: one's own fresh messages are held back for a moment, room by room.
    tokio::time::sleep(Duration::from_secs(2)).await;
    person.ask(Method::POST, &path, Some(&request)).await?;
    let (mut first, mut empty) = (Latencies::default(), Latencies::default());
    for _ in 0..10 * REPEATS {
        let begun = Instant::now();
        let answer = person.ask(Method::POST, &path, Some(&request)).await?;
        first.push(begun.elapsed());
        if answer["rooms"].as_object().is_none_or(|rooms| rooms.len() != 20) {
            return Err("the first screen should have 20 rooms".into());
        }
        let next = format!("{path}&pos={}", quoted(answer["pos"].as_str().unwrap_or_default()));
        let begun = Instant::now();
        person.ask(Method::POST, &next, Some(&request)).await?;
        empty.push(begun.elapsed());
    }
    for (what, mut all) in [("first screen of 20", first), ("nothing new", empty)] {
        report.line(
            format!("sliding sync, in {ROOMS} rooms: {what}"),
            vec![("ms p50", all.percentile_ms(0.5)), ("ms p99", all.percentile_ms(0.99))],
        );
    }
    Ok(())
}

/// Somebody in this many rooms with this many messages each.
async fn resident(server: &Server, rooms: usize, messages: usize) -> Result<Person, Failure> {
    let person = crowd(server.address, &server.as_token, 1).await?.remove(0);
    let tasks: Vec<_> = (0..AT_ONCE)
        .map(|share| {
            let mut person = person.again();
            tokio::spawn(async move {
                for number in (share..rooms).step_by(AT_ONCE) {
                    let room =
                        person.create(json!({ "preset": "private_chat", "name": format!("Room {number}") })).await?;
                    for message in 0..messages {
                        person.say(&room, &format!("r{rooms}.{number}.{message}"), "A line of talk in a room.").await?;
                    }
                }
                Ok::<_, Failure>(())
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    Ok(person)
}
