//! What an event tells, as one sentence of a story: who did it, why, and whether it went wrong.
//!
//! In: an event. Out: a sentence in the past tense, of one line; what comes from outside is shortened. Passing events
//! tell nothing.

use ferry_events::gate::{self, Verdict};
use ferry_events::joint::{self, Word};
use ferry_events::line::Act;
use ferry_events::restart::Outcome as RestartOutcome;
use ferry_events::rollout::{self, Direction, RolloutOutcome};
use ferry_events::run::{self, Outcome, RunKind};
use ferry_events::{Body, Event, Stop, base, command, push, task, verify};

/// Of a cause as much as fits two lines of a terminal.
const CAUSE_MAX: usize = 160;
/// So many bases are named; the others are counted.
const NAMED_MAX: usize = 12;

/// In whose story a sentence has its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// A base's alone: what was done there went well.
    Base,
    /// A run's too.
    Run,
    /// A module's too: it decided something, or a person did it.
    Module,
}

/// A sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// What happened.
    pub text: String,
    /// Which person did it.
    pub actor: Option<String>,
    /// Why, in that person's words.
    pub why: Option<String>,
    /// Whether it went wrong.
    pub bad: bool,
    /// Up to where the person had seen the stream.
    pub based_on: Option<u64>,
    /// Whose story tells it.
    pub weight: Weight,
}

impl Told {
    fn new(weight: Weight, text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            actor: None,
            why: None,
            bad: false,
            based_on: None,
            weight,
        }
    }

    fn bad(self, bad: bool) -> Self {
        Self { bad, ..self }
    }

    fn by(self, actor: Option<&str>, why: Option<&str>) -> Self {
        Self {
            actor: actor.map(line),
            why: why.map(line),
            ..self
        }
    }
}

