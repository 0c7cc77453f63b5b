//! Who was blocked says nothing and goes nowhere: in one room, or everywhere. What they said before stays.

use super::{Act, Answer, Facts};
use crate::Someone;

const RULE: &str = "blocked";

pub(super) fn judge(who: &Someone<'_>, act: &Act<'_>, facts: &Facts<'_>) -> Answer {
    if matches!(act, Act::Find(_) | Act::See(_)) {
        return None;
    }
    let room = act.place().and_then(|place| place.room);
    let block = facts.roster.block(who.user, room, facts.now_ms)?;
    let place = if block.everywhere { "" } else { " in this room" };
    let until =
        block.until_ms.map(|until| format!(" until {}", facts.settings.calendar.show(until))).unwrap_or_default();
    Some((RULE, format!("You are blocked{place}{until}. Please talk to a moderator")))
}
