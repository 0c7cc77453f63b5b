//! Sync tokens: where in the stream a client stands.
//!
//! A token is opaque to clients and versioned for us, so that a later server may split the stream. It names one durable
//! position and two counters of what lives in memory only (typing and presence). Those counters begin at the wall clock
//! when a server starts, so that a token from before a restart is older than everything after it.

use lyceum_storage::Position;
use std::{fmt, str::FromStr};

/// Where a client stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SyncToken {
    /// In the durable stream.
    pub position: Position,
    /// Among typing changes.
    pub typing: u64,
    /// Among presence changes.
    pub presence: u64,
}

/// The text is not a token of this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the token was not made by this server")]
pub struct NotAToken;

impl fmt::Display for SyncToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "s1_{}_{}_{}", self.position.0, self.typing, self.presence)
    }
}

impl FromStr for SyncToken {
    type Err = NotAToken;

    fn from_str(text: &str) -> Result<Self, NotAToken> {
        let mut parts = text.strip_prefix("s1_").ok_or(NotAToken)?.split('_').map(|part| part.parse::<u64>());
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(Ok(position)), Some(Ok(typing)), Some(Ok(presence)), None) => {
                Ok(Self { position: Position(position), typing, presence })
            }
            _ => Err(NotAToken),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_and_others_are_refused() {
        let token = SyncToken { position: Position(72594), typing: 4483, presence: 1934 };
        assert_eq!(token.to_string().parse(), Ok(token));
        for other in ["", "s1_", "s1_1_2", "s1_1_2_3_4", "s2_1_2_3", "s72594_4483_1934", "s1_-1_2_3", "t1_1_2_3"] {
            assert_eq!(other.parse::<SyncToken>(), Err(NotAToken), "{other:?} must be refused");
        }
    }
}
