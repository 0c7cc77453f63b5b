//! Sending between servers in one process, from a source that says what it is told to say.

use async_trait::async_trait;
use futures_util::FutureExt;
use lyceum_storage::{Batch, Commit, Store, Subject};
use parking_lot::Mutex;
use ruma::{OwnedServerName, ServerName, server_name};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};
use tokio::sync::Notify;

use super::*;
use crate::{Call, FederationConfig, PeerError, Target, testing::Net};

/// A server that missed more than this of a room is sent the last event only.
const MISSED_MAX: usize = 120;

/// Says what tests let it say.
#[derive(Clone, Default)]
struct Script {
    said: Arc<Mutex<BTreeMap<u64, (String, String)>>>,
    servers: Arc<Mutex<HashMap<String, Vec<OwnedServerName>>>>,
    news: Arc<Mutex<Vec<Telling>>>,
    told: Arc<Notify>,
}

#[async_trait]
impl Source for Script {
    async fn tellings(&self, commit: &Commit) -> Result<Vec<Telling>, PeerError> {
        let said = self.said.lock();
        let of_commit = said.range(commit.first.0..=commit.last.0);
        Ok(of_commit
            .map(|(position, (room, json))| {
                let piece = Piece::Pdu(json.as_str().into());
                let what = What::Kept { position: *position, about: room.as_str().into(), piece };
                let servers = self.servers.lock().get(room).cloned().unwrap_or_default().into();
                Telling { servers, what }
            })
            .collect())
    }

    async fn passing(&self) -> Telling {
        loop {
            if let Some(telling) = self.news.lock().pop() {
                return telling;
            }
            self.told.notified().await;
        }
    }

    async fn missed(&self, _: &ServerName, about: &str, from: u64, pdus: usize, _: usize) -> Result<Missed, PeerError> {
        if about.starts_with("devices:") {
            let unit = |n: u64| Piece::Edu(Arc::new(Edu::new("m.test", json!([about, n]))));
            return Ok(Missed { pieces: vec![(from, unit(1)), (from, unit(2))], rest_from: None });
        }
        let said = self.said.lock();
        let all: Vec<_> = said.range(from..).filter(|(_, (room, _))| room == about).collect();
        let piece = |(position, (_, json)): &(&u64, &(String, String))| (**position, Piece::Pdu(json.as_str().into()));
        if all.len() > MISSED_MAX {
            return Ok(Missed { pieces: all.last().map(piece).into_iter().collect(), rest_from: None });
        }
        let rest_from = all.get(pdus).map(|(position, _)| **position);
        Ok(Missed { pieces: all.iter().take(pdus).map(piece).collect(), rest_from })
    }
}

impl Script {
    /// One commit with so many events, numbered from `first`.
    async fn says(&self, store: &Store, room: &str, numbers: std::ops::Range<u64>) {
        let mut batch = Batch::new();
        batch.touch(Subject::room(room)).positions(numbers.end - numbers.start);
        let (said, room) = (self.said.clone(), room.to_owned());
        batch.at_position(move |position, _| {
            for (n, at) in numbers.zip(position.0..) {
                said.lock().insert(at, (room.clone(), json!({ "n": n }).to_string()));
            }
        });
        store.commit(batch).await.expect("committed");
    }

    fn news(&self, to: &str, key: &str, content: Value) {
        let servers = [OwnedServerName::try_from(to).expect("a name")].into();
        let what = What::Passing { key: key.to_owned(), edu: Edu::new("m.test", content) };
        self.news.lock().push(Telling { servers, what });
        self.told.notify_one();
    }
}

/// What a server was sent.
#[derive(Clone, Default)]
struct Inbox {
    transactions: Arc<Mutex<Vec<(String, Value)>>>,
    arrived: Arc<Notify>,
}

impl Inbox {
    /// Takes every transaction sent to a server, answering with what `status` says of how many came before.
    fn of(net: &Net, name: &str, status: impl Fn(usize) -> u16 + Send + Sync + 'static) -> Self {
        let inbox = Self::default();
        let all = inbox.clone();
        net.answers(name, move |_, target, body| {
            let status = status(all.transactions.lock().len());
            let id = target.rsplit('/').next().unwrap_or_default().to_owned();
            all.transactions.lock().push((id, body));
            all.arrived.notify_waiters();
            async move { (status, json!({ "pdus": {} })) }.boxed()
        });
        inbox
    }

