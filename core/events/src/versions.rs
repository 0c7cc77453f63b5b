//! Room versions that are served beside those of the specification.

use ruma::{
    RoomVersionId,
    room_version_rules::{RoomVersionDisposition, RoomVersionRules},
};

/// Versions 10 and 11 with owned state (MSC3757): a state key that begins with a person's id belongs to that person.
pub const OWNED_STATE: [&str; 2] = ["org.matrix.msc3757.10", "org.matrix.msc3757.11"];

/// The rules of a room version; `None` if it is not known here.
pub fn rules_of(version: &RoomVersionId) -> Option<RoomVersionRules> {
    let [ten, eleven] = OWNED_STATE;
    let mut rules = match version.as_str() {
        version if version == ten => RoomVersionRules::V10,
        version if version == eleven => RoomVersionRules::V11,
        _ => return version.rules(),
    };
    rules.disposition = RoomVersionDisposition::Unstable;
    Some(rules)
}

/// Whether a room has owned state.
///
/// ruma's rules have no place for it; that a version is unstable says as much, since there are no other such versions here
/// (a test below holds it).
pub(crate) fn has_owned_state(rules: &RoomVersionRules) -> bool {
    rules.disposition == RoomVersionDisposition::Unstable
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::every_version;

    #[test]
    fn no_other_version_is_unstable() {
        for (version, rules) in every_version() {
            assert!(!has_owned_state(&rules), "version {version}");
        }
        for version in OWNED_STATE {
            let version = RoomVersionId::try_from(version).unwrap();
            assert!(has_owned_state(&rules_of(&version).unwrap()), "version {version}");
        }
        assert!(rules_of(&"org.matrix.msc3757.12".try_into().unwrap()).is_none());
    }
}
