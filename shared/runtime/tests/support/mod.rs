//! A service whose work and decisions go wrong as a test wants, and the bus in memory for it.
//!
//! In: messages. Out: what the service said.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use ferry_bus::{Bus, MemoryBus, Start, User, Write, config_store};
use ferry_config::Config;
use ferry_events::{
    Body, Digest, Event, EventId, Kind, Reason, RunId, Scope, Service, Stop, Timestamp,
    artifact::{Biz, Packaged, Published, Refused, Release},
    subject,
};
use ferry_runtime::{
    Clock, Concern, Context, Decide, Decision, Done, Effects, Fault, Input, Job, Key, Running,
    Settings, run,
};
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use uuid::Uuid;

/// A service that publishes each packaged artifact once. Modules called `fault` and `panic` go wrong,
/// unless it is mended.
#[derive(Clone, Default)]
pub struct Publisher {
    pub mended: Arc<AtomicBool>,
    /// Whether its work may begin early.
    pub early: bool,
    pub crowd: Arc<Mutex<Crowd>>,
}

/// How many messages are in hand, and how many were each time that one was decided on.
#[derive(Debug, Default)]
pub struct Crowd {
    pub in_hand: usize,
    pub routed: BTreeMap<RunId, usize>,
    pub seen: BTreeMap<RunId, Vec<usize>>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    waiting: Option<Packaged>,
    published: bool,
}

impl Decide for Publisher {
    type State = State;
    type Work = RunId;
    type Outcome = RunId;

    fn service(&self) -> Service {
        Service::Slimmer
    }

    fn route(&self, event: &Event, _: &Config) -> Vec<Key> {
        let mut crowd = self.crowd.lock().unwrap();
        crowd.in_hand += 1;
        if let Some(run) = event.run() {
            *crowd.routed.entry(run).or_default() += 1;
        }
        drop(crowd);
        let run = event.run().map(|run| run.to_string()).unwrap_or_default();
        vec![Key::new("slim", &[&run])]
    }

    fn decide(
        &self,
        _: &Key,
        state: &State,
        input: &Input<RunId>,
        _: &Context,
    ) -> Result<Decision<State>, Fault> {
        if let Input::Event(event) = input
            && let Some(run) = event.run()
        {
            let mut crowd = self.crowd.lock().unwrap();
            let in_hand = crowd.in_hand;
            // Looked at again from a fresh state, it is still the same delivery.
            let routed = crowd.routed.entry(run).or_default();
            if *routed > 0 {
                *routed -= 1;
                crowd.seen.entry(run).or_default().push(in_hand);
                crowd.in_hand -= 1;
            }
        }
        if state.published {
            return Ok(Decision::to(state.clone()));
        }
        match (input, &state.waiting) {
            (Input::Event(event), None) => match &event.body {
                Body::ArtifactPackaged(packaged)
                    if packaged.module == "fault" && !self.mended.load(Ordering::SeqCst) =>
                {
                    Err(Fault("a transition that does not exist".into()))
                }
                Body::ArtifactPackaged(packaged) if packaged.module == "panic" => {
                    panic!("as the test wants")
                }
                Body::ArtifactPackaged(packaged) => Ok(Decision::to(State {
                    waiting: Some(packaged.as_ref().clone()),
                    published: false,
                })),
                _ => Ok(Decision::to(state.clone())),
            },
            (Input::Outcome(_), Some(packaged)) => Ok(done(state).say(
                Scope::module(None, &packaged.module),
                Published {
                    release: release(packaged),
                },
            )),
            (Input::GivenUp { tries, stop }, Some(packaged)) => {
                let crashed = || Stop::new(Reason::OurFault, format!("tried {tries} times"));
                let stop = stop.clone().unwrap_or_else(crashed);
                let refused = Refused {
                    run: packaged.run,
                    module: packaged.module.clone(),
                    packaged: packaged.digest.clone(),
                    stop,
                    pool: None,
                    report: None,
                };
                Ok(done(state).say(Scope::module(None, &packaged.module), refused))
            }
            _ => Ok(Decision::to(state.clone())),
        }
    }

    fn work(&self, _: &Key, state: &State) -> Option<RunId> {
        state
            .waiting
            .as_ref()
            .filter(|_| !state.published)
            .map(|packaged| packaged.run)
    }

    fn may_begin_early(&self, _: &Key, _: &RunId) -> bool {
        self.early
    }

    fn concerns(&self, _: &Key, state: &State, _: &Config) -> Vec<Concern> {
        let concern = |packaged: &Packaged| Concern {
            scope: Scope::module(None, &packaged.module),
            what: "slim",
            run: Some(packaged.run),
            ..Concern::default()
        };
        state.waiting.iter().map(concern).collect()
    }
}

fn done(state: &State) -> Decision<State> {
    Decision::to(State {
        published: true,
        ..state.clone()
    })
}

fn release(packaged: &Packaged) -> Release {
    Release {
        origin: None,
        own: None,
        run: packaged.run,
        module: packaged.module.clone(),
        commit: None,
        packaged: packaged.digest.clone(),
        biz: packaged.biz.clone(),
        pools: BTreeMap::new(),
    }
}

