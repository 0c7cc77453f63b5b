//! The server as matrix-sdk meets it, the engine of Element X: room lists over sliding sync, timelines, the send queue,
//! encryption and what an app does with a push. Told to the server at `HS_URL`, a line for each step.

#![recursion_limit = "256"] // matrix-sdk's futures are deep.

mod encryption;
mod everyday;
mod notifications;
mod people;
mod rooms;
mod story;
mod threads;

use std::process::ExitCode;

use story::Story;

#[tokio::main]
async fn main() -> ExitCode {
    let mut story = Story::begin("matrix-sdk");
    let told = async {
        rooms::tell(&mut story).await?;
        everyday::tell(&mut story).await?;
        threads::tell(&mut story).await?;
        encryption::tell(&mut story).await?;
        notifications::tell(&mut story).await
    };
    if let Err(why) = told.await {
        story.broke_off(&why);
    }
    story.end()
}
