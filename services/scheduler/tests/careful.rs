//! What holds of careful rollouts, whatever the fleet, the strategy and the order of events: limits of zones,
//! waves, gates, pauses, the way back, and that everything ends.

#[allow(dead_code, reason = "each test file uses its part")]
mod world;

use std::collections::{BTreeMap, BTreeSet};

use ferry_config::Config;
use ferry_events::{
    Body, Command, Digest, PlanId, Reason, RunId, Stop, Verb,
    artifact::{Published, Release},
    command::{OnBase, Rollout},
    gate::{self, Verdict},
    line::{Act, Standing, Stretch},
    push::ChangeMerged,
    restart,
    rollout::{Aim, Direction, Plan, Requested, RolloutOutcome},
    task,
};
use ferry_runtime::Decide;
use ferry_scheduler::{Scheduler, decide::State};
use proptest::prelude::*;
use world::{World, look_into, observed, release, run, task_finished};

/// An environment and its bases.
#[derive(Clone, Debug)]
struct Setup {
    /// Bases of each zone.
    zones: Vec<usize>,
    /// Whether every second base is of another pool.
    two_pools: bool,
    /// Lines of `[environments.prod]`.
    strategy: String,
    /// Gates.
    gates: String,
}

fn amount(most: u32) -> impl Strategy<Value = String> {
    prop_oneof![
        (1..=most).prop_map(|count| count.to_string()),
        (1u32..=100).prop_map(|share| format!("\"{share}%\"")),
    ]
}

fn setup() -> impl Strategy<Value = Setup> {
    let strategy = (
        amount(3),
        prop_oneof![Just("0".to_owned()), amount(5)],
        prop::option::of(amount(3)),
        // All of them would let no base be changed: such a configuration is refused.
        prop_oneof![3 => Just("0".to_owned()), 1 => amount(2).prop_filter("all", |it| it != "\"100%\"")],
        0u32..3,
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        1u32..5,
    )
        .prop_map(
            |(
                canary,
                parallel,
                unavailable,
                available,
                failures,
                pause,
                soak,
                back,
                cut,
                every,
            )| {
                let mut lines = format!(
                    "canary = {canary}\nparallel = {parallel}\nmin_available = {available}\n\
                     max_failures = {failures}\nlive_every = {every}\nwait = \"2days\"\n"
                );
                if let Some(most) = unavailable {
                    lines += &format!("max_unavailable = {most}\n");
                }
                let mut add = |set: bool, line: &str| {
                    if set {
                        lines += line;
                    }
                };
                add(pause, "pause = \"10m\"\n");
                add(soak, "soak = \"20m\"\n");
                add(back, "rollback = \"reverse-waves\"\n");
                add(cut, "supersede = \"cut-short\"\n");
                lines
            },
        );
    let gates = (prop::bool::weighted(0.4), 1u32..3, prop::bool::weighted(0.3), prop::bool::weighted(0.2), prop::bool::weighted(0.3)).prop_map(
        |(approval, count, metric, check, window)| {
            let mut text = String::new();
            if approval {
                text += &format!("[environments.prod.approval]\ncount = {count}\n");
            }
            if metric {
                text += "[environments.prod.metrics.errors]\nurl = \"http://prometheus.example\"\nquery = \"errors\"\nmax = \"1\"\n";
            }
            if check {
                text += "[environments.prod.checks.board]\nurl = \"http://board.example\"\nat = [\"start\", \"end\"]\n";
            }
            if window {
                text += "[environments.prod.windows.office]\nopens = \"0 9 * * *\"\nopen_for = \"8h\"\n[freezes.feast]\nfrom = \"2026-12-02\"\nuntil = \"2026-12-02T18:00\"\nwhy = \"a feast\"\n";
            }
            text
        },
    );
    (
        prop::collection::vec(1usize..=6, 1..=4),
        any::<bool>(),
        strategy,
        gates,
    )
        .prop_map(|(zones, two_pools, strategy, gates)| Setup {
            zones,
            two_pools,
            strategy,
            gates,
        })
}

