//! What is looked at before others see it: all posts of some people in some rooms, or those with links, files, certain words,
//! or the first ones.

use ruma::UserId;
use serde::Deserialize;

use super::{Facts, Place};
use crate::{Group, Role, Someone, settings::Finding};

pub(super) const RULE: &str = "approval";

/// Taking something back says nothing that would have to be looked at.
const REDACTION: &str = "m.room.redaction";
/// A reaction is no post, but what it consists of is a text of its sender's choice.
const REACTION: &str = "m.reaction";

/// Which posts are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    /// All of them.
    All,
    /// Those with a link in them.
    Links,
    /// Files, pictures, voices, films.
    Files,
    /// Those of somebody of whom nothing was approved in the room yet.
    First,
    /// Those with one of the words.
    Words,
}

/// One of `institution.approval`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalConfig {
    /// Whose posts.
    pub roles: Vec<String>,
    /// In rooms of which kinds; all, if neither kinds nor rooms are named.
    #[serde(default)]
    pub kinds: Vec<String>,
    /// In which rooms, by their ids.
    #[serde(default)]
    pub rooms: Vec<String>,
    /// "all", "links", "files", "first" or "words".
    pub posts: Which,
    /// The words, for "words".
    #[serde(default)]
    pub words: Vec<String>,
}

/// What is looked at before others see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    roles: Group,
    kinds: Vec<String>,
    rooms: Vec<String>,
    posts: Which,
    words: Vec<String>,
}

/// What somebody is about to say, as far as it can be looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Post {
    /// All texts in it.
    pub text: String,
    /// Whether it is a file, a picture, a voice or a film.
    pub is_file: bool,
    /// Whether something of theirs was approved in the room before.
    pub is_known: bool,
}

impl Approval {
    pub(crate) fn read(
        config: &[ApprovalConfig],
        roles: &[Role],
        has_kind: impl Fn(&str) -> bool,
        found: &mut Vec<Finding>,
    ) -> Vec<Self> {
        let mut rules = Vec::new();
        for (at, one) in config.iter().enumerate() {
            let mut wrong = |field: &str, text: String| found.push((format!("approval.{at}.{field}"), text));
            if let Some(kind) = one.kinds.iter().find(|kind| !has_kind(kind)) {
                wrong("kinds", format!("there is no kind {kind:?}"));
            }
            if (one.posts == Which::Words) == one.words.is_empty() {
                wrong("words", "name words with posts = \"words\", and only with it".to_owned());
            }
            match Group::read(&one.roles, roles) {
                Err(name) => wrong("roles", format!("there is no role {name:?}")),
                Ok(roles) => rules.push(Self {
                    roles,
                    kinds: one.kinds.clone(),
                    rooms: one.rooms.clone(),
                    posts: one.posts,
                    words: one.words.iter().map(|word| word.to_lowercase()).collect(),
                }),
            }
        }
        rules
    }

    fn concerns(&self, who: &Someone<'_>, place: &Place<'_>) -> bool {
        let anywhere = self.kinds.is_empty() && self.rooms.is_empty();
        let here = || {
            self.kinds.contains(&place.kind.name)
                || place.room.is_some_and(|room| self.rooms.iter().any(|one| one == room.as_str()))
        };
        self.roles.has(who) && (anywhere || here())
    }

    /// Whether posts in rooms of a kind may be its matter.
    pub(crate) fn may_concern(&self, kind: &str) -> bool {
        self.kinds.is_empty() || !self.rooms.is_empty() || self.kinds.iter().any(|one| one == kind)
    }

    fn holds(&self, kind: &str, post: &Post) -> bool {
        match self.posts {
            Which::All | Which::Files | Which::First if kind == REACTION => false,
            Which::All => true,
            Which::Links => has_link(&post.text),
            Which::Files => post.is_file,
            Which::First => !post.is_known,
            Which::Words => has_word(&post.text, &self.words),
        }
    }
}

/// Whether what somebody is about to say waits for somebody to look at it.
pub(super) fn holds(who: &Someone<'_>, (place, kind): (&Place<'_>, &str), post: &Post, facts: &Facts<'_>) -> bool {
    if !place.is_ours || kind == REDACTION || who.watches() {
        return false;
    }
    let by_measure = kind != REACTION && facts.roster.is_held(who.user, place.room, facts.now_ms);
    by_measure || facts.settings.approval.iter().any(|rule| rule.concerns(who, place) && rule.holds(kind, post))
}

impl Facts<'_> {
    /// Whether somebody may let posts go, or refuse them, that wait in a room of a unit: whoever handles cases, and who teaches
    /// the unit itself.
    pub fn may_decide(&self, user: &UserId, unit: Option<&str>) -> bool {
        let is_local = user.server_name() == self.server;
        is_local && (self.someone(user).watches() || unit.is_some_and(|unit| self.teaches(user, unit)))
    }

    /// Whether somebody's enrolment in a unit itself gives power in it.
    pub fn teaches(&self, user: &UserId, unit: &str) -> bool {
        let has_power = |role: &str| self.settings.role(role).is_some_and(|role| role.power > 0);
        self.roster.units_of(user, self.now_ms).any(|(code, one)| code == unit && has_power(&one.role))
    }
}

