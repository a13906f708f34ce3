//! Rollouts with people and limits on a real nats-server, with six processes: a rollout waits for approval,
//! is paused, resumed and aborted; three hundred bases in three environments keep to the limits of their zones.

#[allow(dead_code, reason = "each test file uses its part")]
mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context, Result};
use ferry_api::{
    BaseState, CommandAnswer, CommandState, DeployQuery, EnvironmentState, GateView, PlanQuery,
    RolloutRequest, RunState, RunView, StretchRequest,
};
use ferry_events::{Reason, RunId, rollout::Plan};
use ferry_fake_base::{FakeBase, Options};
use ferry_rig::{
    chaos::doubled_on,
    stack::{EnvironmentAt, ModuleAt, ProbeAt, RepositoryAt, Setup, Stack},
    wait::until,
};
use support::{Line, RUN_LIMIT, answering, jar};

/// Whoever may approve does, also who asked for the run: there is one token.
const APPROVAL: &str = "[environments.prod.approval]\nnot_author = false\n";

impl Line {
    /// Waits until a run waits in prod for something whose name begins so.
    async fn waits(&self, run: RunId, name: &str) -> Result<GateView> {
        until(
            &format!("the run to wait for {name}"),
            RUN_LIMIT,
            || async {
                let view = self.stack.look(run).await?.ok();
                let mut all = view.iter().flat_map(|view| &view.environments);
                let there = all.find(|one| one.name == "prod");
                let gates = there.into_iter().flat_map(|there| there.gates.clone());
                Ok(gates.into_iter().find(|gate| gate.name.starts_with(name)))
            },
        )
        .await
    }

    /// Waits until a command is taken or refused; the reason where it is refused.
    async fn settled(&self, asked: CommandAnswer) -> Result<Option<Reason>> {
        until("the command to be settled", RUN_LIMIT, || async {
            let view = self.stack.client().command(asked.id).await?;
            let over = view.state != CommandState::Waiting;
            Ok(over.then(|| view.stop.map(|stop| stop.code)))
        })
        .await
    }

    async fn approve(&self, run: RunId) -> Result<Option<Reason>> {
        let ask = RolloutRequest {
            environment: Some("prod".into()),
            why: "it looks right in pre".into(),
        };
        let asked = self.stack.client().approve(&run.to_string(), &ask).await?;
        self.settled(asked).await
    }
}

