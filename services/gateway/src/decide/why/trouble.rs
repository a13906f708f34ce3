//! What an environment in trouble needs: which bases are back, which are not, and whether traffic is safe.
//!
//! In: what a rollout did there, and the bases as they are now. Out: a [`TroubleView`], and what to do next.

use std::collections::{BTreeMap, BTreeSet};

use ferry_api::{BaseState, BaseView, NotBackView, Safety, TrafficView, TroubleView, WantedView};
use ferry_events::rollout::{Direction, Finished, Limits, Planned, RolloutOutcome, Wave};
use ferry_events::{RunId, Stop, task, verify};

use super::words::{because, count, line, named};

/// What a run did in an environment.
#[derive(Debug, Default)]
pub(super) struct Place {
    limits: Limits,
    /// Every base of the plan forward.
    planned: BTreeSet<String>,
    /// Bases whose change was asked for.
    touched: BTreeSet<String>,
    /// The wave in hand and their number, on the way forward.
    wave: (u32, u32),
    /// Why it went back.
    pub because: Option<Stop>,
    goes_back: bool,
    repairs: bool,
    /// What became of each touched base on the way back, or in a repair after it.
    back: BTreeMap<String, Option<Stop>>,
    outcome: Option<RolloutOutcome>,
    live: Option<String>,
    failed: Vec<Stop>,
}

impl Place {
    pub fn planned(&mut self, it: &Planned) {
        let bases = it.plan.bases().map(str::to_owned);
        match it.plan.direction {
            Direction::Forward => {
                self.limits = it.plan.limits.clone();
                self.planned = bases.collect();
            }
            Direction::Back => {
                self.goes_back = true;
                self.because.clone_from(&it.because);
                self.live.clone_from(&it.version);
                self.touched = bases.collect();
            }
            Direction::Repair => {
                self.repairs = true;
                self.planned = bases.collect();
                self.touched = self.planned.clone();
                self.live.clone_from(&it.version);
            }
        }
    }

    pub fn wave(&mut self, it: &Wave) {
        if it.direction == Direction::Forward {
            self.wave = (it.number, it.of);
        }
    }

    pub fn waved(&mut self, it: &Wave) {
        if it.direction == Direction::Forward && it.stop.is_none() {
            self.wave = (0, it.of);
        }
    }

    pub fn changed(&mut self, it: &task::Finished) {
        if self.goes_back || self.repairs {
            self.back.insert(it.base.clone(), it.stop.clone());
        }
    }

    pub fn observed(&mut self, it: &verify::Finished) {
        if self.goes_back || self.repairs {
            self.back.insert(it.base.clone(), it.stop.clone());
        }
    }

    pub fn finished(&mut self, it: &Finished) {
        self.outcome = Some(it.outcome);
        self.live = it.live.clone().or(self.live.take());
        self.failed.clone_from(&it.failed);
    }

    /// Whether bases were changed and it did not end well.
    fn is_in_trouble(&self) -> bool {
        match self.outcome {
            None => self.goes_back,
            Some(RolloutOutcome::RolledBack | RolloutOutcome::Broken) => true,
            Some(RolloutOutcome::Verified) => !self.failed.is_empty(),
            Some(RolloutOutcome::Stopped | RolloutOutcome::Superseded) => false,
        }
    }

    /// How it stands, with the bases of the module there as they are now; nothing: it is well.
    pub fn trouble(
        &self,
        environment: &str,
        module: &str,
        now: &[BaseView],
    ) -> Option<TroubleView> {
        if !self.is_in_trouble() {
            return None;
        }
        let there: BTreeMap<&str, &BaseView> = now
            .iter()
            .filter(|base| base.environment == environment)
            .map(|base| (base.name.as_str(), base))
            .collect();
        let going_back = self.outcome.is_none();
        let failed: BTreeMap<&str, &Stop> = self
            .failed
            .iter()
            .filter_map(|stop| Some((stop.base.as_deref()?, stop)))
            .collect();
        let mut touched: BTreeSet<&str> = self.touched.iter().map(String::as_str).collect();
        touched.extend(failed.keys());
        let (mut back, mut not_back) = (Vec::new(), Vec::new());
        for base in &touched {
            let stop = self.back.get(*base).and_then(Option::as_ref);
            let known = failed.get(base).copied().or(stop);
            match there.get(base) {
                Some(view) if is_back(view, module, self.live.is_some()) => {
                    back.push((*base).to_owned())
                }
                view => not_back.push(not_back_as(base, view.copied(), module, known)),
            }
        }
        let untouched = self
            .planned
            .iter()
            .filter(|base| !touched.contains(base.as_str()))
            .cloned()
            .collect();
        let of_module: Vec<&BaseView> = there
            .values()
            .copied()
            .filter(|base| self.planned.contains(&base.name) || wanted(base, module).is_some())
            .collect();
        Some(TroubleView {
            environment: environment.to_owned(),
            wave: self.wave.0,
            waves: self.wave.1,
            going_back,
            live: self.live.clone(),
            back,
            not_back,
            untouched,
            traffic: traffic(
                environment,
                module,
                self.live.as_deref(),
                &self.limits,
                &of_module,
            ),
        })
    }
}

fn wanted<'a>(base: &'a BaseView, module: &str) -> Option<&'a WantedView> {
    base.wanted.iter().find(|it| it.module == module)
}

/// Whether a base answers and runs exactly what was verified.
fn serves(base: &BaseView, module: &str) -> bool {
    base.state == BaseState::Joined
        && wanted(base, module).is_some_and(|it| it.agrees && it.wanted.is_some())
}

