//! Memory and disk: an empty server at rest, and one that holds a million events.

use std::time::Duration;

use serde_json::json;

use super::Stopwatch;
use crate::Failure;
use crate::figures::{Latencies, Report};
use crate::options::Options;
use crate::people::{crowd, gather};
use crate::server::Server;

const PEOPLE: usize = 1_000;
const ROOMS: usize = 200;
const MEMBERS: usize = 20;
/// How long a server that was started again rests before its memory is looked at.
const REST: Duration = Duration::from_secs(3);
const SENDERS: usize = 64;
const STARTS: usize = 10;

/// From the start of the process with an empty store until it answers.
pub async fn starts(options: &Options, report: &mut Report) -> Result<(), Failure> {
    let mut all = Latencies::default();
    for _ in 0..STARTS {
        let server = Server::start(options).await?;
        all.push(server.started_in);
        server.stop().await;
    }
    report.line("start, empty store", vec![("ms p50", all.percentile_ms(0.5)), ("ms at most", all.percentile_ms(1.0))]);
    Ok(())
}

pub async fn at_rest(server: &Server, report: &mut Report) -> Result<(), Failure> {
    tokio::time::sleep(Duration::from_secs(2)).await;
    let memory = server.memory_mib().ok_or("the server's process cannot be watched")?;
    report.line("at rest, empty store", vec![("MiB", memory)]);
    Ok(())
}

/// How a server ends before it is started again.
enum How {
    Ordered,
    Killed,
}

pub async fn million(server: &mut Server, options: &Options, report: &mut Report) -> Result<(), Failure> {
    let mut people = crowd(server.address, &server.as_token, PEOPLE).await?;
    let mut rooms = Vec::with_capacity(ROOMS);
    for number in 0..ROOMS {
        let room = people[number % PEOPLE].create(json!({ "preset": "public_chat" })).await?;
        let members = (1..MEMBERS).map(|step| people[(number + step * 37) % PEOPLE].again()).collect();
        gather(members, &room).await?;
        rooms.push(room);
    }
    let watch = Stopwatch::start(server);
    let (events, each) = (options.events, options.events / ROOMS);
    let tasks: Vec<_> = (0..SENDERS)
        .map(|share| {
            let mine: Vec<_> =
                (share..ROOMS).step_by(SENDERS).map(|n| (people[n % PEOPLE].again(), rooms[n].clone())).collect();
            tokio::spawn(async move {
                let mut mine = mine;
                for number in 0..each {
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
    let mut figures = vec![("events/s", watch.rate(events))];
    figures.extend(server.memory_mib().map(|mib| ("MiB", mib)));
    figures.extend(server.disk_mb().map(|mb| ("MB on disk", mb)));
    report.line(format!("1,000 people, 200 rooms, {events} events"), figures);
    for (words, how) in [("after all of it", How::Ordered), ("again", How::Ordered), ("after kill -9", How::Killed)] {
        let took = match how {
            How::Ordered => server.restart().await?,
            How::Killed => server.crash_and_restart().await?,
        };
        let mut figures = vec![("ms", took.as_secs_f64() * 1000.0)];
        tokio::time::sleep(REST).await;
        figures.extend(server.memory_mib().map(|mib| ("MiB", mib)));
        report.line(format!("start with {events} events, {words}"), figures);
    }
    Ok(())
}
