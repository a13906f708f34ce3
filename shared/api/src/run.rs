//! Runs: where each is, why, and where its time went.
//!
//! In: serde. Out: [`RunSummary`], [`RunView`] and their parts.

use std::collections::BTreeMap;

use ferry_events::artifact::{Profiled, Slimmed};
use ferry_events::line::Standing;
use ferry_events::rollout::Direction;
use ferry_events::run::RunKind;
use ferry_events::task::StepTime;
use ferry_events::verify::Answer;
use ferry_events::work::Retried;
use ferry_events::{CommandId, Digest, PlanId, PushId, RunId, Service, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{GateView, StopView};

/// Where a run is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// It waits for its build.
    Queued,
    /// Its commit is being built.
    Building,
    /// Its jar is being slimmed.
    Slimming,
    /// It is being rolled out.
    RollingOut,
    /// Verified in its last environment.
    Succeeded,
    /// It stopped; what was before is there again.
    Failed,
    /// A newer run took its place.
    Superseded,
    /// It stopped, and something is not as it should be.
    Broken,
}

impl RunState {
    /// Whether nothing more will happen.
    pub fn is_over(self) -> bool {
        matches!(
            self,
            Self::Succeeded | Self::Failed | Self::Superseded | Self::Broken
        )
    }

    /// The word that stands in JSON and on screens.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Building => "building",
            Self::Slimming => "slimming",
            Self::RollingOut => "rolling-out",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Superseded => "superseded",
            Self::Broken => "broken",
        }
    }
}

impl std::fmt::Display for RunState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// One run in a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunSummary {
    /// The run.
    pub id: RunId,
    /// The module.
    pub module: String,
    /// What it is for.
    pub kind: RunKind,
    /// Where it is.
    pub state: RunState,
    /// The environment that it is in, or stopped in, where it has come to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The repository.
    pub repository: String,
    /// The branch.
    pub branch: String,
    /// The commit, where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Who pushed or asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// The first line of the commit's message, or why a person asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When it began.
    pub began_at: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Why it did not succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<StopView>,
}

/// One run, whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunView {
    /// What a list shows of it.
    #[serde(flatten)]
    pub summary: RunSummary,
    /// The push that caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push: Option<PushId>,
    /// The command that caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<CommandId>,
    /// The trace that it is in: 32 hexadecimal digits, the id of the push, command or run that it began with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// The packaged artifact, once it is in the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packaged: Option<Digest>,
    /// The version that it brings, once its jar is slimmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The jar of each pool, by the pool's name, once it is slimmed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub slimmed: BTreeMap<String, Slimmed>,
    /// What the build of a base provides, once its profile is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profiled>,
    /// What the module set for itself in its `.ferry.toml` at the commit, by its keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub own: Vec<String>,
    /// Its environments, in order.
    pub environments: Vec<EnvironmentView>,
    /// What happened, in order, with times.
    pub steps: Vec<StepView>,
    /// What failed and is tried again, until it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryView>,
    /// The pauses that concern it, in the environments that it has still to go through.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paused: Vec<Standing>,
}

/// An attempt that failed for a cause that may pass, and the next one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RetryView {
    /// Who tries.
    pub service: Service,
    /// What is tried, in a word: `fetch`, `build`, `slim`, `install`.
    pub what: String,
    /// Attempts that failed so far.
    pub tries: u32,
    /// Attempts at most; 4294967295 says that there is no end to them.
    pub most: u32,
    /// When the first one failed.
    pub first_at: Timestamp,
    /// When the next one begins; past: it has.
    pub next_at: Timestamp,
    /// Why the last one failed.
    pub stop: StopView,
}

impl From<&Retried> for RetryView {
    fn from(it: &Retried) -> Self {
        Self {
            service: it.service,
            what: it.what.clone(),
            tries: it.tries,
            most: it.most,
            first_at: it.first_at,
            next_at: it.next_at,
            stop: (&it.stop).into(),
        }
    }
}

/// One step of a run's way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepView {
    /// `resolve`, `queue`, `build`, `slim`, `rollout`, `wave`, `gate`.
    pub name: String,
    /// The environment, of steps that are in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// What it was about, in a few words: a version, a wave's bases, a gate and who let it
    /// pass.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// When it began.
    pub began_at: Timestamp,
    /// When it ended; nothing while it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<StopView>,
}

impl StepView {
    /// How long it took, in milliseconds, once it has ended.
    pub fn millis(&self) -> Option<u64> {
        let took = self.ended_at? - self.began_at;
        Some(took.num_milliseconds().max(0).unsigned_abs())
    }
}

/// Where a run is in one environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EnvironmentState {
    /// It has not come there yet.
    Waiting,
    /// Its bases are being changed.
    RollingOut,
    /// Its rollout waits: see [`EnvironmentView::gates`].
    WaitingForGate,
    /// It failed there, and its bases are being brought back.
    RollingBack,
    /// Verified on every base.
    Verified,
    /// It failed, and every base that it touched is as it was before.
    RolledBack,
    /// It failed, and a base could not be brought back.
    Broken,
    /// It failed before any base was touched.
    Stopped,
    /// A newer run took its place before it began.
    Superseded,
}

impl EnvironmentState {
    /// Whether nothing more will happen there.
    pub fn is_over(self) -> bool {
        !matches!(
            self,
            Self::Waiting | Self::RollingOut | Self::WaitingForGate | Self::RollingBack
        )
    }
}

/// A run in one environment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EnvironmentView {
    /// The environment.
    pub name: String,
    /// Where the run is there.
    pub state: EnvironmentState,
    /// The version that is live there after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<String>,
    /// The plan in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanId>,
    /// How many of its waves have begun.
    #[serde(default)]
    pub wave: u32,
    /// How many waves there are.
    #[serde(default)]
    pub waves: u32,
    /// What its rollout waits for now, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<GateView>,
    /// The change on each base, in the plan's order.
    pub tasks: Vec<TaskView>,
    /// Why it did not succeed there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<StopView>,
}

/// Where one base's change is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TaskState {
    /// Its wave has not begun.
    Waiting,
    /// Asked of the installer.
    Requested,
    /// The installer has it in hand.
    Installing,
    /// Done on the base; the verifier looks at it.
    Verifying,
    /// It answered well once; the soak goes on.
    Soaking,
    /// Active, answering and well.
    Verified,
    /// It failed.
    Failed,
}

/// The change of one base.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskView {
    /// The base.
    pub base: String,
    /// Its pool.
    pub pool: String,
    /// Forward, or back to what was before.
    pub direction: Direction,
    /// Where it is.
    pub state: TaskState,
    /// The version that the base shall run; none: it shall be without the module.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<String>,
    /// The version that was seen running afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<String>,
    /// What the module answered last, where it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
    /// Where the installer's time went.
    #[serde(default)]
    pub steps: Vec<StepTime>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<StopView>,
}

/// Which runs to list, newest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunsQuery {
    /// Only this module's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// Only those in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<RunState>,
    /// At most so many. Default: [`RunsQuery::DEFAULT_LIMIT`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

impl RunsQuery {
    /// A screen or two.
    pub const DEFAULT_LIMIT: usize = 50;
    /// What one reply may hold: about a megabyte.
    pub const MAX_LIMIT: usize = 1000;
}
