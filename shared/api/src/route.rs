//! Every call of the API, in one table: what the gateway serves, what
//! `schemas/openapi.json` tells.
//!
//! In: nothing. Out: [`ROUTES`].

use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::{
    AuditQuery, BaseRequest, BaseView, CanQuery, CanView, CloseRequest, CommandAnswer, CommandView,
    DeployQuery, EventsQuery, Health, HistoryQuery, HistoryView, HookAnswer, LetterSummary,
    LetterView, LettersQuery, LineView, LogLine, LogQuery, LogView, ModuleView, PlanQuery,
    PlanView, PushView, Ready, ReportQuery, ReportView, RollbackRequest, RolloutRequest,
    RunRequest, RunSummary, RunView, RunsQuery, StretchRequest, WhyQuery, WhyView,
};

/// The JSON schema of a type, made by a generator that collects what it refers to.
pub type Shape = fn(&mut SchemaGenerator) -> Schema;

/// A method of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// It only reads.
    Get,
    /// It asks for something.
    Post,
}

impl Method {
    /// As it stands in a request.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// Who may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anyone.
    Open,
    /// Whoever signs with the webhook's secret.
    Signature,
    /// A bearer token with a grant of this role or a higher one.
    Token(&'static str),
}

/// What a call's body is.
#[derive(Clone, Copy, Debug)]
pub enum Takes {
    /// It has none.
    Nothing,
    /// JSON of this shape.
    Json(Shape),
    /// What a forge sends.
    Delivery,
    /// A jar.
    Jar,
}

/// What a good call is answered with.
#[derive(Clone, Copy, Debug)]
pub enum Gives {
    /// JSON of this shape.
    Json(Shape),
    /// Server-sent events whose data is JSON of this shape.
    Stream(Shape),
    /// Counters, in the text format of Prometheus.
    Metrics,
}

/// One good answer.
#[derive(Clone, Copy, Debug)]
pub struct Reply {
    /// Its status.
    pub status: u16,
    /// When it is given, in words.
    pub when: &'static str,
    /// Its content.
    pub gives: Gives,
}

/// One call.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// Its method.
    pub method: Method,
    /// Its path; parameters stand in braces.
    pub path: &'static str,
    /// A name of its own, for generated clients.
    pub name: &'static str,
    /// What it does, in a sentence.
    pub summary: &'static str,
    /// Who may call it.
    pub access: Access,
    /// Its query, where it has one.
    pub query: Option<Shape>,
    /// Its body.
    pub takes: Takes,
    /// Its good answers. Every other one is a [`Problem`](crate::Problem).
    pub replies: &'static [Reply],
}

fn shape<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// Its schema depends on its type: see `schemas/events`.
fn cloud_event(_: &mut SchemaGenerator) -> Schema {
    schemars::json_schema!({
        "type": "object",
        "description": "A CDEvent in a structured CloudEvent; see schemas/events.",
    })
}

const VIEW: Access = Access::Token("view");
const OPERATE: Access = Access::Token("operate");
const APPROVE: Access = Access::Token("approve");

const fn json(status: u16, when: &'static str, shape: Shape) -> Reply {
    Reply {
        status,
        when,
        gives: Gives::Json(shape),
    }
}

const fn stream(when: &'static str, shape: Shape) -> Reply {
    Reply {
        status: 200,
        when,
        gives: Gives::Stream(shape),
    }
}

const fn read(
    path: &'static str,
    name: &'static str,
    summary: &'static str,
    replies: &'static [Reply],
) -> Route {
    Route {
        method: Method::Get,
        path,
        name,
        summary,
        access: VIEW,
        query: None,
        takes: Takes::Nothing,
        replies,
    }
}

const fn ask(
    path: &'static str,
    name: &'static str,
    summary: &'static str,
    takes: Takes,
    replies: &'static [Reply],
) -> Route {
    Route {
        method: Method::Post,
        access: OPERATE,
        takes,
        ..read(path, name, summary, replies)
    }
}

const COMMAND: &[Reply] = &[json(202, "The command is durable.", shape::<CommandAnswer>)];

