//! Doing what moderators write in their room, and what they are answered.

use lyceum_institution::audit::Actor;
use lyceum_rooms::Known;
use ruma::{OwnedRoomId, RoomAliasId, RoomId, UserId, events::TimelineEventType};
use serde::Deserialize;

use super::{
    Measure, Moderation,
    commands::{APPROVALS_HELP, Command, HELP, read},
    error::{ModerationError, Result},
    follow::Place,
    words,
};

/// Cases told at once.
const LISTED_MAX: usize = 50;
/// Events of a room told at once.
const READ_MAX: usize = 50;

/// What is read of a message.
#[derive(Deserialize)]
struct Message {
    msgtype: String,
    body: String,
}

/// What a command leads to.
enum Answer {
    /// Told in the moderation room.
    Here(String),
    /// Told to the one who asked, and nobody else.
    Alone(String),
}

impl Moderation {
    /// Does what an event in the moderation room, or in one for posts that wait, says, if it says anything, and answers there.
    pub(super) async fn hear(&self, (room, place): (&RoomId, &Place), known: &Known) -> Result<()> {
        let event = known.event();
        if *event.kind() != TimelineEventType::RoomMessage || event.sender() == self.account() {
            return Ok(());
        }
        let Some(message) = event.content_as::<Message>().filter(|message| message.msgtype == "m.text") else {
            return Ok(());
        };
        let Some(command) = read(&message.body) else { return Ok(()) };
        let answer = match command {
            Err(wrong) => Answer::Here(wrong),
            Ok(command) => match self.obey_in(place, event.sender(), command).await {
                Err(error) if error.is_trouble() => return Err(error),
                Err(error) => Answer::Here(error.to_string()),
                Ok(answer) => answer,
            },
        };
        let text = match answer {
            Answer::Here(text) => text,
            Answer::Alone(text) => {
                self.tell_alone(event.sender(), &text).await?;
                "You find the answer in your notices.".to_owned()
            }
        };
        self.say(room, event.id().as_str(), &text).await
    }

    async fn obey_in(&self, place: &Place, user: &UserId, command: Command) -> Result<Answer> {
        match (place, command) {
            (Place::Moderation, command) => self.obey(user, command).await,
            (Place::Approvals(unit), Command::Held) => {
                let waiting = self.waiting_in(&Actor::Person(user.to_owned()), unit, LISTED_MAX).await?;
                Ok(listed(&waiting))
            }
            (Place::Approvals(_), command @ (Command::Approve(..) | Command::Refuse(..))) => {
                self.obey(user, command).await
            }
            (Place::Approvals(_), _) => Ok(Answer::Here(APPROVALS_HELP.to_owned())),
        }
    }