fn config(setup: &Setup) -> Config {
    let mut pools: BTreeMap<&str, String> = BTreeMap::new();
    let mut port = 3000;
    for (zone, bases) in setup.zones.iter().enumerate() {
        for n in 0..*bases {
            port += 1;
            let pool = if setup.two_pools && n % 2 == 1 {
                "other"
            } else {
                "prod"
            };
            *pools.entry(pool).or_default() += &format!(
                "  {{ name = \"prod-{zone}-{n}\", zone = \"zone-{zone}\", arklet = \"http://127.0.0.1:{port}\", url = \"http://127.0.0.2:{port}\" }},\n"
            );
        }
    }
    let head = world::CONFIG.split("[environments.pre]").next().unwrap();
    let mut text = format!(
        "{head}[environments.prod]\n{}{}",
        setup.strategy, setup.gates
    );
    for (pool, bases) in pools {
        text += &format!(
            "[pools.{pool}]\nenvironment = \"prod\"\nrestart = {{ exec = [\"restart\", \"{{base}}\"] }}\nbases = [\n{bases}]\n"
        );
    }
    match ferry_config::parse(&[("ferry.toml".into(), text)]) {
        Ok(loaded) => loaded.config,
        Err(found) => panic!("{found:#?}"),
    }
}

/// What can happen next.
#[derive(Clone, Debug)]
enum Next {
    Push { as_before: bool, forced: bool },
    Answer { which: usize, well: bool },
    Lose { which: usize },
    Join { which: usize, empty: bool },
    Approve { who: usize },
    Promote,
    Judge { verdict: usize },
    Line { act: usize, stretch: usize },
    RollBack,
    Hold { which: usize },
    Release { which: usize },
    Restart { which: usize },
    Wake,
    Repeat { which: usize },
}

fn next() -> impl Strategy<Value = Next> {
    let which = any::<usize>;
    prop_oneof![
        3 => (prop::bool::weighted(0.2), any::<bool>()).prop_map(|(as_before, forced)| Next::Push { as_before, forced }),
        14 => (which(), prop::bool::weighted(0.93)).prop_map(|(which, well)| Next::Answer { which, well }),
        1 => which().prop_map(|which| Next::Lose { which }),
        2 => (which(), any::<bool>()).prop_map(|(which, empty)| Next::Join { which, empty }),
        3 => (0usize..3).prop_map(|who| Next::Approve { who }),
        1 => Just(Next::Promote),
        3 => (0usize..6).prop_map(|verdict| Next::Judge { verdict }),
        2 => (0usize..6, 0usize..4).prop_map(|(act, stretch)| Next::Line { act, stretch }),
        1 => Just(Next::RollBack),
        1 => which().prop_map(|which| Next::Hold { which }),
        1 => which().prop_map(|which| Next::Release { which }),
        1 => which().prop_map(|which| Next::Restart { which }),
        4 => Just(Next::Wake),
        3 => which().prop_map(|which| Next::Repeat { which }),
    ]
}

/// What was fed, so that it can be fed again.
#[derive(Clone, Debug)]
enum Fed {
    Event(Box<Body>),
    Command(Box<Command>),
}

/// The world, the bases as they really are, and what was seen so far.
struct Floor {
    world: World,
    runs: BTreeMap<String, Option<String>>,
    zones: BTreeMap<String, String>,
    lost: BTreeSet<String>,
    open: Vec<Body>,
    fed: Vec<Fed>,
    commands: u128,
    pushed: u64,
    started: usize,
    seen: usize,
    watch: Watch,
}

/// What the events say so far, for the rules.
#[derive(Default)]
struct Watch {
    plans: BTreeMap<PlanId, Plan>,
    requested: BTreeMap<RunId, Requested>,
    /// The plan whose tasks may run.
    in_force: Option<PlanId>,
    /// Bases that were requested under the plan in force and are not well again.
    in_hand: BTreeSet<String>,
    begun: BTreeSet<(PlanId, String)>,
    touched: BTreeSet<String>,
    standing: Vec<Standing>,
    approvers: BTreeMap<RunId, BTreeSet<String>>,
    overridden: BTreeSet<RunId>,
    ended: BTreeMap<RunId, u32>,
    live: Option<String>,
    /// Bases that could not be brought back and are not known to be mended.
    quarantined: BTreeSet<String>,
    /// Bases that the installer was asked to restart, and that are not counted on again.
    away: BTreeMap<String, u64>,
}

impl Watch {
    /// Bases that a person holds.
    fn held_by_persons(&self) -> BTreeSet<String> {
        let by_person = self.standing.iter().filter(|one| !one.quarantined);
        let bases = by_person.filter_map(|one| one.stretch.base());
        bases.map(str::to_owned).collect()
    }

    /// Bases that are held, or in quarantine.
    fn held(&self) -> BTreeSet<String> {
        let bases = self.standing.iter().filter_map(|one| one.stretch.base());
        bases.map(str::to_owned).collect()
    }
}

