//! Pushers: where a person wants to be notified. One belongs to the device that set it, and goes with it.

use lyceum_accounts::AccountError;
use lyceum_storage::{Batch, Subject};
use ruma::{OwnedDeviceId, OwnedUserId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

use crate::{
    Push, PushError,
    error::Result,
    tables::{PUSHERS, PUSHKEYS, UNDELIVERED},
};

/// Pushers that one person may have.
const PUSHERS_MAX: usize = 200;
/// The longest app id (spec: "Max length, 64 chars").
const APP_ID_CHARS_MAX: usize = 64;
/// The longest pushkey (spec: "Max length, 512 bytes").
const PUSHKEY_BYTES_MAX: usize = 512;
/// The longest of the names, and the largest data.
const NAME_BYTES_MAX: usize = 1024;
const DATA_BYTES_MAX: usize = 16 * 1024;
/// The path that a gateway's address must have.
const GATEWAY_PATH: &str = "/_matrix/push/v1/notify";
/// How a commit says that a person's pushers changed.
pub(crate) const PUSHERS_SUBJECT: &str = "pushers/";

/// Which pusher.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PusherKey {
    /// Whose.
    pub user: OwnedUserId,
    /// Of which app.
    pub app_id: String,
    /// Where the app is reached.
    pub pushkey: String,
}

impl PusherKey {
    pub(crate) fn parts(&self) -> (&str, &str, &str) {
        (self.user.as_str(), &self.app_id, &self.pushkey)
    }
}

/// A pusher as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredPusher {
    pub(crate) app_display_name: String,
    pub(crate) device_display_name: String,
    pub(crate) lang: String,
    pub(crate) profile_tag: Option<String>,
    /// JSON, the gateway's address included.
    pub(crate) data: String,
    pub(crate) device: Option<String>,
    pub(crate) set_ms: u64,
    pub(crate) enabled: bool,
}

/// A pusher.
#[derive(Debug, Clone)]
pub struct Pusher {
    /// Which.
    pub key: PusherKey,
    /// The app's name.
    pub app_display_name: String,
    /// The device's name.
    pub device_display_name: String,
    /// The language of notifications.
    pub lang: String,
    /// A tag that clients set and read.
    pub profile_tag: Option<String>,
    /// What the gateway is told of it, its own address included.
    pub data: Map<String, Value>,
    /// The device that set it.
    pub device: Option<OwnedDeviceId>,
    /// When it was set.
    pub set_ms: u64,
    /// Whether anything is told to it (MSC3881).
    pub enabled: bool,
}

impl Pusher {
    /// Which one its key in the tables names.
    pub(crate) fn key_of((user, app_id, pushkey): (String, String, String)) -> Option<PusherKey> {
        Some(PusherKey { user: UserId::parse(user).ok()?, app_id, pushkey })
    }

    pub(crate) fn read(names: (String, String, String), row: StoredPusher) -> Option<Self> {
        Some(Self {
            key: Self::key_of(names)?,
            app_display_name: row.app_display_name,
            device_display_name: row.device_display_name,
            lang: row.lang,
            profile_tag: row.profile_tag,
            data: serde_json::from_str(&row.data).ok()?,
            device: row.device.map(Into::into),
            set_ms: row.set_ms,
            enabled: row.enabled,
        })
    }

    /// Where its gateway is.
    pub(crate) fn gateway(&self) -> Option<&str> {
        self.data.get("url")?.as_str()
    }

    /// Whether it is told no more than which event it is.
    pub(crate) fn wants_ids_only(&self) -> bool {
        self.data.get("format").and_then(Value::as_str) == Some("event_id_only")
    }

    /// Whether it counts what is unread by itself (MSC4076).
    pub(crate) fn counts_itself(&self) -> bool {
        let names = ["disable_badge_count", "org.matrix.msc4076.disable_badge_count"];
        names.iter().any(|name| self.data.get(*name) == Some(&Value::Bool(true)))
    }
}

/// A pusher to be set: fields that may be missing are said to be so all at once.
#[derive(Debug, Clone, Default)]
pub struct NewPusher {
    /// Its kind: `http`.
    pub kind: String,
    /// See [`Pusher`].
    pub app_id: String,
    /// See [`Pusher`].
    pub pushkey: String,
    /// See [`Pusher`].
    pub app_display_name: Option<String>,
    /// See [`Pusher`].
    pub device_display_name: Option<String>,
    /// See [`Pusher`].
    pub lang: Option<String>,
    /// See [`Pusher`].
    pub profile_tag: Option<String>,
    /// See [`Pusher`].
    pub data: Option<Map<String, Value>>,
    /// Whether other people's pushers with this pushkey stay.
    pub append: bool,
    /// See [`Pusher`].
    pub enabled: Option<bool>,
}

