//! Sessions: who a token stands for. Authentication reads memory when warm; sign-in, refresh and logout are batches.

use lyceum_storage::Batch;
use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, UserId};
use std::sync::Arc;

use crate::{
    AccountError, Accounts, Proof, RateOverride, Secret, User, UserKind,
    cached::ReadAt,
    error::Result,
    secret::{SecretHash, hash},
    tables::{DEVICE_TOKENS, DEVICES, DeviceRow, LAST_SEEN, REFRESH_TOKENS, RefreshRow, TOKENS, TokenRow, USERS},
};

/// Devices one person may have at once.
pub(crate) const DEVICES_MAX: usize = 1000;

/// What kind of caller a session is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionKind {
    /// Somebody who signed in.
    Person,
    /// A guest.
    Guest,
    /// An application service acting as one of its users, by the service's id.
    Appservice(String),
}

/// Who is calling: a token, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The person.
    pub user_id: OwnedUserId,
    /// The device; an application service may act without one.
    pub device_id: Option<OwnedDeviceId>,
    /// What kind of caller.
    pub kind: SessionKind,
    /// Whether the person administers the server.
    pub admin: bool,
    /// Locked: only logging out works.
    pub locked: bool,
    /// Suspended: may read and leave.
    pub suspended: bool,
    /// Shadow-banned: what it sends reaches nobody.
    pub shadow_banned: bool,
    /// How often the person may send, where administrators have said so.
    pub rate: Option<RateOverride>,
    pub(crate) expires_ms: Option<u64>,
}

impl Session {
    /// The device, where the endpoint needs one.
    pub fn device(&self) -> Result<&DeviceId> {
        self.device_id.as_deref().ok_or(AccountError::MissingParam("device_id"))
    }

    /// Whether this is a guest.
    pub fn is_guest(&self) -> bool {
        self.kind == SessionKind::Guest
    }

    /// Refuses who is suspended (spec: "Account suspension" lists what stays allowed).
    pub fn check_not_suspended(&self) -> Result<()> {
        if self.suspended { Err(AccountError::Suspended) } else { Ok(()) }
    }

    /// Refuses everybody but administrators.
    pub fn check_admin(&self) -> Result<()> {
        if self.admin { Ok(()) } else { Err(AccountError::Forbidden("only a server administrator may do this")) }
    }

    fn new(user_id: OwnedUserId, device_id: Option<OwnedDeviceId>, user: &User, expires_ms: Option<u64>) -> Self {
        let kind = match &user.kind {
            UserKind::Guest => SessionKind::Guest,
            // A bridged user's own token is as good as a person's; the service's token makes an Appservice session.
            UserKind::Person | UserKind::Bridged(_) => SessionKind::Person,
        };
        Self {
            user_id,
            device_id,
            kind,
            admin: user.admin,
            locked: user.locked,
            suspended: user.suspended,
            shadow_banned: user.shadow_banned,
            rate: None,
            expires_ms,
        }
    }
}

/// What a successful sign-in gives.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// The person.
    pub user_id: OwnedUserId,
    /// The device.
    pub device_id: OwnedDeviceId,
    /// The access token.
    pub access_token: Secret,
    /// The refresh token, where the client can use one.
    pub refresh_token: Option<Secret>,
    /// When the access token expires, from now.
    pub expires_in_ms: Option<u64>,
}

/// New tokens for a device, from a refresh.
#[derive(Debug, Clone)]
pub struct Refreshed {
    /// The access token.
    pub access_token: Secret,
    /// The refresh token to use next.
    pub refresh_token: Secret,
    /// When the access token expires, from now.
    pub expires_in_ms: u64,
}

impl Accounts {
    /// The session a token stands for. A locked account is refused.
    pub async fn authenticate(&self, token: &str) -> Result<Arc<Session>> {
        let session = self.authenticate_even_locked(token).await?;
        if session.locked { Err(AccountError::Locked) } else { Ok(session) }
    }

