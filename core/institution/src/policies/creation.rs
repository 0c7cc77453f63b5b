//! Who may make a room of which kind.

use super::{Act, Answer, Facts, one, one_capital};
use crate::Someone;

const RULE: &str = "creation";

pub(super) fn judge(who: &Someone<'_>, act: &Act<'_>, facts: &Facts<'_>) -> Answer {
    let Act::Create { place, .. } = act else { return None };
    let (title, kind) = (who.title(), &place.kind.title);
    if !place.kind.made_by.has(who) {
        return Some((RULE, format!("{} cannot make {}", one_capital(title), one(kind))));
    }
    let unit = place.unit?;
    if facts.roster.unit(unit).is_none() {
        return Some((RULE, format!("There is no unit {unit}")));
    }
    let may = who.watches() || facts.roster.belongs(who.user, unit, facts.now_ms);
    (!may).then(|| (RULE, format!("You are not in {unit}, and cannot make a room of it")))
}
