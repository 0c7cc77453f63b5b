//! People: accounts, sessions, devices, profiles, account data, push rules, keys and what is sent to devices.
//!
//! The handle is [`Accounts`]. It owns every table whose name begins with `a.`, and nothing about rooms: what needs to
//! know who shares a room with whom is asked by the caller, with the positions and lists given here.
//!
//! Invariants:
//! * passwords are kept as argon2id hashes, every other secret as its SHA-256, so that a copy of the store signs nobody in;
//! * a token answers for exactly one session; what ends a session ends it in the same batch for every node's cache;
//! * what a person's clients must learn is written under a position, in the batch that makes it true, and touches the
//!   person's [`Subject`](lyceum_storage::Subject).

mod account_data;
mod accounts;
mod backup;
mod cached;
mod config;
mod dehydrated;
mod device_changes;
mod device_lists;
mod devices;
mod directory;
mod error;
mod filters;
mod fully_read;
mod home;
mod interactive;
mod jwt;
mod keys;
mod lifecycle;
mod login_tokens;
mod password;
mod presence;
mod privacy;
mod profile;
mod push_rules;
mod rate_override;
mod register;
mod registration_tokens;
mod restriction;
mod secret;
mod session;
mod shared_secret;
mod short_lived;
mod sign_in;
mod tables;
mod tags;
mod terms;
#[cfg(test)]
mod testing;
mod to_device;
mod users;

pub use account_data::AccountDatum;
pub use accounts::Accounts;
pub use backup::{Backup, BackupKey, BackupKeys, BackupScope};
pub use config::{Config, PasswordCost, RegistrationMode, SignInConfig};
pub use device_changes::DeviceChange;
pub use devices::Device;
pub use directory::{FOUND_MAX, Found, Words};
pub use error::AccountError;
pub use home::{home_of, note_home};
pub use interactive::{InteractiveAuth, Proof, Stage};
pub use jwt::JwtConfig;
pub use keys::{
    Claimed, CrossSigningKeys, KeyCounts, KeysUpload, QueriedKeys, RemoteChange, RemoteDevice, RemoteDevices,
    SignatureFailure, SignedKeys, UserDevices,
};
pub use lifecycle::OtherSessions;
pub use login_tokens::{LOGIN_TOKEN_LIFETIME_MS, OPENID_TOKEN_LIFETIME_MS};
pub use presence::{Presence, PresenceBook, RemotePresence, STATUS_BYTES_MAX};
pub use privacy::{InviteVerdict, Privacy};
pub use profile::{AVATAR_URL, DISPLAY_NAME, MemberProfile};
pub use push_rules::{Notice, PushRules};
pub use rate_override::RateOverride;
pub use register::{NewPerson, Registered, new_user_id};
pub use registration_tokens::{RegistrationToken, TokenState};
pub use restriction::Restriction;
pub use secret::{Entropy, Secret};
pub use session::{Refreshed, Session, SessionKind, SignedIn};
pub use shared_secret::SharedSecretRequest;
pub use sign_in::{DeviceChoice, Identifier};
pub use terms::{Consent, Document, Terms, Text};
pub use to_device::{ToDevice, ToDeviceMessages, ToDeviceSender};
pub use users::{User, UserKind};
