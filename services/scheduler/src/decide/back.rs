//! The way back of a failed rollout: every base that it touched gets the last verified release.
//!
//! In: a rollout whose way forward ended. Out: a plan over all touched bases, at once or in reverse waves,
//! from stored jars, and the rollout's end once each has settled.

use std::{collections::BTreeMap, sync::Arc};

use ferry_events::{
    Reason, Stop,
    body::{ServiceRolledback, WaveFinished},
    joint::Progress,
    rollout::{Finished, Planned, RolloutOutcome, Service},
};
use ferry_runtime::Context;

use super::{
    by_base::ByBase,
    member::Members,
    plan,
    quarantine::Quarantines,
    queue::Queue,
    repair::Repairs,
    rollout::Rollouts,
    unit::{Making, ended, named, unit_scope},
};

/// Longest list of bases in a stop's detail.
const NAMED_MAX: usize = 20;

/// Whether the same artifact would fail again: then it does not come back by itself.
fn is_its_own_fault(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::InstallFailed
            | Reason::NotActive
            | Reason::ProbeFailed
            | Reason::SoakFailed
            | Reason::GateFailed
    )
}

pub(super) trait WayBack: Sized {
    /// Plans the way back and starts it.
    fn turn_back(self, context: &Context) -> Self;
    /// Ends the way back once every base has settled.
    fn advance_back(self, context: &Context) -> Self;
}

impl WayBack for Making {
    fn turn_back(mut self, context: &Context) -> Self {
        let before = self.state.verified.first().cloned();
        let failed = self.state.active.as_ref();
        let failed =
            failed.and_then(|active| Some((active.requested.clone(), active.failure.clone()?)));
        if let Some((requested, stop)) = failed {
            // The others go back at once, too.
            self = self.report(&requested, Progress::Failed(stop), context);
        }
        let Some(active) = &mut self.state.active else {
            return self;
        };
        // Nothing was touched: there is nothing to bring back.
        if active.touched.is_empty() {
            let (requested, stop) = (active.requested.clone(), active.failure.clone());
            let outcome = RolloutOutcome::Stopped;
            let ended = ended(&requested, outcome, before.as_ref(), stop);
            return self.finish(ended, context).next(context);
        }
        let (release, run) = (active.release.clone(), active.requested.run);
        let generation = self.state.generation + 1;
        // As the version was judged that is brought back, not the one that failed.
        let module = &active.requested.module;
        let judge = plan::judge(&context.config, module, before.as_ref(), false);
        let (touched, before_it) = (&active.touched, before.as_ref());
        let back = plan::back(&active.plan, touched, before_it, judge, generation);
        active.plan = Arc::new(back);
        active.id = active.plan.id();
        active.wave = 0;
        active.tasks = ByBase::default();
        active.broken = Vec::new();
        active.left_out = BTreeMap::new();
        let planned = Planned {
            id: active.id.clone(),
            plan: active.plan.as_ref().clone(),
            version: before.as_ref().map(|before| before.version().to_owned()),
            because: active.failure.clone(),
        };
        let scope = unit_scope(context, &active.requested);
        let failure = active.failure.clone();
        self.state.generation = generation;
        self.state.reject(&release);
        if let Some(stop) = failure.filter(|stop| is_its_own_fault(stop.reason)) {
            self.state.ban(&release, run, stop.reason);
        }
        self.say(scope, planned).start_wave(context)
    }

    fn advance_back(mut self, context: &Context) -> Self {
        let before = self.state.verified.first().cloned();
        let Some(active) = &self.state.active else {
            return self;
        };
        if active.is_busy() {
            return self;
        }
        if active.wave + 1 < active.plan.waves.len() {
            let scope = unit_scope(context, &active.requested);
            let wave = WaveFinished(active.describe_wave(None));
            self = self.say(scope, wave);
            if let Some(active) = &mut self.state.active {
                active.wave += 1;
            }
            return self.start_wave(context);
        }
        let scope = unit_scope(context, &active.requested);
        let (requested, failed) = (active.requested.clone(), active.release.clone());
        let broken = (!active.broken.is_empty()).then(|| {
            let bases: Vec<String> = active
                .broken
                .iter()
                .take(NAMED_MAX)
                .map(ToString::to_string)
                .collect();
            let cause = active
                .failure
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default();
            Stop::new(
                Reason::RollbackFailed,
                format!("{}; it went back because of {cause}", bases.join("; ")),
            )
        });
        let wave = WaveFinished(active.describe_wave(broken.clone()));
        let outcome = if broken.is_some() {
            RolloutOutcome::Broken
        } else {
            RolloutOutcome::RolledBack
        };
        let stop = broken.or_else(|| active.failure.clone());
        let owed = active.broken.clone();
        self = self.say(scope.clone(), wave);
        if let (Some(before), RolloutOutcome::RolledBack) = (&before, outcome) {
            let service = Service {
                run: requested.run,
                module: requested.module.clone(),
                environment: requested.environment.clone(),
                version: before.version().to_owned(),
                packaged: before.packaged.clone(),
                before: Some(failed.version().to_owned()),
            };
            self = self.say(scope, ServiceRolledback(service));
        }
        let ended = Finished {
            failed: named(&owed),
            ..ended(&requested, outcome, before.as_ref(), stop)
        };
        self.owe(&owed, context)
            .quarantine(&owed, context)
            .finish(ended, context)
            .next(context)
    }
}
