//! Signatures that people add to keys: to their own devices and master key, and to the master keys of others.

use lyceum_storage::{Batch, Position, Subject};
use ruma::{DeviceId, OwnedUserId, UserId};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

use super::{
    MASTER, Object, SELF_SIGNING, USER_SIGNING, object,
    signing::{device_key, only_key, same_content, signature, verify},
};
use crate::{
    AccountError, Accounts,
    device_changes::Changed,
    error::Result,
    tables::{DEVICE_KEYS, SIGNATURES, SIGNED_LOG},
};

/// Keys signed in one request at most.
const SIGNED_MAX: usize = 5_000;

/// Signed objects by their owner and key id (a device's id or a master key itself).
pub type SignedKeys = BTreeMap<OwnedUserId, BTreeMap<String, Object>>;

/// A signature that was not taken.
#[derive(Debug, Clone)]
pub struct SignatureFailure {
    /// Whose key was signed.
    pub user: OwnedUserId,
    /// Which key.
    pub key: String,
    /// Why it was not taken.
    pub error: AccountError,
}

/// A signature that was checked.
struct Checked {
    target: OwnedUserId,
    key: String,
    is_master: bool,
    signer_key: String,
    signature: String,
}

impl Accounts {
    /// Adds the signatures of `signer`, each by itself: what cannot be taken is answered and does not hold up the rest.
    pub async fn upload_signatures(&self, signer: &UserId, signed: SignedKeys) -> Result<Vec<SignatureFailure>> {
        if signed.values().map(BTreeMap::len).sum::<usize>() > SIGNED_MAX {
            return Err(AccountError::TooMany("signatures in one request"));
        }
        let _guard = self.lock(signer.as_str()).await;
        let (mut checked, mut failures) = (Vec::new(), Vec::new());
        for (user, keys) in signed {
            for (key, object) in keys {
                match self.check_signed(signer, &user, &key, &object).await {
                    Ok(signatures) => checked.extend(signatures),
                    Err(error @ (AccountError::Storage(_) | AccountError::Closed)) => return Err(error),
                    Err(error) => failures.push(SignatureFailure { user: user.clone(), key, error }),
                }
            }
        }
        self.record_signatures(signer, checked).await?;
        Ok(failures)
    }

    async fn record_signatures(&self, signer: &UserId, checked: Vec<Checked>) -> Result<()> {
        let mut batch = Batch::new();
        let mut others = BTreeSet::new();
        let mut own = BTreeSet::new();
        for one in &checked {
            let key = (one.target.as_str(), one.key.as_str(), signer.as_str(), one.signer_key.as_str());
            if self.store().get(&SIGNATURES, key).await?.as_ref() == Some(&one.signature) {
                continue;
            }
            batch.put(&SIGNATURES, key, &one.signature);
            if one.target == signer {
                own.insert(if one.is_master { Changed::SigningKeys } else { Changed::Device(&one.key) });
            } else {
                others.insert(one.target.to_string());
            }
        }
        if batch.is_empty() {
            return Ok(());
        }
        for changed in own {
            self.add_device_change(&mut batch, signer, changed).await?;
        }
        if !others.is_empty() {
            // Only the signer sees such a signature, so only their own devices are told.
            let name = signer.to_string();
            batch.at_position(move |position, writes| {
                for target in &others {
                    writes.put(&SIGNED_LOG, (&name, position.0, target), &());
                }
            });
            batch.touch(Subject::user(signer)).touch(Subject::other(format!("devices:{signer}")));
        }
        self.store().commit(batch).await?;
        Ok(())
    }

    /// Checks what `signer` signed: the object must be the stored key, each signature made by a key that may sign it.
    async fn check_signed(&self, signer: &UserId, target: &UserId, key: &str, signed: &Object) -> Result<Vec<Checked>> {
        let by_signer = signed.get("signatures").and_then(|all| all.get(signer.as_str())).and_then(Value::as_object);
        let by_signer = by_signer.filter(|signatures| !signatures.is_empty());
        let by_signer = by_signer.ok_or(AccountError::InvalidSignature("there is no signature of yours".into()))?;
        let stored = self.signable(signer, target, key).await?.ok_or(AccountError::NotFound("the signed key"))?;
        if !same_content(&stored.object, signed) {
            return Err(AccountError::InvalidSignature("the object is not the key that is known".into()));
        }
        let mut checked = Vec::new();
        for signer_key in by_signer.keys() {
            let public = self.signing_key(signer, target, &stored, signer_key).await?;
            let made = signature(signed, signer.as_str(), signer_key)
                .ok_or(AccountError::InvalidSignature("a signature must be a string".into()))?;
            verify(signed, &public, made)?;
            checked.push(Checked {
                target: target.to_owned(),
                key: key.to_owned(),
                is_master: stored.is_master,
                signer_key: signer_key.clone(),
                signature: made.to_owned(),
            });
        }
        Ok(checked)
    }

