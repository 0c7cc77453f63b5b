//! The configuration with its defaults filled in and its names looked up.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Calendar, Desk, InstitutionConfig, Kind, PartnerConfig,
    config::RoleConfig,
    kinds, partners,
    policies::{Approval, Contact, Quiet},
};

/// The local part of the server's own account, unless it is set.
const ACCOUNT: &str = "lyceum";
/// The kind of the rooms that people make, unless it is set.
const DEFAULT_KIND: &str = "study_group";
/// The greatest power a role may give: what the room's creator had in early versions.
pub(crate) const POWER_MAX: i32 = 100;

/// A role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Its name in commands and rules.
    pub name: String,
    /// How people call it.
    pub title: String,
    /// The power in the institution's rooms.
    pub power: i32,
    /// Whether it is of the staff.
    pub staff: bool,
    /// Whether it handles cases.
    pub moderates: bool,
    /// Whether it oversees everything, sealed originals included.
    pub oversees: bool,
    /// Whether it manages people, units and enrolments.
    pub administers: bool,
}

/// The institution's settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whether campus rules are in force.
    pub enabled: bool,
    /// The institution's name.
    pub name: String,
    /// The campus's time.
    pub calendar: Calendar,
    /// The local part of the server's own account.
    pub account: String,
    /// The role of people of this server who were given none.
    pub default_role: Option<String>,
    /// The roles, the usual ones or those set.
    pub roles: Vec<Role>,
    /// Whether there are rooms for everybody and for the staff.
    pub default_rooms: bool,
    /// The kind of the rooms that people make without saying which.
    pub default_kind: String,
    /// The kinds of rooms by name, the usual ones and those set.
    pub kinds: BTreeMap<String, Kind>,
    /// The contact matrix.
    pub contacts: Vec<Contact>,
    /// Quiet hours.
    pub quiet: Vec<Quiet>,
    /// What is looked at before others see it.
    pub approval: Vec<Approval>,
    /// The support desk, if there is one.
    pub desk: Option<Desk>,
    /// The servers whose word about their people's roles is believed.
    pub partners: Vec<PartnerConfig>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            enabled: false,
            name: "The institution".to_owned(),
            calendar: Calendar::default(),
            account: ACCOUNT.to_owned(),
            default_role: None,
            roles: usual_roles(),
            default_rooms: false,
            default_kind: DEFAULT_KIND.to_owned(),
            kinds: kinds::kinds(&BTreeMap::new(), &usual_roles(), &mut Vec::new()),
            contacts: Contact::read(&[], &usual_roles(), &mut Vec::new()),
            quiet: Vec::new(),
            approval: Vec::new(),
            desk: None,
            partners: Vec::new(),
        }
    }
}

/// A wrong setting: its path below `institution`, and what is wrong.
pub type Finding = (String, String);

impl Settings {
    /// The settings that a configuration means; or everything that is wrong with it.
    pub fn of(config: &InstitutionConfig) -> Result<Self, Vec<Finding>> {
        let mut found = Vec::new();
        let mut settings = Self { enabled: config.enabled, default_rooms: config.default_rooms, ..Self::default() };
        if let Some(name) = &config.name {
            settings.name.clone_from(name);
        }
        if let Some(account) = &config.account {
            settings.account.clone_from(account);
        }
        match config.time_zone.as_deref().map(|zone| (zone, Calendar::named(zone))) {
            None => {}
            Some((_, Some(calendar))) => settings.calendar = calendar,
            Some((zone, None)) => {
                let text =
                    format!("{zone:?} is no time zone that this machine knows; write one such as \"Europe/Paris\"");
                found.push(("time_zone".to_owned(), text));
            }
        }
        if !config.roles.is_empty() {
            check_roles(&config.roles, &mut found);
            settings.roles = config.roles.iter().map(Role::of).collect();
        }
        settings.default_role.clone_from(&config.default_role);
        if let Some(role) = config.default_role.as_deref().filter(|role| settings.role(role).is_none()) {
            found.push(("default_role".to_owned(), settings.no_such_role(role)));
        }
        settings.kinds = kinds::kinds(&config.kinds, &settings.roles, &mut found);
        settings.contacts = Contact::read(&config.contacts, &settings.roles, &mut found);
        settings.quiet = Quiet::read(&config.quiet_hours, &settings.roles, &mut found);
        let has_kind = |kind: &str| settings.kinds.contains_key(kind);
        settings.approval = Approval::read(&config.approval, &settings.roles, has_kind, &mut found);
        settings.desk = Desk::read(&config.support_desk, &settings.account, &mut found);
        partners::check(&config.partners, &settings.roles, &mut found);
        settings.partners.clone_from(&config.partners);
        if let Some(kind) = &config.default_kind {
            settings.default_kind.clone_from(kind);
        }
        if !settings.kinds.contains_key(&settings.default_kind) {
            let text = format!("there is no kind {:?}; {}", settings.default_kind, settings.kind_names());
            found.push(("default_kind".to_owned(), text));
        }
        if found.is_empty() { Ok(settings) } else { Err(found) }
    }