/// What an event tells; nothing: it only says how far something is.
pub fn told(event: &Event) -> Option<Told> {
    use Weight::{Base, Module, Run};
    Some(match &event.body {
        Body::PushReceived(it) => {
            let who = it.author.as_deref().unwrap_or("somebody");
            let verb = if it.forced { "force-pushed" } else { "pushed" };
            let (commit, branch) = (short(&it.after), &it.branch);
            let text = format!("{who} {verb} {commit} to {branch} of {}", it.repository);
            Told::new(Module, line(&text)).by(it.author.as_deref(), it.message.as_deref())
        }
        Body::PushResolved(it) => {
            let text = match &it.stop {
                Some(stop) => format!("git could not tell what the push moved: {}", because(stop)),
                None => line(&it.why),
            };
            Told::new(Run, text).bad(it.stop.is_some())
        }
        Body::ChangeMerged(it) => merged(it),
        Body::BuildFinished(it) => match &it.stop {
            Some(stop) => {
                Told::new(Module, format!("the build failed: {}", because(stop))).bad(true)
            }
            None if it.reused => Told::new(Run, "an earlier build of that commit was used again"),
            None => Told::new(Run, format!("it was built in {}", took(it.millis))),
        },
        Body::ArtifactPackaged(it) => {
            let text = format!("the jar was stored as sha256:{}", it.digest.short());
            Told::new(Run, text)
        }
        Body::ArtifactPublished(it) => {
            let pools: Vec<&str> = it.release.pools.keys().map(String::as_str).collect();
            let gaps = it.release.pools.values().filter_map(|it| it.proof.as_ref());
            let gaps = match gaps.map(|proof| proof.gaps).max() {
                None | Some(0) => String::new(),
                Some(1) => "; it links with one optional gap".to_owned(),
                Some(gaps) => format!("; it links with {gaps} optional gaps"),
            };
            // Of pools that differ, the one that grew most.
            let since = it.release.pools.values().filter_map(|it| it.since.as_ref());
            let since = since.max_by_key(|since| since.bytes);
            let since = since.map(|since| format!("; its jar is {}", line(&since.to_string())));
            let text = format!(
                "version {} was made ready for {}{gaps}{}",
                line(it.release.version()),
                named(&pools),
                since.unwrap_or_default()
            );
            Told::new(Run, text)
        }
        Body::ProfilePublished(it) => {
            let gone = match (it.classes_gone, it.members_gone) {
                (0, 0) => String::new(),
                (classes, members) => {
                    format!("; {classes} classes and {members} members of the one before are gone")
                }
            };
            let text = format!(
                "what the base provides is known, and modules are slimmed against it: profile {}{gone}",
                it.profile.short()
            );
            Told::new(Module, text)
        }
        Body::ArtifactRefused(it) => {
            let text = format!("the jar cannot be installed: {}", because(&it.stop));
            Told::new(Module, text).bad(true)
        }
        Body::RunQueued(it) => queued(it),
        Body::RunFinished(it) => finished(it),
        Body::RolloutRequested(it) => Told::new(Run, format!("it came to {}", it.environment)),
        Body::RolloutPlanned(it) => planned(it),
        Body::RolloutFinished(it) => rolled_out(it),
        Body::WaveStarted(it) => {
            let bases: Vec<&str> = it.bases.iter().map(String::as_str).collect();
            Told::new(Run, format!("{} began: {}", it.0, named(&bases)))
        }
        Body::WaveFinished(it) => match &it.stop {
            Some(stop) => Told::new(Run, format!("{} failed: {}", it.0, because(stop))).bad(true),
            None => Told::new(Run, format!("{} was done", it.0)),
        },
        Body::GateRequested(it) => {
            let until = it.until.format("%Y-%m-%d %H:%M:%S UTC");
            let text = format!(
                "it waited in {} {}: {}, until {until} at the latest",
                it.environment,
                it.point,
                line(&it.what)
            );
            Told::new(Run, text)
        }
        Body::GateJudged(it) => {
            let verdict = match it.verdict {
                Verdict::Pass => "held",
                Verdict::Fail => "did not hold",
                Verdict::Inconclusive => "was inconclusive",
            };
            let text = format!("{} {verdict}: {}", line(&it.name), line(&it.seen));
            Told::new(Run, text).bad(it.verdict != Verdict::Pass)
        }
        Body::GateFinished(it) => waited(it),
        Body::LineChanged(it) => {
            let stretch = line(&it.stretch.to_string());
            let act = match it.act {
                Act::Pause => "paused",
                Act::Resume => "resumed",
                Act::Abort => "aborted",
                Act::Hold => "held",
                Act::Release => "released",
                Act::Quarantine => {
                    let text = format!("{stretch} was put into quarantine: it gets no rollouts");
                    return Some(Told::new(Run, text).bad(true));
                }
                Act::Mend => {
                    return Some(Told::new(Run, format!("{stretch} left its quarantine")));
                }
            };
            let text = format!("{} {act} {stretch}", line(&it.actor));
            Told::new(Module, text).by(Some(&it.actor), it.why.as_deref())
        }
        Body::JointTold(it) => together(it)?,
        Body::TaskFinished(it) => changed(it),
        Body::ObservationFinished(it) => observed(it),
        Body::ServiceDeployed(it) => live(it, "for the first time"),
        Body::ServiceUpgraded(it) => live(it, "on every base"),
        Body::ServiceRolledback(it) => {
            let before = it
                .before
                .as_deref()
                .map(|was| format!(", not {}", line(was)));
            let text = format!(
                "{} is live again in {}{}",
                line(&it.version),
                it.environment,
                before.unwrap_or_default()
            );
            Told::new(Module, text)
        }
        Body::BaseJoined(it) => {
            let modules: Vec<String> = it.modules.iter().map(module).collect();
            let modules: Vec<&str> = modules.iter().map(String::as_str).collect();
            let with = match modules.as_slice() {
                [] => "no modules".to_owned(),
                modules => named(modules),
            };
            Told::new(Run, format!("base {} answered, with {with}", it.base))
        }
        Body::BaseLost(it) => {
            let text = format!("base {} was lost: {}", it.base, line(&it.why));
            Told::new(Run, text).bad(true)
        }
        Body::ModuleDrifted(it) => {
            let actual: Vec<&str> = it.actual.iter().map(String::as_str).collect();
            let actual = match actual.as_slice() {
                [] => "none".to_owned(),
                actual => line(&named(actual)),
            };
            let wanted = it.wanted.as_deref().unwrap_or("none");
            let text = format!(
                "{} ran {actual} of {}, though {} was decided",
                it.base,
                it.module,
                line(wanted)
            );
            Told::new(Module, text).bad(true)
        }
        Body::ModuleGivenUp(it) => {
            let text = format!(
                "{} was given up on {}: {}",
                it.module,
                it.base,
                because(&it.stop.without_base())
            );
            Told::new(Module, text).bad(true)
        }
        Body::CommandSettled(it) => settled(it)?,
        Body::LetterReplayed(it) => {
            let text = format!(
                "{} replayed dead letter {}",
                line(&it.actor),
                it.letter.short()
            );
            Told::new(Module, text).by(Some(&it.actor), it.why.as_deref())
        }
        Body::LetterDropped(it) => {
            let text = format!(
                "{} dropped dead letter {}",
                line(&it.actor),
                it.letter.short()
            );
            Told::new(Module, text).by(Some(&it.actor), it.why.as_deref())
        }
        Body::BaseQuarantined(it) => {
            let (module, base) = (&it.module, &it.base);
            let text = format!(
                "{module} could not be brought back on {base}: {}",
                because(&it.stop)
            );
            Told::new(Run, text).bad(true)
        }
        Body::BaseMended(it) => {
            let text = format!("{} is as it should be again on {}", it.module, it.base);
            Told::new(Run, text)
        }
        Body::RestartListed(it) => {
            let text = format!(
                "{} is to be restarted: {}",
                it.base,
                line(&it.cause.to_string())
            );
            Told::new(Base, text)
        }
        Body::RestartFinished(it) => match &it.stop {
            None => {
                let text = format!("{} was restarted in {}", it.turn.base, took(it.millis));
                Told::new(Base, text)
            }
            Some(stop) => {
                let text = format!("{} was not restarted: {}", it.turn.base, because(stop));
                Told::new(Base, text).bad(true)
            }
        },
        Body::RestartOver(it) => match (it.outcome, &it.stop) {
            (RestartOutcome::Restarted, _) => {
                Told::new(Base, format!("{} is back with its modules", it.base))
            }
            (RestartOutcome::NotNeeded, _) => {
                let text = format!("{} is under its mark again without a restart", it.base);
                Told::new(Base, text)
            }
            (RestartOutcome::Failed, stop) => {
                let why = stop.as_ref().map(because).unwrap_or_default();
                let text = format!("the restart of {} failed: {why}", it.base);
                Told::new(Base, text).bad(true)
            }
        },
        Body::BaseChanged(it) => Told::new(Base, format!("base {} told what it carries", it.base)),
        Body::BuildQueued(_)
        | Body::BuildStarted(_)
        | Body::RunStarted(_)
        | Body::LineAsked(_)
        | Body::RestartAsked(_)
        | Body::RestartGiven(_)
        | Body::RestartRequested(_)
        | Body::LineTold(_)
        | Body::JointReported(_)
        | Body::TaskRequested(_)
        | Body::TaskStarted(_)
        | Body::ObservationRequested(_)
        | Body::ModuleAnswering(_)
        | Body::WorkRetried(_) => return None,
    })
}

