//! What several sources say about one thing, and which of them holds. A later import never overwrites what was decided by
//! hand, and what is decided by hand never touches what the source says: taken back, the source's word holds again.

use std::collections::BTreeMap;

use crate::HAND;

/// What each source says, by the source's name: a value, or that there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sources<T>(BTreeMap<String, Option<T>>);

impl<T> Default for Sources<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

/// What is to be stored for a source.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Word<'a, T> {
    /// This.
    Says(Option<&'a T>),
    /// Nothing: it has no word in this any more.
    Silent,
}

impl<T> Sources<T> {
    /// What holds, and by whose word: what was decided by hand, else the first source that says anything.
    pub(crate) fn holding(&self) -> Option<(&str, &T)> {
        let by_hand = self.0.get_key_value(HAND);
        let (source, value) = by_hand.or_else(|| self.0.iter().find(|(_, value)| value.is_some()))?;
        Some((source, value.as_ref()?))
    }

    /// Takes up a word as it is stored.
    pub(crate) fn put(&mut self, source: String, value: Option<T>) {
        self.0.insert(source, value);
    }

    /// Takes up what a source says now, and tells what is to be stored for it. By hand one can also say that there is no
    /// such thing although a source says so; what was decided by hand is taken back first, and the source's word holds again. A
    /// source that says no more is silent.
    pub(crate) fn say(&mut self, source: &str, value: Option<T>) -> Word<'_, T> {
        let others_say = self.0.iter().any(|(other, value)| other != source && value.is_some());
        let contradicts = source == HAND && others_say && !matches!(self.0.get(HAND), Some(Some(_)));
        if value.is_none() && !contradicts {
            self.0.remove(source);
        } else {
            self.0.insert(source.to_owned(), value);
        }
        self.word_of(source)
    }

    /// What is to be stored for a source.
    pub(crate) fn word_of(&self, source: &str) -> Word<'_, T> {
        self.0.get(source).map_or(Word::Silent, |value| Word::Says(value.as_ref()))
    }

    /// What each source says, by its name; nothing: that there is no such thing.
    pub(crate) fn words(&self) -> impl Iterator<Item = (&str, Option<&T>)> {
        self.0.iter().map(|(source, value)| (source.as_str(), value.as_ref()))
    }

    /// Whether nobody says anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hand_goes_before_every_source_and_leaves_their_words_alone() {
        let mut sources = Sources::default();
        assert_eq!(sources.say("portal", Some(1)), Word::Says(Some(&1)));
        assert_eq!(sources.say("archive", Some(2)), Word::Says(Some(&2)));
        assert_eq!(sources.holding(), Some(("archive", &2)));
        assert_eq!(sources.say(HAND, None), Word::Says(None), "by hand: there is no such thing");
        assert_eq!(sources.holding(), None);
        assert_eq!(sources.say("portal", Some(3)), Word::Says(Some(&3)));
        assert_eq!(sources.holding(), None, "an import does not overrule the hand");
        assert_eq!(sources.say(HAND, Some(4)), Word::Says(Some(&4)));
        assert_eq!(sources.holding(), Some((HAND, &4)));
        assert_eq!(sources.say(HAND, None), Word::Silent, "taken back");
        assert_eq!(sources.holding(), Some(("archive", &2)), "a source's word holds again");
        assert_eq!(sources.say(HAND, None), Word::Says(None));
        assert_eq!(sources.say(HAND, Some(4)), Word::Says(Some(&4)));
        assert_eq!(sources.say("portal", None), Word::Silent);
        assert_eq!(sources.say("archive", None), Word::Silent);
        assert_eq!(sources.say(HAND, None), Word::Silent, "nobody is left to be contradicted");
        assert!(sources.is_empty());
    }
}
