//! What moderators can write in their room. Reading a line, purely.

use ruma::OwnedUserId;

use super::Measure;

/// What tells a command from talk among moderators.
const MARK: char = '!';
/// Milliseconds of a minute; longer times are given in these.
const MINUTE_MS: u64 = 60_000;

/// What `!help` answers.
pub(super) const HELP: &str = "\
!cases: the open cases; !cases all: those that are closed too
!case 3: all of case 3
!context 3: what was said before and after, with edits. Those in the room do not see that you look
!take 3: handle it yourself; !give 3 @amy:example.org: let somebody else
!note 3 text: note something
!delete 3 why: delete the message for everybody
!warn 3 text: tell its author
!block 3 7d why: block its author in that room for 7 days (also 30m, 12h); !block 3 everywhere 7d why; !block 3 why: until \
it is lifted; !unblock 3, !unblock 3 everywhere
!hold 3 7d why: let its author's posts wait there until somebody has looked at them, given like !block; !unhold 3
!suspend 3 why: let its author read and leave, and nothing else; !unsuspend 3
!lock 3 why: let its author do nothing but sign out; !unlock 3
!remove 3 why: send its author out of the room
!dismiss 3 why: close it, nothing was to be done; !done 3 why: close it. Those who reported are told
!original 3 why: what stood in a deleted message (Director of Studies; the answer comes to you alone)
!held: the posts that wait to be looked at; !approve $abcdefgh: let one go; !refuse $abcdefgh why: its author is told
!who 12 why: who asks request 12 of the support desk (Director of Studies; the answer comes to you alone)
!read !room:example.org why: what was said last in a room (Director of Studies; the answer comes to you alone)
!search #room:example.org words: where they were said in a room; !search all words: in any room that is not encrypted \
(Director of Studies; the answer comes to you alone)";

/// What is answered in rooms for posts that wait.
pub(super) const APPROVALS_HELP: &str = "\
!held: the posts of your course that wait to be looked at
!approve $abcdefgh: let one go; !refuse $abcdefgh why: its author is told";

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    Help,
    Cases {
        all: bool,
    },
    Case(u64),
    Context(u64),
    Take(u64),
    Give(u64, OwnedUserId),
    Note(u64, String),
    Delete(u64, Option<String>),
    Warn(u64, Option<String>),
    Restrain {
        case: u64,
        restraint: Restraint,
        why: Option<String>,
    },
    Remove(u64, Option<String>),
    Close {
        case: u64,
        dismissed: bool,
        why: Option<String>,
    },
    Original(u64, Option<String>),
    Who(u64, Option<String>),
    Read(String, Option<String>),
    /// In a room, or everywhere.
    Search(Option<String>, String),
    Held,
    Approve(String, Option<String>),
    Refuse(String, Option<String>),
}

/// How the author of what was reported is restrained, or no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Restraint {
    Block { for_ms: Option<u64>, everywhere: bool },
    Unblock { everywhere: bool },
    Hold { for_ms: Option<u64>, everywhere: bool },
    Unhold { everywhere: bool },
    Suspend,
    Unsuspend,
    Lock,
    Unlock,
}

impl Restraint {
    /// The measure, taken now.
    pub(super) fn measure(self, now_ms: u64) -> Measure {
        let until = |for_ms: Option<u64>| for_ms.map(|for_ms| now_ms.saturating_add(for_ms));
        match self {
            Self::Block { for_ms, everywhere } => Measure::Block { until_ms: until(for_ms), everywhere },
            Self::Unblock { everywhere } => Measure::Unblock { everywhere },
            Self::Hold { for_ms, everywhere } => Measure::Hold { until_ms: until(for_ms), everywhere },
            Self::Unhold { everywhere } => Measure::Unhold { everywhere },
            Self::Suspend => Measure::Suspend,
            Self::Unsuspend => Measure::Unsuspend,
            Self::Lock => Measure::Lock,
            Self::Unlock => Measure::Unlock,
        }
    }
}

/// Reads a line; nothing if it is no command, what is wrong with it if it is none that there is.
pub(super) fn read(line: &str) -> Option<Result<Command, String>> {
    let line = line.trim().strip_prefix(MARK)?;
    if !line.starts_with(|first: char| first.is_ascii_lowercase()) {
        return None;
    }
    let (name, rest) = split(line);
    Some(command(name, rest).ok_or_else(|| format!("I do not understand !{line}. !help tells what there is.")))
}

fn command(name: &str, rest: &str) -> Option<Command> {
    match name {
        "help" => return Some(Command::Help),
        "cases" => return Some(Command::Cases { all: rest == "all" }),
        "read" => {
            let (room, why) = split(rest);
            return room.starts_with(['!', '#']).then(|| Command::Read(room.to_owned(), text(why)));
        }
        "search" => {
            let (place, term) = split(rest);
            let room = match place {
                "all" => None,
                room => Some(room).filter(|room| room.starts_with(['!', '#'])).map(Some)?.map(str::to_owned),
            };
            return text(term).map(|term| Command::Search(room, term));
        }
        "held" => return Some(Command::Held),
        "approve" | "refuse" => {
            let (post, why) = split(rest);
            let (post, why) = (post.starts_with('$').then(|| post.to_owned())?, text(why));
            return Some(if name == "approve" { Command::Approve(post, why) } else { Command::Refuse(post, why) });
        }
        _ => {}
    }
    let (case, rest) = split(rest);
    let case: u64 = case.trim_start_matches('#').parse().ok()?;
    Some(match name {
        "case" => Command::Case(case),
        "context" => Command::Context(case),
        "take" => Command::Take(case),
        "give" => Command::Give(case, rest.try_into().ok()?),
        "note" => Command::Note(case, text(rest)?),
        "delete" => Command::Delete(case, text(rest)),
        "warn" => Command::Warn(case, text(rest)),
        "block" | "unblock" | "hold" | "unhold" | "suspend" | "unsuspend" | "lock" | "unlock" => {
            restrain(case, name, rest)?
        }
        "remove" => Command::Remove(case, text(rest)),
        "dismiss" => Command::Close { case, dismissed: true, why: text(rest) },
        "done" => Command::Close { case, dismissed: false, why: text(rest) },
        "who" => Command::Who(case, text(rest)),
        "original" => Command::Original(case, text(rest)),
        _ => return None,
    })
}

