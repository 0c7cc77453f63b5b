//! What whoever sets a server up gets wrong is told before anything is made, with the line that says it.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use super::{Program, lyceum, output};

/// A directory with a configuration that has these lines beside what is needed.
fn place(lines: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory for the test");
    let settings = format!("[server]\nname = \"campus.example\"\n[[listeners]]\naddress = \"127.0.0.1:0\"\n{lines}");
    fs::write(directory.path().join("config.toml"), settings).expect("the configuration can be written");
    directory
}

/// The command is refused with all of these words.
#[track_caller]
fn refused(directory: &Path, command: &[&str], words: &[&str]) {
    let output = output(directory, command);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{command:?} should be refused: {told}");
    for word in words {
        assert!(told.contains(word), "{word:?} is not in {told}");
    }
    assert!(!told.contains("os error"), "the system's numbers say nothing to people: {told}");
}

/// What there is in a directory.
fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("the directory can be listed");
    entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn a_signing_key_that_is_none_is_told_before_anything_is_made() {
    let directory = place("");
    let (place, data) = (directory.path(), directory.path().join("data"));
    fs::create_dir(&data).expect("a directory can be made");
    fs::write(data.join("signing.key"), "junk\n").expect("a file can be written");
    let words = ["config.toml", "server.data_dir", "signing.key holds no signing key: a signing key is one line"];
    refused(place, &["check-config"], &words);
    refused(place, &["serve"], &words);
    refused(place, &["init", "--server-name", "campus.example", "--output", "new.toml", "--yes"], &words[2..]);
    assert!(!place.join("new.toml").exists(), "a configuration for no key is of no use");
    assert_eq!(names(&data), ["signing.key"], "nothing was made beside it");
    fs::remove_file(data.join("signing.key")).expect("it can be removed");
    fs::create_dir(data.join("signing.key")).expect("a directory can be made");
    refused(place, &["check-config"], &["the signing key", "it is a directory"]);
}

#[test]
fn a_backup_with_a_key_that_is_none_is_not_restored() {
    let program = Program::start();
    let from = program.directory.path();
    assert!(output(from, &["backup", "saved"]).status.success());
    fs::write(from.join("saved/signing.key"), "junk\n").expect("a file can be written");
    let directory = place("");
    let saved = from.join("saved").display().to_string();
    refused(directory.path(), &["restore", &saved], &["is no backup", "holds no signing key"]);
    assert!(!directory.path().join("data").exists(), "nothing was made");
}

#[test]
fn files_that_the_settings_name_are_tried_before_anything_is_made() {
    let registration = |id: &str, token: &str, bot: &str| {
        format!(
            "id: {id}\nurl: null\nas_token: {token}-for-the-server\nhs_token: {token}-of-the-server\n\
             sender_localpart: {bot}\nnamespaces: {{}}\n"
        )
    };
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let cases = [
        (
            "[federation]\ntrusted_ca_files = [\"a\"]",
            vec![("a", broken.to_owned())],
            "federation.trusted_ca_files[0]: ",
        ),
        (
            "[appservices]\nfiles = [\"a\", \"b\"]",
            vec![("a", registration("irc", "one", "irc")), ("b", registration("irc", "two", "bot"))],
            "appservices.files[1]: b: its id is also that of the service \"irc\"",
        ),
        (
            "[appservices]\nfiles = [\"a\"]",
            vec![("a", registration("irc", "one", "Bad Bot!"))],
            "appservices.files[0]: a: sender_localpart \"Bad Bot!\" cannot be a user name",
        ),
    ];
    for (lines, files, words) in cases {
        let directory = place(lines);
        for (name, text) in files {
            fs::write(directory.path().join(name), text).expect("a file can be written");
        }
        for command in ["check-config", "serve"] {
            refused(directory.path(), &[command], &["config.toml:6", words]);
        }
        assert!(!directory.path().join("data").exists(), "nothing was made");
    }
}

#[test]
fn a_port_that_is_taken_is_told_with_its_line_and_a_trial_is_told_of_the_way_out() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = taken.local_addr().expect("it is bound").to_string();
    let directory = place(&format!("[metrics]\naddress = {address:?}"));
    for command in ["check-config", "serve"] {
        refused(directory.path(), &[command], &["config.toml:6: metrics.address", "already in use"]);
    }
    let empty = tempfile::tempdir().expect("a directory for the test");
    let trial = lyceum(empty.path(), &["serve"]).env("LYCEUM_LISTENERS__0__ADDRESS", &address).output();
    let told = String::from_utf8_lossy(&trial.expect("the program can be run").stderr).into_owned();
    assert!(told.contains("already in use") && told.contains("LYCEUM_LISTENERS__0__ADDRESS=127.0.0.1:8009"), "{told}");
    assert!(names(empty.path()).is_empty(), "nothing was made");
}

#[test]
fn the_configuration_of_a_running_server_can_be_checked() {
    let program = Program::start();
    let path = program.directory.path().join("config.toml");
    let settings = fs::read_to_string(&path).expect("the configuration can be read");
    let held = settings.replace("127.0.0.1:0", &program.address);
    fs::write(&path, &held).expect("the configuration can be written");
    let checked = output(program.directory.path(), &["check-config"]);
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(checked.status.success(), "{checked:?}");
    assert!(said.contains("config.toml is in order") && said.contains("The server is running"), "{said}");
    fs::write(&path, format!("{held}[log]\nlevel = \"loud\"\n")).expect("the configuration can be written");
    refused(program.directory.path(), &["check-config"], &["config.toml:6", "is not a log level"]);
}

#[test]
fn init_writes_nothing_when_an_answer_does_not_do_and_says_what_is_still_wanting() {
    let directory = tempfile::tempdir().expect("a directory for the test");
    let place = directory.path();
    fs::write(place.join("file"), "").expect("a file can be written");
    let init = |more: &[&'static str]| [&["init", "--yes"], more].concat();
    refused(place, &init(&["--server-name", "https://x"]), &["--server-name \"https://x\"", "a host name such as"]);
    let name = ["--server-name", "campus.example"];
    let refuses = |more: &[&'static str], words: &[&str]| refused(place, &init(&[&name, more].concat()), words);
    refuses(&["--data-dir", "file"], &["--data-dir \"file\"", "file is not a directory"]);
    refuses(&["--base-url", "campus"], &["--base-url \"campus\"", "https://matrix.campus.example"]);
    assert_eq!(names(place), ["file"], "nothing was written");

    let taken = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = taken.local_addr().expect("it is bound").to_string();
    let written = output(
        place,
        &[&init(&name)[..], &["--listen", &address, "--certificate", "no.pem", "--key", "no.key"]].concat(),
    );
    let said = String::from_utf8_lossy(&written.stdout).into_owned();
    assert!(written.status.success(), "{written:?}");
    for words in ["Written: config.toml", "no.pem", "no.key", "is already in use"] {
        assert!(said.contains(words), "{words:?} is not in {said}");
    }
}

#[test]
fn an_audit_chain_without_rows_is_told_as_such() {
    let program = Program::start();
    let verified = output(program.directory.path(), &["audit", "verify"]);
    assert!(String::from_utf8_lossy(&verified.stdout).starts_with("No rows"), "{verified:?}");
}
