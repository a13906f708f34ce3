//! A scheduler without a bus: events in, the scheduler's own events fed back to it, tasks and
//! observations answered by a script, or by bases that keep what they were given. Out: the story, a line
//! an event; what must always hold is looked at after each decision.

pub mod fleet;

use std::{collections::BTreeMap, collections::VecDeque, sync::Arc};

use ferry_config::Config;
use ferry_events::{
    Body, Command, CommandId, Digest, Event, EventId, Reason, RunId, Scope, Service, Stop,
    Timestamp, Verb,
    artifact::{Biz, Published, Release, Slimmed},
    base,
    body::{BaseChanged, BaseJoined},
    fact::{ActivePlan, Wanted},
    gate,
    joint::{Joint, Member, Progress},
    push::ChangeMerged,
    restart,
    run::RunKind,
    subject, task, verify,
};
use ferry_runtime::{Context, Decide, Input, Key};
use ferry_scheduler::{Scheduler, decide::State};
use uuid::Uuid;

/// What the script answers to a task or an observation; none: it stays silent.
pub type Script = Box<dyn FnMut(&Body) -> Option<Result<(), Stop>>>;

pub struct World {
    pub states: BTreeMap<Key, State>,
    pub story: Vec<String>,
    pub now: Timestamp,
    pub config: Config,
    pub said: Vec<Body>,
    pub facts: BTreeMap<String, serde_json::Value>,
    pub script: Script,
    /// How often each base was changed.
    pub revisions: BTreeMap<String, u64>,
    /// What the verifier said of bases.
    pub sightings: u64,
    /// Bases that keep what they were given; where there are some, the script is not asked.
    pub fleet: Option<fleet::Fleet>,
    /// Whether questions about what is paused get lost.
    pub line_is_silent: bool,
    /// Runs by their names in the story.
    names: Vec<(String, String)>,
    sequence: u64,
    told_at: Timestamp,
}

pub const CONFIG: &str = r#"
[repositories.shop]
url = "https://git.example/acme/shop.git"
forge = "github"
secret = "env:SHOP"

[modules.cart]
repository = "shop"
soak = "1s"
probe = { path = "/cart/" }

[environments.pre]
[environments.prod]
after = "pre"

[pools.pre]
environment = "pre"
bases = [{ name = "pre-1", arklet = "http://127.0.0.1:1001", url = "http://127.0.0.1:2001" }]

[pools.prod]
environment = "prod"
bases = [
  { name = "prod-1", arklet = "http://127.0.0.1:1002", url = "http://127.0.0.1:2002" },
  { name = "prod-2", arklet = "http://127.0.0.1:1003", url = "http://127.0.0.1:2003" },
  { name = "prod-3", arklet = "http://127.0.0.1:1004", url = "http://127.0.0.1:2004" },
]
"#;

/// Everything goes well.
pub fn well() -> Script {
    Box::new(|_| Some(Ok(())))
}

/// One base never answers a task that wants this version.
pub fn silent_on(base: &'static str, version: &'static str) -> Script {
    Box::new(move |body| match body {
        Body::TaskRequested(p)
            if p.base == base && p.want.as_ref().is_some_and(|w| w.version == version) =>
        {
            None
        }
        _ => Some(Ok(())),
    })
}

/// One base's step of a kind fails, for the release whose version holds this text.
pub fn fails_on(
    base: &'static str,
    kind: &'static str,
    version: &'static str,
    reason: Reason,
) -> Script {
    Box::new(move |body| {
        let bad = match body {
            Body::TaskRequested(p) => {
                kind == "task"
                    && p.base == base
                    && p.want.as_ref().is_some_and(|w| w.version.contains(version))
            }
            Body::ObservationRequested(p) => {
                kind == "observation"
                    && p.base == base
                    && p.version.as_ref().is_some_and(|v| v.contains(version))
            }
            _ => false,
        };
        Some(if bad {
            Err(Stop::new(reason, "as the script says"))
        } else {
            Ok(())
        })
    })
}