/// Whether a base is as it was before: with what was verified, or without the module where nothing was.
fn is_back(base: &BaseView, module: &str, live: bool) -> bool {
    match live {
        true => serves(base, module),
        false => {
            base.state == BaseState::Joined
                && wanted(base, module).is_none_or(|it| it.actual.is_empty())
        }
    }
}

fn not_back_as(
    base: &str,
    view: Option<&BaseView>,
    module: &str,
    known: Option<&Stop>,
) -> NotBackView {
    let wanted = view.and_then(|view| wanted(view, module));
    let repair = wanted.and_then(|it| it.repair.as_ref());
    let lost = view.is_some_and(|view| view.state == BaseState::Lost);
    let runs = wanted.map(|it| match it.actual.as_slice() {
        [] => format!("runs none of {module}"),
        [one] if one.state == "activated" => format!("runs {}", line(&one.version)),
        [one] => format!("holds {} ({})", line(&one.version), line(&one.state)),
        more => format!("runs {} versions of it", more.len()),
    });
    let mut parts = Vec::new();
    match view {
        None => parts.push("it is not in the configuration any more".to_owned()),
        Some(_) if lost => parts.push("it does not answer".to_owned()),
        Some(_) => parts.extend(runs),
    }
    let stop = repair
        .and_then(|repair| repair.stop.as_ref())
        .map(|stop| format!("{}: {}", stop.code, line(&stop.detail)));
    let known = known.map(|stop| because(&stop.without_base()));
    parts.extend(stop.or(known.clone()));
    if parts.is_empty() {
        parts.push("nothing was heard of it yet".to_owned());
    }
    let given_up = repair.is_some_and(|repair| repair.is_given_up());
    NotBackView {
        base: base.to_owned(),
        what: parts.join("; "),
        quarantined: known.is_some() || repair.is_some_and(|repair| repair.stop.is_some()),
        lost,
        next: repair
            .and_then(|repair| repair.next)
            .filter(|_| !given_up && !lost),
        given_up,
    }
}

fn traffic(
    environment: &str,
    module: &str,
    live: Option<&str>,
    limits: &Limits,
    bases: &[&BaseView],
) -> TrafficView {
    let (mut zones, mut out) = (BTreeMap::<&str, (u32, u32)>::new(), Vec::new());
    for base in bases {
        let (serving, of) = zones.entry(&base.zone).or_default();
        *of += 1;
        if serves(base, module) {
            *serving += 1;
        } else {
            out.push(base.name.as_str());
        }
    }
    let serving: u32 = zones.values().map(|(serving, _)| serving).sum();
    let of: u32 = zones.values().map(|(_, of)| of).sum();
    let short: Vec<String> = zones
        .iter()
        .filter_map(|(zone, (serving, of))| {
            let least = limits.zones.get(*zone).map_or(0, |zone| zone.min_available);
            (*serving < least.max(1)).then(|| {
                let least = match least {
                    0 | 1 => String::new(),
                    least => format!(" and must have {least}"),
                };
                format!("zone {zone} has {serving} of {of}{least}")
            })
        })
        .collect();
    let (safety, text) = match (live, out.as_slice(), short.as_slice()) {
        (None, ..) => (
            Safety::Unsafe,
            format!(
                "no: no version of {module} was ever verified in {environment}, so no base has to serve it"
            ),
        ),
        (Some(live), [], _) => (
            Safety::Safe,
            format!(
                "yes: all {} of {environment} run {} and answer",
                count(of as usize, "base"),
                line(live)
            ),
        ),
        (Some(live), out, []) => (
            Safety::Reduced,
            format!(
                "yes, with fewer bases: {serving} of {of} run {}; what is sent to {} fails, unless its load balancer \
                 has taken it out",
                line(live),
                named(out)
            ),
        ),
        (Some(live), out, short) => (
            Safety::Unsafe,
            format!(
                "NO: only {serving} of {of} run {}: {}; not in service: {}",
                line(live),
                short.join(", "),
                named(out)
            ),
        ),
    };
    TrafficView {
        safety,
        text,
        serving,
        of,
    }
}

/// The commands that help, in order.
pub(super) fn next(
    trouble: &TroubleView,
    module: &str,
    run: RunId,
    cause: Option<&Stop>,
) -> Vec<String> {
    let place = &trouble.environment;
    let mut next = Vec::new();
    if trouble.going_back {
        next.push(format!(
            "ferry watch {}    # the way back goes on by itself",
            run.short()
        ));
    }
    if trouble.traffic.safety == Safety::Unsafe && trouble.live.is_some() {
        let out: Vec<&str> = trouble
            .not_back
            .iter()
            .map(|one| one.base.as_str())
            .collect();
        if !out.is_empty() {
            next.push(format!(
                "take {} out of the load balancer, if that does not do it by itself",
                named(&out)
            ));
        }
    }
    if trouble.traffic.safety != Safety::Safe {
        next.push(format!(
            "ferry pause --env {place} --why \"run {} failed\"    # nothing more comes there until `ferry resume --env {place}`",
            run.short()
        ));
    }
    for one in &trouble.not_back {
        let what = match (one.lost, one.given_up, one.next) {
            (true, ..) => "start it again; it is brought back once it answers".to_owned(),
            (_, true, _) => {
                "look at its log; Ferry has given it up until it is restarted, or a rollout"
                    .to_owned()
            }
            (.., Some(at)) => format!(
                "Ferry tries again at {}; look at its log meanwhile",
                at.format("%H:%M:%S UTC")
            ),
            _ => "look at its log".to_owned(),
        };
        next.push(format!("ferry why {}    # {what}", one.base));
    }
    if let Some(cause) = cause {
        next.push(cause.reason.next_step().to_owned());
    }
    next.push(format!(
        "ferry history {module} --env {place}    # what was live before"
    ));
    next
}
