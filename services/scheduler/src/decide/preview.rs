//! What would be done with a module, without doing it: the plan before it runs.
//!
//! In: a question, and the states of the run and the units that it is about. Out: for each environment the
//! plan as it would be made now, what each base runs, what it would wait for, and what would stop it.

use std::collections::{BTreeMap, BTreeSet};

use ferry_config::Config;
use ferry_events::{
    Reason, Stop,
    artifact::Release,
    gate::Point,
    question::{Answer, Differing, Preview, Question, Waiting},
    rollout::{Aim, Plan, Requested, Step},
};
use ferry_plan_check::{Known, check};
use ferry_runtime::{Context, Key};

use super::{
    State, Unit, line_key,
    plan::{self, Brief},
    run_key,
    unit::Active,
    unit_key,
};

/// The states that a question needs.
pub(super) fn keys(question: &Question, config: &Config) -> Vec<Key> {
    let Question::Plan { module, run, .. } = question else {
        return Vec::new();
    };
    let environments = config.environments_of_module(module);
    let units = environments.into_iter().map(|name| unit_key(module, name));
    let others = run.iter().map(|run| run_key(*run));
    others.chain(units).chain([line_key()]).collect()
}

/// Has the checker judge a plan, whoever made it.
///
/// # Errors
/// A stop that names every rule that it breaks.
pub(super) fn judge(
    plan: &Plan,
    release: &Release,
    requested: &Requested,
    unit: &Unit,
    context: &Context,
) -> Result<(), Stop> {
    let config = &context.config;
    let order = config.environments_of_module(&plan.module).into_iter();
    let before = order.take_while(|name| *name != plan.environment);
    let bases = config.bases_of(&plan.module, &plan.environment);
    let known = Known {
        bases: bases
            .into_iter()
            .map(|(pool, base)| Step {
                base: base.name.clone(),
                pool: pool.to_owned(),
                zone: base.zone.clone(),
            })
            .collect(),
        jars: release
            .pools
            .iter()
            .map(|(pool, slimmed)| (pool.clone(), slimmed.digest.clone()))
            .collect(),
        before: before.map(str::to_owned).collect(),
        verified: requested.passed.iter().cloned().collect(),
        returns: matches!(requested.aim, Aim::Back { .. }),
        held: unit.left_alone(context).into_keys().collect(),
        rooms: unit.rooms(),
        growths: unit.growths(config),
    };
    let broken: Vec<String> = check(plan, &known)
        .iter()
        .map(ToString::to_string)
        .collect();
    if broken.is_empty() {
        return Ok(());
    }
    Err(Stop::new(Reason::PlanRefused, broken.join("; ")))
}

pub(super) fn answer(
    question: &Question,
    states: &BTreeMap<Key, State>,
    context: &Context,
) -> Answer {
    let Question::Plan {
        module,
        run,
        environment,
    } = question
    else {
        let detail = "the scheduler answers no such question";
        return Answer::Refused(Stop::new(Reason::OurFault, detail));
    };
    let config = &context.config;
    if config.module(module).is_none() {
        return Answer::Refused(Stop::new(Reason::UnknownModule, module.clone()));
    }
    let environments = config.environments_of_module(module);
    if let Some(name) = environment
        && !environments.contains(&name.as_str())
    {
        let detail = format!("{module} has no bases in {name:?}");
        return Answer::Refused(Stop::new(Reason::NoBases, detail));
    }
    let unit = |name: &str| {
        let mut unit = match states.get(&unit_key(module, name)) {
            Some(State::Unit(unit)) => unit.as_ref().clone(),
            _ => Unit::default(),
        };
        unit.is_of(module, name);
        // One that is new has not asked yet what stands.
        if let Some(State::Line(line)) = states.get(&line_key())
            && !unit.line.is_told()
        {
            line.tell(&mut unit.line, module, name);
        }
        unit
    };
    let of_run = run.and_then(|run| match states.get(&run_key(run)) {
        Some(State::Run(run)) => Some(run.as_ref()),
        _ => None,
    });
    let found = match run {
        Some(_) => of_run.and_then(|run| run.release().cloned()),
        None => environments
            .iter()
            .find_map(|name| unit(name).verified.first().cloned()),
    };
    let Some(release) = found else {
        let detail = match run {
            Some(run) => format!(
                "run {} has no artifact that could be rolled out",
                run.short()
            ),
            None => format!("nothing of {module} is verified anywhere"),
        };
        return Answer::Refused(Stop::new(Reason::NothingVerified, detail));
    };
    let author = of_run.and_then(super::Run::author);
    let mut passed: BTreeSet<String> = BTreeSet::new();
    let mut previews = Vec::new();
    for name in &environments {
        let unit = unit(name);
        let is_live = |live: &Release| live.packaged == release.packaged;
        if unit.verified.first().is_some_and(is_live) {
            passed.insert((*name).to_owned());
        }
        if environment.as_ref().is_some_and(|wanted| wanted != name) {
            continue;
        }
        let requested = Requested {
            run: release.run,
            module: module.clone(),
            environment: (*name).to_owned(),
            branch: String::new(),
            order: 0,
            aim: Aim::Release(Box::new(release.clone())),
            author: author.clone(),
            force: false,
            passed: passed.iter().cloned().collect(),
            joint: None,
        };
        previews.push(preview(&unit, requested, &release, context));
        // What comes after it comes only once it is verified here.
        passed.insert((*name).to_owned());
    }
    Answer::Plan(previews)
}