/// Once anything of a script failed, one base cannot be reached.
pub fn then_away(base: &'static str, mut script: Script) -> Script {
    let mut failed = false;
    Box::new(move |body| {
        let answer = script(body);
        failed |= matches!(answer, Some(Err(_)));
        match body {
            Body::TaskRequested(p) if failed && p.base == base => Some(Err(Stop::new(
                Reason::BaseUnreachable,
                "connection refused",
            ))),
            _ => answer,
        }
    })
}

pub fn run(n: u64) -> RunId {
    RunId::of("shop", "main", n, "cart")
}

/// The run of another module.
pub fn run_of(module: &str, n: u64) -> RunId {
    RunId::of("shop", "main", n, module)
}

/// The release that a push of these modules begins, as the builder names it.
pub fn joint(config: &Config, n: u64, modules: &[&str]) -> Option<Joint> {
    let (name, release) = config.releases.iter().next()?;
    let touched = |module: &str| modules.contains(&module);
    let all = release.modules.iter().filter(|(name, _)| touched(name));
    let members: Vec<Member> = all
        .map(|(module, member)| Member {
            run: run_of(module, n),
            module: module.clone(),
            after: member
                .after
                .iter()
                .filter(|name| touched(name))
                .cloned()
                .collect(),
            environments: config
                .environments_of_module(module)
                .into_iter()
                .map(str::to_owned)
                .collect(),
        })
        .collect();
    let goes = |name: &&str| {
        let mut all = members.iter().flat_map(|member| &member.environments);
        all.any(|environment| environment == name)
    };
    let environments = config.environments_in_order().into_iter().filter(goes);
    let environments = environments.map(str::to_owned).collect();
    (members.len() > 1).then(|| Joint {
        id: Uuid::from_u128(u128::from(n)),
        name: name.clone(),
        environments,
        wait_ms: release.wait.as_millis() as u64,
        members,
    })
}

pub fn release(n: u64) -> Release {
    let slimmed = |pool: &str| Slimmed {
        digest: Digest::of(format!("{n}{pool}").as_bytes()),
        version: format!("1.0.0-{n}"),
        size: 1000,
        profile: None,
        left_out: 0,
        kept: 0,
        proof: None,
        report: None,
        since: None,
    };
    Release {
        origin: None,
        own: None,
        run: run(n),
        module: "cart".into(),
        commit: Some(format!("{n:040}")),
        packaged: Digest::of(n.to_string().as_bytes()),
        biz: Biz {
            name: "cart".into(),
            version: "1.0.0".into(),
            web_context_path: Some("/cart".into()),
        },
        pools: ["pre", "prod"]
            .map(|pool| (pool.to_owned(), slimmed(pool)))
            .into(),
    }
}

/// The story so far, a line an event.
pub fn story(world: &World) -> String {
    world.story.join("\n")
}

impl World {
    pub fn new(script: Script) -> Self {
        let loaded = ferry_config::parse(&[("ferry.toml".into(), CONFIG.into())])
            .expect("a good configuration");
        Self {
            states: BTreeMap::new(),
            story: Vec::new(),
            now: Timestamp::from_timestamp_millis(1_700_000_000_000).unwrap(),
            config: loaded.config,
            said: Vec::new(),
            facts: BTreeMap::new(),
            script,
            revisions: BTreeMap::new(),
            sightings: 0,
            fleet: None,
            line_is_silent: false,
            names: Vec::new(),
            sequence: 0,
            told_at: Timestamp::from_timestamp_millis(1_700_000_000_000).unwrap(),
        }
    }

    /// A world with bases that keep what they were given, and a configuration of its own.
    pub fn with_fleet(config: Config, now: Timestamp) -> Self {
        Self {
            config,
            now,
            told_at: now,
            fleet: Some(fleet::Fleet::default()),
            ..Self::new(well())
        }
    }

    pub fn change(n: u64) -> Body {
        ChangeMerged {
            run: run(n),
            module: "cart".into(),
            repository: "shop".into(),
            branch: "main".into(),
            order: n,
            commit: format!("{n:040}"),
            push: None,
            command: None,
            author: None,
            message: None,
            uploaded: false,
            force: false,
            joint: None,
        }
        .into()
    }

    /// A push that builds: its change and its release.
    pub fn push(&mut self, n: u64) {
        self.story.push(format!("## push {n}"));
        self.name(run(n), n.to_string());
        self.feed(Self::change(n));
        self.feed(
            Published {
                release: release(n),
            }
            .into(),
        );
    }

