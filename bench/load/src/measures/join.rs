//! Somebody comes into a large room of another server over TLS on loopback: how long until they are in, can read and can speak, and
//! how long until their server knows everybody who is there.

use std::time::{Duration, Instant};

use hyper::Method;
use serde_json::json;

use super::Stopwatch;
use crate::Failure;
use crate::authority::Authority;
use crate::figures::Report;
use crate::options::Options;
use crate::people::{Person, crowd, gather, quoted};
use crate::server::Server;

/// What a phone asks for: who is there comes with what they say.
const LAZY: &str = r#"{"room":{"timeline":{"limit":20},"state":{"lazy_load_members":true}}}"#;
/// People who prepare the room at a time: each has a connection.
const CONNECTED_MAX: usize = 500;
const PATIENCE: Duration = Duration::from_secs(180);

pub async fn of_another_server(options: &Options, report: &mut Report) -> Result<(), Failure> {
    let authority = Authority::new().await?;
    let (alpha, beta) =
        (Server::start_with(options, &authority).await?, Server::start_with(options, &authority).await?);
    let outcome = measure((&alpha, &beta), options.members, report).await;
    alpha.stop().await;
    beta.stop().await;
    outcome
}

async fn measure((alpha, beta): (&Server, &Server), members: usize, report: &mut Report) -> Result<(), Failure> {
    let mut host = crowd(alpha.address, &alpha.as_token, 1).await?.remove(0);
    let room = host.create(json!({ "preset": "public_chat" })).await?;
    for begin in (1..members).step_by(CONNECTED_MAX) {
        let people = crowd(alpha.address, &alpha.as_token, CONNECTED_MAX.min(members - begin)).await?;
        gather(people, &room).await?;
    }
    let mut newcomers = crowd(beta.address, &beta.as_token, 2).await?;
    // The first finds and proves the other server, and a small room warms nothing of the large one.
    let small = host.create(json!({ "preset": "public_chat" })).await?;
    join(&mut newcomers[0], &small, alpha).await?;

    let (there, here) = (Stopwatch::start(alpha), Stopwatch::start(beta));
    let who = &mut newcomers[1];
    join(who, &room, alpha).await?;
    let joined = here.elapsed();
    let (_, answer) = who.sync(None, 0, LAZY).await?;
    let synced = here.elapsed();
    if answer["rooms"]["join"].get(&room).is_none() {
        return Err("the sync after the join does not know the room".into());
    }
    who.say(&room, "hello", "hello").await?;
    let said = here.elapsed();
    heard(&mut host, &room, "hello").await?;
    let heard = here.elapsed();
    everybody(who, &room, members + 1).await?;
    let seconds = |after: Duration| after.as_secs_f64();
    report.line(
        format!("joining a room of {members} people of another server"),
        vec![
            ("s until in", seconds(joined)),
            ("s until synced", seconds(synced)),
            ("s until said", seconds(said)),
            ("s until heard", seconds(heard)),
            ("s until all members", seconds(here.elapsed())),
            ("ms CPU here", here.cpu_ms_each(1)),
            ("ms CPU there", there.cpu_ms_each(1)),
        ],
    );
    Ok(())
}

async fn join(who: &mut Person, room: &str, by: &Server) -> Result<(), Failure> {
    let path = format!("/_matrix/client/v3/join/{}?via={}", quoted(room), quoted(&by.name));
    who.ask(Method::POST, &path, Some(&json!({}))).await.map(drop)
}

/// Waits until somebody of the other server can read what was said.
async fn heard(listener: &mut Person, room: &str, text: &str) -> Result<(), Failure> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let path = format!("/_matrix/client/v3/rooms/{}/messages?dir=b&limit=5", quoted(room));
        let answer = listener.ask(Method::GET, &path, None).await?;
        let said = answer["chunk"].as_array().into_iter().flatten();
        if said.into_iter().any(|event| event["content"]["body"] == text) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Err("what was said did not arrive at the other server".into())
}

/// Waits until somebody is told of so many members.
async fn everybody(who: &mut Person, room: &str, members: usize) -> Result<(), Failure> {
    let path = format!("/_matrix/client/v3/rooms/{}/joined_members", quoted(room));
    let answer = tokio::time::timeout(PATIENCE, who.ask(Method::GET, &path, None)).await??;
    let told = answer["joined"].as_object().map_or(0, serde_json::Map::len);
    if told == members { Ok(()) } else { Err(format!("{told} of {members} members are told of").into()) }
}
