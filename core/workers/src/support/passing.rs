//! Passing on what was written, rewritten and taken back, in both directions.

use lyceum_institution::audit::Actor;
use lyceum_rooms::{Known, Relation};
use lyceum_storage::Batch;
use ruma::{CanonicalJsonObject, CanonicalJsonValue, EventId, OwnedRoomId, RoomId, UserId, events::TimelineEventType};

use super::{
    Passed, Request, Support,
    commands::{Command, HELP, read},
    content,
    desk::room_of,
    words,
};
use crate::{
    moderation::{ModerationError, Result},
    tables::PASSED,
};

/// Where something is passed on to, and how.
struct Way<'a> {
    /// The request it belongs to.
    request: &'a Request,
    /// In whose name.
    by: &'a UserId,
    /// Into which room.
    room: OwnedRoomId,
    /// Into the thread of the request.
    root: Option<&'a str>,
    /// Who is not to be named.
    hidden: Option<&'a UserId>,
}

impl Support {
    /// Passes on what somebody wrote in their chat with the desk.
    pub(super) async fn hear_asker(&self, team: &RoomId, known: &Known) -> Result<()> {
        let (event, Some((_, desk))) = (known.event(), self.desk()) else { return Ok(()) };
        if self.parts().institution.is_own(event.sender()) {
            return Ok(());
        }
        match event.kind() {
            TimelineEventType::RoomRedaction => self.take_back(known, (self.parts().institution.account(), team)).await,
            TimelineEventType::RoomMessage => {
                let Some(said) = said(known) else { return Ok(()) };
                let request = self.request_in(event.room(), team, event.sender()).await?;
                let hidden = desk.anonymous.then(|| event.sender());
                let (by, root) = (self.parts().institution.account(), request.root.as_deref());
                self.pass(known, &said, &Way { request: &request, by, room: team.to_owned(), root, hidden }).await
            }
            _ => Ok(()),
        }
    }

    /// Does what somebody wrote in the room of those who support: a command, or an answer in a thread.
    pub(super) async fn hear_team(&self, team: &RoomId, known: &Known) -> Result<()> {
        let event = known.event();
        if self.parts().institution.is_own(event.sender()) {
            return Ok(());
        }
        match event.kind() {
            TimelineEventType::RoomRedaction => {
                let Some(request) = self.request_of(event.redacts()).await? else { return Ok(()) };
                let Some((account, _)) = self.desk() else { return Ok(()) };
                self.take_back(known, (account, &room_of(&request)?)).await
            }
            TimelineEventType::RoomMessage => {
                let Some(said) = said(known) else { return Ok(()) };
                match said.get("body").and_then(CanonicalJsonValue::as_str).and_then(read) {
                    Some(command) => self.obey(team, known, command).await,
                    None => self.answer(known, &said).await,
                }
            }
            _ => Ok(()),
        }
    }

    /// Passes on what somebody wrote in a request's thread.
    async fn answer(&self, known: &Known, said: &CanonicalJsonObject) -> Result<()> {
        let mut request = None;
        for event in rewrites(known).into_iter().chain(content::answered(said)) {
            request = self.request_of(Some(&event)).await?;
            if request.is_some() {
                break;
            }
        }
        let (Some(request), Some((by, _))) = (request, self.desk()) else { return Ok(()) };
        let way = Way { room: room_of(&request)?, request: &request, by, root: None, hidden: None };
        self.pass(known, said, &way).await
    }

    /// The request that an event belongs to.
    async fn request_of(&self, event: Option<&EventId>) -> Result<Option<Request>> {
        let Some(event) = event else { return Ok(None) };
        match self.store().get(&PASSED, event.as_str()).await? {
            Some(passed) => Ok(Some(self.request(passed.request).await?)),
            None => Ok(None),
        }
    }

