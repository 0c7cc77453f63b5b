//! Sending: throughput over several rooms, latency in one, and what a big room costs more than a small one.

use std::time::{Duration, Instant};

use super::{Stopwatch, room_of};
use crate::Failure;
use crate::figures::{Latencies, Report};
use crate::options::Options;
use crate::people::Person;
use crate::server::Server;

const ROOMS: usize = 10;
const MEMBERS: usize = 20;
const SENDERS: usize = 16;
const WARM_UP: Duration = Duration::from_millis(500);

pub async fn many_rooms(server: &Server, options: &Options, report: &mut Report) -> Result<(), Failure> {
    let mut senders = Vec::new();
    for number in 0..ROOMS {
        let (room, mut people) = room_of(server, MEMBERS).await?;
        let wanted = SENDERS / ROOMS + usize::from(number < SENDERS % ROOMS);
        senders.extend(people.drain(..wanted).map(|person| (person, room.clone())));
    }
    let disk = server.disk_mb();
    let watch = Stopwatch::start(server);
    let until = Instant::now() + Duration::from_secs(options.seconds);
    let tasks: Vec<_> =
        senders.into_iter().map(|(person, room)| tokio::spawn(speak_until(person, room, until))).collect();
    let mut all = Latencies::default();
    for task in tasks {
        all.extend(task.await??);
    }
    let (rate, cpu, count) = (watch.rate(all.len()), watch.cpu_ms_each(all.len()), all.len());
    let mut figures = vec![
        ("events/s", rate),
        ("ms CPU each", cpu),
        ("ms p50", all.percentile_ms(0.5)),
        ("ms p99", all.percentile_ms(0.99)),
    ];
    if let (Some(before), Some(after)) = (disk, server.disk_mb()) {
        figures.push(("MB per 10,000", (after - before) * 10_000.0 / count as f64));
    }
    figures.extend(server.memory_mib().map(|mib| ("MiB then", mib)));
    report.line("send: 10 rooms of 20, 16 senders", figures);
    Ok(())
}

pub async fn one_room(server: &Server, options: &Options, report: &mut Report) -> Result<(), Failure> {
    let (room, mut people) = room_of(server, MEMBERS).await?;
    let sender = people.remove(0);
    let mut all = speak_until(sender, room, Instant::now() + Duration::from_secs(options.seconds)).await?;
    report.line(
        "send: one room, one sender",
        vec![("ms p50", all.percentile_ms(0.5)), ("ms p99", all.percentile_ms(0.99))],
    );
    Ok(())
}

pub async fn big_room(server: &Server, options: &Options, report: &mut Report) -> Result<(), Failure> {
    let (small, mut few) = room_of(server, 10).await?;
    let (big, mut many) = room_of(server, options.members).await?;
    let mut medians = Vec::new();
    let mut costs = Vec::new();
    for (words, room, sender) in [("10", small, few.remove(0)), ("many", big, many.remove(0))] {
        let sender = warmed(sender, &room).await?;
        let watch = Stopwatch::start(server);
        let mut all = speak_until(sender, room, Instant::now() + Duration::from_secs(options.seconds)).await?;
        let cost = watch.cpu_ms_each(all.len());
        let size = if words == "10" { 10 } else { options.members };
        report.line(
            format!("send: into a room of {size}"),
            vec![("ms p50", all.percentile_ms(0.5)), ("ms CPU each", cost)],
        );
        medians.push(all.percentile_ms(0.5));
        costs.push(cost);
    }
    let ratio = |pair: &[f64]| pair[1] / pair[0];
    report.line("send: big room over small", vec![("times p50", ratio(&medians)), ("times CPU", ratio(&costs))]);
    Ok(())
}

async fn warmed(sender: Person, room: &str) -> Result<Person, Failure> {
    let again = sender.again();
    speak_until(sender, room.to_owned(), Instant::now() + WARM_UP).await?;
    Ok(again)
}

/// Says one thing after another until the time is up; the latency of each.
async fn speak_until(mut person: Person, room: String, until: Instant) -> Result<Latencies, Failure> {
    let mut latencies = Latencies::default();
    let mut number = 0_u64;
    let tag = until.elapsed().as_nanos() ^ std::ptr::from_ref(&latencies).addr() as u128;
    while Instant::now() < until {
        number += 1;
        let begun = Instant::now();
        person
            .say(&room, &format!("t{tag}.{number}"), "The quick brown fox jumps over the lazy dog, and so do I.")
            .await?;
        latencies.push(begun.elapsed());
    }
    Ok(latencies)
}
