//! A person's own hand on their account: registering through interactive authentication, a new password, the end.

use lyceum_storage::Batch;
use ruma::{OwnedDeviceId, OwnedUserId, UserId};

use crate::{
    AccountError, Accounts, DeviceChoice, InteractiveAuth, NewPerson, Proof, Registered, RegistrationMode, Stage, User,
    UserKind, error::Result, tables::USERS,
};

/// What registration is called as an act of interactive authentication.
pub(crate) const REGISTER: &str = "POST /register";

/// What becomes of a person's other sessions when the password changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OtherSessions {
    /// They end, apart from this device.
    End {
        /// The device that stays.
        except: Option<OwnedDeviceId>,
    },
    /// They stay.
    Keep,
}

impl Accounts {
    /// Registers a person as the configuration lets people in, step by step with `auth`.
    pub async fn register_interactively(
        &self,
        person: NewPerson,
        choice: Option<DeviceChoice>,
        auth: Option<&InteractiveAuth>,
    ) -> Result<Registered> {
        let flows = self.registration_flows()?;
        if let Some(choice) = &choice {
            choice.check()?;
        }
        if let Some(user) = self.registered_in(auth).await? {
            return self.sign_in_registered(user, choice).await;
        }
        // The name and password are judged before anything is asked of the person.
        match (&person.guest, &person.localpart) {
            (Some(guest), Some(localpart)) if localpart == guest.localpart() => {}
            (Some(_), _) => return Err(AccountError::InvalidUsername("a guest who registers keeps their user name")),
            (None, Some(localpart)) => {
                let user = self.available(localpart).await?;
                self.check_not_exclusive(&user)?;
            }
            (None, None) => {}
        }
        if let Some(password) = &person.password {
            self.passwords().check_strength(password)?;
        }
        let proof = self.interact(REGISTER, &flows, None, auth).await?;
        let password = person.password.as_deref().ok_or(AccountError::MissingParam("password"))?;
        let account = User {
            password_hash: Some(self.checked_hash(password).await?),
            ..User::new(UserKind::Person, self.now_ms())
        };
        let mut batch = Batch::new();
        if let Some(token) = &proof.registration_token {
            self.count_registration(&mut batch, token).await?;
        }
        if let Some(guest) = person.guest {
            self.use_proof(&mut batch, &proof);
            self.note_consent(&mut batch, &guest, proof.agreed);
            return self.promote_guest(guest, account, choice, batch).await;
        }
        let localpart = person.localpart.unwrap_or_else(|| self.entropy().capitals(12));
        let user = self.available(&localpart).await?;
        self.note_registered(&mut batch, &proof, &user)?;
        self.note_consent(&mut batch, &user, proof.agreed);
        self.add_account(user, account, choice, batch).await
    }

    /// A session for somebody who was registered just now, and may not have heard of it.
    async fn sign_in_registered(&self, user: OwnedUserId, choice: Option<DeviceChoice>) -> Result<Registered> {
        let Some(choice) = choice else { return Ok(Registered { user_id: user, session: None }) };
        let _guard = self.lock(user.as_str()).await;
        self.active_user(&user).await?;
        let mut batch = Batch::new();
        let session = self.add_session(&mut batch, &user, choice).await?;
        self.touch_sessions(&mut batch, &user);
        self.store().commit(batch).await?;
        Ok(Registered { user_id: user, session: Some(session) })
    }

    /// Makes a guest's account a person's (spec, "Guest access"). Their sessions stay, and are a person's from now on.
    async fn promote_guest(
        &self,
        guest: OwnedUserId,
        account: User,
        choice: Option<DeviceChoice>,
        mut batch: Batch,
    ) -> Result<Registered> {
        let _guard = self.lock(guest.as_str()).await;
        let before = self.active_user(&guest).await?;
        if before.kind != UserKind::Guest {
            return Err(AccountError::UserInUse);
        }
        let after = User { kind: account.kind, password_hash: account.password_hash, ..before.clone() };
        let session = match choice {
            Some(choice) => Some(self.add_session(&mut batch, &guest, choice).await?),
            None => None,
        };
        batch.expect(&USERS, guest.as_str(), Some(&before)).put(&USERS, guest.as_str(), &after);
        self.touch_sessions(&mut batch, &guest);
        self.store().commit(batch).await?;
        Ok(Registered { user_id: guest, session })
    }