fn restrain(case: u64, name: &str, rest: &str) -> Option<Command> {
    let (first, after) = split(rest);
    let (everywhere, placed) = if first == "everywhere" { (true, after) } else { (false, rest) };
    let (first, after) = split(placed);
    let (for_ms, timed) = match duration_ms(first) {
        Some(for_ms) => (Some(for_ms), after),
        None => (None, placed),
    };
    let (restraint, why) = match name {
        "block" => (Restraint::Block { for_ms, everywhere }, timed),
        "hold" => (Restraint::Hold { for_ms, everywhere }, timed),
        "unblock" => (Restraint::Unblock { everywhere }, placed),
        "unhold" => (Restraint::Unhold { everywhere }, placed),
        "suspend" => (Restraint::Suspend, rest),
        "unsuspend" => (Restraint::Unsuspend, rest),
        "lock" => (Restraint::Lock, rest),
        "unlock" => (Restraint::Unlock, rest),
        _ => return None,
    };
    Some(Command::Restrain { case, restraint, why: text(why) })
}

/// `30m`, `12h`, `7d`.
fn duration_ms(word: &str) -> Option<u64> {
    let unit = match word.chars().last()? {
        'm' => MINUTE_MS,
        'h' => 60 * MINUTE_MS,
        'd' => 24 * 60 * MINUTE_MS,
        _ => return None,
    };
    word[..word.len() - 1].parse::<u64>().ok()?.checked_mul(unit)
}

fn text(rest: &str) -> Option<String> {
    Some(rest.trim()).filter(|rest| !rest.is_empty()).map(str::to_owned)
}

fn split(line: &str) -> (&str, &str) {
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    (word, rest.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn commands_are_told_from_talk() {
        for talk in ["good morning", "", "!", "!!!", "! cases", "what does !cases do?", "!5"] {
            assert_eq!(read(talk), None, "{talk:?}");
        }
        for wrong in [
            "!casses",
            "!case",
            "!case three",
            "!note 3",
            "!give 3 amy",
            "!read somewhere",
            "!approve 3",
            "!search words",
            "!search all",
        ] {
            assert!(matches!(read(wrong), Some(Err(_))), "{wrong:?}");
        }
    }

    #[test]
    fn commands_are_read_with_what_belongs_to_them() {
        let restrained =
            |restraint, why: Option<&str>| Command::Restrain { case: 3, restraint, why: why.map(str::to_owned) };
        let blocked = |for_ms, everywhere, why: Option<&str>| restrained(Restraint::Block { for_ms, everywhere }, why);
        for (line, expected) in [
            ("!cases", Command::Cases { all: false }),
            ("!cases all", Command::Cases { all: true }),
            (" !case 3 ", Command::Case(3)),
            ("!case #3", Command::Case(3)),
            ("!note 3 talk to  both", Command::Note(3, "talk to  both".to_owned())),
            ("!delete 3", Command::Delete(3, None)),
            ("!delete 3 rude", Command::Delete(3, some("rude"))),
            ("!block 3", blocked(None, false, None)),
            ("!block 3 7d", blocked(Some(604_800_000), false, None)),
            ("!block 3 30m shouting at all", blocked(Some(1_800_000), false, Some("shouting at all"))),
            ("!block 3 everywhere 12h", blocked(Some(43_200_000), true, None)),
            ("!block 3 everywhere because", blocked(None, true, Some("because"))),
            (
                "!unblock 3 everywhere all is well",
                restrained(Restraint::Unblock { everywhere: true }, Some("all is well")),
            ),
            ("!hold 3 7d", restrained(Restraint::Hold { for_ms: Some(604_800_000), everywhere: false }, None)),
            ("!unhold 3", restrained(Restraint::Unhold { everywhere: false }, None)),
            ("!suspend 3 everywhere he goes", restrained(Restraint::Suspend, Some("everywhere he goes"))),
            ("!unlock 3", restrained(Restraint::Unlock, None)),
            ("!search all two words", Command::Search(None, "two words".to_owned())),
            ("!search #alg:a.b fool", Command::Search(Some("#alg:a.b".to_owned()), "fool".to_owned())),
            ("!dismiss 3 a joke", Command::Close { case: 3, dismissed: true, why: some("a joke") }),
            ("!approve $abc", Command::Approve("$abc".to_owned(), None)),
            ("!refuse $abc too loud", Command::Refuse("$abc".to_owned(), some("too loud"))),
            ("!read !r:a.b a complaint", Command::Read("!r:a.b".to_owned(), some("a complaint"))),
        ] {
            assert_eq!(read(line), Some(Ok(expected)), "{line:?}");
        }
        assert_eq!(duration_ms("99999999999999999999d"), None);
        assert_eq!(duration_ms("é"), None);
    }
}
