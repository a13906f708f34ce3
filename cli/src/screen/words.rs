//! What an event says, in one plain sentence.
//!
//! In: an event. Out: a sentence, safe for a terminal.

use std::collections::BTreeMap;

use ferry_events::gate::Verdict;
use ferry_events::joint::{Progress, Word};
use ferry_events::line::Act;
use ferry_events::restart::Outcome as RestartOutcome;
use ferry_events::rollout::{Aim, Direction, RolloutOutcome};
use ferry_events::run::{Outcome, RunKind};
use ferry_events::{
    Body, Event, Reason, Stop, artifact, base, gate, letter, push, rollout, run, task, verify,
};

use super::push::push_words;
use super::text::{LINE_MAX, bytes, clean, count, one_line, short, took};

/// What an event says, in a sentence.
pub fn event_words(event: &Event) -> String {
    match &event.body {
        Body::PushReceived(it) => push_words(
            &it.branch,
            &it.repository,
            &it.after,
            it.author.as_deref(),
            it.message.as_deref(),
        ),
        Body::PushResolved(it) => resolved(it),
        Body::ChangeMerged(it) => merged(it),
        Body::BuildQueued(it) => {
            format!("{} at {} waits for its build", it.module, short(&it.commit))
        }
        Body::BuildStarted(it) => format!("building {} at {}", it.module, short(&it.commit)),
        Body::BuildFinished(it) => match &it.stop {
            Some(stop) => format!("{} was not built: {}", it.module, because(stop)),
            None if it.reused => format!("reused an earlier build of {}", it.module),
            None => format!("built {} in {}", it.module, took(it.millis)),
        },
        Body::ArtifactPackaged(it) => packaged(it),
        Body::ArtifactPublished(it) => published(&it.release),
        Body::ArtifactRefused(it) => {
            format!("{} cannot be installed: {}", it.module, because(&it.stop))
        }
        Body::ProfilePublished(it) => format!("base {}: {}", it.module, profiled(it)),
        Body::RunQueued(it) => queued(it),
        Body::RunStarted(it) => format!("run {} of {} began", it.run.short(), it.module),
        Body::RunFinished(it) => finished(it),
        Body::RolloutRequested(it) => match &it.aim {
            Aim::Release(release) => {
                format!(
                    "{} {} goes to {}",
                    it.module,
                    release.version(),
                    it.environment
                )
            }
            Aim::Back { to } => {
                let to = to.as_deref().unwrap_or("the version before");
                format!("{} goes back to {to} in {}", it.module, it.environment)
            }
        },
        Body::RolloutPlanned(it) => planned(it),
        Body::RolloutFinished(it) => rolled_out(it),
        Body::WaveStarted(it) => format!("{}: {}", it.0, it.bases.join(", ")),
        Body::WaveFinished(it) => match &it.stop {
            Some(stop) => format!("{} failed: {}", it.0, because(stop)),
            None => format!("{} is done", it.0),
        },
        Body::GateRequested(it) => format!(
            "{} in {} waits {}: {}, until {}",
            it.module,
            it.environment,
            it.point,
            clean(&it.what),
            it.until.format("%Y-%m-%d %H:%M:%S UTC")
        ),
        Body::GateJudged(it) => {
            let verdict = match it.verdict {
                Verdict::Pass => "holds",
                Verdict::Fail => "does not hold",
                Verdict::Inconclusive => "is inconclusive",
            };
            format!("{} {verdict}: {}", it.name, one_line(&it.seen, LINE_MAX))
        }
        Body::GateFinished(it) => gate(it),
        Body::LineChanged(it) => {
            let act = match it.act {
                Act::Pause => "paused",
                Act::Resume => "resumed",
                Act::Abort => "aborted",
                Act::Hold => "holds",
                Act::Release => "released",
                Act::Quarantine => "put into quarantine",
                Act::Mend => "took out of quarantine",
            };
            let why = it.why.as_ref().map(|why| format!(": {}", clean(why)));
            format!(
                "{} {act} {}{}",
                it.actor,
                it.stretch,
                why.unwrap_or_default()
            )
        }
        Body::LineAsked(it) => format!(
            "{} is new in {}; is anything paused?",
            it.module, it.environment
        ),
        Body::LineTold(it) => match it.standing.as_slice() {
            [] => format!("nothing is paused for {} in {}", it.module, it.environment),
            standing => {
                let all: Vec<String> = standing.iter().map(|one| clean(&one.to_string())).collect();
                format!(
                    "for {} in {}: {}",
                    it.module,
                    it.environment,
                    all.join("; ")
                )
            }
        },
        Body::JointReported(it) => {
            let place = it.environment.as_ref().map(|name| format!(" in {name}"));
            let place = place.unwrap_or_default();
            let how = match &it.progress {
                Progress::Waits => "waits to begin".to_owned(),
                Progress::Begun => "has begun".to_owned(),
                Progress::Well => "is well and waits for the others".to_owned(),
                Progress::Failed(stop) => format!("failed: {}", stop.reason),
            };
            format!("release {}: {}{place} {how}", it.joint.name, it.module)
        }
        Body::JointTold(it) => {
            let what = match &it.word {
                word if word.all_well => "all are well".to_owned(),
                Word {
                    failed: Some(stop), ..
                } => {
                    let cause = one_line(&stop.detail, LINE_MAX);
                    return format!("{} goes back: {cause}", it.module);
                }
                word if word.begins => format!("{} may begin", it.module),
                _ => format!("{} has to wait", it.module),
            };
            format!("release {} in {}: {what}", it.name, it.environment)
        }
        Body::TaskRequested(it) => match &it.want {
            Some(want) => format!("{} shall run {} {}", it.base, it.module, want.version),
            None => format!("{} shall be without {}", it.base, it.module),
        },
        Body::TaskStarted(it) => format!("changing {}", it.base),
        Body::TaskFinished(it) => changed(it),
        Body::ObservationRequested(it) => format!("looking at {} on {}", it.module, it.base),
        Body::ModuleAnswering(it) => match &it.answer {
            Some(answer) => format!("{} answers on {}: {}", it.module, it.base, answered(answer)),
            None => format!("{} is active on {}", it.module, it.base),
        },
        Body::ObservationFinished(it) => observed(it),
        Body::ServiceDeployed(it) => live(it),
        Body::ServiceUpgraded(it) => live(it),
        Body::ServiceRolledback(it) => format!(
            "{} is back at {} in {}{}",
            it.module,
            it.version,
            it.environment,
            it.before
                .as_ref()
                .map(|was| format!(", was at {was}"))
                .unwrap_or_default()
        ),
        Body::BaseJoined(it) => format!("base {} is there, with {}", it.base, carried(it)),
        Body::BaseChanged(it) => format!("base {} carries {}", it.base, carried(it)),
        Body::BaseLost(it) => {
            format!("base {} is lost: {}", it.base, one_line(&it.why, LINE_MAX))
        }
        Body::ModuleDrifted(it) => drifted(it),
        Body::BaseQuarantined(it) => format!(
            "{} could not be brought back on {}: {}",
            it.module,
            it.base,
            because(&it.stop)
        ),
        Body::BaseMended(it) => format!("{} is as it should be again on {}", it.module, it.base),
        Body::RestartListed(it) => {
            let how = match it.driven {
                true => "",
                false => " by a person",
            };
            let why = it.cause.to_string();
            format!(
                "{} is to be restarted{how}: {}",
                it.base,
                one_line(&why, LINE_MAX)
            )
        }
        Body::RestartAsked(it) => format!("who needs {} is asked to spare it", it.turn.base),
        Body::RestartGiven(it) => match &it.stop {
            None => format!("{} can spare {}", it.module, it.turn.base),
            Some(stop) => format!(
                "{} cannot spare {}: {}",
                it.module,
                it.turn.base,
                because(stop)
            ),
        },
        Body::RestartRequested(it) => format!("{} is being restarted", it.turn.base),
        Body::RestartFinished(it) => match &it.stop {
            None => format!("{} was restarted in {}", it.turn.base, took(it.millis)),
            Some(stop) => format!(
                "{} was not restarted: {}",
                it.turn.base,
                because(&stop.without_base())
            ),
        },
        Body::RestartOver(it) => match (it.outcome, &it.stop) {
            (RestartOutcome::Restarted, _) => format!("{} is back with its modules", it.base),
            (RestartOutcome::NotNeeded, _) => format!("{} needs no restart any more", it.base),
            (RestartOutcome::Failed, stop) => {
                let why = stop.as_ref().map(|stop| because(&stop.without_base()));
                format!(
                    "the restart of {} failed: {}",
                    it.base,
                    why.unwrap_or_default()
                )
            }
        },
        Body::ModuleGivenUp(it) => {
            format!(
                "{} is given up on {}: {}",
                it.module,
                it.base,
                because(&it.stop.without_base())
            )
        }
        Body::CommandSettled(it) => match (&it.stop, it.run) {
            (Some(stop), _) => {
                format!(
                    "what {} asked for {} was refused: {}",
                    it.actor,
                    it.module,
                    because(stop)
                )
            }
            (None, Some(run)) => {
                format!(
                    "what {} asked for {} is run {}",
                    it.actor,
                    it.module,
                    run.short()
                )
            }
            (None, None) => format!("what {} asked for {} was taken", it.actor, it.module),
        },
        Body::WorkRetried(it) => format!(
            "{} failed ({}{}): {}; again at {}",
            clean(&it.what),
            it.tries,
            of(it.most),
            because(&it.stop),
            it.next_at.format("%H:%M:%S")
        ),
        Body::LetterReplayed(it) => closed("replayed", it),
        Body::LetterDropped(it) => closed("dropped", it),
    }
}