/// Every call of the API.
pub const ROUTES: &[Route] = &[
    Route {
        access: Access::Signature,
        ..ask(
            "/hooks/{forge}",
            "takeDelivery",
            "Takes a forge's webhook; its signature covers the raw body.",
            Takes::Delivery,
            &[
                json(202, "The push is durable.", shape::<HookAnswer>),
                json(
                    200,
                    "There is nothing to run; `why` says the reason.",
                    shape::<HookAnswer>,
                ),
            ],
        )
    },
    read(
        "/pushes/{id}",
        "getPush",
        "What became of a push.",
        &[json(200, "The push.", shape::<PushView>)],
    ),
    Route {
        query: Some(shape::<RunsQuery>),
        ..read(
            "/runs",
            "listRuns",
            "Runs, newest first.",
            &[json(200, "The runs.", shape::<Vec<RunSummary>>)],
        )
    },
    read(
        "/runs/{id}",
        "getRun",
        "One run, by its id or the id's first digits: where it is, and why.",
        &[json(200, "The run.", shape::<RunView>)],
    ),
    Route {
        query: Some(shape::<LogQuery>),
        ..read(
            "/runs/{id}/log",
            "getLog",
            "A run's build log: so far, or as it is written.",
            &[
                json(200, "The log so far.", shape::<LogView>),
                stream(
                    "With `follow`: each line as it is written.",
                    shape::<LogLine>,
                ),
            ],
        )
    },
    Route {
        query: Some(shape::<ReportQuery>),
        ..read(
            "/runs/{id}/report",
            "getReport",
            "What a run's slimming left out and kept, and the proof that it links.",
            &[json(200, "The report.", shape::<ReportView>)],
        )
    },
    Route {
        access: APPROVE,
        ..ask(
            "/runs/{id}/approve",
            "approveRun",
            "Says yes to a rollout that waits for approval.",
            Takes::Json(shape::<RolloutRequest>),
            COMMAND,
        )
    },
    Route {
        access: APPROVE,
        ..ask(
            "/runs/{id}/promote",
            "promoteRun",
            "Lets a rollout go on without what it waits for.",
            Takes::Json(shape::<RolloutRequest>),
            COMMAND,
        )
    },
    read(
        "/line",
        "getLine",
        "What is paused, and what rollouts wait for, the oldest first.",
        &[json(200, "What stands still.", shape::<LineView>)],
    ),
    ask(
        "/line/pause",
        "pauseLine",
        "Lets no wave begin: of a run, a module, an environment or everything.",
        Takes::Json(shape::<StretchRequest>),
        COMMAND,
    ),
    ask(
        "/line/resume",
        "resumeLine",
        "Lifts a pause.",
        Takes::Json(shape::<StretchRequest>),
        COMMAND,
    ),
    ask(
        "/line/abort",
        "abortLine",
        "Stops what is being rolled out, and takes it back.",
        Takes::Json(shape::<StretchRequest>),
        COMMAND,
    ),
    Route {
        query: Some(shape::<CanQuery>),
        ..read(
            "/can",
            "getCan",
            "Whether a token may do something, and by which grant.",
            &[json(200, "The answer, yes or no.", shape::<CanView>)],
        )
    },
    read(
        "/bases",
        "listBases",
        "Bases as they were last seen.",
        &[json(200, "The bases.", shape::<Vec<BaseView>>)],
    ),
    ask(
        "/bases/{base}/hold",
        "holdBase",
        "Has a base left alone by rollouts and repairs.",
        Takes::Json(shape::<BaseRequest>),
        COMMAND,
    ),
    ask(
        "/bases/{base}/release",
        "releaseBase",
        "Gives a base back, which is then brought up to date.",
        Takes::Json(shape::<BaseRequest>),
        COMMAND,
    ),
    ask(
        "/bases/{base}/restart",
        "restartBase",
        "Has a base restarted by its pool's driver when its modules can spare it.",
        Takes::Json(shape::<BaseRequest>),
        COMMAND,
    ),
    read(
        "/modules",
        "listModules",
        "Modules, and what is live where.",
        &[json(200, "The modules.", shape::<Vec<ModuleView>>)],
    ),
    read(
        "/modules/{module}",
        "getModule",
        "One module, and what is live where.",
        &[json(200, "The module.", shape::<ModuleView>)],
    ),
    Route {
        query: Some(shape::<PlanQuery>),
        ..read(
            "/modules/{module}/plan",
            "planModule",
            "What would be done with a module, and nothing done.",
            &[json(200, "The plans.", shape::<PlanView>)],
        )
    },
    ask(
        "/modules/{module}/run",
        "runCommit",
        "Runs a commit whose hook was missed, or again.",
        Takes::Json(shape::<RunRequest>),
        COMMAND,
    ),
    Route {
        query: Some(shape::<DeployQuery>),
        ..ask(
            "/modules/{module}/deploy",
            "deployJar",
            "Rolls out a jar that was built elsewhere.",
            Takes::Jar,
            COMMAND,
        )
    },
    ask(
        "/modules/{module}/rollback",
        "rollBack",
        "Goes back to a verified version.",
        Takes::Json(shape::<RollbackRequest>),
        COMMAND,
    ),
    read(
        "/commands/{id}",
        "getCommand",
        "What became of a command.",
        &[json(200, "The command.", shape::<CommandView>)],
    ),
    Route {
        query: Some(shape::<LettersQuery>),
        ..read(
            "/dead",
            "listLetters",
            "Dead letters that wait for a person, newest first.",
            &[json(200, "The letters.", shape::<Vec<LetterSummary>>)],
        )
    },
    read(
        "/dead/{id}",
        "getLetter",
        "One dead letter, by its id or the id's first digits: the message and its errors.",
        &[json(200, "The letter.", shape::<LetterView>)],
    ),
    ask(
        "/dead/{id}/replay",
        "replayLetter",
        "Has the service handle a dead letter's message after all.",
        Takes::Json(shape::<CloseRequest>),
        COMMAND,
    ),
    ask(
        "/dead/{id}/drop",
        "dropLetter",
        "Closes a dead letter; its message will not be handled.",
        Takes::Json(shape::<CloseRequest>),
        COMMAND,
    ),
    Route {
        query: Some(shape::<EventsQuery>),
        ..read(
            "/events",
            "streamEvents",
            "What happens, as it happens. `Last-Event-ID` takes a stream up where it broke.",
            &[stream(
                "Each event has the stream's sequence as `id`, its kind as `event` and the structured CloudEvent as `data`.",
                cloud_event,
            )],
        )
    },
    Route {
        query: Some(shape::<WhyQuery>),
        ..read(
            "/why/{id}",
            "getWhy",
            "The story of a run, by its id or the id's first digits, of a base or of a module: who, when, why.",
            &[json(200, "The story.", shape::<WhyView>)],
        )
    },
    Route {
        query: Some(shape::<HistoryQuery>),
        ..read(
            "/modules/{module}/history",
            "getHistory",
            "What was live of a module where and when.",
            &[json(200, "The versions.", shape::<HistoryView>)],
        )
    },
    Route {
        query: Some(shape::<AuditQuery>),
        ..read(
            "/audit",
            "exportAudit",
            "The acts, decisions and outcomes that are kept, up to now. `Last-Event-ID` takes a stream up where it broke.",
            &[stream(
                "Each event has its place among what is kept as `id`, its kind as `event` and the structured CloudEvent as `data`.",
                cloud_event,
            )],
        )
    },
    Route {
        access: Access::Open,
        ..read(
            "/healthz",
            "getHealth",
            "Whether the gateway lives.",
            &[json(200, "It lives.", shape::<Health>)],
        )
    },
    Route {
        access: Access::Open,
        ..read(
            "/readyz",
            "getReadiness",
            "Whether the gateway can do its work.",
            &[
                json(200, "It can.", shape::<Ready>),
                json(503, "It cannot; `checks` says why.", shape::<Ready>),
            ],
        )
    },
    Route {
        access: Access::Open,
        ..read(
            "/metrics",
            "getMetrics",
            "How many spans were sent and lost.",
            &[Reply {
                status: 200,
                when: "Counters, in the text format of Prometheus.",
                gives: Gives::Metrics,
            }],
        )
    },
];
