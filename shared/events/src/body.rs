//! Every kind of event: its type on the wire, its payload, and what CDEvents asks of it.
//!
//! Standard kinds follow CDEvents 0.5.1: `subject.content` holds only what the specification
//! allows, and Ferry's own payload is `customData`. Ferry's own kinds
//! (`dev.cdeventsx.ferry-<subject>.<predicate>`) carry the payload as `subject.content`.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    artifact, base, build, command, gate, joint, letter, line, push, restart, rollout, run, task,
    verify, work,
};

macro_rules! bodies {
    ($($(#[$doc:meta])* $name:ident($payload:ty) = $subject:literal . $predicate:literal, $version:literal, $standard:literal;)*) => {
        /// The kind of an event.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind { $($(#[$doc])* $name,)* }

        /// What an event says.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Body { $($(#[$doc])* $name(Box<$payload>),)* }

        impl Kind {
            /// Every kind.
            pub const ALL: &'static [Kind] = &[$(Kind::$name),*];

            /// The subject token: what it is about.
            pub fn subject(self) -> &'static str {
                match self { $(Kind::$name => $subject,)* }
            }

            /// The predicate token: what happened to it.
            pub fn predicate(self) -> &'static str {
                match self { $(Kind::$name => $predicate,)* }
            }

            /// The version of the kind's schema.
            pub fn version(self) -> &'static str {
                match self { $(Kind::$name => $version,)* }
            }

            /// Whether CDEvents defines it.
            pub fn is_standard(self) -> bool {
                match self { $(Kind::$name => $standard,)* }
            }

            /// The JSON schema of Ferry's payload.
            pub fn payload_schema(self, generator: &mut SchemaGenerator) -> Schema {
                match self { $(Kind::$name => <$payload>::json_schema(generator),)* }
            }
        }

        impl Body {
            /// Its kind.
            pub fn kind(&self) -> Kind {
                match self { $(Body::$name(_) => Kind::$name,)* }
            }

            /// Ferry's payload as JSON.
            pub(crate) fn payload(&self) -> Value {
                fn json_of(payload: &impl Serialize) -> Value {
                    serde_json::to_value(payload).expect("a payload is always JSON")
                }
                match self { $(Body::$name(payload) => json_of(payload.as_ref()),)* }
            }

            /// Reads a payload of a kind.
            pub(crate) fn read(kind: Kind, payload: Value) -> Result<Self, serde_json::Error> {
                Ok(match kind { $(Kind::$name => Body::$name(serde_json::from_value(payload)?),)* })
            }
        }

        $(impl From<$payload> for Body {
            fn from(payload: $payload) -> Self { Body::$name(Box::new(payload)) }
        })*
    };
}

