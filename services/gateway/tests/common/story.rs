//! What every service says of a run, in the order of the stream.

use ferry_events::artifact::{Biz, Packaged, Published, Release, Slimmed};
use ferry_events::body::*;
use ferry_events::push::{ChangeMerged, Received, Resolution, Resolved, RunOf};
use ferry_events::rollout::{
    self, Aim, Direction, Judge, Limits, Plan, Planned, RolloutOutcome, Step, Wave,
};
use ferry_events::run::{self, Outcome, RunKind};
use ferry_events::task::{self, StepTime, Want};
use ferry_events::{
    Body, CommandId, Digest, Event, PushId, RunId, Scope, Service, Stop, TaskId, Timestamp, build,
    gate, line, verify,
};
use ferry_gateway::decide::views::Views;
use uuid::Uuid;

use super::event;

pub const COMMIT: &str = "59b20b8d5c6ff8d09518216e87bd35deff2bb8c6";

/// Tells a story: each event one second after the one before.
pub struct Story {
    pub views: Views,
    pub second: u32,
    pub run: RunId,
    pub push: PushId,
    pub plan: Option<Planned>,
    pub events: Vec<Event>,
}

impl Story {
    pub fn new(head: u64) -> Self {
        Self {
            views: Views::default(),
            second: 0,
            run: RunId::of("hello", "main", head, "hello"),
            push: PushId::of("github", "hello", &head.to_string(), "refs/heads/main"),
            plan: None,
            events: Vec::new(),
        }
    }

    pub fn say(&mut self, service: Service, environment: Option<&str>, body: impl Into<Body>) {
        let scope = Scope::module(Some("shop"), "hello");
        let scope = environment.map_or(scope.clone(), |it| scope.within(it));
        let event = event(service, scope, self.second, body);
        self.second += 1;
        // The stream has other messages between.
        self.views.apply(u64::from(self.second) * 3, &event);
        self.events.push(event);
    }

    pub fn pushed(&mut self) {
        let at = "2025-06-01T09:30:00Z".parse().unwrap();
        let received = Received {
            push: self.push,
            forge: "github".into(),
            repository: "hello".into(),
            branch: "main".into(),
            before: None,
            after: COMMIT.into(),
            forced: false,
            author: Some("dev <dev@git.example>".into()),
            message: Some("Greet by name".into()),
            received_at: at,
        };
        self.say(Service::Gateway, None, received);
        let merged = ChangeMerged {
            joint: None,
            run: self.run,
            module: "hello".into(),
            repository: "hello".into(),
            branch: "main".into(),
            order: 7,
            commit: COMMIT.into(),
            push: Some(self.push),
            command: None,
            author: Some("dev <dev@git.example>".into()),
            message: Some("Greet by name".into()),
            uploaded: false,
            force: false,
        };
        self.say(Service::Builder, None, merged);
        let resolved = Resolved {
            push: self.push,
            repository: "hello".into(),
            branch: "main".into(),
            commit: Some(COMMIT.into()),
            resolution: Resolution::Started,
            runs: vec![RunOf {
                run: self.run,
                module: "hello".into(),
            }],
            why: "the head of main moved; 1 module is concerned".into(),
            stop: None,
        };
        self.say(Service::Builder, None, resolved);
        let queued = run::Queued {
            run: self.run,
            module: "hello".into(),
            kind: RunKind::Change,
            environments: vec!["pre".into(), "prod".into()],
            repository: "hello".into(),
            branch: "main".into(),
            commit: Some(COMMIT.into()),
            author: None,
            message: None,
            push: Some(self.push),
            command: None,
        };
        self.say(Service::Scheduler, None, queued);
    }

    pub fn built(&mut self, stop: Option<Stop>) {
        let built = build::Build {
            run: self.run,
            module: "hello".into(),
            build: Uuid::nil(),
            commit: COMMIT.into(),
        };
        self.say(Service::Builder, None, BuildQueued(built.clone()));
        self.say(Service::Builder, None, BuildStarted(built));
        let finished = build::Finished {
            run: self.run,
            module: "hello".into(),
            build: Uuid::nil(),
            stop,
            millis: 5500,
            reused: false,
        };
        self.say(Service::Builder, None, finished);
    }

    pub fn biz() -> Biz {
        Biz {
            name: "hello".into(),
            version: "1.0.0".into(),
            web_context_path: Some("/hello".into()),
        }
    }

