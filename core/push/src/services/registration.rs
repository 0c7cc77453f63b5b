//! Registration files: YAML that a bridge writes and the operator hands in.

use regex::Regex;
use serde::Deserialize;
use std::{
    fs,
    path::{Path, PathBuf},
};
use url::Url;

/// The largest registration file.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// The shortest token that is not merely guessed.
const TOKEN_BYTES_MIN: usize = 8;

/// What is wrong with a registration, in words for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {why}", file.display())]
pub struct RegistrationError {
    /// Which file.
    pub file: PathBuf,
    /// What.
    pub why: String,
}

/// A registration.
#[derive(Debug, Clone)]
pub struct Registration {
    /// A name that never changes.
    pub id: String,
    /// Where the service is, without a slash at the end; `None`: it is told and asked nothing.
    pub url: Option<String>,
    /// What it proves itself with.
    pub as_token: String,
    /// What this server proves itself with to it.
    pub hs_token: String,
    /// The name of its own user.
    pub sender_localpart: String,
    /// What is its own.
    pub namespaces: Namespaces,
    /// Whether rate limits count for the users it speaks as.
    pub rate_limited: bool,
    /// The networks it bridges to.
    pub protocols: Vec<String>,
    /// Whether it is told of typing, receipts, presence and messages to devices.
    pub receives_ephemeral: bool,
    /// Whether it is told of the devices and keys of others and its own (MSC3202).
    pub receives_devices: bool,
}

/// What is a service's own.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Namespaces {
    /// Users.
    pub users: Vec<Namespace>,
    /// Aliases.
    pub aliases: Vec<Namespace>,
    /// Rooms by their ids.
    pub rooms: Vec<Namespace>,
}

/// A pattern.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Pattern")]
pub struct Namespace {
    /// Whether nobody else may make what fits.
    pub exclusive: bool,
    regex: Regex,
}

impl Namespace {
    /// Whether a name lies in it.
    pub fn holds(&self, name: &str) -> bool {
        self.regex.is_match(name)
    }
}

#[derive(Deserialize)]
struct Pattern {
    #[serde(default)]
    exclusive: bool,
    regex: String,
}

impl TryFrom<Pattern> for Namespace {
    type Error = String;

    fn try_from(pattern: Pattern) -> Result<Self, String> {
        // As other servers have it: from the beginning of the name on, not necessarily to its end.
        let regex = Regex::new(&format!("^(?:{})", pattern.regex));
        let regex = regex.map_err(|error| format!("{:?} is not a regular expression: {error}", pattern.regex))?;
        Ok(Self { exclusive: pattern.exclusive, regex })
    }
}

/// The file as it stands. Everything that must be there is optional here, so that what is missing is said by name.
#[derive(Deserialize)]
struct Written {
    id: Option<String>,
    url: Option<String>,
    as_token: Option<String>,
    hs_token: Option<String>,
    sender_localpart: Option<String>,
    namespaces: Option<Namespaces>,
    rate_limited: Option<bool>,
    protocols: Option<Vec<String>>,
    #[serde(default)]
    receive_ephemeral: bool,
    #[serde(default, rename = "de.sorunome.msc2409.push_ephemeral")]
    push_ephemeral_unstable: bool,
    #[serde(default)]
    push_ephemeral: bool,
    #[serde(default, rename = "org.matrix.msc3202")]
    msc3202: bool,
}

impl Registration {
    /// Reads a file.
    pub fn read(file: &Path) -> Result<Self, RegistrationError> {
        let wrong = |why: String| RegistrationError { file: file.to_owned(), why };
        let size = fs::metadata(file).map_err(|error| wrong(format!("cannot be read: {error}")))?.len();
        if size > FILE_BYTES_MAX {
            return Err(wrong(format!("larger than {FILE_BYTES_MAX} bytes, which no registration is")));
        }
        let text = fs::read_to_string(file).map_err(|error| wrong(format!("cannot be read: {error}")))?;
        Self::parse(&text).map_err(wrong)
    }

    /// Understands a file's text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let written: Written = serde_yaml_ng::from_str(text).map_err(|error| format!("not a registration: {error}"))?;
        let id = required(written.id, "id")?;
        let url = match written.url.filter(|url| !url.is_empty()) {
            Some(url) => Some(checked_url(&url)?),
            None => None,
        };
        let (as_token, hs_token) = (token(written.as_token, "as_token")?, token(written.hs_token, "hs_token")?);
        if as_token == hs_token {
            return Err("as_token and hs_token are the same; each needs a long random text of its own".to_owned());
        }
        Ok(Self {
            id,
            url,
            as_token,
            hs_token,
            sender_localpart: required(written.sender_localpart, "sender_localpart")?,
            namespaces: written.namespaces.ok_or("`namespaces` is missing; it may hold empty lists")?,
            rate_limited: written.rate_limited.unwrap_or(true),
            protocols: written.protocols.unwrap_or_default(),
            receives_ephemeral: written.receive_ephemeral || written.push_ephemeral || written.push_ephemeral_unstable,
            receives_devices: written.msc3202,
        })
    }
}

fn required(text: Option<String>, name: &str) -> Result<String, String> {
    text.filter(|text| !text.is_empty()).ok_or_else(|| format!("`{name}` is missing"))
}

fn token(text: Option<String>, name: &str) -> Result<String, String> {
    let token = required(text, name)?;
    if token.len() < TOKEN_BYTES_MIN {
        return Err(format!("`{name}` is too short; write a long random text"));
    }
    Ok(token)
}

fn checked_url(url: &str) -> Result<String, String> {
    let parsed = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    parsed.ok_or_else(|| format!("`url` is {url:?}; write for example \"http://127.0.0.1:29318\", or null"))?;
    Ok(url.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "
id: irc
url: http://127.0.0.1:9000/
as_token: service-token
hs_token: server-token
sender_localpart: ircbot
namespaces:
  users: [{ exclusive: true, regex: '@irc_.*' }]
de.sorunome.msc2409.push_ephemeral: true
something.unknown: 7
";

    #[test]
    fn a_registration_is_read_with_what_it_leaves_out() {
        let read = Registration::parse(GOOD).unwrap();
        assert_eq!(
            (read.url.as_deref(), read.rate_limited, read.receives_ephemeral),
            (Some("http://127.0.0.1:9000"), true, true)
        );
        assert!(read.namespaces.users[0].holds("@irc_ann:x") && !read.namespaces.users[0].holds("x@irc_ann:x"));
        assert!(read.namespaces.aliases.is_empty());
        let silent = GOOD.replace("http://127.0.0.1:9000/", "null");
        assert_eq!(Registration::parse(&silent).unwrap().url, None);
    }

    #[test]
    fn what_is_wrong_is_said_in_words() {
        let wrong = |from: &str, to: &str| Registration::parse(&GOOD.replace(from, to)).unwrap_err();
        assert_eq!(wrong("id: irc", ""), "`id` is missing");
        assert!(wrong("'@irc_.*'", "'@irc_('").contains("is not a regular expression"));
        assert!(wrong("http://127.0.0.1:9000/", "nowhere").contains("`url` is \"nowhere\""));
        assert!(wrong("server-token", "service-token").contains("are the same"));
        assert!(wrong("server-token", "x").contains("too short"));
        assert!(
            wrong("namespaces:\n  users: [{ exclusive: true, regex: '@irc_.*' }]", "")
                .contains("`namespaces` is missing")
        );
        assert!(Registration::parse("- a list").unwrap_err().starts_with("not a registration"));
    }
}
