//! Making rooms. The events of a new room are decided on one after another and written as one batch: a room is there
//! whole, with its creator, rules, name and local invites, or not at all.

use lyceum_events::{Draft, Placing, build, rules_of};
use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, OwnedRoomAliasId, OwnedRoomId, OwnedUserId, RoomId, RoomVersionId, UserId,
    events::{StateEventType, TimelineEventType},
    room_version_rules::{RoomIdFormatVersion, RoomVersionRules},
};
use std::collections::{BTreeMap, HashSet};

use crate::{
    Act, MemberProfile, Membership, Result, RoomError, Rooms, Sender,
    create_levels::{power_levels, require_levels},
    membership_acts::member_content,
    write::{WRITE_TRIES, Writing, bad},
};

/// Invites that one new room may come with.
const INVITES_MAX: usize = 200;
/// State events that one new room may come with.
const INITIAL_STATE_MAX: usize = 200;

/// The well-known beginnings of rooms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// By invitation.
    PrivateChat,
    /// By invitation, and everybody invited is as powerful as the creator.
    TrustedPrivateChat,
    /// Open.
    PublicChat,
}

impl Preset {
    fn join_rule(self) -> &'static str {
        if self == Self::PublicChat { "public" } else { "invite" }
    }

    /// Where guests may not come in there is no event that says so: its absence does.
    fn guest_access(self) -> Option<&'static str> {
        (self != Self::PublicChat).then_some("can_join")
    }

    /// The spelling in requests.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PrivateChat => "private_chat",
            Self::TrustedPrivateChat => "trusted_private_chat",
            Self::PublicChat => "public_chat",
        }
    }
}

/// State that a new room is to have.
#[derive(Debug, Clone)]
pub struct InitialState {
    /// Its type.
    pub kind: StateEventType,
    /// Its state key.
    pub state_key: String,
    /// Its content.
    pub content: CanonicalJsonObject,
}

impl InitialState {
    /// State with this content; an empty one if the JSON is no object.
    pub fn of(kind: &str, state_key: &str, content: serde_json::Value) -> Self {
        let content = serde_json::from_value(content).unwrap_or_default();
        Self { kind: kind.into(), state_key: state_key.to_owned(), content }
    }

    fn draft(&self) -> Draft {
        Draft::state(self.kind.to_string(), self.state_key.clone(), self.content.clone())
    }
}

/// A room to be made.
#[derive(Debug, Clone)]
pub struct NewRoom {
    /// Its version, if not the default.
    pub version: Option<RoomVersionId>,
    /// More for the create event.
    pub creation_content: CanonicalJsonObject,
    /// How it begins.
    pub preset: Preset,
    /// Whether the directory lists it.
    pub is_listed: bool,
    /// More state.
    pub initial_state: Vec<InitialState>,
    /// Its name.
    pub name: Option<String>,
    /// What it is about.
    pub topic: Option<String>,
    /// An alias of this server for it.
    pub alias: Option<OwnedRoomAliasId>,
    /// Who is asked in.
    pub invite: Vec<OwnedUserId>,
    /// Whether the invites are to a direct chat.
    pub is_direct: bool,
    /// What replaces parts of the usual power levels.
    pub power_levels: Option<CanonicalJsonObject>,
    /// The power that acts and types of events need, whatever else is said.
    pub required_levels: BTreeMap<String, i32>,
    /// State to be set after everything else.
    pub last_state: Vec<InitialState>,
}

impl Default for NewRoom {
    fn default() -> Self {
        Self {
            version: None,
            creation_content: CanonicalJsonObject::new(),
            preset: Preset::PrivateChat,
            is_listed: false,
            initial_state: Vec::new(),
            name: None,
            topic: None,
            alias: None,
            invite: Vec::new(),
            is_direct: false,
            power_levels: None,
            required_levels: BTreeMap::new(),
            last_state: Vec::new(),
        }
    }
}

/// What is added to a new room's batch.
pub(crate) type Note<'a> = dyn Fn(&RoomId, &mut lyceum_storage::Batch) + Sync + 'a;

/// A room that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// Its id.
    pub room_id: OwnedRoomId,
    /// Those to be asked in who belong to other servers: their servers have to sign the invites first.
    pub remote_invites: Vec<OwnedUserId>,
}

impl Rooms {
    /// Makes a room.
    pub async fn create(&self, creator: &UserId, new: NewRoom) -> Result<Created> {
        self.create_with(creator, new, &|_, _| {}).await
    }

