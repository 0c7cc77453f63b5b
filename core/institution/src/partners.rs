//! Partner servers: those whose word about what their people are is believed, and what they said last. Everybody else from
//! elsewhere is a visitor, whatever they call themselves.
//!
//! A server states a person's role in a field of their profile, signed, for a short while. Checking the signature is for
//! those who speak with other servers; here is what a statement says, and how long it counts.

use quick_cache::sync::Cache;
use ruma::{CanonicalJsonObject, CanonicalJsonValue, OwnedServerName, OwnedUserId, UserId};
use serde::Deserialize;
use std::collections::BTreeMap;

use crate::{Institution, InstitutionError, Result, Role, Settings, settings::Finding};

/// The field of a profile that states a role.
pub const ROLE_FIELD: &str = "org.lyceum.role";

/// How long a statement of this server counts: what changes here is known elsewhere as soon.
const STATED_FOR_MS: u64 = 60 * 60 * 1_000;
/// How long one of another server is believed at most, whatever it says.
const BELIEVED_FOR_MS_MAX: u64 = 24 * 60 * 60 * 1_000;
/// After how long somebody of whom nothing was stated is asked about again.
const UNSTATED_FOR_MS: u64 = 60 * 1_000;
/// People of partner servers whose roles are kept in memory. Who is forgotten is asked about again before they act.
const PEOPLE_MAX: usize = 100_000;

/// One of `institution.partners`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartnerConfig {
    /// The server's name.
    pub server: OwnedServerName,
    /// Which of its roles count as which of ours. Those not named count as ours of the same name.
    #[serde(default)]
    pub roles: BTreeMap<String, String>,
}

/// Checks the partners that are set.
pub(crate) fn check(config: &[PartnerConfig], roles: &[Role], found: &mut Vec<Finding>) {
    for (at, partner) in config.iter().enumerate() {
        for (theirs, ours) in &partner.roles {
            let path = || format!("partners.{at}.roles.{theirs}");
            match roles.iter().find(|role| role.name == *ours) {
                None => found.push((path(), format!("there is no role {ours:?}"))),
                Some(role) if role.has_authority() => found.push((
                    path(),
                    format!("{ours:?} moderates, oversees or administers: people of other servers never do that here"),
                )),
                Some(_) => {}
            }
        }
    }
}

impl Settings {
    /// The role here of somebody who is `theirs` at a partner server. What has authority here is never given to them.
    fn role_at(&self, user: &UserId, theirs: &str) -> Option<&Role> {
        let partner = self.partner(user)?;
        let name = partner.roles.get(theirs).map_or(theirs, String::as_str);
        self.role(name).filter(|role| !role.has_authority())
    }

    fn partner(&self, user: &UserId) -> Option<&PartnerConfig> {
        self.partners.iter().find(|partner| partner.server == user.server_name())
    }
}

/// What partner servers said last of their people.
pub struct PartnerPeople(Cache<OwnedUserId, Said>);

#[derive(Debug, Clone)]
struct Said {
    /// The role there; nothing: none was stated.
    role: Option<String>,
    until_ms: u64,
}

impl Default for PartnerPeople {
    fn default() -> Self {
        Self(Cache::new(PEOPLE_MAX))
    }
}

impl std::fmt::Debug for PartnerPeople {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PartnerPeople({})", self.0.len())
    }
}

impl PartnerPeople {
    /// The role that counts here of somebody of a partner server.
    pub(crate) fn role<'a>(&self, settings: &'a Settings, user: &UserId, now_ms: u64) -> Option<&'a Role> {
        if settings.partners.is_empty() {
            return None;
        }
        let said = self.0.get(user).filter(|said| now_ms < said.until_ms)?;
        settings.role_at(user, said.role.as_deref()?)
    }

    pub(crate) fn learn(&self, user: &UserId, role: Option<String>, until_ms: u64) {
        self.0.insert(user.to_owned(), Said { role, until_ms });
    }
}

impl Institution {
    /// What this server states of a person's role, signed; nothing where they have none.
    pub async fn stated_role(&self, user: &UserId) -> Result<Option<CanonicalJsonObject>> {
        if !self.is_enabled() || user.server_name() != self.account().server_name() || user == self.account() {
            return Ok(None);
        }
        let roster = self.roster().await?;
        let facts = self.facts(&roster);
        let Some(role) = facts.someone(user).role else { return Ok(None) };
        let until_ms = ruma::Int::new_saturating(i64::try_from(facts.now_ms + STATED_FOR_MS).unwrap_or(i64::MAX));
        let mut statement = CanonicalJsonObject::from([
            ("user_id".to_owned(), user.as_str().into()),
            ("role".to_owned(), role.name.clone().into()),
            ("title".to_owned(), role.title.clone().into()),
            ("institution".to_owned(), self.settings().name.clone().into()),
            ("valid_until_ts".to_owned(), CanonicalJsonValue::Integer(until_ms)),
        ]);
        let signed = self.key().sign_json(&mut statement);
        signed.map_err(|error| InstitutionError::Wrong(format!("a statement of a role: {error}")))?;
        Ok(Some(statement))
    }

