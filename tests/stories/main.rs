//! Whole servers in one process: what people do, told as stories. One binary, so that it links once.

#[expect(dead_code, reason = "vocabulary for stories that are still to be told")]
mod support;

mod across;
mod calls;
mod configuration;
mod delayed;
mod discovery;
mod federation;
mod institution;
mod media;
mod messaging;
mod older_sync;
mod people;
mod process;
mod push;
mod room_finds;
mod room_members;
mod rooms;
mod search;
mod synapse_admin;
mod tidy;