    /// Makes a room, and adds to its batch.
    pub(crate) async fn create_with(&self, creator: &UserId, new: NewRoom, note: &Note<'_>) -> Result<Created> {
        let new = match self.0.judge.shape(creator, new).await {
            Ok(new) => new,
            Err(verdict) => return Err(verdict.into_result().err().unwrap_or(RoomError::Busy)),
        };
        let version = new.version.clone().unwrap_or_else(|| self.0.config.default_version.clone());
        let rules = rules_of(&version).ok_or_else(|| RoomError::UnsupportedVersion(version.to_string()))?;
        check_request(&new)?;
        self.judge(creator, &Act::Create { new: &new }).await?;
        if let Some(alias) = &new.alias {
            self.check_alias_is_free(alias).await?;
        }
        for tries in 1.. {
            match self.try_create(creator, &new, (&version, &rules), note).await {
                Err(RoomError::Busy) if tries < WRITE_TRIES => {}
                done => return done,
            }
        }
        Err(RoomError::Busy)
    }

    async fn try_create(
        &self,
        creator: &UserId,
        new: &NewRoom,
        (version, rules): (&RoomVersionId, &RoomVersionRules),
        note: &Note<'_>,
    ) -> Result<Created> {
        let mut writing = self.begin(creator, create_content(creator, new, version, rules)?, version, rules).await?;
        let room_id = writing.room.id.clone();
        let profile = self.0.people.profile(creator).await;
        let by = Sender::of(creator);
        writing.append(by, member_draft(creator, Membership::Join, &profile)).await?;
        for draft in first_state(creator, new, rules)? {
            let (kind, state_key) = (draft.kind.clone(), draft.state_key.clone());
            writing.append(by, draft).await.map_err(|error| first_state_error(error, &kind, state_key.as_deref()))?;
        }
        // Nobody hears of a room that a shadow-banned person makes.
        let asked_in: &[OwnedUserId] = if self.is_unheard(creator).await { &[] } else { &new.invite };
        let (local, remote): (Vec<_>, Vec<_>) = asked_in.iter().cloned().partition(|user| self.is_local(user));
        for invitee in local.iter().collect::<HashSet<_>>() {
            if !self.0.people.takes_invite(invitee, creator).await {
                return Err(RoomError::InviteBlocked);
            }
            let mut draft = member_draft(invitee, Membership::Invite, &self.0.people.profile(invitee).await);
            if new.is_direct {
                draft.content.insert("is_direct".to_owned(), true.into());
            }
            writing.append(by, draft).await?;
        }
        if let Some(alias) = &new.alias {
            writing.add_alias(alias, creator);
        }
        if new.is_listed {
            writing.list();
        }
        note(&room_id, writing.batch());
        writing.queue().durable().await?;
        Ok(Created { room_id, remote_invites: remote })
    }

    /// Takes the writing end of a new room with its create event in it.
    pub(crate) async fn begin(
        &self,
        creator: &UserId,
        content: CanonicalJsonObject,
        version: &RoomVersionId,
        rules: &RoomVersionRules,
    ) -> Result<Writing> {
        let drawn = match rules.room_id_format {
            RoomIdFormatVersion::V1 => Some(RoomId::parse(format!("!{}:{}", self.letters(18), self.server()))),
            _ => None,
        };
        let drawn = drawn.transpose().map_err(|error| RoomError::Bad(error.to_string()))?;
        let local_id = self.letters(18);
        let placing = Placing {
            room_id: drawn.as_deref(),
            sender: creator,
            ts: self.creation_time(),
            prev_events: Vec::new(),
            auth_events: Vec::new(),
            depth: 1,
            local_id: &local_id,
        };
        let draft = Draft::state(TimelineEventType::RoomCreate, "", content);
        let create = build(draft, &placing, rules, &self.0.key).map_err(bad)?;
        let mut writing = self.write_new(create.room(), version).await?;
        writing.authorize(&create, &[])?;
        writing.record(create).await?;
        Ok(writing)
    }
}

fn check_request(new: &NewRoom) -> Result<()> {
    if new.invite.len() > INVITES_MAX {
        return Err(RoomError::Limit(format!("a room cannot be made with more than {INVITES_MAX} invites")));
    }
    if new.initial_state.len() > INITIAL_STATE_MAX {
        return Err(RoomError::Limit(format!("a room cannot begin with more than {INITIAL_STATE_MAX} state events")));
    }
    Ok(())
}