    /// The role of this name.
    pub fn role(&self, name: &str) -> Option<&Role> {
        self.roles.iter().find(|role| role.name == name)
    }

    /// The kind of this name. A kind that was taken out of the configuration counts as the default one.
    pub fn kind(&self, name: &str) -> Option<&Kind> {
        self.kinds.get(name).or_else(|| self.kinds.get(&self.default_kind))
    }

    /// Whether posts in rooms of a kind may have to wait by a rule.
    pub fn looks_at(&self, kind: &str) -> bool {
        self.approval.iter().any(|rule| rule.may_concern(kind))
    }

    /// The names of the kinds there are, in words.
    pub fn kind_names(&self) -> String {
        let names: Vec<_> = self.kinds.keys().map(String::as_str).collect();
        format!("there are {}", names.join(", "))
    }

    /// What to say when there is no such role.
    pub fn no_such_role(&self, name: &str) -> String {
        let names: Vec<_> = self.roles.iter().map(|role| role.name.as_str()).collect();
        format!("there is no role {name:?}; there are {}", names.join(", "))
    }
}

fn check_roles(roles: &[RoleConfig], found: &mut Vec<Finding>) {
    let mut seen = BTreeSet::new();
    for (at, role) in roles.iter().enumerate() {
        let mut wrong = |field: &str, text: String| found.push((format!("roles.{at}.{field}"), text));
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if role.name.is_empty() || !role.name.bytes().all(fits) {
            wrong("name", format!("{:?} cannot be a role's name; write a-z, 0-9 and _ only", role.name));
        }
        if !seen.insert(&role.name) {
            wrong("name", format!("the role {:?} is there twice", role.name));
        }
        if !(0..=POWER_MAX).contains(&role.power) {
            wrong("power", format!("a role's power is between 0 and {POWER_MAX}"));
        }
    }
}

impl Role {
    /// Whether it may do to others what they may not do themselves.
    pub fn has_authority(&self) -> bool {
        self.moderates || self.oversees || self.administers
    }

    fn of(config: &RoleConfig) -> Self {
        let RoleConfig { name, title, power, staff, moderates, oversees, administers } = config.clone();
        let title = title.unwrap_or_else(|| name.replace('_', " "));
        Self { name, title, power, staff, moderates, oversees, administers }
    }

    fn usual(name: &str, title: &str, power: i32) -> Self {
        let (name, title) = (name.to_owned(), title.to_owned());
        Self { name, title, power, staff: true, moderates: false, oversees: false, administers: false }
    }
}

fn usual_roles() -> Vec<Role> {
    vec![
        Role { staff: false, ..Role::usual("student", "student", 0) },
        Role::usual("teacher", "teacher", 50),
        Role::usual("tutor", "tutor", 50),
        Role::usual("support_agent", "support agent", 0),
        Role::usual("staff", "member of staff", 0),
        Role { moderates: true, ..Role::usual("moderator", "moderator", 50) },
        Role { moderates: true, oversees: true, administers: true, ..Role::usual("dos", "Director of Studies", 100) },
        Role { administers: true, ..Role::usual("admin", "administrator", 0) },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_is_told_with_its_place() {
        let role = |name: &str, power| RoleConfig {
            name: name.to_owned(),
            title: None,
            power,
            staff: false,
            moderates: false,
            oversees: false,
            administers: false,
        };
        let config = InstitutionConfig {
            time_zone: Some("Atlantis".into()),
            default_role: Some("pupil".into()),
            roles: vec![role("learner", 0), role("learner", 0), role("Head Master", 200)],
            ..InstitutionConfig::default()
        };
        let found = Settings::of(&config).unwrap_err();
        let places: Vec<_> = found.iter().map(|(place, _)| place.as_str()).collect();
        assert_eq!(places, ["time_zone", "roles.1.name", "roles.2.name", "roles.2.power", "default_role"]);
        assert!(found[4].1.contains("learner"), "{found:?}");
    }

    #[test]
    fn the_usual_roles_are_there_without_any_setting() {
        let settings = Settings::of(&InstitutionConfig::default()).unwrap();
        assert!(!settings.enabled);
        assert_eq!(settings.role("dos").map(|role| (role.power, role.oversees)), Some((100, true)));
        assert_eq!(settings.role("student").map(|role| (role.power, role.staff)), Some((0, false)));
    }
}