fn on_base(base: String) -> OnBase {
    OnBase {
        base,
        environment: "prod".into(),
    }
}

impl Floor {
    fn new(setup: &Setup) -> Self {
        let config = config(setup);
        let mut world = World::with_fleet(config, "2026-12-01T10:00:00Z".parse().unwrap());
        world.fleet = None;
        world.script = Box::new(|_| None);
        let bases = world.config.bases_of("cart", "prod");
        Self {
            runs: bases
                .iter()
                .map(|(_, base)| (base.name.clone(), None))
                .collect(),
            zones: bases
                .iter()
                .map(|(_, base)| (base.name.clone(), base.zone.clone()))
                .collect(),
            lost: BTreeSet::new(),
            open: Vec::new(),
            fed: Vec::new(),
            commands: 0,
            pushed: 0,
            started: 0,
            seen: 0,
            watch: Watch::default(),
            world,
        }
    }

    fn base(&self, which: usize) -> String {
        let bases: Vec<&String> = self.runs.keys().collect();
        bases[which % bases.len()].clone()
    }

    fn feed(&mut self, body: Body) {
        self.fed.push(Fed::Event(Box::new(body.clone())));
        self.world.feed(body);
        self.look();
    }

    fn order(&mut self, actor: &str, verb: Verb) {
        self.commands += 1;
        // No two people speak at the very same moment.
        self.world.now += chrono::TimeDelta::milliseconds(1);
        let command = self.world.command(self.commands, actor, Some("why"), verb);
        self.fed.push(Fed::Command(Box::new(command.clone())));
        self.world.order(command);
        self.look();
    }

    fn push(&mut self, as_before: bool, force: bool) {
        self.pushed += 1;
        let n = self.pushed;
        let built = if as_before && n > 1 { n - 1 } else { n };
        let Body::ChangeMerged(change) = World::change(n) else {
            unreachable!("it is one");
        };
        self.started += 1;
        self.feed(ChangeMerged { force, ..*change }.into());
        let earlier = release(built);
        let slimmed = earlier.pools["prod"].clone();
        let jar = |pool: &str| {
            let mut slimmed = slimmed.clone();
            slimmed.digest = Digest::of(format!("{built}{pool}").as_bytes());
            (pool.to_owned(), slimmed)
        };
        let release = Release {
            origin: None,
            own: None,
            run: run(n),
            pools: ["prod", "other"].map(jar).into(),
            ..earlier
        };
        self.feed(Published { release }.into());
    }

    fn lose(&mut self, base: &str) {
        if self.lost.insert(base.to_owned()) {
            let lost = self.world.lost(base);
            self.feed(lost);
        }
    }

    fn join(&mut self, base: &str, empty: bool) {
        if !self.lost.remove(base) {
            return;
        }
        if empty {
            self.runs.insert(base.to_owned(), None);
        }
        let runs = self.runs[base].clone();
        let joined = self.world.join(base, runs.as_deref());
        self.feed(joined);
    }

    /// An installer or a verifier answers; the fence holds.
    fn answer(&mut self, which: usize, well: bool) -> bool {
        if self.open.is_empty() {
            return false;
        }
        let body = self.open.remove(which % self.open.len());
        let fails = |reason| Err(Stop::new(reason, "by chance"));
        let reply = match &body {
            Body::TaskRequested(p) => {
                let in_force = self.world.in_force(&p.module, &p.environment);
                let version =
                    |want: &Option<task::Want>| want.as_ref().map(|want| want.version.clone());
                let result = if in_force.as_ref() != Some(&p.plan) {
                    fails(Reason::PlanOutdated)
                } else if self.lost.contains(&p.base) {
                    fails(Reason::BaseUnreachable)
                } else {
                    let now = if well {
                        version(&p.want)
                    } else {
                        version(&p.restore)
                    };
                    self.runs.insert(p.base.clone(), now);
                    *self.world.revisions.entry(p.base.clone()).or_default() += 1;
                    if well {
                        Ok(())
                    } else {
                        fails(Reason::InstallFailed)
                    }
                };
                let revision = self.world.revisions.get(&p.base).copied().unwrap_or(0);
                task_finished(p, revision, result)
            }
            Body::ObservationRequested(p) => {
                let result = if self.lost.contains(&p.base) {
                    fails(Reason::BaseLost)
                } else if self.runs[&p.base] != p.version {
                    fails(Reason::NotActive)
                } else if !well {
                    fails(Reason::ProbeFailed)
                } else {
                    Ok(())
                };
                if result.is_ok() && self.watch.in_force.as_ref() == Some(&p.plan) {
                    self.watch.in_hand.remove(&p.base);
                }
                observed(p, result)
            }
            Body::RestartRequested(p) => {
                let base = &p.turn.base;
                let stop = if self.world.now > p.begin_by || !well || self.lost.contains(base) {
                    Some(Stop::new(Reason::RestartFailed, "by chance"))
                } else {
                    let told = self.told();
                    let away = self.watch.away.get(base);
                    assert_eq!(away, Some(&p.turn.number), "{base} is counted on\n{told}");
                    self.runs.insert(base.clone(), None);
                    None
                };
                if self.watch.away.get(base) == Some(&p.turn.number) {
                    self.watch.away.remove(base);
                }
                let restarted = stop.is_none().then(|| base.clone());
                let finished = restart::Finished {
                    turn: p.turn.clone(),
                    stop,
                    ended: self.world.now,
                    millis: 1,
                };
                self.feed(finished.into());
                if let Some(base) = restarted {
                    let joined = self.world.join(&base, None);
                    self.feed(joined);
                }
                return true;
            }
            _ => unreachable!("nothing else is open"),
        };
        self.feed(reply);
        true
    }

