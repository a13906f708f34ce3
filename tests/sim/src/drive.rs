//! Runs a script in its world: starts the processes, makes the acts happen, waits for rest, and in the end
//! mends everything and looks.
//!
//! In: a script. Out: an [`Outcome`]: what was broken, and the story.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use chrono::TimeDelta;
use ferry_bus::{Bus, BusError, CommitError, Source, User, Write, config_store};
use ferry_events::{Body, CommandId, PushId, Service, Verb, ids::derive, push::Received};
use ferry_fake_base::StuckAt;
use ferry_installer::{InstallerDecide, InstallerEffects};
use ferry_runtime::{Clock, Decide, Effects, Hands, Running, Settings, Witness};
use ferry_verifier::{VerifierDecide, VerifierEffects};
use tokio::sync::mpsc;

use crate::{
    bus::SimBus,
    check,
    parts::{
        builder::Builds,
        gateway::{Disk, Gateway},
        slimmer::Slims,
    },
    people::Cleared,
    process::Life,
    restore::{Kept, Paper},
    script::{Act, BASES, BaseAct, ENVIRONMENTS, MODULES, ProcessAct, Script},
    web::SimWeb,
    world::{Line, Order, World},
};

/// Between two looks at whether all rests.
const LOOK: Duration = Duration::from_secs(1);
/// Nothing has changed for so long, and all that was accepted is over: it rests.
const QUIET_MS: u64 = 45_000;
/// Nothing has changed for longer than any deadline: it rests, over or not.
const STUCK_MS: u64 = 15 * 60_000;
/// After the end bases are looked at for so long, for what would still come.
const AFTERWARDS_MS: u64 = 60_000;
/// A base is brought back by then, or given up.
const OWED_MS: u64 = 3 * 3_600_000;
/// By then everything has to be over; in virtual time.
const PATIENCE_MS: u64 = 12 * 3_600_000;
/// Between two tries of a message from outside, while the bus is away.
const AGAIN: Duration = Duration::from_millis(500);
/// How many messages a stranger may publish: one.
const STRANGE: &str = "ferry.events.stranger._._.push.received";

/// What became of a script.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What must never be, and was.
    pub broken: Vec<String>,
    /// All that happened.
    pub story: Vec<Line>,
    /// How often each kind of boundary was passed.
    pub passed: BTreeMap<String, u64>,
    /// How many boundaries were passed before the end was mended.
    pub boundaries: u64,
    /// What was live at the end, by module and environment.
    pub live: BTreeMap<(String, String), String>,
    /// Whether a good commit may stop with a reason.
    pub hard: bool,
    /// How many pushes were accepted.
    pub accepted: usize,
    /// How many runs there were.
    pub runs: usize,
    /// How often the services had to stop for a restored stream.
    pub restores: u64,
}

pub(crate) struct Slot {
    pub(crate) life: Arc<Life>,
    /// The gateway has none.
    pub(crate) witness: Option<Witness>,
    running: Arc<Mutex<Option<Running>>>,
    gateway: Option<Arc<Gateway>>,
}

pub(crate) struct Driver {
    pub(crate) world: Arc<World>,
    orders: mpsc::UnboundedReceiver<Order>,
    pub(crate) slots: BTreeMap<(Service, usize), Slot>,
    pub(crate) disks: Vec<Arc<Disk>>,
    /// The disks of the witnesses.
    pub(crate) papers: BTreeMap<(Service, usize), Arc<Paper>>,
    /// Copies of the bus, by the act's number.
    pub(crate) kept: BTreeMap<usize, Kept>,
    /// What was sent to clear up.
    pub(crate) cleared: Cleared,
    /// Whether somebody clears up.
    clears_up: bool,
    /// What was pushed, by the act's number.
    pushed: BTreeMap<usize, Received>,
}

/// Runs a script to its end, in virtual time.
pub fn run(script: Script) -> Outcome {
    crate::panics::watch();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime of one thread");
    let outcome = runtime.block_on(async {
        let (world, orders) = World::new(script);
        let mut driver = Driver {
            disks: (0..world.script.settings.replicas)
                .map(|_| Arc::default())
                .collect(),
            world: world.clone(),
            orders,
            slots: BTreeMap::new(),
            papers: BTreeMap::new(),
            kept: BTreeMap::new(),
            cleared: Cleared::new(),
            clears_up: false,
            pushed: BTreeMap::new(),
        };
        let boundaries = driver.go().await;
        for panic in crate::panics::taken() {
            world.broken(format!("panic: {panic}"));
        }
        let live = check::all(&world);
        world.end();
        let seen = world.seen();
        Outcome {
            broken: seen.broken.clone(),
            story: world.story(),
            boundaries,
            passed: world.passed(),
            live,
            hard: world.is_hard(),
            restores: world.restores().times,
            accepted: seen.accepted.len(),
            runs: seen
                .events
                .iter()
                .filter(|event| matches!(event.body, Body::RunQueued(_)))
                .count(),
        }
    });
    drop(runtime);
    outcome
}