fn merged(it: &push::ChangeMerged) -> Told {
    let run = it.run.short();
    let text = match it.uploaded {
        true => format!(
            "run {run} began with a jar that was built elsewhere, at {}",
            short(&it.commit)
        ),
        false => format!(
            "run {run} began: {} on {} concerns {}",
            short(&it.commit),
            line(&it.branch),
            it.module
        ),
    };
    let text = if it.force { text + ", by force" } else { text };
    Told::new(Weight::Module, text).by(it.author.as_deref(), it.message.as_deref())
}

fn queued(it: &run::Queued) -> Told {
    let run = it.run.short();
    let way = it.environments.join(", then ");
    let (author, why) = (it.author.as_deref(), it.message.as_deref());
    match it.kind {
        RunKind::Change => Told::new(Weight::Run, format!("its way was through {way}")),
        RunKind::Rollback => {
            let who = author.unwrap_or("somebody");
            let text = format!("{} went back in {way}, by run {run}", line(who));
            Told::new(Weight::Module, text).by(author, why)
        }
        RunKind::Repair => {
            let why = why.map(line).unwrap_or_default();
            let text = format!("Ferry began repair {run} in {way}: {why}");
            Told::new(Weight::Module, text)
        }
    }
}

fn finished(it: &run::Finished) -> Told {
    let run = it.run.short();
    let place = it.environment.as_ref().map(|name| format!(" in {name}"));
    let place = place.unwrap_or_default();
    let why = it.stop.as_ref().map(|stop| format!(": {}", because(stop)));
    let why = why.unwrap_or_default();
    let text = match it.outcome {
        Outcome::Success => format!("run {run} succeeded"),
        Outcome::Failure => format!("run {run} failed{place}{why}"),
        Outcome::Cancel => format!("run {run} gave way to a newer one{place}"),
        // Why is said of each base before.
        Outcome::Error => format!("run {run} failed{place}, and not all is as it was before"),
    };
    let bad = matches!(it.outcome, Outcome::Failure | Outcome::Error);
    Told::new(Weight::Module, text).bad(bad)
}

