//! What can go wrong with a call, in words for people.
//!
//! In: transport errors, refusals. Out: [`ClientError`].

use reqwest::StatusCode;
use url::Url;

use crate::Problem;

/// Why a call gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address cannot be one.
    #[error("{url:?} is no address of a gateway: {reason}")]
    BadAddress {
        /// As it was given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nothing answers there, or not in time.
    #[error("cannot reach the gateway at {url}: is `ferry up` running, and is the address right?")]
    Unreachable {
        /// The gateway's address.
        url: String,
        /// What the connection met.
        source: reqwest::Error,
    },
    /// 401.
    #[error(
        "the gateway at {url} does not know this token: set FERRY_TOKEN to one whose hash stands in [tokens] of its ferry.toml"
    )]
    Unauthorized {
        /// The gateway's address.
        url: String,
    },
    /// Any other refusal.
    #[error("{0}")]
    Refused(Box<Problem>),
    /// What answered is no gateway of Ferry, or one of another version.
    #[error("what answers at {url} does not speak as a gateway of this version")]
    NotFerry {
        /// The gateway's address.
        url: String,
        /// Where its answer could not be read.
        source: Option<serde_json::Error>,
    },
    /// The HTTP client could not be made.
    #[error("the HTTP client cannot be made")]
    Broken {
        /// Why.
        source: reqwest::Error,
    },
}

impl ClientError {
    pub(super) fn refused(url: &Url, status: StatusCode, body: &[u8]) -> Self {
        if status == StatusCode::UNAUTHORIZED {
            return Self::Unauthorized {
                url: url.to_string(),
            };
        }
        match serde_json::from_slice::<Problem>(body) {
            Ok(problem) => Self::Refused(Box::new(problem)),
            Err(source) => Self::NotFerry {
                url: url.to_string(),
                source: Some(source),
            },
        }
    }

    /// The gateway's own refusal, where it is one.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused(problem) => Some(problem),
            _ => None,
        }
    }

    /// Whether the same call may work later as it is.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused(problem) => matches!(problem.status, 429 | 502..=504),
            _ => false,
        }
    }
}