    fn judge(&mut self, verdict: usize) {
        let ended: BTreeSet<_> = self
            .world
            .said
            .iter()
            .filter_map(|body| match body {
                Body::GateFinished(p) => Some(p.gate),
                _ => None,
            })
            .collect();
        let open = self.world.said.iter().rev().find_map(|body| match body {
            Body::GateRequested(p) if p.ask.is_judged() && !ended.contains(&p.gate) => {
                Some(p.clone())
            }
            _ => None,
        });
        let Some(open) = open else {
            return;
        };
        let verdict = match verdict {
            0 => Verdict::Fail,
            1 => Verdict::Inconclusive,
            _ => Verdict::Pass,
        };
        self.feed(
            gate::Judged {
                gate: open.gate,
                run: open.run,
                plan: open.plan,
                module: open.module,
                environment: open.environment,
                name: open.name,
                verdict,
                seen: "seen".into(),
            }
            .into(),
        );
    }

    /// The newest run that was pushed.
    fn newest(&self) -> Rollout {
        Rollout {
            run: self.waiting().unwrap_or_else(|| run(self.pushed)),
            module: "cart".into(),
            environment: "prod".into(),
        }
    }

    /// The run that waits.
    fn waiting(&self) -> Option<RunId> {
        let unit = self.unit()?;
        let one = if unit["gated"].is_null() {
            &unit["active"]
        } else {
            &unit["gated"]
        };
        one["requested"]["run"].as_str()?.parse().ok()
    }

    fn unit(&self) -> Option<serde_json::Value> {
        let mut states = self.world.states.values();
        states
            .find(|state| matches!(state, State::Unit(_)))
            .map(look_into)
    }

    fn act(&mut self, next: Next) {
        match next {
            Next::Push { as_before, forced } => self.push(as_before, forced),
            Next::Answer { which, well } => {
                self.answer(which, well);
            }
            Next::Lose { which } => self.lose(&self.base(which)),
            Next::Join { which, empty } => {
                let lost: Vec<String> = self.lost.iter().cloned().collect();
                if !lost.is_empty() {
                    self.join(&lost[which % lost.len()], empty);
                }
            }
            Next::Approve { who } => {
                let who = ["bob", "carol", "dave"][who];
                let rollout = self.newest();
                self.watch
                    .approvers
                    .entry(rollout.run)
                    .or_default()
                    .insert(who.into());
                self.order(who, Verb::Approve(rollout));
            }
            Next::Promote => {
                let rollout = self.newest();
                let waits = self
                    .unit()
                    .map(|unit| unit["gated"]["stage"]["halt"]["waits"].clone());
                let between = self
                    .unit()
                    .map(|unit| unit["active"]["stage"]["halt"]["waits"].clone());
                let closed = |waits: &serde_json::Value| {
                    let waits = waits.as_object();
                    waits.is_some_and(|waits| {
                        waits
                            .values()
                            .any(|wait| wait["ask"] == "calendar" && wait["passed"] != true)
                    })
                };
                if waits.iter().chain(&between).any(closed) {
                    self.watch.overridden.insert(rollout.run);
                }
                self.order("bob", Verb::Promote(rollout));
            }
            Next::Judge { verdict } => self.judge(verdict),
            Next::Line { act, stretch } => {
                let stretch = match stretch {
                    0 => Stretch::Everything,
                    1 => Stretch::Environment("prod".into()),
                    2 => Stretch::Module("cart".into()),
                    _ => {
                        let Rollout { run, module, .. } = self.newest();
                        Stretch::Run { run, module }
                    }
                };
                let verb = match act {
                    0 => Verb::Abort(stretch),
                    1 | 2 => Verb::Pause(stretch),
                    _ => match self
                        .watch
                        .standing
                        .iter()
                        .find(|one| one.stretch.base().is_none())
                    {
                        Some(standing) => Verb::Resume(standing.stretch.clone()),
                        None => return,
                    },
                };
                self.order("ops", verb);
            }
            Next::RollBack => {
                self.started += 1;
                let verb = Verb::Rollback {
                    module: "cart".into(),
                    environment: "prod".into(),
                    to: None,
                };
                self.order("ops", verb);
            }
            Next::Hold { which } => {
                let base = self.base(which);
                self.order("ada", Verb::Hold(on_base(base)));
            }
            Next::Release { which } => {
                let held = self.watch.held();
                if !held.is_empty() {
                    let base = held.iter().nth(which % held.len()).expect("one of them");
                    self.order("ada", Verb::Release(on_base(base.clone())));
                }
            }
            Next::Restart { which } => {
                let base = self.base(which);
                self.order("ada", Verb::Restart(on_base(base)));
            }
            Next::Wake => self.wake(),
            Next::Repeat { which } if !self.fed.is_empty() => self.repeat(which),
            Next::Repeat { .. } => {}
        }
    }