impl Driver {
    async fn go(&mut self) -> u64 {
        let world = self.world.clone();
        let config = serde_json::to_vec(&world.config).expect("a configuration is JSON");
        config_store::put(&world.bus, config.into(), 0)
            .await
            .expect("the bus takes a configuration");
        for service in Service::ALL {
            for replica in 0..world.script.settings.replicas {
                self.start(service, replica);
            }
        }
        for timed in world.script.acts.clone() {
            while world.now_ms() < timed.at_ms {
                let left = Duration::from_millis(timed.at_ms - world.now_ms());
                self.take_orders(left.min(LOOK)).await;
                // A gap in the script is a rest, too.
                if left > Duration::from_millis(QUIET_MS) && self.rests() {
                    world.wake_resting();
                }
            }
            self.act(timed.number, &timed.act).await;
        }
        let careful = world.script.settings.careful.as_ref();
        self.clears_up = careful.is_some_and(|careful| !careful.nobody);
        self.rest().await;
        let boundaries = world.boundaries.load(std::sync::atomic::Ordering::Relaxed);
        self.mend().await;
        self.clears_up = careful.is_some();
        self.rest().await;
        let until = world.now_ms() + AFTERWARDS_MS;
        while world.now_ms() < until {
            self.take_orders(LOOK).await;
        }
        // What is owed to a base has pauses that grow; after it, everything rests again.
        let until = world.now_ms() + OWED_MS;
        loop {
            let back = world.balancer().out().is_empty();
            if world.now_ms() >= until
                || (back && check::nothing_owed(&world).await && self.rests())
            {
                break;
            }
            self.take_orders(LOOK).await;
        }
        boundaries
    }

    /// Waits until nothing moves any more, waking those that wait for that.
    async fn rest(&mut self) {
        let until = self.world.now_ms() + PATIENCE_MS;
        loop {
            self.take_orders(LOOK).await;
            if self.world.now_ms() > until {
                self.world.broken("it never comes to rest");
                return;
            }
            if self.rests() && self.world.wake_resting() == 0 {
                return;
            }
        }
    }

    fn rests(&self) -> bool {
        let now = self.world.now_ms();
        let seen = self.world.seen();
        let still = now.saturating_sub(seen.last_change_ms);
        let quiet = QUIET_MS.max(4 * self.world.script.settings.poll_ms);
        still >= STUCK_MS || (seen.is_over() && still >= quiet)
    }

