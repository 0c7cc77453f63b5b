//! Servers that know each other, in one process.

use std::collections::BTreeMap;

use axum::Router;
use lyceum::config::{self, Api};
use lyceum::server::{Parts, Server};
use lyceum_accounts::{DeviceChoice, NewPerson};
use lyceum_events::{Clock, ManualClock, ServerKey};
use lyceum_outbound::Outbound;
use lyceum_peers::{NoServices, sender::Sender};
use lyceum_push::{Feeds, Notifier};
use lyceum_storage::Store;
use std::sync::Arc;
use std::time::Duration;

use super::Person;
use super::wires::Wires;

/// Stories begin here: 2 November 2026, 08:00 UTC, a Monday.
const BEGIN_MS: u64 = 1_793_606_400_000;

/// The password of everybody who does not say otherwise.
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// In real time: how often it is looked whether servers have told each other everything, and for how long.
const POLL_INTERVAL: Duration = Duration::from_millis(2);
const PATIENCE: Duration = Duration::from_secs(30);

/// Some servers, one clock.
pub(crate) struct Campus {
    pub(crate) clock: ManualClock,
    pub(crate) wires: Wires,
    hosts: BTreeMap<String, Host>,
    settings: String,
}

/// One server of a campus.
pub(crate) struct Host {
    pub(crate) server: Server,
    pub(crate) store: Store,
    pub(crate) router: Router,
    /// What it signs with.
    pub(crate) key: ServerKey,
    /// Where its files are, until the story ends.
    data: tempfile::TempDir,
    index: u8,
}

impl Campus {
    /// Servers of these names, all settings at their defaults but rate limits (off) and registration (open).
    pub(crate) async fn of<const N: usize>(names: [&str; N]) -> Self {
        Self::with(names, "").await
    }

    /// Servers of these names, with more configuration (TOML) for each.
    pub(crate) async fn with<const N: usize>(names: [&str; N], settings: &str) -> Self {
        let clock = ManualClock::at(BEGIN_MS);
        let (wires, mut hosts) = (Wires::default(), BTreeMap::new());
        for (index, name) in names.into_iter().enumerate() {
            let host =
                Host::start(name, settings, &clock, &wires, u8::try_from(index).expect("a handful of servers")).await;
            hosts.insert(name.to_owned(), host);
        }
        Self { clock, wires, hosts, settings: settings.to_owned() }
    }

    /// Waits until every server has delivered what it has to tell the others. Never with a wire cut that somebody needs.
    pub(crate) async fn settle(&self) {
        let all = async {
            // Delivering can give the receiver something to tell: twice in a row means that it did not.
            let mut in_a_row = 0;
            while in_a_row < 2 {
                in_a_row = if self.is_settled() { in_a_row + 1 } else { 0 };
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        };
        tokio::time::timeout(PATIENCE, all).await.expect("the campus settles");
    }

    /// Whether every server has delivered what it has to tell, as far as it knows.
    pub(crate) fn is_settled(&self) -> bool {
        let servers = || self.hosts.values().map(|host| &host.server);
        servers().filter_map(Server::sender).all(Sender::is_settled)
            && servers().filter_map(Server::notifier).all(Notifier::is_settled)
            && servers().filter_map(Server::feeds).all(Feeds::is_settled)
    }

    /// Stops the server of this name and starts it again over what it has stored. People go on by
    /// [`Person::at`](super::Person::at).
    pub(crate) async fn restarts(&mut self, name: &str) {
        let mut host = self.hosts.remove(name).expect("there is such a server");
        host.server.stop().await;
        self.starts_again(name, host).await;
    }

    /// Kills the server of this name, which writes nothing more, and starts it again over what it has stored.
    pub(crate) async fn crashes(&mut self, name: &str) {
        let host = self.hosts.remove(name).expect("there is such a server");
        host.server.crash();
        self.starts_again(name, host).await;
    }

    async fn starts_again(&mut self, name: &str, before: Host) {
        let Host { store, data, index, .. } = before;
        let host = Host::over(name, &self.settings, &self.clock, &self.wires, (store, data, index)).await;
        self.hosts.insert(name.to_owned(), host);
    }

    /// What time it is, in milliseconds.
    pub(crate) fn clock_ms(&self) -> u64 {
        self.clock.now().get().into()
    }

    /// Where the server of this name keeps its files.
    pub(crate) fn data_of(&self, name: &str) -> &std::path::Path {
        self.hosts[name].data.path()
    }

    /// The server of this name.
    pub(crate) fn host(&self, name: &str) -> &Host {
        &self.hosts[name]
    }

    /// A new person at the only server, signed in.
    pub(crate) async fn person(&self, name: &str) -> Person {
        let only = self.hosts.values().next().expect("a campus has a server");
        only.person(name).await
    }

    /// A new person at the server of this name, signed in.
    pub(crate) async fn person_at(&self, server: &str, name: &str) -> Person {
        self.host(server).person(name).await
    }
}

impl Host {
    async fn start(name: &str, settings: &str, clock: &ManualClock, wires: &Wires, index: u8) -> Self {
        let data = tempfile::tempdir().expect("a directory can be made");
        let store = Store::memory().await.expect("a store in memory opens");
        Self::over(name, settings, clock, wires, (store, data, index)).await
    }

