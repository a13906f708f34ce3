//! `GET /healthz` and `/readyz`.
//!
//! In: serde. Out: [`Health`], [`Ready`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The process lives (200).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// Always true: a process that cannot say so says nothing.
    pub alive: bool,
    /// Its version.
    pub version: String,
}

/// Whether the gateway can do its work: 200 when it can, else 503.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ready {
    /// All checks hold.
    pub ready: bool,
    /// Each of them.
    pub checks: Vec<Check>,
}

/// One thing that must hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// `bus`, `views`, `inbox`, `secrets`.
    pub name: String,
    /// Whether it holds.
    pub ok: bool,
    /// What was found, in words.
    pub detail: String,
}
