//! A number of bases, as it is written: a count (`2`) or a part of all (`"25%"`).
//! In: serde. Out: [`Amount`], and what it is of so many.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The greatest count.
pub const AMOUNT_MAX: u32 = 10_000;

/// A count of bases, or a percentage of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Amount {
    /// So many.
    Count(u32),
    /// So much of all.
    Percent(Percent),
}

/// Hundredths, written `"25%"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Percent(pub u8);

impl Amount {
    /// Of so many, rounded down: what may be lost.
    pub fn at_most_of(self, all: usize) -> usize {
        match self {
            Self::Count(count) => (count as usize).min(all),
            Self::Percent(Percent(part)) => all * usize::from(part) / 100,
        }
    }

    /// Of so many, rounded up: what must stay.
    pub fn at_least_of(self, all: usize) -> usize {
        match self {
            Self::Count(count) => count as usize,
            Self::Percent(Percent(part)) => (all * usize::from(part)).div_ceil(100),
        }
    }

    /// Whether it is nothing, of however many.
    pub fn is_zero(self) -> bool {
        matches!(self, Self::Count(0) | Self::Percent(Percent(0)))
    }
}

impl std::fmt::Display for Amount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(Percent(part)) => write!(f, "{part}%"),
        }
    }
}

impl TryFrom<String> for Percent {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let digits = text.strip_suffix('%').filter(|digits| {
            (1..=3).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
        });
        match digits.map(str::parse) {
            Some(Ok(part @ 0..=100)) => Ok(Self(part)),
            _ => Err(format!(
                "{text:?} is neither a whole number nor a part such as \"25%\""
            )),
        }
    }
}

impl From<Percent> for String {
    fn from(percent: Percent) -> Self {
        format!("{}%", percent.0)
    }
}

impl JsonSchema for Amount {
    fn schema_name() -> Cow<'static, str> {
        "Amount".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "format": "amount",
            "anyOf": [
                { "type": "integer", "minimum": 0, "maximum": AMOUNT_MAX },
                { "type": "string", "pattern": "^([0-9]{1,2}|100)%$" }
            ]
        })
    }
}