    /// The ways in which the configuration lets people in.
    pub(crate) fn registration_flows(&self) -> Result<Vec<Vec<Stage>>> {
        let mut flow = match self.config().registration {
            RegistrationMode::Open => Vec::new(),
            RegistrationMode::Token => vec![Stage::RegistrationToken],
            RegistrationMode::Closed => {
                return Err(AccountError::Forbidden("registration is closed on this server"));
            }
        };
        if !self.terms().is_empty() {
            flow.push(Stage::Terms);
        }
        if flow.is_empty() {
            flow.push(Stage::Dummy);
        }
        Ok(vec![flow])
    }

    /// Whether a password may be chosen, before anything is confirmed.
    pub fn check_new_password(&self, password: &str) -> Result<()> {
        self.passwords().check_strength(password)
    }

    /// Sets a new password for `user`, whose wish `proof` is.
    pub async fn change_password(
        &self,
        user: &UserId,
        password: &str,
        others: OtherSessions,
        proof: &Proof,
    ) -> Result<()> {
        let hash = self.checked_hash(password).await?;
        let _guard = self.lock(user.as_str()).await;
        let before = self.active_user(user).await?;
        let after = User { password_hash: Some(hash), ..before.clone() };
        let mut batch = Batch::new();
        batch.expect(&USERS, user.as_str(), Some(&before)).put(&USERS, user.as_str(), &after);
        self.use_proof(&mut batch, proof);
        if let OtherSessions::End { except } = others {
            for device in self.device_ids(user).await? {
                if Some(&device) != except.as_ref() {
                    self.add_device_removal(&mut batch, user, &device).await?;
                }
            }
        }
        self.touch_sessions(&mut batch, user);
        self.store().commit(batch).await?;
        Ok(())
    }

    /// Sets a password as an administrator does, ending all sessions or none.
    pub async fn reset_password(&self, user: &UserId, password: &str, log_out: bool) -> Result<()> {
        let others = if log_out { OtherSessions::End { except: None } } else { OtherSessions::Keep };
        self.change_password(user, password, others, &Proof::not_needed()).await
    }

    /// Closes the account: no password, no sessions, no profile. Leaving its rooms is the caller's to do, after this.
    pub async fn deactivate(&self, user: &UserId, erase: bool, proof: &Proof) -> Result<()> {
        let _guard = self.lock(user.as_str()).await;
        let before = self.user(user).await?.ok_or(AccountError::NotFound("user"))?;
        let after = User {
            password_hash: None,
            admin: false,
            deactivated_ms: before.deactivated_ms.or_else(|| Some(self.now_ms())),
            erased: before.erased || erase,
            ..before.clone()
        };
        let mut batch = Batch::new();
        batch.expect(&USERS, user.as_str(), Some(&before)).put(&USERS, user.as_str(), &after);
        self.use_proof(&mut batch, proof);
        for device in self.device_ids(user).await? {
            self.add_device_removal(&mut batch, user, &device).await?;
        }
        self.add_profile_removal(&mut batch, user).await?;
        self.touch_sessions(&mut batch, user);
        self.store().commit(batch).await?;
        Ok(())
    }

    /// Whether a person of this server closed their account and had all erased that they said.
    pub async fn is_erased(&self, user: &UserId) -> Result<bool> {
        Ok(self.is_local(user) && self.user(user).await?.is_some_and(|account| account.erased))
    }

    /// Opens a closed account again, with a password where one is given.
    pub async fn reactivate(&self, user: &UserId, password: Option<&str>) -> Result<()> {
        let hash = match password {
            Some(password) => Some(self.checked_hash(password).await?),
            None => None,
        };
        self.change_user(user, |account| {
            account.deactivated_ms = None;
            account.erased = false;
            account.password_hash = hash.clone().or_else(|| account.password_hash.take());
        })
        .await?;
        Ok(())
    }

    /// Makes the account of a bridged user (spec: registration of type `m.login.application_service`).
    pub async fn register_bridged(
        &self,
        service: &str,
        localpart: &str,
        choice: Option<DeviceChoice>,
    ) -> Result<Registered> {
        let user = self.free(localpart).await?;
        let account = User::new(UserKind::Bridged(service.to_owned()), self.now_ms());
        self.add_account(user, account, choice, Batch::new()).await
    }
}