    /// Whether somebody's server has to be asked what they are, before they are judged.
    pub fn is_to_be_asked_about(&self, user: &UserId) -> bool {
        let settings = self.settings();
        settings.enabled
            && user.server_name() != self.account().server_name()
            && settings.partner(user).is_some()
            && self.partner_people().0.get(user).is_none_or(|said| said.until_ms <= self.now_ms())
    }

    /// Takes up what a partner server states of somebody of its own. It must have signed the statement; nothing: it states
    /// nothing, or nothing that can be believed.
    pub fn learn_role(&self, user: &UserId, statement: Option<&CanonicalJsonObject>) {
        let now_ms = self.now_ms();
        match statement.and_then(|statement| read(user, statement, now_ms)) {
            Some((role, until_ms)) => self.partner_people().learn(user, Some(role), until_ms),
            None => self.partner_people().learn(user, None, now_ms + UNSTATED_FOR_MS),
        }
    }
}

/// What a statement says, if it is one about this person and still counts.
fn read(user: &UserId, statement: &CanonicalJsonObject, now_ms: u64) -> Option<(String, u64)> {
    let text = |field: &str| statement.get(field).and_then(CanonicalJsonValue::as_str);
    let until_ms = statement.get("valid_until_ts").and_then(CanonicalJsonValue::as_integer)?;
    let until_ms = u64::try_from(i64::from(until_ms)).ok()?.min(now_ms + BELIEVED_FOR_MS_MAX);
    let counts = text("user_id") == Some(user.as_str()) && now_ms < until_ms;
    Some((text("role")?.to_owned(), until_ms)).filter(|_| counts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;
    use ruma::user_id;
    use serde_json::{Value, json};

    const NOW: u64 = 1_000_000;

    fn said(statement: Value) -> Option<(String, u64)> {
        let statement = serde_json::from_value(statement).unwrap();
        read(user_id!("@tea:beta.test"), &statement, NOW)
    }

    #[test]
    fn a_statement_counts_for_its_person_and_its_time_alone() {
        let is = |user: &str, until: u64| json!({ "user_id": user, "role": "teacher", "valid_until_ts": until });
        assert_eq!(said(is("@tea:beta.test", NOW + 1)), Some(("teacher".to_owned(), NOW + 1)));
        assert_eq!(said(is("@tea:beta.test", NOW)), None, "it has ended");
        assert_eq!(said(is("@stu:beta.test", NOW + 1)), None, "it is about somebody else");
        let for_ever = said(is("@tea:beta.test", 9_007_199_254_740_991));
        assert_eq!(for_ever, Some(("teacher".to_owned(), NOW + BELIEVED_FOR_MS_MAX)));
        assert_eq!(said(json!({ "user_id": "@tea:beta.test", "role": "teacher" })), None);
        assert_eq!(said(json!({ "user_id": "@tea:beta.test", "valid_until_ts": NOW + 1 })), None);
    }

    #[test]
    fn roles_of_partners_are_ours_by_name_or_by_setting_and_never_have_authority() {
        let partner = |roles: &[(&str, &str)]| PartnerConfig {
            server: "beta.test".try_into().unwrap(),
            roles: roles.iter().map(|(theirs, ours)| ((*theirs).to_owned(), (*ours).to_owned())).collect(),
        };
        let settings = Settings { partners: vec![partner(&[("lecturer", "teacher")])], ..Settings::default() };
        let people = PartnerPeople::default();
        let (tea, other) = (user_id!("@tea:beta.test"), user_id!("@tea:gamma.test"));
        for (theirs, ours) in [
            ("teacher", Some("teacher")),
            ("lecturer", Some("teacher")),
            ("dos", None),
            ("admin", None),
            ("moderator", None),
            ("wizard", None),
        ] {
            people.learn(tea, Some(theirs.to_owned()), NOW);
            let role = people.role(&settings, tea, NOW - 1).map(|role| role.name.as_str());
            assert_eq!(role, ours, "{theirs}");
            assert_eq!(people.role(&settings, tea, NOW), None, "what was said has ended");
            people.learn(other, Some(theirs.to_owned()), NOW);
            assert_eq!(people.role(&settings, other, NOW - 1), None, "no partner");
        }
        for (roles, wrong) in [(("x", "teacher"), 0), (("x", "wizard"), 1), (("x", "dos"), 1), (("x", "admin"), 1)] {
            let mut found = Vec::new();
            check(&[partner(&[roles])], &settings.roles, &mut found);
            assert_eq!(found.len(), wrong, "{roles:?}: {found:?}");
        }
    }

    #[tokio::test]
    async fn what_is_stated_here_is_signed_and_read_there() {
        let (_, institution) = testing::institution().await;
        let ann = user_id!("@ann:alpha.test");
        assert_eq!(institution.stated_role(ann).await.unwrap(), None);
        let person = Some(crate::Person { role: "teacher".into() });
        let changes = vec![crate::Change::Person { user: ann.to_owned(), person }];
        let by = crate::audit::Actor::Operator;
        institution.change(&crate::Order { by: &by, source: crate::HAND, why: None, changes }).await.unwrap();
        let stated = institution.stated_role(ann).await.unwrap().unwrap();
        let now = institution.now_ms();
        assert_eq!(read(ann, &stated, now), Some(("teacher".to_owned(), now + STATED_FOR_MS)));
        assert!(stated["signatures"].as_object().unwrap().contains_key("alpha.test"));
    }
}
