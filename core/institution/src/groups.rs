//! Sets of roles, as settings write them: names of roles, `@staff`, `@partners`, `@visitors`, `*`.

use ruma::UserId;

use crate::Role;

/// All of the staff.
const STAFF: &str = "@staff";
/// Those whose role a partner server states.
const PARTNERS: &str = "@partners";
/// Those without a role here.
const VISITORS: &str = "@visitors";
/// Everybody.
const EVERYBODY: &str = "*";

/// Somebody, as rules see them.
#[derive(Debug, Clone, Copy)]
pub struct Someone<'a> {
    /// Who.
    pub user: &'a UserId,
    /// Their role; none: a visitor.
    pub role: Option<&'a Role>,
    /// Whether the role is the word of a partner server.
    pub is_partner: bool,
}

impl Someone<'_> {
    /// Whether they are of the staff.
    pub fn is_staff(&self) -> bool {
        self.role.is_some_and(|role| role.staff)
    }

    /// Whether they handle cases or oversee everything, and so may be wherever they have to.
    pub fn watches(&self) -> bool {
        self.role.is_some_and(|role| role.moderates || role.oversees)
    }

    /// How they are called in sentences.
    pub fn title(&self) -> &str {
        self.role.map_or("visitor", |role| &role.title)
    }
}

/// A set of roles.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    everybody: bool,
    staff: bool,
    partners: bool,
    visitors: bool,
    names: Vec<String>,
}

impl Group {
    /// Reads a set; the name that is no role when there is one.
    pub(crate) fn read(words: &[String], roles: &[Role]) -> Result<Self, String> {
        let mut group = Self::default();
        for word in words {
            match word.as_str() {
                EVERYBODY => group.everybody = true,
                STAFF => group.staff = true,
                PARTNERS => group.partners = true,
                VISITORS => group.visitors = true,
                name if roles.iter().any(|role| role.name == name) => group.names.push(name.to_owned()),
                name => return Err(name.to_owned()),
            }
        }
        Ok(group)
    }

    pub(crate) fn of(words: &[&str]) -> Self {
        let has = |word| words.contains(&word);
        let names = words.iter().filter(|word| ![EVERYBODY, STAFF, PARTNERS, VISITORS].contains(word));
        Self {
            everybody: has(EVERYBODY),
            staff: has(STAFF),
            partners: has(PARTNERS),
            visitors: has(VISITORS),
            names: names.map(|name| (*name).to_owned()).collect(),
        }
    }

    /// Whether somebody is in it.
    pub fn has(&self, someone: &Someone<'_>) -> bool {
        self.everybody
            || match someone.role {
                None => self.visitors,
                Some(_) if self.partners && someone.is_partner => true,
                Some(role) => (self.staff && role.staff) || self.names.contains(&role.name),
            }
    }

    /// Whether people without a role are in it.
    pub fn has_visitors(&self) -> bool {
        self.everybody || self.visitors
    }

    /// Whether nobody is in it.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