/// Its number, and why the one before failed.
pub type Attempt = (u32, Option<Reason>);

/// What the work does, and how often it was begun.
#[derive(Clone)]
pub struct Work {
    pub begun: Arc<AtomicUsize>,
    /// Work waits for a permit of this before it ends.
    pub gate: Arc<Semaphore>,
    /// So many attempts panic first.
    pub panics: Arc<AtomicUsize>,
    /// So many attempts fail then, for a cause that may pass.
    pub fails: Arc<AtomicUsize>,
    /// What each attempt was told of those before it.
    pub attempts: Arc<Mutex<Vec<Attempt>>>,
}

impl Work {
    pub fn free() -> Self {
        Self {
            begun: Arc::default(),
            gate: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
            panics: Arc::default(),
            fails: Arc::default(),
            attempts: Arc::default(),
        }
    }

    /// Work that waits for ever.
    pub fn held() -> Self {
        Self {
            gate: Arc::new(Semaphore::new(0)),
            ..Self::free()
        }
    }

    pub fn panicking(self, times: usize) -> Self {
        self.panics.store(times, Ordering::SeqCst);
        self
    }

    pub fn failing(self, times: usize) -> Self {
        self.fails.store(times, Ordering::SeqCst);
        self
    }

    pub fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }
}

fn one_less(count: &AtomicUsize) -> bool {
    count
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
            left.checked_sub(1)
        })
        .is_ok()
}

#[async_trait]
impl Effects<Publisher> for Work {
    async fn perform(&self, job: Job<RunId>) -> Done<RunId> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        let failed = job.failed.map(|stop| stop.reason);
        self.attempts.lock().unwrap().push((job.attempt, failed));
        assert!(!one_less(&self.panics), "as the test wants");
        if one_less(&self.fails) {
            return Done::Again(Stop::new(Reason::StoreFailed, "the store is silent"));
        }
        let _permit = self.gate.acquire().await.expect("never closed");
        job.work.into()
    }
}

pub async fn bus() -> MemoryBus {
    let bus = MemoryBus::default();
    let config = serde_json::to_vec(&Config::default()).unwrap();
    config_store::put(&bus, config.into(), 0).await.unwrap();
    bus
}

pub async fn replica(bus: &MemoryBus, work: &Work) -> Running {
    replica_of(&Publisher::default(), bus, work).await
}

pub async fn replica_of(publisher: &Publisher, bus: &MemoryBus, work: &Work) -> Running {
    let own = bus.as_user(User::Service(Service::Slimmer));
    run(
        publisher.clone(),
        work.clone(),
        Arc::new(own),
        settings(bus),
    )
    .await
}

/// Settings with the bus's own time.
pub fn settings(bus: &MemoryBus) -> Settings {
    let time = bus.clone();
    Settings {
        clock: Clock::from_fn(move || time.now()),
        ..Settings::default()
    }
}

pub fn packaged(n: u64, module: &str) -> Event {
    let run = RunId::of("shop", "main", n, module);
    Event {
        id: EventId(Uuid::from_u128(u128::from(n))),
        source: Service::Builder,
        time: Timestamp::from_timestamp_millis(1_700_000_000_000).unwrap(),
        scope: Scope::module(None, module),
        cause: None,
        trace: None,
        body: Packaged {
            origin: None,
            own: None,
            rules: Vec::new(),
            run,
            module: module.into(),
            digest: Digest::of(b"jar"),
            size: 3,
            commit: None,
            biz: Biz {
                name: module.into(),
                version: "1".into(),
                web_context_path: None,
            },
        }
        .into(),
    }
}

pub async fn publish(bus: &MemoryBus, event: &Event) {
    // Without its id: so the dedupe window catches nothing, as a day later.
    let write = Write {
        id: None,
        ..Write::event(event)
    };
    bus.commit(vec![write].into()).await.unwrap();
}

/// Waits for so many messages on a filter and gives them.
pub async fn heard(
    bus: &MemoryBus,
    stream: &str,
    filter: &str,
    many: usize,
) -> Vec<(String, Bytes)> {
    let watching = bus
        .watch(stream, vec![filter.to_owned()], Start::First)
        .await
        .unwrap();
    let all = watching
        .map(|m| m.unwrap())
        .map(|m| (m.subject, m.payload))
        .take(many)
        .collect();
    tokio::time::timeout(Duration::from_secs(3600), all)
        .await
        .expect("they come")
}

pub async fn published(bus: &MemoryBus, many: usize) -> Vec<Event> {
    let filter = subject::events_of(Kind::ArtifactPublished);
    let heard = heard(bus, subject::STREAM, &filter, many).await;
    heard
        .iter()
        .map(|(_, payload)| Event::decode(payload).unwrap())
        .collect()
}

pub fn count(bus: &MemoryBus, kind: Kind) -> usize {
    let end = format!(".{}.{}", kind.subject(), kind.predicate());
    let all = bus.messages(subject::STREAM).unwrap();
    all.iter()
        .filter(|(_, subject, _)| subject.ends_with(&end))
        .count()
}

pub async fn wait_for(mut condition: impl FnMut() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(3600), waiting)
        .await
        .expect("it comes");
}
