//! What a well-formed configuration can still have wrong: meaning (pure) and surroundings (files, directories).

mod surroundings;

use std::io;
use std::net::SocketAddr;

use ruma::RoomVersionId;

use super::Config;
use super::problem::{Origin, Problem, dotted};
use super::tree::Node;
pub(super) use surroundings::surroundings;
pub(crate) use surroundings::writable_directory;

/// A wrong setting by its path, before its place in the file is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub path: Vec<String>,
    pub text: String,
}

impl Finding {
    pub(crate) fn new(path: &str, text: impl Into<String>) -> Self {
        Self { path: steps(path), text: text.into() }
    }

    /// Whether it is about a setting of this name, or about what stands below it.
    pub(crate) fn is_below(&self, name: &str) -> bool {
        self.path.iter().any(|step| step == name)
    }

    pub(super) fn into_problem(self, file: &str, tree: &Node) -> Problem {
        let node = tree.nearest(&self.path);
        // Nothing of it is written: the whole file is the place.
        let origin = if std::ptr::eq(node, tree) { &Origin::Default } else { &node.origin };
        Problem::new(file, origin, &self.path, self.text)
    }
}

fn steps(path: &str) -> Vec<String> {
    path.split('.').map(str::to_owned).collect()
}

/// Rules that need nothing but the settings.
pub(super) fn meaning(config: &Config) -> Vec<Finding> {
    let mut found = Vec::new();
    let place =
        |section: &'static str| move |(key, text): (&str, String)| Finding::new(&format!("{section}.{key}"), text);
    found.extend(config.storage.mistakes().into_iter().map(place("storage")));
    found.extend(config.web.mistakes().into_iter().map(place("web")));
    found.extend(config.sign_in.mistakes().into_iter().map(place("sign_in")));
    found.extend(config.media.mistakes().into_iter().map(place("media")));
    listeners(config, &mut found);
    well_known(config, &mut found);
    calls(config, &mut found);
    terms(config, &mut found);
    if let Err(wrong) = lyceum_institution::Settings::of(&config.institution) {
        let place = |(path, text): (String, String)| Finding::new(&format!("institution.{path}"), text);
        found.extend(wrong.into_iter().map(place));
    }
    let version = &config.rooms.default_version;
    if version.rules().is_none() || matches!(version, RoomVersionId::_Custom(_)) {
        let text =
            format!("{:?} is not a room version; \"12\" is the newest, \"1\" to \"12\" are known", version.as_str());
        found.push(Finding::new("rooms.default_version", text));
    }
    if let Some(part) = wrong_level(&config.log.level) {
        let text = format!(
            "{part:?} is not a log level; write one of error, warn, info, debug, trace, or for one part \
             \"info,lyceum_rooms=debug\""
        );
        found.push(Finding::new("log.level", text));
    }
    if config.registration.shared_secret.as_deref().is_some_and(|secret| secret.trim().is_empty()) {
        let text = "an empty secret is no secret; write a long random text, or leave the line out";
        found.push(Finding::new("registration.shared_secret", text));
    }
    found
}

/// What can be logged at. (The library takes numbers and nothing at all for levels, too.)
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// The part of a level that is none. (A bare word would otherwise be taken for the name of a module.)
fn wrong_level(level: &str) -> Option<&str> {
    let is_level = |level: &str| LEVELS.iter().any(|known| known.eq_ignore_ascii_case(level));
    let is_module = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_:-".contains(&byte))
    };
    level.split(',').map(str::trim).find(|part| match part.rsplit_once('=') {
        Some((name, level)) => !is_module(name) || !is_level(level),
        None => !is_level(part),
    })
}

fn listeners(config: &Config, found: &mut Vec<Finding>) {
    if config.listeners.is_empty() {
        found.push(Finding::new("listeners", "the server listens nowhere; add a [[listeners]] with an address"));
    }
    let mut taken: Vec<(String, SocketAddr)> = Vec::new();
    for (index, listener) in config.listeners.iter().enumerate() {
        if listener.apis.is_empty() {
            let text = "serves nothing; name some of \"client\", \"federation\", \"admin\"";
            found.push(Finding::new(&format!("listeners.{index}.apis"), text));
        }
        take(&mut taken, format!("listeners.{index}.address"), listener.address, found);
    }
    if let Some(address) = config.metrics.address {
        take(&mut taken, "metrics.address".to_owned(), address, found);
    }
}

