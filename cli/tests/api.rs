//! The real binary against a gateway of this test: every command that asks one.
//!
//! In: replies of the API's own types over real HTTP. Out: words, JSON, exit codes.

mod world;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path as UrlPath, Query, Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use ferry_api::{
    CanQuery, EventsQuery, LetterState, LettersQuery, LineView, LogQuery, Problem, ReportQuery,
    RunsQuery,
};
use ferry_events::RunId;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A gateway that knows one admin and one viewer, and remembers what it was asked.
#[derive(Clone, Default)]
struct Gateway {
    asked: Arc<Mutex<Vec<String>>>,
}

fn problem(status: StatusCode, code: &str, detail: &str) -> Response {
    let problem = Problem {
        status: status.as_u16(),
        title: status.canonical_reason().unwrap_or_default().into(),
        code: code.into(),
        detail: detail.into(),
        next: None,
    };
    (status, Json(problem)).into_response()
}

async fn guard(
    State(gateway): State<Gateway>,
    headers: HeaderMap,
    request: Request,
    next: Next,
) -> Response {
    let bearer = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok());
    gateway
        .asked
        .lock()
        .expect("a lock")
        .push(format!("{} {}", request.method(), request.uri()));
    match bearer {
        Some("Bearer admin-token") => next.run(request).await,
        Some("Bearer view-token") if request.method() == Method::GET => next.run(request).await,
        Some("Bearer view-token") => {
            problem(StatusCode::FORBIDDEN, "not-allowed", "viewer may only look")
        }
        _ => problem(StatusCode::UNAUTHORIZED, "unknown-token", "no such token"),
    }
}

async fn run(UrlPath(id): UrlPath<String>) -> Response {
    for view in [world::good_view(), world::bad_view()] {
        if view.summary.id.to_string().starts_with(&id) {
            return Json(view).into_response();
        }
    }
    problem(StatusCode::NOT_FOUND, "unknown-run", "there is no such run")
}

fn sse(events: Vec<Event>) -> Response {
    Sse::new(futures::stream::iter(
        events.into_iter().map(Ok::<_, Infallible>),
    ))
    .into_response()
}

async fn events(Query(query): Query<EventsQuery>) -> Response {
    let story = world::events(query.run == Some(world::bad_run()));
    let after = query.after.unwrap_or_default();
    let mut events: Vec<Event> = world::streamed(&story)
        .into_iter()
        .filter(|event| event.sequence > after)
        .map(|event| {
            Event::default()
                .id(event.sequence.to_string())
                .event(event.kind)
                .data(event.event.to_string())
        })
        .collect();
    events.push(Event::default().event(ferry_api::event::END).data("{}"));
    sse(events)
}

async fn log(UrlPath(_): UrlPath<String>, Query(query): Query<LogQuery>) -> Response {
    let log = world::log();
    if !query.follow {
        return Json(log).into_response();
    }
    let line = |line: &ferry_api::LogLine| {
        Event::default()
            .id(line.number.to_string())
            .data(json!(line).to_string())
    };
    let mut events: Vec<Event> = log.lines.iter().map(line).collect();
    events.push(Event::default().event(ferry_api::event::END).data("{}"));
    sse(events)
}

async fn report(Query(query): Query<ReportQuery>) -> Response {
    match query.pool.as_deref() {
        None | Some("prod") => Json(world::report()).into_response(),
        Some(_) => problem(
            StatusCode::NOT_FOUND,
            "no-report",
            "run 1a2b has no report for that pool, but for prod",
        ),
    }
}

async fn wish(State(gateway): State<Gateway>, body: Bytes) -> Response {
    let mut asked = gateway.asked.lock().expect("a lock");
    asked.push(String::from_utf8_lossy(&body).into_owned());
    (StatusCode::ACCEPTED, Json(world::answer())).into_response()
}