    async fn over(
        name: &str,
        settings: &str,
        clock: &ManualClock,
        wires: &Wires,
        (store, data, index): (Store, tempfile::TempDir, u8),
    ) -> Self {
        // Only stories that search pay for an index.
        let search = if settings.contains("search.") { "" } else { "search.enabled = false\n" };
        let mode = if settings.contains("registration.mode") { "" } else { "registration.mode = \"open\"\n" };
        let limits = if settings.contains("rate_limits.") { "" } else { "rate_limits.enabled = false\n" };
        let text = format!(
            "server.name = {name:?}\nserver.data_dir = {:?}\nstorage.engine = \"memory\"\n\
             {mode}{search}{limits}registration.shared_secret = \"shared\"\n\
             sign_in.password_cost = {{ memory_kib = 64, passes = 1 }}\n{settings}",
            data.path().display().to_string(),
        );
        let config =
            config::parse("the story's configuration", &text, []).unwrap_or_else(|problems| panic!("{problems}"));
        let key = ServerKey::from_seed(config.server.name.clone(), &[index; 32], "a1").expect("32 bytes make a key");
        let outbound = Outbound::over(wires.from(name));
        let services = Arc::new(NoServices);
        let parts = Parts {
            store: store.clone(),
            clock: Arc::new(clock.clone()),
            seed: [index; 32],
            key: key.clone(),
            outbound,
            services,
        };
        let mut server = Server::build(&config, parts).await.expect("the server is built");
        server.start().await.expect("the followers start");
        let router = server.router(&[Api::Client, Api::Federation, Api::Admin]);
        wires.reach(name, router.clone());
        Self { server, store, router, key, data, index }
    }

    /// A new person, signed in on one device.
    pub(crate) async fn person(&self, name: &str) -> Person {
        self.newcomer(name, false).await
    }

    /// A new administrator, signed in on one device.
    pub(crate) async fn admin(&self, name: &str) -> Person {
        self.newcomer(name, true).await
    }

    /// Looks through everything that is stored: nothing may be wrong.
    pub(crate) async fn is_sound(&self) {
        let checked = self.server.check().await.expect("the store can be read");
        assert_eq!(checked.wrong, 0, "{:#?}", checked.findings);
    }

    /// Somebody who is not signed in.
    pub(crate) fn stranger(&self) -> Person {
        Person::stranger(self.router.clone())
    }

    async fn newcomer(&self, name: &str, admin: bool) -> Person {
        let person = NewPerson {
            localpart: Some(name.to_owned()),
            password: Some(PASSWORD.to_owned()),
            admin,
            ..NewPerson::default()
        };
        let registered = self.server.accounts().register(person, Some(DeviceChoice::default())).await;
        let registered = registered.unwrap_or_else(|error| panic!("{name} cannot be made: {error}"));
        Person::signed_in(self.router.clone(), registered.session.expect("a session was asked for"))
    }
}
