//! The program itself, over real sockets: how it starts, takes orders, is told apart from mistakes, and stops.

mod mistakes;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

mod full_disk;
mod looking;
mod reloading;

/// How long a server may take to say that it serves, and to stop.
const PATIENCE: Duration = Duration::from_secs(10);

/// A server with a directory of its own; ended when dropped.
pub(crate) struct Program {
    pub(crate) directory: TempDir,
    child: Child,
    log: BufReader<ChildStderr>,
    address: String,
}

fn lyceum(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lyceum"));
    command.args(arguments).current_dir(directory).env_remove("LYCEUM_CONFIG").stdin(Stdio::null());
    command
}

fn output(directory: &Path, arguments: &[&str]) -> Output {
    lyceum(directory, arguments).output().expect("the program can be run")
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").arg(format!("-{name}")).arg(child.id().to_string()).status();
    assert!(sent.is_ok_and(|status| status.success()), "the signal can be sent");
}

/// A directory with a configuration that has these settings, too.
fn configured(settings: &str) -> TempDir {
    let directory = tempfile::tempdir().expect("a directory for the test");
    let settings = format!("[server]\nname = \"campus.example\"\n[[listeners]]\naddress = \"127.0.0.1:0\"\n{settings}");
    std::fs::write(directory.path().join("config.toml"), settings).expect("the configuration can be written");
    directory
}

impl Program {
    fn start() -> Self {
        Self::start_with("")
    }

    /// One with more settings.
    pub(crate) fn start_with(settings: &str) -> Self {
        Self::start_in(configured(settings))
    }

    fn start_in(directory: TempDir) -> Self {
        let command = lyceum(directory.path(), &["serve"]);
        Self::started_by(command, directory)
    }

    fn started_by(mut command: Command, directory: TempDir) -> Self {
        let mut child =
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program can be started");
        let mut log = BufReader::new(child.stderr.take().expect("its log is piped"));
        let address = loop {
            let mut line = String::new();
            assert_ne!(log.read_line(&mut line).expect("the log can be read"), 0, "the server ended before it served");
            if let Some((_, address)) = line.trim().split_once("listeners=http://") {
                break address.split(',').next().unwrap_or_default().to_owned();
            }
        };
        Self { directory, child, log, address }
    }

    /// A plain HTTP/1.1 request, answered whole.
    fn get(&self, path: &str) -> String {
        self.request(&format!("GET {path}"), "", "")
    }

    /// Asks in JSON as whoever has a token; the JSON of the answer.
    pub(crate) fn ask(&self, what: &str, token: &str, body: &Value) -> Value {
        let body = body.to_string();
        let who = if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
        let answer = self.request(what, &format!("{who}Content-Length: {}\r\n", body.len()), &body);
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head and a body");
        assert!(head.starts_with("HTTP/1.1 200"), "{what}: {answer}");
        serde_json::from_str(body)
            .unwrap_or_else(|error| panic!("{what} should be answered in JSON: {error}: {answer}"))
    }

    fn request(&self, what: &str, headers: &str, body: &str) -> String {
        self.try_request(what, headers, body).expect("the server answers")
    }