/// Gives a payload that several kinds share a type of its own for each.
macro_rules! wrap {
    ($($(#[$doc:meta])* $name:ident($inner:ty);)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, serde::Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(pub $inner);
        impl std::ops::Deref for $name {
            type Target = $inner;
            fn deref(&self) -> &$inner { &self.0 }
        }
    )*};
}

wrap! {
    /// `build.queued`.
    BuildQueued(build::Build);
    /// `build.started`.
    BuildStarted(build::Build);
    /// `wave.started`.
    WaveStarted(rollout::Wave);
    /// `wave.finished`.
    WaveFinished(rollout::Wave);
    /// `service.deployed`: the module is live in an environment for the first time.
    ServiceDeployed(rollout::Service);
    /// `service.upgraded`: another version is live there.
    ServiceUpgraded(rollout::Service);
    /// `service.rolledback`: the version before is live there again.
    ServiceRolledback(rollout::Service);
    /// `base.joined`: a base answers.
    BaseJoined(base::Seen);
    /// `base.changed`: it carries other modules than before.
    BaseChanged(base::Seen);
    /// `letter.replayed`: the service has handled the message after all.
    LetterReplayed(letter::Closed);
    /// `letter.dropped`: the message will not be handled.
    LetterDropped(letter::Closed);
}

bodies! {
    /// A verified delivery moves a branch.
    PushReceived(push::Received) = "push"."received", "0.1.0", false;
    /// Git was asked what a push moved.
    PushResolved(push::Resolved) = "push"."resolved", "0.1.0", false;
    /// A commit concerns a module; its run begins.
    ChangeMerged(push::ChangeMerged) = "change"."merged", "0.3.0", true;
    /// A build waits for its turn.
    BuildQueued(BuildQueued) = "build"."queued", "0.3.0", true;
    /// A build began.
    BuildStarted(BuildStarted) = "build"."started", "0.3.0", true;
    /// A build ended.
    BuildFinished(build::Finished) = "build"."finished", "0.3.0", true;
    /// The jar as built is in the store.
    ArtifactPackaged(artifact::Packaged) = "artifact"."packaged", "0.3.0", true;
    /// The release is ready to be rolled out.
    ArtifactPublished(artifact::Published) = "artifact"."published", "0.3.0", true;
    /// The jar cannot be installed as it is.
    ArtifactRefused(artifact::Refused) = "artifact"."refused", "0.1.0", false;
    /// A build of a base is known: what it provides is slimmed against.
    ProfilePublished(artifact::Profiled) = "profile"."published", "0.1.0", false;
    /// A run is known.
    RunQueued(run::Queued) = "pipelinerun"."queued", "0.3.0", true;
    /// A run's first work began.
    RunStarted(run::Started) = "pipelinerun"."started", "0.3.0", true;
    /// A run ended.
    RunFinished(run::Finished) = "pipelinerun"."finished", "0.3.0", true;
    /// A run has come to an environment.
    RolloutRequested(rollout::Requested) = "rollout"."requested", "0.1.0", false;
    /// A plan is in force.
    RolloutPlanned(rollout::Planned) = "rollout"."planned", "0.1.0", false;
    /// A rollout ended.
    RolloutFinished(rollout::Finished) = "rollout"."finished", "0.1.0", false;
    /// A wave began.
    WaveStarted(WaveStarted) = "wave"."started", "0.1.0", false;
    /// A wave ended.
    WaveFinished(WaveFinished) = "wave"."finished", "0.1.0", false;
    /// A rollout waits for something.
    GateRequested(gate::Requested) = "gate"."requested", "0.1.0", false;
    /// The verifier's verdict on what a rollout waits for.
    GateJudged(gate::Judged) = "gate"."judged", "0.1.0", false;
    /// A wait ended.
    GateFinished(gate::Finished) = "gate"."finished", "0.1.0", false;
    /// A person paused, resumed or aborted.
    LineChanged(line::Changed) = "line"."changed", "0.1.0", false;
    /// A module came to an environment for the first time, and asks what is paused.
    LineAsked(line::Asked) = "line"."asked", "0.1.0", false;
    /// What is paused for it.
    LineTold(line::Told) = "line"."told", "0.1.0", false;
    /// A module of a release of several says how far it is.
    JointReported(joint::Reported) = "joint"."reported", "0.1.0", false;
    /// What a module of a release of several may do.
    JointTold(joint::Told) = "joint"."told", "0.1.0", false;
    /// A base shall be changed.
    TaskRequested(task::Requested) = "task"."requested", "0.1.0", false;
    /// A task is in hand.
    TaskStarted(task::Started) = "taskrun"."started", "0.3.0", true;
    /// A task ended.
    TaskFinished(task::Finished) = "taskrun"."finished", "0.3.0", true;
    /// A module shall be looked at.
    ObservationRequested(verify::Requested) = "observation"."requested", "0.1.0", false;
    /// A module answered well for the first time.
    ModuleAnswering(verify::Answering) = "module"."answering", "0.1.0", false;
    /// The verdict on a module on a base.
    ObservationFinished(verify::Finished) = "testsuiterun"."finished", "0.3.0", true;
    /// Live in an environment for the first time.
    ServiceDeployed(ServiceDeployed) = "service"."deployed", "0.3.0", true;
    /// Another version is live in an environment.
    ServiceUpgraded(ServiceUpgraded) = "service"."upgraded", "0.3.0", true;
    /// The version before is live in an environment again.
    ServiceRolledback(ServiceRolledback) = "service"."rolledback", "0.3.0", true;
    /// A base answers.
    BaseJoined(BaseJoined) = "base"."joined", "0.1.0", false;
    /// A base carries other modules than before.
    BaseChanged(BaseChanged) = "base"."changed", "0.1.0", false;
    /// A base does not answer any more.
    BaseLost(base::Lost) = "base"."lost", "0.1.0", false;
    /// A base runs something other than what was decided.
    ModuleDrifted(base::Drifted) = "module"."drifted", "0.1.0", false;
    /// A base could not be brought back, and gets no rollouts for now.
    BaseQuarantined(base::Quarantined) = "base"."quarantined", "0.1.0", false;
    /// It is as it should be again.
    BaseMended(base::Mended) = "base"."mended", "0.1.0", false;
    /// A base is to be restarted when its turn comes.
    RestartListed(restart::Listed) = "restart"."listed", "0.1.0", false;
    /// The modules of its pool are asked whether they can spare it.
    RestartAsked(restart::Asked) = "restart"."asked", "0.1.0", false;
    /// A module can spare it, or never will.
    RestartGiven(restart::Given) = "restart"."given", "0.1.0", false;
    /// A base shall be restarted.
    RestartRequested(restart::Requested) = "restart"."requested", "0.1.0", false;
    /// A base was restarted and answers, or was not.
    RestartFinished(restart::Finished) = "restart"."finished", "0.1.0", false;
    /// A base is off the list of restarts.
    RestartOver(restart::Over) = "restart"."over", "0.1.0", false;
    /// A module was brought back on a base as often as it may be.
    ModuleGivenUp(base::GivenUp) = "module"."givenup", "0.1.0", false;
    /// A command was taken or refused.
    CommandSettled(command::Settled) = "command"."settled", "0.1.0", false;
    /// An attempt failed for a cause that may pass; it is tried again.
    WorkRetried(work::Retried) = "work"."retried", "0.1.0", false;
    /// A dead letter's message was handled after all.
    LetterReplayed(LetterReplayed) = "letter"."replayed", "0.1.0", false;
    /// A dead letter's message will not be handled.
    LetterDropped(LetterDropped) = "letter"."dropped", "0.1.0", false;
}

impl Kind {
    /// The CloudEvents and CDEvents type.
    pub fn type_name(self) -> String {
        let prefix = if self.is_standard() {
            "dev.cdevents."
        } else {
            "dev.cdeventsx.ferry-"
        };
        format!(
            "{prefix}{}.{}.{}",
            self.subject(),
            self.predicate(),
            self.version()
        )
    }

    /// `subject.predicate`, as people and filters write it.
    pub fn short_name(self) -> String {
        format!("{}.{}", self.subject(), self.predicate())
    }

    /// The kind of a type on the wire, whatever its version; the version stands beside it.
    pub fn of_type(type_name: &str) -> Option<(Kind, &str)> {
        let rest = type_name
            .strip_prefix("dev.cdeventsx.ferry-")
            .or_else(|| type_name.strip_prefix("dev.cdevents."))?;
        let mut parts = rest.splitn(3, '.');
        let (subject, predicate, version) = (parts.next()?, parts.next()?, parts.next()?);
        Self::ALL
            .iter()
            .find(|kind| {
                kind.subject() == subject
                    && kind.predicate() == predicate
                    && type_name.starts_with("dev.cdeventsx.") != kind.is_standard()
            })
            .map(|kind| (*kind, version))
    }
}

fn outcome_of(stop: &Option<crate::Stop>) -> &'static str {
    if stop.is_some() { "failure" } else { "success" }
}