    async fn obey(&self, user: &UserId, command: Command) -> Result<Answer> {
        let by = &Actor::Person(user.to_owned());
        let calendar = &self.parts().institution.settings().calendar;
        let done = |case: super::Case, what: &str| Answer::Here(format!("Case {}: {what}.", case.number));
        Ok(match command {
            Command::Help => Answer::Here(HELP.to_owned()),
            Command::Cases { all } => {
                let cases = self.cases(by, all, 0, LISTED_MAX).await?;
                let lines: Vec<_> = cases.iter().map(words::line).collect();
                Answer::Here(if lines.is_empty() { "There is no open case.".to_owned() } else { lines.join("\n") })
            }
            Command::Case(case) => Answer::Here(words::whole(&self.read(by, case).await?, calendar)),
            Command::Context(case) => Answer::Here(words::context(&self.context(by, case).await?, calendar)),
            Command::Take(case) => done(self.assign(by, case, user).await?, "you handle it"),
            Command::Give(case, to) => done(self.assign(by, case, &to).await?, &format!("{to} handles it")),
            Command::Note(case, text) => done(self.note(by, case, &text).await?, "noted"),
            Command::Close { case, dismissed, why } => {
                let case = self.close(by, case, dismissed, why.as_deref()).await?;
                done(case, if dismissed { "dismissed" } else { "closed" })
            }
            Command::Held => listed(&self.waiting(by, None, LISTED_MAX).await?),
            Command::Approve(post, why) => {
                self.approve(by, &self.waiting_named(&post).await?, why.as_deref()).await?;
                Answer::Here(format!("The post {post} is let go: everybody in the room sees it."))
            }
            Command::Refuse(post, why) => {
                self.refuse(by, &self.waiting_named(&post).await?, why.as_deref()).await?;
                Answer::Here(format!("The post {post} is refused, and its author is told."))
            }
            Command::Original(case, why) => Answer::Alone(pretty(&self.original(by, case, why.as_deref()).await?)),
            Command::Who(request, why) => Answer::Alone(self.who_asks(by, request, why.as_deref()).await?),
            Command::Read(room, why) => Answer::Alone(self.last_said(by, &room, why.as_deref()).await?),
            Command::Search(room, term) => Answer::Alone(self.found(by, room.as_deref(), &term).await?),
            Command::Delete(case, why) => self.act(by, case, &Measure::Delete, why, "the message is deleted").await?,
            Command::Warn(case, why) => self.act(by, case, &Measure::Warn, why, "its author is warned").await?,
            Command::Remove(case, why) => self.act(by, case, &Measure::Remove, why, "its author is out").await?,
            Command::Restrain { case, restraint, why } => {
                let measure = restraint.measure(self.now_ms());
                self.act(by, case, &measure, why, &words::restrained(&measure, calendar)).await?
            }
        })
    }

    async fn act(&self, by: &Actor, case: u64, measure: &Measure, why: Option<String>, said: &str) -> Result<Answer> {
        self.measure(by, case, measure, why.as_deref()).await?;
        Ok(Answer::Here(format!("Case {case}: {said}. Close it with !done {case} when you are through.")))
    }

    async fn last_said(&self, by: &Actor, room: &str, why: Option<&str>) -> Result<String> {
        let room = self.room_named(room).await?;
        let (said, _) = self.look(by, (&room, None), READ_MAX, why).await?;
        let calendar = &self.parts().institution.settings().calendar;
        let lines: Vec<_> = said.iter().map(|one| words::spoken(one, calendar)).collect();
        Ok(format!("The last of {room}:\n{}", lines.join("\n")))
    }

    async fn found(&self, by: &Actor, room: Option<&str>, term: &str) -> Result<String> {
        let room = match room {
            Some(room) => Some(self.room_named(room).await?),
            None => None,
        };
        let found = self.search(by, (room.as_deref(), term), READ_MAX, None).await?;
        if found.is_empty() {
            return Ok(format!("«{term}» was found nowhere."));
        }
        let calendar = &self.parts().institution.settings().calendar;
        let lines: Vec<_> =
            found.iter().map(|(room, one)| format!("{room}: {}", words::spoken(one, calendar))).collect();
        Ok(format!("«{term}» was found here:\n{}", lines.join("\n")))
    }

    /// A room by its id or alias.
    pub async fn room_named(&self, name: &str) -> Result<OwnedRoomId> {
        if let Ok(room) = OwnedRoomId::try_from(name) {
            return Ok(room);
        }
        let found = match <&RoomAliasId>::try_from(name) {
            Ok(alias) => self.parts().rooms.resolve_alias(alias).await?,
            Err(_) => None,
        };
        found.ok_or_else(|| ModerationError::NotFound(format!("there is no room {name} here")))
    }
}

fn listed(waiting: &[super::Waiting]) -> Answer {
    let lines: Vec<_> = waiting.iter().map(words::waits).collect();
    Answer::Here(if lines.is_empty() { "No post waits.".to_owned() } else { lines.join("\n") })
}

fn pretty(value: &serde_json::Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}
