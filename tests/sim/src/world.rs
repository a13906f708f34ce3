//! One seed's world: the bus, the bases, the repository, the processes, and what was seen of them.
//!
//! In: a script. Out: the same world each time. Nothing in it reads a real clock or a real chance.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::Router;
use ferry_bus::{Batch, DeadLetter, MemoryBus, StreamLimits};
use ferry_config::Config;
use ferry_events::{
    Digest, Event, EventId, PushId, Service,
    subject::{DEAD, LOGS, STREAM, TIMERS},
};
use ferry_fake_base::{FakeBase, Options};
use tempfile::TempDir;
use tokio::{sync::mpsc, time::Instant};

use crate::{
    balancer::{self, Balancer},
    care::{Look, People, Sent},
    describe::describe,
    outside::Outside,
    parts::git::Git,
    people::CAREFUL,
    process::Life,
    restore::Restores,
    script::{BASES, ENVIRONMENTS, MODULES, Quality, Script, Settings, Wrong},
    web::{NETWORK, SimWeb},
};

/// The secret of the repository's hooks: no event may hold it.
pub const SECRET: &str = "hush-hush-of-the-hooks";

/// Something for the driver to do when its time comes.
#[derive(Debug)]
pub enum Order {
    /// A replica is started again, after so many milliseconds.
    Start(Service, usize, u64),
}

/// What came of a build.
#[derive(Clone, Debug)]
pub struct Made {
    /// The module.
    pub module: String,
    /// The commit that was built.
    pub commit: String,
    /// The commit from which the module's content comes.
    pub origin: String,
    /// How it behaves.
    pub quality: Quality,
}

/// One line of the story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Milliseconds of virtual time since the start.
    pub at_ms: u64,
    /// Who.
    pub who: String,
    /// What.
    pub what: String,
}

/// What was seen so far.
#[derive(Clone, Default)]
pub struct Seen {
    /// Every event that was committed, in order.
    pub events: Vec<Event>,
    /// What must never be, and was.
    pub broken: Vec<String>,
    /// Dead letters, and whether they are parked.
    pub letters: Vec<(DeadLetter, bool)>,
    /// Pushes that were answered 202.
    pub accepted: BTreeSet<PushId>,
    /// Commands that were answered 202.
    pub commands: BTreeSet<ferry_events::CommandId>,
    /// Runs that are not over, and those that are.
    pub open: BTreeSet<ferry_events::RunId>,
    /// Pushes and commands that were settled.
    pub resolved: BTreeSet<PushId>,
    /// Commands that were settled.
    pub settled: BTreeSet<ferry_events::CommandId>,
    /// What people sent, taken or not.
    pub sent: Sent,
    /// What is known of people and of what waits for them.
    pub people: People,
    /// When something was committed last.
    pub last_change_ms: u64,
    begun: BTreeMap<Digest, BTreeMap<usize, u64>>,
    begins: u64,
    restored: usize,
}

/// The world.
pub struct World {
    /// What happens in it.
    pub script: Script,
    /// The bus.
    pub bus: MemoryBus,
    /// The configuration in force.
    pub config: Config,
    /// The repository.
    pub git: Mutex<Git>,
    /// How many boundaries were passed.
    pub boundaries: AtomicU64,
    faults: BTreeMap<u64, Wrong>,
    /// Whether faults still happen.
    faulty: AtomicBool,
    started: Instant,
    git_away_ms: AtomicU64,
    bases: Mutex<BTreeMap<String, Arc<FakeBase>>>,
    artifacts: Mutex<BTreeMap<String, (Arc<Life>, Router)>>,
    resting: Mutex<Vec<(Arc<Life>, u64)>>,
    /// Messages that take down who has them in hand: which, once it is known, and how often still.
    poison: Mutex<BTreeMap<Service, (Option<u64>, u64)>>,
    orders: mpsc::UnboundedSender<Order>,
    restores: Mutex<Restores>,
    seen: Mutex<Seen>,
    story: Mutex<Vec<Line>>,
    made: Mutex<BTreeMap<Digest, Made>>,
    versions: Mutex<BTreeMap<String, Digest>>,
    passed: Mutex<BTreeMap<String, u64>>,
    still: Mutex<BTreeSet<String>>,
    hard: AtomicBool,
    balancer: Mutex<Balancer>,
    outside: Mutex<Outside>,
    folder: TempDir,
}

