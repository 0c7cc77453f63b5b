//! Events as one who looks is shown them: the common form, and `unsigned` put together for them.

use ruma::OwnedRoomId;
use serde_json::value::RawValue;
use std::sync::Arc;

use crate::{Known, Looker, Membership, Result, Rooms, Unsigned, Visibility};

impl Rooms {
    /// Events as one who looks is shown them, with all that `unsigned` may hold. They must be events the looker may see.
    pub async fn present(
        &self,
        visibility: &Visibility,
        looker: Looker<'_>,
        events: &[Arc<Known>],
    ) -> Result<Vec<Box<RawValue>>> {
        let mut forms = Vec::with_capacity(events.len());
        for known in events {
            let membership = visibility.membership_at(known).await?;
            let mut unsigned = self.unsigned(known, looker).await?;
            unsigned.membership = Some(membership.as_str());
            match self.unless_erased(known, membership == Membership::Join).await? {
                Some(left) => forms.push(left.form_for(looker, &unsigned)),
                None => {
                    unsigned.relations = self.bundle(known, looker).await?;
                    forms.push(known.form_for(looker, &unsigned));
                }
            }
        }
        Ok(forms)
    }

    /// Events of any rooms as one who looks is shown them.
    pub async fn client_forms(&self, looker: Looker<'_>, events: &[Arc<Known>]) -> Result<Vec<Box<RawValue>>> {
        let mut forms = Vec::with_capacity(events.len());
        let mut view: Option<(OwnedRoomId, Visibility)> = None;
        for known in events {
            let room = known.event().room();
            let visibility = match view.take() {
                Some((of, visibility)) if of == room => visibility,
                _ => self.visibility(looker.user, room).await?,
            };
            forms.extend(self.present(&visibility, looker, std::slice::from_ref(known)).await?);
            view = Some((room.to_owned(), visibility));
        }
        Ok(forms)
    }

    /// State events as one who looks is shown them: without what relates to them.
    pub async fn present_state(&self, looker: Looker<'_>, events: &[Arc<Known>]) -> Result<Vec<Box<RawValue>>> {
        let mut forms = Vec::with_capacity(events.len());
        for known in events {
            forms.push(known.form_for(looker, &self.unsigned(known, looker).await?));
        }
        Ok(forms)
    }

    /// What the graph tells about an event: what it replaced, and what redacted it.
    pub async fn unsigned(&self, known: &Known, looker: Looker<'_>) -> Result<Unsigned> {
        let mut unsigned = Unsigned::of(known, looker, None);
        if let Some(replaces) = known.replaces()
            && let Some(before) = self.known(replaces).await?
        {
            unsigned.replaces_state = Some(before.id().to_string());
            unsigned.prev_content = Some(before.event().content().to_owned());
            unsigned.prev_sender = Some(before.event().sender().to_string());
        }
        if let Some(by) = known.redacted_by()
            && let Some(redaction) = self.known(by).await?
        {
            unsigned.redacted_by = Some(redaction.id().to_string());
            unsigned.redacted_because = Some(redaction.client_form(&Unsigned::of(&redaction, looker, None)));
        }
        Ok(unsigned)
    }
}