    fn try_request(&self, what: &str, headers: &str, body: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(4 * PATIENCE))?;
        let request = format!("{what} HTTP/1.1\r\nHost: campus.example\r\nConnection: close\r\n{headers}\r\n{body}");
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// Waits until it has ended; answers its exit code and the rest of its log.
    fn ended(&mut self) -> (Option<i32>, String) {
        let begun = Instant::now();
        let mut rest = String::new();
        // Ends with the process, which holds the other side.
        self.log.read_to_string(&mut rest).expect("the log can be read");
        let status = self.child.wait().expect("the program was started");
        assert!(begun.elapsed() < PATIENCE, "it took {:?} to stop", begun.elapsed());
        (status.code(), rest)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_serves_and_stops_in_order_when_asked() {
    let mut program = Program::start();
    assert!(program.get("/_matrix/client/versions").contains("\"v1.11\""));
    // A connection that says nothing does not hold it up.
    let silent = TcpStream::connect(&program.address).expect("the server accepts");
    program.signal("TERM");
    let (code, log) = program.ended();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("stopped"), "{log}");
    drop(silent);
}

#[test]
fn it_stops_at_once_when_asked_before_it_serves() {
    let database = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = database.local_addr().expect("it is bound");
    let directory = configured(&format!("[storage]\nengine = \"postgres\"\nurl = \"postgres://{address}/campus\"\n"));
    let child = lyceum(directory.path(), &["serve"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let child = child.expect("the program can be started");
    let silent = database.accept().expect("it asks for its database");
    let begun = Instant::now();
    signal(&child, "TERM");
    let ended = child.wait_with_output().expect("the program was started");
    assert!(begun.elapsed() < PATIENCE, "it took {:?} to stop", begun.elapsed());
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    drop(silent);
}

#[test]
fn connections_that_say_nothing_are_let_go() {
    let program = Program::start();
    let silent: Vec<_> = (0..100).map(|_| TcpStream::connect(&program.address).expect("the server accepts")).collect();
    assert!(program.get("/_matrix/client/versions").contains("\"v1.11\""), "others are served meanwhile");
    for mut one in silent {
        one.set_read_timeout(Some(2 * PATIENCE)).expect("a time limit");
        // The server closes it; a time limit of ours would be an error.
        assert_eq!(one.read(&mut [0; 1]).ok(), Some(0), "the server should hang up");
    }
}

#[test]
fn requests_that_stop_halfway_are_let_go_and_hold_nobody_up() {
    /// What the server gives a head, and a little more.
    const HEAD: Duration = Duration::from_secs(30 + 5);
    const HALF_HEAD: &str = "PUT /_matrix/federation/v1/send/1 HTTP/1.1\r\nHost: campus.example\r\nAuthor";
    const HALF_BODY: &str =
        "POST /_matrix/client/v3/login HTTP/1.1\r\nHost: campus.example\r\nContent-Length: 100\r\n\r\n{\"type\":";
    let program = Program::start_with("[web]\nbody_timeout_secs = 2\n");
    let begin = |text: &str| {
        let mut one = TcpStream::connect(&program.address).expect("the server accepts");
        one.write_all(text.as_bytes()).expect("the server reads");
        one
    };
    let begun = Instant::now();
    let (heads, bodies): (Vec<_>, Vec<_>) = (0..50).map(|_| (begin(HALF_HEAD), begin(HALF_BODY))).unzip();
    assert!(program.get("/_matrix/client/versions").contains("\"v1.11\""), "others are served meanwhile");
    assert!(begun.elapsed() < PATIENCE, "and need not wait: it took {:?}", begun.elapsed());
    let end = |mut one: TcpStream, within: Duration| {
        one.set_read_timeout(Some(within)).expect("a time limit");
        let mut answer = String::new();
        // The server closes it; a time limit of ours would be an error.
        one.read_to_string(&mut answer).expect("the server should hang up");
        answer
    };
    for one in bodies {
        let answer = end(one, PATIENCE);
        assert!(answer.starts_with("HTTP/1.1 408"), "a body that does not come should be waited for in vain: {answer}");
    }
    for one in heads {
        let answer = end(one, HEAD);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "half a head is no request: {answer}");
    }
}

#[test]
fn accounts_are_made_while_it_runs_and_when_it_does_not() {
    let mut program = Program::start();
    let made = output(program.directory.path(), &["user", "create", "ada", "--admin", "--generate"]);
    let said = String::from_utf8_lossy(&made.stdout).into_owned();
    assert!(said.contains("@ada:campus.example") && said.contains("password"), "{said}");
    let again = output(program.directory.path(), &["user", "create", "ada", "--generate"]);
    assert!(!again.status.success());
    assert!(String::from_utf8_lossy(&again.stderr).contains("taken"));

    program.signal("TERM");
    program.ended();
    let listed = output(program.directory.path(), &["user", "list"]);
    assert_eq!(String::from_utf8_lossy(&listed.stdout).trim(), "@ada:campus.example  (administrator)");
}

#[test]
fn a_killed_server_leaves_nothing_in_the_way() {
    let mut program = Program::start();
    output(program.directory.path(), &["user", "create", "ada", "--generate"]);
    program.signal("KILL");
    program.ended();
    let directory = std::mem::replace(&mut program.directory, tempfile::tempdir().expect("a directory"));
    let again = Program::start_in(directory);
    let listed = output(again.directory.path(), &["user", "list"]);
    assert_eq!(String::from_utf8_lossy(&listed.stdout).trim(), "@ada:campus.example");
}

#[test]
fn a_second_server_on_the_same_address_or_data_says_why_it_cannot_start() {
    let program = Program::start();
    let data = program.directory.path();
    let second = lyceum(data, &["serve"]).env("LYCEUM_LISTENERS__0__ADDRESS", &program.address).output();
    let second = second.expect("the program can be run");
    assert_eq!(second.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&second.stderr).contains("already in use"), "{second:?}");
    let third = output(data, &["serve"]);
    assert_eq!(third.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&third.stderr).contains("the server is running"), "{third:?}");
}

