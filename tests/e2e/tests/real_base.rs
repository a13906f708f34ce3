//! Real Koupleless bases: what the fake one imitates, and what slimming has to get right, judged by
//! installing; a rollout over several that asks a person and a metric.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context, Result};
use axum::{Json, Router, routing::get};
use ferry_api::{CommandState, EnvironmentState, RolloutRequest, RunState, RunView};
use ferry_events::{Reason, RunId};
use ferry_fake_base::conformance;
use ferry_rig::{
    base::{Base, Options, ensure_base_jar},
    maven::hello_jar,
    stack::{BaseAt, EnvironmentAt, ModuleAt, ProbeAt, RepositoryAt, Setup, Stack},
    wait::until,
};

/// An install takes half a second; the rest is for a machine that is busy.
const RUN_LIMIT: Duration = Duration::from_secs(180);

#[tokio::test(flavor = "multi_thread")]
async fn the_fake_base_says_what_a_real_one_says_and_slimmed_modules_answer() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let base = Base::start(Options::new("real-1", &dir.path().join("base"))).await?;

    let talk = dir.path().join("talk");
    std::fs::create_dir(&talk)?;
    let said = conformance::transcript(&base.arklet_url(), &talk).await?;
    assert_eq!(
        said,
        conformance::RECORDED_2_1_6,
        "a real base says something else now"
    );

    let stack = stack(dir.path(), &[&base], "").await?;
    // Fat, with all of Spring and Tomcat inside: unslimmed it does not even install.
    for (fat, changes, text) in [
        (true, vec![], "version one"),
        (false, vec!["version-two"], "version two"),
        (true, vec![], "version one"),
    ] {
        let jar = hello_jar(&changes, fat).await?;
        let run = deploy(&stack, &jar).await?;
        let view = stack.wait_run(run, RUN_LIMIT).await?;
        assert_eq!(
            view.summary.state,
            RunState::Succeeded,
            "{}, fat: {fat}: {:?}",
            jar.display(),
            view.summary.stop
        );
        let (status, body) = base.get("/hello/").await?;
        assert_eq!(status, 200);
        assert!(body.contains(text), "{body}");
    }
    Ok(())
}

/// A Prometheus that has one value.
struct Prometheus {
    url: String,
    value: Arc<Mutex<&'static str>>,
}

impl Prometheus {
    async fn start() -> Result<Self> {
        let value = Arc::new(Mutex::new("0"));
        let shown = value.clone();
        let answer = move || async move {
            let value = *shown.lock().expect("no panic under this lock");
            Json(serde_json::json!({
                "status": "success",
                "data": {"resultType": "scalar", "result": [1.5, value]}
            }))
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/", listener.local_addr()?);
        let routes = Router::new().route("/api/v1/query", get(answer));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(Self { url, value })
    }

    fn shows(&self, value: &'static str) {
        *self.value.lock().expect("no panic under this lock") = value;
    }
}

async fn waits_for_approval(stack: &Stack, run: RunId) -> Result<()> {
    until("the run to wait for approval", RUN_LIMIT, || async {
        let view = stack.look(run).await?.ok();
        let there = view.iter().flat_map(|view| &view.environments);
        let mut gates = there.flat_map(|there| &there.gates);
        Ok(gates.any(|gate| gate.name == "approval").then_some(()))
    })
    .await
}

/// Waits for a run's approval, gives it, and waits until it is taken.
async fn approve(stack: &Stack, run: RunId) -> Result<()> {
    waits_for_approval(stack, run).await?;
    let ask = RolloutRequest {
        environment: None,
        why: "it was tried".into(),
    };
    let asked = stack.client().approve(&run.to_string(), &ask).await?;
    let taken = until("the approval to be taken", RUN_LIMIT, || async {
        let view = stack.client().command(asked.id).await?;
        Ok((view.state != CommandState::Waiting).then_some(view))
    })
    .await?;
    anyhow::ensure!(taken.stop.is_none(), "{:?}", taken.stop);
    Ok(())
}

/// What `/hello/` says on each base, as far as it matters: 404 where there is none.
async fn versions(bases: &[&Base]) -> Result<Vec<&'static str>> {
    let mut versions = Vec::new();
    for base in bases {
        let (status, body) = base.get("/hello/").await?;
        versions.push(match status {
            200 if body.contains("version one") => "one",
            200 if body.contains("version two") => "two",
            404 => "none",
            _ => anyhow::bail!("{status}: {body}"),
        });
    }
    Ok(versions)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_over_real_bases_asks_a_person_and_a_metric_and_goes_back() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let prometheus = Prometheus::start().await?;
    let (first, second) = tokio::try_join!(
        Base::start(Options::new("real-1", &dir.path().join("base-1"))),
        Base::start(Options::new("real-2", &dir.path().join("base-2"))),
    )?;
    let bases = [&first, &second];
    let gates = format!(
        "[environments.prod.approval]\nnot_author = false\n\
         [environments.prod.metrics.errors]\nurl = \"{}\"\n\
         query = 'sum(errors{{version=\"{{version}}\"}})'\nmax = \"0.5\"\ncount = 2\n\
         interval = \"100ms\"\ndeadline = \"20s\"\nat = [\"wave\", \"end\"]\n",
        prometheus.url
    );
    let stack = stack(dir.path(), &bases, &gates).await?;

