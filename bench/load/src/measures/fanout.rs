//! One message to many people who wait in a long poll: how long until the last of them has it.

use std::time::{Duration, Instant};

use tokio::{sync::mpsc, task::JoinHandle};

use super::{Stopwatch, room_of};
use crate::Failure;
use crate::figures::{Latencies, Report};
use crate::people::{Person, sync_path};
use crate::server::Server;

const ROUNDS: usize = 8;
const POLL_MS: u64 = 30_000;
/// Time for every poll to be waiting at the server before the next message.
const SETTLE: Duration = Duration::from_millis(700);

pub async fn wake_all(server: &Server, report: &mut Report) -> Result<(), Failure> {
    for listeners in [100, 500] {
        let (room, mut people) = room_of(server, listeners + 1).await?;
        let mut sender = people.remove(0);
        let (told, mut heard) = mpsc::unbounded_channel();
        let polls = listening(people, &told).await?;
        let mut all = Latencies::default();
        let mut cpu = 0.0;
        for round in 0..ROUNDS {
            tokio::time::sleep(SETTLE).await;
            let watch = Stopwatch::start(server);
            let begun = Instant::now();
            sender.say(&room, &format!("wake{listeners}.{round}"), &format!("marker-{round}")).await?;
            for _ in 0..listeners {
                let (which, when): (usize, Instant) = tokio::time::timeout(Duration::from_secs(30), heard.recv())
                    .await?
                    .ok_or("the listeners are gone")?;
                if which == round {
                    all.push(when - begun);
                }
            }
            cpu += watch.cpu_ms_each(1);
        }
        polls.iter().for_each(JoinHandle::abort);
        let figures = vec![
            ("ms p50", all.percentile_ms(0.5)),
            ("ms p99", all.percentile_ms(0.99)),
            ("ms CPU a message", cpu / ROUNDS as f64),
        ];
        report.line(format!("one message to {listeners} long polls"), figures);
    }
    Ok(())
}

/// Has everybody sync once, so that no message is before anybody's time, and then wait for more.
async fn listening(
    people: Vec<Person>,
    told: &mpsc::UnboundedSender<(usize, Instant)>,
) -> Result<Vec<JoinHandle<Result<(), Failure>>>, Failure> {
    let mut ready = Vec::with_capacity(people.len());
    for mut person in people {
        let since = person.sync(None, 0, "").await?.0;
        ready.push((person, since));
    }
    Ok(ready.into_iter().map(|(person, since)| tokio::spawn(listen(person, since, told.clone()))).collect())
}

/// Syncs for ever and tells when each round's message came.
async fn listen(
    mut person: Person,
    mut since: String,
    told: mpsc::UnboundedSender<(usize, Instant)>,
) -> Result<(), Failure> {
    let mut round = 0;
    loop {
        let body = person.bytes(&sync_path(Some(&since), POLL_MS, "")).await?;
        let now = Instant::now();
        let text = String::from_utf8_lossy(&body);
        if text.contains(&format!("marker-{round}\"")) {
            let _ = told.send((round, now));
            round += 1;
        }
        let answer: serde_json::Value = serde_json::from_slice(&body)?;
        since = answer["next_batch"].as_str().unwrap_or_default().to_owned();
    }
}
