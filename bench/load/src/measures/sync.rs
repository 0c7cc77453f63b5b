//! `/sync`: the first one of a person in many rooms, and the ones that bring nothing new.

use std::time::{Duration, Instant};

use serde_json::json;

use super::Stopwatch;
use crate::Failure;
use crate::figures::{Latencies, Report};
use crate::options::Options;
use crate::people::{Person, crowd};
use crate::server::Server;

const REPEATS: usize = 20;
const AT_ONCE: usize = 16;
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
