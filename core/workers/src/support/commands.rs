//! What those who support can write in their room besides answers. Reading a line, purely.

/// What tells a command from talk.
const MARK: char = '!';

/// What `!help` answers.
pub(super) const HELP: &str = "\
Each request has a thread: what you write there is passed on in the desk's name. What you write outside of threads stays here.
!requests: the open requests
!done 12 text: close a request; who asks is told, with the text
!who 12 why: who asks (Director of Studies; the answer comes to you alone)";

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    Help,
    Requests,
    Done(u64, Option<String>),
    Who(u64, Option<String>),
}

/// Reads a line; nothing if it is no command, what is wrong with it if it is none that there is.
pub(super) fn read(line: &str) -> Option<Result<Command, String>> {
    let line = line.trim().strip_prefix(MARK)?;
    if !line.starts_with(|first: char| first.is_ascii_lowercase()) {
        return None;
    }
    let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    Some(command(name, rest.trim()).ok_or_else(|| format!("I do not understand !{line}. !help tells what there is.")))
}

fn command(name: &str, rest: &str) -> Option<Command> {
    match name {
        "help" => return Some(Command::Help),
        "requests" => return Some(Command::Requests),
        _ => {}
    }
    let (number, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let number = number.trim_start_matches('#').parse().ok()?;
    let rest = Some(rest.trim()).filter(|rest| !rest.is_empty()).map(str::to_owned);
    match name {
        "done" => Some(Command::Done(number, rest)),
        "who" => Some(Command::Who(number, rest)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_from_talk_and_read_with_what_belongs_to_them() {
        for talk in ["good morning", "!", "!!", "! done 1", "is it !done 1?"] {
            assert_eq!(read(talk), None, "{talk:?}");
        }
        for wrong in ["!done", "!done one", "!whose 1"] {
            assert!(matches!(read(wrong), Some(Err(_))), "{wrong:?}");
        }
        for (line, expected) in [
            ("!requests", Command::Requests),
            ("!done 12", Command::Done(12, None)),
            ("!done #12 all is well ", Command::Done(12, Some("all is well".to_owned()))),
            ("!who 3 the parents ask", Command::Who(3, Some("the parents ask".to_owned()))),
        ] {
            assert_eq!(read(line), Some(Ok(expected)), "{line:?}");
        }
    }
}
