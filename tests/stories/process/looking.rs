//! Commands that look at the data: they make none where there are none, and take no other server's for their own.

use std::net::TcpListener;
use std::path::Path;
use std::process::Output;

use super::{Program, configured, lyceum, output};

#[track_caller]
fn fails_saying(told: &Output, words: &[&str]) {
    let said = format!("{}{}", String::from_utf8_lossy(&told.stdout), String::from_utf8_lossy(&told.stderr));
    assert_eq!(told.status.code(), Some(1), "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is not in {said}");
    }
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).expect("it can be listed");
    entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn where_there_is_no_data_looking_makes_none() {
    let directory = configured("");
    let (place, data) = (directory.path(), directory.path().join("data"));
    std::fs::create_dir(&data).expect("a directory can be made");
    let looks: [&[&str]; 7] = [
        &["check"],
        &["audit", "verify"],
        &["user", "list"],
        &["unit", "list"],
        &["backup", "saved"],
        &["federation", "status"],
        &["search", "rebuild"],
    ];
    for look in looks {
        fails_saying(&output(place, look), &["there is no data in", "--config"]);
        assert_eq!(names(&data), Vec::<String>::new(), "{look:?} should make nothing");
    }
    assert!(output(place, &["user", "create", "ada", "--generate"]).status.success(), "an account may come first");
    assert!(output(place, &["check"]).status.success());
}

#[test]
fn without_its_key_the_data_are_left_alone() {
    let directory = configured("");
    let place = directory.path();
    std::fs::create_dir(place.join("data")).expect("a directory can be made");
    assert!(output(place, &["user", "create", "ada", "--generate"]).status.success());
    std::fs::remove_file(place.join("data/signing.key")).expect("the key is there");
    fails_saying(&output(place, &["check"]), &["signing.key cannot be read"]);
    assert!(!place.join("data/signing.key").exists(), "a look should make no key");
}

#[test]
fn data_of_another_name_are_left_alone_and_told_of() {
    let mut program = Program::start();
    assert!(output(program.directory.path(), &["backup", "saved"]).status.success());
    program.signal("TERM");
    program.ended();
    let place = program.directory.path();
    let path = place.join("config.toml");
    let settings = std::fs::read_to_string(&path).expect("the configuration can be read");
    let renamed = settings.replace("campus.example", "localhost");
    std::fs::write(&path, &renamed).expect("the configuration can be written");
    let words = ["\"campus.example\"", "put server.name", "server.data_dir"];
    for command in ["serve", "check", "doctor"] {
        fails_saying(&output(place, &[command]), &words);
    }
    let elsewhere = renamed.replace("[[listeners]]", "data_dir = \"elsewhere\"\n[[listeners]]");
    std::fs::write(&path, elsewhere).expect("the configuration can be written");
    fails_saying(&output(place, &["restore", "saved"]), &words);
    std::fs::write(&path, settings).expect("the configuration can be written");
    assert!(output(place, &["check"]).status.success(), "under its own name all is well");
}

#[test]
fn data_from_before_the_name_was_noted_tell_it_by_their_people() {
    let directory = configured("");
    let place = directory.path();
    std::fs::create_dir(place.join("data")).expect("a directory can be made");
    // No server has started, so nothing is noted.
    assert!(output(place, &["user", "create", "ada", "--generate"]).status.success());
    let path = place.join("config.toml");
    let settings = std::fs::read_to_string(&path).expect("the configuration can be read");
    std::fs::write(&path, settings.replace("campus.example", "localhost")).expect("it can be written");
    fails_saying(&output(place, &["serve"]), &["\"campus.example\"", "put server.name"]);
}

#[test]
fn the_doctor_looks_at_the_store_and_at_the_port_of_the_figures() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = taken.local_addr().expect("it is bound");
    let database = "[storage]\nengine = \"postgres\"\nurl = \"postgres://someone@127.0.0.1:1/campus\"\n";
    let directory =
        configured(&format!("{database}[metrics]\naddress = \"{address}\"\n[federation]\nenabled = false\n"));
    // Of a server of this name nothing is asked in the network.
    let told = lyceum(directory.path(), &["doctor"]).env("LYCEUM_SERVER__NAME", "localhost").output();
    let told = told.expect("the program can be run");
    let said = String::from_utf8_lossy(&told.stdout).into_owned();
    let line = |about: &str| said.lines().find(|line| line.contains(about)).unwrap_or_default().to_owned();
    assert!(line(" store ").starts_with("WRONG") && line(" store ").contains("campus"), "{said}");
    assert!(line(" metrics ").starts_with("WRONG") && line(" metrics ").contains("already in use"), "{said}");
}
