//! What must hold at the end, looked at from outside: the events on the bus, the bases' own ledgers,
//! what the bases run and answer, and what lies in files.
//!
//! In: a world at rest. Out: every way in which it is not as it should be.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use ferry_events::{Body, Event, RunId, rollout, run, subject};
use serde::Serialize;

use super::doubled::doubled;
use super::journal::Told;
use super::pushes::Sent;
use super::supervisor::Done;
use super::world::{ENVIRONMENTS, World};
use super::{secrets, stall};
use crate::schemas::EventSchemas;

/// What arklet calls a module that serves.
const ACTIVE: &str = "activated";

/// What was found. Everything but `heads` and `stall` is a violation.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Findings {
    /// Accepted pushes that nothing became of.
    pub lost: Vec<String>,
    /// What happened twice.
    pub doubled: Vec<String>,
    /// What has not ended.
    pub unfinished: Vec<String>,
    /// Bases that run something else than was decided.
    pub wrong: Vec<String>,
    /// Events that break their schema, or cannot be read.
    pub invalid: Vec<String>,
    /// Ends without a reason.
    pub reasonless: Vec<String>,
    /// Secrets where none may be.
    pub secrets: Vec<String>,
    /// Messages that could not be handled.
    pub dead: Vec<String>,
    /// Processes that ended though nobody ended them.
    pub ended: Vec<String>,
    /// Modules whose branch's head is not live, and why: no violation where the run says why.
    pub heads: Vec<String>,
    /// The longest time without progress.
    pub stall: stall::Stall,
}

impl Findings {
    /// The violations, by what they violate.
    pub fn violations(&self) -> [(&'static str, &Vec<String>); 9] {
        [
            ("lost", &self.lost),
            ("doubled", &self.doubled),
            ("unfinished", &self.unfinished),
            ("wrong end state", &self.wrong),
            ("events against their schema", &self.invalid),
            ("ends without a reason", &self.reasonless),
            ("secrets told", &self.secrets),
            ("dead letters", &self.dead),
            ("ended by themselves", &self.ended),
        ]
    }

    /// Whether there is none.
    pub fn is_clean(&self) -> bool {
        self.violations().iter().all(|(_, found)| found.is_empty())
    }
}

/// Looks at everything.
pub(super) async fn judge(
    world: &World,
    told: &[Told],
    sent: &[Sent],
    done: &Done,
) -> Result<Findings> {
    let events: Vec<&Event> = told.iter().filter_map(|told| told.event.as_ref()).collect();
    let runs = Runs::of(&events);
    let mut findings = Findings {
        lost: lost(sent, &events, &runs),
        doubled: doubled(world, &events)?,
        unfinished: unfinished(sent, &events, &runs),
        wrong: wrong(world, &events).await?,
        invalid: invalid(told)?,
        reasonless: reasonless(&events),
        ended: done.ended.clone(),
        ..Findings::default()
    };
    for one in sent {
        if let Some((other, (first, _))) = one.other.zip(one.accepted) {
            let text = format!("the same delivery is push {first} and push {other}");
            findings.doubled.push(text);
        }
    }
    heads(world, sent, &runs, &mut findings).await?;
    let mut folders: Vec<_> = world
        .fleet
        .servers()
        .folders()
        .map(|folder| folder.join("jetstream"))
        .collect();
    folders.push(world.fleet.logs());
    let folders: Vec<_> = folders.iter().map(std::path::PathBuf::as_path).collect();
    findings.secrets = secrets::told(&folders, &world.fleet.secrets())?;
    match world.fleet.servers().stream(subject::DEAD).await {
        Some(stream) => match stream["state"]["messages"].as_u64() {
            Some(0) => {}
            count => findings
                .dead
                .push(format!("{} holds {count:?} messages", subject::DEAD)),
        },
        None => findings
            .dead
            .push(format!("nothing is known of {}", subject::DEAD)),
    }
    let accepted = sent.iter().filter_map(|one| one.accepted);
    findings.stall = stall::longest(accepted, told, &done.acts, done.began);
    Ok(findings)
}

/// Runs, as the events tell of them.
pub(super) struct Runs<'a> {
    /// In the order in which they began.
    pub queued: Vec<&'a run::Queued>,
    /// How each ended.
    pub finished: BTreeMap<RunId, &'a run::Finished>,
}