    /// The session a token stands for, for the endpoints that stay open to a locked account (logging out).
    pub async fn authenticate_even_locked(&self, token: &str) -> Result<Arc<Session>> {
        let hash = hash(token);
        let session = match self.cached_session(&hash) {
            Some(session) => session,
            None => self.load_session(&hash).await?,
        };
        match session.expires_ms {
            Some(expires) if expires <= self.now_ms() => Err(AccountError::UnknownToken { soft_logout: true }),
            _ => Ok(session),
        }
    }

    /// A session of an application service as `user`, which must be a local account of its own.
    pub async fn appservice_session(&self, id: &str, user: &UserId, device: Option<&DeviceId>) -> Result<Session> {
        let account = self.active_user(user).await?;
        if let Some(device) = device
            && self.store().get(&DEVICES, (user.as_str(), device.as_str())).await?.is_none()
        {
            return Err(AccountError::NotFound("device"));
        }
        let mut session = Session::new(user.to_owned(), device.map(ToOwned::to_owned), &account, None);
        session.kind = SessionKind::Appservice(id.to_owned());
        Ok(session)
    }

    fn cached_session(&self, hash: &SecretHash) -> Option<Arc<Session>> {
        let read = self.sessions().get(hash)?;
        let valid = self.changed().sessions.at(read.value.user_id.as_str()) <= read.at;
        valid.then_some(read.value)
    }

    async fn load_session(&self, hash: &SecretHash) -> Result<Arc<Session>> {
        let unknown = AccountError::UnknownToken { soft_logout: false };
        let at = self.store().committed();
        let Some(token) = self.store().get(&TOKENS, hash.as_slice()).await? else {
            self.sessions().remove(hash);
            return Err(unknown);
        };
        let user = self.store().get(&USERS, token.user.as_str()).await?;
        let (Some(user), Ok(user_id)) = (user, UserId::parse(&token.user)) else { return Err(unknown) };
        if token.replaces.is_some() {
            self.revoke_replaced(hash, &token).await?;
        }
        let rate = self.rate_override(&user_id).await?;
        let session = Session::new(user_id, token.device.map(OwnedDeviceId::from), &user, token.expires_ms);
        let session = Arc::new(Session { rate, ..session });
        self.sessions().insert(*hash, ReadAt { at, value: session.clone() });
        Ok(session)
    }

    /// Spec, "Refreshing access tokens": the old tokens stay valid until one of the new ones is used.
    async fn revoke_replaced(&self, hash: &SecretHash, token: &TokenRow) -> Result<()> {
        let (Some((old_refresh, old_access)), Some(device)) = (&token.replaces, &token.device) else { return Ok(()) };
        let mut batch = Batch::new();
        drop_token(&mut batch, &token.user, device, old_access);
        drop_refresh(&mut batch, &token.user, device, old_refresh);
        batch.put(&TOKENS, hash, &TokenRow { replaces: None, ..token.clone() });
        self.touch_sessions_of(&mut batch, &token.user);
        self.store().commit(batch).await?;
        Ok(())
    }

    fn touch_sessions_of(&self, batch: &mut Batch, user: &str) {
        if let Ok(user) = UserId::parse(user) {
            self.touch_sessions(batch, &user);
        }
    }

