//! Whole servers in one process: what people do, told as stories. One binary, so that it links once.

mod support;

mod across;
mod appservices;
mod bad_input;
mod calls;
mod configuration;
mod delayed;
mod discovery;
mod errors;
mod federation;
mod institution;
mod media;
mod messaging;
mod notices;
mod older_clients;
mod older_sync;
mod people;
mod process;
mod push;
mod redactions;
mod room_finds;
mod room_members;
mod rooms;
mod search;
mod sliding;
mod synapse_admin;
mod synapse_rooms;
mod threads;
mod tidy;
mod unread;
mod upgrades;