/// The configuration of a simulated installation.
pub fn config(settings: &Settings) -> Config {
    let mut text = format!(
        "[repositories.shop]\nurl = \"https://git.example/acme/shop.git\"\nforge = \"github\"\n\
         secret = \"env:HOOK\"\nbranches = [\"main\"]\n\n\
         [installer]\ninstall_timeout = \"20s\"\nuninstall_timeout = \"10s\"\n\n\
         [verifier]\npoll = \"{}ms\"\n",
        settings.poll_ms
    );
    for module in MODULES {
        text.push_str(&format!(
            "\n[modules.{module}]\nrepository = \"shop\"\npath = \"{module}\"\nsoak = \"{}ms\"\n\
             probe = {{ path = \"/{module}/\", deadline = \"10s\" }}\n",
            settings.soak_ms
        ));
    }
    for (number, environment) in ENVIRONMENTS.iter().enumerate() {
        text.push_str(&format!(
            "\n[environments.{environment}]\nparallel = {}\n",
            settings.parallel
        ));
        if number > 0 {
            text.push_str(&format!("after = \"{}\"\n", ENVIRONMENTS[number - 1]));
        }
        let careful = settings.careful.as_ref().filter(|_| number == CAREFUL);
        if let Some(careful) = careful {
            text.push_str(&careful.environment());
        }
        text.push_str(&format!(
            "[pools.{environment}]\nenvironment = \"{environment}\"\n"
        ));
        for (base, _) in BASES.iter().filter(|(_, of)| of == environment) {
            text.push_str(&format!(
                "[[pools.{environment}.bases]]\nname = \"{base}\"\narklet = \"http://{base}.arklet\"\n\
                 url = \"http://{base}.modules\"\n"
            ));
            if let Some(careful) = careful {
                text.push_str(&format!("zone = \"{}\"\n", careful.zone(base)));
            }
        }
    }
    if settings.drains {
        text.push_str(&balancer::config());
    }
    if let Some(guard) = &settings.guard {
        text.push_str(&guard.config());
    }
    if settings.together {
        let mut before = None;
        for module in MODULES {
            text.push_str(&format!("[releases.shop.modules.{module}]\n"));
            if let Some(before) = before.replace(module) {
                text.push_str(&format!("after = [\"{before}\"]\n"));
            }
        }
    }
    match ferry_config::parse(&[("ferry.toml".into(), text)]) {
        Ok(loaded) => loaded.config,
        Err(problems) => panic!("the simulation's configuration: {problems:?}"),
    }
}

impl World {
    /// The world of a script, and the driver's orders.
    pub fn new(script: Script) -> (Arc<Self>, mpsc::UnboundedReceiver<Order>) {
        let limits = StreamLimits {
            keep_events: Duration::from_secs(script.settings.keep_s),
            ..StreamLimits::default()
        };
        let (orders, taken) = mpsc::unbounded_channel();
        let faults = script.faults.iter().map(|f| (f.boundary, f.what)).collect();
        let world = Arc::new(Self {
            bus: MemoryBus::new(MemoryBus::START, &limits),
            config: config(&script.settings),
            git: Mutex::default(),
            boundaries: AtomicU64::new(0),
            faults,
            faulty: AtomicBool::new(true),
            started: Instant::now(),
            git_away_ms: AtomicU64::new(0),
            bases: Mutex::default(),
            artifacts: Mutex::default(),
            resting: Mutex::default(),
            poison: Mutex::default(),
            orders,
            restores: Mutex::default(),
            seen: Mutex::default(),
            story: Mutex::default(),
            made: Mutex::default(),
            versions: Mutex::default(),
            passed: Mutex::default(),
            still: Mutex::default(),
            hard: AtomicBool::new(false),
            balancer: Mutex::default(),
            outside: Mutex::default(),
            folder: tempfile::tempdir().expect("a folder for jars"),
            script,
        });
        let web = SimWeb::of_bases(Arc::downgrade(&world));
        for (name, _) in BASES {
            let options = Options {
                name: name.into(),
                ..Options::default()
            };
            let base =
                FakeBase::inside(options, web.clone()).expect("a base without a ledger's file");
            lock(&world.bases).insert(name.into(), Arc::new(base));
        }
        (world, taken)
    }

