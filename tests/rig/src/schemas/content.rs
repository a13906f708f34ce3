//! `subject.content` of the standard kinds: the part of what CDEvents 0.5.1
//! allows there that Ferry says. Ferry's own payload is beside it, in
//! `customData`. Source: the schemas of CDEvents 0.5.1.
//!
//! In: a kind. Out: its schema; none for a kind of Ferry's own.

use ferry_events::Kind;
use serde_json::{Value, json};

/// The schema of a standard kind's `subject.content`.
pub(super) fn of(kind: Kind) -> Option<Value> {
    let content = match kind {
        Kind::ChangeMerged => object(&["repository"], json!({ "repository": reference() })),
        Kind::BuildQueued | Kind::BuildStarted | Kind::BuildFinished | Kind::ArtifactPublished => {
            object(&[], json!({}))
        }
        Kind::ArtifactPackaged => object(&["change"], json!({ "change": reference() })),
        Kind::RunQueued => object(&["pipelineName"], json!({ "pipelineName": text() })),
        Kind::RunStarted => object(
            &["pipelineName", "uri"],
            json!({ "pipelineName": text(), "uri": { "type": "string", "format": "uri" } }),
        ),
        Kind::RunFinished => object(
            &["pipelineName", "outcome"],
            json!({
                "pipelineName": text(),
                "outcome": { "enum": ["success", "failure", "cancel", "error"] },
                "errors": text(),
            }),
        ),
        Kind::TaskStarted => object(
            &["taskName", "pipelineRun"],
            json!({ "taskName": text(), "pipelineRun": reference() }),
        ),
        Kind::TaskFinished => object(
            &["taskName", "pipelineRun", "outcome"],
            json!({
                "taskName": text(),
                "pipelineRun": reference(),
                "outcome": { "enum": ["success", "failure"] },
                "errors": text(),
            }),
        ),
        Kind::ObservationFinished => object(
            &["environment", "outcome"],
            json!({
                "environment": reference(),
                "outcome": { "enum": ["success", "failure"] },
                "reason": text(),
            }),
        ),
        Kind::ServiceDeployed | Kind::ServiceUpgraded | Kind::ServiceRolledback => object(
            &["environment", "artifactId"],
            json!({
                "environment": reference(),
                "artifactId": { "type": "string", "pattern": "^pkg:generic/" },
            }),
        ),
        Kind::PushReceived
        | Kind::PushResolved
        | Kind::ArtifactRefused
        | Kind::ProfilePublished
        | Kind::RolloutRequested
        | Kind::RolloutPlanned
        | Kind::RolloutFinished
        | Kind::WaveStarted
        | Kind::WaveFinished
        | Kind::TaskRequested
        | Kind::ObservationRequested
        | Kind::ModuleAnswering
        | Kind::BaseJoined
        | Kind::BaseChanged
        | Kind::BaseLost
        | Kind::ModuleDrifted
        | Kind::BaseQuarantined
        | Kind::BaseMended
        | Kind::RestartListed
        | Kind::RestartAsked
        | Kind::RestartGiven
        | Kind::RestartRequested
        | Kind::RestartFinished
        | Kind::RestartOver
        | Kind::ModuleGivenUp
        | Kind::GateRequested
        | Kind::GateJudged
        | Kind::GateFinished
        | Kind::LineChanged
        | Kind::LineAsked
        | Kind::LineTold
        | Kind::JointReported
        | Kind::JointTold
        | Kind::CommandSettled
        | Kind::WorkRetried
        | Kind::LetterReplayed
        | Kind::LetterDropped => return None,
    };
    Some(content)
}

fn object(required: &[&str], properties: Value) -> Value {
    json!({
        "type": "object",
        "required": required,
        "additionalProperties": false,
        "properties": properties,
    })
}

fn text() -> Value {
    json!({ "type": "string", "minLength": 1 })
}

fn reference() -> Value {
    object(&["id"], json!({ "id": text() }))
}