    pub fn rollback(&mut self, n: u128, to: Option<&str>) {
        self.story
            .push(format!("## ferry rollback cart --env prod (command {n})"));
        let verb = Verb::Rollback {
            module: "cart".into(),
            environment: "prod".into(),
            to: to.map(Into::into),
        };
        let command = self.command(n, "ops", Some("it is slow"), verb);
        self.order(command);
    }

    pub fn command(&mut self, n: u128, actor: &str, why: Option<&str>, verb: Verb) -> Command {
        let id = CommandId(Uuid::from_u128(n));
        self.name(RunId::of_command(id, "cart"), format!("by-command-{n}"));
        Command {
            id,
            at: self.now,
            actor: actor.into(),
            why: why.map(Into::into),
            based_on: None,
            verb,
        }
    }

    pub fn order(&mut self, command: Command) {
        let keys = Scheduler.route_command(&command, &self.config);
        self.deliver(keys, Input::Command(Arc::new(command)));
    }

    /// Calls a run so in the story.
    pub fn name(&mut self, run: RunId, name: String) {
        let short = run.short();
        if self.names.iter().all(|(known, _)| *known != short) {
            self.names.push((short, name));
        }
    }

    fn say(&mut self, body: &Body) {
        if let Body::RunQueued(p) = body
            && p.kind == RunKind::Repair
        {
            let n = self
                .names
                .iter()
                .filter(|(_, name)| name.starts_with("repair"));
            let name = format!("repair-{}", n.count() + 1);
            self.name(p.run, name);
        }
        if self.fleet.is_some() && self.now != self.told_at {
            self.story
                .push(format!("-- {}", self.now.format("%m-%d %H:%M:%S")));
            self.told_at = self.now;
        }
        let told = tell(body);
        self.story.push(self.named(&told));
    }

    /// A text with runs by their names.
    pub fn named(&self, text: &str) -> String {
        let names = self.names.iter();
        names.fold(text.to_owned(), |text, (short, name)| {
            text.replace(short, name)
        })
    }

    /// The verifier sees other versions on a base than were left there.
    pub fn drift(&mut self, base: &str, actual: &[&str]) -> Body {
        let revision = self.revisions.get(base).copied().unwrap_or(0);
        self.sightings += 1;
        base::Drifted {
            base: base.into(),
            environment: environment_of(base).into(),
            module: "cart".into(),
            wanted: None,
            actual: actual.iter().map(|&version| version.to_owned()).collect(),
            revision,
            sighting: self.sightings,
        }
        .into()
    }

    pub fn drifts(&mut self, base: &str, actual: &[&str]) {
        let shown = if actual.is_empty() {
            "nothing".to_owned()
        } else {
            actual.join(", ")
        };
        self.story.push(format!("## {base} shows {shown}"));
        let body = self.drift(base, actual);
        self.feed(body);
    }

    pub fn loses(&mut self, base: &str) {
        self.story.push(format!("## {base} is lost"));
        let body = self.lost(base);
        self.feed(body);
    }

    /// A base does not answer any more.
    pub fn lost(&mut self, base: &str) -> Body {
        self.sightings += 1;
        base::Lost {
            base: base.into(),
            pool: environment_of(base).into(),
            environment: environment_of(base).into(),
            last_seen: None,
            why: "connection refused".into(),
            sighting: self.sightings,
        }
        .into()
    }

    /// A base answers, with this version of the module.
    pub fn join(&mut self, base: &str, version: Option<&str>) -> Body {
        self.sightings += 1;
        let modules = version.map(|version| base::ModuleOnBase {
            name: "cart".into(),
            version: version.into(),
            state: "activated".into(),
        });
        let revision = self.revisions.get(base).copied();
        BaseJoined(base::Seen {
            base: base.into(),
            pool: environment_of(base).into(),
            environment: environment_of(base).into(),
            zone: "default".into(),
            modules: modules.into_iter().collect(),
            metaspace_used: None,
            metaspace_committed: None,
            metaspace_max: None,
            at: self.now,
            revisions: revision
                .map(|n| ("cart".to_owned(), n))
                .into_iter()
                .collect(),
            sighting: self.sightings,
        })
        .into()
    }

