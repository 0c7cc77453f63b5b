//! `lyceum serve`: from the configuration to a running server, and to its orderly end.

use std::path::Path;
use std::time::Duration;

use anyhow::{anyhow, bail};
use lyceum_events::ServerKey;
use lyceum_storage::{StorageError, Store};

use super::say;
use crate::config::{self, Config, Finding, Loaded, in_words};
use crate::listen::{Listeners, Running, Serves};
use crate::operator::socket;
use crate::server::{Parts, Server};
use crate::signals::{self, Signals};
use crate::telemetry::{self, Telemetry};
use crate::{files, signing_key};

pub(super) fn run(file: Option<&Path>) -> anyhow::Result<()> {
    let loaded = config::load(file)?;
    let found = loaded.config.check_surroundings();
    if !found.is_empty() {
        bail!("{}", loaded.describe(found));
    }
    super::block_on(serve(loaded))
}

/// How long whatever is still under way may take to end after the store has failed.
const LAST_WORK: Duration = Duration::from_secs(2);

/// A server at work, to be stopped in order.
struct Serving {
    server: Server,
    running: Running,
    _operator: socket::Served,
}

async fn serve(loaded: Loaded) -> anyhow::Result<()> {
    let config = &loaded.config;
    let telemetry = telemetry::start(&config.log)?;
    for name in &loaded.strangers {
        tracing::warn!(name, "an environment variable looks like a setting and is none");
    }
    // Before anything is opened: who starts a server may stop it at once, and that is to be in order too.
    let mut signals = Signals::listen()?;
    // Bound before the store is opened: a port in use is told before anything is written.
    let listeners = Listeners::bind(config).map_err(|found| not_bound(&loaded, found))?;
    make_data_dir(config)?;
    // Read before the store is opened: one that is of no use is told before anything is made.
    let key = signing_key::load_or_make(&config.server.data_dir, config.server.name.clone())?;
    let opening = Store::open(&config.storage, &config.server.data_dir);
    let Some(store) = signals.unless_stopped(async { anyhow::Ok(opening.await?) }).await.transpose()? else {
        tracing::info!("stopped before the store was open");
        return Ok(());
    };
    end_with(&store);
    let mut serving = None;
    let ended = tokio::select! {
        error = store.failed() => Err(failed(&error)),
        ended = until_stopped(&loaded, &telemetry, signals, (listeners, key), &store, &mut serving) => ended,
    };
    let ended = tokio::select! {
        () = close(serving, &store) => ended,
        error = store.failed(), if ended.is_ok() => Err(failed(&error)),
    };
    tracing::info!("stopped");
    ended
}

/// Serves until asked to stop.
async fn until_stopped(
    loaded: &Loaded,
    telemetry: &Telemetry,
    mut signals: Signals,
    (listeners, key): (Listeners, ServerKey),
    store: &Store,
    serving: &mut Option<Serving>,
) -> anyhow::Result<()> {
    let Loaded { config, file, .. } = loaded;
    let Some(server) = signals.unless_stopped(start(config, store, key)).await.transpose()? else { return Ok(()) };
    let operator = socket::serve(&config.server.data_dir, server.operator())?;
    let running = listeners.serve(|serves| match serves {
        Serves::Apis(apis) => server.router(apis),
        Serves::Metrics => telemetry.metrics(),
    });
    let Serving { server, running, .. } = serving.insert(Serving { server, running, _operator: operator });
    if file.is_none() {
        say::line(&trial_greeting(config, &server.invitation().await?));
    }
    tracing::info!(server = %config.server.name, listeners = %running.addresses(), "serving");
    signals::until_stopped(signals, loaded, telemetry, running, server).await
}

async fn start(config: &Config, store: &Store, key: ServerKey) -> anyhow::Result<Server> {
    let mut server = Server::build(config, Parts::real(config, store.clone(), key)?).await?;
    server.start().await?;
    Ok(server)
}

async fn close(serving: Option<Serving>, store: &Store) {
    if let Some(Serving { mut server, mut running, .. }) = serving {
        server.close();
        running.stop().await;
        server.stop().await;
    }
    store.close().await;
}

/// Tells of the store's failure at once, and sees to it that the process ends: never carry on with memory ahead of the disk.
fn failed(error: &StorageError) -> anyhow::Error {
    let told = anyhow!(
        "the store failed, so the server stops: {error}. Nothing that was acknowledged is lost; see to the disk (space, \
         hardware, permissions) and start the server again"
    );
    tracing::error!("{told}");
    told
}

/// Sees to it that the process ends when the store fails. In a task of its own: whatever else runs may wait inside the store.
fn end_with(store: &Store) {
    let store = store.clone();
    tokio::spawn(async move {
        store.failed().await;
        end_soon();
    });
}

/// Ends the process after [`LAST_WORK`] in any case. On a thread of its own: what waits inside a failed store holds up the
/// runtime's threads, its timers and its end.
fn end_soon() {
    let waiting = std::thread::Builder::new().name("last-work".to_owned()).spawn(|| {
        std::thread::sleep(LAST_WORK);
        say::error("the store failed; what still waits for it is left");
        std::process::exit(1)
    });
    if waiting.is_err() {
        std::process::exit(1);
    }
}

fn make_data_dir(config: &Config) -> anyhow::Result<()> {
    let dir = &config.server.data_dir;
    files::private_directory(dir)
        .map_err(|error| anyhow!("the data directory {} cannot be made: {}", dir.display(), in_words(&error)))
}

/// Why the server cannot listen, and for a trial, which has no file to change, how it can all the same.
fn not_bound(loaded: &Loaded, found: Vec<Finding>) -> anyhow::Error {
    let told = loaded.describe(found);
    match loaded.file {
        Some(_) => anyhow!("{told}"),
        None => anyhow!(
            "{told}To try it on another port:\n  LYCEUM_LISTENERS__0__ADDRESS=127.0.0.1:8009 {program}",
            program = program()
        ),
    }
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
