//! A base's record, as it is stored.
//!
//! On the bus: JSON of [`Base`] in the state of the aggregate `base.<name>`.

use std::collections::{BTreeMap, BTreeSet};

use ferry_events::{
    Digest, PlanId, RunId, Stop, TaskId,
    fact::{BaseRecord, Left},
    task::{Requested, StepTime, Want},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::restart::Restart;

/// Finished tasks that are remembered of each module. A message that comes again after its ack was lost
/// comes within minutes; a module has one task a plan on a base. Should an older one slip through, the
/// plan's fence ends it without a change.
pub const RECENT_MAX: usize = 8;

/// What the installer knows of a base.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Base {
    /// The task in hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_hand: Option<InHand>,
    /// Tasks that wait for it, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub queue: Vec<Requested>,
    /// What the task before came of: another's turn is next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served: Option<Uuid>,
    /// What was left there, by module.
    #[serde(default)]
    pub modules: BTreeMap<String, Module>,
    /// Intents of tasks that ended without knowing whether their call may still arrive. The next task
    /// settles them before it does anything else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unsettled: Vec<Intent>,
    /// For which modules it was taken out of its load balancer, from before it is asked for until it is
    /// known to be back.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub drained: BTreeMap<String, Out>,
    /// Its restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<Restart>,
    /// The last turn of a restart that is over: word of an older one is late.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub restarts_over: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A base was taken out of its load balancer for a module.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Out {
    /// The base.
    pub base: String,
    /// The module's environment.
    pub environment: String,
    /// The run for which it was last done.
    pub run: RunId,
}

impl Out {
    /// Out for a task.
    pub(super) fn of(task: &Requested) -> Self {
        Self {
            base: task.base.clone(),
            environment: task.environment.clone(),
            run: task.run,
        }
    }
}

/// What was left of a module.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Module {
    /// As the fact says it; none: the module was never looked at there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<Left>,
    /// The jar of that version, where Ferry installed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// The tasks that ended last, the newest at the end: they are not done again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub finished: Vec<TaskId>,
}

/// The task in hand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InHand {
    /// The task.
    pub task: Requested,
    /// Where it stands.
    pub phase: Phase,
    /// Intents so far, by step: the next attempt's number, so that no request id comes twice.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attempts: BTreeMap<StepName, u32>,
    /// How often the change that is in hand was lost or refused by the base.
    #[serde(default)]
    pub tries: u32,
    /// Where the time went.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepTime>,
    /// Why the wanted version was given up; what follows puts the base right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<Stop>,
    /// Versions that would not go after the failure.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub stuck: BTreeSet<String>,
    /// Whether the base could not say why the wanted version did not start, and is asked in the other way.
    #[serde(default)]
    pub untold: bool,
    /// Whether the jar to put back can be had.
    #[serde(default)]
    pub restorable: bool,
    /// Metaspace that the base took while the wanted version was installed, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub growth: Option<u64>,
    /// Whether the base was taken out of its load balancer for this task.
    #[serde(default)]
    pub drained: bool,
    /// The active version as it was seen last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<String>,
}

impl InHand {
    pub(super) fn new(task: Requested) -> Self {
        Self {
            task,
            phase: Phase::Prepare,
            attempts: BTreeMap::new(),
            tries: 0,
            steps: Vec::new(),
            failed: None,
            stuck: BTreeSet::new(),
            untold: false,
            restorable: false,
            growth: None,
            drained: false,
            running: None,
        }
    }
}

/// Where a task stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The base is looked at, the jars are fetched; nothing is changed.
    Prepare,
    /// The base is being taken out of its load balancer.
    Drain,
    /// A change is being made.
    Change(Box<Intent>),
    /// It is over, and the base is being put back into its load balancer.
    Undrain {
        /// Why it failed, where it did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stop: Option<Stop>,
    },
}

/// The steps whose time is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepName {
    /// Looking at the base before anything is done.
    Observe,
    /// Getting the jars.
    Fetch,
    /// Taking the base out of its load balancer.
    Drain,
    /// Taking a version out.
    Uninstall,
    /// Putting the wanted version in.
    Install,
    /// Putting the version before back.
    Restore,
    /// Putting the base back into its load balancer.
    Undrain,
}

impl StepName {
    /// Its word in events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Fetch => "fetch",
            Self::Drain => "drain",
            Self::Uninstall => "uninstall",
            Self::Install => "install",
            Self::Restore => "restore",
            Self::Undrain => "undrain",
        }
    }
}

/// A change that may be asked of a base, once it stands in the committed record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// The task.
    pub task: TaskId,
    /// The plan that must be in force.
    pub plan: PlanId,
    /// The step.
    pub step: StepName,
    /// Which intent of that step, from 1.
    pub attempt: u32,
    /// Arklet's request id: derived from task, step and attempt. Arklet takes each once.
    pub request: Uuid,
    /// The name under which the base knows the module.
    pub biz: String,
    /// What to do.
    pub change: Change,
}

impl Intent {
    /// The version that it is about.
    pub fn version(&self) -> &str {
        match &self.change {
            Change::Uninstall { version } => version,
            Change::Install { want } | Change::Explain { want } => &want.version,
        }
    }
}

/// What an intent does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Takes a version out.
    Uninstall {
        /// The version.
        version: String,
    },
    /// Puts a version in.
    Install {
        /// The jar.
        want: Want,
    },
    /// Puts a version in by a synchronous call, because the base could not say why it failed before: only
    /// such a reply tells every cause. Request ids mean nothing to it; what fences it is its jar's address.
    Explain {
        /// The jar.
        want: Want,
    },
}

impl Base {
    /// Whether this request is the change that is being made: else its jar is not for the taking.
    pub fn is_in_hand(&self, request: Uuid) -> bool {
        let phase = self.in_hand.as_ref().map(|hand| &hand.phase);
        matches!(phase, Some(Phase::Change(intent)) if intent.request == request)
    }

    /// The module for which the base has to be out of its load balancer at this moment.
    pub fn out_for(&self) -> Option<&str> {
        let hand = self.in_hand.as_ref()?;
        let is_out = matches!(hand.phase, Phase::Drain | Phase::Change(_)) && hand.drained;
        is_out.then_some(hand.task.module.as_str())
    }

    /// The fact that others read.
    pub fn fact(&self) -> BaseRecord {
        BaseRecord {
            busy: self.in_hand.is_some() || self.is_being_restarted(),
            modules: self
                .modules
                .iter()
                .filter_map(|(name, module)| Some((name.clone(), module.left.clone()?)))
                .collect(),
        }
    }
}
