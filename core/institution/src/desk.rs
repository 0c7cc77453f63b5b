//! The support desk: an account that people ask in a chat with any client, behind which those who support answer.

use serde::Deserialize;

use crate::settings::Finding;

/// The local part of the desk's account, unless it is set.
const ACCOUNT: &str = "support";
/// How the desk is called, unless it is set.
const NAME: &str = "Support desk";

/// `institution.support_desk`, as written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeskConfig {
    /// Whether there is one.
    pub enabled: bool,
    /// Whether those who answer are not told who asks.
    pub anonymous: bool,
    /// The local part of its account.
    pub account: Option<String>,
    /// How it is called.
    pub name: Option<String>,
}

/// A support desk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desk {
    /// Whether those who answer are not told who asks.
    pub anonymous: bool,
    /// The local part of its account.
    pub account: String,
    /// How it is called.
    pub name: String,
}

impl Desk {
    /// The desk that is set, if one is. `account` is the server's own account, which it cannot have.
    pub(crate) fn read(config: &DeskConfig, account: &str, found: &mut Vec<Finding>) -> Option<Self> {
        let desk = Self {
            anonymous: config.anonymous,
            account: config.account.clone().unwrap_or_else(|| ACCOUNT.to_owned()),
            name: config.name.clone().unwrap_or_else(|| NAME.to_owned()),
        };
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._=-/+".contains(&byte);
        let is_name = !desk.account.is_empty() && desk.account.bytes().all(fits);
        if !is_name || desk.account == account {
            let text = format!("{:?} cannot be the account of the support desk", desk.account);
            found.push(("support_desk.account".to_owned(), text));
        }
        config.enabled.then_some(desk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_desk_is_there_when_it_is_enabled_and_has_an_account_of_its_own() {
        let (config, mut found) = (DeskConfig { enabled: true, ..DeskConfig::default() }, Vec::new());
        assert_eq!(Desk::read(&DeskConfig::default(), "lyceum", &mut found), None);
        let desk = Desk::read(&config, "lyceum", &mut found).unwrap();
        assert_eq!((desk.account.as_str(), desk.name.as_str(), desk.anonymous), (ACCOUNT, NAME, false));
        assert_eq!(found, []);
        for wrong in ["lyceum", "two words"] {
            Desk::read(&DeskConfig { account: Some(wrong.to_owned()), ..config.clone() }, "lyceum", &mut found);
        }
        assert_eq!(found.len(), 2, "{found:?}");
    }
}
