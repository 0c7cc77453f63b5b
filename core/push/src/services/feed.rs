//! Transactions: what a service is told of the stream, in order, each until it has it.
//!
//! Before a transaction is sent, its range of the stream and its id are noted: after a crash the same range is sent again
//! under the same id, which tells the service that it may have it already.

use lyceum_storage::{Batch, Follower, Position, Subject};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::{broadcast::error::RecvError, watch};

use super::{Service, Services, gather::Gathered};
use crate::{Push, error::Result, tables::FEEDS};

/// Groups of commits read at once.
const PAGE_GROUPS: usize = 64;
/// Events in one transaction, but for those of one commit.
const EVENTS_MAX: usize = 100;
/// Positions gone through without anything to tell before the place is noted.
const UNNOTED_MAX: u64 = 1_000;
/// The pause after a first failure, and the longest one.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// The transaction that is being sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredFeed {
    /// After this position.
    from: u64,
    /// Up to this one.
    through: u64,
    id: String,
}

/// The feeds of all services. Cheap to clone; they run until they are stopped.
#[derive(Clone)]
pub struct Feeds(Arc<Running>);

struct Running {
    push: Push,
    feeds: Vec<Arc<Progress>>,
    stopping: watch::Sender<bool>,
}

/// How far a feed is.
#[derive(Default)]
struct Progress {
    at: AtomicU64,
    is_failing: AtomicBool,
    has_ended: tokio::sync::Notify,
}

impl Feeds {
    /// Starts telling every service that has an address, from where the last run ended; a new one from now on.
    pub async fn start(push: &Push, services: &Services) -> Result<Self> {
        let stopping = watch::Sender::new(false);
        let mut feeds = Vec::new();
        for service in services.all().iter().filter(|service| service.registration.url.is_some()) {
            let progress = Arc::new(Progress::default());
            let feed = Feed::open(push, services, service, progress.clone()).await?;
            tokio::spawn(feed.run_until(stopping.subscribe()));
            feeds.push(progress);
        }
        Ok(Self(Arc::new(Running { push: push.clone(), feeds, stopping })))
    }

    /// Stops. What was taken is noted, so that it is not sent again.
    pub async fn stop(&self) {
        let ends: Vec<_> = self.0.feeds.iter().map(|feed| feed.has_ended.notified()).collect();
        self.crash();
        futures_util::future::join_all(ends).await;
    }

    /// Ends as if the process were killed, but for what a feed notes when it is told to end.
    pub fn crash(&self) {
        self.0.stopping.send_replace(true);
    }

    /// Whether everything that was committed has been told, or waits for a service that failed.
    pub fn is_settled(&self) -> bool {
        let committed = self.0.push.store().committed().0;
        let settled = |feed: &Arc<Progress>| {
            feed.is_failing.load(Ordering::Acquire) || feed.at.load(Ordering::Acquire) >= committed
        };
        self.0.feeds.iter().all(settled)
    }
}

/// The feed of one service.
pub(super) struct Feed {
    pub(super) push: Push,
    pub(super) services: Services,
    pub(super) service: Arc<Service>,
    follower: Follower,
    progress: Arc<Progress>,
    /// Everything up to here was told.
    at: Position,
    noted: Position,
    /// What the last run had begun to send.
    pending: Option<StoredFeed>,
    /// Whether rooms concern the service, by their states.
    pub(super) concerned: super::gather::Concerned,
    passing: u64,
}

impl Feed {
    async fn open(push: &Push, services: &Services, service: &Arc<Service>, progress: Arc<Progress>) -> Result<Self> {
        let follower = Follower::new(push.store(), &format!("appservice/{}", service.registration.id)).await?;
        let at = if follower.cursor() == Position(0) { push.store().committed() } else { follower.cursor() };
        let feed = Self {
            push: push.clone(),
            services: services.clone(),
            service: service.clone(),
            noted: follower.cursor(),
            pending: push.store().get(&FEEDS, service.registration.id.as_str()).await?,
            follower,
            progress,
            at,
            concerned: Default::default(),
            passing: 0,
        };
        feed.progress.at.store(at.0, Ordering::Release);
        if feed.noted != at {
            feed.note(None).await?;
        }
        Ok(feed)
    }

    async fn run_until(mut self, mut stopping: watch::Receiver<bool>) {
        tokio::select! {
            () = self.run() => {}
            // An error says that the server is gone.
            _ = stopping.wait_for(|stop| *stop) => {}
        }
        if let Err(error) = self.note(None).await {
            tracing::debug!(%error, "a service's place was not noted; its last transaction will be sent again");
        }
        self.progress.has_ended.notify_one();
    }

