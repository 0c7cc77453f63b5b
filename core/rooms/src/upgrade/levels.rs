//! The power levels of a room as the one that replaces it has them, be it of a version whose creators have no level because
//! they are above all levels, or of one where they have a number like everybody else.

use js_int::Int;
use ruma::{CanonicalJsonObject, CanonicalJsonValue, OwnedUserId, UserId};

/// What creators had at least before they were above all numbers.
const CREATOR_LEVEL: i32 = 100;

/// Who stands above all levels, before and after. Nobody in versions before 12.
pub(super) struct Privileged<'a> {
    pub(super) before: &'a [OwnedUserId],
    pub(super) after: &'a [&'a UserId],
}

/// The old room's levels as the new room has them.
pub(super) fn passed_on(mut content: CanonicalJsonObject, privileged: &Privileged<'_>) -> CanonicalJsonObject {
    let top = highest(&content);
    let users = content.entry("users".to_owned()).or_insert_with(|| CanonicalJsonObject::new().into());
    if let CanonicalJsonValue::Object(users) = users {
        if privileged.after.is_empty() {
            users.extend(
                privileged.before.iter().map(|creator| (creator.to_string(), CanonicalJsonValue::Integer(top))),
            );
        }
        users.retain(|user, _| !privileged.after.iter().any(|creator| creator.as_str() == user));
    }
    content
}

/// The highest number in power levels, and at least what a creator has: whoever has that may set all of them.
pub(super) fn highest(content: &CanonicalJsonObject) -> Int {
    let own = content.values().filter_map(number);
    let nested =
        content.values().filter_map(CanonicalJsonValue::as_object).flat_map(|map| map.values().filter_map(number));
    own.chain(nested).fold(Int::from(CREATOR_LEVEL), Int::max)
}

/// Versions before 10 allow numbers as text.
fn number(value: &CanonicalJsonValue) -> Option<Int> {
    match value {
        CanonicalJsonValue::Integer(number) => Some(*number),
        CanonicalJsonValue::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ruma::user_id;
    use serde_json::{Value, json};

    fn passed(content: Value, before: &[OwnedUserId], after: &[&UserId]) -> Value {
        let content = serde_json::from_value(content).unwrap();
        serde_json::to_value(passed_on(content, &Privileged { before, after })).unwrap()
    }

    #[test]
    fn creators_get_the_highest_number_where_they_are_no_longer_above_all() {
        let creator = user_id!("@ann:x").to_owned();
        let content = json!({ "users": { "@ben:x": 50 }, "events": { "m.room.tombstone": 150 } });
        let expected = json!({ "users": { "@ann:x": 150, "@ben:x": 50 }, "events": { "m.room.tombstone": 150 } });
        assert_eq!(passed(content, std::slice::from_ref(&creator), &[]), expected);
        assert_eq!(passed(json!({}), &[creator], &[]), json!({ "users": { "@ann:x": 100 } }));
    }

    #[test]
    fn creators_lose_their_number_where_they_are_above_all() {
        let content = json!({ "users": { "@ann:x": 100, "@ben:x": 100, "@cay:x": 50 } });
        let after = [user_id!("@ann:x"), user_id!("@ben:x")];
        assert_eq!(passed(content, &[], &after), json!({ "users": { "@cay:x": 50 } }));
    }

    #[test]
    fn old_numbers_may_be_text() {
        let content = serde_json::from_value(json!({ "users": { "@ann:x": "120" }, "ban": 7 })).unwrap();
        assert_eq!(highest(&content), Int::from(120));
    }
}
