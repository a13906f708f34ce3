//! A forge's webhook, read in two steps: first what it claims, then, its
//! signature checked, what it says.
//!
//! In: the forge whose path was called, the headers, the raw body, later the
//! repository's secret and the time. Out: a [`Delivery`], or a [`HookError`]
//! that says what was wrong.
//!
//! The order is bound by types: [`look`] gives a [`Claim`], which tells only
//! the repository's name (to find its secret) and nothing that could be acted
//! upon; only [`Claim::verify`] gives a [`Delivery`].

mod bitbucket;
mod bitbucket_dc;
mod body;
mod change;
mod forgejo;
mod gitea;
mod github;
mod gitlab;
mod headers;
mod signature;

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use ferry_config::Forge;

pub use change::{Author, Change, Ignored, Push};
pub use headers::Headers;
pub use signature::TIMESTAMP_TOLERANCE;

/// What a forge's webhooks are called and carry.
pub trait Wire {
    /// The name people know the forge by.
    fn title(self) -> &'static str;
    /// The header that names the event.
    fn event_header(self) -> &'static str;
    /// The header that names the delivery, the same on a redelivery.
    fn delivery_header(self) -> &'static str;
    /// The header that carries the signature.
    fn signature_header(self) -> &'static str;
}

impl Wire for Forge {
    fn title(self) -> &'static str {
        match self {
            Self::Github => "GitHub",
            Self::Gitlab => "GitLab",
            Self::Gitea => "Gitea",
            Self::Forgejo => "Forgejo",
            Self::Bitbucket => "Bitbucket Cloud",
            Self::BitbucketDc => "Bitbucket Data Center",
        }
    }

    fn event_header(self) -> &'static str {
        match self {
            Self::Github => "X-GitHub-Event",
            Self::Gitlab => "X-Gitlab-Event",
            Self::Gitea => "X-Gitea-Event",
            Self::Forgejo => "X-Forgejo-Event",
            Self::Bitbucket | Self::BitbucketDc => "X-Event-Key",
        }
    }

    fn delivery_header(self) -> &'static str {
        match self {
            Self::Github => "X-GitHub-Delivery",
            Self::Gitlab => "Idempotency-Key",
            Self::Gitea => "X-Gitea-Delivery",
            Self::Forgejo => "X-Forgejo-Delivery",
            Self::Bitbucket => "X-Request-UUID",
            Self::BitbucketDc => "X-Request-Id",
        }
    }

    fn signature_header(self) -> &'static str {
        match self {
            Self::Github => "X-Hub-Signature-256",
            Self::Gitlab => "webhook-signature or X-Gitlab-Token",
            Self::Gitea => "X-Gitea-Signature",
            Self::Forgejo => "X-Forgejo-Signature",
            Self::Bitbucket | Self::BitbucketDc => "X-Hub-Signature",
        }
    }
}

/// What is wrong with a delivery. The text is for the forge's delivery log.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum HookError {
    /// The hook points at another forge's path.
    #[error(
        "this delivery is from {}, but was sent to the path for {}: point the webhook at /hooks/{}",
        sent_by.title(), path.title(), sent_by.as_str()
    )]
    WrongPath {
        /// Whose headers these are.
        sent_by: Forge,
        /// Whose path was called.
        path: Forge,
    },
    /// There is no event header at all.
    #[error("the header {} is missing: this is not a webhook of {}", forge.event_header(), forge.title())]
    NoEvent {
        /// Whose path was called.
        forge: Forge,
    },
    /// The body is not JSON, or a form without JSON in it.
    #[error("the body is not JSON: {reason}")]
    NotJson {
        /// What the parser said, or which field of the form is missing.
        reason: String,
    },
    /// JSON, but not a push.
    #[error("the body is no push of {}: {reason}", forge.title())]
    NotAPush {
        /// Whose path was called.
        forge: Forge,
        /// Which field is missing or wrong.
        reason: String,
    },
    /// There is nothing to recognise a redelivery by.
    #[error("the header {} is missing or empty: without it a redelivery could not be recognised", forge.delivery_header())]
    NoDeliveryId {
        /// Whose path was called.
        forge: Forge,
    },
    /// No signature, or an empty one.
    #[error("the signature is missing ({}): set the webhook's secret to the one that Ferry has for this repository", forge.signature_header())]
    Unsigned {
        /// Whose path was called.
        forge: Forge,
    },
    /// A signature that does not belong to this body and this secret.
    #[error("the signature ({}) does not match: the webhook's secret is not the one that Ferry has for this repository, or the body was changed on its way", forge.signature_header())]
    WrongSignature {
        /// Whose path was called.
        forge: Forge,
    },
    /// A signature that was made too long ago, or in the future.
    #[error("the signature's time is more than {} minutes from ours: redeliver the hook, or set the clocks", TIMESTAMP_TOLERANCE.num_minutes())]
    Stale,
}

impl HookError {
    /// Whether the answer is 401; the others are 400.
    #[must_use]
    pub fn is_unauthorized(&self) -> bool {
        matches!(
            self,
            Self::Unsigned { .. } | Self::WrongSignature { .. } | Self::Stale
        )
    }

