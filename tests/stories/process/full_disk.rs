//! A disk that fills up under the program: it says so and ends, however many wait for the disk at that moment.
//!
//! The disk is a small file system in memory, mounted for one process where that is allowed (as root).

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use serde_json::json;
use tempfile::TempDir;

use super::{Program, configured};

/// Whether the program ends depends on who waits for the disk when it is full, so it is tried again.
const ROUNDS: u32 = 3;

/// People at once who write until they are no longer answered.
const WRITERS: u32 = 8;

/// Messages of each at most: many times what the disk holds.
const MESSAGES_MAX: u32 = 2_000;

/// A message in bytes.
const MESSAGE_BYTES: usize = 26_000;

const SETTINGS: &str =
    "[registration]\nmode = \"open\"\n[rate_limits]\nenabled = false\n[federation]\nenabled = false\n";

/// A program that keeps its data on a disk of 14 MiB, and is killed when it has not ended after two minutes.
const ON_A_SMALL_DISK: &str =
    "mkdir data && mount -t tmpfs -o size=14m tmpfs data && exec timeout -s KILL 120 \"$LYCEUM\" serve";

fn alone(script: &str, directory: &Path) -> Command {
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", script]).current_dir(directory).env_remove("LYCEUM_CONFIG");
    command.env("LYCEUM", env!("CARGO_BIN_EXE_lyceum")).stdin(Stdio::null());
    command
}

fn may_mount() -> bool {
    let directory = tempfile::tempdir().expect("a directory for the test");
    let tried = alone("mount -t tmpfs -o size=1m tmpfs .", directory.path()).output();
    tried.is_ok_and(|tried| tried.status.success())
}

#[test]
fn a_full_disk_stops_the_server_with_a_message_and_a_failure() {
    if !may_mount() {
        let _ = writeln!(std::io::stderr(), "SKIPPED: a really full disk, as this user may not mount one");
        return;
    }
    for _ in 0..ROUNDS {
        fills_the_disk(configured(SETTINGS));
    }
}

fn fills_the_disk(directory: TempDir) {
    let command = alone(ON_A_SMALL_DISK, directory.path());
    let mut program = Program::started_by(command, directory);
    let person = json!({ "username": "ada", "password": "correct horse", "auth": { "type": "m.login.dummy" } });
    let ada = program.ask("POST /_matrix/client/v3/register", "", &person);
    let token = ada["access_token"].as_str().expect("a token");
    let room = program.ask("POST /_matrix/client/v3/createRoom", token, &json!({}));
    let room = room["room_id"].as_str().expect("a room").replace('!', "%21");
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (program, room) = (&program, &room);
            scope.spawn(move || writes_until_refused(program, token, room, writer));
        }
    });
    let (code, log) = program.ended();
    assert_eq!(code, Some(1), "it should have ended by itself: {log}");
    for words in ["the store failed, so the server stops", "see to the disk"] {
        assert!(log.contains(words), "{words:?} should have been said: {log}");
    }
}

fn writes_until_refused(program: &Program, token: &str, room: &str, writer: u32) {
    let body = json!({ "msgtype": "m.text", "body": "a long message ".repeat(MESSAGE_BYTES / 15) }).to_string();
    let headers = format!("Authorization: Bearer {token}\r\nContent-Length: {}\r\n", body.len());
    for message in 0..MESSAGES_MAX {
        let what = format!("PUT /_matrix/client/v3/rooms/{room}/send/m.room.message/{writer}-{message}");
        match program.try_request(&what, &headers, &body) {
            Ok(answer) if answer.starts_with("HTTP/1.1 200") => {}
            // Whatever the answer of a server whose disk is full: it is no acknowledgement.
            _ => return,
        }
    }
    panic!("the disk should have been full after {MESSAGES_MAX} messages");
}
