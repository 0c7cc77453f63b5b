//! Kinds of rooms: templates that say who makes such a room, whom it admits, who posts, and how it is set up.

use serde::Deserialize;
use std::collections::BTreeMap;

use crate::{
    Group, Role,
    settings::{Finding, POWER_MAX},
};

/// The kind of rooms that other servers' people made.
pub const ELSEWHERE: &str = "elsewhere";
/// The kind of direct chats.
pub const DIRECT: &str = "direct";
/// The kind of spaces.
pub const SPACE: &str = "space";
/// The kind of the room in which cases are handled.
pub const MODERATION: &str = "moderation";
/// The kind of chats with the support desk.
pub const SUPPORT_DESK: &str = "support_desk";
/// The kind of the room in which those who support answer.
pub const SUPPORT_TEAM: &str = "support_team";
/// The kind of the rooms in which those who teach a course look at posts that wait.
pub const APPROVALS: &str = "approvals";
/// The kind of courses' rooms.
pub const COURSE: &str = "course";

/// Whether messages are encrypted end to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encryption {
    /// Always.
    Required,
    /// As those in the room like.
    Allowed,
    /// Never: the institution oversees these rooms.
    Forbidden,
}

/// Who may read what was said before they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum History {
    /// Whoever is in the room reads everything.
    Shared,
    /// From the invite on.
    Invited,
    /// From the join on.
    Joined,
}

impl History {
    /// The spelling in events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Invited => "invited",
            Self::Joined => "joined",
        }
    }
}

/// A kind of room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kind {
    /// Its name in rules and in `org.lyceum.kind`.
    pub name: String,
    /// How people call such a room.
    pub title: String,
    /// Who may make one; nobody: the institution alone.
    pub made_by: Group,
    /// Who may be in one.
    pub admits: Group,
    /// Who may say something in one.
    pub posts: Group,
    /// Who is in every such room of theirs by default.
    pub members: Group,
    /// Who may read what was said before.
    pub history: History,
    /// Whether guests may come in.
    pub guests: bool,
    /// Whether messages are encrypted.
    pub encryption: Encryption,
    /// Whether other servers may take part.
    pub federates: bool,
    /// Whether the directory lists it.
    pub listed: bool,
    /// The power that something needs in one, where that is not the usual: an act (`invite`, `redact`…) or a type of events.
    pub levels: BTreeMap<String, i32>,
}

/// What one of `[institution.kinds.…]` changes of the usual kind of that name, or says of a new one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KindConfig {
    /// How people call such a room.
    pub title: Option<String>,
    /// Who may make one.
    pub made_by: Option<Vec<String>>,
    /// Who may be in one.
    pub admits: Option<Vec<String>>,
    /// Who may say something in one.
    pub posts: Option<Vec<String>>,
    /// Who is in every such room by default.
    pub members: Option<Vec<String>>,
    /// "shared", "invited" or "joined": from when on what was said is read.
    pub history: Option<History>,
    /// Whether guests may come in.
    pub guests: Option<bool>,
    /// "required", "allowed" or "forbidden".
    pub encryption: Option<Encryption>,
    /// Whether other servers may take part.
    pub federates: Option<bool>,
    /// Whether the directory lists it.
    pub listed: Option<bool>,
    /// The power that an act (`invite`, `redact`…) or a type of events needs.
    pub levels: BTreeMap<String, i32>,
}

impl Kind {
    /// A kind that nobody makes and nobody but the staff enters.
    fn new(name: &str, title: &str) -> Self {
        Self {
            name: name.to_owned(),
            title: title.to_owned(),
            made_by: Group::default(),
            admits: Group::of(&["@staff"]),
            posts: Group::of(&["*"]),
            members: Group::default(),
            history: History::Shared,
            guests: false,
            encryption: Encryption::Allowed,
            federates: true,
            listed: false,
            levels: BTreeMap::new(),
        }
    }

    /// Whether people without a role here may be in one.
    pub fn admits_visitors(&self) -> bool {
        self.admits.has_visitors()
    }

