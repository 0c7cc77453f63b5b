//! The handle, and what its parts share.

use lyceum_events::Clock;
use lyceum_storage::{Batch, Commit, Position, Store, Subject};
use quick_cache::sync::Cache;
use ruma::{OwnedDeviceId, OwnedServerName, OwnedUserId, ServerName, UserId};
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};
use tokio::sync::{Mutex, MutexGuard};

use crate::{
    AccountError, Config, Entropy, PresenceBook, PushRules, Session,
    account_data::{ACCOUNT_DATA_SUBJECT, UNREAD_RULES_SUBJECT},
    cached::{ChangedAt, ReadAt},
    device_lists::DEVICES_SUBJECT,
    directory::Directory,
    error::Result,
    jwt::Issuer,
    keys::one_time::{Left, ONE_TIME_SUBJECT, Taking},
    password::Passwords,
    privacy::Privacy,
    profile::PROFILE_SUBJECT,
    secret::SecretHash,
    to_device::INBOX_SUBJECT,
};

/// Sessions kept in memory, so that authentication reads nothing.
const SESSIONS_CACHED: usize = 50_000;

/// People whose push rules are kept in memory; a set takes some 10 KiB.
const PUSH_RULES_CACHED: usize = 5_000;

/// Locks that changes to people are spread over.
const LOCKS: usize = 256;

/// How a commit says that a person's sessions (or what they may do) changed.
const SESSIONS_SUBJECT: &str = "sessions/";

/// People and what belongs to them. Cheap to clone.
#[derive(Clone)]
pub struct Accounts(Arc<Inner>);

/// Says whether a name belongs to an application service alone.
type Exclusive = Box<dyn Fn(&UserId) -> bool + Send + Sync>;

struct Inner {
    server_name: OwnedServerName,
    store: Store,
    clock: Arc<dyn Clock>,
    entropy: Entropy,
    config: Config,
    passwords: Passwords,
    issuer: Option<Issuer>,
    sessions: Cache<SecretHash, ReadAt<Arc<Session>>>,
    privacy: Cache<OwnedUserId, ReadAt<Arc<Privacy>>>,
    push_rules: Cache<OwnedUserId, ReadAt<PushRules>>,
    keys_left: Cache<(OwnedUserId, OwnedDeviceId), ReadAt<Arc<Left>>>,
    taking: Taking,
    /// Messages to devices since their inboxes were measured.
    inbox_sizes: Cache<String, u32>,
    /// Messages of other servers to devices since the remembered ones were counted.
    peer_messages: AtomicU32,
    presence: PresenceBook,
    /// When devices were last noted as seen.
    seen: Cache<String, u64>,
    /// Which names belong to application services.
    exclusive: OnceLock<Exclusive>,
    changed: Arc<Changed>,
    locks: Vec<Mutex<()>>,
}

/// When what belongs to people last changed, kept by watching every commit.
pub(crate) struct Changed {
    /// Anything that touched the person.
    pub(crate) user: ChangedAt,
    /// Their sessions and what they may do.
    pub(crate) sessions: ChangedAt,
    /// Their account data.
    pub(crate) account_data: ChangedAt,
    /// What they want to be told of: their push rules and whom they ignore.
    pub(crate) unread_rules: ChangedAt,
    /// Their one-time and fallback keys.
    pub(crate) one_time_keys: ChangedAt,
    /// The inboxes of their devices.
    pub(crate) inboxes: ChangedAt,
    /// Anybody's devices or keys: the last position.
    pub(crate) device_lists: AtomicU64,
    /// Who must be read again by the directory.
    pub(crate) directory: Directory,
}

impl Changed {
    fn observe(&self, commit: &Commit) {
        for subject in commit.subjects.iter() {
            match subject {
                Subject::User(user) => self.user.note(user, commit.last),
                Subject::Other(name) => self.observe_other(name, commit.last),
                Subject::Room(_) | Subject::Own(..) => {}
            }
        }
    }
}

impl Changed {
    fn observe_other(&self, name: &str, position: Position) {
        if let Some(user) = name.strip_prefix(SESSIONS_SUBJECT) {
            self.sessions.note(user, position);
            self.directory.note(user);
        } else if let Some(user) = name.strip_prefix(ACCOUNT_DATA_SUBJECT) {
            self.account_data.note(user, position);
        } else if let Some(user) = name.strip_prefix(UNREAD_RULES_SUBJECT) {
            self.unread_rules.note(user, position);
        } else if let Some(user) = name.strip_prefix(INBOX_SUBJECT) {
            self.inboxes.note(user, position);
        } else if let Some(user) = name.strip_prefix(ONE_TIME_SUBJECT) {
            self.one_time_keys.note(user, position);
        } else if let Some(user) = name.strip_prefix(PROFILE_SUBJECT) {
            self.directory.note(user);
        } else if name.starts_with(DEVICES_SUBJECT) {
            self.device_lists.store(position.0, Ordering::Release);
        }
    }
}