    /// The next deadline comes.
    fn wake(&mut self) {
        let Some(at) = self.world.wakes_at() else {
            return;
        };
        self.world.now = self.world.now.max(at);
        self.world.wake();
        self.look();
        let late = self.world.wakes_at().filter(|at| *at <= self.world.now);
        assert_eq!(late, None, "what was due is still due\n{}", self.told());
    }

    fn repeat(&mut self, which: usize) {
        // A unit that is not known yet does not listen.
        let deaf = self.unit().is_none_or(|unit| unit["line"]["told"] != true);
        let before = (self.world.said.len(), self.world.states.clone(), deaf);
        // What the scheduler says to itself may come twice as well.
        let said = self
            .world
            .said
            .iter()
            .filter(|body| !matches!(body, Body::LineAsked(_)));
        let said: Vec<Body> = said.cloned().collect();
        let fed = match which % 3 {
            0 if !said.is_empty() => Fed::Event(Box::new(said[which / 3 % said.len()].clone())),
            _ => self.fed[which / 3 % self.fed.len()].clone(),
        };
        // What is seen of bases before the module is known there is not kept: a repeat may be news.
        if let Fed::Event(body) = &fed
            && matches!(**body, Body::BaseJoined(_) | Body::LineTold(_))
        {
            return;
        }
        let shown = format!("{fed:?}");
        match fed {
            Fed::Event(body) => self.world.feed(*body),
            Fed::Command(command) => self.world.order(*command),
        }
        let after = self.world.said[before.0..].to_vec();
        assert!(
            after.is_empty(),
            "a repeat of {shown} says {after:?}\n{}",
            self.told()
        );
        let news = before.2;
        assert!(
            news || self.world.states == before.1,
            "a repeat of {shown} changes something\n{}",
            self.told()
        );
    }

    fn told(&self) -> String {
        self.world.story.join("\n")
    }

    /// Takes in what was said, and holds the rules against it.
    fn look(&mut self) {
        let said: Vec<Body> = self.world.said[self.seen..].to_vec();
        self.seen = self.world.said.len();
        for body in said {
            self.rule(&body);
            if matches!(
                body,
                Body::TaskRequested(_) | Body::ObservationRequested(_) | Body::RestartRequested(_)
            ) {
                self.open.push(body);
            }
        }
        for state in self.world.states.values() {
            if !matches!(state, State::Unit(_)) {
                continue;
            }
            let unit = look_into(state);
            let busy = ["active", "gated", "queued", "later"]
                .iter()
                .any(|place| !unit[place].is_null());
            let wakes = Scheduler.wake_at(state).is_some();
            assert!(
                !busy || wakes,
                "it has no deadline: {unit}\n{}",
                self.told()
            );
        }
    }

