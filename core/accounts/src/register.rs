//! New accounts: which names may be had, and the batch that makes one.

use lyceum_storage::Batch;
use ruma::{OwnedUserId, ServerName, UserId};

use crate::{AccountError, Accounts, DeviceChoice, SignedIn, User, UserKind, error::Result, tables::USERS};

/// User ids are at most this long, server name and marks included (spec: "User identifiers").
const USER_ID_BYTES_MAX: usize = 255;

/// Capital letters that a guest's name is made of.
const GUEST_NAME_LENGTH: usize = 16;

/// What makes a new person.
#[derive(Debug, Clone, Default)]
pub struct NewPerson {
    /// The wanted local part; made up when there is none.
    pub localpart: Option<String>,
    /// The password; without one the account signs in by other ways only.
    pub password: Option<String>,
    /// Whether it administers the server.
    pub admin: bool,
    /// A free word of provisioning tools.
    pub user_type: Option<String>,
    /// The guest who becomes this person, shown to be them.
    pub guest: Option<OwnedUserId>,
}

/// A new account, and its first session where one was asked for.
#[derive(Debug, Clone)]
pub struct Registered {
    /// Who it is.
    pub user_id: OwnedUserId,
    /// The session.
    pub session: Option<SignedIn>,
}

/// The user id of a new account that is called so. Capitals are made small, as clients expect.
pub fn new_user_id(localpart: &str, server: &ServerName) -> Result<OwnedUserId> {
    let localpart = localpart.to_ascii_lowercase();
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._=-/+".contains(&byte);
    if localpart.is_empty() {
        return Err(AccountError::InvalidUsername("a user name cannot be empty"));
    }
    if !localpart.bytes().all(allowed) {
        return Err(AccountError::InvalidUsername("a user name is made of a-z, 0-9 and . _ = - / + only"));
    }
    if localpart.len() + server.as_str().len() + 2 > USER_ID_BYTES_MAX {
        return Err(AccountError::InvalidUsername("the user name is too long"));
    }
    UserId::parse_with_server_name(localpart.as_str(), server)
        .map_err(|_| AccountError::InvalidUsername("this cannot be a user name"))
}

impl Accounts {
    /// The user id that a wanted local part gives, if a person may have it: it is free, and no application service's alone.
    pub async fn available(&self, localpart: &str) -> Result<OwnedUserId> {
        let user = self.free(localpart).await?;
        self.check_not_exclusive(&user)?;
        Ok(user)
    }

    /// The user id that a wanted local part gives, if nobody has it. Capitals are made small, as clients expect.
    pub(crate) async fn free(&self, localpart: &str) -> Result<OwnedUserId> {
        let user = self.valid_user_id(localpart)?;
        if self.exists(&user).await? { Err(AccountError::UserInUse) } else { Ok(user) }
    }

    fn valid_user_id(&self, localpart: &str) -> Result<OwnedUserId> {
        new_user_id(localpart, self.server_name())
    }

    /// Makes an account, and a session if `choice` is given, in one batch. Whether the caller may was decided before.
    pub async fn register(&self, person: NewPerson, choice: Option<DeviceChoice>) -> Result<Registered> {
        let password_hash = match &person.password {
            Some(password) => Some(self.checked_hash(password).await?),
            None => None,
        };
        let localpart = person.localpart.unwrap_or_else(|| self.entropy().capitals(12));
        let account = User {
            password_hash,
            admin: person.admin,
            user_type: person.user_type,
            ..User::new(UserKind::Person, self.now_ms())
        };
        let user = self.valid_user_id(&localpart)?;
        self.add_account(user, account, choice, Batch::new()).await
    }

    /// Makes a guest with a session.
    pub async fn register_guest(&self, display_name: Option<String>) -> Result<Registered> {
        if !self.config().guests {
            return Err(AccountError::Forbidden("guests are not welcome on this server"));
        }
        let user = self.valid_user_id(&format!("guest-{}", self.entropy().capitals(GUEST_NAME_LENGTH)))?;
        let choice = DeviceChoice { display_name, ..DeviceChoice::default() };
        self.add_account(user, User::new(UserKind::Guest, self.now_ms()), Some(choice), Batch::new()).await
    }

    /// Commits the account with `batch`, which holds what its making uses up.
    pub(crate) async fn add_account(
        &self,
        user: OwnedUserId,
        account: User,
        choice: Option<DeviceChoice>,
        mut batch: Batch,
    ) -> Result<Registered> {
        let _guard = self.lock(user.as_str()).await;
        if self.exists(&user).await? {
            return Err(AccountError::UserInUse);
        }
        let session = match choice {
            Some(choice) => {
                choice.check()?;
                Some(self.add_session(&mut batch, &user, choice).await?)
            }
            None => None,
        };
        batch.expect(&USERS, user.as_str(), None).put(&USERS, user.as_str(), &account);
        self.touch_sessions(&mut batch, &user);
        self.store().commit(batch).await?;
        Ok(Registered { user_id: user, session })
    }

    pub(crate) async fn checked_hash(&self, password: &str) -> Result<String> {
        self.passwords().check_strength(password)?;
        self.passwords().hash(self.entropy(), password).await
    }

    /// Sets a password, as the command line and administrators do. Sessions stay.
    pub async fn set_password(&self, user: &UserId, password: &str) -> Result<()> {
        let hash = self.checked_hash(password).await?;
        self.change_user(user, |account| account.password_hash = Some(hash.clone())).await?;
        Ok(())
    }
}
