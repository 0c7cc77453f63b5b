//! Profiles: display name, avatar, and the free fields that the specification allows since v1.16.

use lyceum_storage::{Batch, Subject};
use ruma::UserId;
use serde_json::{Map, Value};

use crate::{AccountError, Accounts, error::Result, tables::PROFILES};

/// The whole profile as JSON (spec: "MUST be under 64 KiB").
const PROFILE_BYTES_MAX: usize = 64 * 1024;

/// The longest name of a field (spec: "255 bytes").
const FIELD_BYTES_MAX: usize = 255;

/// The longest display name and avatar address, in bytes: they are copied into each room's member event.
const DISPLAY_NAME_BYTES_MAX: usize = 1024;
const AVATAR_URL_BYTES_MAX: usize = 1000;

/// The field that holds the display name.
pub const DISPLAY_NAME: &str = "displayname";
/// The field that holds the avatar's address.
pub const AVATAR_URL: &str = "avatar_url";

/// How a commit says that a person's profile changed.
pub(crate) const PROFILE_SUBJECT: &str = "profile/";

/// The two fields that member events carry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemberProfile {
    /// The display name.
    pub display_name: Option<String>,
    /// The avatar's address.
    pub avatar_url: Option<String>,
}

impl Accounts {
    /// A local person's whole profile. Closed accounts have none.
    pub async fn profile(&self, user: &UserId) -> Result<Map<String, Value>> {
        if !self.is_local(user) || !self.exists(user).await? {
            return Err(AccountError::NotFound("profile"));
        }
        self.profile_fields(user).await
    }

    async fn profile_fields(&self, user: &UserId) -> Result<Map<String, Value>> {
        let rows = self.store().scan(&PROFILES, PROFILES.prefix((user.as_str(),))).await?;
        Ok(rows.into_iter().filter_map(|((_, field), json)| Some((field, serde_json::from_str(&json).ok()?))).collect())
    }

    /// One field of a local person's profile.
    pub async fn profile_field(&self, user: &UserId, field: &str) -> Result<Option<Value>> {
        if !self.is_local(user) || !self.exists(user).await? {
            return Err(AccountError::NotFound("profile"));
        }
        let json = self.store().get(&PROFILES, (user.as_str(), field)).await?;
        Ok(json.and_then(|json| serde_json::from_str(&json).ok()))
    }

    /// What a local person's member events say of them.
    pub async fn member_profile(&self, user: &UserId) -> Result<MemberProfile> {
        let keys = [(user.as_str(), DISPLAY_NAME), (user.as_str(), AVATAR_URL)];
        let mut values = self.store().get_many(&PROFILES, keys).await?.into_iter().map(|json| {
            let value: Value = serde_json::from_str(&json?).ok()?;
            value.as_str().map(ToOwned::to_owned)
        });
        Ok(MemberProfile { display_name: values.next().flatten(), avatar_url: values.next().flatten() })
    }

    /// Sets a field. Answers whether member events must follow: the caller then lets rooms know.
    pub async fn set_profile_field(&self, user: &UserId, field: &str, value: Value) -> Result<bool> {
        check_field(field)?;
        let value = checked_value(field, value)?;
        let _guard = self.lock(user.as_str()).await;
        self.active_user(user).await?;
        let mut fields = self.profile_fields(user).await?;
        let before = match &value {
            Some(value) => fields.insert(field.to_owned(), value.clone()),
            None => fields.remove(field),
        };
        if before == value {
            return Ok(false);
        }
        let size = serde_json::to_string(&fields).map_or(usize::MAX, |json| json.len());
        if size >= PROFILE_BYTES_MAX {
            return Err(AccountError::ProfileTooLarge);
        }
        let mut batch = Batch::new();
        self.add_profile_field(&mut batch, user, field, value.as_ref());
        self.store().commit(batch).await?;
        Ok(is_of_members(field))
    }

    /// Removes a field. Answers whether member events must follow.
    pub async fn remove_profile_field(&self, user: &UserId, field: &str) -> Result<bool> {
        check_field(field)?;
        let _guard = self.lock(user.as_str()).await;
        self.active_user(user).await?;
        if self.profile_field(user, field).await?.is_none() {
            return Ok(false);
        }
        let mut batch = Batch::new();
        self.add_profile_field(&mut batch, user, field, None);
        self.store().commit(batch).await?;
        Ok(is_of_members(field))
    }