    fn rule(&mut self, body: &Body) {
        let unit = match body {
            Body::RestartRequested(_) => self.unit(),
            _ => None,
        };
        let told = || self.world.story.join("\n");
        let watch = &mut self.watch;
        match body {
            Body::RolloutRequested(p) => {
                watch.requested.insert(p.run, (**p).clone());
            }
            Body::RolloutPlanned(p) => {
                let plan = &p.plan;
                watch.plans.insert(p.id.clone(), plan.clone());
                let bases: Vec<&str> = plan.bases().collect();
                let once: BTreeSet<&str> = bases.iter().copied().collect();
                assert_eq!(
                    bases.len(),
                    once.len(),
                    "a base is planned twice\n{}",
                    told()
                );
                let back = plan.direction == Direction::Back;
                assert_eq!(p.because.is_some(), back, "a way back says why\n{}", told());
                match plan.direction {
                    Direction::Forward => {
                        let all: BTreeSet<&str> = self.runs.keys().map(String::as_str).collect();
                        let left_out = plan.left_out.iter().map(|one| one.step.base.as_str());
                        let left_out: BTreeSet<&str> = left_out.collect();
                        let planned: BTreeSet<&str> = once.union(&left_out).copied().collect();
                        assert_eq!(planned, all, "every base is planned\n{}", told());
                        let by_person = watch.held_by_persons();
                        let held = watch.held();
                        for base in &left_out {
                            assert!(
                                held.contains(*base) || watch.quarantined.contains(*base),
                                "{base} is left out without a reason\n{}",
                                told()
                            );
                        }
                        let spared = by_person
                            .iter()
                            .all(|base| left_out.contains(base.as_str()));
                        assert!(spared, "what is held is left out\n{}", told());
                        let by_hand = matches!(watch.requested[&plan.run].aim, Aim::Back { .. });
                        waves_are_within(plan, &self.world.config, by_hand);
                    }
                    Direction::Back => {
                        let touched: BTreeSet<&str> =
                            watch.touched.iter().map(String::as_str).collect();
                        assert_eq!(once, touched, "what was touched goes back\n{}", told());
                    }
                    Direction::Repair => {}
                }
            }
            Body::WaveStarted(p) => {
                let plan = &watch.plans[&p.plan];
                if watch.in_force.as_ref() != Some(&p.plan) {
                    watch.in_hand.clear();
                }
                watch.in_force = Some(p.plan.clone());
                let forward = plan.direction == Direction::Forward;
                let asked = watch.requested.get(&p.run);
                let by_hand = asked.is_some_and(|asked| matches!(asked.aim, Aim::Back { .. }));
                if !forward || by_hand {
                    return;
                }
                let paused = watch.standing.iter().find(|one| {
                    one.stretch.covers("cart", "prod") && one.stretch.covers_run(p.run)
                });
                assert!(
                    paused.is_none(),
                    "a wave begins while {}\n{}",
                    paused.unwrap(),
                    told()
                );
                let closed = self.world.config.closed("cart", "prod", self.world.now);
                assert!(
                    closed.is_none() || watch.overridden.contains(&p.run),
                    "a wave begins in {closed:?}\n{}",
                    told()
                );
                if let Some(approval) = &self.world.config.environments["prod"].approval {
                    let approvers = watch.approvers.get(&p.run).map_or(0, BTreeSet::len);
                    assert!(
                        approvers >= approval.count as usize,
                        "nobody approved it\n{}",
                        told()
                    );
                }
            }
            Body::TaskRequested(p) => {
                assert_eq!(
                    watch.in_force.as_ref(),
                    Some(&p.plan),
                    "not of the plan in force\n{}",
                    told()
                );
                assert!(
                    watch.begun.insert((p.plan.clone(), p.base.clone())),
                    "{} twice\n{}",
                    p.base,
                    told()
                );
                let held = watch.held();
                watch.in_hand.insert(p.base.clone());
                let plan = &watch.plans[&p.plan];
                // A repair may mend what is in quarantine.
                let alone = match plan.direction {
                    Direction::Forward => held.clone(),
                    Direction::Back | Direction::Repair => watch.held_by_persons(),
                };
                assert!(
                    !alone.contains(&p.base),
                    "{} is left alone and changed\n{}",
                    p.base,
                    told()
                );
                assert!(
                    !watch.away.contains_key(&p.base),
                    "{} is being restarted and changed\n{}",
                    p.base,
                    told()
                );
                let asked = watch.requested.get(&p.run);
                let by_hand = asked.is_some_and(|asked| matches!(asked.aim, Aim::Back { .. }));
                if plan.direction != Direction::Forward {
                    return;
                }
                watch.touched.insert(p.base.clone());
                if by_hand {
                    return;
                }
                let zone = &self.zones[&p.base];
                let limits = &plan.limits.zones[zone];
                let out = self.zones.iter().filter(|(base, of)| {
                    *of == zone
                        && (watch.in_hand.contains(*base)
                            || self.lost.contains(*base)
                            || watch.away.contains_key(*base)
                            || held.contains(*base))
                });
                let out = out.count() as u32;
                assert!(
                    out <= limits.max_unavailable,
                    "{out} of {zone} are out\n{}",
                    told()
                );
                assert!(
                    limits.bases - out >= limits.min_available,
                    "too few of {zone}\n{}",
                    told()
                );
            }
            Body::RolloutFinished(p) => {
                assert_eq!(
                    p.stop.is_none(),
                    p.outcome == RolloutOutcome::Verified,
                    "{}",
                    told()
                );
                let named = p.failed.iter().all(|stop| stop.base.is_some());
                let may_fail = match p.outcome {
                    RolloutOutcome::Broken => !p.failed.is_empty(),
                    RolloutOutcome::Verified | RolloutOutcome::Superseded => true,
                    _ => p.failed.is_empty(),
                };
                assert!(named && may_fail, "who is not back is named\n{}", told());
                watch.live.clone_from(&p.live);
                let of_run = watch
                    .in_force
                    .as_ref()
                    .is_some_and(|id| watch.plans[id].run == p.run);
                if of_run {
                    watch.in_force = None;
                    watch.in_hand.clear();
                    // One whose soak was cut short leaves what it touched to the next.
                    if p.outcome != RolloutOutcome::Superseded {
                        watch.touched.clear();
                    }
                }
            }
            Body::RunQueued(p) if p.kind == ferry_events::run::RunKind::Repair => self.started += 1,
            Body::RunFinished(p) => *watch.ended.entry(p.run).or_default() += 1,
            Body::LineChanged(p) => {
                watch.standing.clone_from(&p.standing);
                if let (Act::Release, Some(base)) = (p.act, p.stretch.base()) {
                    watch.quarantined.remove(base);
                }
            }
            Body::RestartRequested(p) => {
                let base = &p.turn.base;
                let held = watch.held();
                let is_out = |base: &String| {
                    watch.in_hand.contains(base)
                        || self.lost.contains(base)
                        || held.contains(base)
                        || watch.quarantined.contains(base)
                };
                let stage = unit.as_ref().map(|unit| &unit["active"]["stage"]);
                assert!(
                    stage.is_none_or(|stage| stage.is_null() || stage["halt"].is_object()),
                    "{base} is restarted in the middle of {stage:?}\n{}",
                    told()
                );
                let (mut of_zone, mut out) = (0, 1);
                for (one, _) in self.zones.iter().filter(|(_, of)| **of == self.zones[base]) {
                    of_zone += 1;
                    out += usize::from(one != base && is_out(one));
                }
                // One that could not be changed serves nobody: owed still, or put up with by the rollout that waits.
                let owed = unit.as_ref().map(|unit| unit["care"][base]["owed"].clone());
                let owed = owed.unwrap_or_default();
                let failed = !owed.is_null() && owed["actual"].is_null();
                let failed = failed || watch.in_hand.contains(base);
                let strategy = &self.world.config.environments["prod"];
                let all_but_one = (of_zone - 1).max(1);
                let most = strategy.max_unavailable.map_or(all_but_one, |amount| {
                    amount.at_most_of(of_zone).clamp(1, all_but_one)
                });
                let least = strategy.min_available.at_least_of(of_zone);
                // A module that never came there has nothing to lose.
                let is_known = unit.is_some_and(|unit| unit["line"]["told"] == true);
                assert!(
                    !is_known
                        || failed
                        || self.lost.contains(base)
                        || out <= most && of_zone.saturating_sub(out) >= least,
                    "{base} is restarted while {out} of {of_zone} are out\n{}",
                    told()
                );
                assert!(
                    watch.away.is_empty(),
                    "one at a time, and {:?} is away\n{}",
                    watch.away,
                    told()
                );
                watch.away.insert(base.clone(), p.turn.number);
            }
            Body::RestartOver(p) => {
                watch.away.remove(&p.base);
            }
            Body::BaseQuarantined(p) => {
                watch.quarantined.insert(p.base.clone());
            }
            Body::BaseMended(p) => {
                assert!(
                    watch.quarantined.remove(&p.base),
                    "mended twice\n{}",
                    told()
                );
            }
            _ => {}
        }
    }

