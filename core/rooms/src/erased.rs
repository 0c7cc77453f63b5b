//! What people said who had it erased when they closed their account: those who were there keep it, everybody else is served
//! redacted copies (spec, `erase` of "Deactivating an account").

use lyceum_events::{Event, redacted};
use ruma::ServerName;

use crate::{Known, Membership, Result, Rooms, write::bad};

impl Rooms {
    /// What is left of an event for somebody who was not there, if its sender had it erased.
    pub(crate) async fn unless_erased(&self, known: &Known, was_there: bool) -> Result<Option<Known>> {
        if was_there || !self.0.people.is_erased(known.event().sender()).await {
            return Ok(None);
        }
        self.erased(known.event()).await.map(|left| Some(known.with_event(left)))
    }

    /// The same for another server.
    pub(crate) async fn unless_erased_for(&self, server: &ServerName, known: &Known) -> Result<Option<Event>> {
        let (event, group) = (known.event(), known.after().or(known.before()));
        let Some(group) = group.filter(|_| event.state_key().is_none()) else { return Ok(None) };
        if !self.0.people.is_erased(event.sender()).await {
            return Ok(None);
        }
        let state = self.state_of_group(event.room(), group).await?;
        let mut members = state.members();
        if members.any(|(user, member)| user.server_name() == server && member.membership == Membership::Join) {
            return Ok(None);
        }
        self.erased(event).await.map(Some)
    }

    async fn erased(&self, event: &Event) -> Result<Event> {
        let rules = self.snapshot(event.room()).await?.shared_rules();
        redacted(event, &rules).map_err(bad)
    }
}