fn prod(why: &str) -> StretchRequest {
    StretchRequest {
        environment: Some("prod".into()),
        why: Some(why.into()),
        ..StretchRequest::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_approve_pause_resume_and_abort() -> Result<()> {
    let line = Line::start_with(APPROVAL).await?;
    let client = line.stack.client();

    // Nothing reaches prod before somebody says yes; what would happen is told before.
    let run = line.upload(&jar("one")).await?;
    let gate = line.waits(run, "approval").await?;
    assert!(gate.until > gate.since);
    assert_eq!(line.answers().await?, ["one", "404", "404"]);
    let query = PlanQuery {
        artifact: Some(run.to_string()),
        to: Some("prod".into()),
    };
    let plan = client.plan("cart", &query).await?;
    let there = &plan.environments[0].preview;
    assert_eq!(there.stops, []);
    let bases = there.plan.as_ref().context("a plan")?;
    assert_eq!(bases.bases().collect::<Vec<_>>(), ["prod-1", "prod-2"]);
    assert!(there.waits.iter().any(|wait| wait.name == "approval"));
    assert_eq!(line.approve(run).await?, None);
    let view = line.stack.wait_run(run, RUN_LIMIT).await?;
    assert_eq!(view.summary.state, RunState::Succeeded);
    assert_eq!(line.answers().await?, ["one"; 3]);
    let late = line.approve(run).await?;
    assert_eq!(late, Some(Reason::NotWaiting));

    // A pause outlives every service, and holds what has its approval.
    let paused = client.pause(&prod("the database is moved")).await?;
    assert_eq!(line.settled(paused).await?, None);
    let run = line.upload(&jar("two")).await?;
    line.waits(run, "approval").await?;
    assert_eq!(line.approve(run).await?, None);
    line.waits(run, "paused environment prod").await?;
    let standing = client.line().await?.paused;
    assert_eq!(standing.len(), 1);
    assert_eq!(standing[0].why.as_deref(), Some("the database is moved"));
    assert_eq!(line.answers().await?, ["two", "one", "one"]);
    let resumed = client.resume(&prod("it is moved")).await?;
    assert_eq!(line.settled(resumed).await?, None);
    let view = line.stack.wait_run(run, RUN_LIMIT).await?;
    assert_eq!(view.summary.state, RunState::Succeeded);
    assert_eq!(line.answers().await?, ["two"; 3]);

    // What was not begun there is stopped there, and changes nothing.
    let run = line.upload(&jar("three")).await?;
    line.waits(run, "approval").await?;
    let ask = StretchRequest {
        run: Some(run.to_string()),
        why: Some("prices are wrong".into()),
        ..StretchRequest::default()
    };
    let aborted = client.abort(&ask).await?;
    assert_eq!(line.settled(aborted).await?, None);
    let view = line.stack.wait_run(run, RUN_LIMIT).await?;
    assert_eq!(view.summary.state, RunState::Failed);
    let stop = view.summary.stop.context("a reason")?;
    assert_eq!(stop.code, Reason::Aborted);
    assert!(stop.detail.contains("prices are wrong"), "{}", stop.detail);
    assert_eq!(line.answers().await?, ["three", "two", "two"]);
    assert_eq!(line.doubled(), Vec::<String>::new());
    Ok(())
}

/// Bases of one environment.
const BASES: usize = 100;
const ENVIRONMENTS: [&str; 3] = ["pre", "gray", "prod"];
const ZONES: [&str; 3] = ["east", "north", "west"];

/// At most so many of a zone at a time; a third of the bases is in each.
const LIMITS: &str =
    "canary = 2\nparallel = \"50%\"\nmax_unavailable = \"40%\"\nmin_available = \"50%\"\n";

struct Many {
    stack: Stack,
    bases: BTreeMap<String, FakeBase>,
    _dir: tempfile::TempDir,
}

impl Many {
    async fn start() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let mut bases = BTreeMap::new();
        let (mut extra, mut limits) = (String::new(), String::new());
        let mut setup = Setup::new(dir.path());
        for environment in ENVIRONMENTS {
            writeln!(limits, "[environments.{environment}]\n{LIMITS}")?;
            writeln!(
                extra,
                "[pools.{environment}-all]\nenvironment = \"{environment}\""
            )?;
            for number in 0..BASES {
                let name = format!("{environment}-{number:03}");
                let options = Options {
                    name: name.clone(),
                    ..Options::default()
                };
                let base = FakeBase::start(options).await?;
                let (arklet, url) = (&base.arklet_url, &base.modules_url);
                let zone = ZONES[number % ZONES.len()];
                writeln!(
                    extra,
                    "[[pools.{environment}-all.bases]]\nname = \"{name}\"\narklet = \"{arklet}\"\nurl = \"{url}\"\nzone = \"{zone}\""
                )?;
                bases.insert(name, base);
            }
            setup.environments.push(EnvironmentAt {
                name: environment.into(),
                base_jar: None,
                bases: Vec::new(),
            });
        }
        setup.repositories = vec![RepositoryAt {
            name: "shop".into(),
            url: "https://git.example/acme/shop.git".into(),
        }];
        setup.modules = vec![ModuleAt {
            name: "cart".into(),
            repository: "shop".into(),
            path: ".".into(),
            soak: "0s".into(),
            probe: Some(ProbeAt {
                path: "/cart/".into(),
                deadline: "20s".into(),
            }),
        }];
        setup.extra = extra;
        std::fs::create_dir_all(dir.path().join("conf.d"))?;
        std::fs::write(dir.path().join("conf.d/limits.toml"), limits)?;
        let many = Self {
            stack: Stack::start(&setup).await?,
            bases,
            _dir: dir,
        };
        until("every base to join", RUN_LIMIT, || async {
            let bases = many.stack.client().bases().await?;
            let all = bases.iter().all(|base| base.state == BaseState::Joined);
            Ok((all && bases.len() == many.bases.len()).then_some(()))
        })
        .await?;
        Ok(many)
    }

    async fn deploy(&self, jar: &ferry_fake_base::jar::FakeJar) -> Result<RunView> {
        let (client, bytes) = (self.stack.client(), jar.bytes());
        let size = bytes.len() as u64;
        let query = DeployQuery::default();
        let asked = client.deploy("cart", bytes, size, &query).await?;
        let run = until("the run", RUN_LIMIT, || async {
            Ok(client.command(asked.id).await?.run)
        })
        .await?;
        self.stack.wait_run(run, RUN_LIMIT * 4).await
    }

    /// How many bases run how many modules.
    fn carrying(&self) -> BTreeMap<usize, usize> {
        let mut counts = BTreeMap::new();
        for base in self.bases.values() {
            *counts.entry(base.modules().len()).or_insert(0) += 1;
        }
        counts
    }
}

/// What a plan takes of each zone, wave by wave, is within its limits.
fn keeps_its_limits(plan: &Plan) {
    assert_eq!(plan.waves[0].len(), 2, "the canary");
    for wave in &plan.waves {
        assert!(wave.len() <= BASES / 2);
        let mut zones: BTreeMap<&str, u32> = BTreeMap::new();
        for step in wave {
            *zones.entry(&step.zone).or_default() += 1;
        }
        for (zone, taken) in zones {
            let limits = &plan.limits.zones[zone];
            assert!(
                taken <= limits.max_unavailable,
                "{zone}: {taken} of {limits:?}"
            );
            assert!(
                limits.bases - taken >= limits.min_available,
                "{zone}: {limits:?}"
            );
        }
    }
    assert_eq!(plan.bases().count(), BASES);
}

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_bases_in_three_environments() -> Result<()> {
    let many = Many::start().await?;
    let run = many.deploy(&jar("one")).await?;
    assert_eq!(
        run.summary.state,
        RunState::Succeeded,
        "{:?}",
        run.summary.stop
    );
    assert_eq!(many.carrying(), BTreeMap::from([(1, 3 * BASES)]));
    let plan = many
        .stack
        .client()
        .plan("cart", &PlanQuery::default())
        .await?;
    assert_eq!(plan.environments.len(), 3);
    for there in &plan.environments {
        keeps_its_limits(there.preview.plan.as_ref().context("a plan")?);
        assert!(there.takes_ms.is_some(), "there are times to go by");
    }

    // What answers badly touches two bases of three hundred, and no second environment.
    let bad = many.deploy(&answering("broken", 500)).await?;
    assert_eq!(bad.summary.state, RunState::Failed);
    let states: Vec<_> = bad.environments.iter().map(|there| there.state).collect();
    assert_eq!(
        states,
        [
            EnvironmentState::RolledBack,
            EnvironmentState::Waiting,
            EnvironmentState::Waiting
        ]
    );
    let changed = many
        .bases
        .values()
        .filter(|base| {
            base.ledger()
                .entries()
                .iter()
                .any(|entry| entry.command.as_str() == "uninstallBiz")
        })
        .count();
    assert_eq!(changed, 2, "the canary alone");
    let doubled: Vec<String> = many
        .bases
        .iter()
        .flat_map(|(name, base)| doubled_on(name, base.ledger().entries()))
        .collect();
    assert_eq!(doubled, Vec::<String>::new());
    Ok(())
}
