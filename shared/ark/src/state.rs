//! The state of a biz in a base. Goes in: the word that arklet uses. Comes
//! out: [`BizState`]. Source: `com.alipay.sofa.ark.spi.model.BizState`.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a base does with a biz right now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BizState {
    /// Not registered.
    Unresolved,
    /// Registered and starting; seen while an install runs.
    Resolved,
    /// Started, and the active version of its name.
    Activated,
    /// Started, while another version of its name is active.
    Deactivated,
    /// Its start or its stop failed.
    Broken,
    /// Stopped; about to be forgotten.
    Stopped,
    /// A word that this build of Ferry does not know.
    Unknown,
}

impl BizState {
    /// Reads arklet's word. Never fails: bases of version 2.1.3 write upper
    /// case, 2.1.6 lower case, newer ones may say something new.
    #[must_use]
    pub fn parse(word: &str) -> Self {
        let word = word.trim();
        [
            Self::Unresolved,
            Self::Resolved,
            Self::Activated,
            Self::Deactivated,
            Self::Broken,
            Self::Stopped,
        ]
        .into_iter()
        .find(|state| state.as_str().eq_ignore_ascii_case(word))
        .unwrap_or(Self::Unknown)
    }

    /// The word in lower case, as 2.1.6 writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unresolved => "unresolved",
            Self::Resolved => "resolved",
            Self::Activated => "activated",
            Self::Deactivated => "deactivated",
            Self::Broken => "broken",
            Self::Stopped => "stopped",
            Self::Unknown => "unknown",
        }
    }

    /// Whether this is the version that the base runs as the current one.
    #[must_use]
    pub fn is_active(self) -> bool {
        self == Self::Activated
    }
}

impl fmt::Display for BizState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for BizState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for BizState {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|word| Self::parse(&word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_observed_spellings_are_one_state() {
        assert_eq!(BizState::parse("ACTIVATED"), BizState::Activated);
        assert_eq!(BizState::parse("activated"), BizState::Activated);
        assert_eq!(BizState::parse("Deactivated"), BizState::Deactivated);
        assert_eq!(BizState::parse("hibernating"), BizState::Unknown);
    }
}
