//! What effects bring back from a base.

use ferry_ark::BizState;
use ferry_events::Stop;
use uuid::Uuid;

/// A version of the module that a base shows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Present {
    /// `Ark-Biz-Version`.
    pub version: String,
    /// What the base does with it.
    pub state: BizState,
    /// Whether it has a web context path.
    pub web: bool,
}

/// What came of a piece of work.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Of [`super::Work::Prepare`].
    Prepared(Prepared),
    /// Of [`super::Work::Drain`].
    Drained(Drained),
    /// Of [`super::Work::Act`].
    Acted(Acted),
    /// Of [`super::Work::Undrain`].
    Undrained(Undrained),
    /// Of [`super::Work::Restart`].
    Restarted(super::Restarted),
}

/// What came of looking and fetching.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// How it ended.
    pub end: PreparedEnd,
    /// Whether every intent that was unsettled is settled now.
    pub settled: bool,
    /// Time spent looking, in milliseconds.
    pub observe_ms: u64,
    /// Time spent fetching, in milliseconds; none: nothing was fetched.
    pub fetch_ms: Option<u64>,
}

/// How looking and fetching ended.
#[derive(Clone, Debug)]
pub enum PreparedEnd {
    /// All that is needed is in hand.
    Ready {
        /// The module's versions on the base.
        seen: Vec<Present>,
        /// Whether the jar to put back is in hand too.
        restorable: bool,
    },
    /// The plan in force is another one.
    Outdated,
    /// It cannot be done; nothing was touched.
    Failed {
        /// Why.
        stop: Stop,
        /// The module's versions, where the base was seen.
        seen: Option<Vec<Present>>,
    },
}

/// What came of taking a base out of its load balancer.
#[derive(Clone, Debug)]
pub struct Drained {
    /// How it ended.
    pub end: DrainedEnd,
    /// Time spent, in milliseconds.
    pub millis: u64,
}

/// How taking a base out of its load balancer ended.
#[derive(Clone, Debug)]
pub enum DrainedEnd {
    /// It is out.
    Done {
        /// The module's versions after it: draining may take longer than a base stays the same.
        seen: Vec<Present>,
    },
    /// The plan in force is another one.
    Outdated,
    /// It could not be taken out, or nobody knows what it runs.
    Failed {
        /// Why.
        stop: Stop,
    },
}

/// What came of putting a base back into its load balancer.
#[derive(Clone, Debug)]
pub struct Undrained {
    /// For which module it was out.
    pub module: String,
    /// Why it is not known to be back; none: it is.
    pub stop: Option<Stop>,
    /// Time spent, in milliseconds.
    pub millis: u64,
}

/// What came of an intent.
#[derive(Clone, Debug)]
pub struct Acted {
    /// The intent's request id.
    pub request: Uuid,
    /// How it ended.
    pub end: ActEnd,
    /// Time spent, in milliseconds.
    pub millis: u64,
    /// Metaspace that the base took meanwhile, in bytes, where that was asked.
    pub growth: Option<u64>,
}

/// How an intent ended.
#[derive(Clone, Debug)]
pub enum ActEnd {
    /// The plan in force is another one; no call was made, and none can come any more.
    Outdated,
    /// The base shows what was meant.
    Done {
        /// The module's versions after it.
        seen: Vec<Present>,
    },
    /// It is over, and the base shows something else.
    Failed {
        /// Why.
        stop: Stop,
        /// The module's versions after it.
        seen: Vec<Present>,
    },
    /// An installation failed, and the base cannot say why.
    Untold {
        /// The module's versions after it.
        seen: Vec<Present>,
    },
    /// It is not over at its deadline, and the base answers.
    Late {
        /// Why.
        stop: Stop,
        /// The module's versions at the deadline.
        seen: Vec<Present>,
    },
    /// The base fell silent: nobody knows what came of it.
    Silent {
        /// Why.
        stop: Stop,
    },
    /// It never happened, and its request id is used up: another attempt can be made.
    Void {
        /// What was met.
        why: String,
        /// The module's versions after it.
        seen: Vec<Present>,
    },
}