    pub(crate) async fn take_orders(&mut self, within: Duration) {
        if self.clears_up {
            self.clear_up();
        }
        let until = tokio::time::Instant::now() + within;
        loop {
            let order = tokio::select! {
                biased;
                order = self.orders.recv() => order,
                () = tokio::time::sleep_until(until) => return,
            };
            let Some(Order::Start(service, replica, after_ms)) = order else {
                return;
            };
            if after_ms > 0 {
                let world = self.world.clone();
                let slot = self.slots.get(&(service, replica));
                let Some(life) = slot.map(|slot| slot.life.clone()) else {
                    continue;
                };
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(after_ms)).await;
                    world.crash(&life, 0);
                });
                continue;
            }
            // A process that was started again meanwhile goes on.
            if self
                .slots
                .get(&(service, replica))
                .is_none_or(|slot| slot.life.is_dead())
            {
                self.world
                    .tell(&format!("{service}-{}", replica + 1), "starts");
                self.start(service, replica);
            }
        }
    }

    pub(crate) fn start(&mut self, service: Service, replica: usize) {
        let world = &self.world;
        let skew = world.script.settings.skew_ms.get(replica).copied();
        let skew = TimeDelta::milliseconds(skew.unwrap_or_default());
        let life = Life::new(world, service, replica, skew);
        let user = world.bus.as_user(User::Service(service));
        let bus: Arc<dyn Bus> = Arc::new(SimBus::new(life.clone(), user));
        let running = Arc::default();
        let mut gateway = None;
        let paper = self.papers.entry((service, replica)).or_default();
        let witness = Witness::kept_on(paper.clone().of(&life)).expect("a disk in memory");
        let start = Start {
            life: &life,
            bus: bus.clone(),
            running: &running,
            witness: &witness,
        };
        let hands = Hands::watched(bus.clone(), witness.clone());
        match service {
            Service::Gateway => {
                let disk = self.disks[replica].clone();
                let started = Gateway::start(life.clone(), bus, disk, &world.config);
                gateway = Some(Arc::new(started));
            }
            Service::Builder => {
                let effects = Builds::new(life.clone(), hands);
                start.spawn(ferry_builder::BuilderDecide, effects);
            }
            Service::Slimmer => {
                let effects = Slims::new(life.clone(), hands);
                start.spawn(ferry_slimmer::Slimmer, effects);
            }
            Service::Scheduler => {
                let decide = ferry_scheduler::Scheduler;
                start.spawn(decide, ferry_scheduler::NoEffects);
            }
            Service::Installer => {
                // A folder of its own: what is in it from before would have to be checked first.
                let folder = tempfile::tempdir_in(world.folder()).expect("a folder for jars");
                let url = format!("http://{}.artifacts/", life.name);
                let effects = InstallerEffects::new(hands, &folder.keep())
                    .expect("effects in a new folder")
                    .with_clock(clock(&life))
                    .with_web(SimWeb::of(&life))
                    .served_at(url.parse().expect("an address"));
                world.serve(&life, effects.artifact_routes());
                start.spawn(InstallerDecide, effects);
            }
            Service::Verifier => {
                let effects = VerifierEffects::new(hands)
                    .expect("effects")
                    .with_clock(clock(&life))
                    .with_web(SimWeb::of(&life));
                start.spawn(VerifierDecide, effects);
            }
        }
        let slot = Slot {
            life,
            witness: (service != Service::Gateway).then_some(witness),
            running,
            gateway,
        };
        self.slots.insert((service, replica), slot);
    }

    async fn act(&mut self, number: usize, act: &Act) {
        let world = self.world.clone();
        match act {
            Act::Push {
                touches,
                gateway,
                hook_ms,
            } => {
                let commit = world
                    .git
                    .lock()
                    .expect("no panic under this lock")
                    .commit(touches);
                let what: Vec<String> = touches
                    .iter()
                    .map(|(module, quality)| format!("{} {quality:?}", MODULES[*module]))
                    .collect();
                world.tell("git push", format!("{}: {}", &commit[..8], what.join(", ")));
                self.pushed
                    .insert(number, self.received(number, 0, &commit));
                self.hook(number, 0, *gateway, *hook_ms);
            }
            Act::Force { back, gateway } => {
                let commit = world
                    .git
                    .lock()
                    .expect("no panic under this lock")
                    .back(*back);
                if let Some(commit) = commit {
                    world.tell("git push", format!("--force back to {}", &commit[..8]));
                    self.pushed
                        .insert(number, self.received(number, 0, &commit));
                    self.hook(number, 0, *gateway, 0);
                }
            }
            Act::Hook {
                push,
                delivery,
                gateway,
            } => self.hook(*push, *delivery, *gateway, 0),
            Act::Rollback {
                module,
                environment,
            } => {
                let verb = Verb::Rollback {
                    module: MODULES[*module].into(),
                    environment: ENVIRONMENTS[*environment].into(),
                    to: None,
                };
                let id = CommandId(derive("simulated", &[&number.to_string()]));
                let twice = world.script.settings.careful.is_some();
                self.send(id, "someone", verb, twice.then_some(3_000));
            }
            Act::Person { act, twice_ms } => self.person(number, *act, *twice_ms),
            Act::GitAway { ms } => {
                world.tell("git", format!("does not answer for {ms} ms"));
                world.git_away(*ms);
            }
            Act::Base(base, act) => self.base(*base, *act),
            Act::Process(service, replica, act) => self.process(*service, *replica, *act).await,
            Act::BusAway { ms } => {
                world.tell("bus", format!("is away for {ms} ms"));
                for slot in self.slots.values() {
                    cut_off(&slot.life, *ms);
                }
            }
            Act::Again { back } => {
                let all = world.bus.messages("FERRY").unwrap_or_default();
                let said: Vec<_> = all
                    .into_iter()
                    .filter(|(_, subject, _)| subject.starts_with("ferry.events."))
                    .collect();
                if let Some((_, subject, payload)) = said.iter().rev().nth(*back) {
                    world.tell("bus", format!("{subject} comes again"));
                    stranger(&world, subject, payload.clone());
                }
            }
            Act::ConsumerAnew(service) => {
                world.tell(service.name(), "has its consumer made anew");
                // The gateway has none.
                let _ = world.bus.recreate_consumer(*service, Source::Work);
            }
            Act::Poison(service, times) => {
                let what = format!("goes down with its next message, {times} times");
                world.tell(service.name(), what);
                world.poison(*service, *times);
            }
            Act::TimersFire(service) => {
                world.tell(service.name(), "has all its deadlines fire");
                let states = ferry_events::subject::states_of(*service);
                let prefix = states.trim_end_matches('>').to_owned();
                for (subject, _) in world.bus.list(&states).await.unwrap_or_default() {
                    if let Some(key) = subject.strip_prefix(&prefix) {
                        let now = world.bus.now();
                        let _ = world.bus.set_timer(*service, key, now).await;
                    }
                }
            }
            Act::Backup => self.backup(number),
            Act::Restore(put) => self.put_back(put).await,
            Act::Strange { newer } => {
                world.tell(
                    "stranger",
                    if *newer {
                        "says something newer"
                    } else {
                        "babbles"
                    },
                );
                let payload = if *newer {
                    serde_json::json!({
                        "specversion": "1.0", "id": "x", "source": "/ferry/gateway",
                        "type": "dev.cdeventsx.ferry-push.received.9.0.0", "data": {}
                    })
                    .to_string()
                } else {
                    "{".to_owned()
                };
                stranger(&world, STRANGE, payload.into());
            }
        }
    }

    fn received(&self, number: usize, delivery: u32, commit: &str) -> Received {
        let id = format!("delivery-{number}-{delivery}");
        Received {
            push: PushId::of("github", "shop", &id, "refs/heads/main"),
            forge: "github".into(),
            repository: "shop".into(),
            branch: "main".into(),
            before: None,
            after: commit.into(),
            forced: false,
            author: None,
            message: None,
            received_at: self.world.bus.now(),
        }
    }

    pub(crate) fn gateway(&self, number: usize) -> Option<Arc<Gateway>> {
        self.slots
            .get(&(Service::Gateway, number))
            .and_then(|slot| slot.gateway.clone())
    }

    fn hook(&self, push: usize, delivery: u32, gateway: usize, after_ms: u64) {
        let Some(first) = self.pushed.get(&push) else {
            return;
        };
        let received = match delivery {
            0 => first.clone(),
            _ => self.received(push, delivery, &first.after),
        };
        let (world, gateway) = (self.world.clone(), self.gateway(gateway));
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(after_ms)).await;
            let Some(gateway) = gateway else { return };
            let times = world.restores().times;
            if gateway.take(&received).await {
                if times != world.restores().times {
                    // It may have been taken before, and is forgotten then.
                    return;
                }
                world.tell(
                    "forge",
                    format!("hook {} is answered 202", received.push.short()),
                );
                world.seen().accepted.insert(received.push);
            } else {
                world.tell(
                    "forge",
                    format!("hook {} is not taken", received.push.short()),
                );
            }
        });
    }

    fn base(&self, number: usize, act: BaseAct) {
        let (name, _) = BASES[number];
        let Some(base) = self.world.base(name) else {
            return;
        };
        self.world.tell(name, format!("{act:?}"));
        let faults = base.faults();
        let for_ms = match act {
            BaseAct::Restart => return base.restart_empty(),
            BaseAct::LoseRequest(times) => return faults.set(|f| f.lose_request = times),
            BaseAct::LoseReply(times) => return faults.set(|f| f.lose_reply_after_effect = times),
            BaseAct::Freeze(ms) => {
                faults.set(|f| f.freeze = true);
                ms
            }
            BaseAct::Refuse(ms) => {
                faults.set(|f| f.refuse_connections = true);
                ms
            }
            BaseAct::StuckRecords(ms, initialized) => {
                let at = if initialized {
                    StuckAt::Initialized
                } else {
                    StuckAt::Executing
                };
                faults.set(|f| f.record_stuck = Some(at));
                ms
            }
            BaseAct::SlowInstalls(by_ms, seconds) => {
                faults.set(|f| f.slow_install_ms = by_ms);
                seconds * 1_000
            }
            BaseAct::Untold(ms) => {
                faults.set(|f| f.untold_causes = true);
                ms
            }
        };
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(for_ms)).await;
            base.faults().set(|f| match act {
                BaseAct::Freeze(_) => f.freeze = false,
                BaseAct::Refuse(_) => f.refuse_connections = false,
                BaseAct::StuckRecords(..) => f.record_stuck = None,
                BaseAct::SlowInstalls(..) => f.slow_install_ms = 0,
                BaseAct::Untold(_) => f.untold_causes = false,
                BaseAct::Restart | BaseAct::LoseRequest(_) | BaseAct::LoseReply(_) => {}
            });
        });
    }

    async fn process(&mut self, service: Service, replica: usize, act: ProcessAct) {
        let Some(slot) = self.slots.get(&(service, replica)) else {
            return;
        };
        let life = slot.life.clone();
        if life.is_dead() {
            return;
        }
        self.world.tell(&life.name, format!("{act:?}"));
        match act {
            ProcessAct::Kill(again_ms) => self.world.crash(&life, again_ms),
            ProcessAct::Freeze(ms) => {
                let by = life.shut();
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(ms)).await;
                    life.open_again(by);
                });
            }
            ProcessAct::Drain => {
                let running = slot
                    .running
                    .lock()
                    .expect("no panic under this lock")
                    .take();
                let world = self.world.clone();
                tokio::spawn(async move {
                    if let Some(running) = running {
                        running.drain().await;
                    }
                    world.crash(&life, 0);
                });
            }
            ProcessAct::CutOff(ms) => cut_off(&life, ms),
        }
    }

    /// Ends all trouble, starts what is down, and lets the forge tell of the branch once more.
    async fn mend(&mut self) {
        let world = self.world.clone();
        // The last that was pushed is where the branch is.
        if let Some((number, received)) = self.pushed.last_key_value() {
            let other = self.received(*number, 1, &received.after);
            check::head(&world, &[received.push, other.push], &received.after);
        }
        world.tell("", "-- all trouble ends --");
        world.heal();
        for (name, _) in BASES {
            if let Some(base) = world.base(name) {
                base.faults().clear();
            }
        }
        for slot in self.slots.values() {
            slot.life.link.change(|there| *there = true);
            if slot.life.is_dead() {
                world.crash(&slot.life, 0);
            }
        }
        self.take_orders(LOOK).await;
        self.tell_again();
        self.take_orders(LOOK).await;
    }

    /// The forge tells of where the branch is once more.
    pub(crate) fn tell_again(&self) {
        let world = &self.world;
        let tip = world.git.lock().expect("no panic under this lock").tip();
        let last = self
            .pushed
            .iter()
            .filter(|(_, received)| Some(&received.after) == tip.as_ref())
            .map(|(number, _)| *number)
            .next_back();
        if let Some(last) = last {
            let delivery = 99 + world.restores().times as u32;
            self.hook(last, delivery, 0, 0);
        }
    }
}

