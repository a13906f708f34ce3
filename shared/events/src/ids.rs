//! Ids that are derived from their cause, so that a retry has the same one.
//!
//! In: what caused the thing. Out: a UUIDv5 (RFC 9562, section 5.5) or a SHA-256.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// The namespace of every id that Ferry derives.
pub const NAMESPACE: Uuid = Uuid::from_u128(0x7d1c_6c1e_52e4_5a0b_9e9e_f0e7_70fe_2217);

/// Derives a UUIDv5 from parts. Each part is preceded by its length, so that no two lists of
/// parts give the same input.
pub fn derive(kind: &str, parts: &[&str]) -> Uuid {
    let mut input = String::from(kind);
    for part in parts {
        input.push_str(&format!("/{}:{part}", part.len()));
    }
    Uuid::new_v5(&NAMESPACE, input.as_bytes())
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
        )]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }

        impl $name {
            /// The first eight hexadecimal digits, for people.
            pub fn short(&self) -> String {
                self.0.simple().to_string()[..8].to_owned()
            }
        }
    };
}

uuid_id! {
    /// An event's id: derived from the aggregate that said it, its sequence, the type and the index.
    EventId
}
uuid_id! {
    /// A push's id: derived from forge, repository, delivery id and ref, so that a redelivery has it too.
    PushId
}
uuid_id! {
    /// A run's id, and its `chainId`: what one push causes for one module.
    RunId
}
uuid_id! {
    /// A task's id: one change on one base under one plan.
    TaskId
}
uuid_id! {
    /// A dead letter's id: derived from who could not handle which message.
    LetterId
}
uuid_id! {
    /// A command's id: chosen by the gateway when a person asks.
    CommandId
}

impl EventId {
    /// The id of the `index`-th event of a type that an aggregate says with its state `sequence`.
    pub fn of(service: &str, aggregate: &str, sequence: u64, kind: &str, index: usize) -> Self {
        Self(derive(
            "event",
            &[
                service,
                aggregate,
                &sequence.to_string(),
                kind,
                &index.to_string(),
            ],
        ))
    }
}

impl LetterId {
    /// The dead letter that stands for a service's message, by its sequence in its stream.
    pub fn of(service: &str, stream: &str, sequence: u64) -> Self {
        Self(derive(
            "dead-letter",
            &[service, stream, &sequence.to_string()],
        ))
    }
}

impl PushId {
    /// The id of a delivery's movement of one ref.
    pub fn of(forge: &str, repository: &str, delivery: &str, reference: &str) -> Self {
        Self(derive("push", &[forge, repository, delivery, reference]))
    }
}

impl RunId {
    /// The run that the `sequence`-th head of a branch causes for a module.
    pub fn of(repository: &str, branch: &str, sequence: u64, module: &str) -> Self {
        Self(derive(
            "run",
            &[repository, branch, &sequence.to_string(), module],
        ))
    }

    /// The run that a person's command causes for a module.
    pub fn of_command(command: CommandId, module: &str) -> Self {
        Self(derive("run-of-command", &[&command.to_string(), module]))
    }

    /// The run that brings drifted bases back: the plan of this generation of a module in an environment.
    pub fn of_repair(module: &str, environment: &str, generation: u64) -> Self {
        Self(derive(
            "repair",
            &[module, environment, &generation.to_string()],
        ))
    }
}

impl TaskId {
    /// The change of one base under a plan.
    pub fn of(plan: &PlanId, base: &str) -> Self {
        Self(derive("task", &[plan.as_str(), base]))
    }

    /// The request id of one attempt at one step of this task on its base. Arklet takes each once.
    pub fn request(&self, step: &str, attempt: u32) -> Uuid {
        derive("request", &[&self.to_string(), step, &attempt.to_string()])
    }
}

/// The SHA-256 of some bytes, as 64 lower-case hexadecimal digits. It is the bytes' name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Digest(String);

/// Why a text is no digest.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a digest is 64 lower-case hexadecimal digits, not {0:?}")]
pub struct BadDigest(String);

impl Digest {
    /// The digest of bytes in memory.
    pub fn of(bytes: &[u8]) -> Self {
        Self(hex::encode(Sha256::digest(bytes)))
    }

    /// The digest whose 32 bytes a hasher has just given.
    pub fn from_hash(hash: [u8; 32]) -> Self {
        Self(hex::encode(hash))
    }

    /// The 64 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve digits, for people.
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

impl FromStr for Digest {
    type Err = BadDigest;
    fn from_str(text: &str) -> Result<Self, BadDigest> {
        let good = text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadDigest(text.to_owned()))
        }
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A plan's name: the digest of its canonical JSON. Only equality counts.
pub type PlanId = Digest;
