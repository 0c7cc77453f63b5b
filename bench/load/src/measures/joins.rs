//! A lecture begins: 200 people join one room, 50 at a time.

use serde_json::json;

use super::Stopwatch;
use crate::Failure;
use crate::figures::Report;
use crate::people::crowd;
use crate::server::Server;

const PEOPLE: usize = 200;
const AT_ONCE: usize = 50;

pub async fn into_one_room(server: &Server, report: &mut Report) -> Result<(), Failure> {
    let mut host = crowd(server.address, &server.as_token, 1).await?.remove(0);
    let mut people = crowd(server.address, &server.as_token, PEOPLE).await?;
    let room = host.create(json!({ "preset": "public_chat" })).await?;
    let watch = Stopwatch::start(server);
    let tasks: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let (mut mine, room) = (people.split_off(people.len() - PEOPLE / AT_ONCE), room.clone());
            tokio::spawn(async move {
                for person in &mut mine {
                    person.join(&room).await?;
                }
                Ok::<_, Failure>(())
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    report.line(
        "joins: 200 people, 50 at a time",
        vec![("joins/s", watch.rate(PEOPLE)), ("ms CPU each", watch.cpu_ms_each(PEOPLE))],
    );
    Ok(())
}