async fn letters(Query(query): Query<LettersQuery>) -> Response {
    let mut letters = world::letters();
    letters.retain(|it| {
        (query.all || it.state == LetterState::Open)
            && query.reason.is_none_or(|reason| it.reason == reason)
            && query.service.is_none_or(|service| it.service == service)
    });
    Json(letters).into_response()
}

async fn line() -> Json<LineView> {
    Json(world::line())
}

/// The last wish decides what became of it.
async fn command(State(gateway): State<Gateway>) -> Response {
    let asked = gateway.asked.lock().expect("a lock");
    let last = asked
        .iter()
        .rfind(|line| line.starts_with("POST"))
        .cloned()
        .unwrap_or_default();
    Json(match last {
        wish if wish.contains("/rollback") || wish.contains("/drop") => world::refused(),
        // The run waits already: nothing is caused.
        wish if wish.contains("/approve") || wish.contains("/resume") => ferry_api::CommandView {
            run: None,
            ..world::taken(world::good_run())
        },
        wish if wish.contains("/promote") => world::not_allowed(),
        wish if wish.contains("/deploy") => world::taken(world::bad_run()),
        _ => world::taken(world::good_run()),
    })
    .into_response()
}

async fn serve() -> (String, Gateway) {
    let gateway = Gateway::default();
    let routes = Router::new()
        .route(
            "/runs",
            get(async |Query(query): Query<RunsQuery>| {
                let mut runs = world::summaries();
                runs.retain(|run| query.state.is_none_or(|state| run.state == state));
                Json(runs)
            }),
        )
        .route("/runs/{id}", get(run))
        .route("/runs/{id}/log", get(log))
        .route("/runs/{id}/report", get(report))
        .route("/runs/{id}/approve", post(wish))
        .route("/runs/{id}/promote", post(wish))
        .route("/line", get(line))
        .route("/line/pause", post(wish))
        .route("/line/resume", post(wish))
        .route("/line/abort", post(wish))
        .route(
            "/can",
            get(async |Query(query): Query<CanQuery>| Json(world::can(query.token.is_none()))),
        )
        .route("/bases", get(async || Json(world::bases())))
        .route("/bases/{base}/hold", post(wish))
        .route("/bases/{base}/release", post(wish))
        .route("/bases/{base}/restart", post(wish))
        .route("/modules", get(async || Json(world::modules())))
        .route("/dead", get(letters))
        .route(
            "/dead/{id}",
            get(async || Json(world::letter(LetterState::Open))),
        )
        .route("/dead/{id}/replay", post(wish))
        .route("/dead/{id}/drop", post(wish))
        .route("/pushes/{id}", get(async || Json(world::push_view())))
        .route("/events", get(events))
        .route("/why/{id}", get(async || Json(world::why_view())))
        .route(
            "/modules/{module}/history",
            get(async || Json(world::history_view())),
        )
        .route(
            "/audit",
            get(async || events(Query(EventsQuery::default())).await),
        )
        .route("/commands/{id}", get(command))
        .route("/modules/{module}/run", post(wish))
        .route("/modules/{module}/rollback", post(wish))
        .route("/modules/{module}/deploy", post(wish))
        .layer(middleware::from_fn_with_state(gateway.clone(), guard))
        .with_state(gateway.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (url, gateway)
}

/// A gateway, a folder, and the binary.
struct Rig {
    url: String,
    gateway: Gateway,
    dir: TempDir,
    token: &'static str,
}

impl Rig {
    async fn new() -> Self {
        let (url, gateway) = serve().await;
        let dir = tempfile::tempdir().expect("a folder");
        Self {
            url,
            gateway,
            dir,
            token: "admin-token",
        }
    }

    async fn ferry(&self, args: &[&str]) -> Done {
        self.ferry_with(args, &[("FERRY_TOKEN", self.token)]).await
    }

    async fn ferry_with(&self, args: &[&str], environment: &[(&str, &str)]) -> Done {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ferry"));
        let environment: BTreeMap<&str, &str> = environment.iter().copied().collect();
        command
            .current_dir(self.dir.path())
            .args(args)
            .env_remove("FERRY_TOKEN")
            .env("FERRY_URL", &self.url)
            .envs(environment);
        let output = tokio::task::spawn_blocking(move || command.output().expect("ferry runs"))
            .await
            .expect("it ends");
        Done::of(&output)
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn asked(&self) -> Vec<String> {
        self.gateway.asked.lock().expect("a lock").clone()
    }
}

struct Done {
    code: i32,
    out: String,
    err: String,
}

impl Done {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
        Self {
            code: output.status.code().expect("a code"),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error} in {}", self.out))
    }

    /// Whether it ended so, and said all that.
    fn is(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, code, "{}\n{}", self.out, self.err);
        for word in words {
            let said = self.out.contains(word) || self.err.contains(word);
            assert!(said, "{word:?} in:\n{}\n{}", self.out, self.err);
        }
        assert!(
            !self.out.contains('\u{1b}'),
            "no colours in a pipe: {}",
            self.out
        );
    }
}

