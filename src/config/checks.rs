//! What a well-formed configuration can still have wrong: meaning (pure) and surroundings (files, directories).

use std::collections::HashSet;
use std::path::Path;
use std::{fs, io};

use lyceum_storage::EngineKind as Engine;
use ruma::RoomVersionId;

use super::Config;
use super::problem::{Origin, Problem};
use super::tree::Node;

/// A wrong setting by its path, before its place in the file is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub path: Vec<String>,
    pub text: String,
}

impl Finding {
    pub(crate) fn new(path: &str, text: impl Into<String>) -> Self {
        Self { path: path.split('.').map(str::to_owned).collect(), text: text.into() }
    }

    pub(super) fn into_problem(self, file: &str, tree: &Node) -> Problem {
        let node = tree.nearest(&self.path);
        // Nothing of it is written: the whole file is the place.
        let origin = if std::ptr::eq(node, tree) { &Origin::Default } else { &node.origin };
        Problem::new(file, origin, &self.path, self.text)
    }
}

/// Rules that need nothing but the settings.
pub(super) fn meaning(config: &Config) -> Vec<Finding> {
    let mut found = Vec::new();
    storage(config, &mut found);
    listeners(config, &mut found);
    well_known(config, &mut found);
    calls(config, &mut found);
    terms(config, &mut found);
    let place = |(key, text): (&str, String)| Finding::new(&format!("media.{key}"), text);
    found.extend(config.media.mistakes().into_iter().map(place));
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

/// The part of a level that is none. (A bare word would otherwise be taken for the name of a module.)
fn wrong_level(level: &str) -> Option<&str> {
    let known = |level: &str| level.parse::<tracing_subscriber::filter::LevelFilter>().is_ok();
    level.split(',').map(str::trim).find(|part| !known(part.rsplit_once('=').map_or(part, |(_, level)| level)))
}

fn storage(config: &Config, found: &mut Vec<Finding>) {
    match (config.storage.engine, &config.storage.url) {
        (Engine::Postgres, None) => {
            let text =
                "engine = \"postgres\" needs a `url`, for example \"postgres://lyceum:password@localhost/lyceum\"";
            found.push(Finding::new("storage.url", text));
        }
        (Engine::Postgres, Some(url)) if !url.starts_with("postgres://") && !url.starts_with("postgresql://") => {
            let text = "not a PostgreSQL address; it starts with postgres://, for example \
                        \"postgres://lyceum:password@localhost/lyceum\"";
            found.push(Finding::new("storage.url", text));
        }
        (Engine::Sled, Some(_)) => {
            let text = "a `url` is for engine = \"postgres\"; sled keeps its data in server.data_dir";
            found.push(Finding::new("storage.url", text));
        }
        _ => {}
    }
}

fn listeners(config: &Config, found: &mut Vec<Finding>) {
    if config.listeners.is_empty() {
        found.push(Finding::new("listeners", "the server listens nowhere; add a [[listeners]] with an address"));
    }
    let mut taken = HashSet::new();
    for (index, listener) in config.listeners.iter().enumerate() {
        if listener.apis.is_empty() {
            let text = "serves nothing; name some of \"client\", \"federation\", \"admin\"";
            found.push(Finding::new(&format!("listeners.{index}.apis"), text));
        }
        if listener.address.port() != 0 && !taken.insert(listener.address) {
            let text = format!("{} is named twice; every listener needs its own address", listener.address);
            found.push(Finding::new(&format!("listeners.{index}.address"), text));
        }
    }
    if config.metrics.address.is_some_and(|address| address.port() != 0 && taken.contains(&address)) {
        let text = "is also a listener's address; metrics need an address of their own";
        found.push(Finding::new("metrics.address", text));
    }
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

/// Rules that look at the disk.
pub(super) fn surroundings(config: &Config) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Err(text) = writable_directory(&config.server.data_dir) {
        found.push(Finding::new("server.data_dir", text));
    }
    for (index, listener) in config.listeners.iter().enumerate() {
        let Some(tls) = &listener.tls else { continue };
        for (key, path) in [("certificate", &tls.certificate), ("key", &tls.key)] {
            if let Err(text) = readable(path) {
                found.push(Finding::new(&format!("listeners.{index}.tls.{key}"), text));
            }
        }
    }
    let lists = [
        ("federation.trusted_ca_files", &config.federation.trusted_ca_files),
        ("appservices.files", &config.appservices.files),
    ];
    for (key, paths) in lists {
        for (index, path) in paths.iter().enumerate() {
            if let Err(text) = readable(path) {
                found.push(Finding::new(&format!("{key}.{index}"), text));
            }
        }
    }
    for (index, path) in config.appservices.files.iter().enumerate() {
        if readable(path).is_ok()
            && let Err(wrong) = lyceum_push::Registration::read(path)
        {
            found.push(Finding::new(&format!("appservices.files.{index}"), wrong.to_string()));
        }
    }
    found
}

fn readable(path: &Path) -> Result<(), String> {
    match fs::File::open(path).and_then(|file| file.metadata()) {
        Ok(meta) if meta.is_dir() => Err(format!("{} is a directory, a file is needed", path.display())),
        Ok(_) => Ok(()),
        Err(error) => Err(format!("cannot read {}: {}", path.display(), in_words(&error))),
    }
}

/// The directory exists and can be written, or could be made: nothing is left behind.
fn writable_directory(path: &Path) -> Result<(), String> {
    let nearest = path.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(Path::new("."));
    let nearest = if nearest.as_os_str().is_empty() { Path::new(".") } else { nearest };
    if !nearest.is_dir() {
        return Err(format!("{} is not a directory", nearest.display()));
    }
    let probe = nearest.join(format!(".lyceum-probe-{}", std::process::id()));
    match fs::File::create_new(&probe) {
        Ok(_) => fs::remove_file(&probe).map_err(|error| in_words(&error)),
        Err(error) => Err(format!("cannot write in {}: {}", nearest.display(), in_words(&error))),
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
