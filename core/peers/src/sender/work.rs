//! Working off the queue of one server: a task that lives as long as there is something to send and the server takes it.

use lyceum_storage::Batch;
use std::{sync::Arc, time::Duration};

use super::{
    Destination, Sender,
    destination::State,
    outbox,
    transaction::{Draft, EDUS_MAX, Transaction},
};
use crate::{Call, PeerError, Target};

/// The time a server may take to accept a transaction: it may have to fetch what the events build on.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The largest answer: a word on each event.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// Units of an outbox read at once: each may be as large as a request of a client.
const OUTBOX_PAGE: usize = EDUS_MAX / 10;

impl Sender {
    /// Sees to it that a server's queue is worked off, now or when it is to be tried again.
    pub(super) fn work_soon(&self, destination: &Arc<Destination>) {
        let mut state = destination.state.lock();
        if state.is_worked_on || !state.has_work() || self.is_stopping() {
            return;
        }
        if state.must_wait(self.now()) {
            let at = state.failing.as_ref().map_or(Duration::ZERO, |failing| failing.retry_at);
            drop(state);
            self.set_alarm(at, destination);
            return;
        }
        state.is_worked_on = true;
        drop(state);
        let (sender, destination) = (self.clone(), destination.clone());
        tokio::spawn(async move { sender.work_off(&destination).await });
    }

    fn set_alarm(&self, at: Duration, destination: &Destination) {
        self.inner.alarms.lock().insert((at, destination.server.clone()));
        self.inner.alarm_set.notify_one();
    }

    /// Tries those again whose time has come.
    pub(super) fn ring_alarms(&self) {
        let now = self.now();
        loop {
            let mut alarms = self.inner.alarms.lock();
            let due = alarms.first().is_some_and(|(at, _)| *at <= now);
            let Some((_, server)) = due.then(|| alarms.pop_first()).flatten() else { return };
            drop(alarms);
            if let Some(destination) = self.known(&server) {
                self.work_soon(&destination);
            }
        }
    }

    /// A server was heard of: if it was failing it is tried soon.
    pub(super) fn is_alive(&self, server: &ruma::ServerName) {
        let Some(destination) = self.known(server) else { return };
        let retry = destination.state.lock().is_alive(self.now());
        if retry.is_some() {
            self.work_soon(&destination);
        }
    }

    async fn work_off(&self, destination: &Arc<Destination>) {
        while !self.is_stopping() {
            let transaction = match self.next_transaction(destination).await {
                Ok(Some(transaction)) => transaction,
                Ok(None) => return,
                Err(error) => return self.give_up(destination, &error),
            };
            match self.send(destination, &transaction).await {
                Ok(()) => self.delivered(destination, &transaction).await,
                Err(error) if error.is_for_good() => self.refused(destination, &transaction, &error).await,
                Err(error) => return self.give_up(destination, &error),
            }
        }
        destination.state.lock().is_worked_on = false;
    }

    async fn send(&self, destination: &Destination, transaction: &Transaction) -> Result<(), PeerError> {
        let _permit = self.inner.permits.acquire().await;
        destination.state.lock().tried_at = Some(self.now());
        let target = Target::at("/_matrix/federation/v1/send").segment(&transaction.id);
        let call = Call::new(http::Method::PUT, target).json_bytes(transaction.body(self.inner.peers.server()));
        let call = call.always().timeout(TIMEOUT).answer_bytes_max(ANSWER_BYTES_MAX);
        self.inner.peers.request(&destination.server, call).await?;
        Ok(())
    }

    async fn delivered(&self, destination: &Destination, transaction: &Transaction) {
        destination.state.lock().delivered(transaction);
        self.changed();
        let server = destination.server.to_string();
        let (pdus, edus) = transaction.held.counts();
        metrics::counter!("lyceum_federation_sent_pdus_total", "server" => server.clone()).increment(pdus);
        metrics::counter!("lyceum_federation_sent_edus_total", "server" => server).increment(edus);
        self.take_out_of_outbox(destination, transaction).await;
    }

    /// The server takes this transaction neither now nor later, for something in it: that is looked for by halves, and left
    /// out when it is found, so that it holds up nothing else.
    async fn refused(&self, destination: &Destination, transaction: &Transaction, error: &PeerError) {
        if let Some(halves) = transaction.held.halves() {
            destination.state.lock().divide(halves);
            return;
        }
        destination.state.lock().is_done(&transaction.held);
        self.changed();
        let server = destination.server.to_string();
        let kind = if transaction.held.counts().0 > 0 { "pdu" } else { "edu" };
        tracing::warn!(server, kind, %error, "something that a server never takes is not sent to it");
        metrics::counter!("lyceum_federation_unsendable_total", "server" => server, "kind" => kind).increment(1);
        self.take_out_of_outbox(destination, transaction).await;
    }