/// What slimming did is there to read long after: as words, as JSON, as a page.
#[tokio::test(flavor = "multi_thread")]
async fn the_report_of_a_run() {
    let rig = Rig::new().await;
    let good = short(world::good_run());
    let grew = "3.0 MiB more than";
    rig.ferry(&["show", &good])
        .await
        .is(0, &["slimmed", grew, "new lib/money-2.1.0.jar"]);
    rig.ferry(&["report", &good, "--html", "report.html"])
        .await
        .is(
            0,
            &["left out", "spring-core-6.1.6.jar", "since", "+3.0 MiB"],
        );
    let page = std::fs::read_to_string(rig.path().join("report.html")).expect("a page");
    assert!(page.contains("lib/money-2.1.0.jar"), "{page}");
    let json = rig
        .ferry(&["report", &good, "--pool", "prod", "--json"])
        .await;
    assert_eq!(json.json()["newer"], true, "as it was made");
    rig.ferry(&["report", &good, "--pool", "pre"])
        .await
        .is(5, &["no report for that pool", "but for prod"]);
}

/// The hops of a run are told in time, and their sum is the whole.
#[tokio::test(flavor = "multi_thread")]
async fn the_timing_of_a_run() {
    let rig = Rig::new().await;
    let good = short(world::good_run());
    rig.ferry(&["show", &good, "--timing"])
        .await
        .is(0, &["git asked", "slimmed, proven, stored", "builder 5."]);
    let json = rig
        .ferry(&["show", &good, "--timing", "--json"])
        .await
        .json();
    let hops = json["hops"].as_array().expect("hops");
    let sum: u64 = hops.iter().filter_map(|hop| hop["took_ms"].as_u64()).sum();
    assert_eq!(json["whole_ms"], sum);
    assert_eq!(json["bases"][0]["steps"][1]["step"], "install");
}

/// Acts of a module come as they are kept, a line each, past a pipe that breaks; `--since` is a moment by then.
#[tokio::test(flavor = "multi_thread")]
async fn who_when_and_why() {
    let rig = Rig::new().await;
    let bad = short(world::bad_run());
    rig.ferry(&["why", &bad]).await.is(
        0,
        &[
            "root cause",
            "probe-failed on prod-3",
            "traffic safe?",
            "ferry why prod-3",
        ],
    );
    let why = rig
        .ferry(&["why", "prod-3", "--as", "base", "--since", "7d", "--json"])
        .await;
    assert_eq!(why.json()["troubles"][0]["traffic"]["safety"], "reduced");
    rig.ferry(&["history", "hello", "--env", "prod"]).await.is(
        0,
        &[
            "rolled back, not everywhere",
            "live",
            "… and 3 versions before that",
        ],
    );
    let export = rig
        .ferry(&[
            "audit",
            "export",
            "--since",
            "2026-03-04",
            "--module",
            "hello",
        ])
        .await;
    export.is(0, &["\"specversion\""]);
    let events: Vec<Value> = export
        .out
        .lines()
        .map(|line| serde_json::from_str(line).expect("a CloudEvent a line"))
        .collect();
    assert_eq!(events.len(), world::events(false).len());
    let asked = rig.asked().join("\n");
    assert!(asked.contains("/why/prod-3?about=base&since="), "{asked}");
    assert!(asked.contains("/history?environment=prod"), "{asked}");
    assert!(
        asked.contains("/audit?since=2026-03-04T00%3A00%3A00Z&module=hello"),
        "{asked}"
    );
    rig.ferry(&["audit", "export", "--since", "yesterday"])
        .await
        .is(2, &["7d"]);
}

