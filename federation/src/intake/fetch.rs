//! Asking other servers for pieces of a room's graph, and proving what they answer. Nothing of it has a place in the room
//! yet, and nothing that is not proved leaves this file.

use futures_util::{StreamExt, stream};
use lyceum_events::{Event, References, parse_all};
use lyceum_peers::{
    PeerError, Unverified, VerifyError,
    calls::{RawEvent, StateIds},
};
use lyceum_web::ApiError;
use ruma::{EventId, OwnedEventId, ServerName};
use std::collections::HashSet;

use super::{
    Trouble,
    filling::Filling,
    limits::{
        CHAIN_EVENTS_MAX, GAP_PAGE_EVENTS, SINGLE_AT_ONCE, SINGLE_EVENTS_MAX, SINGLE_ROUNDS_MAX, STATE_EVENTS_MAX,
        WHOLE_STATE_FROM, count,
    },
};

/// An event's text, to be read on another core.
struct Text(RawEvent);

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self.0.get()
    }
}

impl Filling<'_> {
    /// The events of this room among those that another server handed out, proved. Others are left out; but where only a key
    /// is wanting that may still be had, there is no answer yet: a state without such an event would be another one than the
    /// others have.
    async fn proved(&self, giver: &ServerName, events: Vec<RawEvent>) -> Result<Vec<Event>, Trouble> {
        let (texts, rules) = (events.into_iter().map(Text).collect::<Vec<_>>(), self.rules.clone());
        let parsed = tokio::task::spawn_blocking(move || parse_all(&texts, &rules, References::Limited)).await;
        let parsed = parsed.map_err(|error| Trouble::Here(Box::new(ApiError::internal(&error))))?;
        let mut unverified = Vec::new();
        for received in parsed {
            match received {
                Ok(event) if event.event().room() == self.room => {
                    unverified.push(Unverified { event, rules: self.rules.clone() });
                }
                Ok(_) => count("fetched, of another room"),
                Err(error) => {
                    tracing::debug!(%error, room = %self.room, "a fetched event is none");
                    count("fetched, malformed");
                }
            }
        }
        let mut proved = Vec::with_capacity(unverified.len());
        let verified = match &self.resident {
            Some(resident) if resident == giver => self.peers.verify_joining(giver, unverified).await?,
            _ => self.peers.verify_events(unverified).await?,
        };
        for verified in verified {
            match verified {
                Ok(verified) => proved.push(verified.into_event()),
                Err(error @ VerifyError::NoKeyYet(_)) => {
                    count("fetched, key not had yet");
                    return Err(Trouble::there(error.to_string()));
                }
                Err(error) => {
                    tracing::debug!(%error, room = %self.room, "a fetched event is not proved");
                    count("fetched, not proved");
                }
            }
        }
        Ok(proved)
    }

    /// A page of events between the ends of the room here and some later ones, how many were told, whatever they are, and by
    /// whom; empty when whoever sent the later ones says that there are none. What others don't have says nothing, for they may
    /// not have the later ones either: the gap is filled another time.
    pub(super) async fn missing_events(
        &self,
        ends: &[OwnedEventId],
        latest: &[OwnedEventId],
    ) -> Result<(usize, Option<&ruma::OwnedServerName>, Vec<Event>), Trouble> {
        let (mut sender_answered, mut trouble) = (false, None);
        for server in &self.servers {
            let page = self.peers.get_missing_events(server, self.room, ends, latest, GAP_PAGE_EVENTS).await;
            let is_silent = page.as_ref().is_err_and(PeerError::is_silence);
            sender_answered |= self.servers.first() == Some(server) && !is_silent;
            match page {
                Ok(mut page) if !page.is_empty() => {
                    page.truncate(GAP_PAGE_EVENTS);
                    let told = page.len();
                    match self.proved(server, page).await {
                        Err(there @ Trouble::There(_)) => trouble = Some(there),
                        proved => return Ok((told, Some(server), proved?)),
                    }
                }
                Ok(_) => {}
                Err(error) => unless_ours(error)?,
            }
        }
        match trouble {
            Some(trouble) => Err(trouble),
            None if sender_answered => Ok((0, None, Vec::new())),
            None => Err(Trouble::there("those who have the events before it could not be asked")),
        }
    }

    /// Brings in the events that permit one.
    pub(super) async fn fetch_permission(&self, event: &Event, missing: Vec<OwnedEventId>) -> Result<(), Trouble> {
        for server in &self.servers {
            match self.peers.event_auth(server, self.room, event.id()).await {
                Ok(chain) if chain.len() <= CHAIN_EVENTS_MAX => match self.proved(server, chain).await {
                    Err(Trouble::There(why) | Trouble::Never(why)) => {
                        tracing::debug!(%server, why, "another server does not help")
                    }
                    proved => {
                        self.import(server, proved?).await?;
                        break;
                    }
                },
                Ok(_) => return Err(Trouble::Never("the auth chain is too long".to_owned())),
                Err(error) => unless_ours(error)?,
            }
        }
        let absent = self.absent(missing).await?;
        if absent.is_empty() {
            return Ok(());
        }
        for server in &self.servers {
            match self.bring_singly(server, absent.clone()).await {
                Err(here @ Trouble::Here(_)) => return Err(here),
                Err(Trouble::There(why) | Trouble::Never(why)) => {
                    tracing::debug!(%server, why, "another server does not help")
                }
                Ok(()) => {}
            }
        }
        Ok(())
    }

    /// Events by their ids, from whoever has all of them.
    pub(super) async fn events_of(&self, ids: &HashSet<OwnedEventId>) -> Result<Vec<Event>, Trouble> {
        for server in &self.servers {
            match self.singly(server, ids.iter().cloned().collect()).await {
                Ok(events) if events.len() == ids.len() => return Ok(events),
                Ok(_) => {}
                Err(here @ Trouble::Here(_)) => return Err(here),
                Err(Trouble::There(why) | Trouble::Never(why)) => {
                    tracing::debug!(%server, why, "another server does not help")
                }
            }
        }
        Err(Trouble::there("nobody has the events before it"))
    }

    async fn bring_singly(&self, server: &ServerName, ids: Vec<OwnedEventId>) -> Result<(), Trouble> {
        let events = self.singly(server, ids).await?;
        self.import(server, events).await
    }

    /// Brings events in, and those that permit them if they did not come with them.
    async fn import(&self, server: &ServerName, events: Vec<Event>) -> Result<(), Trouble> {
        let (mut all, mut asked) = (events, HashSet::new());
        for _ in 0..SINGLE_ROUNDS_MAX {
            let imported = self.rooms.import(self.room, self.version, all.clone()).await?;
            let left_out: HashSet<_> = imported.left_out.into_iter().collect();
            // What is missing may be among those left out, and what was not had before is not had now.
            let missing = imported.missing.into_iter().filter(|id| !left_out.contains(id) && !asked.contains(id));
            let missing: Vec<_> = missing.take(SINGLE_EVENTS_MAX).collect();
            if missing.is_empty() {
                return Ok(());
            }
            asked.extend(missing.iter().cloned());
            let more = self.singly(server, missing).await?;
            if more.is_empty() {
                return Ok(());
            }
            // Those here already are not brought in again.
            all.retain(|event| left_out.contains(event.id()));
            all.extend(more);
        }
        Ok(())
    }

    /// Single events.
    async fn singly(&self, server: &ServerName, ids: Vec<OwnedEventId>) -> Result<Vec<Event>, Trouble> {
        let asking: Vec<_> =
            ids.iter().take(SINGLE_EVENTS_MAX).map(|id| async move { self.peers.event(server, id).await }).collect();
        let mut answers = stream::iter(asking).buffer_unordered(SINGLE_AT_ONCE);
        let mut events = Vec::new();
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(event) => events.push(event),
                // What one server does not have another may; what could not be asked for may be there.
                Err(error) if error.is_silence() => return Err(error.into()),
                Err(error) => unless_ours(error)?,
            }
        }
        let mut events = self.proved(server, events).await?;
        events.retain(|event| ids.contains(event.id()));
        Ok(events)
    }

    /// Those of the ids of which there is no event here.
    async fn absent(&self, ids: Vec<OwnedEventId>) -> Result<Vec<OwnedEventId>, Trouble> {
        let known = self.rooms.known_many(&ids).await?;
        Ok(ids.into_iter().zip(known).filter(|(_, known)| known.is_none()).map(|(id, _)| id).collect())
    }

    /// The state before an event as another server says; its events are brought in. `None` when all who were asked answer
    /// that they don't know it.
    pub(super) async fn state_before(&self, event: &Event) -> Result<Option<Vec<OwnedEventId>>, Trouble> {
        let mut trouble = None;
        for server in &self.servers {
            match self.state_at(server, event.id()).await {
                Ok(Some(state)) => return Ok(Some(state)),
                Ok(None) => {}
                Err(here @ Trouble::Here(_)) => return Err(here),
                Err(there) => trouble = Some(there),
            }
        }
        trouble.map_or(Ok(None), Err)
    }

    /// The state after an event that need not be here: that before it, and the event itself if it holds state.
    pub(super) async fn state_after(
        &self,
        server: &ServerName,
        event: &EventId,
    ) -> Result<Option<Vec<OwnedEventId>>, Trouble> {
        let Some(mut state) = self.state_at(server, event).await? else { return Ok(None) };
        let absent = self.absent(vec![event.to_owned()]).await?;
        self.bring_singly(server, absent).await?;
        let here = self.rooms.known(event).await?;
        let here = here.ok_or_else(|| Trouble::there("the event after which the state is wanted is not to be had"))?;
        // The last of two events that hold the same state counts.
        state.push(here.id().clone());
        Ok(Some(state))
    }

    /// The state before an event as one server says, its events brought in. `None` if that one does not know the event.
    pub(super) async fn state_at(
        &self,
        server: &ServerName,
        event: &EventId,
    ) -> Result<Option<Vec<OwnedEventId>>, Trouble> {
        let StateIds { pdu_ids, auth_chain_ids } = match self.peers.state_ids(server, self.room, event).await {
            Err(PeerError::Refused { status: 404, .. }) => return Ok(None),
            told => told?,
        };
        let all: HashSet<_> = pdu_ids.iter().chain(&auth_chain_ids).cloned().collect();
        if all.len() > STATE_EVENTS_MAX {
            return Err(Trouble::Never("the state before the event is too large".to_owned()));
        }
        let absent = self.absent(all.into_iter().collect()).await?;
        if absent.len() >= WHOLE_STATE_FROM {
            let whole = self.peers.state(server, self.room, event).await?;
            let events = whole.auth_chain.into_iter().chain(whole.pdus).take(STATE_EVENTS_MAX).collect();
            let events = self.proved(server, events).await?;
            self.import(server, events).await?;
        } else if !absent.is_empty() {
            self.bring_singly(server, absent).await?;
        }
        self.usable(pdu_ids).await.map(Some)
    }

    /// The events of a state that are here. One without the room's beginning is none.
    async fn usable(&self, ids: Vec<OwnedEventId>) -> Result<Vec<OwnedEventId>, Trouble> {
        let known: Vec<_> = self.rooms.known_many(&ids).await?.into_iter().flatten().collect();
        let begins = known.iter().any(|known| *known.event().kind() == ruma::events::TimelineEventType::RoomCreate);
        if !begins {
            return Err(Trouble::There("what is told as the state before the event is none".to_owned()));
        }
        if known.len() < ids.len() {
            tracing::debug!(room = %self.room, missing = ids.len() - known.len(), "a state with holes");
        }
        Ok(known.iter().map(|known| known.id().clone()).collect())
    }
}

/// Another server's failure leaves somebody else to ask; this one's does not.
fn unless_ours(error: PeerError) -> Result<(), Trouble> {
    match Trouble::from(error) {
        here @ Trouble::Here(_) => Err(here),
        Trouble::There(why) | Trouble::Never(why) => {
            tracing::debug!(why, "another server does not help");
            Ok(())
        }
    }
}