fn errors_of(mut content: Value, stop: &Option<crate::Stop>) -> Value {
    if let Some(stop) = stop {
        content["errors"] = json!(stop.to_string());
    }
    content
}

/// Package URL (purl-spec, type `generic`) of a jar.
fn purl(module: &str, version: &str, digest: &crate::Digest) -> String {
    format!("pkg:generic/{module}@{version}?checksum=sha256:{digest}")
}

fn service_content(service: &rollout::Service) -> Value {
    json!({
        "environment": {"id": service.environment},
        "artifactId": purl(&service.module, &service.version, &service.packaged),
    })
}

impl Body {
    /// CDEvents' `subject.id`.
    pub fn subject_id(&self) -> String {
        match self {
            Body::PushReceived(p) => p.push.to_string(),
            Body::PushResolved(p) => p.push.to_string(),
            Body::ChangeMerged(p) => p.commit.clone(),
            Body::BuildQueued(p) => p.build.to_string(),
            Body::BuildStarted(p) => p.build.to_string(),
            Body::BuildFinished(p) => p.build.to_string(),
            Body::ArtifactPackaged(p) => purl(&p.module, &p.biz.version, &p.digest),
            Body::ArtifactPublished(p) => {
                purl(&p.release.module, p.release.version(), &p.release.packaged)
            }
            Body::ArtifactRefused(p) => format!("sha256:{}", p.packaged),
            Body::ProfilePublished(p) => format!("sha256:{}", p.profile),
            Body::RunQueued(p) => p.run.to_string(),
            Body::RunStarted(p) => p.run.to_string(),
            Body::RunFinished(p) => p.run.to_string(),
            Body::RolloutRequested(p) => format!("{}/{}", p.run, p.environment),
            Body::RolloutPlanned(p) => p.id.to_string(),
            Body::RolloutFinished(p) => format!("{}/{}", p.run, p.environment),
            Body::WaveStarted(p) => format!("{}/{}", p.plan, p.number),
            Body::WaveFinished(p) => format!("{}/{}", p.plan, p.number),
            Body::GateRequested(p) => p.gate.to_string(),
            Body::GateJudged(p) => p.gate.to_string(),
            Body::GateFinished(p) => p.gate.to_string(),
            Body::LineChanged(p) => p.number.to_string(),
            Body::LineAsked(p) => format!("{}/{}", p.module, p.environment),
            Body::LineTold(p) => format!("{}/{}", p.module, p.environment),
            Body::JointReported(p) => format!("{}/{}", p.joint.id, p.module),
            Body::JointTold(p) => format!("{}/{}", p.joint, p.module),
            Body::TaskRequested(p) => p.task.to_string(),
            Body::TaskStarted(p) => p.task.to_string(),
            Body::TaskFinished(p) => p.task.to_string(),
            Body::ObservationRequested(p) => p.observation.to_string(),
            Body::ModuleAnswering(p) => format!("{}/{}", p.base, p.module),
            Body::ObservationFinished(p) => p.observation.to_string(),
            Body::ServiceDeployed(p) => p.module.clone(),
            Body::ServiceUpgraded(p) => p.module.clone(),
            Body::ServiceRolledback(p) => p.module.clone(),
            Body::BaseJoined(p) => p.base.clone(),
            Body::BaseChanged(p) => p.base.clone(),
            Body::BaseLost(p) => p.base.clone(),
            Body::ModuleDrifted(p) => format!("{}/{}", p.base, p.module),
            Body::BaseQuarantined(p) => p.base.clone(),
            Body::BaseMended(p) => p.base.clone(),
            Body::RestartListed(p) => p.base.clone(),
            Body::RestartAsked(p) => format!("{}/{}", p.turn.environment, p.turn.number),
            Body::RestartGiven(p) => {
                format!("{}/{}/{}", p.turn.environment, p.turn.number, p.module)
            }
            Body::RestartRequested(p) => format!("{}/{}", p.turn.environment, p.turn.number),
            Body::RestartFinished(p) => format!("{}/{}", p.turn.environment, p.turn.number),
            Body::RestartOver(p) => p.base.clone(),
            Body::ModuleGivenUp(p) => format!("{}/{}", p.base, p.module),
            Body::CommandSettled(p) => p.command.to_string(),
            Body::WorkRetried(p) => format!("{}/{}", p.service, p.work),
            Body::LetterReplayed(p) => p.letter.to_string(),
            Body::LetterDropped(p) => p.letter.to_string(),
        }
    }