/// An address of a page, with or without what it is fetched by. Files of this kind of server and mentions are none.
fn has_link(text: &str) -> bool {
    let text = text.to_lowercase();
    let is_page = |at: usize| !text[..at].ends_with("mxc") && !text[at..].starts_with("://matrix.to/#/");
    text.match_indices("://").any(|(at, _)| is_page(at)) || text.split_whitespace().any(|word| word.starts_with("www."))
}

/// Whether one of the words is there as a word of its own. They are in small letters.
fn has_word(text: &str, words: &[String]) -> bool {
    let text = text.to_lowercase();
    words.iter().any(|word| {
        text.match_indices(word.as_str()).any(|(at, found)| {
            let before = text[..at].chars().next_back();
            let after = text[at + found.len()..].chars().next();
            !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_as_words() {
        let words = ["ass".to_owned(), "two words".to_owned(), "ärger".to_owned()];
        for (text, found) in [
            ("an ass", true),
            ("ASS!", true),
            ("class", false),
            ("assume", false),
            ("Two Words here", true),
            ("Ärger", true),
            ("", false),
        ] {
            assert_eq!(has_word(text, &words), found, "{text:?}");
        }
    }

    #[test]
    fn each_rule_holds_what_it_names_and_nothing_else() {
        use crate::policies::testing::{College, NOW, person};
        let rule = |posts, words: &[&str]| ApprovalConfig {
            roles: vec!["student".into()],
            kinds: vec!["study_group".into()],
            rooms: vec![],
            posts,
            words: words.iter().map(|word| (*word).to_owned()).collect(),
        };
        let plain = Post { text: "hello".into(), is_file: false, is_known: true };
        let (link, file) = (Post { text: "http://a".into(), ..plain.clone() }, Post { is_file: true, ..plain.clone() });
        let (first, word) = (Post { is_known: false, ..plain.clone() }, Post { text: "Fool!".into(), ..plain.clone() });
        for (which, words, held) in [
            (Which::All, &[][..], [true; 5]),
            (Which::Links, &[], [false, true, false, false, false]),
            (Which::Files, &[], [false, false, true, false, false]),
            (Which::First, &[], [false, false, false, true, false]),
            (Which::Words, &["fool"], [false, false, false, false, true]),
        ] {
            let mut college = College::new();
            let (roles, mut found) = (college.settings.roles.clone(), Vec::new());
            college.settings.approval = Approval::read(&[rule(which, words)], &roles, |_| true, &mut found);
            assert_eq!(found, []);
            let facts = college.facts(NOW);
            let holds = |who: &str, kind: &str, post: &Post| {
                let user = person(who);
                let place = college.place(kind, None);
                super::holds(&facts.someone(&user), (&place, "m.room.message"), post, &facts)
            };
            for (post, held) in [&plain, &link, &file, &first, &word].into_iter().zip(held) {
                assert_eq!(holds("student", "study_group", post), held, "{which:?} and {post:?}");
                let place = college.place("study_group", None);
                let reacts = super::holds(&facts.someone(&person("student")), (&place, "m.reaction"), post, &facts);
                let by_text = matches!(which, Which::Links | Which::Words);
                assert_eq!(reacts, held && by_text, "a reaction, {which:?} and {post:?}");
                assert!(!holds("student", "course", post) && !holds("teacher", "study_group", post));
            }
        }
    }

    #[test]
    fn what_somebody_says_waits_by_a_measure_where_and_as_long_as_it_holds() {
        use crate::policies::testing::{College, NOW, person};
        let (mut college, student) = (College::new(), person("student"));
        let room = ruma::room_id!("!group:alpha.test");
        college.roster.set_hold(&student, Some(room.as_str()), Some(crate::Block { until_ms: Some(NOW + 1) }));
        let holds = |room, kind: &str, now| {
            let (facts, place) = (college.facts(now), Place { room, ..college.place("study_group", None) });
            super::holds(&facts.someone(&student), (&place, kind), &Post::default(), &facts)
        };
        assert!(holds(Some(room), "m.room.message", NOW));
        assert!(!holds(Some(room), "m.room.message", NOW + 1), "it has ended");
        assert!(!holds(Some(ruma::room_id!("!other:alpha.test")), "m.room.message", NOW));
        assert!(!holds(Some(room), "m.reaction", NOW) && !holds(Some(room), "m.room.redaction", NOW));
    }

    #[test]
    fn those_decide_who_handle_cases_or_teach_the_unit_itself() {
        use crate::policies::testing::{College, NOW, person};
        let college = College::new();
        let facts = college.facts(NOW);
        for (who, unit, may) in [
            ("teacher", Some("alg"), true),
            ("teacher", Some("geo"), false),
            ("teacher", Some("alg-1"), false),
            ("teacher", None, false),
            ("student", Some("alg"), false),
            ("moderator", None, true),
            ("visitor", Some("alg"), false),
        ] {
            assert_eq!(facts.may_decide(&person(who), unit), may, "{who} in {unit:?}");
        }
    }

    #[test]
    fn links_are_known_by_their_form() {
        for (text, is) in [
            ("see https://a.example/b", true),
            ("SEE HTTP://A", true),
            ("www.example.com", true),
            ("no link here. really", false),
            ("<a href=\"https://matrix.to/#/@ann:a.b\">Ann</a>", false),
            ("mxc://a.b/c", false),
        ] {
            assert_eq!(has_link(text), is, "{text:?}");
        }
    }
}
