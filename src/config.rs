//! The configuration: one struct per section, read from TOML with `LYCEUM_SECTION__KEY` overrides.
//!
//! A section that belongs to a core crate is defined there; what only the binary needs is defined in `sections`.
//! Every setting has a doc comment and a line in `config.toml.example`; a test holds the two in step.

mod changes;
mod checks;
mod names;
mod problem;
mod read;
mod sections;
mod tree;

use std::path::{Path, PathBuf};

use ruma::ServerName;
use serde::Deserialize;

pub(crate) use checks::writable_directory;
pub use checks::{Finding, in_words};
pub use names::in_force;
pub use problem::{Problem, Problems};
pub use sections::{Api, Appservices, Listener, Log, LogFormat, Metrics, Registration, Rooms, ServerSettings, Tls};

use tree::Node;

/// The file that is read when none is named and it exists.
pub const DEFAULT_FILE: &str = "config.toml";

/// What runs when there is no configuration: a trial on this machine only.
const TRIAL: &str = r#"
[server]
name = "localhost"
"#;

/// How the trial's settings are called in messages.
const TRIAL_NAME: &str = "the built-in trial configuration";

/// All settings.
#[derive(Debug, Clone, Deserialize)]
pub struct Config {
    /// Who this server is and where it keeps its data.
    pub server: ServerSettings,
    /// The store.
    #[serde(default)]
    pub storage: lyceum_storage::StorageConfig,
    /// Where the server listens.
    #[serde(default = "sections::default_listeners")]
    pub listeners: Vec<Listener>,
    /// What the server says about itself under `/.well-known/matrix/`.
    #[serde(default)]
    pub well_known: lyceum_client_api::WellKnownConfig,
    /// What clients are told for calls.
    #[serde(default)]
    pub calls: lyceum_client_api::CallsConfig,
    /// How requests are taken in.
    #[serde(default)]
    pub web: lyceum_web::WebConfig,
    /// How accounts are made.
    #[serde(default)]
    pub registration: Registration,
    /// How people sign in.
    #[serde(default)]
    pub sign_in: lyceum_accounts::SignInConfig,
    /// Federation with other servers.
    #[serde(default)]
    pub federation: lyceum_peers::FederationConfig,
    /// Uploads, downloads and thumbnails.
    #[serde(default)]
    pub media: lyceum_media::MediaConfig,
    /// Rooms.
    #[serde(default)]
    pub rooms: Rooms,
    /// Who is found by people who look for others.
    #[serde(default)]
    pub user_directory: lyceum_client_api::UserDirectoryConfig,
    /// Full-text search.
    #[serde(default)]
    pub search: lyceum_search::SearchConfig,
    /// Roles, units, campus rules.
    #[serde(default)]
    pub institution: lyceum_institution::InstitutionConfig,
    /// What the server itself tells people.
    #[serde(default)]
    pub notices: lyceum_workers::notices::NoticesConfig,
    /// Application services.
    #[serde(default)]
    pub appservices: Appservices,
    /// How much may be asked how often.
    #[serde(default)]
    pub rate_limits: lyceum_web::RateLimits,
    /// What is logged.
    #[serde(default)]
    pub log: Log,
    /// Figures for Prometheus.
    #[serde(default)]
    pub metrics: Metrics,
}

/// A configuration and where it came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub config: Config,
    /// `None`: no file was found, this is a trial.
    pub file: Option<PathBuf>,
    /// Environment variables that look like settings and are none.
    pub strangers: Vec<String>,
}

impl Loaded {
    /// Findings as problems, each with its place in the file.
    pub fn describe(&self, found: Vec<Finding>) -> Problems {
        let shown = self.shown();
        let text = self.file.as_ref().and_then(|file| std::fs::read_to_string(file).ok());
        let tree = Node::parse(&shown, text.as_deref().unwrap_or(TRIAL)).map(|mut tree| {
            // What is wrong with its names was told when it was read.
            let _ = tree.override_from(environment());
            tree
        });
        match tree {
            Ok(tree) => Problems(found.into_iter().map(|finding| finding.into_problem(&shown, &tree)).collect()),
            Err(problems) => Problems(problems),
        }
    }

    fn shown(&self) -> String {
        self.file.as_ref().map_or_else(|| TRIAL_NAME.to_owned(), |file| file.display().to_string())
    }
}

fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
}

/// Which file to read: the one named, or `LYCEUM_CONFIG`, or `config.toml` here if there is one.
pub fn find(named: Option<&Path>) -> Option<PathBuf> {
    if let Some(path) = named {
        return Some(path.to_owned());
    }
    if let Some(path) = std::env::var_os("LYCEUM_CONFIG") {
        return Some(path.into());
    }
    Path::new(DEFAULT_FILE).exists().then(|| DEFAULT_FILE.into())
}

