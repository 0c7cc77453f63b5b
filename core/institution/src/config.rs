//! What the operator may set about the institution: `[institution]` in the configuration.

use serde::Deserialize;
use std::collections::BTreeMap;

use crate::{
    DeskConfig, KindConfig, PartnerConfig,
    policies::{ApprovalConfig, ContactConfig, QuietConfig},
};

/// The institution's settings, as written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InstitutionConfig {
    /// Whether campus rules are in force. Without them the server is a plain Matrix server.
    pub enabled: bool,
    /// The institution's name.
    pub name: Option<String>,
    /// The campus's time zone, such as "Europe/Paris": dates and hours are meant in it.
    pub time_zone: Option<String>,
    /// The local part of the server's own account, which makes the institution's rooms.
    pub account: Option<String>,
    /// The role of people of this server who were given none; nothing: they are visitors.
    pub default_role: Option<String>,
    /// The roles there are, in place of the usual ones.
    pub roles: Vec<RoleConfig>,
    /// Whether everybody has #announcements, #general and #it-support, and the staff #tutors-only and #admin-team.
    pub default_rooms: bool,
    /// The kind of the rooms that people make without saying which.
    pub default_kind: Option<String>,
    /// What is changed of the usual kinds of rooms, and further kinds.
    pub kinds: BTreeMap<String, KindConfig>,
    /// Who may start a chat with, invite or find whom, in place of the usual matrix. The first line that fits decides.
    pub contacts: Vec<ContactConfig>,
    /// When who writes nothing.
    pub quiet_hours: Vec<QuietConfig>,
    /// What is looked at before others see it.
    pub approval: Vec<ApprovalConfig>,
    /// The support desk.
    pub support_desk: DeskConfig,
    /// The servers whose word about their people's roles is believed.
    pub partners: Vec<PartnerConfig>,
}

/// One of `[[institution.roles]]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleConfig {
    /// Its name in commands and rules.
    pub name: String,
    /// How people call it.
    #[serde(default)]
    pub title: Option<String>,
    /// The power in the institution's rooms.
    #[serde(default)]
    pub power: i32,
    /// Whether it is of the staff.
    #[serde(default)]
    pub staff: bool,
    /// Whether it handles cases.
    #[serde(default)]
    pub moderates: bool,
    /// Whether it oversees everything, sealed originals included.
    #[serde(default)]
    pub oversees: bool,
    /// Whether it manages people, units and enrolments.
    #[serde(default)]
    pub administers: bool,
}
