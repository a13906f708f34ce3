//! A stream that was restored from another moment, a state that does not fit it, a disk that refuses.
//!
//! In: a service on the real nats-server, whose folder is put back; one on the bus in memory. Out: the
//! service stops, says why, and does nothing twice.

mod support;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use ferry_bus::{
    Bus, ConnectOptions, JetStream, MemoryBus, StreamLimits, User, Users, Write, authorization,
    config_store, provision, restored,
};
use ferry_config::Config;
use ferry_events::{Event, EventId, RunId, Service, Timestamp, subject};
use ferry_rig::nats::NatsServer;
use ferry_runtime::{
    Clock, Context, Decide, Decision, Done, Effects, Fault, Input, Job, Key, Running, Settings,
    Witness, WitnessDisk, run,
};
use support::{Publisher, State, Work, bus as memory, packaged, settings as settings_of};

/// No single wait takes longer; a machine that is busy with builds may be slow.
const DEADLINE: Duration = Duration::from_secs(60);

fn key(n: u64) -> String {
    let run = RunId::of("shop", "main", n, "cart").to_string();
    Key::new("slim", &[&run]).to_string()
}

async fn until(what: &str, mut look: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    tokio::time::timeout(DEADLINE, async {
        while !look().await? {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    })
    .await
    .with_context(|| format!("{what}: not within {DEADLINE:?}"))?
}

/// Waits until the record of the n-th artifact says that it is done.
async fn done(bus: &dyn Bus, n: u64) -> Result<()> {
    let subject = subject::state(Service::Slimmer, &key(n));
    until("the work's outcome", async || {
        Ok(match bus.read(&subject).await {
            Ok(Some(record)) => {
                String::from_utf8_lossy(&record.payload).contains("\"published\":true")
            }
            _ => false,
        })
    })
    .await
}

async fn publish(bus: &dyn Bus, n: u64) -> Result<()> {
    bus.commit(vec![Write::event(&packaged(n, "cart"))].into())
        .await?;
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

async fn connect(server: &NatsServer, users: &Users, user: User) -> Result<Arc<JetStream>> {
    let bus = JetStream::connect(ConnectOptions {
        url: server.url(),
        user,
        seed: Some(users.seed(user).to_owned()),
        name: "witness".into(),
    })
    .await?;
    bus.ready(DEADLINE).await?;
    Ok(Arc::new(bus))
}

async fn start(bus: Arc<dyn Bus>, work: &Work, witness: &Witness) -> Running {
    let settings = Settings {
        witness: witness.clone(),
        ..Settings::default()
    };
    run(Publisher::default(), work.clone(), bus, settings).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_restored_from_another_moment_stops_the_service() -> Result<()> {
    let users = Users::generate();
    let mut server = NatsServer::start_with(&authorization(&users)).await?;
    let operator = connect(&server, &users, User::Operator).await?;
    provision(&operator, &StreamLimits::default()).await?;
    let config = serde_json::to_vec(&Config::default())?;
    config_store::put(operator.as_ref(), config.into(), 0).await?;
    let builder = connect(&server, &users, User::Service(Service::Builder)).await?;
    let slimmer = connect(&server, &users, User::Service(Service::Slimmer)).await?;
    let (folder, backup) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let work = Work::free();
    let witness = Witness::open(folder.path())?;
    let running = start(slimmer.clone(), &work, &witness).await;
    publish(builder.as_ref(), 1).await?;
    done(slimmer.as_ref(), 1).await?;

    // Moment A is kept; then more is done; then the bus is put back to A.
    let store = server.dir().join("jetstream");
    server.stop().await?;
    copy(&store, &backup.path().join("a"))?;
    server.restart().await?;
    builder.ready(DEADLINE).await?;
    until("the bus", async || {
        Ok(publish(builder.as_ref(), 2).await.is_ok())
    })
    .await?;
    done(slimmer.as_ref(), 2).await?;
    assert_eq!(work.begun(), 2);
    let seen = slimmer.end().await?;
    server.stop().await?;
    std::fs::remove_dir_all(&store)?;
    copy(&backup.path().join("a"), &store)?;
    server.restart().await?;

    // The service that runs notices, and ends.
    let why = tokio::time::timeout(DEADLINE, running.stopped()).await?;
    assert!(
        why.contains("restored from another moment")
            && why.contains("docs/operations.md#restoring"),
        "{why}"
    );
    running.drain().await;
    // The same push comes again, as a forge would redeliver it: nothing is done.
    builder.ready(DEADLINE).await?;
    until("the bus", async || {
        Ok(publish(builder.as_ref(), 2).await.is_ok())
    })
    .await?;
    let end = slimmer.end().await?;
    assert!(end < seen, "{end} of {seen}");

    // The next start waits, and says why.
    let witness = Witness::open(folder.path())?;
    let (bus, again, held) = (slimmer.clone(), work.clone(), witness.clone());
    let starting = tokio::spawn(async move { start(bus, &again, &held).await });
    until("the witness to speak", async || {
        Ok(witness.stopped().is_some())
    })
    .await?;
    let why = witness.stopped().context("it spoke")?;
    assert!(why.contains(&format!("FERRY ends at {end}")), "{why}");
    assert!(!starting.is_finished());
    assert_eq!(work.begun(), 2, "nothing was done twice");

    // A person says so: it goes on with what the bus holds.
    let at = Clock::wall().now();
    restored::acknowledge(operator.as_ref(), "the backup of moment A", at).await?;
    let running = tokio::time::timeout(DEADLINE, starting).await??;
    assert_eq!(witness.stopped(), None);
    done(slimmer.as_ref(), 2).await?;
    assert_eq!(work.begun(), 3, "the bus knew nothing of the second one");
    assert!(running.drain().await);
    // And that word counts once: another start needs none, another restore would.
    let witness = Witness::open(folder.path())?;
    let running = tokio::time::timeout(DEADLINE, start(slimmer.clone(), &work, &witness)).await?;
    assert!(running.drain().await);
    Ok(())
}

fn settings(bus: &MemoryBus, witness: &Witness) -> Settings {
    Settings {
        witness: witness.clone(),
        ..settings_of(bus)
    }
}

async fn start_on(bus: &MemoryBus, work: &Work, settings: Settings) -> Running {
    let own = bus.as_user(User::Service(Service::Slimmer));
    run(Publisher::default(), work.clone(), Arc::new(own), settings).await
}

/// Without a reconnection, as with a stream that is restored under a server that runs.
#[tokio::test(start_paused = true)]
async fn a_commit_below_what_was_seen_has_no_consequences() -> Result<()> {
    let bus = memory().await;
    let (work, witness) = (Work::free(), Witness::default());
    let running = start_on(&bus, &work, settings(&bus, &witness)).await;
    let saved = bus.save();
    publish(&bus, 1).await?;
    done(&bus, 1).await?;
    bus.restore(&saved, &[subject::STREAM])?;
    // It comes again to a service that has done it, and whose bus has forgotten.
    publish(&bus, 1).await?;
    let why = running.stopped().await;
    assert!(why.contains("restored from another moment"), "{why}");
    assert!(running.drain().await);
    assert_eq!(work.begun(), 1);
    assert!(
        bus.messages(subject::DEAD)?.is_empty(),
        "nothing is at fault"
    );
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_aggregate_that_does_not_fit_the_stream_stops_alone() -> Result<()> {
    let bus = memory().await;
    let (work, witness) = (Work::free(), Witness::default());
    // What the second transition of the first one would say is there already.
    let id = EventId::of("slimmer", &key(1), 2, "artifact.published", 0);
    let known = Write {
        id: Some(id.to_string()),
        ..Write::event(&packaged(77, "cart"))
    };
    bus.commit(vec![known].into()).await?;
    let running = start_on(&bus, &work, settings(&bus, &witness)).await;
    publish(&bus, 1).await?;
    until("it to stop", async || Ok(!witness.held().is_empty())).await?;
    assert_eq!(witness.held(), [key(1)]);
    // The others go on, and what it waits for is no dead letter, however long it takes.
    publish(&bus, 2).await?;
    done(&bus, 2).await?;
    tokio::time::advance(Duration::from_secs(3600)).await;
    publish(&bus, 3).await?;
    done(&bus, 3).await?;
    assert!(bus.messages(subject::DEAD)?.is_empty());
    assert_eq!(witness.held(), [key(1)]);
    running.drain().await;
    Ok(())
}

/// The bus refuses, keeps what it has, and the service says so and goes on when there is room.
#[tokio::test(start_paused = true)]
async fn a_full_bus_is_waited_for_and_said() -> Result<()> {
    let limits = StreamLimits {
        event_bytes: 16 << 10,
        ..StreamLimits::default()
    };
    let bus = MemoryBus::new(MemoryBus::START, &limits);
    let config = serde_json::to_vec(&Config::default())?;
    config_store::put(&bus, config.into(), 0).await?;
    let settings = settings(&bus, &Witness::default());
    let (work, room) = (Work::free(), settings.room.clone());
    publish(&bus, 1).await?;
    // Something else takes what is left, all but a few bytes.
    let subject = subject::state(Service::Scheduler, "large");
    let keep = ferry_bus::Keep::Forever;
    let mut size = 16 << 10;
    let filled = loop {
        let write = Write::state(subject.clone(), vec![b'x'; size], 0, keep);
        match bus.commit(vec![write].into()).await {
            Ok(committed) => break committed.sequences[0],
            Err(_) => size -= 8,
        }
    };
    let running = start_on(&bus, &work, settings).await;
    until("it to say so", async || Ok(room.full().is_some())).await?;
    assert!(
        room.full()
            .context("it said so")?
            .contains("the bus is full")
    );
    assert_eq!(work.begun(), 0);
    // Made smaller, it leaves room; the bus counts before it replaces, so this must be nothing.
    let write = Write::state(subject.clone(), Vec::new(), filled, keep);
    bus.commit(vec![write].into()).await?;
    done(&bus, 1).await?;
    assert_eq!((room.full(), work.begun()), (None, 1));
    assert!(running.drain().await);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn work_waits_for_a_disk_that_refuses() -> Result<()> {
    let bus = memory().await;
    let folder = tempfile::tempdir()?;
    let place = folder.path().join("slimmer");
    std::fs::create_dir(&place)?;
    let (work, witness) = (Work::free(), Witness::open(&place)?);
    std::fs::remove_dir(&place)?;
    let running = start_on(&bus, &work, settings(&bus, &witness)).await;
    publish(&bus, 1).await?;
    let subject = subject::state(Service::Slimmer, &key(1));
    until("the claim", async || {
        let record = bus.read(&subject).await?;
        Ok(record.is_some_and(|record| String::from_utf8_lossy(&record.payload).contains("claim")))
    })
    .await?;
    assert_eq!(work.begun(), 0, "nothing is done that could be forgotten");
    std::fs::create_dir(&place)?;
    done(&bus, 1).await?;
    assert_eq!(work.begun(), 1);
    assert!(running.drain().await);
    // A damaged one is set aside.
    std::fs::write(place.join("witness.json"), b"{\"seq")?;
    Witness::open(&place)?;
    assert!(place.join("witness.damaged").exists());
    Ok(())
}

/// A disk in memory; clones are the same one.
#[derive(Clone, Debug, Default)]
struct Paper(Arc<std::sync::Mutex<Option<Vec<u8>>>>);

impl Paper {
    fn witness(&self) -> Result<Witness> {
        Ok(Witness::kept_on(Arc::new(self.clone()))?)
    }

    fn sequence(&self) -> u64 {
        let bytes = self.0.lock().unwrap().clone().unwrap_or_default();
        let seen: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
        seen["sequence"].as_u64().unwrap_or_default()
    }
}

#[async_trait]
impl WitnessDisk for Paper {
    fn read(&self) -> std::io::Result<Option<Vec<u8>>> {
        Ok(self.0.lock().unwrap().clone())
    }

    async fn replace(&self, bytes: Vec<u8>) -> std::io::Result<()> {
        *self.0.lock().unwrap() = Some(bytes);
        Ok(())
    }

    fn set_aside(&self) -> std::io::Result<String> {
        Ok(self.place())
    }

    fn place(&self) -> String {
        "memory".into()
    }
}

/// A service that has seen a message which it had nothing to do with; ended. The bus as it was before.
async fn idle(bus: &MemoryBus, paper: &Paper) -> Result<ferry_bus::Saved> {
    publish(bus, 1).await?;
    let saved = bus.save();
    let own = bus.as_user(User::Service(Service::Verifier));
    let witness = paper.witness()?;
    let running = run(Idle, NoWork, Arc::new(own), settings(bus, &witness)).await;
    publish(bus, 2).await?;
    let end = bus.end().await?;
    until("it to look", async || Ok(paper.sequence() == end)).await?;
    assert!(running.drain().await);
    Ok(saved)
}

/// Takes nothing and does nothing.
struct Idle;

impl Decide for Idle {
    type State = State;
    type Work = RunId;
    type Outcome = RunId;

    fn service(&self) -> Service {
        Service::Verifier
    }

    fn route(&self, _: &Event, _: &Config) -> Vec<Key> {
        Vec::new()
    }

    fn decide(
        &self,
        _: &Key,
        state: &State,
        _: &Input<RunId>,
        _: &Context,
    ) -> Result<Decision<State>, Fault> {
        Ok(Decision::to(state.clone()))
    }

    fn work(&self, _: &Key, _: &State) -> Option<RunId> {
        None
    }
}

struct NoWork;

#[async_trait]
impl Effects<Idle> for NoWork {
    async fn perform(&self, job: Job<RunId>) -> Done<RunId> {
        job.work.into()
    }
}

/// Starts it again on what it has seen; why it waits.
async fn waits(bus: &MemoryBus, paper: &Paper) -> Result<String> {
    let witness = paper.witness()?;
    let own = bus.as_user(User::Service(Service::Verifier));
    let settings = settings(bus, &witness);
    let starting = tokio::spawn(run(Idle, NoWork, Arc::new(own), settings));
    let spoken = tokio::time::timeout(DEADLINE, witness.stop()).await;
    assert!(!starting.is_finished());
    starting.abort();
    spoken.context("it goes on as if nothing had been forgotten")
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_does_nothing_notices_too() -> Result<()> {
    let (bus, paper) = (memory().await, Paper::default());
    let saved = idle(&bus, &paper).await?;
    bus.restore(&saved, &[subject::STREAM])?;
    let why = waits(&bus, &paper).await?;
    assert!(why.contains("was seen"), "{why}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_has_grown_past_what_was_seen_is_noticed() -> Result<()> {
    for others in [1, 9] {
        let (bus, paper) = (memory().await, Paper::default());
        let saved = idle(&bus, &paper).await?;
        let seen = bus.end().await?;
        bus.restore(&saved, &[subject::STREAM])?;
        // Gateways go on: a push is answered 202, and its event stands where another one stood.
        for n in 0..others {
            publish(&bus, 100 + n).await?;
        }
        assert!(bus.end().await? >= seen);
        let why = waits(&bus, &paper).await?;
        assert!(why.contains("holds another message"), "{why}");
    }
    // What stood there may be gone again: a state is replaced by the next one.
    let (bus, paper) = (memory().await, Paper::default());
    let saved = idle(&bus, &paper).await?;
    bus.restore(&saved, &[subject::STREAM])?;
    let mut at = 0;
    for _ in 0..3 {
        let subject = subject::state(Service::Gateway, "x");
        let write = Write::state(subject, b"{}".to_vec(), at, ferry_bus::Keep::Forever);
        at = bus.commit(vec![write].into()).await?.sequences[0];
    }
    let why = waits(&bus, &paper).await?;
    assert!(why.contains("lacks the event"), "{why}");
    Ok(())
}

/// What has noticed waits for a word, even where nothing can be told by the stream any more.
#[tokio::test(start_paused = true)]
async fn a_service_that_has_noticed_waits_for_a_word() -> Result<()> {
    let (bus, paper) = (memory().await, Paper::default());
    let saved = idle(&bus, &paper).await?;
    let later = bus.save();
    bus.restore(&saved, &[subject::STREAM])?;
    waits(&bus, &paper).await?;
    // As it was: by the stream alone all would be well.
    bus.restore(&later, &[subject::STREAM])?;
    waits(&bus, &paper).await?;
    restored::acknowledge(&bus, "it is the right one now", bus.now()).await?;
    let witness = paper.witness()?;
    let own = bus.as_user(User::Service(Service::Verifier));
    let starting = run(Idle, NoWork, Arc::new(own), settings(&bus, &witness));
    let running = tokio::time::timeout(DEADLINE, starting).await?;
    assert!(running.drain().await);
    Ok(())
}

/// Where no event was said since the copy, the last message of any kind tells it.
#[tokio::test(start_paused = true)]
async fn a_stream_that_has_grown_is_noticed_without_an_event_since() -> Result<()> {
    let (bus, paper) = (memory().await, Paper::default());
    let saved = bus.save();
    let own = bus.as_user(User::Service(Service::Verifier));
    let witness = paper.witness()?;
    let running = run(Idle, NoWork, Arc::new(own), settings(&bus, &witness)).await;
    let state = Write::state(
        subject::state(Service::Gateway, "x"),
        b"{}".to_vec(),
        0,
        ferry_bus::Keep::Forever,
    );
    let end = bus.commit(vec![state].into()).await?.sequences[0];
    until("it to look", async || Ok(paper.sequence() == end)).await?;
    assert!(running.drain().await);
    bus.restore(&saved, &[subject::STREAM])?;
    publish(&bus, 7).await?;
    assert_eq!(bus.end().await?, end);
    let why = waits(&bus, &paper).await?;
    assert!(why.contains("holds another message"), "{why}");
    Ok(())
}

/// Events that have grown too old are no sign of anything.
#[tokio::test(start_paused = true)]
async fn a_service_that_was_down_for_longer_than_events_are_kept_starts() -> Result<()> {
    let (bus, paper) = (memory().await, Paper::default());
    idle(&bus, &paper).await?;
    tokio::time::advance(StreamLimits::default().keep_events * 2).await;
    publish(&bus, 3).await?;
    let witness = paper.witness()?;
    let own = bus.as_user(User::Service(Service::Verifier));
    let starting = run(Idle, NoWork, Arc::new(own), settings(&bus, &witness));
    let running = tokio::time::timeout(DEADLINE, starting).await?;
    assert!(running.drain().await);
    Ok(())
}

/// The word of an earlier restore says nothing of this one.
#[tokio::test(start_paused = true)]
async fn an_older_word_on_the_stream_admits_nothing() -> Result<()> {
    let (bus, paper) = (memory().await, Paper::default());
    restored::acknowledge(&bus, "the first time", bus.now()).await?;
    let saved = idle(&bus, &paper).await?;
    tokio::time::advance(Duration::from_secs(60)).await;
    restored::acknowledge(&bus, "the second time", bus.now()).await?;
    let second = bus.end().await?;
    let witness = paper.witness()?;
    let own = bus.as_user(User::Service(Service::Verifier));
    let running = run(Idle, NoWork, Arc::new(own), settings(&bus, &witness)).await;
    assert!(running.drain().await);
    assert_eq!(paper.sequence(), second);
    bus.restore(&saved, &[subject::STREAM])?;
    let why = waits(&bus, &paper).await?;
    assert!(why.contains("was seen"), "{why}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_fence_is_of_the_stream_that_was_seen() -> Result<()> {
    let (bus, paper) = (memory().await, Paper::default());
    let saved = idle(&bus, &paper).await?;
    let witness = paper.witness()?;
    let hands = ferry_runtime::Hands::watched(Arc::new(bus.clone()), witness.clone());
    assert!(hands.fence(subject::CONFIG).await?.is_some());
    bus.restore(&saved, &[subject::STREAM])?;
    let error = hands.fence(subject::CONFIG).await.expect_err("another one");
    assert!(
        error.to_string().contains("restored from another moment"),
        "{error}"
    );
    assert!(witness.stopped().is_some(), "and the service stops");
    Ok(())
}

/// A process that has noticed by what it had committed itself, right before; the next one knows it.
#[tokio::test(start_paused = true)]
async fn what_a_process_has_noticed_the_next_one_knows() -> Result<()> {
    let (bus, paper) = (memory().await, Paper::default());
    let own: Arc<dyn Bus> = Arc::new(bus.as_user(User::Service(Service::Slimmer)));
    let (work, witness) = (Work::free(), paper.witness()?);
    let settings = settings(&bus, &witness);
    let running = run(
        Publisher::default(),
        work.clone(),
        own.clone(),
        settings.clone(),
    )
    .await;
    let saved = bus.save();
    publish(&bus, 1).await?;
    done(&bus, 1).await?;
    assert!(paper.sequence() < bus.end().await?, "not all is noted yet");
    bus.set_connected(false);
    bus.restore(&saved, &[subject::STREAM])?;
    // Up to what is noted, and no further: what was seen after it is known to the process alone.
    while bus.end().await.unwrap_or_default() < paper.sequence() {
        bus.set_connected(true);
        publish(&bus, 100 + bus.end().await?).await?;
    }
    bus.set_connected(true);
    running.stopped().await;
    assert!(running.drain().await);
    let witness = paper.witness()?;
    let again = Settings {
        witness: witness.clone(),
        ..settings
    };
    let starting = tokio::spawn(run(Publisher::default(), work.clone(), own, again));
    tokio::time::timeout(DEADLINE, witness.stop())
        .await
        .context("it goes on")?;
    assert!(!starting.is_finished());
    starting.abort();
    Ok(())
}

/// Work that goes on until it is dropped.
#[derive(Clone, Default)]
struct Endless {
    begun: Arc<AtomicUsize>,
    dropped: Arc<AtomicUsize>,
}

struct Drops(Arc<AtomicUsize>);

impl Drop for Drops {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Effects<Publisher> for Endless {
    async fn perform(&self, _: Job<RunId>) -> Done<RunId> {
        let _drops = Drops(self.dropped.clone());
        self.begun.fetch_add(1, Ordering::SeqCst);
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn work_in_hand_ends_as_soon_as_the_stream_is_another_one() -> Result<()> {
    let (bus, work) = (memory().await, Endless::default());
    let own = bus.as_user(User::Service(Service::Slimmer));
    let witness = Paper::default().witness()?;
    let saved = bus.save();
    let settings = settings(&bus, &witness);
    let running = run(Publisher::default(), work.clone(), Arc::new(own), settings).await;
    publish(&bus, 1).await?;
    until("the work", async || {
        Ok(work.begun.load(Ordering::SeqCst) == 1)
    })
    .await?;
    bus.set_connected(false);
    bus.restore(&saved, &[subject::STREAM])?;
    bus.set_connected(true);
    running.stopped().await;
    until("the work's end", async || {
        Ok(work.dropped.load(Ordering::SeqCst) == 1)
    })
    .await?;
    assert!(running.drain().await);
    assert_eq!(work.begun.load(Ordering::SeqCst), 1);
    Ok(())
}

/// Its deadline is always past.
#[derive(Default)]
struct Late(Publisher);

impl Decide for Late {
    type State = State;
    type Work = RunId;
    type Outcome = RunId;

    fn service(&self) -> Service {
        self.0.service()
    }

    fn route(&self, event: &Event, config: &Config) -> Vec<Key> {
        self.0.route(event, config)
    }

    fn decide(
        &self,
        key: &Key,
        state: &State,
        input: &Input<RunId>,
        context: &Context,
    ) -> Result<Decision<State>, Fault> {
        match input {
            Input::Due => Ok(Decision::to(state.clone())),
            input => self.0.decide(key, state, input, context),
        }
    }

    fn work(&self, _: &Key, _: &State) -> Option<RunId> {
        None
    }

    fn wake_at(&self, _: &State) -> Option<Timestamp> {
        Some(Timestamp::UNIX_EPOCH)
    }
}

#[async_trait]
impl Effects<Late> for NoWork {
    async fn perform(&self, job: Job<RunId>) -> Done<RunId> {
        job.work.into()
    }
}

/// It does not turn in place at a deadline that it may not act on: then virtual time would stand still.
#[test]
fn a_service_that_has_stopped_rests_although_something_is_due() -> Result<()> {
    let (sender, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build();
        let ended = runtime.map(|runtime| runtime.block_on(stopped_with_something_due()));
        sender.send(ended)
    });
    ended.recv_timeout(DEADLINE).context("it never rests")??
}

async fn stopped_with_something_due() -> Result<()> {
    let (bus, witness) = (memory().await, Witness::default());
    let own = bus.as_user(User::Service(Service::Slimmer));
    let saved = bus.save();
    let settings = settings(&bus, &witness);
    let running = run(Late::default(), NoWork, Arc::new(own), settings).await;
    publish(&bus, 1).await?;
    let state = subject::state(Service::Slimmer, &key(1));
    until("its state", async || Ok(bus.read(&state).await?.is_some())).await?;
    bus.restore(&saved, &[subject::STREAM])?;
    publish(&bus, 1).await?;
    running.stopped().await;
    // It is due once a second.
    tokio::time::sleep(DEADLINE).await;
    assert!(running.drain().await);
    Ok(())
}

/// What is in memory may be of the stream before.
#[tokio::test(start_paused = true)]
async fn a_service_that_runs_begins_anew_when_an_operator_speaks() -> Result<()> {
    let (bus, paper) = (memory().await, Paper::default());
    for _ in 0..2 {
        let own = bus.as_user(User::Service(Service::Verifier));
        let witness = paper.witness()?;
        let running = run(Idle, NoWork, Arc::new(own), settings(&bus, &witness)).await;
        restored::acknowledge(&bus, "it was", bus.now()).await?;
        let why = tokio::time::timeout(DEADLINE, running.stopped()).await?;
        assert!(why.contains("begins anew"), "{why}");
        assert!(running.drain().await);
    }
    Ok(())
}
