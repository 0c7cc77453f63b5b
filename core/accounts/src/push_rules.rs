//! Push rules: everybody's own set over the specification's defaults, its changes, and what it says of an event.
//!
//! The set is the account data `m.push_rules`, so that sync tells of it like of any other. Who never changed anything has
//! nothing stored; who has, gets default rules that came later merged in when the set is read.

use lyceum_storage::Batch;
use ruma::{
    RoomId, UserId,
    push::{
        Action, AnyPushRuleRef, ConditionalPushRule, EventMatchConditionData, FlattenedJson, HighlightTweakValue,
        InsertPushRuleError, NewConditionalPushRule, NewPushRule, NewSimplePushRule, PatternedPushRuleInit,
        PushCondition, PushConditionRoomCtx, RemovePushRuleError, RuleKind, Ruleset, ScalarJsonValue, SoundTweakValue,
        Tweak,
    },
};
use serde_json::{Map, Value, json};
use std::sync::Arc;

use crate::{AccountError, Accounts, cached::ReadAt, error::Result};

/// The type of account data that holds the rules.
pub(crate) const PUSH_RULES: &str = "m.push_rules";

/// The largest set, as JSON.
const RULES_BYTES_MAX: usize = 256 * 1024;

/// The longest rule id.
const RULE_ID_BYTES_MAX: usize = 255;

/// How the names of the rules about polls begin.
const POLLS: &str = ".org.matrix.msc3930.rule.";

/// The kinds, in the order in which they are looked at.
const KINDS: [&str; 6] = ["override", "content", "postcontent", "room", "sender", "underride"];

/// What a person's rules say of an event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Notice {
    /// It counts as a notification.
    pub notify: bool,
    /// It counts as a highlight.
    pub highlight: bool,
}

/// A person's rules, ready to be asked.
#[derive(Debug, Clone)]
pub struct PushRules(Arc<Ruleset>);

impl PushRules {
    /// The whole set.
    pub fn ruleset(&self) -> &Ruleset {
        &self.0
    }

    /// The actions of the first rule that fits an event; none for one's own event. The event is flattened once, by the
    /// caller, for all who are asked.
    pub async fn actions(&self, event: &FlattenedJson, context: &PushConditionRoomCtx) -> &[Action] {
        if event.get_str("sender") == Some(context.user_id.as_str()) {
            return &[];
        }
        for rule in self.0.iter() {
            if rule.applies(event, context).await {
                return rule.actions();
            }
        }
        &[]
    }

    /// What the rules say of an event, as unread counts need it.
    pub async fn notice(&self, event: &FlattenedJson, context: &PushConditionRoomCtx) -> Notice {
        let actions = self.actions(event, context).await;
        Notice {
            notify: actions.iter().any(Action::should_notify),
            highlight: actions.iter().any(Action::is_highlight),
        }
    }

    /// The set as clients are shown it: every kind is there, empty or not.
    pub fn json(&self) -> Value {
        let mut global = match serde_json::to_value(&*self.0) {
            Ok(Value::Object(global)) => global,
            _ => Map::new(),
        };
        for kind in KINDS {
            global.entry(kind).or_insert_with(|| json!([]));
        }
        json!({ "global": global })
    }
}

impl Accounts {
    /// A person's rules. From memory when warm.
    pub async fn push_rules(&self, user: &UserId) -> Result<PushRules> {
        let changed = self.changed().unread_rules.at(user.as_str());
        if let Some(read) = self.push_rules_cache().get(user)
            && changed <= read.at
        {
            return Ok(read.value);
        }
        let at = self.store().committed();
        let rules = PushRules(Arc::new(self.load_push_rules(user).await?));
        self.push_rules_cache().insert(user.to_owned(), ReadAt { at, value: rules.clone() });
        Ok(rules)
    }

    async fn load_push_rules(&self, user: &UserId) -> Result<Ruleset> {
        let defaults = default_rules(user);
        let Some(stored) = self.account_data(user, None, PUSH_RULES).await? else { return Ok(defaults) };
        let stored = serde_json::from_str::<Value>(&stored)
            .ok()
            .and_then(|mut stored| serde_json::from_value::<Ruleset>(stored.get_mut("global")?.take()).ok());
        let Some(mut rules) = stored else { return Ok(defaults) };
        update_postcontent(&mut rules, &defaults);
        rules.update_with_server_default(defaults);
        Ok(rules)
    }