#[test]
fn somebodys_account_never_becomes_the_institutions_own() {
    let mut program = Program::start();
    let made = output(program.directory.path(), &["user", "create", "lyceum", "--generate"]);
    assert!(made.status.success(), "{made:?}");
    let directory = std::mem::replace(&mut program.directory, tempfile::tempdir().expect("another directory"));
    drop(program);
    let path = directory.path().join("config.toml");
    let settings = std::fs::read_to_string(&path).expect("the configuration can be read");
    let enabled = format!("{settings}\n[institution]\nenabled = true\n");
    std::fs::write(&path, &enabled).expect("the configuration can be written");
    let refused = output(directory.path(), &["serve"]);
    assert_eq!(refused.status.code(), Some(1));
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(why.contains("@lyceum:campus.example is somebody's") && why.contains("institution.account"), "{why}");
    std::fs::write(&path, format!("{enabled}account = \"college\"\n")).expect("the configuration can be written");
    let program = Program::start_in(directory);
    assert!(program.get("/health").contains("200 OK"));
}

/// The line of the log that has these words.
fn wait_for(log: &mut impl BufRead, words: &str) -> String {
    let mut line = String::new();
    while log.read_line(&mut line).expect("the log can be read") > 0 {
        if line.contains(words) {
            return line;
        }
        line.clear();
    }
    panic!("the log ended without {words:?}");
}

#[test]
fn a_backup_made_while_it_runs_brings_everything_back() {
    let mut program = Program::start();
    let place = program.directory.path();
    output(place, &["user", "create", "ada", "--generate"]);
    let shelf = place.join("data/media/files/ab");
    std::fs::create_dir_all(&shelf).expect("a directory can be made");
    std::fs::write(shelf.join("cdef"), "uploaded").expect("a file can be written");
    let made = output(place, &["backup", "saved"]);
    assert!(made.status.success(), "{made:?}");
    assert!(String::from_utf8_lossy(&made.stdout).contains("1 uploaded files"), "{made:?}");
    let again = output(place, &["backup", "saved"]);
    assert!(String::from_utf8_lossy(&again.stderr).contains("is there already"), "{again:?}");
    let over = output(place, &["restore", "saved"]);
    assert!(String::from_utf8_lossy(&over.stderr).contains("the server is running"), "{over:?}");
    program.signal("TERM");
    program.ended();
    let place = program.directory.path();
    let over = output(place, &["restore", "saved"]);
    assert!(String::from_utf8_lossy(&over.stderr).contains("not empty"), "{over:?}");

    let key = std::fs::read(place.join("data/signing.key")).expect("the key is there");
    std::fs::rename(place.join("data"), place.join("lost")).expect("the data can be moved away");
    let back = output(place, &["restore", "saved"]);
    assert!(back.status.success(), "{back:?}");
    assert_eq!(std::fs::read(shelf.join("cdef")).expect("the file is back"), b"uploaded");
    let listed = output(place, &["user", "list"]);
    assert_eq!(String::from_utf8_lossy(&listed.stdout).trim(), "@ada:campus.example");
    assert_eq!(std::fs::read(place.join("data/signing.key")).expect("the key is back"), key);
}

#[test]
fn init_writes_once_what_check_config_accepts() {
    let directory = tempfile::tempdir().expect("a directory for the test");
    let place = directory.path();
    let init = ["init", "--server-name", "campus.example", "--listen", "127.0.0.1:0", "--yes"];
    assert!(output(place, &init).status.success());
    let written = std::fs::read(place.join("config.toml")).expect("it was written");
    assert!(output(place, &["check-config"]).status.success());
    let again = output(place, &init);
    assert!(!again.status.success());
    assert!(String::from_utf8_lossy(&again.stderr).contains("is not written over"));
    assert_eq!(std::fs::read(place.join("config.toml")).expect("it is still there"), written);
}

#[test]
fn check_config_tells_of_files_and_ports() {
    let directory = tempfile::tempdir().expect("a directory for the test");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = taken.local_addr().expect("it is bound");
    std::fs::write(directory.path().join("no.pem"), "no certificate").expect("a file can be written");
    std::fs::write(directory.path().join("file"), "").expect("a file can be written");
    let settings = format!(
        "[server]\nname = \"campus.example\"\ndata_dir = \"file/data\"\n[[listeners]]\naddress = \"{address}\"\n\
         tls = {{ certificate = \"no.pem\", key = \"missing.pem\" }}\n[federation]\ntrusted_ca_files = [\"ca.pem\"]\n"
    );
    std::fs::write(directory.path().join("config.toml"), settings).expect("the configuration can be written");
    let told = output(directory.path(), &["check-config"]);
    let told = String::from_utf8_lossy(&told.stderr).into_owned();
    for words in ["file is not a directory", "already in use", "missing.pem", "ca.pem"] {
        assert!(told.contains(words), "{words:?} is not in {told}");
    }
    assert!(!directory.path().join("data").exists());
}