    async fn run(&mut self) {
        let mut tail = self.push.store().tail();
        let mut typing = self.push.rooms().typing().listen();
        let mut presence = self.push.accounts().presence().listen();
        let receives = self.service.registration.receives_ephemeral;
        loop {
            let before = self.at;
            if let Err(error) = self.step().await {
                tracing::warn!(service = self.service.registration.id, %error, "the stream could not be read, trying again");
                self.push.clock().sleep(PAUSE_FIRST).await;
                continue;
            }
            if self.at > before {
                continue;
            }
            let passing = tokio::select! {
                commit = tail.recv() => match commit {
                    Ok(_) | Err(RecvError::Lagged(_)) => None,
                    Err(RecvError::Closed) => return,
                },
                change = typing.recv(), if receives => self.typing_news(change.ok()).await,
                user = presence.recv(), if receives => self.presence_news(user.ok()).await,
            };
            if let Some(event) = passing {
                self.tell_passing(event).await;
            }
        }
    }

    /// Tells what came next in the stream.
    async fn step(&mut self) -> Result<()> {
        let pending = self.pending.clone().filter(|pending| pending.from == self.at.0 && pending.through > self.at.0);
        let page = self.push.store().commits_since(self.at, PAGE_GROUPS).await?;
        if page.missed {
            tracing::error!(service = self.service.registration.id, "the stream was pruned before the service had it");
        }
        let mut gathered = Gathered::default();
        let mut through = page.through;
        for commit in &page.commits {
            let is_full = gathered.events.len() >= EVENTS_MAX;
            let is_over = pending.as_ref().is_some_and(|pending| commit.last.0 > pending.through);
            if is_full || is_over {
                through = Position(commit.first.0 - 1);
                break;
            }
            self.gather(commit, &mut gathered).await?;
        }
        if !gathered.is_empty() {
            let id = match pending {
                Some(pending) => pending.id,
                None => self.begin(through).await?,
            };
            let inboxes = std::mem::take(&mut gathered.inboxes);
            self.deliver(&id, &gathered.into_body(&self.service.registration)).await;
            self.acknowledge(inboxes, through).await?;
        }
        self.advance(through).await
    }

    /// Notes the transaction that is to be sent. Answers its id.
    async fn begin(&mut self, through: Position) -> Result<String> {
        // Digits alone, as Synapse makes them: some services look for a number.
        let id = format!("{}{:012}", self.push.now_ms(), self.at.0);
        self.note(Some(StoredFeed { from: self.at.0, through: through.0, id: id.clone() })).await?;
        self.noted = self.at;
        Ok(id)
    }

    async fn note(&self, begun: Option<StoredFeed>) -> Result<()> {
        let mut batch = Batch::new();
        self.follower.advance(&mut batch, self.at);
        if let Some(begun) = begun {
            batch.put(&FEEDS, self.service.registration.id.as_str(), &begun);
        }
        if let Err(error) = self.push.store().commit(batch).await {
            self.follower.reload().await?;
            return Err(error.into());
        }
        Ok(())
    }

    async fn advance(&mut self, through: Position) -> Result<()> {
        (self.at, self.pending) = (through, None);
        self.progress.at.store(through.0, Ordering::Release);
        if through.0 - self.noted.0 > UNNOTED_MAX {
            self.note(None).await?;
            self.noted = through;
        }
        Ok(())
    }

    /// Sends a transaction until the service has it.
    async fn deliver(&self, id: &str, body: &Value) {
        let mut pause = PAUSE_FIRST;
        while let Err(why) = self.try_deliver(id, body).await {
            if !self.progress.is_failing.swap(true, Ordering::AcqRel) {
                tracing::info!(
                    service = self.service.registration.id,
                    why,
                    "an application service does not take what it is sent"
                );
            }
            metrics::counter!("lyceum_appservice_failed_total").increment(1);
            self.push.clock().sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
        self.progress.is_failing.store(false, Ordering::Release);
    }

    async fn try_deliver(&self, id: &str, body: &Value) -> Result<(), String> {
        let path = format!("/_matrix/app/v1/transactions/{id}");
        match self.services.exchange(&self.service, http::Method::PUT, &path, Some(body)).await {
            Ok((status, _)) if status.is_success() => Ok(()),
            Ok((status, _)) => Err(format!("it answered {status}")),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Tells what is in no commit, once: it is of no use later.
    async fn tell_passing(&mut self, event: Value) {
        self.passing += 1;
        // Longer than those of what lasts, so that it is none of them.
        let id = format!("{}{:018}", self.push.now_ms(), self.passing);
        let gathered = Gathered::passing(event);
        if let Err(why) = self.try_deliver(&id, &gathered.into_body(&self.service.registration)).await {
            tracing::debug!(service = self.service.registration.id, why, "what passes was not told");
        }
    }
}

/// The person a subject of this kind names.
pub(super) fn named<'a>(subject: &'a Subject, kind: &str) -> Option<&'a ruma::UserId> {
    let Subject::Other(name) = subject else { return None };
    name.strip_prefix(kind).and_then(|user| user.try_into().ok())
}