    /// Adds a rule, or changes it and moves it where `after` and `before` say.
    pub async fn put_push_rule(
        &self,
        user: &UserId,
        rule: NewPushRule,
        after: Option<&str>,
        before: Option<&str>,
    ) -> Result<()> {
        if rule.rule_id().is_empty() || rule.rule_id().len() > RULE_ID_BYTES_MAX {
            return Err(AccountError::InvalidParam("a rule id has 1 to 255 bytes".into()));
        }
        let (kind, id) = (rule.kind(), rule.rule_id().to_owned());
        if [after, before].contains(&Some(id.as_str())) {
            return Err(insert_error(InsertPushRuleError::UnknownRuleId));
        }
        self.change_push_rules(user, |rules| {
            let enabled = rules.get(kind.clone(), &id).map(AnyPushRuleRef::enabled);
            // A known rule that moves is taken out first: otherwise its own place would count among the others.
            if enabled.is_some() && (after.is_some() || before.is_some()) && !id.starts_with('.') {
                rules.remove(kind.clone(), &id).map_err(|error| AccountError::InvalidParam(error.to_string()))?;
            }
            rules.insert(rule, after, before).map_err(insert_error)?;
            match enabled {
                Some(enabled) => rules.set_enabled(kind, &id, enabled).map_err(|_| no_rule()),
                None => Ok(()),
            }
        })
        .await
    }

    /// Removes a rule of one's own.
    pub async fn delete_push_rule(&self, user: &UserId, kind: RuleKind, id: &str) -> Result<()> {
        self.change_push_rules(user, |rules| {
            rules.remove(kind, id).map_err(|error| match error {
                RemovePushRuleError::NotFound => no_rule(),
                error => AccountError::InvalidParam(error.to_string()),
            })
        })
        .await
    }

    /// Switches a rule on or off.
    pub async fn enable_push_rule(&self, user: &UserId, kind: RuleKind, id: &str, enabled: bool) -> Result<()> {
        self.change_push_rules(user, |rules| rules.set_enabled(kind, id, enabled).map_err(|_| no_rule())).await
    }

    /// Sets what a rule does.
    pub async fn set_push_rule_actions(
        &self,
        user: &UserId,
        kind: RuleKind,
        id: &str,
        actions: Vec<Action>,
    ) -> Result<()> {
        self.change_push_rules(user, |rules| rules.set_actions(kind, id, actions).map_err(|_| no_rule())).await
    }

    async fn change_push_rules(&self, user: &UserId, change: impl FnOnce(&mut Ruleset) -> Result<()>) -> Result<()> {
        let _guard = self.lock(user.as_str()).await;
        let mut rules = self.load_push_rules(user).await?;
        change(&mut rules)?;
        let content = PushRules(Arc::new(rules)).json().to_string();
        if content.len() > RULES_BYTES_MAX {
            return Err(AccountError::TooMany("push rules"));
        }
        let mut batch = Batch::new();
        self.add_account_data(&mut batch, user, None, PUSH_RULES, Some(content)).await?;
        self.store().commit(batch).await?;
        Ok(())
    }

    /// Gives the room that replaces another the rules of the same room, as an upgrade does: its room rule, and the override
    /// rule by which clients mute it.
    pub async fn carry_over_push_rule(&self, user: &UserId, old: &RoomId, new: &RoomId) -> Result<()> {
        let rules = self.push_rules(user).await?;
        if let Some(AnyPushRuleRef::Room(rule)) = rules.ruleset().get(RuleKind::Room, old.as_str()) {
            let copy = NewSimplePushRule::new(new.to_owned(), rule.actions.clone());
            self.put_push_rule(user, NewPushRule::Room(copy), None, None).await?;
        }
        if let Some(AnyPushRuleRef::Override(rule)) = rules.ruleset().get(RuleKind::Override, old.as_str()) {
            let conditions = rule.conditions.iter().map(|condition| about(condition, old, new)).collect();
            let copy = NewConditionalPushRule::new(new.to_string(), conditions, rule.actions.clone());
            self.put_push_rule(user, NewPushRule::Override(copy), None, None).await?;
        }
        Ok(())
    }
}

