//! Who, when, why: the story of a run, a base or a module, what was live where, and the acts themselves.
//!
//! In: serde. Out: [`WhyView`], [`HistoryView`] and what they are asked with. All is told from `FERRY_AUDIT`, which is
//! kept when the events are not any more.

use ferry_events::{Digest, EventId, RunId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::StopView;

/// What a story is about.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum About {
    /// A run.
    Run,
    /// A base.
    Base,
    /// A module.
    Module,
}

/// What to tell of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WhyQuery {
    /// What it is, where its name could be several; a module comes before a base, and that before a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<About>,
    /// Of a base or a module: since when; the last 30 days unless it is said. A run is told whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

/// The story of something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WhyView {
    /// What it is about.
    pub about: About,
    /// The run's id, or the name of the base or module.
    pub name: String,
    /// Of a run: its module.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// How it stands, in a sentence.
    pub now: String,
    /// What everything else followed from, where something went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<CauseView>,
    /// Environments whose bases it changed and that did not end well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub troubles: Vec<TroubleView>,
    /// What to do next, in order: commands, or a sentence where there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub next: Vec<String>,
    /// What happened, the oldest first.
    pub story: Vec<TellView>,
    /// How many older sentences are left out.
    #[serde(default)]
    pub left_out: u64,
    /// Whether the end is not kept yet: the server fills the stream of acts a little later, and after the death of a
    /// server up to minutes. Ask again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub behind: bool,
}

/// A root cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CauseView {
    /// When it was seen.
    pub at: Timestamp,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// What it was.
    pub stop: StopView,
}

/// One sentence of a story.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TellView {
    /// When.
    pub at: Timestamp,
    /// What happened.
    pub text: String,
    /// Which person did it; none: Ferry did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Why, in that person's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The run that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// The environment that it happened in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Whether it is one of the things that went wrong.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bad: bool,
    /// The kind of the event, such as `rollout.planned`.
    pub kind: String,
    /// The event, as `ferry audit export` writes it.
    pub event: EventId,
    /// The event that it was decided on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<EventId>,
    /// Of a person's act: the place in the stream up to which that person had seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub based_on: Option<u64>,
}

/// An environment in which a rollout did not end well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TroubleView {
    /// The environment.
    pub environment: String,
    /// The wave that was in hand when it failed, from 1; 0: none was any more.
    pub wave: u32,
    /// Of how many.
    pub waves: u32,
    /// Whether the way back still goes on.
    pub going_back: bool,
    /// The version that bases should run now; none: none was ever verified there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<String>,
    /// Bases that were changed and are back.
    pub back: Vec<String>,
    /// Bases that were changed and are not back.
    pub not_back: Vec<NotBackView>,
    /// Bases that were not changed.
    pub untouched: Vec<String>,
    /// Whether traffic is safe.
    pub traffic: TrafficView,
}

/// A base that is not back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NotBackView {
    /// The base.
    pub base: String,
    /// What is the matter with it, in a few words.
    pub what: String,
    /// Whether it could not be brought back and is quarantined: it counts as out of service, and no rollout takes
    /// another base of its zone beyond the limits for it.
    pub quarantined: bool,
    /// Whether it does not answer.
    pub lost: bool,
    /// When Ferry tries again by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Timestamp>,
    /// Whether Ferry has given it up.
    pub given_up: bool,
}

/// Whether requests are answered as they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Safety {
    /// Every base runs what was verified.
    Safe,
    /// Some bases do not, and each zone has others that do.
    Reduced,
    /// A zone has fewer that do than it must have, or none.
    Unsafe,
}

/// Whether traffic is safe, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TrafficView {
    /// In a word.
    pub safety: Safety,
    /// In sentences.
    pub text: String,
    /// How many bases run what was verified, and answer.
    pub serving: u32,
    /// Of how many.
    pub of: u32,
}

/// Which part of a module's history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HistoryQuery {
    /// Only this environment's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
}

/// What was live of a module, where and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HistoryView {
    /// The module.
    pub module: String,
    /// Versions, the newest first.
    pub periods: Vec<PeriodView>,
    /// How many older ones are left out.
    #[serde(default)]
    pub left_out: u64,
}

/// How a version's time ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PeriodEnd {
    /// It is live.
    Live,
    /// It is on its way: some bases run it.
    RollingOut,
    /// Another version was verified in its place.
    Replaced,
    /// It was never verified, and every base that it came to is back.
    RolledBack,
    /// It was never verified, and a base could not be brought back.
    Broken,
    /// It was never verified, and a newer one took its place.
    Superseded,
}

/// The time of a version in an environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PeriodView {
    /// The environment.
    pub environment: String,
    /// The version.
    pub version: String,
    /// Its packaged artifact, where it was verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packaged: Option<Digest>,
    /// The commit that it was built from, where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The run that brought it.
    pub run: RunId,
    /// Who wrote the change or asked for it, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When its first wave began.
    pub since: Timestamp,
    /// When it was verified on every base; none: it never was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<Timestamp>,
    /// When its time ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// How.
    pub end: PeriodEnd,
    /// The run that took its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<RunId>,
    /// Why it ended, where it did not end well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<StopView>,
}

/// Which acts to write out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditQuery {
    /// Only what happened at this moment or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Only this module's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
}
