//! Encryption's traffic: one-time keys claimed by many at once, each given once; messages to devices.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use hyper::Method;
use serde_json::{Map, Value, json};

use super::Stopwatch;
use crate::Failure;
use crate::figures::Report;
use crate::options::Options;
use crate::people::{Person, crowd, quoted};
use crate::server::Server;

const KEYS: usize = 10_000;
/// A server may refuse more for one device.
const KEYS_A_DEVICE: usize = 500;
const CLIENTS: usize = 16;

pub async fn claims_and_messages(server: &Server, options: &Options, report: &mut Report) -> Result<(), Failure> {
    let mut owners = crowd(server.address, &server.as_token, KEYS / KEYS_A_DEVICE).await?;
    for owner in &mut owners {
        let keys: Map<String, Value> = (0..KEYS_A_DEVICE)
            .map(|n| {
                (format!("signed_curve25519:n{n}"), json!({ "key": format!("{}.{n}", owner.id), "signatures": {} }))
            })
            .collect();
        owner.ask(Method::POST, "/_matrix/client/v3/keys/upload", Some(&json!({ "one_time_keys": keys }))).await?;
    }
    let devices: Vec<_> = owners.into_iter().map(|owner| (owner.id, owner.device)).collect();
    let clients = crowd(server.address, &server.as_token, CLIENTS).await?;
    let watch = Stopwatch::start(server);
    let tasks: Vec<_> = clients.into_iter().map(|client| tokio::spawn(claim(client, devices.clone()))).collect();
    let mut given = Vec::with_capacity(KEYS);
    for task in tasks {
        given.extend(task.await??);
    }
    let rate = watch.rate(KEYS);
    let distinct: HashSet<_> = given.iter().collect();
    if distinct.len() != given.len() || given.len() != KEYS {
        return Err(
            format!("{KEYS} keys were uploaded, {} given, {} of them distinct", given.len(), distinct.len()).into()
        );
    }
    report.line("one-time keys: 10,000 claimed by 16, each once", vec![("claims/s", rate)]);
    messages(server, options, report).await
}

/// Claims from one device after the other until each has nothing left; all clients meet at the same devices.
async fn claim(mut client: Person, devices: Vec<(String, String)>) -> Result<Vec<String>, Failure> {
    let mut given = Vec::new();
    for (owner, device) in devices {
        let wish = json!({ "one_time_keys": { &owner: { &device: "signed_curve25519" } } });
        loop {
            let answer = client.ask(Method::POST, "/_matrix/client/v3/keys/claim", Some(&wish)).await?;
            match answer["one_time_keys"][&owner][&device].as_object().and_then(|keys| keys.keys().next()) {
                Some(id) => given.push(format!("{owner} {id}")),
                None => break,
            }
        }
    }
    Ok(given)
}

async fn messages(server: &Server, options: &Options, report: &mut Report) -> Result<(), Failure> {
    let people = crowd(server.address, &server.as_token, CLIENTS * 2).await?;
    let recipients: Vec<_> =
        people.iter().skip(CLIENTS).map(|person| (person.id.clone(), person.device.clone())).collect();
    let watch = Stopwatch::start(server);
    let until = Instant::now() + Duration::from_secs(options.seconds);
    let tasks: Vec<_> = people
        .into_iter()
        .take(CLIENTS)
        .zip(recipients)
        .map(|(mut person, (user, device))| {
            tokio::spawn(async move {
                let body = json!({ "messages": { user: { device: { "algorithm": "m.olm.v1.curve25519-aes-sha2", "ciphertext": "x".repeat(400) } } } });
                let mut count = 0_usize;
                while Instant::now() < until {
                    let path = format!("/_matrix/client/v3/sendToDevice/m.room.encrypted/{}", quoted(&format!("d{count}")));
                    person.ask(Method::PUT, &path, Some(&body)).await?;
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
        "messages to devices: 16 senders",
        vec![("messages/s", watch.rate(count)), ("ms CPU each", watch.cpu_ms_each(count))],
    );
    Ok(())
}
