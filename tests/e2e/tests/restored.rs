//! One stream of a real nats-server is put back to an earlier moment, the others stay: services as processes,
//! two of each, stop and say so; no base is asked for anything before the operator says that it was meant.
//!
//! In: pushes to a real repository, with a stand-in for Maven. Out: what the bases' ledgers show.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result};
use ferry_events::{Body, Event, PushId, Service, run::Outcome};
use ferry_rig::{
    chaos::{self, Forge, Journal, World, deliver, journal, world::Change},
    fleet::Size,
    git::Push,
    wait::until,
};

/// A run takes some seconds, a message in hand comes again after 30 s; the rest is for a machine that is busy.
const REST_LIMIT: Duration = Duration::from_secs(180);

/// Anything that takes some seconds.
const LIMIT: Duration = Duration::from_secs(90);

const SERVER: &str = "nats-server-1";

struct Scene {
    world: World,
    forge: Forge,
    journal: Journal,
    pushes: Vec<PushId>,
}

impl Scene {
    async fn deliver(&mut self, push: &Push) -> Result<PushId> {
        let (accepted, _) = deliver(&self.forge, 0, push).await;
        let accepted = accepted.context("no gateway accepts a push")?;
        self.pushes.push(accepted);
        Ok(accepted)
    }

    /// Changes both modules.
    async fn commit(&self, text: &str) -> Result<Push> {
        let change = |module| Change {
            module,
            text: text.to_owned(),
            status: 200,
            takes: 0,
        };
        self.world.repositories[0]
            .push(&[change(0), change(1)])
            .await
    }

    async fn rest(&self) -> Result<()> {
        self.journal.rest(&self.pushes, REST_LIMIT).await
    }

    /// What each base was asked so far, in lines of its ledger.
    fn asked(&self) -> Result<Vec<usize>> {
        let bases = self.world.bases.all();
        bases
            .map(|base| Ok(self.world.bases.ledger(base)?.len()))
            .collect()
    }

    async fn answers(&self) -> Result<Vec<(u16, String)>> {
        let mut answers = Vec::new();
        for base in self.world.bases.all() {
            for module in self.world.modules() {
                answers.push(base.get(&format!("/{module}/")).await?);
            }
        }
        Ok(answers)
    }

