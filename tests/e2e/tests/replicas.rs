//! Two replicas of every service as processes: restarted in turn, drained with work in hand, on a
//! frozen server, and on three servers of which the leader is killed.
//!
//! In: pushes to real repositories, with a stand-in for Maven. Out: runs that end, and nothing twice.

use std::{collections::BTreeMap, path::Path, time::Duration};

use anyhow::{Context, Result, bail};
use ferry_events::{Body, Event, PushId, run::Outcome, subject};
use ferry_fake_base::Phase;
use ferry_rig::{
    chaos::{self, Forge, Journal, World, deliver, journal, world::Change},
    fleet::Size,
    git::Push,
    wait::until,
};

/// A run takes some seconds, a claim of a process that was killed stands for 15 s, a message in its
/// hands for 30 s; the rest is for a machine that is busy.
const REST_LIMIT: Duration = Duration::from_secs(180);

/// Anything that takes a second or two.
const LIMIT: Duration = Duration::from_secs(60);

/// Longer than a draining service waits for work in hand (5 s), in milliseconds.
const LONG_WORK: u64 = 9_000;

struct Scene {
    world: World,
    journal: Journal,
    forge: Forge,
    pushes: Vec<PushId>,
    said: BTreeMap<String, String>,
    _dir: tempfile::TempDir,
}

impl Scene {
    async fn start(servers: usize, repositories: usize) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let size = Size {
            servers,
            replicas: 2,
        };
        let world = World::start(dir.path(), &size, repositories).await?;
        Ok(Self {
            journal: journal::follow(&world.fleet).await?,
            forge: Forge::of(&world.fleet)?,
            world,
            pushes: Vec::new(),
            said: BTreeMap::new(),
            _dir: dir,
        })
    }

    /// Tells a gateway of a push; it has to be accepted.
    async fn deliver(&mut self, gateway: usize, push: &Push) -> Result<PushId> {
        let (accepted, _) = deliver(&self.forge, gateway, push).await;
        let accepted = accepted.context("no gateway accepts a push")?;
        self.pushes.push(accepted);
        Ok(accepted)
    }

    /// Changes both modules of a repository, and tells a gateway.
    async fn change(&mut self, repository: usize, text: &str, takes: u64) -> Result<Push> {
        let source = &self.world.repositories[repository];
        let modules = source.modules().iter().enumerate();
        let changes: Vec<Change> = modules
            .map(|(module, name)| Change {
                module,
                text: format!("{name} {text}"),
                status: 200,
                takes,
            })
            .collect();
        let push = source.push(&changes).await?;
        for (name, change) in source.modules().iter().zip(changes) {
            self.said.insert(name.clone(), change.text);
        }
        self.deliver(repository, &push).await?;
        Ok(push)
    }

    /// Tells of the first commit of every repository.
    async fn begin(&mut self) -> Result<()> {
        for repository in 0..self.world.repositories.len() {
            let first = self.world.repositories[repository].first();
            self.deliver(repository, &first.context("the first push")?)
                .await?;
        }
        self.rest().await
    }

    async fn rest(&self) -> Result<()> {
        let rest = self.journal.rest(&self.pushes, REST_LIMIT).await;
        rest.with_context(|| logs(&self.world.fleet.logs()))
    }

    fn events(&self) -> Vec<Event> {
        let told = self.journal.events();
        told.into_iter().filter_map(|told| told.event).collect()
    }

    /// How many runs ended well; every other end but being superseded is an error.
    fn ended_well(&self) -> Result<usize> {
        let mut well = 0;
        for event in self.events() {
            if let Body::RunFinished(run) = event.body {
                match run.outcome {
                    Outcome::Success => well += 1,
                    Outcome::Cancel => {}
                    other => bail!("run {} ended as {other:?}: {:?}", run.run, run.stop),
                }
            }
        }
        Ok(well)
    }

    /// Nothing happened twice, and every base answers what was pushed last.
    async fn check(&self) -> Result<()> {
        let events = self.events();
        let events: Vec<&Event> = events.iter().collect();
        assert_eq!(chaos::doubled(&self.world, &events)?, Vec::<String>::new());
        for (module, text) in &self.said {
            for base in self.world.bases.all() {
                let answer = base.get(&format!("/{module}/")).await?;
                assert_eq!(answer, (200, text.clone()), "{module} on {}", base.name());
            }
        }
        Ok(())
    }

    /// SIGTERM; it has to drain in time. Then it starts again.
    async fn restart(&mut self, name: &str) -> Result<()> {
        self.drain(name).await?;
        let member = self.world.fleet.member_mut(name)?;
        member.start()?;
        member.ready(LIMIT).await
    }

    async fn drain(&mut self, name: &str) -> Result<()> {
        let member = self.world.fleet.member_mut(name)?;
        let status = member.terminate(LIMIT).await?;
        let tail = member.process()?.tail();
        assert_eq!(
            status.code(),
            Some(0),
            "{name} did not drain in time; {tail}"
        );
        Ok(())
    }

    /// Every service's `/readyz` answers with a status, within the limit.
    async fn all_say(&self, wanted: u16, word: &str) -> Result<()> {
        for (name, member) in self.world.fleet.members() {
            until(&format!("{name} to say {word:?}"), LIMIT, || async {
                let said = member.readyz().await;
                Ok(said.filter(|(status, text)| *status == wanted && text.contains(word)))
            })
            .await?;
        }
        Ok(())
    }
}