    /// Takes what is sent to a server unless it holds what the server refuses, with this status.
    fn picky(net: &Net, name: &str, refuses: impl Fn(&Value) -> Option<u16> + Send + Sync + 'static) -> Self {
        let inbox = Self::default();
        let all = inbox.clone();
        net.answers(name, move |_, target, body| {
            let status = refuses(&body);
            if status.is_none() {
                let id = target.rsplit('/').next().unwrap_or_default().to_owned();
                all.transactions.lock().push((id, body));
            }
            all.arrived.notify_waiters();
            async move { (status.unwrap_or(200), json!({})) }.boxed()
        });
        inbox
    }

    fn numbers(&self) -> Vec<u64> {
        let transactions = self.transactions.lock();
        let pdus = transactions.iter().flat_map(|(_, body)| body["pdus"].as_array().into_iter().flatten());
        pdus.filter_map(|pdu| pdu["n"].as_u64()).collect()
    }

    fn edus(&self) -> Vec<Value> {
        let transactions = self.transactions.lock();
        let edus = transactions.iter().flat_map(|(_, body)| body["edus"].as_array().into_iter().flatten());
        edus.map(|edu| edu["content"].clone()).collect()
    }

    async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        loop {
            let arrival = self.arrived.notified();
            if holds(self) {
                return;
            }
            let waited = tokio::time::timeout(Duration::from_secs(10), arrival).await;
            assert!(waited.is_ok(), "expected {what}, but {:?} arrived", self.numbers());
        }
    }
}

struct World {
    net: Net,
    store: Store,
    script: Script,
    alpha: Peers,
    sender: Sender,
}

impl World {
    /// Alpha, with rooms in which others are.
    async fn with(rooms: &[(&str, &[&str])]) -> Self {
        let net = Net::new();
        let script = Script::default();
        let mut others = HashSet::new();
        for (room, servers) in rooms {
            let names = servers.iter().map(|name| OwnedServerName::try_from(*name).expect("a name"));
            script.servers.lock().insert((*room).to_owned(), names.collect());
            others.extend(servers.iter().copied());
        }
        for name in others {
            net.server(name).await;
        }
        let store = Store::memory().await.expect("a store");
        let (alpha, sender) = start(&net, &store, &script).await;
        Self { net, store, script, alpha, sender }
    }

    async fn says(&self, room: &str, numbers: std::ops::Range<u64>) {
        for n in numbers {
            self.script.says(&self.store, room, n..n + 1).await;
        }
    }

    /// Alpha starts again over its store.
    async fn restart(&mut self) {
        (self.alpha, self.sender) = start(&self.net, &self.store, &self.script).await;
    }

    /// Waits until the sender has given a server up for now.
    async fn until_failing(&self, server: &str) {
        self.until(|status| status.iter().any(|one| one.server == server && one.failing_secs.is_some())).await;
    }

