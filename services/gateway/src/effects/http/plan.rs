//! `GET /modules/{module}/plan`: what would be done, as the scheduler says.
//!
//! In: a module, an artifact, an environment. Out: the plans; the scheduler is asked, and answers from its own
//! states.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use ferry_api::{EnvironmentPlan, PlanQuery, PlanView, RunView, RunsQuery, TaskView};
use ferry_events::RunId;
use ferry_events::question::{Answer, Question};

use super::reads::{UpToDate, silent};
use super::refusal::Refusal;
use super::{body, commands};
use crate::decide::access::Caller;
use crate::decide::estimate;
use crate::effects::app::App;

/// How long the scheduler may take: it reads a few records and computes.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Runs whose times an estimate goes by: enough to outweigh one slow one.
const PAST_RUNS: usize = 20;

/// An artifact named by fewer digits could be another one tomorrow.
const DIGITS_MIN: usize = 4;

pub(super) async fn read(
    _: UpToDate,
    State(app): State<App>,
    caller: Caller,
    Path(module): Path<String>,
    uri: Uri,
) -> Result<Json<PlanView>, Refusal> {
    let query: PlanQuery = body::query(&uri)?;
    commands::known(&app.config(), &caller, &module)?;
    let runs = runs(&app, &module);
    let run = match query.artifact {
        None => None,
        Some(artifact) => Some(run_of(&runs, &artifact)?),
    };
    let question = Question::Plan {
        module: module.clone(),
        run,
        environment: query.to,
    };
    let answer = app
        .bus
        .ask(&question, ANSWER_WITHIN)
        .await
        .map_err(|error| silent(error).next("see whether the scheduler runs: `ferry status`"))?;
    let answer: Answer = serde_json::from_slice(&answer)
        .map_err(|error| Refusal::unavailable("bad-answer", error.to_string()))?;
    let previews = match answer {
        Answer::Plan(previews) => previews,
        Answer::Refused(stop) => {
            let code = stop.reason.code();
            return Err(
                Refusal::new(StatusCode::CONFLICT, code, stop.detail).next(stop.reason.next_step())
            );
        }
        Answer::Report(_) => {
            let what = "the scheduler gave another answer than a plan";
            return Err(Refusal::unavailable("bad-answer", what));
        }
    };
    let environments = previews
        .into_iter()
        .filter(|preview| caller.sees_environment(&preview.environment))
        .map(|preview| {
            let past = past(&runs, &preview.environment);
            let takes_ms = preview
                .plan
                .as_ref()
                .and_then(|plan| estimate::takes(plan, past));
            EnvironmentPlan { preview, takes_ms }
        })
        .collect();
    Ok(Json(PlanView {
        module,
        environments,
    }))
}

/// The module's runs, newest first.
fn runs(app: &App, module: &str) -> Vec<RunView> {
    let query = RunsQuery {
        module: Some(module.to_owned()),
        limit: Some(RunsQuery::MAX_LIMIT),
        ..RunsQuery::default()
    };
    app.see(|views| {
        let runs = views.runs();
        let list = runs.list(&query, |_| true);
        list.iter()
            .filter_map(|summary| runs.get(summary.id).cloned())
            .collect()
    })
}

/// The newest run that an artifact came from.
fn run_of(runs: &[RunView], artifact: &str) -> Result<RunId, Refusal> {
    let begins = |text: String| artifact.len() >= DIGITS_MIN && text.starts_with(artifact);
    let found = runs.iter().find(|run| {
        let packaged = run.packaged.as_ref();
        run.version.as_deref() == Some(artifact)
            || packaged.is_some_and(|digest| begins(digest.to_string()))
            || begins(run.summary.id.to_string())
    });
    found
        .map(|run| run.summary.id)
        .ok_or_else(|| Refusal::not_found("artifact", artifact))
}

/// The times of the last changes in an environment.
fn past(runs: &[RunView], environment: &str) -> Vec<u64> {
    let took = |task: &TaskView| task.steps.iter().map(|step| step.millis).sum::<u64>();
    runs.iter()
        .take(PAST_RUNS)
        .flat_map(|run| &run.environments)
        .filter(|there| there.name == environment)
        .flat_map(|there| &there.tasks)
        .filter(|task| task.stop.is_none() && !task.steps.is_empty())
        .map(took)
        .collect()
}
