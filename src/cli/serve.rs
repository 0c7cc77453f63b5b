//! `lyceum serve`: from the configuration to a running server, and to its orderly end.

use std::path::Path;

use anyhow::{Context, bail};
use lyceum_storage::Store;

use super::say;
use crate::config::{self, Config, Loaded};
use crate::listen::{Listeners, Serves};
use crate::operator::socket;
use crate::server::{Parts, Server};
use crate::signals::{self, Signals};
use crate::{files, signing_key, telemetry};

pub(super) fn run(file: Option<&Path>) -> anyhow::Result<()> {
    let loaded = config::load(file)?;
    let found = loaded.config.check_surroundings();
    if !found.is_empty() {
        bail!("{}", loaded.describe(found));
    }
    super::block_on(serve(loaded))
}

async fn serve(loaded: Loaded) -> anyhow::Result<()> {
    let Loaded { config, file } = loaded.clone();
    let telemetry = telemetry::start(&config.log)?;
    // Before anything is opened: who starts a server may stop it at once, and that is to be in order too.
    let signals = Signals::listen()?;
    // Bound before the store is opened: a port in use is told before anything is written.
    let listeners = Listeners::bind(&config)?;
    let store = open_store(&config).await?;
    let key = signing_key::load_or_make(&config.server.data_dir, config.server.name.clone())?;
    let mut server = Server::build(&config, Parts::real(&config, store.clone(), key)?).await?;
    server.start().await?;
    let _operator = socket::serve(&config.server.data_dir, server.operator())?;
    let mut running = listeners.serve(|serves| match serves {
        Serves::Apis(apis) => server.router(apis),
        Serves::Metrics => telemetry.metrics(),
    });
    if file.is_none() {
        say::line(&trial_greeting(&config, &server.invitation().await?));
    }
    tracing::info!(server = %config.server.name, listeners = %running.addresses(), "serving");

    let ended = signals::until_stopped(signals, &loaded, &telemetry, &running, &server, &store).await;
    server.close();
    running.stop().await;
    server.stop().await;
    store.close().await;
    tracing::info!("stopped");
    ended
}

async fn open_store(config: &Config) -> anyhow::Result<Store> {
    let dir = &config.server.data_dir;
    files::private_directory(dir).with_context(|| format!("the data directory {} cannot be made", dir.display()))?;
    Ok(Store::open(&config.storage, dir).await?)
}

fn trial_greeting(config: &Config, token: &str) -> String {
    let address = config.listeners.first().map_or_else(String::new, |listener| listener.address.to_string());
    format!(
        "Lyceum is running as a trial: for this machine only, without a configuration.\n\
         \n\
         It listens on    http://{address}\n\
         Its name is      {name}\n\
         Its data is in   {data}\n\
         \n\
         Make the first account, in another terminal:\n\
         \n    {program} user create NAME --admin\n\
         \n\
         and sign in with a Matrix app, for example Element Desktop: choose \"Edit\" beside the\n\
         homeserver and enter http://{address}\n\
         Others on this machine can register in the app with the token {token}\n\
         \n\
         Stop it with Ctrl-C; start it again and everything is still there.\n\
         For real use, `{program} init` writes a configuration.\n",
        name = config.server.name,
        data = config.server.data_dir.display(),
        program = program(),
    )
}

/// This program as it was called, so that the commands above can be copied.
fn program() -> String {
    std::env::args().next().unwrap_or_else(|| "lyceum".to_owned())
}