/// A message from outside, as an operator could publish it.
pub(crate) fn stranger(world: &Arc<World>, subject: &str, payload: bytes::Bytes) {
    let write = Write {
        subject: subject.into(),
        payload,
        expected: None,
        replaces: false,
        keep: ferry_bus::Keep::Stream,
        id: None,
    };
    let world = world.clone();
    tokio::spawn(async move {
        loop {
            match world.bus.commit(vec![write.clone()].into()).await {
                Ok(_) => return,
                // The bus is away: it comes when that is over.
                Err(CommitError::Bus(BusError::Unavailable(_))) => tokio::time::sleep(AGAIN).await,
                Err(error) => {
                    return world.broken(format!("the bus takes no message: {error}"));
                }
            }
        }
    });
}

fn cut_off(life: &Arc<Life>, ms: u64) {
    life.link.change(|there| *there = false);
    let life = life.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(ms)).await;
        life.link.change(|there| *there = true);
    });
}

fn clock(life: &Arc<Life>) -> Clock {
    let life = life.clone();
    let bus = life.world.upgrade().map(|world| world.bus.clone());
    Clock::from_fn(move || match &bus {
        Some(bus) => bus.now() + life.skew,
        None => ferry_bus::MemoryBus::START,
    })
}

/// What a service is started with.
struct Start<'a> {
    life: &'a Arc<Life>,
    bus: Arc<dyn Bus>,
    running: &'a Arc<Mutex<Option<Running>>>,
    witness: &'a Witness,
}

impl Start<'_> {
    fn spawn<D: Decide, E: Effects<D>>(self, decide: D, effects: E) {
        let settings = Settings {
            clock: clock(self.life),
            witness: self.witness.clone(),
            ..Settings::default()
        };
        let (life, running) = (self.life.clone(), self.running.clone());
        let (bus, witness) = (self.bus, self.witness.clone());
        tokio::spawn(async move {
            let started = ferry_runtime::run(decide, effects, bus, settings).await;
            *running.lock().expect("no panic under this lock") = Some(started);
            // As the process does: it ends, and is started again.
            let why = witness.stop().await;
            let Some(world) = life.world.upgrade() else {
                return;
            };
            world.tell(&life.name, why);
            let started = running.lock().expect("no panic under this lock").take();
            if let Some(started) = started {
                started.drain().await;
            }
            world.crash(&life, 0);
        });
    }
}