    /// Adds a session to `batch`: a device (new, or known and signed in again, which ends its earlier tokens) and its tokens.
    pub(crate) async fn add_session(
        &self,
        batch: &mut Batch,
        user: &UserId,
        choice: crate::DeviceChoice,
    ) -> Result<SignedIn> {
        let device_id = choice.device_id.unwrap_or_else(|| self.entropy().capitals(10).into());
        let key = (user.as_str(), device_id.as_str());
        let known = self.store().get(&DEVICES, key).await?;
        match &known {
            Some(_) => self.end_tokens(batch, user, &device_id).await?,
            None => {
                self.check_no_cross_signing_key(user, &device_id).await?;
                self.check_room_for_device(user).await?;
            }
        }
        let known_name = known.as_ref().and_then(|device| device.display_name.clone());
        let device = DeviceRow {
            display_name: known_name.or(choice.display_name),
            created_ms: known.map_or_else(|| self.now_ms(), |device| device.created_ms),
        };
        batch.put(&DEVICES, key, &device);
        let lifetime = if choice.can_refresh {
            Some(self.config().access_token_ms())
        } else {
            self.config().access_token_without_refresh_ms()
        };
        let access_token = self.add_access_token(batch, user, &device_id, lifetime, None);
        let refresh_token =
            choice.can_refresh.then(|| self.add_refresh_token(batch, user, &device_id, &access_token, None));
        self.touch_sessions(batch, user);
        Ok(SignedIn { user_id: user.to_owned(), device_id, access_token, refresh_token, expires_in_ms: lifetime })
    }

    async fn check_room_for_device(&self, user: &UserId) -> Result<()> {
        let scan = DEVICES.prefix((user.as_str(),)).limit(DEVICES_MAX);
        if self.store().scan(&DEVICES, scan).await?.len() >= DEVICES_MAX {
            return Err(AccountError::TooMany("devices"));
        }
        Ok(())
    }

    fn add_access_token(
        &self,
        batch: &mut Batch,
        user: &UserId,
        device: &DeviceId,
        lifetime_ms: Option<u64>,
        replaces: Option<(Vec<u8>, Vec<u8>)>,
    ) -> Secret {
        let token = self.entropy().secret();
        let row = TokenRow {
            user: user.to_string(),
            device: Some(device.to_string()),
            expires_ms: lifetime_ms.map(|lifetime| self.now_ms().saturating_add(lifetime)),
            replaces,
        };
        batch.put(&TOKENS, &token.hash(), &row);
        batch.put(&DEVICE_TOKENS, (user.as_str(), device.as_str(), false, &token.hash()), &());
        token
    }

    fn add_refresh_token(
        &self,
        batch: &mut Batch,
        user: &UserId,
        device: &DeviceId,
        access: &Secret,
        replaces: Option<(Vec<u8>, Vec<u8>)>,
    ) -> Secret {
        let token = self.entropy().secret();
        let row = RefreshRow {
            user: user.to_string(),
            device: device.to_string(),
            access: access.hash().to_vec(),
            successor: None,
            replaces,
        };
        batch.put(&REFRESH_TOKENS, &token.hash(), &row);
        batch.put(&DEVICE_TOKENS, (user.as_str(), device.as_str(), true, &token.hash()), &());
        token
    }

    /// Gives a device new tokens for its refresh token.
    pub async fn refresh(&self, refresh_token: &str) -> Result<Refreshed> {
        let unknown = AccountError::UnknownToken { soft_logout: false };
        let hash = hash(refresh_token);
        let owner = self.store().get(&REFRESH_TOKENS, &hash).await?.ok_or(unknown.clone())?;
        let _guard = self.lock(&owner.user).await;
        let row = self.store().get(&REFRESH_TOKENS, &hash).await?.ok_or(unknown.clone())?;
        let user = UserId::parse(&row.user).map_err(|_| unknown)?;
        if self.active_user(&user).await?.locked {
            return Err(AccountError::Locked);
        }
        let device = OwnedDeviceId::from(row.device.as_str());
        let mut batch = Batch::new();
        if let Some((access, refresh)) = &row.successor {
            // The answer to the earlier use was lost: what it gave out is dropped.
            drop_token(&mut batch, &row.user, &row.device, access);
            drop_refresh(&mut batch, &row.user, &row.device, refresh);
        }
        if let Some((older_refresh, older_access)) = &row.replaces {
            drop_refresh(&mut batch, &row.user, &row.device, older_refresh);
            drop_token(&mut batch, &row.user, &row.device, older_access);
        }
        let lifetime = self.config().access_token_ms();
        let replaces = Some((hash.to_vec(), row.access.clone()));
        let access_token = self.add_access_token(&mut batch, &user, &device, Some(lifetime), replaces.clone());
        let refresh_token = self.add_refresh_token(&mut batch, &user, &device, &access_token, replaces);
        let successor = Some((access_token.hash().to_vec(), refresh_token.hash().to_vec()));
        batch.expect(&REFRESH_TOKENS, &hash, Some(&row));
        batch.put(&REFRESH_TOKENS, &hash, &RefreshRow { successor, replaces: None, ..row });
        self.touch_sessions(&mut batch, &user);
        self.store().commit(batch).await?;
        Ok(Refreshed { access_token, refresh_token, expires_in_ms: lifetime })
    }

