//! What no server should be sent, and is: each gets the specification's status and errcode and changes nothing.

mod bodies;
mod events;
mod everywhere;
mod people;

use super::support::{Campus, Person};

/// Two people at one server.
async fn two() -> (Campus, Person, Person) {
    let campus = Campus::of(["alpha"]).await;
    let (ann, ben) = (campus.person("ann").await, campus.person("ben").await);
    (campus, ann, ben)
}
