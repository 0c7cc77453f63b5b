//! Finding local people by name. An index in memory, filled at the first search, in which only those whose profile or
//! account changed are read again.

use parking_lot::{Mutex, RwLock};
use ruma::{OwnedUserId, UserId};
use std::{
    collections::{BTreeMap, HashSet},
    ops::Bound,
};

use crate::{Accounts, MemberProfile, UserKind, error::Result, tables::USERS};

/// People found at once at most.
pub const FOUND_MAX: usize = 100;

/// A person who was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Who.
    pub user_id: OwnedUserId,
    /// The public names.
    pub profile: MemberProfile,
}

/// What somebody looks for in names.
#[derive(Debug, Clone)]
pub struct Words(Vec<String>);

impl Words {
    /// The words of a search term.
    pub fn of(term: &str) -> Self {
        Self(term.to_lowercase().split_whitespace().map(ToOwned::to_owned).collect())
    }

    /// Whether a name or an id has all of them.
    pub fn fit(&self, user: &UserId, name: Option<&str>) -> bool {
        self.are_in(&text_of(user, name))
    }

    fn are_in(&self, text: &str) -> bool {
        self.0.iter().all(|word| text.contains(word))
    }
}

/// Name and id in lower case, to search in.
fn text_of(user: &UserId, name: Option<&str>) -> String {
    format!("{} {user}", name.unwrap_or_default()).to_lowercase()
}

struct Entry {
    /// Name and id in lower case, to search in.
    text: String,
    profile: MemberProfile,
}

/// Local people by name.
#[derive(Default)]
pub(crate) struct Directory {
    people: RwLock<Option<BTreeMap<OwnedUserId, Entry>>>,
    changed: Mutex<HashSet<String>>,
}

impl Directory {
    /// Notes that somebody must be read again.
    pub(crate) fn note(&self, user: &str) {
        if self.people.read().is_some() {
            self.changed.lock().insert(user.to_owned());
        }
    }
}

impl Accounts {
    /// Local people whose name or id has every word of `term`, in order of their ids, after `after`.
    pub async fn search_people(&self, term: &str, after: Option<&UserId>, limit: usize) -> Result<Vec<Found>> {
        self.refresh_directory().await?;
        let people = self.directory().people.read();
        let Some(people) = &*people else { return Ok(Vec::new()) };
        let words = Words::of(term);
        let begin = after.map_or(Bound::Unbounded, |after| Bound::Excluded(after.to_owned()));
        let found = people.range((begin, Bound::Unbounded)).filter(|(_, entry)| words.are_in(&entry.text));
        let found = found.map(|(user, entry)| Found { user_id: user.clone(), profile: entry.profile.clone() });
        Ok(found.take(limit.min(FOUND_MAX)).collect())
    }

    async fn refresh_directory(&self) -> Result<()> {
        if self.directory().people.read().is_none() {
            return self.fill_directory().await;
        }
        let changed = std::mem::take(&mut *self.directory().changed.lock());
        for user in changed {
            let Ok(user) = UserId::parse(user) else { continue };
            let entry = self.directory_entry(&user).await?;
            if let Some(people) = self.directory().people.write().as_mut() {
                match entry {
                    Some(entry) => people.insert(user, entry),
                    None => people.remove(&user),
                };
            }
        }
        Ok(())
    }

    async fn fill_directory(&self) -> Result<()> {
        // From here on changes are noted, so that none is missed while the rest is read.
        self.directory().people.write().get_or_insert_default();
        let mut after: Option<OwnedUserId> = None;
        loop {
            let page = self.users(after.as_deref(), 500).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(last.clone());
            for (user, _) in page {
                if let Some(entry) = self.directory_entry(&user).await?
                    && let Some(people) = self.directory().people.write().as_mut()
                {
                    people.insert(user, entry);
                }
            }
        }
    }

    /// How somebody stands in the directory; guests and closed or locked accounts do not.
    async fn directory_entry(&self, user: &UserId) -> Result<Option<Entry>> {
        let account = self.store().get(&USERS, user.as_str()).await?;
        let listed = account.is_some_and(|account| {
            account.deactivated_ms.is_none() && !account.locked && account.kind != UserKind::Guest
        });
        if !listed {
            return Ok(None);
        }
        let profile = self.member_profile(user).await?;
        Ok(Some(Entry { text: text_of(user, profile.display_name.as_deref()), profile }))
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Fixture;
    use ruma::user_id;
    use serde_json::json;

    #[tokio::test]
    async fn people_are_found_by_parts_of_their_names_as_these_change() {
        let fixture = Fixture::with_people(&["anna", "ben"]).await;
        let accounts = &fixture.accounts;
        let search = async |term: &str| {
            let found = accounts.search_people(term, None, 10).await.unwrap();
            found.into_iter().map(|found| found.user_id.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(search("AN").await, ["@anna:test"]);
        accounts.set_profile_field(user_id!("@ben:test"), "displayname", json!("Benjamin Otter")).await.unwrap();
        assert_eq!(search("otter ben").await, ["@ben:test"]);
        fixture.register("otto").await;
        assert_eq!(search("ott").await, ["@ben:test", "@otto:test"]);
        accounts.deactivate(user_id!("@ben:test"), false, &crate::Proof::not_needed()).await.unwrap();
        assert_eq!(search("ott").await, ["@otto:test"]);
        let first = accounts.search_people("t", None, 1).await.unwrap();
        assert_eq!(first[0].user_id, "@anna:test");
        let second = accounts.search_people("t", Some(&first[0].user_id), 1).await.unwrap();
        assert_eq!(second[0].user_id, "@otto:test");
    }
}
