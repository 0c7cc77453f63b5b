//! `lyceum init`: asks a few questions (or takes the answers as options) and writes a configuration and a signing key.
//! It never writes over anything, and what it writes is checked first.

mod ask;
mod template;

use std::io::{ErrorKind, IsTerminal};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};

use super::say;
use crate::config::{self, in_words};
use crate::files;
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
    let directory = output.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(missing) = directory.filter(|directory| !directory.is_dir()) {
        bail!("the directory {} is not there; make it first", missing.display());
    }
    let answers = options.answers()?;
    let text = template::fill(&answers);
    let shown = output.display().to_string();
    // An answer that makes no configuration is told before anything is written.
    let config = config::parse_in(output.parent().unwrap_or(Path::new("")), &shown, &text, [])?;

    let data_dir = &config.server.data_dir;
    files::private_directory(data_dir).map_err(|error| {
        anyhow::anyhow!("the data directory {} cannot be made: {}", data_dir.display(), in_words(&error))
    })?;
    let key = signing_key::path(data_dir);
    let key_made = match signing_key::make(&key) {
        Ok(()) => true,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => false,
        Err(error) => bail!("the signing key {} cannot be written: {}", key.display(), in_words(&error)),
    };
    files::write_new(&output, text.as_bytes()).with_context(|| format!("{shown} cannot be written"))?;

    say::line(&format!("Written: {shown}"));
    match key_made {
        true => say::line(&format!("Written: {} (keep a copy in a safe place)", key.display())),
        false => say::line(&format!("Kept:    {}, the signing key that was there", key.display())),
    }
    say::line(&format!(
        "\nNext:\n  lyceum check-config --config {shown}\n  lyceum serve --config {shown}\n  \
         lyceum user create NAME --admin --config {shown}"
    ));
    Ok(())
}

impl Init {
    fn answers(self) -> anyhow::Result<Answers> {
        let ask = Asker::new(!self.yes && std::io::stdin().is_terminal());
        let server_name = match self.server_name {
            Some(name) => name,
            None => ask.needed(
                "The server's name, the part after the colon in @ada:campus.example. It can never be changed.",
                "--server-name",
                |name| {
                    ruma::ServerName::parse(name)
                        .map(drop)
                        .map_err(|_| "write a host name such as campus.example".into())
                },
            )?,
        };
        let data_dir = match self.data_dir {
            Some(directory) => directory,
            None => ask.with_default("Where shall the data go?", "./data")?,
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
            Some(url) => Some(url),
            None => ask
                .optional("At which address do clients reach the server, for example https://matrix.campus.example?")?,
        };
        let registration = match self.registration {
            Some(mode) => mode.name(),
            None => ask.one_of("Who may make an account?", &["token", "closed", "open"])?,
        };
        let federation = !self.no_federation && ask.yes("Shall the server talk to other Matrix servers?")?;
        Ok(Answers { server_name, data_dir, listen, tls, base_url, registration, federation })
    }
}