    pub fn slimmed(&mut self) {
        let packaged = Packaged {
            origin: None,
            own: None,
            rules: Vec::new(),
            run: self.run,
            module: "hello".into(),
            digest: Digest::of(b"packaged"),
            size: 4000,
            commit: Some(COMMIT.into()),
            biz: Self::biz(),
        };
        self.say(Service::Builder, None, packaged);
        let slimmed = Slimmed {
            digest: Digest::of(b"slimmed"),
            version: "1.0.0-59b20b8d-0123456789ab".into(),
            size: 400,
            profile: None,
            left_out: 12,
            kept: 1,
            proof: None,
            report: None,
            since: None,
        };
        let release = Release {
            origin: None,
            own: None,
            run: self.run,
            module: "hello".into(),
            commit: Some(COMMIT.into()),
            packaged: Digest::of(b"packaged"),
            biz: Self::biz(),
            pools: [("pre".to_owned(), slimmed)].into(),
        };
        self.say(Service::Slimmer, None, Published { release });
    }

    pub fn want(version: &str) -> Want {
        Want {
            digest: Digest::of(b"slimmed"),
            size: 400,
            version: version.into(),
            web_context_path: None,
        }
    }

    pub fn planned(
        &mut self,
        environment: &str,
        direction: Direction,
        want: &str,
        bases: &[&[&str]],
    ) {
        if direction == Direction::Forward {
            let requested = rollout::Requested {
                joint: None,
                run: self.run,
                module: "hello".into(),
                environment: environment.into(),
                branch: "main".into(),
                order: 7,
                aim: Aim::Back { to: None },
                author: None,
                force: false,
                passed: Vec::new(),
            };
            self.say(Service::Scheduler, Some(environment), requested);
        }
        let step = |base: &&str| Step {
            base: (*base).into(),
            pool: environment.into(),
            zone: "default".into(),
        };
        let plan = Plan {
            run: self.run,
            module: "hello".into(),
            environment: environment.into(),
            direction,
            generation: 1,
            configuration: Digest::of(b"configuration"),
            wants: [(environment.to_owned(), Self::want(want))].into(),
            restores: std::collections::BTreeMap::new(),
            judge: Judge::default(),
            limits: Limits::default(),
            gates: Vec::new(),
            waves: bases
                .iter()
                .map(|wave| wave.iter().map(step).collect())
                .collect(),
            left_out: Vec::new(),
        };
        let planned = Planned {
            id: plan.id(),
            plan,
            version: Some(want.into()),
            because: None,
        };
        self.plan = Some(planned.clone());
        self.say(Service::Scheduler, Some(environment), planned);
    }

    pub fn wave(&self, number: u32, stop: Option<Stop>) -> Wave {
        let Planned { id, plan, .. } = self.plan.clone().unwrap();
        Wave {
            run: self.run,
            plan: id,
            module: "hello".into(),
            direction: plan.direction,
            number,
            of: u32::try_from(plan.waves.len()).unwrap(),
            bases: plan.waves[number as usize - 1]
                .iter()
                .map(|it| it.base.clone())
                .collect(),
            environment: plan.environment,
            stop,
        }
    }

    /// The installer's part on one base.
    pub fn changed(&mut self, base: &str, running: Option<&str>, stop: Option<Stop>) {
        let Planned { id, plan, .. } = self.plan.clone().unwrap();
        let environment = plan.environment;
        let (task, run, module) = (TaskId::of(&id, base), self.run, "hello".to_owned());
        let started = task::Started {
            task,
            plan: id.clone(),
            run,
            module: module.clone(),
            environment: environment.clone(),
            base: base.into(),
        };
        self.say(Service::Installer, Some(&environment), started);
        let steps = vec![StepTime {
            step: "install".into(),
            millis: 450,
        }];
        let finished = task::Finished {
            metaspace_growth: None,
            task,
            plan: id,
            run,
            module,
            environment: environment.clone(),
            base: base.into(),
            running: running.map(Into::into),
            revision: 1,
            stop,
            steps,
        };
        self.say(Service::Installer, Some(&environment), finished);
    }