/// A condition with the new room where it named the old one.
fn about(condition: &PushCondition, old: &RoomId, new: &RoomId) -> PushCondition {
    let moved = serde_json::to_value(condition).ok().and_then(|mut json| {
        for value in json.as_object_mut()?.values_mut().filter(|value| value.as_str() == Some(old.as_str())) {
            *value = new.as_str().into();
        }
        serde_json::from_value(json).ok()
    });
    moved.unwrap_or_else(|| condition.clone())
}

/// Gives a stored set the default rules after content as they are now, with what the person made of them: ruma does so for
/// the specification's kinds alone, and nobody may add to this one (MSC4306).
fn update_postcontent(rules: &mut Ruleset, defaults: &Ruleset) {
    let stored = std::mem::take(&mut rules.postcontent);
    for mut rule in defaults.postcontent.iter().cloned() {
        if let Some(stored) = stored.get(rule.rule_id.as_str()) {
            (rule.enabled, rule.actions) = (stored.enabled, stored.actions.clone());
        }
        rules.postcontent.insert(rule);
    }
}

fn no_rule() -> AccountError {
    AccountError::NotFound("push rule")
}

fn insert_error(error: InsertPushRuleError) -> AccountError {
    match error {
        InsertPushRuleError::ServerDefaultRuleId | InsertPushRuleError::InvalidRuleId => {
            AccountError::InvalidParam(error.to_string())
        }
        // Spec, PUT pushrules: 400 M_UNKNOWN, "before/after rule not found".
        error => AccountError::Unknown(error.to_string()),
    }
}

/// The rules of somebody who changed none: the specification's, and the older rule by which messages that do not say whom they
/// mention mention those whose name they contain, as bots and older clients write them.
fn default_rules(user: &UserId) -> Ruleset {
    let mut rules = Ruleset::server_default(user);
    let named = PatternedPushRuleInit {
        actions: vec![
            Action::Notify,
            Action::SetTweak(Tweak::Sound(SoundTweakValue::Default)),
            Action::SetTweak(Tweak::Highlight(HighlightTweakValue::Yes)),
        ],
        default: true,
        enabled: true,
        rule_id: ".m.rule.contains_user_name".to_owned(),
        pattern: user.localpart().to_owned(),
    };
    rules.content.insert(named.into());
    rules.override_ = rules.override_.into_iter().map(by_pattern).collect();
    rules.underride = rules.underride.into_iter().map(by_pattern).collect();
    rules
}