    /// What CDEvents allows in `subject.content` of a standard kind; the payload of the others.
    pub(crate) fn content(&self) -> Value {
        match self {
            Body::ChangeMerged(p) => json!({"repository": {"id": p.repository}}),
            Body::BuildQueued(_) | Body::BuildStarted(_) | Body::BuildFinished(_) => json!({}),
            Body::ArtifactPackaged(p) => {
                json!({"change": {"id": p.commit.clone().unwrap_or_else(|| p.run.to_string())}})
            }
            Body::ArtifactPublished(_) => json!({}),
            Body::RunQueued(p) => json!({"pipelineName": p.module}),
            Body::RunStarted(p) => json!({"pipelineName": p.module, "uri": p.uri}),
            Body::RunFinished(p) => errors_of(
                json!({"pipelineName": p.module, "outcome": serde_json::to_value(p.outcome).expect("a word")}),
                &p.stop,
            ),
            Body::TaskStarted(p) => {
                json!({"taskName": p.base, "pipelineRun": {"id": p.run.to_string()}})
            }
            Body::TaskFinished(p) => errors_of(
                json!({"taskName": p.base, "pipelineRun": {"id": p.run.to_string()}, "outcome": outcome_of(&p.stop)}),
                &p.stop,
            ),
            Body::ObservationFinished(p) => {
                let mut content =
                    json!({"environment": {"id": p.environment}, "outcome": outcome_of(&p.stop)});
                if let Some(stop) = &p.stop {
                    content["reason"] = json!(stop.to_string());
                }
                content
            }
            Body::ServiceDeployed(p) => service_content(p),
            Body::ServiceUpgraded(p) => service_content(p),
            Body::ServiceRolledback(p) => service_content(p),
            own => {
                debug_assert!(!own.kind().is_standard());
                own.payload()
            }
        }
    }