/// The content of the create event.
fn create_content(
    creator: &UserId,
    new: &NewRoom,
    version: &RoomVersionId,
    rules: &RoomVersionRules,
) -> Result<CanonicalJsonObject> {
    let mut content = new.creation_content.clone();
    content.insert("room_version".to_owned(), version.to_string().into());
    if rules.authorization.use_room_create_sender {
        content.remove("creator");
    } else {
        content.insert("creator".to_owned(), creator.to_string().into());
    }
    if rules.authorization.additional_room_creators {
        let mut more = additional_creators(&content)?;
        if new.preset == Preset::TrustedPrivateChat {
            more.extend(new.invite.iter().cloned());
        }
        let mut seen = HashSet::new();
        more.retain(|user| user != creator && seen.insert(user.clone()));
        if !more.is_empty() {
            let more = more.iter().map(|user| user.to_string().into()).collect();
            content.insert("additional_creators".to_owned(), CanonicalJsonValue::Array(more));
        }
    }
    Ok(content)
}

fn additional_creators(content: &CanonicalJsonObject) -> Result<Vec<OwnedUserId>> {
    let wrong = || RoomError::InvalidParam("additional_creators must be a list of user ids".to_owned());
    let Some(more) = content.get("additional_creators") else { return Ok(Vec::new()) };
    let CanonicalJsonValue::Array(more) = more else { return Err(wrong()) };
    more.iter().map(|user| user.as_str().and_then(|user| UserId::parse(user).ok()).ok_or_else(wrong)).collect()
}

fn member_draft(user: &UserId, membership: Membership, profile: &MemberProfile) -> Draft {
    Draft::state(TimelineEventType::RoomMember, user.as_str(), member_content(membership, profile))
}

/// The state a room begins with after its creator joined, in the order the specification gives.
fn first_state(creator: &UserId, new: &NewRoom, rules: &RoomVersionRules) -> Result<Vec<Draft>> {
    let given = |kind: &StateEventType| {
        new.initial_state.iter().find(|state| state.kind == *kind && state.state_key.is_empty())
    };
    let mut levels = match given(&StateEventType::RoomPowerLevels) {
        Some(given) => given.content.clone(),
        None => power_levels(creator, new, rules)?,
    };
    require_levels(&mut levels, &new.required_levels);
    let mut drafts = vec![Draft::state(TimelineEventType::RoomPowerLevels, "", levels)];
    if let Some(alias) = &new.alias {
        drafts.push(one_field(TimelineEventType::RoomCanonicalAlias, "alias", alias.as_str()));
    }
    let preset = [
        (StateEventType::RoomJoinRules, "join_rule", Some(new.preset.join_rule())),
        (StateEventType::RoomHistoryVisibility, "history_visibility", Some("shared")),
        (StateEventType::RoomGuestAccess, "guest_access", new.preset.guest_access()),
    ];
    let preset = preset.into_iter().filter(|(kind, ..)| given(kind).is_none());
    drafts.extend(preset.filter_map(|(kind, field, value)| Some(one_field(kind.to_string().into(), field, value?))));
    let more = new
        .initial_state
        .iter()
        .filter(|state| !(state.kind == StateEventType::RoomPowerLevels && state.state_key.is_empty()));
    drafts.extend(more.map(InitialState::draft));
    if let Some(name) = &new.name {
        drafts.push(one_field(TimelineEventType::RoomName, "name", name));
    }
    drafts.extend(new.topic.as_deref().map(topic));
    drafts.extend(new.last_state.iter().map(InitialState::draft));
    Ok(drafts)
}

fn one_field(kind: TimelineEventType, field: &str, value: &str) -> Draft {
    Draft::state(kind, "", CanonicalJsonObject::from([(field.to_owned(), value.into())]))
}

/// A topic, plain and in the form that allows markup.
fn topic(topic: &str) -> Draft {
    let object = |name: &str, value: CanonicalJsonValue| CanonicalJsonObject::from([(name.to_owned(), value)]);
    let text = CanonicalJsonValue::Array(vec![object("body", topic.into()).into()]);
    let mut content = object("m.topic", object("m.text", text).into());
    content.insert("topic".to_owned(), topic.into());
    Draft::state(TimelineEventType::RoomTopic, "", content)
}

/// A room that its creator could not make like that.
fn first_state_error(error: RoomError, kind: &TimelineEventType, state_key: Option<&str>) -> RoomError {
    match error {
        RoomError::Forbidden(why) if *kind == TimelineEventType::RoomPowerLevels => RoomError::Bad(why),
        RoomError::Forbidden(why) => {
            RoomError::InvalidRoomState(format!("{kind} ({}): {why}", state_key.unwrap_or_default()))
        }
        other => other,
    }
}