/// The rules about polls ask for the event's type by a pattern, as MSC3930 writes them and clients look for them, not by the
/// condition that the specification got after it. Both mean the same of a type.
fn by_pattern(mut rule: ConditionalPushRule) -> ConditionalPushRule {
    for condition in rule.conditions.iter_mut().filter(|_| rule.rule_id.starts_with(POLLS)) {
        if let PushCondition::EventPropertyIs(is) = condition
            && let ScalarJsonValue::String(kind) = &is.value
        {
            *condition = PushCondition::EventMatch(EventMatchConditionData::new(is.key.clone(), kind.clone()));
        }
    }
    rule
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Fixture;
    use ruma::{push::NewPatternedPushRule, room_id, user_id};

    fn content(id: &str, pattern: &str) -> NewPushRule {
        NewPushRule::Content(NewPatternedPushRule::new(id.into(), pattern.into(), vec![Action::Notify]))
    }

    async fn order(fixture: &Fixture) -> Vec<String> {
        let rules = fixture.accounts.push_rules(user_id!("@anna:test")).await.unwrap();
        let own = rules.ruleset().content.iter().filter(|rule| !rule.default);
        own.map(|rule| rule.rule_id.clone()).collect()
    }

    #[tokio::test]
    async fn rules_stand_where_they_were_put_and_move_when_told() {
        let fixture = Fixture::with_people(&["anna"]).await;
        let put = async |id: &str, after: Option<&str>, before: Option<&str>| {
            fixture.accounts.put_push_rule(user_id!("@anna:test"), content(id, "x"), after, before).await
        };
        for id in ["a", "b", "c"] {
            put(id, None, None).await.unwrap();
        }
        assert_eq!(order(&fixture).await, ["c", "b", "a"], "the newest is the most important");
        put("c", Some("a"), None).await.unwrap();
        assert_eq!(order(&fixture).await, ["b", "a", "c"]);
        put("c", None, Some("b")).await.unwrap();
        assert_eq!(order(&fixture).await, ["c", "b", "a"]);
        put("b", None, None).await.unwrap();
        assert_eq!(order(&fixture).await, ["c", "b", "a"], "a change alone moves nothing");
        assert!(matches!(put("d", Some("nowhere"), None).await, Err(AccountError::Unknown(_))));
        assert!(matches!(put("a", Some("a"), None).await, Err(AccountError::Unknown(_))));
        assert!(matches!(put(".m.own", None, None).await, Err(AccountError::InvalidParam(_))));
        assert!(matches!(put("a/b", None, None).await, Err(AccountError::InvalidParam(_))));
        assert_eq!(order(&fixture).await, ["c", "b", "a"], "what is refused changes nothing");
    }

    #[tokio::test]
    async fn a_moved_rule_stays_switched_off_and_defaults_cannot_go() {
        let fixture = Fixture::with_people(&["anna"]).await;
        let (accounts, anna) = (&fixture.accounts, user_id!("@anna:test"));
        accounts.put_push_rule(anna, content("a", "x"), None, None).await.unwrap();
        accounts.put_push_rule(anna, content("b", "x"), None, None).await.unwrap();
        accounts.enable_push_rule(anna, RuleKind::Content, "a", false).await.unwrap();
        accounts.put_push_rule(anna, content("a", "y"), None, Some("b")).await.unwrap();
        let rules = accounts.push_rules(anna).await.unwrap();
        assert!(!rules.ruleset().get(RuleKind::Content, "a").unwrap().enabled());
        let gone = accounts.delete_push_rule(anna, RuleKind::Override, ".m.rule.master").await;
        assert!(matches!(gone, Err(AccountError::InvalidParam(_))));
        let unknown = accounts.enable_push_rule(anna, RuleKind::Room, "!r:test", true).await;
        assert!(matches!(unknown, Err(AccountError::NotFound(_))));
    }

    fn message(body: &str, mentions: Value) -> FlattenedJson {
        let event = json!({
            "type": "m.room.message", "sender": "@ben:test", "room_id": "!r:test",
            "content": { "msgtype": "m.text", "body": body, "m.mentions": mentions },
        });
        FlattenedJson::from_raw(&ruma::serde::Raw::new(&event).unwrap())
    }

    #[tokio::test]
    async fn messages_notify_mentions_highlight_and_muted_rooms_do_neither() {
        let fixture = Fixture::with_people(&["anna"]).await;
        let (accounts, anna) = (&fixture.accounts, user_id!("@anna:test"));
        let context =
            PushConditionRoomCtx::new(room_id!("!r:test").to_owned(), 5_u32.into(), anna.to_owned(), "Anna".into());
        let notice =
            async |event: &FlattenedJson| accounts.push_rules(anna).await.unwrap().notice(event, &context).await;
        let (plain, mention) = (message("hi", json!({})), message("hi", json!({ "user_ids": [anna] })));
        assert_eq!(notice(&plain).await, Notice { notify: true, highlight: false });
        assert_eq!(notice(&mention).await, Notice { notify: true, highlight: true });

        let mute = NewSimplePushRule::new(room_id!("!r:test").to_owned(), vec![]);
        accounts.put_push_rule(anna, NewPushRule::Room(mute), None, None).await.unwrap();
        assert_eq!(notice(&plain).await, Notice::default());
        assert_eq!(notice(&mention).await, Notice { notify: true, highlight: true });

        let all = NewConditionalPushRule::new("all".into(), vec![], vec![]);
        accounts.put_push_rule(anna, NewPushRule::Override(all), None, None).await.unwrap();
        assert_eq!(notice(&mention).await, Notice::default());
    }
}