    /// A base reports that it has so much of its metaspace left, in bytes.
    pub fn has_left(&mut self, base: &str, left: u64) -> Body {
        let mut seen = self.sees(base);
        let max = 256 << 20;
        seen.metaspace_committed = Some(max - left);
        seen.metaspace_max = Some(max);
        BaseChanged(seen).into()
    }

    /// A base as it is.
    fn sees(&mut self, base: &str) -> base::Seen {
        let fleet = self.fleet.as_mut();
        let runs = fleet.and_then(|fleet| fleet.base(base).runs.clone());
        let Body::BaseJoined(seen) = self.join(base, runs.as_deref()) else {
            unreachable!("it is one");
        };
        seen.0
    }

    /// The verifier sees that a base carries something else than before.
    pub fn is_seen(&mut self, base: &str) -> Body {
        BaseChanged(self.sees(base)).into()
    }

    pub fn joins(&mut self, base: &str, version: Option<&str>) {
        self.story.push(format!(
            "## {base} joins with {}",
            version.unwrap_or("nothing")
        ));
        let body = self.join(base, version);
        self.feed(body);
    }

    /// The fact of what bases should run, as it was written last.
    pub fn wanted(&self, environment: &str) -> Wanted {
        let fact = &self.facts[&subject::wanted_fact("cart", environment)];
        serde_json::from_value(fact.clone()).expect("a fact")
    }

    /// The first deadline that any state has.
    pub fn wakes_at(&self) -> Option<Timestamp> {
        self.states
            .values()
            .filter_map(|state| Scheduler.wake_at(state))
            .min()
    }

    /// Time goes on, from one deadline to the next.
    pub fn live_until(&mut self, until: Timestamp) {
        loop {
            let replies = self.fleet.as_ref().and_then(fleet::Fleet::next);
            let next = self.wakes_at().into_iter().chain(replies).min();
            let Some(next) = next.filter(|next| *next <= until) else {
                break;
            };
            self.now = self.now.max(next);
            let (now, replies) = (self.now, self.fleet.as_mut());
            let replies = replies.map(|fleet| fleet.due(now)).unwrap_or_default();
            for reply in replies {
                self.feed(reply);
            }
            self.wake();
            let late = self.wakes_at().filter(|at| *at <= self.now);
            assert_eq!(
                late,
                None,
                "what was due is still due\n{}",
                self.story.join("\n")
            );
        }
        self.now = until;
    }

    /// Every deadline that has passed is looked at.
    pub fn wake(&mut self) {
        let now = self.now;
        let due = self
            .states
            .iter()
            .filter(|(_, state)| Scheduler.wake_at(state).is_some_and(|at| at <= now));
        let keys: Vec<Key> = due.map(|(key, _)| key.clone()).collect();
        self.deliver(keys, Input::Due);
    }

    pub fn pass(&mut self, time: chrono::TimeDelta) {
        self.now += time;
        let passed = match time.num_minutes() {
            0 => format!("{} seconds", time.num_seconds()),
            minutes => format!("{minutes} minutes"),
        };
        self.story.push(format!("## {passed} pass"));
        let keys: Vec<Key> = self.states.keys().cloned().collect();
        self.deliver(keys, Input::Due);
    }

    pub fn feed(&mut self, body: Body) {
        let event = self.event(body);
        let keys = Scheduler.route(&event, &self.config);
        self.deliver(keys, Input::Event(Arc::new(event)));
    }

    fn event(&mut self, body: Body) -> Event {
        self.sequence += 1;
        Event {
            id: EventId(Uuid::from_u128(u128::from(self.sequence))),
            source: Service::Builder,
            time: self.now,
            scope: Scope::default(),
            cause: None,
            trace: None,
            body,
        }
    }

