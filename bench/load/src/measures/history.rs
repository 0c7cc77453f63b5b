//! Reading back: pages of a hundred events.

use std::time::{Duration, Instant};

use hyper::Method;

use super::{Stopwatch, room_of};
use crate::Failure;
use crate::figures::Report;
use crate::options::Options;
use crate::people::{Person, quoted};
use crate::server::Server;

const EVENTS: usize = 4_000;
const READERS: usize = 4;
const WRITERS: usize = 8;

pub async fn pages(server: &Server, options: &Options, report: &mut Report) -> Result<(), Failure> {
    let (room, people) = room_of(server, WRITERS).await?;
    let writers: Vec<_> = people
        .into_iter()
        .map(|mut person| {
            let room = room.clone();
            tokio::spawn(async move {
                for number in 0..EVENTS / WRITERS {
                    person
                        .say(&room, &format!("h{number}"), "A line that is read back later, of the usual length.")
                        .await?;
                }
                Ok::<_, Failure>(person)
            })
        })
        .collect();
    let mut readers = Vec::new();
    for writer in writers {
        readers.push(writer.await??);
    }
    let watch = Stopwatch::start(server);
    let until = Instant::now() + Duration::from_secs(options.seconds);
    let tasks: Vec<_> =
        readers.into_iter().take(READERS).map(|person| tokio::spawn(read_until(person, room.clone(), until))).collect();
    let mut count = 0;
    for task in tasks {
        count += task.await??;
    }
    report.line(
        "history: pages of 100, 4 readers",
        vec![("events/s", watch.rate(count)), ("ms CPU per 1,000", watch.cpu_ms_each(count) * 1000.0)],
    );
    Ok(())
}

/// Pages from the newest event to the oldest, again and again.
async fn read_until(mut person: Person, room: String, until: Instant) -> Result<usize, Failure> {
    let base = format!("/_matrix/client/v3/rooms/{}/messages?dir=b&limit=100", quoted(&room));
    let (mut count, mut from) = (0, None::<String>);
    while Instant::now() < until {
        let path = from.as_ref().map_or_else(|| base.clone(), |from| format!("{base}&from={}", quoted(from)));
        let page = person.ask(Method::GET, &path, None).await?;
        count += page["chunk"].as_array().map_or(0, Vec::len);
        from = page["end"].as_str().map(str::to_owned);
    }
    Ok(count)
}
