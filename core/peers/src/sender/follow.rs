//! Reading the stream into the queues.

use lyceum_storage::{Commit, Position, Tail};
use std::{
    ops::ControlFlow,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::sync::broadcast::error::RecvError;

use super::{Sender, Telling, What, destination::Item, outbox};
use crate::PeerError;

/// Groups of commits read at once.
const PAGE_GROUPS: usize = 64;

/// How long after a change what is undelivered is noted.
const KEEP_AFTER: Duration = Duration::from_secs(1);

/// The pause after the store or the source failed.
const PAUSE: Duration = Duration::from_millis(500);

impl Sender {
    /// Starts the tasks that run as long as the sender does.
    pub(super) fn spawn_followers(&self) {
        self.spawn(|sender| async move { sender.follow().await });
        self.spawn(|sender| async move { sender.pass_on().await });
        self.spawn(|sender| async move { sender.watch_alarms().await });
        self.spawn(|sender| async move { sender.keep_up().await });
    }

    fn spawn<F: Future<Output = ()> + Send + 'static>(&self, task: impl FnOnce(Self) -> F) {
        let mut stopping = self.inner.stopping.subscribe();
        let task = task(self.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = task => {}
                // An error says that the sender is gone, which ends its tasks as well.
                _ = stopping.wait_for(|stop| *stop) => {}
            }
        });
    }

    /// Follows the stream of commits.
    async fn follow(&self) {
        let mut tail = self.inner.store.tail();
        loop {
            let before = self.routed();
            match self.route_page(before).await {
                Err(error) => {
                    tracing::warn!(%error, "the stream could not be read for other servers, trying again");
                    self.inner.peers.shared.clock.sleep(PAUSE).await;
                }
                Ok(through) if through > before => {}
                Ok(_) => {
                    if self.follow_tail(&mut tail).await.is_break() {
                        return;
                    }
                }
            }
        }
    }

    /// Takes commits as they come, for as long as none is missing between them: the log need not be read for these.
    async fn follow_tail(&self, tail: &mut Tail) -> ControlFlow<()> {
        loop {
            let commit = match tail.recv().await {
                Ok(commit) => commit,
                Err(RecvError::Lagged(_)) => return ControlFlow::Continue(()),
                Err(RecvError::Closed) => return ControlFlow::Break(()),
            };
            let routed = self.routed();
            if commit.last <= routed {
                continue;
            }
            // With one missing in between, and when this one could not be told, the log has them all.
            if commit.first != routed.plus(1) || self.route(&commit).await.is_err() {
                return ControlFlow::Continue(());
            }
            self.inner.routed.store(commit.last.0, Ordering::Release);
            if !commit.subjects.is_empty() {
                self.changed();
            }
        }
    }

    /// Puts what the next commits say into the queues. Answers how far it came.
    async fn route_page(&self, after: Position) -> Result<Position, PeerError> {
        let page = self.inner.store.commits_since(after, PAGE_GROUPS).await?;
        if page.missed {
            tracing::error!(?after, "the stream was pruned before it was told to other servers: they may miss events");
        }
        for commit in &page.commits {
            self.route(commit).await?;
        }
        self.inner.routed.store(page.through.0, Ordering::Release);
        if !page.commits.is_empty() {
            self.changed();
        }
        Ok(page.through)
    }

    async fn route(&self, commit: &Commit) -> Result<(), PeerError> {
        for server in commit.subjects.iter().filter_map(outbox::server_of) {
            if self.inner.peers.allows(server) {
                let destination = self.destination(server);
                let mut state = destination.state.lock();
                state.has_outbox = true;
                state.put_into_outbox = state.put_into_outbox.saturating_add(1);
                drop(state);
                self.work_soon(&destination);
            }
        }
        for telling in self.inner.source.tellings(commit).await? {
            self.tell(&telling);
        }
        Ok(())
    }

    /// Puts something into the queues of those it is for.
    fn tell(&self, telling: &Telling) {
        let peers = &self.inner.peers;
        for server in telling.servers.iter().filter(|server| *server != peers.server() && peers.allows(server)) {
            let destination = self.destination(server);
            let mut state = destination.state.lock();
            match &telling.what {
                What::Kept { position, about, piece } => {
                    state.push(Item { position: *position, about: about.clone(), piece: piece.clone() });
                }
                What::Passing { key, edu } => state.push_passing(key.clone(), edu.clone()),
            }
            drop(state);
            self.work_soon(&destination);
        }
    }

    /// Passes on what is in no commit.
    async fn pass_on(&self) {
        let source = Arc::clone(&self.inner.source);
        loop {
            self.tell(&source.passing().await);
        }
    }

    /// Tries failing servers again in time.
    async fn watch_alarms(&self) {
        let clock = &self.inner.peers.shared.clock;
        loop {
            let first = self.inner.alarms.lock().first().map(|(at, _)| *at);
            let rings = async {
                match first {
                    Some(at) => clock.sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = rings => self.ring_alarms(),
                () = self.inner.alarm_set.notified() => {}
            }
        }
    }

    /// Notes what is undelivered, a while after anything changed.
    async fn keep_up(&self) {
        loop {
            self.inner.has_changed.notified().await;
            self.inner.peers.shared.clock.sleep(KEEP_AFTER).await;
            if let Err(error) = self.keep().await {
                tracing::warn!(%error, "what is yet to be sent could not be noted, trying again");
            }
            if let Err(error) = self.tidy_outboxes().await {
                tracing::warn!(%error, "outboxes could not be tidied; it is tried again later");
            }
        }
    }
}