    async fn take_out_of_outbox(&self, destination: &Destination, transaction: &Transaction) {
        let places = transaction.held.outbox();
        if places.is_empty() {
            return;
        }
        let mut batch = Batch::new();
        outbox::remove(&mut batch, &destination.server, &places);
        if let Err(error) = self.inner.store.commit(batch).await {
            tracing::error!(%error, "units that are done with could not be removed from the outbox");
        }
    }

    /// Ends the work on a server that failed, until it is to be tried again.
    fn give_up(&self, destination: &Arc<Destination>, error: &PeerError) {
        let mut state = destination.state.lock();
        let first = state.failing.is_none();
        if state.in_flight.is_none() {
            state.put_back();
        }
        let at = state.failed(self.now(), error.to_string());
        state.is_worked_on = false;
        drop(state);
        let server = destination.server.to_string();
        if first {
            tracing::info!(server, %error, "a server does not take what is sent to it");
        }
        metrics::counter!("lyceum_federation_failed_transactions_total", "server" => server).increment(1);
        self.changed();
        self.set_alarm(at, destination);
    }

    /// What is to be sent next: once more what did not arrive, or the next of what waits. With nothing left the work on
    /// the server ends.
    async fn next_transaction(&self, destination: &Destination) -> Result<Option<Arc<Transaction>>, PeerError> {
        loop {
            let mut draft = Draft::default();
            {
                let mut state = destination.state.lock();
                if let Some(transaction) = &state.in_flight {
                    return Ok(Some(transaction.clone()));
                }
                if let Some(part) = state.parts.pop() {
                    return Ok(Some(self.begin(&mut state, part)));
                }
                if !state.has_work() {
                    state.is_worked_on = false;
                    return Ok(None);
                }
            }
            self.fill_from_outbox(destination, &mut draft).await?;
            self.fill_with_missed(destination, &mut draft).await?;
            let mut state = destination.state.lock();
            if !state.is_behind {
                state.take_queued(&mut draft);
            }
            let passing = state.take_passing(draft.edus_left());
            passing.iter().for_each(|edu| draft.add_passing(edu));
            if draft.is_empty() {
                // Nothing of what was missed is of use any more.
                state.is_done(&draft);
                self.changed();
                continue;
            }
            return Ok(Some(self.begin(&mut state, draft)));
        }
    }

    fn begin(&self, state: &mut State, held: Draft) -> Arc<Transaction> {
        let at_ms = self.inner.peers.shared.clock.now().get().into();
        let transaction = Arc::new(Transaction { id: self.transaction_id(), at_ms, held });
        state.in_flight = Some(transaction.clone());
        transaction
    }

    async fn fill_from_outbox(&self, destination: &Destination, draft: &mut Draft) -> Result<(), PeerError> {
        if !std::mem::take(&mut destination.state.lock().has_outbox) {
            return Ok(());
        }
        let mut after = None;
        loop {
            let most = draft.edus_left().min(OUTBOX_PAGE);
            let units = outbox::next(&self.inner.store, &destination.server, after, most).await;
            // Looked for again until nothing is found: what is found now is there until it was delivered.
            destination.state.lock().has_outbox |= after.is_some() || !units.as_ref().is_ok_and(Vec::is_empty);
            let units = units?;
            let all_have_room = units.iter().all(|(place, edu)| draft.add_edu(edu, Some(*place)));
            after = units.last().map(|(place, _)| *place);
            if !all_have_room || after.is_none() || draft.edus_left() == 0 {
                return Ok(());
            }
        }
    }

    async fn fill_with_missed(&self, destination: &Destination, draft: &mut Draft) -> Result<(), PeerError> {
        while draft.pdus_left() > 0 && draft.edus_left() > 0 {
            let Some((about, from)) = destination.state.lock().take_missed() else { return Ok(()) };
            let (pdus, edus) = (draft.pdus_left(), draft.edus_left());
            let missed = self.inner.source.missed(&destination.server, &about, from, pdus, edus).await?;
            let first_left = missed.pieces.iter().find(|(_, piece)| !draft.add(piece));
            if let Some(rest) = first_left.map(|(position, _)| *position).or(missed.rest_from) {
                draft.rest.insert(about, rest);
                return Ok(());
            }
        }
        Ok(())
    }
}
