//! `GET /runs/{id}/report`: the report of a run's slimming.
//!
//! In: a run, a pool. Out: the report; the slimmer is asked, as the gateway may not read the store.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use ferry_api::{ReportQuery, ReportView};
use ferry_events::Reason;
use ferry_events::question::{Answer, Question};

use super::body;
use super::reads::{UpToDate, find, silent};
use super::refusal::Refusal;
use crate::decide::access::Caller;
use crate::effects::app::App;

/// How long the slimmer may take: it reads a record and an object of a few hundred kilobytes.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

pub(super) async fn read(
    _: UpToDate,
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Json<ReportView>, Refusal> {
    let query: ReportQuery = body::query(&uri)?;
    let question = Question::Report {
        run: find(&app, &caller, &id)?.summary.id,
        pool: query.pool,
    };
    let answer = app
        .bus
        .ask(&question, ANSWER_WITHIN)
        .await
        .map_err(|error| silent(error).next("see whether the slimmer runs: `ferry status`"))?;
    let bad = |what: String| Refusal::unavailable("bad-answer", what);
    match serde_json::from_slice(&answer).map_err(|error| bad(error.to_string()))? {
        Answer::Report(serde_json::Value::Object(report)) => Ok(Json(ReportView(report))),
        Answer::Refused(stop) => {
            let status = match stop.reason {
                Reason::NoReport => StatusCode::NOT_FOUND,
                _ => StatusCode::SERVICE_UNAVAILABLE,
            };
            let refusal = Refusal::new(status, stop.reason.code(), stop.detail);
            Err(refusal.next(stop.reason.next_step()))
        }
        _ => Err(bad("the slimmer gave another answer than a report".into())),
    }
}