fn closed(how: &str, it: &letter::Closed) -> String {
    let why = it
        .why
        .as_ref()
        .map(|why| format!(": {}", one_line(why, LINE_MAX)));
    format!(
        "{} {how} dead letter {} ({}){}",
        it.actor,
        it.letter.short(),
        it.reason,
        why.unwrap_or_default()
    )
}

/// The reason's code, its base, and the first line of the cause.
/// Of how many attempts at most: nothing where there is no end to them.
pub(super) fn of(most: u32) -> String {
    match most {
        u32::MAX => String::new(),
        most => format!(" of {most}"),
    }
}

fn because(stop: &Stop) -> String {
    let mut text = stop.reason.code().to_owned();
    if let Some(base) = &stop.base {
        text.push_str(&format!(" on {base}"));
    }
    let cause = one_line(&stop.detail, LINE_MAX);
    let cause = if cause.is_empty() {
        stop.reason.what().to_owned()
    } else {
        cause
    };
    format!("{text}: {cause}")
}

fn resolved(it: &push::Resolved) -> String {
    if let Some(stop) = &it.stop {
        return format!("git could not tell what moved: {}", because(stop));
    }
    let modules: Vec<&str> = it.runs.iter().map(|run| run.module.as_str()).collect();
    match it.resolution {
        push::Resolution::Started => format!(
            "{} of {} is at {}: {} ({})",
            it.branch,
            it.repository,
            it.commit.as_deref().map_or("an unknown commit", short),
            count(it.runs.len(), "run"),
            modules.join(", ")
        ),
        _ => one_line(&it.why, LINE_MAX),
    }
}