impl NewPusher {
    fn check(self, device: Option<&str>, set_ms: u64) -> Result<StoredPusher> {
        check_names(&self.app_id, &self.pushkey)?;
        let missing: Vec<_> = [
            ("app_display_name", self.app_display_name.is_none()),
            ("device_display_name", self.device_display_name.is_none()),
            ("lang", self.lang.is_none()),
            ("data", self.data.is_none()),
        ]
        .into_iter()
        .filter_map(|(name, is_missing)| is_missing.then_some(name))
        .collect();
        if !missing.is_empty() {
            return Err(PushError::Missing(missing.join(", ")));
        }
        if self.kind != "http" {
            return Err(PushError::Invalid(format!("this server has no pushers of the kind {:?}", self.kind)));
        }
        let data = self.data.unwrap_or_default();
        check_gateway(&data)?;
        let names = [&self.app_display_name, &self.device_display_name, &self.lang, &self.profile_tag];
        if names.into_iter().flatten().any(|name| name.len() > NAME_BYTES_MAX) {
            return Err(PushError::Invalid(format!("a name has at most {NAME_BYTES_MAX} bytes")));
        }
        let data = Value::Object(data).to_string();
        if data.len() > DATA_BYTES_MAX {
            return Err(PushError::Invalid(format!("data has at most {DATA_BYTES_MAX} bytes")));
        }
        Ok(StoredPusher {
            app_display_name: self.app_display_name.unwrap_or_default(),
            device_display_name: self.device_display_name.unwrap_or_default(),
            lang: self.lang.unwrap_or_default(),
            profile_tag: self.profile_tag,
            data,
            device: device.map(ToOwned::to_owned),
            set_ms,
            enabled: self.enabled.unwrap_or(true),
        })
    }
}

fn check_names(app_id: &str, pushkey: &str) -> Result<()> {
    if app_id.is_empty() || app_id.chars().count() > APP_ID_CHARS_MAX {
        return Err(PushError::Invalid(format!("app_id has 1 to {APP_ID_CHARS_MAX} characters")));
    }
    if pushkey.is_empty() || pushkey.len() > PUSHKEY_BYTES_MAX {
        return Err(PushError::Invalid(format!("pushkey has 1 to {PUSHKEY_BYTES_MAX} bytes")));
    }
    Ok(())
}

/// Whether `data` names a gateway. Plain `http` is taken as other servers take it: gateways on a campus have it.
fn check_gateway(data: &Map<String, Value>) -> Result<()> {
    let url = data.get("url").ok_or_else(|| PushError::Missing("data.url".to_owned()))?;
    let url = url.as_str().and_then(|url| Url::parse(url).ok()).filter(Url::has_host);
    match url {
        Some(url) if matches!(url.scheme(), "https" | "http") && url.path() == GATEWAY_PATH => Ok(()),
        _ => {
            Err(PushError::Invalid(format!("data.url must be the address of a push gateway, ending in {GATEWAY_PATH}")))
        }
    }
}

impl Push {
    /// A person's pushers whose devices are still there.
    pub async fn pushers(&self, user: &UserId) -> Result<Vec<Pusher>> {
        let rows = self.store().scan(&PUSHERS, PUSHERS.prefix((user.as_str(),)).limit(PUSHERS_MAX)).await?;
        let mut pushers = Vec::with_capacity(rows.len());
        for pusher in rows.into_iter().filter_map(|(key, row)| Pusher::read(key, row)) {
            if self.has_owner(&pusher).await? {
                pushers.push(pusher);
            }
        }
        Ok(pushers)
    }

    /// One pusher, if it and its device are still there.
    pub(crate) async fn pusher(&self, key: &PusherKey) -> Result<Option<Pusher>> {
        let Some(row) = self.store().get(&PUSHERS, key.parts()).await? else { return Ok(None) };
        let owned = |text: &str| text.to_owned();
        let names = (owned(key.user.as_str()), key.app_id.clone(), key.pushkey.clone());
        let Some(pusher) = Pusher::read(names, row) else { return Ok(None) };
        Ok(self.has_owner(&pusher).await?.then_some(pusher))
    }