/// Reads the configuration with the process's environment over it.
pub fn load(named: Option<&Path>) -> Result<Loaded, Problems> {
    let strangers = names::strangers(environment());
    let Some(path) = find(named) else {
        let config = parse(TRIAL_NAME, TRIAL, environment())?;
        return Ok(Loaded { config, file: None, strangers });
    };
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(&path).map_err(|error| {
        let text = format!("cannot be read: {}. `lyceum init` writes a configuration", in_words(&error));
        Problems(vec![Problem::of_file(&shown, text)])
    })?;
    let config = parse_in(path.parent().unwrap_or(Path::new("")), &shown, &text, environment())?;
    Ok(Loaded { config, file: Some(path), strangers })
}

/// Reads a configuration's text, with paths as they are written.
pub fn parse(
    file: &str,
    text: &str,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Config, Problems> {
    parse_in(Path::new(""), file, text, environment)
}

/// Reads the text of a configuration that lies in `base`; every mistake is told, each with its place.
pub(crate) fn parse_in(
    base: &Path,
    file: &str,
    text: &str,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Config, Problems> {
    let mut tree = Node::parse(file, text).map_err(Problems)?;
    let misnamed = tree.override_from(environment);
    let read::Reading { settings, mut problems, .. } = read::read::<Config>(file, base, tree.clone());
    problems.extend(misnamed);
    // A value that could not be read is missing from the settings: what it means can be judged only when all are there.
    if let (Some(config), true) = (&settings, problems.is_empty()) {
        problems.extend(checks::meaning(config).into_iter().map(|finding| finding.into_problem(file, &tree)));
    }
    match settings {
        Some(mut config) if problems.is_empty() => {
            config.anchor(base);
            Ok(config)
        }
        _ => Err(Problems(problems)),
    }
}

/// The settings that `text` does not write; for the test that keeps the example complete.
pub fn absent(text: &str) -> Result<Vec<String>, Problems> {
    let tree = Node::parse("config.toml.example", text).map_err(Problems)?;
    let reading = read::read::<Config>("config.toml.example", Path::new(""), tree);
    if reading.problems.is_empty() { Ok(reading.absent) } else { Err(Problems(reading.problems)) }
}

impl Config {
    /// Paths in a file are relative to the file, so that a command finds the same data wherever it is typed.
    fn anchor(&mut self, base: &Path) {
        let absolute = |path: &mut PathBuf| *path = base.join(&*path);
        absolute(&mut self.server.data_dir);
        self.federation.trusted_ca_files.iter_mut().for_each(absolute);
        self.appservices.files.iter_mut().for_each(absolute);
        for tls in self.listeners.iter_mut().filter_map(|listener| listener.tls.as_mut()) {
            absolute(&mut tls.certificate);
            absolute(&mut tls.key);
        }
    }

    /// The settings of accounts, which stand in `[registration]`.
    pub fn accounts(&self) -> lyceum_accounts::Config {
        lyceum_accounts::Config {
            registration: self.registration.mode,
            shared_secret: self.registration.shared_secret.clone(),
            guests: self.registration.guests,
            terms: self.registration.terms.clone(),
            sign_in: self.sign_in.clone(),
        }
    }

    /// The settings of rooms.
    pub fn rooms(&self) -> lyceum_rooms::RoomsConfig {
        lyceum_rooms::RoomsConfig {
            default_version: self.rooms.default_version.clone(),
            delays: lyceum_rooms::DelayLimits {
                delay_ms_max: self.rooms.delay_secs_max.saturating_mul(1_000),
                events_max: self.rooms.delayed_events_max,
            },
            ..lyceum_rooms::RoomsConfig::default()
        }
    }

    /// The institution's settings with their defaults.
    pub fn institution(&self) -> lyceum_institution::Settings {
        // What is wrong with them was told when they were read.
        lyceum_institution::Settings::of(&self.institution).unwrap_or_default()
    }

    /// The hosts by which the server is reached: its name, and where it sends other servers and clients instead.
    pub(crate) fn hosts(&self) -> Vec<&str> {
        let delegated = self.well_known.server.as_deref().and_then(|place| <&ServerName>::try_from(place).ok());
        let for_clients = self.well_known.client_base_url.as_ref().and_then(|url| url.host_str());
        [Some(self.server.name.host()), delegated.map(ServerName::host), for_clients].into_iter().flatten().collect()
    }

    /// What is wrong with the world around the configuration: files, directories.
    pub fn check_surroundings(&self) -> Vec<Finding> {
        checks::surroundings(self)
    }
}