    /// Delivers to the scheduler, feeds back what it says, and lets the script answer.
    fn deliver(&mut self, keys: Vec<Key>, input: Input<ferry_scheduler::decide::Nothing>) {
        let mut inbox = VecDeque::from([(keys, input)]);
        while let Some((keys, input)) = inbox.pop_front() {
            for key in keys {
                let state = self.states.entry(key.clone()).or_default().clone();
                let config = Arc::new(self.config.clone());
                let context = Context {
                    now: self.now,
                    config,
                    revision: Digest::of(b"configuration"),
                };
                let decision = Scheduler
                    .decide(&key, &state, &input, &context)
                    .expect("no fault");
                let size = serde_json::to_vec(&decision.state).unwrap().len();
                assert!(size < 64 * 1024, "a state stays under 64 KiB, not {size}");
                let kept = serde_json::to_value(&decision.state).unwrap();
                let read: State = serde_json::from_value(kept).expect("a state can be read again");
                assert!(read == decision.state, "a state is read as it was written");
                self.facts.extend(decision.facts);
                self.holds(&decision.state);
                self.states.insert(key, decision.state);
                for say in decision.events {
                    self.say(&say.body);
                    self.said.push(say.body.clone());
                    if self.line_is_silent && matches!(say.body, Body::LineAsked(_)) {
                        continue;
                    }
                    let answers = self.answer(&say.body);
                    for body in std::iter::once(say.body).chain(answers) {
                        let event = self.event(body);
                        let keys = Scheduler.route(&event, &self.config);
                        inbox.push_back((keys, Input::Event(Arc::new(event))));
                    }
                }
            }
        }
    }

    /// The fact of the plan in force names the unit's plan exactly while it has bases in hand.
    fn holds(&self, state: &State) {
        if !matches!(state, State::Unit(_)) {
            return;
        }
        let unit = look_into(state);
        let (module, environment) = (&unit["module"], &unit["environment"]);
        let (Some(module), Some(environment)) = (module.as_str(), environment.as_str()) else {
            return;
        };
        let in_force = self.in_force(module, environment);
        let active = unit["active"]["id"].as_str().map(str::to_owned);
        assert_eq!(
            in_force.map(|plan| plan.to_string()),
            active,
            "the plan in force in {environment}\n{}",
            self.story.join("\n")
        );
    }

    /// The plan that the installer finds in force.
    pub fn in_force(&self, module: &str, environment: &str) -> Option<Digest> {
        let fact = self.facts.get(&subject::plan_fact(module, environment))?;
        let fact: ActivePlan = serde_json::from_value(fact.clone()).expect("a fact");
        fact.plan
    }

    fn answer(&mut self, body: &Body) -> Option<Body> {
        let now = self.now;
        if let Some(mut fleet) = self.fleet.take() {
            let in_force = match body {
                Body::TaskRequested(p) => self.in_force(&p.module, &p.environment),
                _ => None,
            };
            let answer = fleet.answer(body, in_force.as_ref(), now, &mut self.revisions);
            self.fleet = Some(fleet);
            return answer;
        }
        match body {
            Body::TaskRequested(p) => {
                let result = (self.script)(body)?;
                let revision = self.revisions.entry(p.base.clone()).or_default();
                *revision += 1;
                Some(task_finished(p, *revision, result))
            }
            Body::ObservationRequested(p) => {
                let result = (self.script)(body)?;
                Some(observed(p, result))
            }
            _ => None,
        }
    }
}

pub fn task_finished(p: &task::Requested, revision: u64, result: Result<(), Stop>) -> Body {
    task::Finished {
        metaspace_growth: None,
        task: p.task,
        plan: p.plan.clone(),
        run: p.run,
        module: p.module.clone(),
        environment: p.environment.clone(),
        base: p.base.clone(),
        running: p.want.as_ref().map(|w| w.version.clone()),
        revision,
        stop: result.err(),
        steps: Vec::new(),
    }
    .into()
}

pub fn observed(p: &verify::Requested, result: Result<(), Stop>) -> Body {
    verify::Finished {
        observation: p.observation,
        task: p.task,
        plan: p.plan.clone(),
        run: p.run,
        module: p.module.clone(),
        environment: p.environment.clone(),
        base: p.base.clone(),
        revision: p.revision,
        stop: result.err(),
        answer: None,
    }
    .into()
}

/// A state as it is stored, whatever its kind.
pub fn look_into(state: &State) -> serde_json::Value {
    let state = serde_json::to_value(state).expect("a state is always JSON");
    match state {
        serde_json::Value::Object(kinds) => kinds.into_iter().next().map(|(_, state)| state),
        _ => None,
    }
    .unwrap_or_default()
}

