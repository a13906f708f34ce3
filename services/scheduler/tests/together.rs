//! Releases of several modules, whatever happens in whatever order: all are verified in an environment or
//! none, nobody begins before those that it comes after, and each run ends.

#[allow(dead_code, reason = "each test file uses its part")]
mod world;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chrono::TimeDelta;
use ferry_config::Config;
use ferry_events::{
    Body, Command, CommandId, Digest, Event, EventId, RunId, Scope, Service, Timestamp, Verb,
    artifact::{Published, Release},
    fact::ActivePlan,
    joint::Progress,
    line::Stretch,
    push::ChangeMerged,
    rollout::{Direction, RolloutOutcome},
    subject,
};
use ferry_runtime::{Context, Decide, Input, Key};
use ferry_scheduler::{
    Scheduler,
    decide::{Nothing, State, unit_key},
};
use proptest::prelude::*;
use uuid::Uuid;
use world::{World, fleet::Fleet, look_into, release, run_of};

const MODULES: [&str; 3] = ["cart", "prices", "web"];
const PUSHES: u64 = 3;
/// Of one history, at most: with a step a deadline, and each of these ends in a few.
const STEPS_MAX: usize = 20_000;

/// Cart and prices go through pre and prod, web to prod only; prices after cart, web after prices.
fn config() -> Config {
    let mut text = String::from(
        r#"
[repositories.shop]
url = "https://git.example/acme/shop.git"
forge = "github"
secret = "env:SHOP"
[environments.pre]
[environments.prod]
after = "pre"
[releases.shop]
wait = "1h"
modules = { cart = {}, prices = { after = ["cart"] }, web = { after = ["prices"] } }
"#,
    );
    let mut port = 1000;
    for module in MODULES {
        let environments: &[&str] = match module {
            "web" => &["prod"],
            _ => &["pre", "prod"],
        };
        let pools: Vec<String> = environments
            .iter()
            .map(|environment| format!("{environment}-{module}"))
            .collect();
        text += &format!(
            "[modules.{module}]\nrepository = \"shop\"\npools = {pools:?}\nsoak = \"1s\"\n"
        );
        for (environment, pool) in environments.iter().zip(&pools) {
            text += &format!("[pools.{pool}]\nenvironment = \"{environment}\"\n");
            for n in 1..=2 {
                port += 1;
                text += &format!(
                    "[[pools.{pool}.bases]]\nname = \"{pool}-{n}\"\narklet = \"http://127.0.0.1:{port}\"\nurl = \"http://127.0.0.2:{port}\"\n"
                );
            }
        }
    }
    let loaded = ferry_config::parse(&[("ferry.toml".into(), text)]);
    loaded.expect("a good configuration").config
}

/// What happens next.
#[derive(Clone, Debug)]
enum Next {
    /// A message that waits arrives; or it arrives and will come again.
    Deliver { which: usize, again: bool },
    /// The next push.
    Push { broken: Option<usize> },
    /// Somebody aborts a run.
    Abort { push: u64, module: usize },
    /// Somebody pauses a module, or resumes it.
    Pause { module: usize },
    /// The next deadline comes.
    Time,
}

fn next() -> impl Strategy<Value = Next> {
    let module = 0..MODULES.len();
    prop_oneof![
        60 => (any::<usize>(), prop::bool::weighted(0.15))
            .prop_map(|(which, again)| Next::Deliver { which, again }),
        3 => prop::option::weighted(0.1, module.clone()).prop_map(|broken| Next::Push { broken }),
        1 => (1..=PUSHES, module.clone()).prop_map(|(push, module)| Next::Abort { push, module }),
        1 => module.prop_map(|module| Next::Pause { module }),
        2 => Just(Next::Time),
    ]
}

/// A base on which a version fails, and how.
fn fault() -> impl Strategy<Value = (usize, bool, usize, u64, bool)> {
    (
        0..MODULES.len(),
        any::<bool>(),
        1..=2usize,
        1..=PUSHES,
        any::<bool>(),
    )
}

struct History {
    config: Arc<Config>,
    states: BTreeMap<Key, State>,
    facts: BTreeMap<String, serde_json::Value>,
    waiting: Vec<(Key, Input<Nothing>)>,
    fleet: Fleet,
    revisions: BTreeMap<String, u64>,
    now: Timestamp,
    sequence: u128,
    pushed: u64,
    paused: BTreeSet<usize>,
    /// Runs that began, and those that ended.
    begun: BTreeSet<RunId>,
    ended: BTreeSet<RunId>,
    /// By release and environment: the modules that said that they are well.
    well: BTreeSet<(Uuid, String, String)>,
    /// How each rollout of a release ended.
    outcomes: BTreeMap<(u64, String), BTreeMap<String, RolloutOutcome>>,
}