    async fn signable(&self, signer: &UserId, target: &UserId, key: &str) -> Result<Option<Signable>> {
        if let Some(master) = self.cross_signing_key(target, MASTER).await?
            && only_key(&master).is_some_and(|(id, public)| key == public || key == id)
        {
            return Ok(Some(Signable { object: master, is_master: true }));
        }
        if signer != target {
            return Ok(None);
        }
        let device = self.store().get(&DEVICE_KEYS, (target.as_str(), key)).await?;
        Ok(device.map(|json| Signable { object: object(&json), is_master: false }))
    }

    /// The public key by which `signer_key` may sign.
    async fn signing_key(
        &self,
        signer: &UserId,
        target: &UserId,
        signed: &Signable,
        signer_key: &str,
    ) -> Result<String> {
        let unknown = || AccountError::InvalidSignature("the signing key is not known or may not sign this".into());
        if signer == target && signed.is_master {
            // One's own master key is signed by one's devices.
            let device = signer_key.strip_prefix("ed25519:").ok_or_else(unknown)?;
            let json = self.store().get(&DEVICE_KEYS, (signer.as_str(), <&DeviceId>::from(device).as_str())).await?;
            let keys = json.as_deref().map(object).ok_or_else(unknown)?;
            return device_key(&keys, device).map(ToOwned::to_owned).ok_or_else(unknown);
        }
        let usage = if signer == target { SELF_SIGNING } else { USER_SIGNING };
        let key = self.cross_signing_key(signer, usage).await?.ok_or_else(unknown)?;
        match only_key(&key) {
            Some((id, public)) if id == signer_key => Ok(public.to_owned()),
            // A device's own signature of itself comes along with others.
            _ if !signed.is_master => {
                let device = signer_key.strip_prefix("ed25519:").ok_or_else(unknown)?;
                device_key(&signed.object, device).map(ToOwned::to_owned).ok_or_else(unknown)
            }
            _ => Err(unknown()),
        }
    }

    /// Whose keys `signer` signed after `from` up to `to`: their own devices fetch those keys again.
    pub async fn signed_since(&self, signer: &UserId, from: Position, to: Position) -> Result<BTreeSet<OwnedUserId>> {
        if self.changed_at(signer) <= from {
            return Ok(BTreeSet::new());
        }
        let scan = SIGNED_LOG
            .prefix((signer.as_str(),))
            .from(&SIGNED_LOG, (signer.as_str(), from.0 + 1, ""))
            .before(&SIGNED_LOG, (signer.as_str(), to.0 + 1, ""));
        let rows = self.store().scan(&SIGNED_LOG, scan).await?;
        Ok(rows.into_iter().filter_map(|((_, _, target), ())| UserId::parse(target).ok()).collect())
    }

    /// Puts the signatures that `viewer` may see into a key's object: its owner's and the viewer's own.
    pub(crate) async fn with_signatures(
        &self,
        mut object: Object,
        owner: &UserId,
        key: &str,
        viewer: Option<&UserId>,
    ) -> Result<Object> {
        let mut signers = vec![owner];
        signers.extend(viewer.filter(|viewer| *viewer != owner));
        for signer in signers {
            let scan = SIGNATURES.prefix((owner.as_str(), key, signer.as_str()));
            for ((_, _, signer, signer_key), signature) in self.store().scan(&SIGNATURES, scan).await? {
                let all = object.entry("signatures").or_insert_with(|| Value::Object(Object::new()));
                let of_signer =
                    all.as_object_mut().map(|all| all.entry(signer).or_insert_with(|| Value::Object(Object::new())));
                if let Some(of_signer) = of_signer.and_then(Value::as_object_mut) {
                    of_signer.insert(signer_key, signature.into());
                }
            }
        }
        Ok(object)
    }
}

struct Signable {
    object: Object,
    is_master: bool,
}