fn merged(it: &push::ChangeMerged) -> String {
    if it.uploaded {
        return format!(
            "a jar of {} was uploaded, built at {}",
            it.module,
            short(&it.commit)
        );
    }
    format!(
        "{} is changed by {} on {}",
        it.module,
        short(&it.commit),
        it.branch
    )
}

fn packaged(it: &artifact::Packaged) -> String {
    let commit = it
        .commit
        .as_deref()
        .map(|commit| format!(" at {}", short(commit)));
    format!(
        "packaged {} {}{}, {}",
        it.module,
        clean(&it.biz.version),
        commit.unwrap_or_default(),
        bytes(it.size)
    )
}

fn published(release: &artifact::Release) -> String {
    let jars: Vec<String> = jars(&release.pools)
        .into_iter()
        .map(|(jar, since)| match since {
            Some(since) => format!("{jar}; {since}"),
            None => jar,
        })
        .collect();
    format!(
        "slimmed {} {}: {}",
        release.module,
        release.version(),
        jars.join("; ")
    )
}

/// The slimmed jars, once where pools share one, each with how it differs from the one before.
pub fn jars(pools: &BTreeMap<String, artifact::Slimmed>) -> Vec<(String, Option<String>)> {
    let mut by_jar: Vec<(&artifact::Slimmed, Vec<&str>)> = Vec::new();
    for (pool, slimmed) in pools {
        match by_jar
            .iter_mut()
            .find(|(one, _)| one.digest == slimmed.digest)
        {
            Some((_, pools)) => pools.push(pool),
            None => by_jar.push((slimmed, vec![pool])),
        }
    }
    let jar = |(slimmed, pools): &(&artifact::Slimmed, Vec<&str>)| {
        let since = slimmed.since.as_ref();
        let text = format!(
            "{}, {} left out, {} kept{}, for {}",
            bytes(slimmed.size),
            count(slimmed.left_out as usize, "library"),
            slimmed.kept,
            links(slimmed.proof.as_ref()),
            pools.join(", ")
        );
        (text, since.map(|it| clean(&it.to_string())))
    };
    by_jar.iter().map(jar).collect()
}