impl History {
    fn new() -> Self {
        Self {
            config: Arc::new(config()),
            states: BTreeMap::new(),
            facts: BTreeMap::new(),
            waiting: Vec::new(),
            fleet: Fleet::default(),
            revisions: BTreeMap::new(),
            now: "2026-12-01T10:00:00Z".parse().expect("a time"),
            sequence: 0,
            pushed: 0,
            paused: BTreeSet::new(),
            begun: BTreeSet::new(),
            ended: BTreeSet::new(),
            well: BTreeSet::new(),
            outcomes: BTreeMap::new(),
        }
    }

    fn happens(&mut self, next: &Next) {
        match next {
            Next::Deliver { .. } if self.waiting.is_empty() => {}
            Next::Deliver { which, again } => {
                let at = which % self.waiting.len();
                let (key, input) = match again {
                    true => self.waiting[at].clone(),
                    false => self.waiting.remove(at),
                };
                self.decide(&key, input);
            }
            Next::Push { broken } => self.push(*broken),
            Next::Abort { push, module } => {
                let module = MODULES[*module];
                let run = run_of(module, *push);
                self.order(Verb::Abort(Stretch::Run {
                    run,
                    module: module.into(),
                }));
            }
            Next::Pause { module } => {
                let stretch = Stretch::Module(MODULES[*module].into());
                match self.paused.remove(module) {
                    true => self.order(Verb::Resume(stretch)),
                    false => {
                        self.paused.insert(*module);
                        self.order(Verb::Pause(stretch));
                    }
                }
            }
            Next::Time => {
                self.time();
            }
        }
    }

    fn push(&mut self, broken: Option<usize>) {
        if self.pushed == PUSHES {
            return;
        }
        self.pushed += 1;
        let n = self.pushed;
        let joint = world::joint(&self.config, n, &MODULES);
        for (i, module) in MODULES.into_iter().enumerate() {
            let run = run_of(module, n);
            let Body::ChangeMerged(change) = World::change(n) else {
                unreachable!("it is one");
            };
            let change = ChangeMerged {
                run,
                module: module.into(),
                joint: joint.clone(),
                ..*change
            };
            self.say(change.into());
            if broken == Some(i) {
                let refused = ferry_events::artifact::Refused {
                    run,
                    module: module.into(),
                    packaged: Digest::of(b"x"),
                    stop: ferry_events::Stop::new(ferry_events::Reason::NotABiz, "no"),
                    pool: None,
                    report: None,
                };
                self.say(refused.into());
                continue;
            }
            let earlier = release(n);
            let slimmed = earlier.pools["prod"].clone();
            let pools = self.config.pools_of_module(module).into_iter();
            let pools = pools.map(|(pool, _)| (pool.to_owned(), slimmed.clone()));
            let release = Release {
                origin: None,
                run,
                module: module.into(),
                packaged: Digest::of(format!("{module}{n}").as_bytes()),
                pools: pools.collect(),
                ..earlier
            };
            self.say(Published { release }.into());
        }
    }

    fn order(&mut self, verb: Verb) {
        self.sequence += 1;
        let command = Command {
            id: CommandId(Uuid::from_u128(self.sequence)),
            at: self.now,
            actor: "ops".into(),
            why: None,
            based_on: None,
            verb,
        };
        for key in Scheduler.route_command(&command, &self.config) {
            let input = Input::Command(Arc::new(command.clone()));
            self.waiting.push((key, input));
        }
    }

    fn say(&mut self, body: Body) {
        self.sequence += 1;
        let event = Event {
            id: EventId(Uuid::from_u128(self.sequence)),
            source: Service::Scheduler,
            time: self.now,
            scope: Scope::default(),
            cause: None,
            trace: None,
            body,
        };
        for key in Scheduler.route(&event, &self.config) {
            let input = Input::Event(Arc::new(event.clone()));
            self.waiting.push((key, input));
        }
    }

    fn decide(&mut self, key: &Key, input: Input<Nothing>) {
        let state = self.states.entry(key.clone()).or_default().clone();
        let context = Context {
            now: self.now,
            config: Arc::clone(&self.config),
            revision: Digest::of(b"configuration"),
        };
        let decision = Scheduler
            .decide(key, &state, &input, &context)
            .expect("no fault");
        self.facts.extend(decision.facts);
        self.states.insert(key.clone(), decision.state);
        for say in decision.events {
            self.notices(&say.body);
            let in_force = match &say.body {
                Body::TaskRequested(p) => self.in_force(&p.module, &p.environment),
                _ => None,
            };
            let (now, revisions) = (self.now, &mut self.revisions);
            let answer = self
                .fleet
                .answer(&say.body, in_force.as_ref(), now, revisions);
            self.say(say.body);
            if let Some(answer) = answer {
                self.say(answer);
            }
        }
    }

    fn in_force(&self, module: &str, environment: &str) -> Option<Digest> {
        let fact = self.facts.get(&subject::plan_fact(module, environment))?;
        let fact: ActivePlan = serde_json::from_value(fact.clone()).expect("a fact");
        fact.plan
    }