    /// Ends a device's tokens, keeping the device.
    pub(crate) async fn end_tokens(&self, batch: &mut Batch, user: &UserId, device: &DeviceId) -> Result<()> {
        let scan = DEVICE_TOKENS.prefix((user.as_str(), device.as_str()));
        for ((user, device, refresh, hash), ()) in self.store().scan(&DEVICE_TOKENS, scan).await? {
            if refresh {
                drop_refresh(batch, &user, &device, &hash);
            } else {
                drop_token(batch, &user, &device, &hash);
            }
        }
        Ok(())
    }

    /// Logs out: ends the session's device, or for an application service without one nothing.
    pub async fn log_out(&self, session: &Session) -> Result<()> {
        let Some(device) = &session.device_id else { return Ok(()) };
        self.remove_devices(&session.user_id, std::slice::from_ref(device)).await
    }

    /// Logs out everywhere: ends all devices.
    pub async fn log_out_everywhere(&self, user: &UserId) -> Result<()> {
        let devices: Vec<_> = self.device_ids(user).await?;
        self.remove_devices(user, &devices).await
    }

    /// The ids of a person's devices.
    pub async fn device_ids(&self, user: &UserId) -> Result<Vec<OwnedDeviceId>> {
        let rows = self.store().scan(&DEVICES, DEVICES.prefix((user.as_str(),))).await?;
        Ok(rows.into_iter().map(|((_, device), _)| device.into()).collect())
    }

    /// Removes devices with everything that was theirs, in one batch. Unknown ones are passed over.
    pub async fn remove_devices(&self, user: &UserId, devices: &[OwnedDeviceId]) -> Result<()> {
        self.remove_devices_confirmed(user, devices, &Proof::not_needed()).await
    }

    /// [`Self::remove_devices`], as their owner confirmed it.
    pub async fn remove_devices_confirmed(
        &self,
        user: &UserId,
        devices: &[OwnedDeviceId],
        proof: &Proof,
    ) -> Result<()> {
        if devices.is_empty() {
            return Ok(());
        }
        let _guard = self.lock(user.as_str()).await;
        let mut batch = Batch::new();
        for device in devices {
            self.add_device_removal(&mut batch, user, device).await?;
        }
        self.use_proof(&mut batch, proof);
        self.touch_sessions(&mut batch, user);
        self.store().commit(batch).await?;
        Ok(())
    }

    /// Adds to `batch` the removal of a device and everything that was its own.
    pub(crate) async fn add_device_removal(&self, batch: &mut Batch, user: &UserId, device: &DeviceId) -> Result<()> {
        self.end_tokens(batch, user, device).await?;
        let key = (user.as_str(), device.as_str());
        batch.delete(&DEVICES, key).delete(&LAST_SEEN, key);
        self.add_one_time_keys_removal(batch, user, device).await?;
        self.add_inbox_removal(batch, user, device).await?;
        self.add_device_keys_removal(batch, user, device).await?;
        for kind in ["m.local_notification_settings", "org.matrix.msc3890.local_notification_settings"] {
            let kind = format!("{kind}.{device}");
            if self.account_data(user, None, &kind).await?.is_some() {
                self.add_account_data(batch, user, None, &kind, None).await?;
            }
        }
        Ok(())
    }
}

fn drop_token(batch: &mut Batch, user: &str, device: &str, hash: &[u8]) {
    batch.delete(&TOKENS, hash).delete(&DEVICE_TOKENS, (user, device, false, hash));
}