    fn change(&mut self, config: &KindConfig, roles: &[Role], wrong: &mut impl FnMut(&str, String)) {
        let mut group = |field: &str, words: &Option<Vec<String>>, to: &mut Group| {
            if let Some(words) = words {
                match Group::read(words, roles) {
                    Ok(read) => *to = read,
                    Err(name) => wrong(
                        field,
                        format!(
                            "there is no role {name:?}; write one, \"@staff\", \"@partners\", \"@visitors\" or \"*\""
                        ),
                    ),
                }
            }
        };
        group("made_by", &config.made_by, &mut self.made_by);
        group("admits", &config.admits, &mut self.admits);
        group("posts", &config.posts, &mut self.posts);
        group("members", &config.members, &mut self.members);
        if let Some(title) = &config.title {
            self.title.clone_from(title);
        }
        self.history = config.history.unwrap_or(self.history);
        self.guests = config.guests.unwrap_or(self.guests);
        self.encryption = config.encryption.unwrap_or(self.encryption);
        self.federates = config.federates.unwrap_or(self.federates);
        self.listed = config.listed.unwrap_or(self.listed);
        for (what, level) in &config.levels {
            match (0..=POWER_MAX).contains(level) {
                true => drop(self.levels.insert(what.clone(), *level)),
                false => wrong("levels", format!("{what} needs a power between 0 and {POWER_MAX}")),
            }
        }
    }
}

/// The kinds there are: the usual ones, changed and added to.
pub(crate) fn kinds(
    config: &BTreeMap<String, KindConfig>,
    roles: &[Role],
    found: &mut Vec<Finding>,
) -> BTreeMap<String, Kind> {
    let usual = usual_kinds().into_iter().map(|kind| (kind.name.clone(), kind));
    let mut kinds: BTreeMap<String, Kind> = usual.collect();
    for (name, change) in config {
        let kind = kinds.entry(name.clone()).or_insert_with(|| Kind::new(name, &format!("{name} room")));
        let mut wrong = |field: &str, text: String| found.push((format!("kinds.{name}.{field}"), text));
        kind.change(change, roles, &mut wrong);
    }
    kinds
}

/// The kinds from the start. Where students are, nothing is encrypted unless configured, because the institution answers
/// for what is said there.
fn usual_kinds() -> Vec<Kind> {
    let overseen = |name, title| Kind { encryption: Encryption::Forbidden, ..Kind::new(name, title) };
    let everyone = || Group::of(&["student", "@staff"]);
    vec![
        Kind {
            made_by: Group::of(&["student"]),
            admits: Group::of(&["student"]),
            ..overseen("peer", "students' room")
        },
        Kind { made_by: everyone(), admits: everyone(), ..overseen("help", "help room") },
        Kind { made_by: Group::of(&["@staff"]), federates: false, ..Kind::new("staff", "staff room") },
        Kind {
            made_by: Group::of(&["@staff"]),
            admits: Group::of(&["teacher", "tutor", "moderator", "dos"]),
            federates: false,
            ..Kind::new("office", "office")
        },
        Kind { made_by: everyone(), admits: everyone(), ..overseen(SUPPORT_DESK, "support desk") },
        Kind {
            admits: Group::of(&["support_agent"]),
            members: Group::of(&["support_agent"]),
            federates: false,
            ..overseen(SUPPORT_TEAM, "room of the support team")
        },
        Kind { federates: false, ..overseen(APPROVALS, "room for posts that wait") },
        Kind {
            made_by: Group::of(&["teacher", "tutor", "dos", "admin"]),
            admits: Group::of(&["teacher", "tutor", "moderator", "dos", "admin"]),
            federates: false,
            ..Kind::new("instructor_admin", "instructors' room")
        },
        Kind { admits: everyone(), ..overseen(COURSE, "course room") },
        Kind { made_by: everyone(), admits: Group::of(&["*"]), ..overseen("study_group", "study group") },
        Kind {
            made_by: Group::of(&["dos", "admin"]),
            admits: everyone(),
            posts: Group::of(&["@staff"]),
            members: everyone(),
            ..overseen("announcement", "announcement room")
        },
        Kind { admits: everyone(), members: everyone(), ..overseen("common", "common room") },
        Kind {
            admits: Group::of(&["teacher", "tutor", "moderator", "dos"]),
            members: Group::of(&["teacher", "tutor", "moderator", "dos"]),
            federates: false,
            ..Kind::new("tutors", "tutors' room")
        },
        Kind {
            admits: Group::of(&["moderator", "dos", "admin", "staff"]),
            members: Group::of(&["moderator", "dos", "admin", "staff"]),
            federates: false,
            ..Kind::new("admin_team", "administration's room")
        },
        // Whoever handles cases or oversees comes in by that alone.
        Kind { admits: Group::default(), federates: false, ..overseen(MODERATION, "moderation room") },
        Kind { made_by: everyone(), admits: Group::of(&["*"]), ..Kind::new(DIRECT, "direct chat") },
        Kind { made_by: everyone(), admits: Group::of(&["*"]), ..Kind::new(SPACE, "space") },
        Kind { admits: Group::of(&["@staff"]), ..Kind::new(ELSEWHERE, "room of another server") },
    ]
}