    /// Stops nats-server, does something with what it stores, and starts it again.
    async fn with_server_down(&mut self, act: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        let servers = self.world.fleet.servers_mut();
        let server = servers.named(SERVER).context("the one server")?;
        server.stop().await?;
        act(&server.dir().join("jetstream")).context("the store of nats-server")?;
        server.restart().await.context("the server's start")
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Where a stream is below the server's store.
fn stream(store: &Path, name: &str) -> std::path::PathBuf {
    store.join("jetstream/$G/streams").join(name)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_put_back_stops_all_services_until_the_operator_speaks() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let size = Size {
        servers: 1,
        replicas: 2,
    };
    let mut world = World::start(dir.path(), &size, 1).await?;
    let first = world.repositories[0].first().context("the first push")?;
    let mut scene = Scene {
        journal: journal::follow(&world.fleet).await?,
        forge: Forge::of(&world.fleet)?,
        world,
        pushes: Vec::new(),
    };
    scene.deliver(&first).await?;
    scene.rest().await?;

    // The backup; then two pushes more.
    let backup = dir.path().join("backup");
    let told = scene.journal.events();
    let end = told.last().context("something was told")?.sequence;
    scene
        .with_server_down(|store| copy(&stream(store, "FERRY"), &backup))
        .await?;
    scene.world.fleet.ready(LIMIT).await?;
    let second = scene.commit("two").await?;
    scene.deliver(&second).await?;
    scene.rest().await?;
    let third = scene.commit("three").await?;
    scene.deliver(&third).await?;
    scene.rest().await?;
    assert_eq!(scene.answers().await?, vec![(200, "three".to_owned()); 6]);
    let asked = scene.asked()?;
    // A replica that did nothing has looked since.
    let names: Vec<String> = scene.world.fleet.members().keys().cloned().collect();
    for name in names.iter().filter(|name| !name.starts_with("gateway")) {
        let service = name.split('-').next().unwrap_or_default();
        let folder = scene.world.fleet.dir().join("replicas").join(name);
        let file = folder.join(service).join("witness.json");
        until(&format!("{name} to look"), LIMIT, || async {
            let seen: serde_json::Value = serde_json::from_slice(
                &fs::read(&file).with_context(|| file.display().to_string())?,
            )?;
            // Something of the first push may be told after its runs have ended.
            let known = seen["sequence"].as_u64().unwrap_or_default();
            Ok((known > end + 50).then_some(()))
        })
        .await?;
    }

    // Only the stream that everything stands on is put back: timers and dead letters are of later moments.
    scene
        .with_server_down(|store| {
            let ferry = stream(store, "FERRY");
            fs::remove_dir_all(&ferry)?;
            copy(&backup, &ferry)
        })
        .await?;
    // As a supervisor does: who ends is started again. A gateway goes on, each other one says why it waits.
    for name in &names {
        let fleet = &mut scene.world.fleet;
        let deadline = tokio::time::Instant::now() + LIMIT;
        let mut ended = false;
        loop {
            if fleet.ended(name)?.is_some() {
                ended = true;
                fleet
                    .start_again(name)
                    .await
                    .with_context(|| format!("{name} starts again"))?;
            }
            let member = fleet.member_mut(name)?;
            let said = member.readyz().await;
            let gateway = member.service() == Service::Gateway;
            let fits = said.as_ref().is_some_and(|(status, text)| {
                if gateway {
                    *status == 200
                } else {
                    *status == 503 && text.contains("restored from another moment")
                }
            });
            let log = fs::read_to_string(member.log()).with_context(|| format!("{name}'s log"))?;
            if ended && fits && (gateway || log.contains("nothing is done")) {
                break;
            }
            anyhow::ensure!(
                tokio::time::Instant::now() < deadline,
                "{name} says {said:?}\n{log}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    // The forge's own word counts, and waits.
    scene.journal = journal::follow(&scene.world.fleet).await?;
    scene.pushes.clear();
    let again = scene.deliver(&third).await?;
    scene
        .journal
        .event(
            "the push",
            LIMIT,
            |body| matches!(body, Body::PushReceived(it) if it.push == again),
        )
        .await?;
    assert!(!scene.journal.is_at_rest(&[again]));
    assert_eq!(scene.asked()?, asked, "no base was asked for anything");
    for name in names.iter().filter(|name| !name.starts_with("gateway")) {
        let said = scene.world.fleet.member_mut(name)?.readyz().await;
        let (status, why) = said.with_context(|| format!("{name} says nothing"))?;
        assert_eq!(status, 503, "{name}: {why}");
    }

    // It was meant: all go on with what the bus holds.
    scene
        .world
        .fleet
        .operate(&["bus", "restored", "--why", "the backup of the first push"])
        .await?;
    scene.world.fleet.ready(LIMIT).await?;
    scene.rest().await?;
    let last = scene.commit("four").await?;
    scene.deliver(&last).await?;
    scene.rest().await?;
    let events: Vec<Event> = scene
        .journal
        .events()
        .into_iter()
        .filter_map(|told| told.event)
        .collect();
    for event in &events {
        if let Body::RunFinished(run) = &event.body {
            let named = run.outcome == Outcome::Success || run.stop.is_some();
            assert!(named, "run {} ended as {:?}", run.run, run.outcome);
        }
    }
    let events: Vec<&Event> = events.iter().collect();
    assert_eq!(chaos::doubled(&scene.world, &events)?, Vec::<String>::new());
    // What is owed to a base may come after the runs' end.
    let answers = until("the last push to answer", LIMIT, || async {
        let answers = scene.answers().await?;
        let all = answers.iter().all(|(_, text)| text == "four");
        Ok(all.then_some(answers))
    });
    assert_eq!(answers.await?, vec![(200, "four".to_owned()); 6]);
    assert_eq!(chaos::doubled(&scene.world, &events)?, Vec::<String>::new());
    Ok(())
}
