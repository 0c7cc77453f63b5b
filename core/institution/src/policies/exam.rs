//! While a unit sits an exam its rooms are read-only for those who sit it, and they have no direct chats with one another.
//! An exam ends by itself.

use super::{Act, Answer, Facts};
use crate::{Someone, kinds::DIRECT};

const RULE: &str = "exam";

pub(super) fn judge(who: &Someone<'_>, act: &Act<'_>, facts: &Facts<'_>) -> Answer {
    if !facts.roster.has_exams() || who.is_staff() {
        return None;
    }
    let until = match act {
        Act::Say { place, .. } | Act::Set { place, .. } if place.kind.name == DIRECT => {
            place.others.iter().find_map(|other| facts.roster.exam_of_both(who.user, other, facts.now_ms))
        }
        Act::Say { place, .. } | Act::Set { place, .. } => {
            place.unit.and_then(|unit| facts.roster.exam_in(unit, facts.now_ms))
        }
        Act::Create { place, invitees } if place.kind.name == DIRECT => {
            invitees.iter().find_map(|other| facts.roster.exam_of_both(who.user, other, facts.now_ms))
        }
        Act::Invite { place, whom } if place.kind.name == DIRECT => {
            facts.roster.exam_of_both(who.user, whom, facts.now_ms)
        }
        _ => None,
    }?;
    Some((
        RULE,
        format!("There is an exam until {}: you can read here, and not write", facts.settings.calendar.show(until)),
    ))
}