fn planned(it: &rollout::Planned) -> Told {
    let plan = &it.plan;
    let (waves, bases) = (
        count(plan.waves.len(), "wave"),
        count(plan.bases().count(), "base"),
    );
    let what = match &it.version {
        Some(version) => line(version),
        None => format!("none of {}", plan.module),
    };
    let place = &plan.environment;
    match (plan.direction, &it.because) {
        (Direction::Forward, _) => Told::new(
            Weight::Run,
            format!("Ferry planned to bring {what} to {place}: {bases} in {waves}"),
        ),
        (Direction::Back, because_of) => {
            let why = because_of
                .as_ref()
                .map(|stop| format!(", because of {}", because(stop)));
            let text = format!(
                "Ferry decided to go back to {what} on {bases} of {place}{}",
                why.unwrap_or_default()
            );
            Told::new(Weight::Module, text).bad(true)
        }
        (Direction::Repair, _) => Told::new(
            Weight::Run,
            format!("Ferry planned to bring {bases} of {place} back to {what}"),
        ),
    }
}

fn rolled_out(it: &rollout::Finished) -> Told {
    let live = it
        .live
        .as_deref()
        .map_or_else(|| "no version".to_owned(), line);
    let (module, place) = (&it.module, &it.environment);
    let why = it.stop.as_ref().map(|stop| format!(": {}", because(stop)));
    let why = why.unwrap_or_default();
    let failed: Vec<&str> = it
        .failed
        .iter()
        .filter_map(|stop| stop.base.as_deref())
        .collect();
    let quarantined = match failed.as_slice() {
        [] => String::new(),
        failed => format!("; quarantined: {}", named(failed)),
    };
    let (text, bad) = match it.outcome {
        RolloutOutcome::Verified => (
            format!("{live} was verified in {place}"),
            !failed.is_empty(),
        ),
        RolloutOutcome::RolledBack => (format!("{place} was back at {live}{why}"), true),
        // Why is said of each base before.
        RolloutOutcome::Broken => (
            format!("the bases of {place} did not all come to {live}"),
            true,
        ),
        RolloutOutcome::Stopped => (
            format!("it stopped before any base of {place} was touched; {live} stayed{why}"),
            true,
        ),
        RolloutOutcome::Superseded => (format!("{module} gave way in {place}{why}"), false),
    };
    Told::new(Weight::Run, text + &quarantined).bad(bad)
}

/// What a run may do of a release of several modules.
fn together(it: &joint::Told) -> Option<Told> {
    let (release, there) = (line(&it.name), &it.environment);
    let text = match &it.word {
        Word {
            failed: Some(stop), ..
        } => {
            let text = format!("release {release} failed in {there}: {}", because(stop));
            return Some(Told::new(Weight::Run, text).bad(true));
        }
        word if word.all_well => format!("all modules of release {release} were well in {there}"),
        word if word.begins => format!("its turn in release {release} came in {there}"),
        _ => return None,
    };
    Some(Told::new(Weight::Run, text))
}

fn waited(it: &gate::Finished) -> Told {
    let how = match it.outcome {
        gate::Outcome::Passed => "passed",
        gate::Outcome::Failed => "failed",
        gate::Outcome::Expired => "was not known in time",
        gate::Outcome::Promoted => "was passed over",
        gate::Outcome::Cancelled => "was not waited for any more",
    };
    let by = match it.by.as_slice() {
        [] => String::new(),
        by => format!(", by {}", line(&by.join(", "))),
    };
    let text = format!(
        "{} {how} in {} {}{by}",
        line(&it.name),
        it.environment,
        it.point
    );
    let text = match &it.stop {
        Some(stop) => format!("{text}: {}", because(stop)),
        None => text,
    };
    let weight = if it.by.is_empty() {
        Weight::Run
    } else {
        Weight::Module
    };
    let by = (!it.by.is_empty()).then(|| it.by.join(", "));
    let bad = matches!(it.outcome, gate::Outcome::Failed | gate::Outcome::Expired);
    Told::new(weight, text)
        .by(by.as_deref(), it.why.as_deref())
        .bad(bad)
}