/// Gives an address to one setting, unless another one has it, alone or among all of the machine.
fn take(taken: &mut Vec<(String, SocketAddr)>, path: String, address: SocketAddr, found: &mut Vec<Finding>) {
    match taken.iter().find(|(_, other)| overlap(*other, address)) {
        Some((_, other)) if *other == address => {
            let text = format!("{address} is named twice; every listener needs its own address, and so do the metrics");
            found.push(Finding::new(&path, text));
        }
        Some((other_path, other)) => {
            let name = dotted(&steps(other_path));
            let text = format!("{address} and {other} ({name}) cannot both be had: one holds the other");
            found.push(Finding::new(&path, text));
        }
        None => taken.push((path, address)),
    }
}

/// Whether two sockets cannot listen on these at the same time. 0.0.0.0 and [::] are all addresses of their kind.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let all = |address: SocketAddr| address.ip().is_unspecified();
    let of_a_kind = one.is_ipv4() == other.is_ipv4();
    one.port() != 0 && one.port() == other.port() && of_a_kind && (one.ip() == other.ip() || all(one) || all(other))
}

fn well_known(config: &Config, found: &mut Vec<Finding>) {
    if let Some(key) = &config.well_known.policy_server_key
        && !lyceum_events::is_public_key(key)
    {
        let text = "not an ed25519 public key; it has 32 bytes in base64, which are 43 letters";
        found.push(Finding::new("well_known.policy_server_key", text));
    }
    let Some(address) = &config.well_known.server else { return };
    if ruma::ServerName::parse(&**address).is_err() {
        let text = format!("{address:?} is not a host and port; write for example \"matrix.campus.example:443\"");
        found.push(Finding::new("well_known.server", text));
    }
}

fn terms(config: &Config, found: &mut Vec<Finding>) {
    for (id, document) in &config.registration.terms {
        let place = |field: &str| format!("registration.terms.{id}.{field}");
        if document.version.trim().is_empty() {
            let text = "a document needs a version, for example \"1.0\" or \"2026-09\", so that it is known who agreed to which";
            found.push(Finding::new(&place("version"), text));
        }
        if document.languages.is_empty() {
            let text = "a document needs a text in one language at least, for example \
                        { en = { name = \"Terms of service\", url = \"https://campus.example/terms\" } }";
            found.push(Finding::new(&place("languages"), text));
        }
        for (language, text) in &document.languages {
            if language == "version" || language.is_empty() {
                let text = format!("{language:?} is not a language; write for example \"en\" or \"pt-BR\"");
                found.push(Finding::new(&place("languages"), text));
            }
            if !matches!(text.url.scheme(), "https" | "http") {
                let wrong = "not an address that a browser opens; it begins with https://";
                found.push(Finding::new(&place(&format!("languages.{language}.url")), wrong));
            }
            if text.name.trim().is_empty() {
                found.push(Finding::new(
                    &place(&format!("languages.{language}.name")),
                    "people are shown this: write a name",
                ));
            }
        }
    }
}

fn calls(config: &Config, found: &mut Vec<Finding>) {
    let calls = &config.calls;
    let is_turn = |uri: &String| ["turn:", "turns:", "stun:", "stuns:"].iter().any(|scheme| uri.starts_with(scheme));
    for (index, uri) in calls.turn_uris.iter().enumerate().filter(|(_, uri)| !is_turn(uri)) {
        let text = format!("{uri:?} is not a TURN address; write for example \"turn:turn.campus.example:3478\"");
        found.push(Finding::new(&format!("calls.turn_uris.{index}"), text));
    }
    if calls.turn_username.is_some() != calls.turn_password.is_some() {
        let text = "a user name and a password belong together; write both, or a turn_secret instead";
        found.push(Finding::new("calls.turn_username", text));
    }
    let is_known = calls.turn_secret.is_some() || calls.turn_username.is_some();
    if !calls.turn_uris.is_empty() && !is_known {
        let text = "TURN servers ask for credentials; write a turn_secret, or turn_username and turn_password";
        found.push(Finding::new("calls.turn_uris", text));
    }
}

/// An I/O error in words that say what to do.
pub fn in_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file or directory".to_owned(),
        io::ErrorKind::PermissionDenied => {
            "permission denied; the user that runs the server must be allowed to".to_owned()
        }
        io::ErrorKind::AddrInUse => "the address is already in use by another program".to_owned(),
        io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
        io::ErrorKind::InvalidData => "it is not text".to_owned(),
        io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
        io::ErrorKind::NotADirectory => "part of the path is a file and not a directory".to_owned(),
        // The system's number of an error says nothing to people.
        _ => error.to_string().split(" (os error").next().unwrap_or_default().to_owned(),
    }
}