/// Every wait that was asked for has ended once, or is still open; none ends that was not asked for.
pub fn every_wait_ends_once(world: &World) {
    let mut open: BTreeMap<_, i32> = BTreeMap::new();
    for body in &world.said {
        match body {
            Body::GateRequested(p) => {
                let undecided = p.ask == gate::Ask::Decision;
                let before = open.insert(p.gate, 1);
                assert!(
                    before.is_none() || undecided && before == Some(1),
                    "{} is asked again",
                    p.name
                );
            }
            Body::GateFinished(p) => {
                assert_eq!(open.insert(p.gate, 0), Some(1), "{} ends", p.name);
            }
            _ => {}
        }
    }
    let mut waits = 0;
    for state in world.states.values() {
        let unit = look_into(state);
        for rollout in ["active", "gated"] {
            if let Some(open) = unit[rollout]["stage"]["halt"]["waits"].as_object() {
                waits += open.values().filter(|wait| wait["passed"] != true).count() as i32;
            }
        }
    }
    assert_eq!(open.values().sum::<i32>(), waits, "waits that are open");
}

pub fn environment_of(base: &str) -> &str {
    base.split_once('-')
        .map_or(base, |(environment, _)| environment)
}

fn stop_of(stop: &Option<Stop>) -> String {
    stop.as_ref()
        .map(|stop| format!(" because {stop}"))
        .unwrap_or_default()
}