    async fn until(&self, holds: impl Fn(&[DestinationStatus]) -> bool) {
        for _ in 0..100_000 {
            if holds(&self.sender.status()) {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("it did not come to that: {:?}", self.sender.status());
    }
}

async fn start(net: &Net, store: &Store, script: &Script) -> (Peers, Sender) {
    let alpha = net.server_on(store, "alpha", 1, FederationConfig::default()).await;
    let sender = Sender::start(&alpha, store, script.clone()).await.expect("a sender");
    (alpha, sender)
}

#[tokio::test]
async fn everything_arrives_once_in_order_in_small_transactions() {
    let world = World::with(&[("!r", &["beta"])]).await;
    let inbox = Inbox::of(&world.net, "beta", |_| 200);
    world.script.says(&world.store, "!r", 0..130).await;
    world.says("!r", 130..300).await;
    inbox.until("300 events", |inbox| inbox.numbers().len() >= 300).await;
    assert_eq!(inbox.numbers(), (0..300).collect::<Vec<_>>());
    let transactions = inbox.transactions.lock();
    assert!(transactions.iter().all(|(_, body)| body["pdus"].as_array().is_some_and(|pdus| pdus.len() <= 50)));
    let ids: HashSet<_> = transactions.iter().map(|(id, _)| id).collect();
    assert_eq!(ids.len(), transactions.len(), "no transaction id twice");
}

#[tokio::test]
async fn a_slow_server_delays_no_other() {
    let world = World::with(&[("!r", &["beta", "gamma"])]).await;
    world.net.answers("beta", |_, _, _| std::future::pending().boxed());
    let inbox = Inbox::of(&world.net, "gamma", |_| 200);
    world.says("!r", 0..20).await;
    inbox.until("20 events", |inbox| inbox.numbers().len() == 20).await;
}

#[tokio::test]
async fn what_was_refused_is_sent_again_as_it_was() {
    let world = World::with(&[("!r", &["beta"])]).await;
    let inbox = Inbox::of(&world.net, "beta", |before| if before < 2 { 500 } else { 200 });
    world.says("!r", 0..1).await;
    for expected in 1..=2 {
        inbox.until("a try", |inbox| inbox.transactions.lock().len() == expected).await;
        world.until_failing("beta").await;
        world.says("!r", 10..11).await;
        world.net.pass(Duration::from_secs(1));
    }
    inbox.until("the events", |inbox| inbox.numbers().ends_with(&[10, 10])).await;
    let transactions = inbox.transactions.lock();
    assert_eq!(transactions[0], transactions[1]);
    assert_eq!(transactions[1], transactions[2]);
    assert_ne!(transactions[2].0, transactions[3].0);
}

#[tokio::test]
async fn a_sign_of_life_ends_a_long_pause() {
    let world = World::with(&[("!r", &["beta"])]).await;
    let inbox = Inbox::of(&world.net, "beta", |_| 200);
    world.net.cut("beta");
    world.says("!r", 0..3).await;
    for _ in 0..40 {
        world.until_failing("beta").await;
        world.net.pass(Duration::from_secs(600));
        tokio::task::yield_now().await;
    }
    world.until(|status| status[0].retry_in_secs.is_some_and(|secs| secs > 100)).await;
    world.net.heal("beta");
    let beta = world.net.peers("beta");
    let greeting = Call::get(Target::at("/_matrix/federation/v1/version"));
    beta.request(server_name!("alpha"), greeting.always()).await.expect("beta reaches alpha");
    world.net.pass(Duration::from_secs(2));
    inbox.until("the events", |inbox| inbox.numbers() == [0, 1, 2]).await;
}

#[tokio::test]
async fn the_operator_can_try_at_once() {
    let world = World::with(&[("!r", &["beta"])]).await;
    let inbox = Inbox::of(&world.net, "beta", |_| 200);
    world.net.cut("beta");
    world.says("!r", 0..1).await;
    world.until_failing("beta").await;
    world.net.heal("beta");
    assert!(world.sender.retry(server_name!("beta")));
    inbox.until("the event", |inbox| inbox.numbers() == [0]).await;
    assert!(!world.sender.retry(server_name!("gamma")));
}

#[tokio::test]
async fn after_a_long_absence_only_what_is_of_use_is_sent() {
    let world = World::with(&[("!long", &["beta"]), ("!short", &["beta"])]).await;
    let inbox = Inbox::of(&world.net, "beta", |_| 200);
    world.net.cut("beta");
    world.script.says(&world.store, "!long", 0..2000).await;
    world.says("!short", 5000..5110).await;
    world.until_failing("beta").await;
    // What was on its way is given up after a minute.
    world.net.pass(Duration::from_secs(61));
    world.until(|status| status[0].behind == 2 && status[0].retry_in_secs.is_some_and(|secs| secs > 5)).await;
    assert!(world.sender.status()[0].queued == 0, "a long queue is not kept");
    world.net.heal("beta");
    world.net.pass(Duration::from_secs(10));
    inbox.until("the end", |inbox| inbox.numbers().contains(&5109)).await;
    let expected: Vec<_> = std::iter::once(1999).chain(5000..5110).collect();
    assert_eq!(inbox.numbers(), expected);
    world.says("!short", 6000..6001).await;
    inbox.until("news", |inbox| inbox.numbers().contains(&6000)).await;
}

#[tokio::test]
async fn nothing_is_lost_over_restarts_and_crashes() {
    let mut world = World::with(&[("!r", &["beta", "gamma"])]).await;
    let (beta, gamma) = (Inbox::of(&world.net, "beta", |_| 200), Inbox::of(&world.net, "gamma", |_| 200));
    world.net.cut("beta");
    world.says("!r", 0..5).await;
    world.until_failing("beta").await;
    gamma.until("five events", |gamma| gamma.numbers().len() == 5).await;
    world.sender.stop().await;
    world.says("!r", 5..8).await;
    world.restart().await;
    gamma.until("what was said meanwhile", |gamma| gamma.numbers() == (0..8).collect::<Vec<_>>()).await;
    world.until_failing("beta").await;
    world.says("!r", 8..10).await;
    gamma.until("the last two", |gamma| gamma.numbers().ends_with(&[8, 9])).await;
    world.sender.crash();
    world.net.heal("beta");
    world.restart().await;
    let all: HashSet<u64> = (0..10).collect();
    let has_all = |beta: &Inbox| beta.numbers().into_iter().collect::<HashSet<_>>() == all;
    beta.until("all ten events", has_all).await;
}

#[tokio::test]
async fn the_outbox_is_durable_and_emptied() {
    let mut world = World::with(&[("!r", &["beta"])]).await;
    let inbox = Inbox::of(&world.net, "beta", |_| 200);
    world.net.cut("beta");
    for n in 0..3 {
        let mut batch = Batch::new();
        let units = (0..60).map(|m| Edu::new("m.direct_to_device", json!([n, m]))).collect();
        Peers::add_to_outbox(&mut batch, server_name!("beta"), units);
        world.store.commit(batch).await.expect("committed");
    }
    world.until_failing("beta").await;
    world.sender.crash();
    world.net.heal("beta");
    world.restart().await;
    inbox.until("180 units", |inbox| inbox.edus().len() >= 180).await;
    let expected: Vec<_> = (0..3).flat_map(|n| (0..60).map(move |m| json!([n, m]))).collect();
    assert_eq!(inbox.edus(), expected);
    world.until(|_| world.sender.is_settled()).await;
    world.sender.stop().await;
    world.restart().await;
    world.says("!r", 1..2).await;
    inbox.until("the event", |inbox| inbox.numbers() == [1]).await;
    assert_eq!(inbox.edus().len(), 180, "delivered units are gone");
}

#[tokio::test]
async fn news_are_told_and_dropped_for_who_is_away() {
    let world = World::with(&[("!r", &["beta"])]).await;
    let inbox = Inbox::of(&world.net, "beta", |_| 200);
    world.script.news("beta", "typing", json!({ "typing": true }));
    inbox.until("the news", |inbox| inbox.edus() == [json!({ "typing": true })]).await;
    world.net.cut("beta");
    world.says("!r", 0..1).await;
    world.until_failing("beta").await;
    world.script.news("beta", "typing", json!({ "typing": false }));
    world.until(|_| world.script.news.lock().is_empty()).await;
    world.net.heal("beta");
    world.net.pass(Duration::from_secs(1));
    inbox.until("the event", |inbox| inbox.numbers() == [0]).await;
    assert_eq!(inbox.edus().len(), 1);
}

#[tokio::test]
async fn what_a_server_never_takes_is_left_out_and_holds_up_nothing() {
    let world = World::with(&[("!r", &["beta"])]).await;
    let holds_bad = |body: &Value| body["pdus"].as_array().is_some_and(|pdus| pdus.iter().any(|pdu| pdu["n"] == 7));
    let is_large = |body: &Value| body["edus"].to_string().len() > 100_000;
    let inbox = Inbox::picky(&world.net, "beta", move |body| match body {
        body if holds_bad(body) => Some(400),
        body if is_large(body) => Some(413),
        _ => None,
    });
    let mut batch = Batch::new();
    let large = json!({ "x": "x".repeat(200_000) });
    let units = [json!({ "n": 1 }), large, json!({ "n": 2 })].map(|content| Edu::new("m.direct_to_device", content));
    Peers::add_to_outbox(&mut batch, server_name!("beta"), units.to_vec());
    world.store.commit(batch).await.expect("committed");
    world.script.says(&world.store, "!r", 0..120).await;
    inbox.until("what can be taken", |inbox| inbox.numbers().len() == 119 && inbox.edus().len() == 2).await;
    assert_eq!(inbox.numbers(), (0..120).filter(|n| *n != 7).collect::<Vec<_>>(), "in order");
    assert_eq!(inbox.edus(), [json!({ "n": 1 }), json!({ "n": 2 })]);
    world.until(|_| world.sender.is_settled()).await;
    world.sender.stop().await;
    assert!(!world.sender.retry(server_name!("beta")), "nothing of it waits any more");
}

#[tokio::test]
async fn what_is_refused_for_other_reasons_is_kept() {
    let world = World::with(&[("!r", &["beta"])]).await;
    for status in [401, 403, 404, 429, 500, 502] {
        let inbox = Inbox::picky(&world.net, "beta", move |_| Some(status));
        world.says("!r", 0..1).await;
        world.until_failing("beta").await;
        assert!(inbox.numbers().is_empty());
        let inbox = Inbox::of(&world.net, "beta", |_| 200);
        world.sender.retry(server_name!("beta"));
        inbox.until(&format!("what was answered {status}"), |inbox| inbox.numbers().contains(&0)).await;
        world.until(|_| world.sender.is_settled()).await;
    }
}

#[tokio::test]
async fn large_units_go_in_transactions_of_a_bounded_size() {
    let world = World::with(&[("!r", &["beta"])]).await;
    let inbox = Inbox::of(&world.net, "beta", |_| 200);
    let mut batch = Batch::new();
    let units = (0..12).map(|n| Edu::new("m.direct_to_device", json!([n, "x".repeat(1_000_000)]))).collect();
    Peers::add_to_outbox(&mut batch, server_name!("beta"), units);
    world.store.commit(batch).await.expect("committed");
    inbox.until("12 units", |inbox| inbox.edus().len() == 12).await;
    assert_eq!(
        inbox.edus().iter().map(|edu| edu[0].as_u64()).collect::<Vec<_>>(),
        (0..12).map(Some).collect::<Vec<_>>()
    );
    let transactions = inbox.transactions.lock();
    let largest = transactions.iter().map(|(_, body)| body.to_string().len()).max();
    assert!(largest < Some(4 * 1024 * 1024 + 1_000), "{largest:?}");
}

#[tokio::test]
async fn who_missed_many_device_lists_is_sent_no_more_units_at_once_than_a_transaction_holds() {
    let names: Vec<_> = (0..150).map(|n| format!("devices:@{n:03}:alpha")).collect();
    let lists: Vec<(&str, &[&str])> = names.iter().map(|name| (name.as_str(), &["beta"][..])).collect();
    let mut world = World::with(&lists).await;
    let mut batch = Batch::new();
    Peers::add_to_outbox(&mut batch, server_name!("beta"), vec![Edu::new("m.test", json!("outbox"))]);
    world.net.cut("beta");
    world.store.commit(batch).await.expect("committed");
    for name in &names {
        world.says(name, 0..1).await;
    }
    world.until_failing("beta").await;
    world.sender.stop().await;
    world.net.heal("beta");
    let inbox = Inbox::of(&world.net, "beta", |_| 200);
    world.restart().await;
    let distinct = |inbox: &Inbox| inbox.edus().iter().map(Value::to_string).collect::<HashSet<_>>().len();
    inbox.until("all units", |inbox| distinct(inbox) == 301).await;
    let transactions = inbox.transactions.lock();
    let most = transactions.iter().filter_map(|(_, body)| body["edus"].as_array().map(Vec::len)).max();
    assert_eq!(most, Some(100));
}

#[tokio::test]
async fn who_is_away_for_months_is_sent_what_is_of_use_still() {
    let world = World::with(&[("!r", &["beta"])]).await;
    let inbox = Inbox::of(&world.net, "beta", |_| 200);
    world.net.cut("beta");
    for (days, said) in [(1, "old"), (59, "young"), (2, "new")] {
        let mut batch = Batch::new();
        Peers::add_to_outbox(&mut batch, server_name!("beta"), vec![Edu::new("m.direct_to_device", json!(said))]);
        world.store.commit(batch).await.expect("committed");
        world.until_failing("beta").await;
        // A look at the outboxes is taken a moment after each commit.
        for _ in 0..5 {
            world.net.pass(Duration::from_secs(2));
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
        }
        world.net.pass(Duration::from_secs(days * 24 * 60 * 60));
    }
    world.net.heal("beta");
    world.sender.retry(server_name!("beta"));
    inbox.until("what is of use", |inbox| inbox.edus().contains(&json!("new"))).await;
    assert_eq!(inbox.edus(), ["young", "new"]);
}

#[tokio::test]
async fn numbers_that_canonical_json_lacks_arrive() {
    let world = World::with(&[("!r", &["beta"])]).await;
    let inbox = Inbox::of(&world.net, "beta", |_| 200);
    let content = json!({ "b": [1.5, 1e-7, 1e300, u64::MAX], "a": -0.0 });
    let mut batch = Batch::new();
    Peers::add_to_outbox(&mut batch, server_name!("beta"), vec![Edu::new("m.direct_to_device", content.clone())]);
    world.store.commit(batch).await.expect("committed");
    inbox.until("the unit", |inbox| inbox.edus() == std::slice::from_ref(&content)).await;
}

/// Small numbers from a seed, the same every time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// Servers come and go, alpha stops and is killed, time passes: in the end everybody has everything.
#[tokio::test]
async fn whatever_happens_everything_arrives() {
    for seed in 0..20 {
        let mut chance = Chance(seed);
        let rooms: [(&str, &[&str]); 3] = [("!a", &["beta", "gamma"]), ("!b", &["beta"]), ("!c", &["gamma"])];
        let mut world = World::with(&rooms).await;
        let inboxes = ["beta", "gamma"].map(|name| (name, Inbox::of(&world.net, name, |_| 200)));
        let mut said: HashMap<&str, HashSet<u64>> = HashMap::new();
        for n in 0..100 {
            let name = inboxes[usize::from(chance.below(2) == 1)].0;
            match chance.below(12) {
                0 => world.net.cut(name),
                1 | 2 => world.net.heal(name),
                3 => world.net.pass(Duration::from_secs(chance.below(90))),
                4 => {
                    world.sender.stop().await;
                    world.restart().await;
                }
                5 => {
                    world.sender.crash();
                    world.restart().await;
                }
                _ => {
                    let (room, servers) = rooms[usize::try_from(chance.below(3)).expect("small")];
                    world.says(room, n..n + 1).await;
                    servers.iter().for_each(|server| said.entry(server).or_default().extend([n]));
                }
            }
            for _ in 0..chance.below(20) {
                tokio::task::yield_now().await;
            }
        }
        for (name, inbox) in &inboxes {
            world.net.heal(name);
            world.sender.retry(&OwnedServerName::try_from(*name).expect("a name"));
            let all = said.remove(name).unwrap_or_default();
            let what = format!("everything to arrive at {name} with seed {seed}");
            inbox.until(&what, |inbox| inbox.numbers().into_iter().collect::<HashSet<_>>() == all).await;
        }
        world.sender.stop().await;
    }
}

#[tokio::test]
async fn a_denied_server_and_this_one_are_told_nothing() {
    let net = Net::new();
    let script = Script::default();
    let names = ["alpha", "beta", "evil"].map(|name| OwnedServerName::try_from(name).expect("a name"));
    script.servers.lock().insert("!r".into(), names.to_vec());
    net.server("beta").await;
    net.server("evil").await;
    let (beta, evil) = (Inbox::of(&net, "beta", |_| 200), Inbox::of(&net, "evil", |_| 200));
    let store = Store::memory().await.expect("a store");
    let denying = FederationConfig { denied_servers: vec!["evil".into()], ..FederationConfig::default() };
    let alpha = net.server_on(&store, "alpha", 1, denying).await;
    let sender = Sender::start(&alpha, &store, script.clone()).await.expect("a sender");
    script.says(&store, "!r", 0..1).await;
    beta.until("the event", |beta| beta.numbers() == [0]).await;
    assert!(evil.transactions.lock().is_empty());
    assert_eq!(sender.status().len(), 1);
}