    pub(crate) fn add_profile_field(&self, batch: &mut Batch, user: &UserId, field: &str, value: Option<&Value>) {
        let key = (user.as_str(), field);
        match value {
            Some(value) => batch.put(&PROFILES, key, &value.to_string()),
            None => batch.delete(&PROFILES, key),
        };
        batch.touch(Subject::user(user)).touch(Subject::other(format!("{PROFILE_SUBJECT}{user}")));
    }

    pub(crate) async fn add_profile_removal(&self, batch: &mut Batch, user: &UserId) -> Result<()> {
        for field in self.profile_fields(user).await?.keys() {
            self.add_profile_field(batch, user, field, None);
        }
        Ok(())
    }
}

fn is_of_members(field: &str) -> bool {
    [DISPLAY_NAME, AVATAR_URL].contains(&field)
}

/// Spec: `avatar_url`, `displayname`, `m.tz` or a name of the common namespaced identifier grammar.
fn check_field(field: &str) -> Result<()> {
    if field.len() > FIELD_BYTES_MAX {
        return Err(AccountError::KeyTooLarge);
    }
    let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    let namespaced = field.starts_with(|first: char| first.is_ascii_lowercase()) && field.bytes().all(letters);
    if is_of_members(field) || namespaced {
        return Ok(());
    }
    Err(AccountError::InvalidParam("this cannot be the name of a profile field".into()))
}

/// The value to store; `None` where it means that the field goes.
pub(crate) fn checked_value(field: &str, value: Value) -> Result<Option<Value>> {
    let wrong = |why: &str| Err(AccountError::InvalidParam(format!("{field} {why}")));
    match (field, &value) {
        (DISPLAY_NAME | AVATAR_URL, Value::Null) => Ok(None),
        (DISPLAY_NAME | AVATAR_URL, Value::String(text)) if text.is_empty() => Ok(None),
        (DISPLAY_NAME, Value::String(text)) if text.len() > DISPLAY_NAME_BYTES_MAX => wrong("is too long"),
        (AVATAR_URL, Value::String(text)) if text.len() > AVATAR_URL_BYTES_MAX => wrong("is too long"),
        (DISPLAY_NAME | AVATAR_URL | "m.tz", Value::String(_)) => Ok(Some(value)),
        (DISPLAY_NAME | AVATAR_URL | "m.tz", _) => wrong("must be a string"),
        _ => Ok(Some(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Fixture;
    use ruma::user_id;
    use serde_json::json;

    #[tokio::test]
    async fn fields_are_set_read_and_removed() {
        let fixture = Fixture::with_people(&["anna"]).await;
        let (accounts, anna) = (&fixture.accounts, user_id!("@anna:test"));
        assert!(accounts.set_profile_field(anna, "displayname", json!("Anna")).await.unwrap());
        assert!(!accounts.set_profile_field(anna, "displayname", json!("Anna")).await.unwrap());
        assert!(!accounts.set_profile_field(anna, "m.tz", json!("Europe/Vienna")).await.unwrap());
        assert_eq!(
            json!(accounts.profile(anna).await.unwrap()),
            json!({"displayname": "Anna", "m.tz": "Europe/Vienna"})
        );
        assert_eq!(accounts.member_profile(anna).await.unwrap().display_name.as_deref(), Some("Anna"));
        assert!(accounts.remove_profile_field(anna, "displayname").await.unwrap());
        assert_eq!(accounts.profile_field(anna, "displayname").await.unwrap(), None);
        assert!(accounts.profile(user_id!("@nobody:test")).await.is_err());
    }

    #[tokio::test]
    async fn too_much_and_the_wrong_is_refused() {
        let fixture = Fixture::with_people(&["anna"]).await;
        let anna = user_id!("@anna:test");
        let set = async |field: &str, value: Value| fixture.accounts.set_profile_field(anna, field, value).await;
        assert!(matches!(set(&"a".repeat(256), json!(1)).await, Err(AccountError::KeyTooLarge)));
        assert!(matches!(set("Not.Named", json!(1)).await, Err(AccountError::InvalidParam(_))));
        assert!(matches!(set("displayname", json!(1)).await, Err(AccountError::InvalidParam(_))));
        assert!(matches!(set("avatar_url", json!(1)).await, Err(AccountError::InvalidParam(_))));
        assert!(set("org.one", json!("x".repeat(40_000))).await.is_ok());
        assert!(matches!(set("org.two", json!("x".repeat(40_000))).await, Err(AccountError::ProfileTooLarge)));
    }
}
