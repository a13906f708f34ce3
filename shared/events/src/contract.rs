//! Who takes what and says what. Consumers and permissions are made from this table alone.
//!
//! In: nothing. Out: one [`Contract`] a service. A service that says something that is not here is
//! refused by the bus.

use cloudevents::event::UriReference;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Kind::{self, *};

/// The services.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Service {
    /// The way in.
    Gateway,
    /// From push to jar.
    Builder,
    /// From jar to release.
    Slimmer,
    /// Decides.
    Scheduler,
    /// Changes bases.
    Installer,
    /// Looks at bases.
    Verifier,
}

impl Service {
    /// All, in the order of a push's way.
    pub const ALL: [Service; 6] = [
        Self::Gateway,
        Self::Builder,
        Self::Slimmer,
        Self::Scheduler,
        Self::Installer,
        Self::Verifier,
    ];

    /// Its name, everywhere.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Builder => "builder",
            Self::Slimmer => "slimmer",
            Self::Scheduler => "scheduler",
            Self::Installer => "installer",
            Self::Verifier => "verifier",
        }
    }

    /// The `source` of its events.
    pub fn source(self) -> String {
        format!("/ferry/{}", self.name())
    }

    /// The service whose `source` this is.
    pub fn of_source(source: &UriReference) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|service| service.source() == *source)
    }

    /// What it takes and says.
    pub fn contract(self) -> &'static Contract {
        match self {
            Self::Gateway => &GATEWAY,
            Self::Builder => &BUILDER,
            Self::Slimmer => &SLIMMER,
            Self::Scheduler => &SCHEDULER,
            Self::Installer => &INSTALLER,
            Self::Verifier => &VERIFIER,
        }
    }
}

impl std::fmt::Display for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// What a service may do on the bus.
#[derive(Debug)]
pub struct Contract {
    /// Events that it handles, by its durable consumer.
    pub takes: &'static [Kind],
    /// Whether it handles commands.
    pub takes_commands: bool,
    /// Events that it publishes.
    pub says: &'static [Kind],
    /// Services whose commands it may publish.
    pub commands: &'static [Service],
    /// Whether it answers questions.
    pub answers: bool,
    /// Services that it may ask.
    pub asks: &'static [Service],
    /// Whether it keeps facts.
    pub keeps_facts: bool,
    /// Whether it may read jars.
    pub reads_jars: bool,
    /// Whether it may store jars.
    pub stores_jars: bool,
    /// Whether it writes build logs.
    pub writes_logs: bool,
    /// Whether it reads events, logs and facts as they come, for people.
    pub watches: bool,
}

const NOTHING: Contract = Contract {
    takes: &[],
    takes_commands: false,
    says: &[],
    commands: &[],
    answers: false,
    asks: &[],
    keeps_facts: false,
    reads_jars: false,
    stores_jars: false,
    writes_logs: false,
    watches: false,
};

static GATEWAY: Contract = Contract {
    says: &[PushReceived],
    commands: &[
        Service::Builder,
        Service::Slimmer,
        Service::Scheduler,
        Service::Installer,
        Service::Verifier,
    ],
    asks: &[Service::Slimmer, Service::Scheduler],
    stores_jars: true,
    watches: true,
    ..NOTHING
};

static BUILDER: Contract = Contract {
    // Snippets are compiled against the last build of their base.
    takes: &[PushReceived, ChangeMerged, ProfilePublished],
    takes_commands: true,
    says: &[
        PushResolved,
        ChangeMerged,
        BuildQueued,
        BuildStarted,
        BuildFinished,
        ArtifactPackaged,
        CommandSettled,
        WorkRetried,
        LetterReplayed,
        LetterDropped,
    ],
    reads_jars: true,
    stores_jars: true,
    writes_logs: true,
    ..NOTHING
};

static SLIMMER: Contract = Contract {
    // Its own too: what it published last is what a module's next jar is compared with.
    takes: &[ArtifactPackaged, ArtifactPublished, ProfilePublished],
    takes_commands: true,
    answers: true,
    says: &[
        ArtifactPublished,
        ArtifactRefused,
        ProfilePublished,
        CommandSettled,
        WorkRetried,
        LetterReplayed,
        LetterDropped,
    ],
    reads_jars: true,
    stores_jars: true,
    ..NOTHING
};

static SCHEDULER: Contract = Contract {
    takes: &[
        ChangeMerged,
        BuildFinished,
        ArtifactPublished,
        ArtifactRefused,
        ProfilePublished,
        RolloutRequested,
        RolloutFinished,
        TaskFinished,
        ObservationFinished,
        BaseJoined,
        BaseChanged,
        BaseLost,
        BaseQuarantined,
        BaseMended,
        ModuleDrifted,
        GateJudged,
        LineChanged,
        LineAsked,
        LineTold,
        JointReported,
        JointTold,
        RestartAsked,
        RestartGiven,
        RestartFinished,
        RestartOver,
    ],
    takes_commands: true,
    says: &[
        RunQueued,
        RunStarted,
        RunFinished,
        RolloutRequested,
        RolloutPlanned,
        RolloutFinished,
        WaveStarted,
        WaveFinished,
        TaskRequested,
        ObservationRequested,
        ServiceDeployed,
        ServiceUpgraded,
        ServiceRolledback,
        ModuleGivenUp,
        BaseQuarantined,
        BaseMended,
        GateRequested,
        GateFinished,
        LineChanged,
        LineAsked,
        LineTold,
        JointReported,
        JointTold,
        RestartListed,
        RestartAsked,
        RestartGiven,
        RestartRequested,
        RestartOver,
        CommandSettled,
        LetterReplayed,
        LetterDropped,
    ],
    answers: true,
    keeps_facts: true,
    ..NOTHING
};

static INSTALLER: Contract = Contract {
    takes: &[TaskRequested, RestartRequested, RestartOver],
    takes_commands: true,
    says: &[
        TaskStarted,
        TaskFinished,
        RestartFinished,
        CommandSettled,
        WorkRetried,
        LetterReplayed,
        LetterDropped,
    ],
    keeps_facts: true,
    reads_jars: true,
    ..NOTHING
};

static VERIFIER: Contract = Contract {
    takes: &[ObservationRequested, GateRequested, GateFinished],
    takes_commands: true,
    says: &[
        ModuleAnswering,
        ObservationFinished,
        BaseJoined,
        BaseChanged,
        BaseLost,
        ModuleDrifted,
        GateJudged,
        CommandSettled,
        LetterReplayed,
        LetterDropped,
    ],
    ..NOTHING
};
