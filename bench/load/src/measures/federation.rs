//! Two servers that speak with each other over TLS on loopback: how long a message takes from one to a long poll at the other,
//! and whether under load all arrive, once, in the order in which each person sent them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hyper::Method;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::Failure;
use crate::authority::Authority;
use crate::figures::{Latencies, Report};
use crate::options::Options;
use crate::people::{Person, quoted, sync_path};
use crate::server::Server;

/// Messages whose way is timed, one after another; the first ones find and prove the other server and are not counted.
const TIMED: usize = 320;
const WARM_UP: usize = 20;
/// Between two timed messages, so that the poll is waiting again.
const SETTLE: Duration = Duration::from_millis(25);
/// Messages each way under load, by so many people of each server at once.
const MESSAGES: usize = 1_000;
const SENDERS: usize = 4;
const POLL_MS: u64 = 30_000;
const PATIENCE: Duration = Duration::from_secs(120);
/// No answer of a sync leaves anything out.
const WHOLE: &str = r#"{"room":{"timeline":{"limit":1000}}}"#;

pub async fn between_two(options: &Options, report: &mut Report) -> Result<(), Failure> {
    let authority = Authority::new().await?;
    let (alpha, beta) =
        (Server::start_with(options, &authority).await?, Server::start_with(options, &authority).await?);
    let outcome = measure((&alpha, &beta), report).await;
    alpha.stop().await;
    beta.stop().await;
    outcome
}

async fn measure((alpha, beta): (&Server, &Server), report: &mut Report) -> Result<(), Failure> {
    let mut people = Both { alpha: crowd_of(alpha).await?, beta: crowd_of(beta).await? };
    let room = people.alpha[0].create(json!({ "preset": "public_chat" })).await?;
    for (server, side) in [(alpha, &mut people.alpha), (beta, &mut people.beta)] {
        for person in side.iter_mut() {
            let path = format!("/_matrix/client/v3/join/{}?via={}", quoted(&room), quoted(&alpha.name));
            let joined = person.ask(Method::POST, &path, Some(&json!({}))).await;
            joined.map_err(|why| format!("{} cannot join: {why}", server.name))?;
        }
    }
    let there = one_by_one(&mut people.alpha[0], &people.beta[0], &room, "there").await?;
    let back = one_by_one(&mut people.beta[0], &people.alpha[0], &room, "back").await?;
    for (way, mut times) in [("one way", there), ("the other", back)] {
        let figures = vec![("ms p50", times.percentile_ms(0.5)), ("ms p99", times.percentile_ms(0.99))];
        report.line(format!("a message to a long poll at another server, {way}"), figures);
    }
    let seconds = under_load(people, &room).await?.as_secs_f64();
    let rate = (2 * MESSAGES) as f64 / seconds;
    report.line("1,000 messages each way at once, all once and in order", vec![("s", seconds), ("events/s", rate)]);
    Ok(())
}

/// The people of two servers.
struct Both {
    alpha: Vec<Person>,
    beta: Vec<Person>,
}

async fn crowd_of(server: &Server) -> Result<Vec<Person>, Failure> {
    crate::people::crowd(server.address, &server.as_token, SENDERS).await
}

/// Sends one message after the other and waits until a poll at the other server has each.
async fn one_by_one(sender: &mut Person, listener: &Person, room: &str, what: &str) -> Result<Latencies, Failure> {
    let mut listener = listener.again();
    let since = listener.sync(None, 0, WHOLE).await?.0;
    let (told, mut heard) = mpsc::unbounded_channel();
    let poll = tokio::spawn(async move { listen(listener, since, told).await });
    let mut times = Latencies::default();
    for number in 0..TIMED {
        tokio::time::sleep(SETTLE).await;
        let (text, begun) = (format!("{what}-{number}"), Instant::now());
        sender.say(room, &format!("one.{text}"), &text).await?;
        loop {
            let (said, at) = tokio::time::timeout(PATIENCE, heard.recv()).await?.ok_or("the poll has ended")?;
            if said.1 == text {
                if number >= WARM_UP {
                    times.push(at - begun);
                }
                break;
            }
        }
    }
    poll.abort();
    Ok(times)
}

/// Who said what.
type Said = (String, String);

/// Syncs for ever and tells of each message when it came.
async fn listen(
    mut person: Person,
    mut since: String,
    told: mpsc::UnboundedSender<(Said, Instant)>,
) -> Result<(), Failure> {
    loop {
        let body = person.bytes(&sync_path(Some(&since), POLL_MS, WHOLE)).await?;
        let now = Instant::now();
        let answer: Value = serde_json::from_slice(&body)?;
        for room in answer["rooms"]["join"].as_object().into_iter().flat_map(|rooms| rooms.values()) {
            for event in room["timeline"]["events"].as_array().into_iter().flatten() {
                if let (Some(sender), Some(text)) = (event["sender"].as_str(), event["content"]["body"].as_str()) {
                    let _ = told.send(((sender.to_owned(), text.to_owned()), now));
                }
            }
        }
        since = answer["next_batch"].as_str().unwrap_or_default().to_owned();
    }
}

/// Everybody sends at once. Answers how long it took until each server's people had heard all of the other's.
async fn under_load(people: Both, room: &str) -> Result<Duration, Failure> {
    let begun = Instant::now();
    let mut hearing = Vec::new();
    for (side, other) in [(&people.alpha, &people.beta), (&people.beta, &people.alpha)] {
        let mut listener = side[0].again();
        let since = listener.sync(None, 0, WHOLE).await?.0;
        let (told, heard) = mpsc::unbounded_channel();
        let poll = tokio::spawn(async move { listen(listener, since, told).await });
        let senders = other.iter().map(|person| person.id.clone()).collect();
        hearing.push((poll, tokio::spawn(hear_all(heard, senders))));
    }
    let all = people.alpha.into_iter().chain(people.beta);
    let sending: Vec<_> = all.map(|person| tokio::spawn(send_all(person, room.to_owned()))).collect();
    for one in sending {
        one.await??;
    }
    for (poll, heard) in hearing {
        heard.await??;
        poll.abort();
    }
    Ok(begun.elapsed())
}

async fn send_all(mut person: Person, room: String) -> Result<(), Failure> {
    for number in 0..MESSAGES / SENDERS {
        person.say(&room, &format!("load.{number}"), &format!("load {number}")).await?;
    }
    Ok(())
}

/// Hears until everybody has said everything; fails when something comes twice or out of turn.
async fn hear_all(mut heard: mpsc::UnboundedReceiver<(Said, Instant)>, senders: Vec<String>) -> Result<(), Failure> {
    let mut next: BTreeMap<String, usize> = senders.into_iter().map(|sender| (sender, 0)).collect();
    while next.values().any(|count| *count < MESSAGES / SENDERS) {
        let came = tokio::time::timeout(PATIENCE, heard.recv()).await;
        let ((sender, text), _) = came.map_err(|_| format!("not all came: {next:?}"))?.ok_or("the poll has ended")?;
        let (Some(count), Some(number)) = (next.get_mut(&sender), text.strip_prefix("load ")) else { continue };
        if number != count.to_string() {
            return Err(format!("{sender} said {number} where {count} was next").into());
        }
        *count += 1;
    }
    Ok(())
}