    /// The verifier's part on one base.
    pub fn watched(&mut self, base: &str, version: &str, stop: Option<Stop>) {
        let Planned { id, plan, .. } = self.plan.clone().unwrap();
        let (run, module, environment) = (self.run, "hello".to_owned(), plan.environment);
        let answer = verify::Answer {
            status: 200,
            excerpt: "hello".into(),
            millis: 3,
        };
        let answering = verify::Answering {
            observation: Uuid::nil(),
            run,
            module: module.clone(),
            environment: environment.clone(),
            base: base.into(),
            version: Some(version.into()),
            answer: Some(answer.clone()),
        };
        self.say(Service::Verifier, Some(&environment), answering);
        let finished = verify::Finished {
            observation: Uuid::nil(),
            task: TaskId::of(&id, base),
            plan: id,
            run,
            module,
            environment: environment.clone(),
            base: base.into(),
            revision: 1,
            stop,
            answer: Some(answer),
        };
        self.say(Service::Verifier, Some(&environment), finished);
    }

    pub fn rolled_out(
        &mut self,
        environment: &str,
        outcome: RolloutOutcome,
        live: &str,
        stop: Option<Stop>,
    ) {
        let finished = rollout::Finished {
            run: self.run,
            module: "hello".into(),
            environment: environment.into(),
            outcome,
            live: Some(live.into()),
            stop,
            failed: Vec::new(),
        };
        self.say(Service::Scheduler, Some(environment), finished);
    }

    pub fn live(&mut self, environment: &str, version: &str) {
        let service = rollout::Service {
            run: self.run,
            module: "hello".into(),
            environment: environment.into(),
            version: version.into(),
            packaged: Digest::of(b"packaged"),
            before: None,
        };
        self.say(
            Service::Scheduler,
            Some(environment),
            ServiceUpgraded(service),
        );
    }

    pub fn ended(&mut self, outcome: Outcome, environment: Option<&str>, stop: Option<Stop>) {
        let finished = run::Finished {
            run: self.run,
            module: "hello".into(),
            outcome,
            stop,
            environment: environment.map(Into::into),
        };
        self.say(Service::Scheduler, None, finished);
    }

    /// The rollout waits at a gate of the plan in force.
    pub fn waits(&mut self, name: &str, point: gate::Point, ask: gate::Ask) {
        let Planned { id, plan, .. } = self.plan.clone().unwrap();
        let since = self.now();
        let requested = gate::Requested {
            gate: gate::gate_id(&id, point, name),
            run: self.run,
            plan: id,
            module: "hello".into(),
            environment: plan.environment.clone(),
            version: NEW.into(),
            name: name.into(),
            point,
            what: format!("{name} is waited for"),
            ask,
            since,
            until: since + chrono::TimeDelta::hours(24),
            opens: None,
        };
        self.say(Service::Scheduler, Some(&plan.environment), requested);
    }

    pub fn judged(&mut self, name: &str, point: gate::Point, verdict: gate::Verdict, seen: &str) {
        let Planned { id, plan, .. } = self.plan.clone().unwrap();
        let judged = gate::Judged {
            gate: gate::gate_id(&id, point, name),
            run: self.run,
            plan: id,
            module: "hello".into(),
            environment: plan.environment.clone(),
            name: name.into(),
            verdict,
            seen: seen.into(),
        };
        self.say(Service::Verifier, Some(&plan.environment), judged);
    }

    pub fn waited(
        &mut self,
        name: &str,
        point: gate::Point,
        outcome: gate::Outcome,
        by: &[&str],
        stop: Option<Stop>,
    ) {
        let Planned { id, plan, .. } = self.plan.clone().unwrap();
        let finished = gate::Finished {
            gate: gate::gate_id(&id, point, name),
            run: self.run,
            plan: id,
            module: "hello".into(),
            environment: plan.environment.clone(),
            name: name.into(),
            point,
            outcome,
            by: by.iter().map(|it| (*it).to_owned()).collect(),
            why: by.first().map(|_| "the numbers are good".to_owned()),
            stop,
        };
        self.say(Service::Scheduler, Some(&plan.environment), finished);
    }

    /// Somebody stops the line, or lets it go on.
    pub fn line(&mut self, number: u64, act: line::Act, stretch: line::Stretch) {
        let changed = line::Changed {
            act,
            stretch,
            at: self.now(),
            number,
            standing: Vec::new(),
            actor: "ops".into(),
            why: Some("prices look wrong".into()),
            command: Some(CommandId(Uuid::nil())),
        };
        self.say(Service::Scheduler, None, changed);
    }

    fn now(&self) -> Timestamp {
        super::moment(self.second)
    }

    pub fn view(&self) -> ferry_api::RunView {
        self.views.runs().get(self.run).unwrap().clone()
    }
}

pub const NEW: &str = "1.0.0-59b20b8d-0123456789ab";
pub const OLD: &str = "1.0.0-6113728f-fedcba987654";
