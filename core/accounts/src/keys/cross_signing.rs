//! Cross-signing keys: a person's master key, the key that signs their devices, and the key that signs other people.

use lyceum_storage::Batch;
use ruma::{DeviceId, UserId};
use serde_json::Value;

use super::{
    KEY_BYTES_MAX, MASTER, Object, SELF_SIGNING, USER_SIGNING, check_canonical, object,
    signing::{only_key, same_content, signature, verify},
};
use crate::{
    AccountError, Accounts, InteractiveAuth, Proof, UserKind,
    device_changes::Changed,
    error::Result,
    tables::{CROSS_SIGNING_KEYS, DEVICES},
};

/// Cross-signing keys that a person uploads.
#[derive(Debug, Clone, Default)]
pub struct CrossSigningKeys {
    /// The key that signs the other two.
    pub master: Option<Object>,
    /// The key that signs the person's devices.
    pub self_signing: Option<Object>,
    /// The key that signs other people's master keys.
    pub user_signing: Option<Object>,
}

impl CrossSigningKeys {
    fn named(&self) -> impl Iterator<Item = (&'static str, &Object)> {
        [(MASTER, &self.master), (SELF_SIGNING, &self.self_signing), (USER_SIGNING, &self.user_signing)]
            .into_iter()
            .filter_map(|(usage, key)| Some((usage, key.as_ref()?)))
    }
}

impl Accounts {
    /// One of a person's cross-signing keys, as stored.
    pub(crate) async fn cross_signing_key(&self, user: &UserId, usage: &str) -> Result<Option<Object>> {
        let json = self.store().get(&CROSS_SIGNING_KEYS, (user.as_str(), usage)).await?;
        Ok(json.as_deref().map(object))
    }

    /// Publishes cross-signing keys. Asks for confirmation, except the first time and when nothing would change (spec:
    /// `POST /keys/device_signing/upload`).
    pub async fn upload_cross_signing_keys(
        &self,
        user: &UserId,
        keys: CrossSigningKeys,
        auth: Option<&InteractiveAuth>,
    ) -> Result<()> {
        for (usage, key) in keys.named() {
            check_shape(user, usage, key)?;
        }
        let proof = match self.needs_confirmation(user, &keys).await? {
            Confirmation::NothingNew => return Ok(()),
            Confirmation::First => Proof::not_needed(),
            Confirmation::Needed => self.confirm("POST /keys/device_signing/upload", user, auth).await?,
        };
        let _guard = self.lock(user.as_str()).await;
        let stored = self.cross_signing_key(user, MASTER).await?;
        let master = keys.master.as_ref().or(stored.as_ref()).ok_or(AccountError::MissingParam("master_key"))?;
        for (usage, key) in keys.named().filter(|(usage, _)| *usage != MASTER) {
            check_signed_by(user, master, key)
                .map_err(|error| AccountError::InvalidSignature(format!("{usage}: {error}")))?;
        }
        for (_, key) in keys.named() {
            self.check_no_device(user, key).await?;
        }
        let mut batch = Batch::new();
        self.use_proof(&mut batch, &proof);
        for (usage, key) in keys.named() {
            batch.put(&CROSS_SIGNING_KEYS, (user.as_str(), usage), &Value::Object(key.clone()).to_string());
        }
        self.add_device_change(&mut batch, user, Changed::SigningKeys).await?;
        self.store().commit(batch).await?;
        Ok(())
    }

    async fn needs_confirmation(&self, user: &UserId, keys: &CrossSigningKeys) -> Result<Confirmation> {
        if matches!(self.active_user(user).await?.kind, UserKind::Bridged(_)) {
            return Ok(Confirmation::First);
        }
        if self.cross_signing_key(user, MASTER).await?.is_none() {
            return Ok(Confirmation::First);
        }
        for (usage, key) in keys.named() {
            let stored = self.cross_signing_key(user, usage).await?;
            if !stored.is_some_and(|stored| same_content(&stored, key)) {
                return Ok(Confirmation::Needed);
            }
        }
        Ok(Confirmation::NothingNew)
    }

    /// Spec: 403, "The public key of one of the keys is the same as one of the user's device IDs".
    async fn check_no_device(&self, user: &UserId, key: &Object) -> Result<()> {
        let Some((_, public)) = only_key(key) else { return Ok(()) };
        if self.store().get(&DEVICES, (user.as_str(), <&DeviceId>::from(public).as_str())).await?.is_some() {
            return Err(AccountError::Forbidden("the key's id is in use as a device id"));
        }
        Ok(())
    }
}

impl Accounts {
    /// Spec, `POST /login`: 403, "the requested device ID is the same as a cross-signing key ID".
    pub(crate) async fn check_no_cross_signing_key(&self, user: &UserId, device: &DeviceId) -> Result<()> {
        for usage in [MASTER, SELF_SIGNING, USER_SIGNING] {
            let key = self.cross_signing_key(user, usage).await?;
            if key.as_ref().and_then(only_key).is_some_and(|(_, public)| public == device.as_str()) {
                return Err(AccountError::Forbidden("the device id is in use as a cross-signing key"));
            }
        }
        Ok(())
    }
}

enum Confirmation {
    NothingNew,
    First,
    Needed,
}

fn check_shape(user: &UserId, usage: &str, key: &Object) -> Result<()> {
    let wrong = |why: &str| Err(AccountError::InvalidParam(format!("{usage}: {why}")));
    if key.get("user_id").and_then(Value::as_str) != Some(user.as_str()) {
        return wrong("user_id must be your own");
    }
    let usages = key.get("usage").and_then(Value::as_array);
    if !usages.is_some_and(|usages| usages.iter().any(|one| one == usage)) {
        return wrong("usage must name what the key is for");
    }
    match only_key(key) {
        Some((id, public)) if id.strip_prefix("ed25519:") == Some(public) => {}
        _ => return wrong("keys must hold one ed25519 key under its own name"),
    }
    check_canonical(key)?;
    if serde_json::to_string(key).map_or(usize::MAX, |json| json.len()) > KEY_BYTES_MAX {
        return Err(AccountError::TooLarge("a cross-signing key"));
    }
    Ok(())
}

fn check_signed_by(user: &UserId, master: &Object, key: &Object) -> Result<()> {
    let missing = || AccountError::InvalidSignature("it is not signed by the master key".into());
    let (id, public) = only_key(master).ok_or_else(missing)?;
    let signature = signature(key, user.as_str(), id).ok_or_else(missing)?;
    verify(key, public, signature)
}