    fn settle(&mut self) {
        for round in 0.. {
            assert!(round < 500, "it comes to rest\n{}", self.told());
            while self.answer(0, true) {}
            if self.world.wakes_at().is_none() {
                break;
            }
            self.wake();
        }
    }

    /// Everything that is open is answered, every base is there and released, and every deadline comes.
    fn rest(&mut self) {
        for base in self.lost.clone() {
            self.join(&base, false);
        }
        self.settle();
        // Nothing is in hand, or what is waits for none of these.
        for base in self.watch.held() {
            self.order("ada", Verb::Release(on_base(base)));
        }
        self.settle();
        let told = self.told();
        assert_eq!(
            self.watch.ended.len(),
            self.started,
            "every run ends\n{told}"
        );
        assert!(
            self.watch.ended.values().all(|n| *n == 1),
            "and once\n{told}"
        );
        world::every_wait_ends_once(&self.world);
        let wanted = self
            .world
            .facts
            .contains_key(&ferry_events::subject::wanted_fact("cart", "prod"));
        let owed = if wanted {
            self.world.wanted("prod").owed
        } else {
            BTreeMap::new()
        };
        for (base, version) in &self.runs {
            match owed.get(base) {
                Some(owed) => {
                    let stop = owed.stop.as_ref().map(|stop| stop.reason);
                    assert_eq!(
                        stop,
                        Some(Reason::RepairGivenUp),
                        "{base} is owed something at rest\n{told}"
                    );
                }
                None => assert_eq!(
                    version, &self.watch.live,
                    "{base} runs what is live\n{told}"
                ),
            }
        }
    }
}