    /// Lets go of what refers to the world itself, and of what the bus holds: a process that was killed
    /// keeps its connection.
    pub fn end(&self) {
        let nothing = MemoryBus::default().save();
        for stream in [STREAM, TIMERS, LOGS, DEAD] {
            // These are the streams that there are.
            let _ = self.bus.restore(&nothing, &[stream]);
        }
        lock(&self.bases).clear();
        lock(&self.artifacts).clear();
        lock(&self.resting).clear();
    }

    /// Milliseconds of virtual time since the start.
    pub fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Where jars are written.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A line of the story.
    pub fn tell(&self, who: &str, what: impl Into<String>) {
        lock(&self.story).push(Line {
            at_ms: self.now_ms(),
            who: who.into(),
            what: what.into(),
        });
    }

    /// The story so far.
    pub fn story(&self) -> Vec<Line> {
        lock(&self.story).clone()
    }

    /// What was seen so far.
    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        lock(&self.seen)
    }

    /// What restores have done so far.
    pub fn restores(&self) -> MutexGuard<'_, Restores> {
        lock(&self.restores)
    }

    /// Something is as it must never be.
    pub fn broken(&self, what: impl Into<String>) {
        let what = what.into();
        self.tell("BROKEN", what.clone());
        self.seen().broken.push(what);
    }

    /// What goes wrong at a boundary.
    pub fn wrong_at(&self, boundary: u64) -> Option<Wrong> {
        let wrong = self.faults.get(&boundary)?;
        self.faulty.load(Ordering::Relaxed).then_some(*wrong)
    }

    /// The next message of a service takes down who has it in hand, so many times.
    pub fn poison(&self, service: Service, times: u64) {
        lock(&self.poison).insert(service, (None, times));
    }

    /// Whether one of these messages, by their sequences, takes the process down.
    pub fn goes_down(&self, service: Service, sequences: &[u64]) -> bool {
        let mut poison = lock(&self.poison);
        let Some((which, left)) = poison.get_mut(&service) else {
            return false;
        };
        let which = which.get_or_insert(sequences[0]);
        if *left == 0 || !sequences.contains(which) {
            return false;
        }
        *left -= 1;
        true
    }

    /// No more faults at boundaries, nor by messages.
    pub fn heal(&self) {
        lock(&self.poison).clear();
        self.faulty.store(false, Ordering::Relaxed);
    }

    /// A process passes a boundary.
    pub fn passes(&self, service: Service, what: &str) {
        let mut passed = lock(&self.passed);
        *passed.entry(format!("{service}: {what}")).or_default() += 1;
    }

    /// How often each boundary was passed.
    pub fn passed(&self) -> BTreeMap<String, u64> {
        lock(&self.passed).clone()
    }

    /// How long the exchange at a boundary takes.
    pub fn latency(&self, boundary: u64) -> Duration {
        let longest = self.script.settings.latency_ms;
        if longest == 0 {
            return Duration::ZERO;
        }
        let mut random = fastrand::Rng::with_seed(self.script.seed ^ boundary.rotate_left(32));
        Duration::from_millis(random.u64(..=longest))
    }

    /// How long an exchange with a base is on its way.
    pub fn network(&self) -> Duration {
        NETWORK
    }

    /// Whether a replica is of a later version.
    pub fn is_newer(&self, replica: usize) -> bool {
        let from = self.script.settings.newer_from;
        from.is_some_and(|from| replica >= from)
    }

    /// A process is killed, and started again later.
    pub fn crash(&self, life: &Life, again_ms: u64) {
        life.kill();
        let start = Order::Start(life.service, life.replica, again_ms);
        // The driver lives as long as the seed.
        let _ = self.orders.send(start);
    }

    /// A process that is shut goes on when all else rests.
    pub fn wait_for_rest(&self, life: Arc<Life>, by: u64) {
        lock(&self.resting).push((life, by));
    }

    /// A process is stopped. Where it is an installer, a base may wait for its jar; where no replica is
    /// left, deadlines pass: then a good commit may stop, with its reason.
    pub fn stands_still(&self, life: &Life) {
        let mut still = lock(&self.still);
        still.insert(life.name.clone());
        let all = still
            .iter()
            .filter(|name| name.starts_with(life.service.name()))
            .count();
        if life.service == Service::Installer || all >= self.script.settings.replicas {
            self.hard.store(true, Ordering::Relaxed);
        }
    }

    /// A process goes on.
    pub fn goes_on(&self, life: &Life) {
        lock(&self.still).remove(&life.name);
    }

    /// Whether a good commit may stop in this world.
    pub fn is_hard(&self) -> bool {
        self.script.is_hard() || self.hard.load(Ordering::Relaxed)
    }

    /// Those that wait for all else to rest go on. How many there were.
    pub fn wake_resting(&self) -> usize {
        let resting = std::mem::take(&mut *lock(&self.resting));
        for (life, by) in &resting {
            self.tell(&life.name, "goes on, all else being at rest");
            life.open_again(*by);
        }
        resting.len()
    }

    /// The load balancer.
    pub fn balancer(&self) -> MutexGuard<'_, Balancer> {
        lock(&self.balancer)
    }

    /// Who is asked outside.
    pub fn outside(&self) -> MutexGuard<'_, Outside> {
        lock(&self.outside)
    }

    /// A base.
    pub fn base(&self, name: &str) -> Option<Arc<FakeBase>> {
        lock(&self.bases).get(name).cloned()
    }

    /// An installer's routes, at its name.
    pub fn artifacts_of(&self, name: &str) -> Option<(Arc<Life>, Router)> {
        lock(&self.artifacts).get(name).cloned()
    }

    /// An installer serves jars.
    pub fn serve(&self, life: &Arc<Life>, routes: Router) {
        lock(&self.artifacts).insert(life.name.clone(), (life.clone(), routes));
    }

    /// Git does not answer for so many milliseconds.
    pub fn git_away(&self, ms: u64) {
        self.git_away_ms
            .fetch_max(self.now_ms() + ms, Ordering::Relaxed);
    }

    /// Whether git answers.
    pub fn git_answers(&self) -> bool {
        self.now_ms() >= self.git_away_ms.load(Ordering::Relaxed)
    }

    /// A build made a jar.
    pub fn packaged(
        &self,
        digest: &Digest,
        module: &str,
        commit: &str,
        origin: &str,
        quality: Quality,
    ) {
        let made = Made {
            module: module.into(),
            commit: commit.into(),
            origin: origin.into(),
            quality,
        };
        lock(&self.made).insert(digest.clone(), made);
    }

    /// What a packaged jar was made from.
    pub fn made_from(&self, digest: &Digest) -> Option<Made> {
        lock(&self.made).get(digest).cloned()
    }

    /// A slimmed jar has this version.
    pub fn slimmed(&self, version: &str, packaged: &Digest) {
        lock(&self.versions).insert(version.into(), packaged.clone());
    }

    /// What a version was made from.
    pub fn made_of_version(&self, version: &str) -> Option<Made> {
        let packaged = lock(&self.versions).get(version).cloned()?;
        self.made_from(&packaged)
    }

    /// A dead letter.
    pub fn buried(&self, letter: &DeadLetter, parked: bool) {
        self.tell(
            letter.service.name(),
            format!("DEAD LETTER ({}) {:?}", letter.reason, letter.errors),
        );
        self.seen().letters.push((letter.clone(), parked));
    }

    /// A batch was committed: what it says is looked at from outside.
    pub fn observe(&self, life: &Life, batch: &Batch) {
        let service = life.service;
        let prefix = format!("ferry.state.{service}.");
        let state = batch.writes.iter().find_map(|write| {
            let key = write.subject.strip_prefix(&prefix)?;
            let record: serde_json::Value = serde_json::from_slice(&write.payload).ok()?;
            let sequence = record.get("sequence").and_then(serde_json::Value::as_u64);
            // The gateway's records are written once.
            let unit = record["state"]["unit"].clone();
            Some((key.to_owned(), sequence.unwrap_or(1), unit))
        });
        let mut events = Vec::new();
        for write in &batch.writes {
            let text = String::from_utf8_lossy(&write.payload);
            if text.contains(SECRET) || text.contains("signature=") {
                self.broken(format!("a secret stands in {}", write.subject));
            }
            if write.subject.starts_with("ferry.events.") {
                match Event::decode(&write.payload) {
                    Ok(event) => events.push(event),
                    Err(error) => self.broken(format!("{} says {error}", life.name)),
                }
            }
        }
        match &state {
            Some((key, sequence, _)) => {
                for (index, event) in events.iter().enumerate() {
                    let kind = event.body.kind().short_name();
                    let id = EventId::of(service.name(), key, *sequence, &kind, index);
                    // A retry is no transition: its event is named by the claim that failed.
                    let retried = matches!(event.body, ferry_events::Body::WorkRetried(_));
                    if id != event.id && !retried {
                        self.broken(format!(
                            "{kind} of {service} has not the id of its transition ({key} at {sequence})"
                        ));
                    }
                }
            }
            None if !events.is_empty() => {
                self.broken(format!("{} says something without a state", life.name));
            }
            None => {}
        }
        let unit = state.as_ref().map(|(_, _, unit)| unit.clone());
        let unit = unit.unwrap_or_default();
        let (now_ms, said) = (self.now_ms(), self.bus.now());
        for event in &events {
            if let Some(what) = describe(&event.body) {
                self.tell(&life.name, what);
            }
        }
        let mut seen = self.seen();
        // Bases are looked at for ever: that alone is no change.
        let moves = state.is_some() && service != Service::Verifier || !events.is_empty();
        if moves {
            seen.last_change_ms = now_ms;
        }
        let mut broken = Vec::new();
        let outside = self.outside();
        for event in events {
            let Seen { people, sent, .. } = &mut *seen;
            broken.extend(people.take(&Look {
                script: &self.script,
                sent,
                event: &event,
                body: &event.body,
                time: event.time,
                said,
                outside: &outside,
                unit: &unit,
                now_ms,
            }));
            seen.take(event);
        }
        seen.people.stored(&unit);
        drop(outside);
        drop(seen);
        for what in broken {
            self.broken(what);
        }
    }
}

