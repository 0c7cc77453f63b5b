//! Memory and disk: an empty server at rest, and one that holds a million events.

use std::time::Duration;

use serde_json::json;

use super::Stopwatch;
use crate::Failure;
use crate::figures::Report;
use crate::people::{crowd, gather};
use crate::server::Server;

const PEOPLE: usize = 1_000;
const ROOMS: usize = 200;
const MEMBERS: usize = 20;
const EVENTS: usize = 1_000_000;
const SENDERS: usize = 64;

pub async fn at_rest(server: &Server, report: &mut Report) -> Result<(), Failure> {
    tokio::time::sleep(Duration::from_secs(2)).await;
    let memory = server.memory_mib().ok_or("the server's process cannot be watched")?;
    report.line("at rest, empty store", vec![("MiB", memory)]);
    Ok(())
}

pub async fn million(server: &Server, report: &mut Report) -> Result<(), Failure> {
    let mut people = crowd(server.address, &server.as_token, PEOPLE).await?;
    let mut rooms = Vec::with_capacity(ROOMS);
    for number in 0..ROOMS {
        let room = people[number % PEOPLE].create(json!({ "preset": "public_chat" })).await?;
        let members = (1..MEMBERS).map(|step| people[(number + step * 37) % PEOPLE].again()).collect();
        gather(members, &room).await?;
        rooms.push(room);
    }
    let watch = Stopwatch::start(server);
    let tasks: Vec<_> = (0..SENDERS)
        .map(|share| {
            let mine: Vec<_> =
                (share..ROOMS).step_by(SENDERS).map(|n| (people[n % PEOPLE].again(), rooms[n].clone())).collect();
            tokio::spawn(async move {
                let mut mine = mine;
                for number in 0..EVENTS / ROOMS {
                    for (person, room) in &mut mine {
                        person
                            .say(room, &format!("m{number}"), "One line among a million, of the usual length.")
                            .await?;
                    }
                }
                Ok::<_, Failure>(())
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    let mut figures = vec![("events/s", watch.rate(EVENTS))];
    figures.extend(server.memory_mib().map(|mib| ("MiB", mib)));
    figures.extend(server.disk_mb().map(|mb| ("MB on disk", mb)));
    report.line("1,000 people, 200 rooms, 1,000,000 events", figures);
    Ok(())
}