    /// Whether the session that set a pusher has not ended.
    async fn has_owner(&self, pusher: &Pusher) -> Result<bool> {
        let Some(device) = &pusher.device else { return Ok(true) };
        match self.accounts().device(&pusher.key.user, device).await {
            Ok(_) => Ok(true),
            Err(AccountError::NotFound(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Sets a pusher.
    pub async fn set_pusher(&self, user: &UserId, device: Option<&str>, new: NewPusher) -> Result<()> {
        let (key, append) = (PusherKey::new(user, &new.app_id, &new.pushkey), new.append);
        let row = new.check(device, self.now_ms())?;
        let known = self.store().scan(&PUSHERS, PUSHERS.prefix((user.as_str(),)).limit(PUSHERS_MAX)).await?;
        let is_known = known.iter().any(|((_, app_id, pushkey), _)| *app_id == key.app_id && *pushkey == key.pushkey);
        if !is_known && known.len() >= PUSHERS_MAX {
            return Err(PushError::Limit(format!("a person has at most {PUSHERS_MAX} pushers")));
        }
        let mut batch = Batch::new();
        if !append {
            let others = PUSHKEYS.prefix((key.app_id.as_str(), key.pushkey.as_str()));
            for ((_, _, other), ()) in self.store().scan(&PUSHKEYS, others).await? {
                if let Some(other) = UserId::parse(other).ok().filter(|other| *other != user) {
                    add_removal(&mut batch, &PusherKey { user: other, ..key.clone() });
                }
            }
        }
        batch.put(&PUSHERS, key.parts(), &row);
        batch.put(&PUSHKEYS, (&key.app_id, &key.pushkey, user.as_str()), &());
        touch(&mut batch, user);
        self.store().commit(batch).await?;
        Ok(())
    }

    /// Removes a pusher. One that is not there is gone all the same.
    pub async fn remove_pusher(&self, user: &UserId, app_id: &str, pushkey: &str) -> Result<()> {
        check_names(app_id, pushkey)?;
        self.forget(&PusherKey::new(user, app_id, pushkey)).await
    }

    pub(crate) async fn forget(&self, key: &PusherKey) -> Result<()> {
        let mut batch = Batch::new();
        add_removal(&mut batch, key);
        self.store().commit(batch).await?;
        Ok(())
    }

    /// Removes a person's pushers whose devices have gone.
    pub(crate) async fn sweep_pushers(&self, user: &UserId) -> Result<()> {
        let rows = self.store().scan(&PUSHERS, PUSHERS.prefix((user.as_str(),)).limit(PUSHERS_MAX)).await?;
        let mut batch = Batch::new();
        for pusher in rows.into_iter().filter_map(|(key, row)| Pusher::read(key, row)) {
            if !self.has_owner(&pusher).await? {
                add_removal(&mut batch, &pusher.key);
            }
        }
        if !batch.is_empty() {
            self.store().commit(batch).await?;
        }
        Ok(())
    }
}

impl PusherKey {
    fn new(user: &UserId, app_id: &str, pushkey: &str) -> Self {
        Self { user: user.to_owned(), app_id: app_id.to_owned(), pushkey: pushkey.to_owned() }
    }
}

fn add_removal(batch: &mut Batch, key: &PusherKey) {
    batch.delete(&PUSHERS, key.parts()).delete(&UNDELIVERED, key.parts());
    batch.delete(&PUSHKEYS, (&key.app_id, &key.pushkey, key.user.as_str()));
    touch(batch, &key.user);
}

fn touch(batch: &mut Batch, user: &UserId) {
    batch.touch(Subject::other(format!("{PUSHERS_SUBJECT}{user}")));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn new(data: Value) -> NewPusher {
        let name = || Some("App".to_owned());
        NewPusher {
            kind: "http".to_owned(),
            app_id: "org.example".to_owned(),
            pushkey: "key".to_owned(),
            app_display_name: name(),
            device_display_name: name(),
            lang: Some("en".to_owned()),
            data: data.as_object().cloned(),
            ..NewPusher::default()
        }
    }

    #[test]
    fn a_pusher_needs_a_gateway_and_all_its_names() {
        let good = json!({ "url": "https://push.example/_matrix/push/v1/notify" });
        assert!(new(good.clone()).check(None, 0).is_ok());
        for url in ["https://push.example/notify", "ftp://push.example/_matrix/push/v1/notify", "nonsense"] {
            assert!(matches!(new(json!({ "url": url })).check(None, 0), Err(PushError::Invalid(_))), "{url}");
        }
        assert!(matches!(new(json!({})).check(None, 0), Err(PushError::Missing(what)) if what == "data.url"));
        let nameless = NewPusher { lang: None, app_display_name: None, ..new(good.clone()) };
        assert!(matches!(nameless.check(None, 0), Err(PushError::Missing(what)) if what == "app_display_name, lang"));
        let long = NewPusher { pushkey: "x".repeat(513), ..new(good.clone()) };
        assert!(matches!(long.check(None, 0), Err(PushError::Invalid(_))));
        let letters = NewPusher { kind: "email".to_owned(), ..new(good) };
        assert!(matches!(letters.check(None, 0), Err(PushError::Invalid(_))));
    }
}