    fn number(run: RunId, module: &str) -> Option<u64> {
        (1..=PUSHES).find(|n| run_of(module, *n) == run)
    }

    /// What must hold at every moment.
    fn notices(&mut self, body: &Body) {
        match body {
            Body::RunStarted(p) => {
                self.begun.insert(p.run);
            }
            Body::RunFinished(p) => {
                assert!(self.ended.insert(p.run), "a run ends once");
            }
            Body::JointReported(p) if p.progress == Progress::Well => {
                let environment = p.environment.clone().expect("one is well somewhere");
                self.well
                    .insert((p.joint.id, environment, p.module.clone()));
            }
            Body::WaveStarted(p) if p.direction == Direction::Forward && p.number == 1 => {
                let Some(n) = Self::number(p.run, &p.module) else {
                    return;
                };
                let joint = world::joint(&self.config, n, &MODULES).expect("one");
                let member = joint.member(p.run).expect("a member");
                for before in &member.after {
                    let there = joint.modules_in(&p.environment).any(|name| name == before);
                    let well = (joint.id, p.environment.clone(), before.clone());
                    assert!(
                        !there || self.well.contains(&well),
                        "{} began in {} before {before} was well",
                        p.module,
                        p.environment
                    );
                }
            }
            Body::RolloutFinished(p) => {
                if let Some(n) = Self::number(p.run, &p.module) {
                    let of = self.outcomes.entry((n, p.environment.clone())).or_default();
                    let before = of.insert(p.module.clone(), p.outcome);
                    assert_eq!(before, None, "a rollout ends once");
                }
            }
            _ => {}
        }
    }

    /// The next deadline comes. Answers whether there was one.
    fn time(&mut self) -> bool {
        let deadlines = self.states.iter();
        let due = deadlines.filter_map(|(key, state)| Some((Scheduler.wake_at(state)?, key)));
        let first = due.min().map(|(at, key)| (at, key.clone()));
        let Some((at, key)) = first else {
            return false;
        };
        self.now = self.now.max(at) + TimeDelta::milliseconds(1);
        self.decide(&key, Input::Due);
        true
    }

    /// Everything that waits arrives, and time goes on, until nothing is left to do.
    fn comes_to_rest(&mut self) {
        for module in std::mem::take(&mut self.paused) {
            self.order(Verb::Resume(Stretch::Module(MODULES[module].into())));
        }
        for _ in 0..STEPS_MAX {
            if !self.waiting.is_empty() {
                let (key, input) = self.waiting.remove(0);
                self.decide(&key, input);
            } else if !self.time() {
                return;
            }
        }
        panic!("it does not come to rest");
    }

    fn live(&self, module: &str, environment: &str) -> Option<String> {
        let unit = look_into(self.states.get(&unit_key(module, environment))?);
        let newest = unit["verified"][0].clone();
        let release: Release = serde_json::from_value(newest).ok()?;
        Some(release.version().to_owned())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn all_of_a_release_are_verified_or_none(
        faults in prop::collection::vec(fault(), 0..4),
        nexts in prop::collection::vec(next(), 0..250),
    ) {
        let mut history = History::new();
        for (module, prod, base, version, starts) in faults {
            let environment = if prod { "prod" } else { "pre" };
            let name = format!("{environment}-{}-{base}", MODULES[module]);
            let base = history.fleet.base(&name);
            let versions = if starts { &mut base.answers_badly } else { &mut base.refuses };
            versions.insert(format!("1.0.0-{version}"));
        }
        history.push(None);
        for next in &nexts {
            history.happens(next);
        }
        history.comes_to_rest();

        prop_assert_eq!(&history.begun, &history.ended, "each run ends");
        for ((push, environment), outcomes) in &history.outcomes {
            let verified = outcomes.values().filter(|one| **one == RolloutOutcome::Verified);
            let verified = verified.count();
            let joint = world::joint(&history.config, *push, &MODULES).expect("one");
            let members = joint.modules_in(environment).count();
            prop_assert!(
                verified == 0 || verified == members,
                "push {} in {}: {:?}", push, environment, outcomes
            );
        }
        for environment in ["pre", "prod"] {
            let there = MODULES.into_iter().filter(|module| {
                history.config.environments_of_module(module).contains(&environment)
            });
            let live: BTreeMap<&str, Option<String>> =
                there.map(|module| (module, history.live(module, environment))).collect();
            let versions: BTreeSet<&Option<String>> = live.values().collect();
            prop_assert_eq!(versions.len(), 1, "live in {}: {:?}", environment, live);
            for (module, version) in &live {
                for (_, base) in history.config.clone().bases_of(module, environment) {
                    let runs = &history.fleet.base(&base.name).runs;
                    prop_assert_eq!(runs, version, "{}", &base.name);
                }
            }
        }
    }
}
