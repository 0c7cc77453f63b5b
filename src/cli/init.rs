//! `lyceum init`: asks a few questions (or takes the answers as options) and writes a configuration and a signing key.
//! It never writes over anything, and what it writes is checked first.

mod ask;
mod template;

use std::io::{ErrorKind, IsTerminal};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use clap::{Args, ValueEnum};

use super::say;
use crate::config::{self, Config, Finding, in_words};
use crate::files;
use crate::listen::Listeners;
use crate::signing_key;
use ask::Asker;

/// The answers, as far as they are given as options.
#[derive(Args)]
pub(super) struct Init {
    /// Where to write the configuration.
    #[arg(long, short, value_name = "FILE", default_value = config::DEFAULT_FILE)]
    output: PathBuf,
    /// The part after the colon in @ada:campus.example.
    #[arg(long, value_name = "NAME")]
    server_name: Option<String>,
    /// Where the data goes.
    #[arg(long, value_name = "DIRECTORY")]
    data_dir: Option<String>,
    /// The address and port to listen on.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// The certificate (PEM), when the server speaks TLS itself.
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<String>,
    /// The certificate's private key (PEM).
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<String>,
    /// The address at which clients reach the server, for example https://matrix.campus.example.
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// Who may make an account.
    #[arg(long)]
    registration: Option<Mode>,
    /// Do not talk to other servers.
    #[arg(long)]
    no_federation: bool,
    /// Ask nothing: what is not given as an option is left at its default.
    #[arg(long, short)]
    yes: bool,
}

/// Who may make an account.
#[derive(Clone, Copy, ValueEnum)]
enum Mode {
    Open,
    Token,
    Closed,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Token => "token",
            Self::Closed => "closed",
        }
    }
}

/// Every answer.
struct Answers {
    server_name: String,
    data_dir: String,
    listen: SocketAddr,
    tls: Option<(String, String)>,
    base_url: Option<String>,
    registration: &'static str,
    federation: bool,
}

pub(super) fn run(options: Init) -> anyhow::Result<()> {
    let output = options.output.clone();
    if output.exists() {
        bail!("{} is there already and is not written over; name another file with --output", output.display());
    }
    let directory = match output.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if !directory.is_dir() {
        bail!("the directory {} is not there; make it first", directory.display());
    }
    config::writable_directory(directory).map_err(anyhow::Error::msg)?;
    let answers = options.answers(directory)?;
    let text = template::fill(&answers);
    let shown = output.display().to_string();
    // An answer that makes no configuration is told before anything is written.
    let config = config::parse_in(directory, &shown, &text, [])?;
    let (in_the_way, open) = look_around(&config);
    if let Some(finding) = in_the_way.first() {
        bail!("{}; nothing was written", finding.text);
    }

    let key = signing_key::path(&config.server.data_dir);
    let key_made = make_key(&config.server.data_dir, &key)?;
    if let Err(error) = files::write_new(&output, text.as_bytes()) {
        if key_made {
            // Without a configuration it is nobody's. What was said is why there is none.
            let _ = std::fs::remove_file(&key);
        }
        bail!("{shown} cannot be written: {}", in_words(&error));
    }

    say::line(&format!("Written: {shown}"));
    match key_made {
        true => say::line(&format!("Written: {} (keep a copy in a safe place)", key.display())),
        false => say::line(&format!("Kept:    {}, the signing key that was there", key.display())),
    }
    say::line(&format!(
        "\nNext:\n  lyceum check-config --config {shown}\n  lyceum serve --config {shown}\n  \
         lyceum user create NAME --admin --config {shown}"
    ));
    for finding in open {
        say::line(&format!("\nBefore it can serve: {}", finding.text));
    }
    Ok(())
}

/// What is wrong around the configuration: what nothing can be written for, and what can be put right afterwards.
fn look_around(config: &Config) -> (Vec<Finding>, Vec<Finding>) {
    let mut found = config.check_surroundings();
    found.extend(Listeners::bind(config).err().into_iter().flatten().filter(|finding| !finding.is_below("tls")));
    found.into_iter().partition(|finding| finding.is_below("data_dir"))
}

/// Makes the signing key, with its directory; `false`: there was one.
fn make_key(data_dir: &Path, key: &Path) -> anyhow::Result<bool> {
    files::private_directory(data_dir)
        .map_err(|error| anyhow!("the data directory {} cannot be made: {}", data_dir.display(), in_words(&error)))?;
    match signing_key::make(key) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => bail!("the signing key {} cannot be written: {}", key.display(), in_words(&error)),
    }
}

impl Init {
    /// The answers, each looked at when it is given, so that none is lost to another. Paths are relative to `directory`.
    fn answers(self, directory: &Path) -> anyhow::Result<Answers> {
        let ask = Asker::new(!self.yes && std::io::stdin().is_terminal());
        let server_name = match self.server_name {
            Some(name) => checked("--server-name", name, is_server_name)?,
            None => ask.needed(
                "The server's name, the part after the colon in @ada:campus.example. It can never be changed.",
                "--server-name",
                is_server_name,
            )?,
        };
        let is_writable = |path: &str| config::writable_directory(&directory.join(path));
        let data_dir = match self.data_dir {
            Some(path) => checked("--data-dir", path, is_writable)?,
            None => ask.with_default("Where shall the data go?", "./data", is_writable)?,
        };
        let tls = match self.certificate.zip(self.key) {
            Some(files) => Some(files),
            None => ask.certificate()?,
        };
        let listen = match self.listen {
            Some(address) => address,
            None => ask.address(if tls.is_some() { "0.0.0.0:8448" } else { "127.0.0.1:8008" })?,
        };
        let base_url = match self.base_url {
            Some(url) => Some(checked("--base-url", url, is_web_address)?),
            None => ask.optional(
                "At which address do clients reach the server, for example https://matrix.campus.example?",
                is_web_address,
            )?,
        };
        let registration = match self.registration {
            Some(mode) => mode.name(),
            None => ask.one_of("Who may make an account?", &["token", "closed", "open"])?,
        };
        let federation = !self.no_federation && ask.yes("Shall the server talk to other Matrix servers?")?;
        Ok(Answers { server_name, data_dir, listen, tls, base_url, registration, federation })
    }
}

/// An answer that was given as an option.
fn checked(option: &str, answer: String, check: impl Fn(&str) -> Result<(), String>) -> anyhow::Result<String> {
    check(&answer).map_err(|why| anyhow!("{option} {answer:?} does not do: {why}"))?;
    Ok(answer)
}

fn is_server_name(name: &str) -> Result<(), String> {
    ruma::ServerName::parse(name).map(drop).map_err(|_| "write a host name such as campus.example".to_owned())
}

fn is_web_address(url: &str) -> Result<(), String> {
    let is_one = url
        .parse::<http::Uri>()
        .is_ok_and(|url| url.host().is_some() && matches!(url.scheme_str(), Some("https" | "http")));
    if is_one { Ok(()) } else { Err("write a web address such as https://matrix.campus.example".to_owned()) }
}