/// What a build of a base provides, and what it does not any more.
pub fn profiled(it: &artifact::Profiled) -> String {
    let libraries = count(it.libraries as usize, "library");
    let classes = |number: u32| count(number as usize, "class");
    let gone = match (it.classes_gone, it.members_gone) {
        (0, 0) if it.report.is_none() => "; the first".to_owned(),
        (0, 0) => "; nothing of the one before is gone".to_owned(),
        (gone, members) => format!(
            "; {} and {} of the one before are gone",
            classes(gone),
            count(members as usize, "member")
        ),
    };
    format!(
        "profile {} of {libraries}, {}{gone}",
        it.profile.short(),
        classes(it.classes)
    )
}

fn links(proof: Option<&artifact::Proof>) -> String {
    match proof {
        None => String::new(),
        Some(artifact::Proof { gaps: 0, .. }) => ", links".to_owned(),
        Some(proof) => format!(
            ", links with {}",
            count(proof.gaps as usize, "optional gap")
        ),
    }
}

fn queued(it: &run::Queued) -> String {
    let way = it.environments.join(", then ");
    match it.kind {
        RunKind::Change => format!("run {} of {}: {way}", it.run.short(), it.module),
        RunKind::Rollback => format!("run {} takes {} back: {way}", it.run.short(), it.module),
        RunKind::Repair => format!(
            "run {} repairs {} in {way}: {}",
            it.run.short(),
            it.module,
            one_line(it.message.as_deref().unwrap_or_default(), LINE_MAX)
        ),
    }
}

fn finished(it: &run::Finished) -> String {
    let run = format!("run {} of {}", it.run.short(), it.module);
    let place = it
        .environment
        .as_ref()
        .map(|name| format!(" in {name}"))
        .unwrap_or_default();
    let why = it
        .stop
        .as_ref()
        .map(|stop| format!(": {}", because(stop)))
        .unwrap_or_default();
    match it.outcome {
        Outcome::Success => format!("{run} succeeded"),
        Outcome::Failure => format!("{run} failed{place}{why}"),
        Outcome::Cancel => format!("{run} gave way to a newer one"),
        Outcome::Error => format!("{run} is broken{place}{why}"),
    }
}

fn gate(it: &gate::Finished) -> String {
    let how = match it.outcome {
        gate::Outcome::Passed => "passed",
        gate::Outcome::Failed => "failed",
        gate::Outcome::Expired => "was not known in time",
        gate::Outcome::Promoted => "was passed over",
        gate::Outcome::Cancelled => "is not waited for any more",
    };
    let by = match it.by.as_slice() {
        [] => String::new(),
        by => format!(" by {}", by.join(", ")),
    };
    let why = it.why.as_ref().map(|why| format!(": {}", clean(why)));
    format!(
        "{} {how} {}{by}{}",
        it.name,
        it.point,
        why.unwrap_or_default()
    )
}