fn waves_are_within(plan: &Plan, config: &Config, by_hand: bool) {
    let strategy = &config.environments["prod"];
    let all = plan.all().count();
    for (n, wave) in plan.waves.iter().enumerate() {
        assert!(!wave.is_empty());
        let most = match (n, strategy.parallel.is_zero()) {
            _ if by_hand => all,
            (0, _) => strategy.canary.at_most_of(all).max(1),
            (_, true) => all,
            (_, false) => strategy.parallel.at_most_of(all).max(1),
        };
        assert!(
            wave.len() <= most,
            "a wave of {} where {most} may be",
            wave.len()
        );
        let mut of_zone: BTreeMap<&str, u32> = BTreeMap::new();
        for step in wave {
            *of_zone.entry(&step.zone).or_default() += 1;
        }
        for (zone, n) in of_zone {
            let held = plan.left_out.iter().filter(|one| one.step.zone == zone);
            let n = if by_hand { n } else { n + held.count() as u32 };
            let limits = &plan.limits.zones[zone];
            assert!(n <= limits.max_unavailable && limits.bases - n >= limits.min_available);
        }
    }
}

proptest! {
    #[test]
    fn limits_hold_gates_hold_and_everything_ends(setup in setup(), steps in prop::collection::vec(next(), 1..160)) {
        let mut floor = Floor::new(&setup);
        for step in steps {
            floor.act(step);
        }
        floor.rest();
    }
}

/// A rollout over a hundred bases that fails on nearly all of them, with long causes: the state stays within what one
/// message may hold. [`World`] looks at its size after each decision.
#[test]
fn a_hundred_bases_fit_into_a_state() {
    let setup = Setup {
        zones: vec![50, 50],
        two_pools: true,
        strategy:
            "canary = \"100%\"\nmax_unavailable = \"98%\"\nsoak = \"20m\"\nmax_failures = 99\n"
                .into(),
        gates: String::new(),
    };
    let long = "x".repeat(Stop::DETAIL_MAX);
    let mut floor = Floor::new(&setup);
    floor.world.config.reconcile.attempts = 2;
    floor.push(false, false);
    while floor.answer(0, true) {}
    floor.push(false, false);
    // None starts: the last one is one too many. No base goes back, either.
    for _ in 0..2 {
        let open = std::mem::take(&mut floor.open);
        for body in open {
            if let Body::TaskRequested(p) = body {
                let stop = Stop::new(Reason::InstallFailed, long.clone());
                *floor.world.revisions.entry(p.base.clone()).or_default() += 1;
                floor.runs.insert(
                    p.base.clone(),
                    p.restore.as_ref().map(|want| want.version.clone()),
                );
                let reply = task_finished(&p, floor.world.revisions[&p.base], Err(stop));
                floor.feed(reply);
            }
        }
    }
    assert!(floor.world.said.iter().any(
        |body| matches!(body, Body::RolloutFinished(p) if p.outcome == RolloutOutcome::Broken)
    ));
}
