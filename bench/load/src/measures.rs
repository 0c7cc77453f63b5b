//! The measures by name, and what several of them share.

mod fanout;
mod federation;
mod history;
mod join;
mod joins;
mod keys;
mod mix;
mod search;
mod send;
mod size;
mod sync;
mod thumbnails;

use std::time::{Duration, Instant};

use serde_json::json;

use crate::Failure;
use crate::figures::Report;
use crate::options::Options;
use crate::people::{Person, crowd, gather};
use crate::server::Server;

pub const NAMES: [&str; 18] = [
    "start",
    "rest",
    "send",
    "one",
    "fanout",
    "initial",
    "empty",
    "slide",
    "history",
    "joins",
    "big",
    "mix",
    "keys",
    "federation",
    "join",
    "million",
    "search",
    "thumbnails",
];
/// Those that take many minutes: only when they are named.
pub const LONG: [&str; 2] = ["million", "search"];

pub async fn run(name: &str, server: &mut Server, options: &Options, report: &mut Report) -> Result<(), Failure> {
    match name {
        "start" => size::starts(options, report).await,
        "rest" => size::at_rest(server, report).await,
        "send" => send::many_rooms(server, options, report).await,
        "one" => send::one_room(server, options, report).await,
        "fanout" => fanout::wake_all(server, report).await,
        "initial" => sync::initial(server, report).await,
        "empty" => sync::empty(server, options, report).await,
        "slide" => sync::slide(server, report).await,
        "history" => history::pages(server, options, report).await,
        "joins" => joins::into_one_room(server, report).await,
        "big" => send::big_room(server, options, report).await,
        "mix" => mix::campus(server, options, report).await,
        "keys" => keys::claims_and_messages(server, options, report).await,
        "federation" => federation::between_two(options, report).await,
        "join" => join::of_another_server(options, report).await,
        "million" => size::million(server, options, report).await,
        "search" => search::words(server, options, report).await,
        "thumbnails" => thumbnails::while_talking(server, report).await,
        _ => Err(format!("there is no measure {name}").into()),
    }
}

/// A public room with this many members, its creator first.
async fn room_of(server: &Server, size: usize) -> Result<(String, Vec<Person>), Failure> {
    let mut people = crowd(server.address, &server.as_token, size).await?;
    let room = people[0].create(json!({ "preset": "public_chat" })).await?;
    let others = people.split_off(1);
    people.extend(gather(others, &room).await?);
    Ok((room, people))
}

/// The processor time and the wall time since it was made.
struct Stopwatch<'a> {
    server: &'a Server,
    begun: Instant,
    cpu_ms: Option<f64>,
}

impl<'a> Stopwatch<'a> {
    fn start(server: &'a Server) -> Self {
        Self { server, begun: Instant::now(), cpu_ms: server.cpu_ms() }
    }

    fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// How many a second.
    fn rate(&self, count: usize) -> f64 {
        count as f64 / self.elapsed().as_secs_f64()
    }

    /// Server processor time for each, in milliseconds; not a number where the process is not ours to watch.
    fn cpu_ms_each(&self, count: usize) -> f64 {
        match (self.cpu_ms, self.server.cpu_ms()) {
            (Some(before), Some(after)) => (after - before) / count as f64,
            _ => f64::NAN,
        }
    }
}