impl<'a> Runs<'a> {
    pub(super) fn of(events: &[&'a Event]) -> Self {
        let mut runs = Self {
            queued: Vec::new(),
            finished: BTreeMap::new(),
        };
        for event in events {
            match &event.body {
                Body::RunQueued(queued) => runs.queued.push(queued),
                Body::RunFinished(finished) => {
                    runs.finished.insert(finished.run, finished);
                }
                _ => {}
            }
        }
        runs
    }
}

fn lost(sent: &[Sent], events: &[&Event], runs: &Runs<'_>) -> Vec<String> {
    let mut received = BTreeSet::new();
    let mut resolved = BTreeMap::new();
    for event in events {
        match &event.body {
            Body::PushReceived(it) => {
                received.insert(it.push);
            }
            Body::PushResolved(it) => {
                resolved.insert(it.push, it);
            }
            _ => {}
        }
    }
    let queued: BTreeSet<RunId> = runs.queued.iter().map(|it| it.run).collect();
    let mut lost = Vec::new();
    for (push, _) in sent.iter().filter_map(|one| one.accepted) {
        if !received.contains(&push) {
            lost.push(format!(
                "push {push} was answered 202 and is not on the bus"
            ));
        }
        for one in resolved.get(&push).into_iter().flat_map(|it| &it.runs) {
            if !queued.contains(&one.run) {
                lost.push(format!("run {} of push {push} was never heard of", one.run));
            }
        }
    }
    lost
}

fn unfinished(sent: &[Sent], events: &[&Event], runs: &Runs<'_>) -> Vec<String> {
    let resolved: BTreeSet<_> = events
        .iter()
        .filter_map(|event| match &event.body {
            Body::PushResolved(it) => Some(it.push),
            _ => None,
        })
        .collect();
    let pushes = sent.iter().filter_map(|one| one.accepted);
    let pushes = pushes.filter(|(push, _)| !resolved.contains(push));
    let runs = runs
        .queued
        .iter()
        .filter(|it| !runs.finished.contains_key(&it.run));
    pushes
        .map(|(push, _)| format!("push {push}: git was not asked"))
        .chain(runs.map(|it| format!("run {} of {} has not ended", it.run, it.module)))
        .collect()
}

/// Each base runs what the last ended rollout of each module decided.
async fn wrong(world: &World, events: &[&Event]) -> Result<Vec<String>> {
    let mut decided: BTreeMap<(&str, &str), &rollout::Finished> = BTreeMap::new();
    for event in events {
        if let Body::RolloutFinished(it) = &event.body
            && it.outcome != rollout::RolloutOutcome::Superseded
        {
            decided.insert((&it.environment, &it.module), it);
        }
    }
    let mut wrong = Vec::new();
    for (environment, names) in ENVIRONMENTS {
        for base in names.iter().filter_map(|name| world.bases.named(name)) {
            let runs = world.bases.runs(base).await?;
            for module in world.modules() {
                let last = decided.get(&(environment, module.as_str()));
                let live = last.and_then(|it| it.live.clone());
                let wanted: Vec<_> = live.into_iter().map(|it| (it, ACTIVE.to_owned())).collect();
                let there = runs.get(module).cloned().unwrap_or_default();
                if wanted != there {
                    let name = base.name();
                    let by = last.map_or("nobody".to_owned(), |it| {
                        format!("run {} ({:?})", it.run, it.outcome)
                    });
                    wrong.push(format!(
                        "{name} runs {there:?} of {module}; {wanted:?} was decided by {by}"
                    ));
                }
            }
        }
    }
    Ok(wrong)
}

fn invalid(told: &[Told]) -> Result<Vec<String>> {
    let schemas = EventSchemas::of_types()?;
    let mut invalid = Vec::new();
    for one in told {
        if one.event.is_none() {
            invalid.push(format!("message {} cannot be read", one.sequence));
        }
        match serde_json::from_slice(&one.raw) {
            Ok(event) => {
                if let Err(error) = schemas.check(&event) {
                    invalid.push(format!("message {}: {error:#}", one.sequence));
                }
            }
            Err(error) => invalid.push(format!("message {}: {error}", one.sequence)),
        }
    }
    Ok(invalid)
}

/// Whatever did not end well says why.
fn reasonless(events: &[&Event]) -> Vec<String> {
    let without = events.iter().filter_map(|event| match &event.body {
        Body::RunFinished(it) if it.outcome != run::Outcome::Success && it.stop.is_none() => {
            Some(format!("run {} of {}: {:?}", it.run, it.module, it.outcome))
        }
        Body::RolloutFinished(it)
            if it.outcome != rollout::RolloutOutcome::Verified && it.stop.is_none() =>
        {
            Some(format!(
                "rollout of run {} to {}: {:?}",
                it.run, it.environment, it.outcome
            ))
        }
        _ => None,
    });
    without.collect()
}

/// What each module answers is what its branch's head says, or the run of its last change says why not.
async fn heads(
    world: &World,
    sent: &[Sent],
    runs: &Runs<'_>,
    findings: &mut Findings,
) -> Result<()> {
    for module in world.modules() {
        let mut of_module = sent.iter().filter_map(|one| {
            let (_, text, _) = one.modules.iter().find(|(name, ..)| name == module)?;
            Some((one, text))
        });
        let Some((last, text)) = of_module.next_back() else {
            continue;
        };
        let repository = &last.push.repository;
        let told = sent.iter().rfind(|one| one.push.repository == *repository);
        if told.is_none_or(|one| one.accepted.is_none()) {
            findings.heads.push(format!(
                "{module}: no gateway took the last push of {repository}"
            ));
            continue;
        }
        let run = runs.queued.iter().rfind(|it| it.module == *module);
        let ended = run.and_then(|run| runs.finished.get(&run.run));
        let well = ended.is_some_and(|it| it.outcome == run::Outcome::Success);
        for base in world.bases.all() {
            let answer = base.get(&format!("/{module}/")).await?;
            if answer == (200, text.clone()) {
                continue;
            }
            let name = base.name();
            match ended.and_then(|it| it.stop.as_ref()) {
                Some(stop) if !well => {
                    let place = ended.and_then(|it| it.environment.as_deref()).unwrap_or("no environment");
                    let why = stop.detail.lines().next().unwrap_or_default();
                    let line = format!("{module}: the run of its head stopped in {place}: {}: {why}", stop.reason);
                    if !findings.heads.contains(&line) {
                        findings.heads.push(line);
                    }
                }
                _ => findings.wrong.push(format!(
                    "{name} answers {answer:?} for {module}; its head says {text:?}, and no run says why"
                )),
            }
        }
    }
    Ok(())
}