    // Nothing is changed before a person says yes.
    let run = deploy(&stack, &hello_jar(&[], false).await?).await?;
    waits_for_approval(&stack, run).await?;
    assert_eq!(versions(&bases).await?, ["none", "none"]);
    approve(&stack, run).await?;
    let view = stack.wait_run(run, RUN_LIMIT).await?;
    assert_eq!(
        state(&view),
        EnvironmentState::Verified,
        "{:?}",
        view.summary.stop
    );
    assert_eq!(versions(&bases).await?, ["one", "one"]);

    // The canary answers well, and the metric says otherwise: it goes back, and the second base never knew.
    prometheus.shows("3");
    let run = deploy(&stack, &hello_jar(&["version-two"], false).await?).await?;
    approve(&stack, run).await?;
    let view = stack.wait_run(run, RUN_LIMIT).await?;
    assert_eq!(state(&view), EnvironmentState::RolledBack);
    let stop = view.summary.stop.context("a reason")?;
    assert_eq!(stop.code, Reason::GateFailed, "{}", stop.detail);
    assert!(
        stop.detail.contains("3 is more than 0.5"),
        "{}",
        stop.detail
    );
    assert_eq!(versions(&bases).await?, ["one", "one"]);
    Ok(())
}

fn state(view: &RunView) -> EnvironmentState {
    view.environments[0].state
}

async fn stack(dir: &Path, bases: &[&Base], extra: &str) -> Result<Stack> {
    let mut setup = Setup::new(&dir.join("ferry"));
    setup.repositories = vec![RepositoryAt {
        name: "hello".into(),
        url: "https://git.example/acme/hello.git".into(),
    }];
    setup.modules = vec![ModuleAt {
        name: "hello".into(),
        repository: "hello".into(),
        path: ".".into(),
        soak: "300ms".into(),
        probe: Some(ProbeAt {
            path: "/hello/".into(),
            deadline: "20s".into(),
        }),
    }];
    let at = bases.iter().zip(1..).map(|(base, number)| BaseAt {
        name: format!("real-{number}"),
        arklet: base.arklet_url(),
        url: base.http_url(),
    });
    setup.environments = vec![EnvironmentAt {
        name: "prod".into(),
        base_jar: Some(ensure_base_jar().await?),
        bases: at.collect(),
    }];
    setup.extra = extra.into();
    Stack::start(&setup).await
}

async fn deploy(stack: &Stack, jar: &Path) -> Result<RunId> {
    stack.upload("hello", std::fs::read(jar)?, RUN_LIMIT).await
}