fn drop_refresh(batch: &mut Batch, user: &str, device: &str, hash: &[u8]) {
    batch.delete(&REFRESH_TOKENS, hash).delete(&DEVICE_TOKENS, (user, device, true, hash));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Identifier, testing::Fixture};
    use std::time::Duration;

    async fn sign_in(fixture: &Fixture, can_refresh: bool) -> SignedIn {
        let choice = crate::DeviceChoice { can_refresh, ..Default::default() };
        let identifier = Identifier::User { user: "Anna".into() };
        fixture.accounts.sign_in_by_password(&identifier, "secret", choice).await.unwrap()
    }

    #[tokio::test]
    async fn a_token_stands_for_its_session_until_logout() {
        let fixture = Fixture::with_people(&["anna"]).await;
        let signed_in = sign_in(&fixture, false).await;
        let token = signed_in.access_token.reveal();
        for _ in 0..2 {
            let session = fixture.accounts.authenticate(&token).await.unwrap();
            assert_eq!(
                (session.user_id.as_str(), &session.device_id),
                ("@anna:test", &Some(signed_in.device_id.clone()))
            );
        }
        let session = fixture.accounts.authenticate(&token).await.unwrap();
        fixture.accounts.log_out(&session).await.unwrap();
        let refused = fixture.accounts.authenticate(&token).await;
        assert!(matches!(refused, Err(AccountError::UnknownToken { soft_logout: false })));
    }

    #[tokio::test]
    async fn a_lock_shuts_a_warm_session_at_once() {
        let fixture = Fixture::with_people(&["anna"]).await;
        let signed_in = sign_in(&fixture, false).await;
        let token = signed_in.access_token.reveal();
        fixture.accounts.authenticate(&token).await.unwrap();
        fixture.accounts.change_user(&signed_in.user_id, |user| user.locked = true).await.unwrap();
        assert!(matches!(fixture.accounts.authenticate(&token).await, Err(AccountError::Locked)));
        assert!(fixture.accounts.authenticate_even_locked(&token).await.is_ok());
    }

    #[tokio::test]
    async fn signing_in_again_on_a_device_ends_its_earlier_token() {
        let fixture = Fixture::with_people(&["anna"]).await;
        let first = sign_in(&fixture, false).await;
        let choice = crate::DeviceChoice { device_id: Some(first.device_id.clone()), ..Default::default() };
        let second = fixture.accounts.sign_in(&first.user_id, choice).await.unwrap();
        assert_eq!(first.device_id, second.device_id);
        assert!(fixture.accounts.authenticate(&first.access_token.reveal()).await.is_err());
        assert!(fixture.accounts.authenticate(&second.access_token.reveal()).await.is_ok());
    }

    #[tokio::test]
    async fn an_expired_token_is_a_soft_logout_and_can_be_refreshed() {
        let fixture = Fixture::with_people(&["anna"]).await;
        let signed_in = sign_in(&fixture, true).await;
        let (old, old_refresh) = (signed_in.access_token.reveal(), signed_in.refresh_token.unwrap().reveal());
        fixture.clock.advance(Duration::from_millis(signed_in.expires_in_ms.unwrap()));
        let refused = fixture.accounts.authenticate(&old).await;
        assert!(matches!(refused, Err(AccountError::UnknownToken { soft_logout: true })));

        let lost = fixture.accounts.refresh(&old_refresh).await.unwrap();
        let fresh = fixture.accounts.refresh(&old_refresh).await.unwrap();
        assert!(fixture.accounts.authenticate(&lost.access_token.reveal()).await.is_err());
        assert!(fixture.accounts.authenticate(&fresh.access_token.reveal()).await.is_ok());
        assert!(fixture.accounts.refresh(&old_refresh).await.is_err(), "revoked by the first use of its successor");
        assert!(fixture.accounts.refresh(&fresh.refresh_token.reveal()).await.is_ok());
    }
}