fn preview(unit: &Unit, requested: Requested, release: &Release, context: &Context) -> Preview {
    let live = unit.verified.first();
    let mut stops = Vec::new();
    stops.extend(unit.may_bring(&requested, release).err());
    let left_alone = unit.left_alone(context);
    let planned = plan::forward(&Brief {
        requested: &requested,
        release,
        live,
        generation: unit.generation + 1,
        config: &context.config,
        revision: &context.revision,
        left_alone: &left_alone,
        rooms: &unit.rooms(),
        growths: &unit.growths(&context.config),
    });
    let plan = match planned {
        Ok(plan) => {
            stops.extend(judge(&plan, release, &requested, unit, context).err());
            Some(plan)
        }
        Err(stop) => {
            stops.push(stop);
            None
        }
    };
    let in_hand = unit.active.as_ref().filter(|_| unit.is_rolling_out());
    let other = in_hand.filter(|active| active.requested.run != requested.run);
    let mut waits_for: Vec<Waiting> = other
        .map(|active| Waiting {
            point: Point::Start,
            name: "queue".to_owned(),
            what: format!("the end of run {}", active.requested.run.short()),
        })
        .into_iter()
        .collect();
    let environment = requested.environment.clone();
    if let Some(plan) = plan.clone() {
        waits_for.extend(waits(unit, requested, release, plan, context));
    }
    let differing = unit.care.iter().filter_map(|(base, care)| {
        let actual = care.owed.as_ref().map(|owed| owed.actual.clone());
        (care.lost || actual.is_some()).then(|| Differing {
            base: base.clone(),
            actual: actual.flatten(),
            lost: care.lost,
        })
    });
    Preview {
        environment,
        live: live.map(|live| live.version().to_owned()),
        version: release.version().to_owned(),
        packaged: release.packaged.clone(),
        plan,
        differing: differing.collect(),
        waits: waits_for,
        stops,
    }
}

/// What it would wait for. All places between waves are alike: the first stands for them.
fn waits(
    unit: &Unit,
    requested: Requested,
    release: &Release,
    plan: Plan,
    context: &Context,
) -> Vec<Waiting> {
    let several = plan.waves.len() > 1;
    let active = Active::new(requested, release.clone(), plan, context.now);
    let points = [
        Some(Point::Start),
        several.then_some(Point::After(1)),
        Some(Point::End),
    ];
    let mut waits = Vec::new();
    for point in points.into_iter().flatten() {
        let kept = match point {
            Point::Start => active.kept(point, &unit.line, context),
            _ => Vec::new(),
        };
        let all = active.planned(point, context).into_iter().chain(kept);
        waits.extend(all.map(|(name, wait)| Waiting {
            point,
            name,
            what: wait.what,
        }));
    }
    waits
}
