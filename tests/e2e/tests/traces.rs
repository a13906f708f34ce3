//! Traces of all six services as processes: a push is one tree from its webhook to live, a run that stops says why,
//! and a collector that never answers costs nothing but spans.
//!
//! In: signed webhooks, real git, a stand-in for Maven, simulated bases. Out: spans at a collector.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ferry_api::{RunState, RunView};
use ferry_events::{PushId, RunId, Service};
use ferry_rig::{
    chaos::{World, world::Change},
    collector::{Collector, Span},
    fleet::Size,
    git::Push,
    hook,
    stack::look,
    wait::until,
};
use reqwest::header::{HeaderMap, HeaderValue};

/// A run takes some seconds; the rest is for a machine that is busy.
const LIMIT: Duration = Duration::from_secs(180);

/// What the forge is in the middle of when it sends the hook: the example of Trace Context.
const SENDER: (&str, &str) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");

/// Bases of both environments.
const BASES: usize = 3;

struct Scene {
    world: World,
    collector: Collector,
    http: reqwest::Client,
    _dir: tempfile::TempDir,
}

impl Scene {
    async fn start(collector: Collector) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let size = Size {
            servers: 1,
            replicas: 1,
        };
        let extra = format!("\n[telemetry]\notlp = \"{}\"\n", collector.url());
        let mut headers = HeaderMap::new();
        let sender = format!("00-{}-{}-01", SENDER.0, SENDER.1);
        headers.insert("traceparent", HeaderValue::from_str(&sender)?);
        Ok(Self {
            world: World::start_with(dir.path(), &size, 1, &extra).await?,
            collector,
            http: reqwest::Client::builder()
                .default_headers(headers)
                .build()?,
            _dir: dir,
        })
    }

    /// Sends a hook; the runs that came of it, once they have ended.
    async fn carry(&self, push: &Push) -> Result<(PushId, Vec<RunView>)> {
        let fleet = &self.world.fleet;
        let gateways = fleet.gateways();
        let gateway = gateways.first().context("a gateway")?;
        let url = format!("{gateway}/hooks/github");
        let answer = hook::send(&self.http, &url, fleet.secret().as_bytes(), push).await?;
        ensure!(answer.status == 202, "{answer:?}");
        let push: PushId = serde_json::from_value(answer.body["push"].clone())?;
        let client = fleet.client(0)?;
        let runs = until("the push to be carried", LIMIT, || async {
            let view = client.push(push).await?;
            let mut runs = Vec::new();
            for run in &view.runs {
                let run = look(&client, run.run).await?;
                runs.extend(run.ok().filter(|run| run.summary.state.is_over()));
            }
            let over = !runs.is_empty() && runs.len() == view.runs.len();
            Ok(over.then_some(runs))
        })
        .await?;
        Ok((push, runs))
    }

    /// The spans of a push, once those of its last word are there and nothing that they name is missing.
    async fn tree(&self, push: PushId, runs: &[RunView]) -> Result<Tree> {
        let trace = push.0.simple().to_string();
        let ids: BTreeSet<String> = runs.iter().map(|it| it.summary.id.to_string()).collect();
        let whole = |spans: &[Span]| {
            let tree = Tree::of(&trace, spans);
            let ended = tree
                .spans
                .values()
                .filter(|it| says(it, "pipelinerun.finished"));
            let ended: BTreeSet<String> = ended.map(|it| run_of(it).to_owned()).collect();
            let last = tree.named("soak").len() + tree.failed().len();
            ended == ids && last > 0 && tree.orphans().is_empty()
        };
        let spans = tokio::time::timeout(LIMIT, self.collector.until(whole)).await;
        let spans = spans.with_context(|| {
            let tree = Tree::of(&trace, &self.collector.spans());
            format!("no whole tree came: {}", tree.drawn())
        })?;
        Ok(Tree::of(&trace, &spans))
    }
}

fn says(span: &Span, kind: &str) -> bool {
    span.get("ferry.says").split(", ").any(|it| it == kind)
}

fn run_of(span: &Span) -> &str {
    span.get("cicd.pipeline.run.id")
}

/// The spans of one trace by their ids.
struct Tree {
    spans: BTreeMap<String, Span>,
    /// How many came: more than there are ids, where one came twice.
    came: usize,
}

impl Tree {
    fn of(trace: &str, spans: &[Span]) -> Self {
        let own: Vec<&Span> = spans.iter().filter(|span| span.trace == trace).collect();
        Self {
            came: own.len(),
            spans: own
                .into_iter()
                .map(|span| (span.id.clone(), span.clone()))
                .collect(),
        }
    }

    fn named(&self, name: &str) -> Vec<&Span> {
        self.spans.values().filter(|it| it.name == name).collect()
    }

    fn failed(&self) -> Vec<&Span> {
        self.spans
            .values()
            .filter(|it| it.error.is_some())
            .collect()
    }

    fn roots(&self) -> Vec<&Span> {
        self.spans
            .values()
            .filter(|it| it.parent.is_none())
            .collect()
    }

    /// Spans whose parent is not there.
    fn orphans(&self) -> Vec<&Span> {
        let known = |parent: &String| self.spans.contains_key(parent);
        let orphan = |it: &&Span| it.parent.as_ref().is_some_and(|parent| !known(parent));
        self.spans.values().filter(orphan).collect()
    }

    /// The names of what a span is below, nearest first.
    fn above(&self, span: &Span) -> Vec<&str> {
        let next = |span: &&Span| self.spans.get(span.parent.as_ref()?);
        std::iter::successors(next(&span), next)
            .map(|span| span.name.as_str())
            .collect()
    }

