//! Two real bases behind a real HAProxy under load: with drain, replacing a web module loses no request.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use ferry_api::{DeployQuery, RunState};
use ferry_rig::{
    balancer::{HaProxy, SECRET},
    base::{Base, Options, ensure_base_jar},
    maven::hello_jar,
    stack::{BaseAt, EnvironmentAt, ModuleAt, ProbeAt, RepositoryAt, Setup, Stack},
    wait::until,
};
use tokio::task::JoinSet;

/// A run takes some seconds; the rest is for a machine that is busy.
const RUN_LIMIT: Duration = Duration::from_secs(180);
/// Visitors at a time; half of them keep their connection.
const VISITORS: usize = 8;
/// Between two requests of a visitor: together they are some hundreds a second.
const THINKS: Duration = Duration::from_millis(10);
/// A request that takes longer failed.
const PATIENCE: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn replacing_a_web_module_behind_haproxy_loses_no_request() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let start = |name: &str| Base::start(Options::new(name, &dir.path().join(name)));
    let bases = [start("prod-1").await?, start("prod-2").await?];
    let servers = [
        ("prod-1", bases[0].http_port()),
        ("prod-2", bases[1].http_port()),
    ];
    let balancer = HaProxy::start(&dir.path().join("haproxy"), &servers).await?;
    let (one, two) = (
        hello_jar(&[], false).await?,
        hello_jar(&["version-two"], false).await?,
    );

    // Without it, visitors meet the half second: else this test could not fail.
    let plain = stack(&dir.path().join("plain"), &bases, "").await?;
    deploy(&plain, &one).await?;
    in_service(&balancer).await?;
    let load = Load::start(&balancer);
    deploy(&plain, &two).await?;
    let (asked, failed) = load.end().await?;
    eprintln!("without drain: {} of {asked} requests failed", failed.len());
    assert!(!failed.is_empty(), "nothing failed without drain either");
    drop(plain);

    let drained = stack(&dir.path().join("drained"), &bases, &balancer.drain()?).await?;
    in_service(&balancer).await?;
    let load = Load::start(&balancer);
    deploy(&drained, &one).await?;
    deploy(&drained, &two).await?;
    let (asked, failed) = load.end().await?;
    eprintln!("with drain: {} of {asked} requests failed", failed.len());
    assert_eq!(failed, Vec::<String>::new());
    for base in &bases {
        let (status, text) = base.get("/hello/").await?;
        assert_eq!(status, 200);
        assert!(text.contains("version two"), "{text}");
    }
    Ok(())
}

/// Visitors who ask again and again.
struct Load {
    going: Arc<std::sync::atomic::AtomicBool>,
    asked: Arc<AtomicU64>,
    visitors: JoinSet<Result<Vec<String>>>,
}

impl Load {
    fn start(balancer: &HaProxy) -> Self {
        let going = Arc::new(std::sync::atomic::AtomicBool::new(true));
        let asked = Arc::new(AtomicU64::new(0));
        let mut visitors = JoinSet::new();
        for visitor in 0..VISITORS {
            let url = format!("{}/hello/", balancer.url());
            let (going, asked) = (going.clone(), asked.clone());
            let keeps = if visitor % 2 == 0 { 1 } else { 0 };
            visitors.spawn(async move {
                let http = reqwest::Client::builder()
                    .no_proxy()
                    .timeout(PATIENCE)
                    .pool_max_idle_per_host(keeps)
                    .build()?;
                let mut failed = Vec::new();
                while going.load(Ordering::Relaxed) {
                    asked.fetch_add(1, Ordering::Relaxed);
                    if let Err(why) = visit(&http, &url).await {
                        failed.push(why);
                    }
                    tokio::time::sleep(THINKS).await;
                }
                Ok(failed)
            });
        }
        Self {
            going,
            asked,
            visitors,
        }
    }

    /// How many requests there were, and what became of those that failed.
    async fn end(mut self) -> Result<(u64, Vec<String>)> {
        self.going.store(false, Ordering::Relaxed);
        let mut failed = Vec::new();
        while let Some(visitor) = self.visitors.join_next().await {
            failed.extend(visitor??);
        }
        Ok((self.asked.load(Ordering::Relaxed), failed))
    }
}

async fn visit(http: &reqwest::Client, url: &str) -> Result<(), String> {
    let answer = http.get(url).send().await;
    let answer = answer.map_err(|error| error.to_string())?;
    let status = answer.status();
    let text = answer.text().await.map_err(|error| error.to_string())?;
    if status == 200 && text.contains("hello, version") {
        return Ok(());
    }
    Err(format!("{status} {text}"))
}

/// Waits until HAProxy's own checks let visitors through to both bases.
async fn in_service(balancer: &HaProxy) -> Result<()> {
    let http = reqwest::Client::builder().no_proxy().build()?;
    until("both bases to be in service", RUN_LIMIT, || async {
        let stats = balancer.stats(&http).await?;
        let up = |base: &str| {
            let line = stats
                .lines()
                .find(|line| line.starts_with(&format!("web,{base},")));
            line.is_some_and(|line| line.split(',').nth(17) == Some("UP"))
        };
        Ok((up("prod-1") && up("prod-2")).then_some(()))
    })
    .await
}

async fn stack(dir: &Path, bases: &[Base], drain: &str) -> Result<Stack> {
    let mut setup = Setup::new(dir);
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
    let at = |base: &Base| BaseAt {
        name: base.name().to_owned(),
        arklet: base.arklet_url(),
        url: base.http_url(),
    };
    setup.environments = vec![EnvironmentAt {
        name: "prod".into(),
        base_jar: Some(ensure_base_jar().await?),
        bases: bases.iter().map(at).collect(),
    }];
    setup.extra = drain.to_owned();
    let secrets = dir.join("secrets");
    std::fs::create_dir_all(&secrets)?;
    std::fs::write(secrets.join("balancer"), SECRET)?;
    Stack::start(&setup).await
}

async fn deploy(stack: &Stack, jar: &Path) -> Result<()> {
    let bytes = std::fs::read(jar)?;
    let size = bytes.len() as u64;
    let asked = stack
        .client()
        .deploy("hello", bytes, size, &DeployQuery::default())
        .await?;
    let run = until("the run", RUN_LIMIT, || async {
        Ok(stack.client().command(asked.id).await?.run)
    })
    .await?;
    let view = stack.wait_run(run, RUN_LIMIT).await?;
    let ended = view.summary.state;
    (ended == RunState::Succeeded)
        .then_some(())
        .with_context(|| format!("{ended:?}: {:?}", view.summary.stop))
}