    /// A short name that does not change, for machines.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::WrongPath { .. } => "hook-wrong-path",
            Self::NoEvent { .. } => "hook-no-event",
            Self::NotJson { .. } => "hook-not-json",
            Self::NotAPush { .. } => "hook-no-push",
            Self::NoDeliveryId { .. } => "hook-no-delivery-id",
            Self::Unsigned { .. } => "hook-unsigned",
            Self::WrongSignature { .. } => "hook-wrong-signature",
            Self::Stale => "hook-stale",
        }
    }
}

/// What a delivery claims, before anything of it is believed.
#[derive(Debug)]
pub struct Claim<'a> {
    forge: Forge,
    event: String,
    repository: Option<String>,
    headers: &'a Headers,
    raw: &'a [u8],
    json: Cow<'a, [u8]>,
}

/// A delivery whose signature held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Who sent it.
    pub forge: Forge,
    /// The same on a redelivery.
    pub delivery_id: String,
    /// The repository's full name as the forge writes it; nothing where the
    /// event belongs to none (a ping of an organisation's hook).
    pub repository: Option<String>,
    /// What happened, one entry a ref. Never empty.
    pub what: Vec<Change>,
}

/// Reads what a delivery claims to be.
///
/// # Errors
/// The wrong path, no event header, no JSON, or a push without a repository.
pub fn look<'a>(forge: Forge, headers: &'a Headers, raw: &'a [u8]) -> Result<Claim<'a>, HookError> {
    if let Some(sent_by) = headers.sent_by()
        && sent_by != forge
    {
        return Err(HookError::WrongPath {
            sent_by,
            path: forge,
        });
    }
    let event = headers
        .get(forge.event_header())
        .ok_or(HookError::NoEvent { forge })?
        .to_owned();
    let json = body::json(headers, raw)?;
    let repository = match forge {
        Forge::Github => github::repository(&json),
        Forge::Gitlab => gitlab::repository(&json),
        Forge::Gitea => gitea::repository(&json),
        Forge::Forgejo => forgejo::repository(&json),
        Forge::Bitbucket => bitbucket::repository(&json),
        Forge::BitbucketDc => bitbucket_dc::repository(&json),
    }?;
    if repository.is_none() && is_push(forge, &event) {
        let reason = "it names no repository".to_owned();
        return Err(HookError::NotAPush { forge, reason });
    }
    Ok(Claim {
        forge,
        event,
        repository,
        headers,
        raw,
        json,
    })
}

impl Claim<'_> {
    /// The repository that the body names. Not yet believed: good only to look
    /// up the secret. `None` for events of no repository, such as the ping of
    /// an organisation's hook.
    #[must_use]
    pub fn repository(&self) -> Option<&str> {
        self.repository.as_deref()
    }

    /// Checks the signature over the raw body, then reads the delivery.
    /// An empty secret never verifies.
    ///
    /// # Errors
    /// A missing, wrong or stale signature (401); a body that is no push (400).
    pub fn verify(&self, secret: &[u8], now: DateTime<Utc>) -> Result<Delivery, HookError> {
        // These two sign the JSON before it is put into a form. Without a form
        // both are the same bytes.
        let of_form = matches!(self.forge, Forge::Gitea | Forge::Forgejo);
        let signed = if of_form { &*self.json } else { self.raw };
        signature::verify(self.forge, self.headers, signed, secret, now)?;
        Ok(Delivery {
            forge: self.forge,
            delivery_id: self.delivery_id()?,
            repository: self.repository.clone(),
            what: self.changes()?,
        })
    }

    fn delivery_id(&self) -> Result<String, HookError> {
        let sent = self
            .headers
            .get(self.forge.delivery_header())
            .map(ToOwned::to_owned);
        let id = match self.forge {
            Forge::Gitlab => sent.or_else(|| gitlab::delivery_id(self.headers, self.raw)),
            _ => sent,
        };
        id.ok_or(HookError::NoDeliveryId { forge: self.forge })
    }

    fn changes(&self) -> Result<Vec<Change>, HookError> {
        let (event, json) = (self.event.as_str(), &*self.json);
        match self.forge {
            Forge::Github => github::changes(event, json),
            Forge::Gitlab => gitlab::changes(event, json),
            Forge::Gitea => gitea::changes(Forge::Gitea, event, json),
            Forge::Forgejo => forgejo::changes(event, json),
            Forge::Bitbucket => bitbucket::changes(event, json),
            Forge::BitbucketDc => bitbucket_dc::changes(event, json),
        }
    }
}

fn is_push(forge: Forge, event: &str) -> bool {
    match forge {
        Forge::Github | Forge::Gitea | Forge::Forgejo => event == "push",
        Forge::Gitlab => matches!(event, gitlab::PUSH | gitlab::TAG_PUSH),
        Forge::Bitbucket => event == bitbucket::PUSH,
        Forge::BitbucketDc => event == bitbucket_dc::PUSH,
    }
}
