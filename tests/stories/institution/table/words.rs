//! What the usual configuration means, in words: the one place from which the table's expectations come.

/// The roles there are.
pub(super) const ROLES: [&str; 8] =
    ["student", "teacher", "tutor", "support_agent", "staff", "moderator", "dos", "admin"];

/// All but students are of the staff.
const STAFF: [&str; 7] = ["teacher", "tutor", "support_agent", "staff", "moderator", "dos", "admin"];
/// These come into every room of their own server, to oversee it.
const WATCH: [&str; 2] = ["moderator", "dos"];
/// These roles have authority: the word of a partner does not make anybody one of them, so they are visitors.
const AUTHORITY: [&str; 3] = ["moderator", "dos", "admin"];

/// A kind of room: who makes one, who enters it, who writes in it, and whether other servers take part.
pub(super) struct Words {
    pub(super) kind: &'static str,
    makes: &'static str,
    enters: &'static str,
    writes: &'static str,
    federates: bool,
}

const fn of(
    kind: &'static str,
    makes: &'static str,
    enters: &'static str,
    writes: &'static str,
    federates: bool,
) -> Words {
    Words { kind, makes, enters, writes, federates }
}

/// Every kind of room that is made here. "staff" is the role, "the staff" all of them.
pub(super) const KINDS: [Words; 17] = [
    of("peer", "student", "student", "anybody", true),
    of("help", "student, the staff", "student, the staff", "anybody", true),
    of("staff", "the staff", "the staff", "anybody", false),
    of("office", "the staff", "teacher, tutor", "anybody", false),
    of("support_desk", "student, the staff", "student, the staff", "anybody", true),
    of("support_team", "nobody", "support_agent", "anybody", false),
    of("approvals", "nobody", "the staff", "anybody", false),
    of("instructor_admin", "teacher, tutor, dos, admin", "teacher, tutor, admin", "anybody", false),
    of("course", "nobody", "student, the staff", "anybody", true),
    of("study_group", "student, the staff", "anybody", "anybody", true),
    of("announcement", "dos, admin", "student, the staff", "the staff", true),
    of("common", "nobody", "student, the staff", "anybody", true),
    of("tutors", "nobody", "teacher, tutor", "anybody", false),
    of("admin_team", "nobody", "staff, admin", "anybody", false),
    of("moderation", "nobody", "nobody", "anybody", false),
    of("direct", "student, the staff", "anybody", "anybody", true),
    of("space", "student, the staff", "anybody", "anybody", true),
];

/// Who enters rooms that other servers' people made.
const ENTERS_ELSEWHERE: &str = "the staff";

/// Who starts a chat with, or invites, whom they share no course with.
const REACHES: [(&str, &str); 3] =
    [("the staff", "anybody"), ("student", "support_agent, moderator, dos"), ("visitors", "the staff")];
/// Who finds whom in the directory of people.
const FINDS: [(&str, &str); 2] = [("the staff", "anybody"), ("student", "the staff")];

/// Somebody, as this server is to see them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Who {
    /// Their role; none: a visitor.
    role: Option<&'static str>,
    is_of_this_server: bool,
}

impl Who {
    pub(super) fn here(role: &'static str) -> Self {
        Self { role: Some(role), is_of_this_server: true }
    }

    /// Whoever a partner says has this role.
    pub(super) fn of_partner(role: &'static str) -> Self {
        let role = (!AUTHORITY.contains(&role)).then_some(role);
        Self { role, is_of_this_server: false }
    }

    /// Whoever any other server says has any role.
    pub(super) const STRANGER: Self = Self { role: None, is_of_this_server: false };

    fn is(self, words: &str) -> bool {
        words.split(", ").any(|word| match word {
            "nobody" => false,
            "anybody" => true,
            "the staff" => self.role.is_some_and(|role| STAFF.contains(&role)),
            "visitors" => self.role.is_none(),
            role => self.role == Some(role),
        })
    }

    fn watches(self) -> bool {
        self.role.is_some_and(|role| WATCH.contains(&role))
    }

    pub(super) fn makes(self, kind: &Words) -> bool {
        self.is(kind.makes)
    }

    /// Joins, knocks on, is invited to, and finds rooms of a kind.
    pub(super) fn enters(self, kind: &Words) -> bool {
        (self.watches() || self.is(kind.enters)) && (kind.federates || self.is_of_this_server)
    }

    pub(super) fn writes(self, kind: &Words) -> bool {
        self.enters(kind) && self.is(kind.writes)
    }

    pub(super) fn enters_rooms_elsewhere(self) -> bool {
        self.watches() || self.is(ENTERS_ELSEWHERE)
    }

    pub(super) fn reaches(self, other: Self) -> bool {
        first(&REACHES, self, other)
    }

    pub(super) fn finds(self, other: Self) -> bool {
        first(&FINDS, self, other)
    }
}

fn first(lines: &[(&str, &str)], who: Who, other: Who) -> bool {
    lines.iter().any(|(from, to)| who.is(from) && other.is(to))
}

/// Whether anybody at all may learn of a room of this kind.
pub(super) fn is_shown_to_servers(kind: &Words) -> bool {
    Who::STRANGER.enters(kind)
}
