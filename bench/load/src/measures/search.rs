//! Looking for words among many messages: by somebody in every room, while nothing else goes on.

use std::time::{Duration, Instant};

use hyper::Method;
use serde_json::json;

use super::Stopwatch;
use crate::Failure;
use crate::figures::{Latencies, Report};
use crate::options::Options;
use crate::people::{Person, crowd, gather};
use crate::server::Server;

const ROOMS: usize = 200;
const SENDERS: usize = 64;
/// Words that messages are made of; a word is the rarer the later it stands in the list.
const VOCABULARY: usize = 5_000;
const WORDS_EACH: usize = 10;
/// Searches before those that are measured.
const WARM_UP: usize = 50;
const SEARCHES: usize = 500;
/// How long the index may take to hold the last message.
const PATIENCE: Duration = Duration::from_secs(600);
/// In no message but the last.
const LAST: &str = "quetzalcoatlus";

pub async fn words(server: &Server, options: &Options, report: &mut Report) -> Result<(), Failure> {
    let mut people = crowd(server.address, &server.as_token, SENDERS + 1).await?;
    let mut searcher = people.pop().ok_or("nobody is there to search")?;
    let mut rooms = Vec::with_capacity(ROOMS);
    for number in 0..ROOMS {
        let room = people[number % SENDERS].create(json!({ "preset": "public_chat" })).await?;
        gather(vec![searcher.again()], &room).await?;
        rooms.push(room);
    }
    let watch = Stopwatch::start(server);
    fill(&people, &rooms, options.events / ROOMS).await?;
    let told = watch.rate(options.events);
    people[0].say(&rooms[0], "last", LAST).await?;
    let waited = Instant::now();
    while count(&mut searcher, LAST).await? == 0 {
        if waited.elapsed() > PATIENCE {
            return Err("the index did not catch up".into());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    report.line(
        format!("search: {} messages told and indexed", options.events),
        vec![("events/s", told), ("s behind", waited.elapsed().as_secs_f64())],
    );
    for (kind, words) in [("one common word", 1..10), ("one rare word", 4_000..5_000), ("two words", 20..400)] {
        let mut all = Latencies::default();
        for number in 0..WARM_UP + SEARCHES {
            let first = words.start + number % words.len();
            let term = match kind {
                "two words" => format!("{} {}", word(first), word(first / 2)),
                _ => word(first),
            };
            let begun = Instant::now();
            count(&mut searcher, &term).await?;
            if number >= WARM_UP {
                all.push(begun.elapsed());
            }
        }
        report.line(
            format!("search: {kind} in {ROOMS} rooms, warm"),
            vec![("ms p50", all.percentile_ms(0.5)), ("ms p99", all.percentile_ms(0.99))],
        );
    }
    Ok(())
}

/// Says so many messages in every room.
async fn fill(people: &[Person], rooms: &[String], each: usize) -> Result<(), Failure> {
    let tasks: Vec<_> = (0..SENDERS)
        .map(|share| {
            let mine: Vec<_> = (share..ROOMS)
                .step_by(SENDERS)
                .map(|number| (people[number % SENDERS].again(), rooms[number].clone()))
                .collect();
            tokio::spawn(async move {
                let (mut mine, mut draw) = (mine, Draw(share as u64 + 1));
                for number in 0..each {
                    for (person, room) in &mut mine {
                        person.say(room, &format!("s{number}"), &draw.text()).await?;
                    }
                }
                Ok::<_, Failure>(())
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    Ok(())
}

/// How many results a search is said to have.
async fn count(person: &mut Person, term: &str) -> Result<u64, Failure> {
    let wish = json!({ "search_categories": { "room_events": { "search_term": term, "order_by": "recent" } } });
    let found = person.ask(Method::POST, "/_matrix/client/v3/search", Some(&wish)).await?;
    Ok(found["search_categories"]["room_events"]["count"].as_u64().unwrap_or_default())
}

/// The word with a number: letters alone, so that no language cuts anything off.
fn word(number: usize) -> String {
    const SYLLABLES: [&str; 10] = ["ba", "do", "fu", "ga", "ko", "lu", "ma", "no", "pu", "ta"];
    [1_000, 100, 10, 1].map(|place| SYLLABLES[number / place % 10]).concat()
}

/// Chance from a seed.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        // xorshift64: good enough to choose words by.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A message in which common words are more frequent than rare ones.
    fn text(&mut self) -> String {
        let mut words = Vec::with_capacity(WORDS_EACH);
        for _ in 0..WORDS_EACH {
            let share = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
            words.push(word((share * share * share * VOCABULARY as f64) as usize));
        }
        words.join(" ")
    }
}