fn planned(it: &rollout::Planned) -> String {
    let plan = &it.plan;
    let (waves, bases) = (
        count(plan.waves.len(), "wave"),
        count(plan.bases().count(), "base"),
    );
    let what = match (&it.version, plan.direction) {
        (Some(version), Direction::Forward) => format!("to {version}"),
        (Some(version), Direction::Back | Direction::Repair) => format!("back to {version}"),
        (None, _) => format!("without {}", plan.module),
    };
    format!(
        "plan {} brings {} {what}: {waves}, {bases}",
        it.id.short(),
        plan.environment
    )
}

fn rolled_out(it: &rollout::Finished) -> String {
    let live = it.live.as_deref().unwrap_or("no version");
    let why = it
        .stop
        .as_ref()
        .map(|stop| format!(": {}", because(stop)))
        .unwrap_or_default();
    let (module, environment) = (&it.module, &it.environment);
    match it.outcome {
        RolloutOutcome::Verified => format!("{module} {live} is verified in {environment}"),
        RolloutOutcome::RolledBack => format!("{module} is back at {live} in {environment}{why}"),
        RolloutOutcome::Broken => format!("{module} is broken in {environment}{why}"),
        RolloutOutcome::Stopped => {
            format!("{module} stopped before {environment}, which stays at {live}{why}")
        }
        RolloutOutcome::Superseded => format!("{module} gave way to a newer run in {environment}"),
    }
}

fn changed(it: &task::Finished) -> String {
    let steps: Vec<String> = it
        .steps
        .iter()
        .map(|step| format!("{} {}", clean(&step.step), took(step.millis)))
        .collect();
    let steps = if steps.is_empty() {
        String::new()
    } else {
        format!(" ({})", steps.join(", "))
    };
    match (&it.stop, &it.running) {
        (Some(stop), running) => {
            let left = running
                .as_deref()
                .map(clean)
                .unwrap_or_else(|| "no version".to_owned());
            let what = match stop.reason {
                Reason::UndrainFailed => "is still out of its load balancer",
                _ => "could not be changed",
            };
            format!(
                "{} {what}: {}; it runs {left}{steps}",
                it.base,
                because(&stop.without_base())
            )
        }
        (None, Some(version)) => {
            format!("{} runs {} {}{steps}", it.base, it.module, clean(version))
        }
        (None, None) => format!("{} is without {}{steps}", it.base, it.module),
    }
}

/// `200 "Hello" in 3ms`.
pub(super) fn answered(answer: &verify::Answer) -> String {
    let said = one_line(&answer.excerpt, 60);
    let said = if said.is_empty() {
        String::new()
    } else {
        format!(" {said:?}")
    };
    format!("{}{said} in {}", answer.status, took(answer.millis))
}

fn observed(it: &verify::Finished) -> String {
    match &it.stop {
        None => format!("{} is well on {}", it.module, it.base),
        Some(stop) => {
            let last = it
                .answer
                .as_ref()
                .map(|answer| format!("; last answer {}", answered(answer)))
                .unwrap_or_default();
            format!(
                "{} is not well on {}: {}{last}",
                it.module,
                it.base,
                because(&stop.without_base())
            )
        }
    }
}

fn live(it: &rollout::Service) -> String {
    let before = it
        .before
        .as_ref()
        .map(|was| format!(", was at {was}"))
        .unwrap_or_default();
    format!(
        "{} {} is live in {}{before}",
        it.module, it.version, it.environment
    )
}

fn carried(it: &base::Seen) -> String {
    if it.modules.is_empty() {
        return "no modules".to_owned();
    }
    let modules: Vec<String> = it.modules.iter().map(super::base::module_words).collect();
    modules.join(", ")
}

fn drifted(it: &base::Drifted) -> String {
    let actual: Vec<String> = it.actual.iter().map(|version| clean(version)).collect();
    let actual = if actual.is_empty() {
        "none".to_owned()
    } else {
        actual.join(", ")
    };
    let wanted = it.wanted.as_deref().unwrap_or("none");
    format!(
        "{} drifted on {}: decided was {wanted}, there is {actual}",
        it.module, it.base
    )
}
