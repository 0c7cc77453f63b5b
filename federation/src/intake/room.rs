//! The events of one room in a transaction: read, proved, and taken in one after the other.

use lyceum_events::{Event, Received, event_id, parse_object};
use lyceum_peers::Unverified;
use lyceum_rooms::{Acceptance, Place, RoomError, Snapshot};
use lyceum_web::ApiError;
use ruma::{OwnedEventId, RoomId, ServerName, room_version_rules::RoomVersionRules};
use serde_json::value::RawValue;

use super::{Intake, Outcomes, Trouble, filling::Filling, limits::count};

impl Intake {
    /// Takes in what a server sends of one room. An error is this server's own: the sender is to try again.
    pub(super) async fn room(
        &self,
        origin: &ServerName,
        room: &RoomId,
        pdus: Vec<Box<RawValue>>,
    ) -> Result<Outcomes, ApiError> {
        let _turn = self.0.turns.take(origin, room).await;
        let snapshot = match self.0.rooms.snapshot(room).await {
            Ok(snapshot) if snapshot.is_local() => snapshot,
            Ok(_) | Err(RoomError::UnknownRoom(_)) => return self.outside(room, pdus).await,
            Err(RoomError::Damaged(why)) => {
                tracing::error!(%room, why, "events of a room that cannot be read are passed over");
                count("of a damaged room");
                return Ok(Outcomes::new());
            }
            Err(error) => return Err(error.into()),
        };
        let (events, mut outcomes) = self.proved(&snapshot, pdus).await?;
        let mut filling = Filling::new(&self.0, origin, &snapshot);
        for event in events {
            // Spec, "Server Access Control Lists": "on a per-PDU basis". One of them may be the one that keeps its sender out.
            let why = match self.0.rooms.server_allowed(room, origin).await? {
                true => match said(filling.take(&event).await)? {
                    Said::Nothing => None,
                    Said::Refused(why) => Some(why),
                    Said::Unplaced(why) => self.let_wait(origin, &event, why).await?,
                },
                false => {
                    count("kept out");
                    Some("the room's server ACL keeps your server out".to_owned())
                }
            };
            outcomes.insert(event.id().clone(), why);
        }
        if filling.placed_any {
            self.0.waiting.news_of(room);
        }
        Ok(outcomes)
    }

    /// The events that are what they should be, and what is wrong with the others.
    async fn proved(&self, snapshot: &Snapshot, pdus: Vec<Box<RawValue>>) -> Result<(Vec<Event>, Outcomes), ApiError> {
        let rules = snapshot.shared_rules();
        let (mut unverified, mut outcomes) = (Vec::new(), Outcomes::new());
        for pdu in pdus {
            match Received::parse(pdu.get(), &rules) {
                Ok(event) => unverified.push(Unverified { event, rules: rules.clone() }),
                Err(error) => {
                    count("malformed");
                    outcomes.extend(id_of(&pdu, &rules).map(|id| (id, Some(error.to_string()))));
                }
            }
        }
        let ids: Vec<_> = unverified.iter().map(|one| one.event.event().id().clone()).collect();
        let mut events = Vec::with_capacity(ids.len());
        for (id, verified) in ids.into_iter().zip(self.0.peers.verify_events(unverified).await?) {
            match verified {
                Ok(verified) => events.push(verified.into_event()),
                Err(error) => {
                    count("not proved");
                    outcomes.insert(id, Some(error.to_string()));
                }
            }
        }
        Ok((events, outcomes))
    }
}

/// The id of something that is no event otherwise, so that its sender can be told.
fn id_of(pdu: &RawValue, rules: &RoomVersionRules) -> Option<OwnedEventId> {
    event_id(&parse_object(pdu.get()).ok()?, rules).ok()
}

/// What there is to say of an event that was worked on.
enum Said {
    Nothing,
    /// It is refused for good.
    Refused(String),
    /// It could not be judged yet.
    Unplaced(String),
}

/// What the sender is told of an event: what was wrong, if it could not be worked on. An event that was, and is rejected or
/// soft-failed, has been dealt with (spec, "Rejection"): sending it again would change nothing.
fn said(taken: Result<Acceptance, Trouble>) -> Result<Said, ApiError> {
    let (outcome, said) = match taken {
        Ok(Acceptance::Accepted) => ("accepted", Said::Nothing),
        Ok(Acceptance::SoftFailed) => ("soft-failed", Said::Nothing),
        Ok(Acceptance::Known(Place::Rejected(_)) | Acceptance::Rejected(_)) => ("rejected", Said::Nothing),
        Ok(Acceptance::Known(_)) => ("known", Said::Nothing),
        Ok(Acceptance::Missing { .. }) => {
            ("missing", Said::Unplaced("what the event builds on could not be had".to_owned()))
        }
        Err(Trouble::Here(error)) => return Err(*error),
        Err(Trouble::There(why)) => ("missing", Said::Unplaced(why)),
        Err(Trouble::Never(why)) => ("refused", Said::Refused(why)),
    };
    count(outcome);
    Ok(said)
}