    /// The run that it belongs to, where it belongs to one.
    pub fn run(&self) -> Option<crate::RunId> {
        Some(match self {
            Body::PushReceived(_) | Body::PushResolved(_) => return None,
            Body::BaseJoined(_)
            | Body::BaseChanged(_)
            | Body::BaseLost(_)
            | Body::ModuleDrifted(_)
            | Body::BaseMended(_)
            | Body::RestartListed(_)
            | Body::RestartAsked(_)
            | Body::RestartGiven(_)
            | Body::RestartRequested(_)
            | Body::RestartFinished(_)
            | Body::RestartOver(_)
            | Body::ModuleGivenUp(_) => return None,
            Body::BaseQuarantined(p) => p.run,
            Body::LineChanged(p) => match &p.stretch {
                line::Stretch::Run { run, .. } => *run,
                _ => return None,
            },
            Body::LineAsked(_) | Body::LineTold(_) => return None,
            Body::JointReported(p) => p.run,
            Body::JointTold(p) => p.run,
            Body::GateRequested(p) => p.run,
            Body::GateJudged(p) => p.run,
            Body::GateFinished(p) => p.run,
            Body::CommandSettled(p) => return p.run,
            Body::WorkRetried(p) => return p.run,
            Body::LetterReplayed(p) => return p.run,
            Body::LetterDropped(p) => return p.run,
            Body::ChangeMerged(p) => p.run,
            Body::BuildQueued(p) => p.run,
            Body::BuildStarted(p) => p.run,
            Body::BuildFinished(p) => p.run,
            Body::ArtifactPackaged(p) => p.run,
            Body::ArtifactPublished(p) => p.release.run,
            Body::ArtifactRefused(p) => p.run,
            Body::ProfilePublished(p) => p.run,
            Body::RunQueued(p) => p.run,
            Body::RunStarted(p) => p.run,
            Body::RunFinished(p) => p.run,
            Body::RolloutRequested(p) => p.run,
            Body::RolloutPlanned(p) => p.plan.run,
            Body::RolloutFinished(p) => p.run,
            Body::WaveStarted(p) => p.run,
            Body::WaveFinished(p) => p.run,
            Body::TaskRequested(p) => p.run,
            Body::TaskStarted(p) => p.run,
            Body::TaskFinished(p) => p.run,
            Body::ObservationRequested(p) => p.run,
            Body::ModuleAnswering(p) => p.run,
            Body::ObservationFinished(p) => p.run,
            Body::ServiceDeployed(p) => p.run,
            Body::ServiceUpgraded(p) => p.run,
            Body::ServiceRolledback(p) => p.run,
        })
    }
}