/// The ends of all logs.
fn logs(folder: &Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let log = std::fs::read_to_string(entry.path()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = &lines[lines.len().saturating_sub(8)..];
        text += &format!("--- {}\n{}\n", entry.path().display(), last.join("\n"));
    }
    text
}

/// Every service is restarted, one replica after the other, while sixty runs go through.
#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_during_sixty_runs_loses_and_doubles_nothing() -> Result<()> {
    const REPOSITORIES: usize = 5;
    let mut scene = Scene::start(1, REPOSITORIES).await?;
    let names: Vec<String> = scene.world.fleet.members().keys().cloned().collect();
    let services: Vec<&[String]> = names.chunks(2).collect();
    for replicas in &services {
        for repository in 0..REPOSITORIES {
            let text = format!("with {}", replicas[0]);
            scene.change(repository, &text, 200).await?;
        }
        for name in *replicas {
            scene.restart(name).await?;
        }
        scene.rest().await?;
    }
    // Each service's turn is one run of each of two modules a repository.
    let runs = services.len() * REPOSITORIES * 2;
    assert_eq!((scene.ended_well()?, runs), (runs, 60));
    scene.check().await
}

/// A build and an installation that take longer than a drain: another replica brings them to an end.
#[tokio::test(flavor = "multi_thread")]
async fn long_work_is_handed_back_by_a_drain() -> Result<()> {
    let mut scene = Scene::start(1, 1).await?;
    // One builder, so that it is known who builds.
    scene.drain("builder-2").await?;
    scene.change(0, "built at length", LONG_WORK).await?;
    let started = |body: &Body| matches!(body, Body::BuildStarted(_));
    scene.journal.event("a build", LIMIT, started).await?;
    let builder = scene.world.fleet.member_mut("builder-2")?;
    builder.start()?;
    builder.ready(LIMIT).await?;
    scene.drain("builder-1").await?;
    scene.rest().await?;

    scene.drain("installer-2").await?;
    let base = scene.world.bases.named("pre-1").context("pre-1")?;
    let before = scene.world.bases.ledger(base)?.len();
    scene
        .world
        .bases
        .fault(base, "slow_install_ms", LONG_WORK.into())
        .await?;
    scene.change(0, "installed at length", 0).await?;
    let base = scene.world.bases.named("pre-1").context("pre-1")?;
    until("an installation", LIMIT, || async {
        let asked = scene.world.bases.ledger(base)?.into_iter().skip(before);
        let mut asked = asked.filter(|it| it.phase == Phase::Asked && it.version.is_some());
        Ok(asked.find(|it| format!("{:?}", it.command).starts_with("Install")))
    })
    .await?;
    let installer = scene.world.fleet.member_mut("installer-2")?;
    installer.start()?;
    installer.ready(LIMIT).await?;
    scene.drain("installer-1").await?;
    scene.rest().await?;
    assert_eq!(scene.ended_well()?, 4);
    scene.check().await
}

/// nats-server stops where it stands: every service says so, hooks are answered 202 all the same, and
/// what came meanwhile is delivered in its order.
#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_server_is_noticed_and_costs_no_push() -> Result<()> {
    let mut scene = Scene::start(1, 1).await?;
    scene.begin().await?;
    scene.world.fleet.freeze("nats-server-1")?;
    scene.all_say(503, "does not answer").await?;
    let mut heads = Vec::new();
    for number in 0..4 {
        heads.push(scene.change(0, &format!("number {number}"), 0).await?.after);
    }
    scene.world.fleet.thaw("nats-server-1")?;
    scene.rest().await?;
    let received: Vec<String> = scene
        .events()
        .into_iter()
        .filter_map(|event| match event.body {
            Body::PushReceived(push) => Some(push.after),
            _ => None,
        })
        .collect();
    assert_eq!(received[1..], heads, "in their order");
    scene.ended_well()?;
    scene.world.fleet.ready(LIMIT).await?;
    scene.check().await
}

/// Three servers with three copies of each stream: the one that leads the events is killed.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_leader_of_three_servers_loses_and_doubles_nothing() -> Result<()> {
    let mut scene = Scene::start(3, 2).await?;
    scene.begin().await?;
    for round in 0..2 {
        for repository in 0..2 {
            scene
                .change(repository, &format!("before kill {round}"), 0)
                .await?;
        }
        let leader = until("a leader", LIMIT, || async {
            Ok(scene.world.fleet.servers().leader(subject::STREAM).await)
        })
        .await?;
        scene.world.fleet.kill(&leader).await?;
        for repository in 0..2 {
            scene
                .change(repository, &format!("after kill {round}"), 0)
                .await?;
        }
        until("another leader", LIMIT, || async {
            let now = scene.world.fleet.servers().leader(subject::STREAM).await;
            Ok(now.filter(|now| *now != leader))
        })
        .await?;
        scene.world.fleet.start_again(&leader).await?;
        scene.rest().await?;
    }
    scene.ended_well()?;
    scene.check().await
}