/// One event, for people.
fn tell(body: &Body) -> String {
    let name = body.kind().short_name();
    let rest = match body {
        Body::RunQueued(p) => {
            let why = match (&p.message, p.kind) {
                (Some(message), RunKind::Repair) => format!(": {message}"),
                _ => String::new(),
            };
            let run = p.run.short();
            format!(
                "run {run} {:?} through {}{why}",
                p.kind,
                p.environments.join(", ")
            )
        }
        Body::RunStarted(p) => format!("run {}", p.run.short()),
        Body::RunFinished(p) => {
            format!("run {} {:?}{}", p.run.short(), p.outcome, stop_of(&p.stop))
        }
        Body::RolloutRequested(p) => format!("{} run {}", p.environment, p.run.short()),
        Body::RolloutPlanned(p) => {
            let waves: Vec<String> = p
                .plan
                .waves
                .iter()
                .map(|wave| {
                    wave.iter()
                        .map(|step| step.base.as_str())
                        .collect::<Vec<_>>()
                        .join("+")
                })
                .collect();
            let version = p.version.as_deref().unwrap_or("nothing");
            let left_out = p.plan.left_out.iter().map(|one| one.step.base.as_str());
            let left_out = match left_out.collect::<Vec<_>>() {
                none if none.is_empty() => String::new(),
                some => format!(", without {}", some.join(" ")),
            };
            format!(
                "{} run {} {:?} {version}: {}{left_out}",
                p.plan.environment,
                p.plan.run.short(),
                p.plan.direction,
                waves.join(" then ")
            )
        }
        Body::RolloutFinished(p) => format!(
            "{} run {} {:?}, live {}{}",
            p.environment,
            p.run.short(),
            p.outcome,
            p.live.as_deref().unwrap_or("nothing"),
            stop_of(&p.stop)
        ),
        Body::WaveStarted(p) => format!("{}/{} {}", p.number, p.of, p.bases.join("+")),
        Body::WaveFinished(p) => format!(
            "{}/{} {}{}",
            p.number,
            p.of,
            p.bases.join("+"),
            stop_of(&p.stop)
        ),
        Body::TaskRequested(p) => {
            let version = |want: &Option<task::Want>| {
                want.as_ref()
                    .map_or("nothing".into(), |w| w.version.clone())
            };
            format!(
                "{} shall run {}, else {}",
                p.base,
                version(&p.want),
                version(&p.restore)
            )
        }
        Body::ObservationRequested(p) => {
            format!(
                "{} {} soak {} ms",
                p.base,
                p.version.as_deref().unwrap_or("nothing"),
                p.soak_ms
            )
        }
        Body::ServiceDeployed(p) => format!("{} {}", p.environment, p.version),
        Body::ServiceUpgraded(p) => format!(
            "{} {} after {}",
            p.environment,
            p.version,
            p.before.as_deref().unwrap_or("-")
        ),
        Body::ServiceRolledback(p) => format!(
            "{} {} after {}",
            p.environment,
            p.version,
            p.before.as_deref().unwrap_or("-")
        ),
        Body::GateRequested(p) => {
            let moment = |at: Timestamp| at.format("%m-%d %H:%M");
            let opens = p.opens.map(|opens| format!(", opens {}", moment(opens)));
            format!(
                "{} run {} {}: {}, for {}{}, until {}",
                p.environment,
                p.run.short(),
                p.name,
                p.point,
                p.what,
                opens.unwrap_or_default(),
                moment(p.until)
            )
        }
        Body::GateFinished(p) => {
            let by = match p.by.as_slice() {
                [] => String::new(),
                by => format!(" by {}", by.join(", ")),
            };
            let why = match (&p.stop, &p.why) {
                (Some(_), _) | (_, None) => stop_of(&p.stop),
                (None, Some(why)) => format!(": {why}"),
            };
            format!(
                "{} run {} {}: {:?}{by}{why}",
                p.environment,
                p.run.short(),
                p.name,
                p.outcome
            )
        }
        Body::LineChanged(p) => {
            let why = p.why.as_ref().map(|why| format!(": {why}"));
            format!(
                "{} {:?} {}{}",
                p.actor,
                p.act,
                p.stretch,
                why.unwrap_or_default()
            )
        }
        Body::JointReported(p) => {
            let place = p.environment.as_deref().unwrap_or("before any environment");
            let how = match &p.progress {
                Progress::Waits => "waits to begin".to_owned(),
                Progress::Begun => "has begun".to_owned(),
                Progress::Well => "is well".to_owned(),
                Progress::Failed(stop) => format!("failed because {stop}"),
            };
            format!("{place} {} {how}", p.module)
        }
        Body::JointTold(p) => {
            let word = &p.word;
            let what = match (&word.failed, word.all_well, word.begins) {
                (Some(stop), ..) => format!("goes back because {stop}"),
                (None, true, _) => "is verified: all are well".to_owned(),
                (None, false, true) => "may begin".to_owned(),
                (None, false, false) => "has to wait".to_owned(),
            };
            let under_way = if word.under_way { ", under way" } else { "" };
            format!("{} {} {what}{under_way}", p.environment, p.module)
        }
        Body::LineTold(p) => format!("{}: {} stand", p.environment, p.standing.len()),
        Body::LineAsked(p) => p.environment.clone(),
        Body::BaseQuarantined(p) => format!("{}{}", p.base, stop_of(&Some(p.stop.clone()))),
        Body::BaseMended(p) => p.base.clone(),
        Body::RestartListed(p) => format!("{}: {}", p.base, p.cause),
        Body::RestartAsked(p) => format!("turn {} of {}", p.turn.number, p.turn.base),
        Body::RestartGiven(p) => {
            format!(
                "turn {} of {}{}",
                p.turn.number,
                p.turn.base,
                stop_of(&p.stop)
            )
        }
        Body::RestartRequested(p) => format!("turn {} of {}", p.turn.number, p.turn.base),
        Body::RestartFinished(p) => {
            format!(
                "turn {} of {}{}",
                p.turn.number,
                p.turn.base,
                stop_of(&p.stop)
            )
        }
        Body::RestartOver(p) => {
            let outcome = match p.outcome {
                restart::Outcome::Restarted => "restarted",
                restart::Outcome::Failed => "failed",
                restart::Outcome::NotNeeded => "not needed",
            };
            format!("{} {outcome}{}", p.base, stop_of(&p.stop))
        }
        Body::ModuleGivenUp(p) => format!("{}{}", p.base, stop_of(&Some(p.stop.clone()))),
        Body::CommandSettled(p) => {
            let settled = p.stop.as_ref().map_or("taken", |_| "refused");
            format!("{settled} from {}{}", p.actor, stop_of(&p.stop))
        }
        _ => String::new(),
    };
    format!("{name} {rest}").trim_end().to_owned()
}
