//! SIGHUP: what is taken up, what waits for a restart, and that a mistake changes nothing at all.

use std::path::{Path, PathBuf};

use super::{Program, configured, wait_for};

/// Everybody may ask this often.
const ENABLED: &str = "[rate_limits]\nenabled = true\nlogin = { user = { per_second = 0.01, burst = 1 }, address = { per_second = 0.01, burst = 1 } }\n";
const DISABLED: &str = "[rate_limits]\nenabled = false\n";

fn rewrite(path: &Path, from: &str, to: &str) {
    let settings = std::fs::read_to_string(path).expect("the configuration can be read");
    std::fs::write(path, settings.replace(from, to)).expect("the configuration can be written");
}

fn configuration(program: &Program) -> PathBuf {
    program.directory.path().join("config.toml")
}

/// Whether the second of two attempts at signing in is too many.
fn is_limited(program: &Program) -> bool {
    let body = r#"{"type":"m.login.password","identifier":{"type":"m.id.user","user":"ada"},"password":"wrong"}"#;
    let headers = format!("Content-Length: {}\r\n", body.len());
    let attempt = || program.request("POST /_matrix/client/v3/login", &headers, body);
    let answers = [attempt(), attempt()];
    answers[1].starts_with("HTTP/1.1 429")
}

#[test]
fn reloading_takes_up_the_log_level_and_survives_a_mistake() {
    let mut program = Program::start();
    let path = configuration(&program);
    let settings = std::fs::read_to_string(&path).expect("the configuration can be read");
    std::fs::write(&path, format!("{settings}colour = 1\n")).expect("the configuration can be written");
    program.signal("HUP");
    wait_for(&mut program.log, "was not reloaded");
    std::fs::write(&path, format!("{settings}[log]\nlevel = \"debug\"\n")).expect("the configuration can be written");
    program.signal("HUP");
    wait_for(&mut program.log, "reloaded");
    assert!(program.get("/health").contains("200 OK"));
}

#[test]
fn a_certificate_that_cannot_be_read_leaves_everything_as_it_was() {
    let secure = "[[listeners]]\naddress = \"127.0.0.1:0\"\ntls = { certificate = \"cert.pem\", key = \"key.pem\" }\n";
    let directory = configured(&format!("{secure}{DISABLED}"));
    let issued = rcgen::generate_simple_self_signed(vec!["campus.example".to_owned()]).expect("a certificate");
    let certificate = directory.path().join("cert.pem");
    std::fs::write(&certificate, issued.cert.pem()).expect("it can be written");
    std::fs::write(directory.path().join("key.pem"), issued.key_pair.serialize_pem()).expect("it can be written");
    let mut program = Program::start_in(directory);

    std::fs::write(&certificate, "no certificate").expect("it can be written");
    rewrite(&configuration(&program), DISABLED, ENABLED);
    program.signal("HUP");
    wait_for(&mut program.log, "everything is as it was");
    assert!(!is_limited(&program), "the new rate limits should not count");

    std::fs::write(&certificate, issued.cert.pem()).expect("it can be written");
    program.signal("HUP");
    wait_for(&mut program.log, "certificates reloaded");
    assert!(is_limited(&program), "now they should");
}

#[test]
fn what_counts_only_after_a_restart_is_named() {
    let mut program = Program::start_with("[registration]\nmode = \"token\"\n");
    rewrite(&configuration(&program), "\"token\"", "\"closed\"\nshared_secret = \"not to be shown\"");
    program.signal("HUP");
    let told = wait_for(&mut program.log, "only after a restart");
    assert!(told.contains("registration") && !told.contains("not to be shown"), "{told}");
}