    /// Passes on a message, or the later wording of one. What was passed on before is not again.
    async fn pass(&self, known: &Known, said: &CanonicalJsonObject, way: &Way<'_>) -> Result<()> {
        let id = known.id();
        if self.store().get(&PASSED, id.as_str()).await?.is_some() {
            return Ok(());
        }
        let content = match rewrites(known) {
            None => {
                let Some(mut content) = content::passed(said, way.hidden) else { return Ok(()) };
                if let Some(root) = way.root {
                    content::in_thread(&mut content, root);
                }
                content
            }
            Some(target) => {
                let other = self.store().get(&PASSED, target.as_str()).await?.and_then(|passed| passed.other);
                let newer = match said.get("m.new_content") {
                    Some(CanonicalJsonValue::Object(newer)) => content::passed(newer, way.hidden),
                    _ => None,
                };
                let (Some(other), Some(newer)) = (other, newer) else { return Ok(()) };
                content::rewritten(&other, newer)
            }
        };
        let passed = self.say((way.by, &way.room), id.as_str(), content).await?;
        let to = |other: &EventId| Passed { request: way.request.number, other: Some(other.to_string()) };
        let mut batch = Batch::new();
        batch.put(&PASSED, id.as_str(), &to(&passed)).put(&PASSED, passed.as_str(), &to(id));
        self.store().commit(batch).await?;
        Ok(())
    }

    /// Takes back what was passed on of something that its author, or somebody in their place, took back.
    async fn take_back(&self, known: &Known, (by, room): (&UserId, &RoomId)) -> Result<()> {
        let Some(target) = known.event().redacts() else { return Ok(()) };
        let passed = self.store().get(&PASSED, target.as_str()).await?;
        match passed.and_then(|passed| EventId::parse(passed.other?).ok()) {
            Some(other) => self.unsay((by, room), known.id().as_str(), &other).await,
            None => Ok(()),
        }
    }

    async fn obey(&self, team: &RoomId, known: &Known, command: Result<Command, String>) -> Result<()> {
        let told = match command {
            Err(wrong) => wrong,
            Ok(command) => match self.try_obey(known, command).await {
                Err(error) if error.is_trouble() => return Err(error),
                Err(error) => error.to_string(),
                Ok(told) => told,
            },
        };
        self.say((self.parts().institution.account(), team), known.id().as_str(), content::said(&told)).await?;
        Ok(())
    }

    async fn try_obey(&self, known: &Known, command: Command) -> Result<String> {
        let calendar = &self.parts().institution.settings().calendar;
        Ok(match command {
            Command::Help => HELP.to_owned(),
            Command::Requests => {
                let requests = self.open_requests().await?;
                let lines: Vec<_> = requests.iter().map(|request| words::line(request, calendar)).collect();
                if lines.is_empty() { "No request is open.".to_owned() } else { lines.join("\n") }
            }
            Command::Done(number, text) => {
                self.close(number, text.as_deref()).await?;
                format!("Request {number} is closed.")
            }
            Command::Who(number, why) => {
                let by = known.event().sender();
                let moderation = &self.parts().moderation;
                let told = moderation.who_asks(&Actor::Person(by.to_owned()), number, why.as_deref()).await?;
                moderation.tell_alone(by, &told).await?;
                "You find the answer in your notices.".to_owned()
            }
        })
    }

    /// Tells where something was written that it could not be passed on.
    pub(super) async fn tell_failure(&self, by: &UserId, known: &Known, error: &ModerationError) -> Result<()> {
        let (text, id) = (format!("This could not be passed on: {error}"), format!("failed-{}", known.id()));
        self.say((by, known.event().room()), &id, content::said(&text)).await?;
        Ok(())
    }
}

/// What a message says; nothing once it was taken back.
fn said(known: &Known) -> Option<CanonicalJsonObject> {
    known.event().content_as().filter(|_| known.redacted_by().is_none())
}

/// The event of which a message is a later wording.
fn rewrites(known: &Known) -> Option<ruma::OwnedEventId> {
    Relation::of(known.event()).filter(|relation| relation.rel_type == "m.replace").map(|relation| relation.event_id)
}