fn short(run: RunId) -> String {
    run.short()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_only_looked_at() {
    let rig = Rig::new().await;
    let bad = short(world::bad_run());
    rig.ferry(&["status"]).await.is(
        0,
        &["need attention", &bad, "prod-2 in prod is lost", "drift"],
    );
    rig.ferry(&["runs"])
        .await
        .is(0, &["RUN", &bad, "install-failed on prod-1"]);
    rig.ferry(&["bases"])
        .await
        .is(0, &["prod-1", "connection refused"]);
    rig.ferry(&["modules"])
        .await
        .is(0, &["hello", "drifted on prod-1"]);
    rig.ferry(&["show", &bad[..4]])
        .await
        .is(0, &["failed in prod", "next", "prod-1"]);
    let push = world::push_id().to_string();
    rig.ferry(&["pushes", "show", &push])
        .await
        .is(0, &["push to main of hello", "ada"]);
    rig.ferry(&["logs", &bad])
        .await
        .is(0, &["[INFO] BUILD SUCCESS"]);
    rig.ferry(&["logs", &bad, "--follow"])
        .await
        .is(0, &["[INFO] BUILD SUCCESS"]);
    rig.ferry(&["events", "--module", "hello"])
        .await
        .is(0, &["built hello in 5.412s"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn json_is_what_the_gateway_said() {
    let rig = Rig::new().await;
    let good = short(world::good_run());
    let runs = rig
        .ferry(&["runs", "--state", "failed", "--json"])
        .await
        .json();
    assert_eq!(runs.as_array().map(Vec::len), Some(1));
    assert_eq!(runs[0]["stop"]["code"], "install-failed");
    assert_eq!(
        rig.ferry(&["show", &good, "--json"]).await.json(),
        json!(world::good_view())
    );
    assert_eq!(
        rig.ferry(&["bases", "--json"]).await.json(),
        json!(world::bases())
    );
    assert_eq!(
        rig.ferry(&["modules", "--json"]).await.json(),
        json!(world::modules())
    );
    assert_eq!(
        rig.ferry(&["logs", &good, "--json"]).await.json(),
        json!(world::log())
    );
    let status = rig.ferry(&["status", "--json"]).await.json();
    assert_eq!(status["attention"][0]["kind"], "dead-letters");
    let kinds: Vec<&Value> = status["attention"]
        .as_array()
        .map_or_else(Vec::new, |all| all.iter().map(|it| &it["kind"]).collect());
    assert!(kinds.contains(&&json!("base-lost")), "{kinds:?}");

    let lines = rig.ferry(&["events", "--since", "3", "--json"]).await;
    let first: Value =
        serde_json::from_str(lines.out.lines().next().expect("a line")).expect("JSON");
    assert_eq!(first["sequence"], 4);
    assert_eq!(lines.out.lines().count(), world::events(false).len() - 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_looked_at_replayed_and_dropped() {
    let rig = Rig::new().await;
    let letters = world::letters();
    let (one, other) = (letters[1].id, letters[2].id);
    let list = rig.ferry(&["dead", "list"]).await;
    list.is(0, &["LETTER", &one.short(), "our-fault", "undelivered"]);
    assert!(!list.out.contains("dropped"), "closed ones are past");
    rig.ferry(&["dead", "list", "--all"])
        .await
        .is(0, &["replayed", "dropped"]);
    let json = rig
        .ferry(&["dead", "list", "--reason", "our-fault", "--json"])
        .await
        .json();
    assert_eq!(json, json!(&letters[1..3]));
    rig.ferry(&["dead", "show", &one.short()])
        .await
        .is(0, &["a transition that does not exist", "next"]);

    let why = ["--why", "the slimmer is mended"];
    let replay = ["dead", "replay", "--reason", "our-fault", why[0], why[1]];
    rig.ferry(&replay)
        .await
        .is(0, &[&one.short(), &other.short(), "replayed"]);
    let asked = rig.asked();
    let wishes: Vec<&String> = asked.iter().filter(|it| it.starts_with("POST")).collect();
    let wish = |id: &ferry_events::LetterId| format!("POST /dead/{id}/replay");
    assert_eq!(wishes, [&wish(&other), &wish(&one)], "oldest first");
    assert!(asked.contains(&r#"{"why":"the slimmer is mended"}"#.to_owned()));

    let refused = rig
        .ferry(&["dead", "drop", &one.short(), why[0], why[1], "--json"])
        .await;
    refused.is(1, &["refused"]);
    assert_eq!(refused.json()[0]["letter"], one.short());
    // A wish needs a reason, and letters.
    for args in [
        &["dead", "drop", &one.short()][..],
        &["dead", "replay", "--why", "x"],
        &[
            "dead",
            "replay",
            &one.short(),
            "--service",
            "slimmer",
            "--why",
            "x",
        ],
        &["dead", "list", "--reason", "no-such-reason"],
    ] {
        assert_eq!(rig.ferry(args).await.code, 2, "{args:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn watch_ends_with_the_outcome_of_the_run() {
    let rig = Rig::new().await;
    let good = rig.ferry(&["watch", &short(world::good_run())]).await;
    good.is(
        0,
        &[
            "   0.000s  gateway    push to main of hello",
            "   5.442s  builder    built hello",
        ],
    );
    good.is(0, &["is live in prod", "succeeded"]);
    let bad = rig
        .ferry(&["watch", &short(world::bad_run()), "--timeout", "1m"])
        .await;
    bad.is(
        1,
        &[
            "install-failed on prod-1",
            "what was there before is there",
            "next",
        ],
    );
    let json = rig
        .ferry(&["watch", &short(world::bad_run()), "--json"])
        .await;
    assert_eq!(json.code, 1);
    for line in json.out.lines() {
        serde_json::from_str::<Value>(line).expect("each line is JSON");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wishes_and_what_became_of_them() {
    let rig = Rig::new().await;
    let run = rig
        .ferry(&["run", "hello", "--commit", "main", "--why", "missed"])
        .await;
    run.is(
        0,
        &[
            "asked: run hello at main",
            "taken",
            &world::good_run().to_string(),
        ],
    );
    assert!(
        rig.asked()
            .iter()
            .any(|it| it == r#"{"commit":"main","why":"missed"}"#)
    );

    let args = [
        "run",
        "hello",
        "--commit",
        "main",
        "--wait",
        "--timeout",
        "1m",
    ];
    rig.ferry(&args)
        .await
        .is(0, &["is live in prod", "succeeded"]);

    let back = rig
        .ferry(&["rollback", "hello", "--why", "prices are wrong"])
        .await;
    back.is(1, &["refused", "nothing-verified", "next"]);
    assert_eq!(
        rig.ferry(&["rollback", "hello"]).await.code,
        2,
        "a reason is needed"
    );

    std::fs::write(rig.path().join("hello.jar"), b"PK jar").expect("written");
    let args = [
        "deploy",
        "hello",
        "--jar",
        "hello.jar",
        "--commit",
        "1a2b3c4d",
        "--wait",
    ];
    rig.ferry(&args).await.is(1, &["taken", "install-failed"]);
    let asked = rig.asked();
    assert!(
        asked
            .iter()
            .any(|it| it == "POST /modules/hello/deploy?commit=1a2b3c4d"),
        "{asked:?}"
    );
    assert!(asked.iter().any(|it| it == "PK jar"), "the jar comes whole");
    let missing = rig
        .ferry(&["deploy", "hello", "--jar", "missing.jar"])
        .await;
    missing.is(5, &["missing.jar cannot be read"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_let_a_run_go_on() {
    let rig = Rig::new().await;
    let run = short(world::good_run());
    let why = ["--why", "looks good"];
    let taken = rig.ferry(&["approve", &run, why[0], why[1]]).await;
    taken.is(0, &["asked: ", "taken"]);
    let asked = rig.asked();
    assert!(
        asked.contains(&format!("POST /runs/{run}/approve")),
        "{asked:?}"
    );
    assert!(
        asked.contains(&r#"{"why":"looks good"}"#.to_owned()),
        "{asked:?}"
    );
    // The command causes no run: the one that was named is followed.
    let args = [
        "approve",
        &run[..4],
        "--env",
        "prod",
        why[0],
        why[1],
        "--wait",
    ];
    rig.ferry(&args)
        .await
        .is(0, &["is live in prod", "succeeded"]);
    let body = r#"{"environment":"prod","why":"looks good"}"#.to_owned();
    assert!(rig.asked().contains(&body), "{:?}", rig.asked());
    // The scheduler's refusal: somebody else must.
    let refused = rig.ferry(&["promote", &run, why[0], why[1]]).await;
    refused.is(4, &["refused", "not-allowed", "bob or carol", "next"]);
    let json = rig
        .ferry(&["promote", &run, why[0], why[1], "--json"])
        .await;
    assert_eq!(
        (json.code, &json.json()["stop"]["code"]),
        (4, &json!("not-allowed"))
    );
    for args in [
        &["approve", &run][..],
        &["promote", &run],
        &["approve", "1a2", "--why", "x"],
        &["approve", "--why", "x"],
    ] {
        assert_eq!(rig.ferry(args).await.code, 2, "{args:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_stop_the_line() {
    let rig = Rig::new().await;
    let run = short(world::good_run());
    for (what, body) in [
        (
            vec![run.as_str()],
            format!(r#"{{"run":"{run}","why":"w"}}"#),
        ),
        (
            vec!["--module", "hello"],
            r#"{"module":"hello","why":"w"}"#.to_owned(),
        ),
        (
            vec!["--env", "prod"],
            r#"{"environment":"prod","why":"w"}"#.to_owned(),
        ),
        (
            vec!["--everything"],
            r#"{"everything":true,"why":"w"}"#.to_owned(),
        ),
    ] {
        for act in ["pause", "resume", "abort"] {
            let args = [&[act], what.as_slice(), &["--why", "w"]].concat();
            rig.ferry(&args).await.is(0, &["asked: ", "taken"]);
            let asked = rig.asked();
            let sent = [format!("POST /line/{act}"), body.clone()];
            assert!(asked.windows(2).any(|it| it == sent), "{args:?}: {asked:?}");
        }
    }
    rig.ferry(&["resume", "--everything"])
        .await
        .is(0, &["taken"]);
    rig.ferry(&["resume", &run, "--wait"])
        .await
        .is(0, &["succeeded"]);
    let told = rig
        .ferry(&["pause", "--everything", "--why", "w", "--wait"])
        .await;
    told.is(2, &["--wait follows a run", "next"]);
    for args in [
        &["pause", "--everything"][..],
        &["abort", &run],
        &["pause", "--why", "w"],
        &["pause", &run, "--everything", "--why", "w"],
        &["pause", "--module", "hello", "--env", "prod", "--why", "w"],
    ] {
        assert_eq!(rig.ferry(args).await.code, 2, "{args:?}");
    }
    rig.ferry(&["status"]).await.is(
        0,
        &[
            "paused\n",
            "ferry resume --env prod",
            "rollouts wait",
            "ferry approve ",
        ],
    );
    let json = rig.ferry(&["status", "--json"]).await.json();
    assert_eq!(json["paused"], json!(world::pauses()));
    assert_eq!(json["waiting"], json!(world::line().waiting));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_is_held_and_given_back() {
    let rig = Rig::new().await;
    for act in ["hold", "release"] {
        let told = rig.ferry(&["base", act, "prod-2", "--why", "a disk"]).await;
        told.is(0, &["asked: ", "taken"]);
        let asked = rig.asked();
        let sent = [
            format!("POST /bases/prod-2/{act}"),
            r#"{"why":"a disk"}"#.to_owned(),
        ];
        assert!(asked.windows(2).any(|it| it == sent), "{asked:?}");
        let json = ["base", act, "prod-2", "--why", "a disk", "--json"];
        assert_eq!(rig.ferry(&json).await.json()["state"], "taken");
        // Whoever comes next wants to know.
        assert_eq!(rig.ferry(&["base", act, "prod-2"]).await.code, 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_what_they_may_gets_yes_or_no() {
    let rig = Rig::new().await;
    let can = ["can", "approve", "hello", "prod"];
    rig.ferry(&can)
        .await
        .is(0, &["yes: token bob", "grants[1]"]);
    let no = [&can[..], &["--as", "ci"]].concat();
    rig.ferry(&no)
        .await
        .is(1, &["no: token ci", "who may: bob"]);
    let json = rig.ferry(&[&no[..], &["--json"]].concat()).await;
    assert_eq!((json.code, json.json()), (1, json!(world::can(false))));
    let last = rig.asked().pop().expect("a question");
    assert_eq!(
        last,
        "GET /can?action=approve&module=hello&environment=prod&as=ci"
    );
    rig.ferry(&["can", "fly", "hello", "prod"])
        .await
        .is(2, &["approve", "promote"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_have_codes_and_a_next_step() {
    let mut rig = Rig::new().await;
    rig.ferry(&["show", "deadbeef"])
        .await
        .is(5, &["there is no such run", "next: `ferry runs`"]);
    rig.token = "view-token";
    rig.ferry(&["runs"]).await.is(0, &["RUN"]);
    let run = rig.ferry(&["run", "hello", "--commit", "main"]).await;
    run.is(
        4,
        &["viewer may only look", "next: use a token with a grant"],
    );
    rig.token = "wrong";
    rig.ferry(&["runs"])
        .await
        .is(4, &["does not know this token", "FERRY_TOKEN"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_comes_from_a_file_or_from_the_data_folder() {
    let rig = Rig::new().await;
    std::fs::write(rig.path().join("token"), "admin-token\n").expect("written");
    let named = rig
        .ferry_with(
            &["runs", "--token-file", "token"],
            &[("FERRY_TOKEN", "wrong")],
        )
        .await;
    named.is(0, &["RUN"]);
    rig.ferry_with(&["runs"], &[])
        .await
        .is(4, &["does not know this token"]);
    std::fs::create_dir(rig.path().join(".ferry")).expect("made");
    std::fs::write(rig.path().join(".ferry/token"), "admin-token\n").expect("written");
    rig.ferry_with(&["runs"], &[]).await.is(0, &["RUN"]);
    std::fs::write(rig.path().join("empty"), "\n").expect("written");
    rig.ferry_with(&["runs", "--token-file", "empty"], &[])
        .await
        .is(2, &["holds no token"]);
}
