//! Requests and replies of the gateway's HTTP API, and by feature its client.
//!
//! In: nothing. Out: the types that the gateway writes and that the command
//! line, the dashboard and tests read; with the feature `client`, a client.
//!
//! | call | reply |
//! |---|---|
//! | `POST /hooks/{forge}` | [`HookAnswer`] |
//! | `GET /pushes/{id}` | [`PushView`] |
//! | `GET /runs?`[`RunsQuery`] | list of [`RunSummary`] |
//! | `GET /runs/{id}` | [`RunView`] |
//! | `GET /runs/{id}/log?`[`LogQuery`] | [`LogView`], or its lines as server-sent events |
//! | `GET /bases` | list of [`BaseView`] |
//! | `POST /bases/{base}/hold`, `/bases/{base}/release`, `/bases/{base}/restart` [`BaseRequest`] | [`CommandAnswer`] |
//! | `GET /modules`, `/modules/{module}` | list of [`ModuleView`], one of them |
//! | `GET /events?`[`EventsQuery`] | server-sent events, see [`event`] |
//! | `GET /commands/{id}` | [`CommandView`] |
//! | `POST /modules/{module}/run` [`RunRequest`] | [`CommandAnswer`] |
//! | `POST /modules/{module}/deploy?`[`DeployQuery`], the jar as body | [`CommandAnswer`] |
//! | `POST /modules/{module}/rollback` [`RollbackRequest`] | [`CommandAnswer`] |
//! | `POST /runs/{id}/approve`, `/runs/{id}/promote` [`RolloutRequest`] | [`CommandAnswer`] |
//! | `GET /line` | [`LineView`] |
//! | `POST /line/pause`, `/line/resume`, `/line/abort` [`StretchRequest`] | [`CommandAnswer`] |
//! | `GET /can?`[`CanQuery`] | [`CanView`] |
//! | `GET /dead?`[`LettersQuery`] | list of [`LetterSummary`] |
//! | `GET /dead/{id}` | [`LetterView`] |
//! | `POST /dead/{id}/replay`, `/dead/{id}/drop` [`CloseRequest`] | [`CommandAnswer`] |
//! | `GET /why/{id}?`[`WhyQuery`] | [`WhyView`] |
//! | `GET /modules/{module}/history?`[`HistoryQuery`] | [`HistoryView`] |
//! | `GET /audit?`[`AuditQuery`] | server-sent events that end, as of `GET /events` |
//! | `GET /healthz`, `/readyz` | [`Health`], [`Ready`] |
//! | `GET /metrics` | counters, in the text format of Prometheus |
//!
//! Every refusal is a [`Problem`].

pub mod access;
pub mod base;
#[cfg(feature = "client")]
pub mod client;
pub mod command;
pub mod dead;
pub mod event;
pub mod gate;
pub mod health;
pub mod hook;
pub mod line;
pub mod log;
pub mod module;
mod plan;
pub mod problem;
mod report;
pub mod route;
pub mod run;
pub mod stop;
pub mod why;

pub use access::{Action, CanQuery, CanView, GrantView};
pub use base::{
    BaseRequest, BaseState, BaseView, Metaspace, RepairView, RestartState, RestartView, WantedView,
};
#[cfg(feature = "client")]
pub use client::{Client, ClientError};
pub use command::{
    CommandAnswer, CommandState, CommandView, DeployQuery, RollbackRequest, RunRequest,
};
pub use dead::{CloseRequest, LetterEnd, LetterState, LetterSummary, LetterView, LettersQuery};
pub use event::{EventsQuery, StreamedEvent};
pub use gate::{GateView, VerdictView};
pub use health::{Check, Health, Ready};
pub use hook::{HookAnswer, PushState, PushView, RefAnswer, Verdict};
pub use line::{LineView, RolloutRequest, StretchRequest, WaitView};
pub use log::{LogLine, LogQuery, LogView};
pub use module::{LiveView, ModuleView};
pub use plan::{EnvironmentPlan, PlanQuery, PlanView};
pub use problem::Problem;
pub use report::{ReportQuery, ReportView};
pub use run::{
    EnvironmentState, EnvironmentView, RetryView, RunState, RunSummary, RunView, RunsQuery,
    StepView, TaskState, TaskView,
};
pub use stop::StopView;
pub use why::{
    About, AuditQuery, CauseView, HistoryQuery, HistoryView, NotBackView, PeriodEnd, PeriodView,
    Safety, TellView, TrafficView, TroubleView, WhyQuery, WhyView,
};

pub use ferry_events::base::ModuleOnBase;
pub use ferry_events::line::{Standing, Stretch};
pub use ferry_events::push::{Resolution, RunOf};
pub use ferry_events::run::RunKind;
pub use ferry_events::task::StepTime;
pub use ferry_events::verify::Answer;