    fn drawn(&self) -> String {
        let mut text = String::new();
        for span in self.spans.values() {
            let says = span.get("ferry.says");
            text += &format!(
                "\n{} {} < {:?}: {says}",
                span.service,
                span.name,
                self.above(span)
            );
        }
        text
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_is_one_tree_and_a_run_that_stops_says_why() -> Result<()> {
    let mut scene = Scene::start(Collector::start().await?).await?;

    // Two modules, each on three bases in two environments.
    let first = scene.world.repositories[0].first();
    let (push, runs) = scene.carry(&first.context("the first push")?).await?;
    assert_eq!(runs.len(), 2);
    let tree = scene.tree(push, &runs).await?;
    for run in &runs {
        assert_eq!(run.summary.state, RunState::Succeeded);
        // `ferry show` names the trace.
        assert_eq!(run.trace, Some(push.0.simple().to_string()));
    }
    assert_eq!(tree.came, tree.spans.len(), "no span came twice");
    let roots = tree.roots();
    assert_eq!(roots.len(), 1, "{}", tree.drawn());
    let root = roots[0];
    assert_eq!(root.name, "POST /hooks/github");
    // The forge's trace is linked, and not gone on with.
    assert_eq!(root.links, [(SENDER.0.to_owned(), SENDER.1.to_owned())]);
    let services: BTreeSet<&str> = tree.spans.values().map(|it| it.service.as_str()).collect();
    let all: Vec<String> = Service::ALL
        .iter()
        .map(|it| format!("ferry-{it}"))
        .collect();
    assert_eq!(services, all.iter().map(String::as_str).collect());

    // Each hop is there for each run, below the ones before.
    assert_eq!(tree.named("fetch").len(), 1);
    let hops = [
        ("build", 1, "fetch"),
        ("slim", 1, "build"),
        ("prepare", BASES, "slim"),
        ("install", BASES, "slim"),
        ("observe", BASES, "install"),
        ("soak", BASES, "install"),
    ];
    for run in &runs {
        let id = run.summary.id.to_string();
        for (hop, many, below) in hops {
            let spans = tree.named(hop);
            let spans: Vec<_> = spans.iter().filter(|it| run_of(it) == id).collect();
            assert!(spans.len() >= many, "{hop}: {}", tree.drawn());
            for span in spans {
                let above = tree.above(span);
                assert!(above.contains(&below), "{hop} is below {above:?}");
                assert_eq!(above.last(), Some(&"POST /hooks/github"));
                assert_eq!(span.get("cicd.pipeline.name"), run.summary.module);
                assert_eq!(span.get("cicd.pipeline.task.run.result"), "success");
                assert!(span.ended >= span.began);
            }
        }
        let on: BTreeSet<&str> = tree
            .named("install")
            .into_iter()
            .filter(|it| run_of(it) == id)
            .map(|it| it.get("ferry.base"))
            .collect();
        assert_eq!(on, BTreeSet::from(["pre-1", "prod-1", "prod-2"]));
    }
    assert_eq!(tree.failed().len(), 0, "{:?}", tree.failed());

    // A module that answers with an error is taken back; the trace says why.
    let change = Change {
        module: 0,
        text: "broken".into(),
        status: 500,
        takes: 0,
    };
    let change = scene.world.repositories[0].push(&[change]).await?;
    let (push, runs) = scene.carry(&change).await?;
    assert_eq!(runs.len(), 1);
    let stop = runs[0].summary.stop.as_ref().context("it stops")?;
    let tree = scene.tree(push, &runs).await?;
    assert_eq!(tree.roots().len(), 1, "{}", tree.drawn());
    let observed = tree.named("observe");
    let observed = observed.iter().find(|it| it.error.is_some());
    let observed = observed.context("the observation failed")?;
    assert_eq!(observed.get("error.type"), stop.code.code());
    assert_eq!(observed.get("ferry.base"), "pre-1");
    let ends = tree
        .spans
        .values()
        .find(|it| says(it, "pipelinerun.finished"));
    let ends = ends.context("the run's end")?;
    assert_eq!(ends.get("error.type"), stop.code.code());
    assert!(ends.error.is_some());
    assert_eq!(run_of(ends), runs[0].summary.id.to_string());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_never_answers_loses_spans_and_nothing_else() -> Result<()> {
    let mut scene = Scene::start(Collector::silent().await?).await?;
    let first = scene.world.repositories[0].first();
    let (_, runs) = scene.carry(&first.context("the first push")?).await?;
    let ends: BTreeMap<RunId, RunState> = runs
        .iter()
        .map(|run| (run.summary.id, run.summary.state))
        .collect();
    assert_eq!(ends.len(), 2);
    assert!(
        ends.values().all(|state| *state == RunState::Succeeded),
        "{ends:?}"
    );
    tokio::time::timeout(LIMIT, scene.collector.is_asked())
        .await
        .context("spans were sent to it")?;
    assert!(scene.collector.spans().is_empty());

    // Every service counts them, and ends in time.
    let names: Vec<String> = scene.world.fleet.members().keys().cloned().collect();
    for name in names {
        let member = scene.world.fleet.member_mut(&name)?;
        let metrics = format!("{}/metrics", member.url());
        let metrics = reqwest::get(&metrics)
            .await?
            .error_for_status()?
            .text()
            .await?;
        assert!(
            metrics.contains("\nferry_spans_sent_total 0\n"),
            "{metrics}"
        );
        let status = member.terminate(LIMIT).await?;
        assert_eq!(status.code(), Some(0), "{name} did not drain in time");
    }
    Ok(())
}