impl Seen {
    /// The bus is as it was when `before` was seen. What was said since; pushes that wait in an inbox are
    /// still to come.
    pub fn forget(&mut self, before: &Self, waiting: &BTreeSet<PushId>, now_ms: u64) -> Vec<Event> {
        let forgotten = self.events.split_off(before.events.len());
        self.accepted = before.accepted.union(waiting).copied().collect();
        self.commands.clone_from(&before.commands);
        self.open.clone_from(&before.open);
        self.resolved.clone_from(&before.resolved);
        self.settled.clone_from(&before.settled);
        self.people.clone_from(&before.people);
        self.last_change_ms = now_ms;
        self.restored += 1;
        forgotten
    }

    /// The place of a plan among all that asked something of a base, in the order in which they began.
    /// What is asked anew after the bus was put back begins anew: `restores` is how often it was.
    pub fn begun(&self, plan: &Digest, restores: usize) -> Option<u64> {
        let begun = self.begun.get(plan)?;
        let (_, place) = begun.range(..=restores).next_back()?;
        Some(*place)
    }

    fn take(&mut self, event: Event) {
        use ferry_events::Body;
        match &event.body {
            Body::PushResolved(p) => {
                self.resolved.insert(p.push);
            }
            Body::CommandSettled(p) => {
                self.settled.insert(p.command);
            }
            Body::ChangeMerged(p) => {
                self.open.insert(p.run);
            }
            Body::RunQueued(p) => {
                self.open.insert(p.run);
            }
            Body::RunFinished(p) => {
                self.open.remove(&p.run);
            }
            Body::TaskRequested(p) => {
                self.begins += 1;
                let begun = self.begun.entry(p.plan.clone()).or_default();
                begun.entry(self.restored).or_insert(self.begins);
            }
            _ => {}
        }
        self.events.push(event);
    }

    /// Whether all that was accepted is over.
    pub fn is_over(&self) -> bool {
        self.open.is_empty()
            && self.accepted.is_subset(&self.resolved)
            && self.commands.is_subset(&self.settled)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