impl Accounts {
    /// Opens the accounts of `server_name` in `store`.
    pub fn open(
        server_name: OwnedServerName,
        store: Store,
        clock: Arc<dyn Clock>,
        entropy: Entropy,
        config: Config,
    ) -> Result<Self> {
        let start = store.committed();
        let changed = Arc::new(Changed {
            user: ChangedAt::since(start),
            sessions: ChangedAt::since(start),
            account_data: ChangedAt::since(start),
            unread_rules: ChangedAt::since(start),
            one_time_keys: ChangedAt::since(start),
            inboxes: ChangedAt::since(start),
            device_lists: AtomicU64::new(start.0),
            directory: Directory::default(),
        });
        let observed = changed.clone();
        store.observe(move |commit| observed.observe(commit));
        Ok(Self(Arc::new(Inner {
            passwords: Passwords::new(&config)?,
            issuer: config.sign_in.jwt.as_ref().map(Issuer::new).transpose()?,
            sessions: Cache::new(SESSIONS_CACHED),
            privacy: Cache::new(SESSIONS_CACHED),
            push_rules: Cache::new(PUSH_RULES_CACHED),
            keys_left: Cache::new(SESSIONS_CACHED),
            taking: Taking::default(),
            inbox_sizes: Cache::new(SESSIONS_CACHED),
            peer_messages: AtomicU32::default(),
            presence: PresenceBook::new(clock.clone()),
            seen: Cache::new(SESSIONS_CACHED),
            exclusive: OnceLock::new(),
            locks: (0..LOCKS).map(|_| Mutex::default()).collect(),
            server_name,
            store,
            clock,
            entropy,
            config,
            changed,
        })))
    }

    /// This server's name.
    pub fn server_name(&self) -> &ServerName {
        &self.0.server_name
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// Whether the id is of this server.
    pub fn is_local(&self, user: &UserId) -> bool {
        user.server_name() == self.server_name()
    }

    /// The last commit that touched this person in any way (or the server's start): what an incremental sync compares
    /// with before it reads anything of theirs.
    pub fn changed_at(&self, user: &UserId) -> Position {
        self.0.changed.user.at(user.as_str())
    }

    /// Who is there.
    pub fn presence(&self) -> &PresenceBook {
        &self.0.presence
    }

    pub(crate) fn directory(&self) -> &Directory {
        &self.0.changed.directory
    }

    pub(crate) fn privacy_cache(&self) -> &Cache<OwnedUserId, ReadAt<Arc<Privacy>>> {
        &self.0.privacy
    }

    pub(crate) fn keys_left_cache(&self) -> &Cache<(OwnedUserId, OwnedDeviceId), ReadAt<Arc<Left>>> {
        &self.0.keys_left
    }

    pub(crate) fn taking(&self) -> &Taking {
        &self.0.taking
    }

    pub(crate) fn inbox_sizes(&self) -> &Cache<String, u32> {
        &self.0.inbox_sizes
    }

    pub(crate) fn peer_messages(&self) -> &AtomicU32 {
        &self.0.peer_messages
    }

    pub(crate) fn push_rules_cache(&self) -> &Cache<OwnedUserId, ReadAt<PushRules>> {
        &self.0.push_rules
    }

    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }

    pub(crate) fn entropy(&self) -> &Entropy {
        &self.0.entropy
    }

    pub(crate) fn passwords(&self) -> &Passwords {
        &self.0.passwords
    }

    pub(crate) fn sessions(&self) -> &Cache<SecretHash, ReadAt<Arc<Session>>> {
        &self.0.sessions
    }

    pub(crate) fn issuer(&self) -> Option<&Issuer> {
        self.0.issuer.as_ref()
    }

    pub(crate) fn seen(&self) -> &Cache<String, u64> {
        &self.0.seen
    }

    /// Says once, at the start, which names belong to application services or the institution: nobody else may register them.
    pub fn reserve(&self, exclusive: impl Fn(&UserId) -> bool + Send + Sync + 'static) {
        // A second call changes nothing.
        let _ = self.0.exclusive.set(Box::new(exclusive));
    }

    pub(crate) fn check_not_exclusive(&self, user: &UserId) -> Result<()> {
        if self.0.exclusive.get().is_some_and(|exclusive| exclusive(user)) {
            return Err(AccountError::Exclusive);
        }
        Ok(())
    }

    pub(crate) fn changed(&self) -> &Changed {
        &self.0.changed
    }

    /// Now, in milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> u64 {
        self.0.clock.now().get().into()
    }

    /// Lets one change of this person's things run at a time in this process. Between processes, expectations decide.
    pub(crate) async fn lock(&self, key: &str) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let slot = usize::try_from(hasher.finish() % LOCKS as u64).unwrap_or_default();
        self.0.locks[slot].lock().await
    }

    /// Says that this person's sessions, or what they may do, change with this batch.
    pub(crate) fn touch_sessions(&self, batch: &mut Batch, user: &UserId) {
        batch.touch(Subject::other(format!("{SESSIONS_SUBJECT}{user}")));
        batch.touch(Subject::user(user));
    }

    /// The user id of a local part, if the two form one.
    pub(crate) fn user_id(&self, localpart: &str) -> Option<OwnedUserId> {
        UserId::parse_with_server_name(localpart, self.server_name()).ok()
    }
}