fn changed(it: &task::Finished) -> Told {
    let Some(stop) = &it.stop else {
        let text = match &it.running {
            Some(version) => format!("{} was changed to {} {}", it.base, it.module, line(version)),
            None => format!("{} was freed of {}", it.base, it.module),
        };
        return Told::new(Weight::Base, text);
    };
    let left = it
        .running
        .as_deref()
        .map_or_else(|| "none".to_owned(), line);
    let text = format!(
        "{} could not be changed: {}; it was left with {left} of {}",
        it.base,
        because(&stop.without_base()),
        it.module
    );
    Told::new(Weight::Run, text).bad(true)
}

fn observed(it: &verify::Finished) -> Told {
    let Some(stop) = &it.stop else {
        return Told::new(
            Weight::Base,
            format!("{} was well on {}", it.module, it.base),
        );
    };
    let answer = it.answer.as_ref().map(|answer| {
        let said = shorten(&answer.excerpt, 60);
        format!("; the last answer was {} {said:?}", answer.status)
    });
    let text = format!(
        "{} was not well on {}: {}{}",
        it.module,
        it.base,
        because(&stop.without_base()),
        answer.unwrap_or_default()
    );
    Told::new(Weight::Run, text).bad(true)
}

fn live(it: &rollout::Service, how: &str) -> Told {
    let before = it
        .before
        .as_deref()
        .map(|was| format!(", in place of {}", line(was)));
    let text = format!(
        "{} went live in {} {how}{}",
        line(&it.version),
        it.environment,
        before.unwrap_or_default()
    );
    Told::new(Weight::Module, text)
}

/// Acts on the line and on letters have events of their own, which say more.
fn settled(it: &command::Settled) -> Option<Told> {
    let verb = if it.verb.is_empty() {
        "something"
    } else {
        &it.verb
    };
    let place = it.environment.as_ref().map(|name| format!(" in {name}"));
    let place = place.unwrap_or_default();
    let actor = line(&it.actor);
    let text = match (&it.stop, it.run) {
        (Some(stop), _) => {
            format!(
                "{actor} asked for {verb}{place} and was refused: {}",
                because(stop)
            )
        }
        (None, _)
            if [
                "pause", "resume", "abort", "hold", "release", "replay", "drop",
            ]
            .contains(&verb) =>
        {
            return None;
        }
        (None, Some(run)) => format!("{actor} asked for {verb}{place}: run {}", run.short()),
        (None, None) => format!("{actor} asked for {verb}{place}"),
    };
    let told = Told::new(Weight::Module, text);
    Some(Told {
        based_on: it.based_on,
        ..told
            .by(Some(&it.actor), it.why.as_deref())
            .bad(it.stop.is_some())
    })
}

fn module(it: &base::ModuleOnBase) -> String {
    line(&format!("{} {}", it.name, version(it)))
}

/// A version on a base, and its state where it is not the one that serves.
pub(super) fn version(it: &base::ModuleOnBase) -> String {
    match it.state.as_str() {
        "activated" => line(&it.version),
        state => line(&format!("{} ({state})", it.version)),
    }
}

/// The reason, its base, and the first line of its cause.
pub(super) fn because(stop: &Stop) -> String {
    let place = stop.base.as_ref().map(|base| format!(" on {base}"));
    let cause = match line(&stop.detail) {
        empty if empty.is_empty() => stop.reason.what().to_owned(),
        cause => cause,
    };
    format!(
        "{}{}: {cause}",
        stop.reason.code(),
        place.unwrap_or_default()
    )
}

/// The first line that says something, without control characters.
pub(super) fn line(text: &str) -> String {
    let first = text.lines().map(str::trim).find(|line| !line.is_empty());
    shorten(first.unwrap_or_default(), CAUSE_MAX)
}

fn shorten(text: &str, max: usize) -> String {
    let mut clean = text.chars().filter(|c| !c.is_control());
    let mut kept: String = clean.by_ref().take(max).collect();
    if clean.next().is_some() {
        kept.push('…');
    }
    kept
}

/// Names, so many as a person reads.
pub(super) fn named(names: &[&str]) -> String {
    match names.len().saturating_sub(NAMED_MAX) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names[..NAMED_MAX].join(", ")),
    }
}

/// `1 base`, `2 bases`.
pub(super) fn count(number: usize, one: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {one}{plural}")
}

fn short(commit: &str) -> &str {
    commit.get(..8).unwrap_or(commit)
}

fn took(millis: u64) -> String {
    match millis {
        0..1_000 => format!("{millis}ms"),
        1_000..60_000 => format!("{}.{}s", millis / 1000, millis % 1000 / 100),
        _ => format!("{}m {}s", millis / 60_000, millis / 1000 % 60),
    }
}
