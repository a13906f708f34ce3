//! Where a run's time went, from the times of its events.
//!
//! In: the events of one run, when its push was taken. Out: [`Timing`]: hops, one after the other, whose sum is
//! the whole; and what each base took. Each service writes the time by its own clock: on several machines a hop
//! is as exact as these agree.

use std::collections::BTreeMap;

use ferry_events::task::StepTime;
use ferry_events::{Body, Event, RunId, Service, Timestamp};
use serde::Serialize;

/// One way between two events.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Hop {
    /// When it ended, in milliseconds after the push was taken.
    pub at_ms: u64,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// Who said that it is over.
    pub service: Service,
    /// What was done.
    pub what: &'static str,
    /// Where, of hops that are in an environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The base, of hops that are about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
}

/// What was done on one base, step by step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OnBase {
    /// The environment.
    pub environment: String,
    /// The base.
    pub base: String,
    /// Its steps, in order.
    pub steps: Vec<StepTime>,
}

/// Where a run's time went.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Timing {
    /// The run.
    pub run: RunId,
    /// From the push to the last event, in milliseconds.
    pub whole_ms: u64,
    /// Hops in order of time.
    pub hops: Vec<Hop>,
    /// The sum of each service's hops, in milliseconds.
    pub services: BTreeMap<String, u64>,
    /// What was done on each base.
    pub bases: Vec<OnBase>,
}

impl Timing {
    /// Takes a run apart. Events may come in any order, and other runs' among them.
    pub fn of(run: RunId, from: Timestamp, events: &[Event]) -> Self {
        let own = events.iter().filter(|event| event.run() == Some(run));
        let mut path: Vec<(&Event, &'static str)> = own
            .clone()
            .filter_map(|event| Some((event, what(&event.body)?)))
            .collect();
        // What is said in one write has one time; the order of the stream stays.
        path.sort_by_key(|(event, _)| event.time);
        let (mut hops, mut services, mut last) = (Vec::new(), BTreeMap::new(), from);
        for (event, what) in path {
            let took_ms = millis(event.time - last);
            last = last.max(event.time);
            for (service, what, took_ms) in parts(event, what, took_ms) {
                *services.entry(service.name().to_owned()).or_default() += took_ms;
                hops.push(Hop {
                    at_ms: millis(event.time - from),
                    took_ms,
                    service,
                    what,
                    environment: event.scope.environment.clone(),
                    base: event.body.base().map(str::to_owned),
                });
            }
        }
        let bases = own.filter_map(|event| match &event.body {
            Body::TaskFinished(it) => Some(OnBase {
                environment: it.environment.clone(),
                base: it.base.clone(),
                steps: it.steps.clone(),
            }),
            _ => None,
        });
        Self {
            run,
            whole_ms: millis(last - from),
            hops,
            services,
            bases: bases.collect(),
        }
    }
}

fn millis(time: chrono::TimeDelta) -> u64 {
    u64::try_from(time.num_milliseconds()).unwrap_or(0)
}

/// A build's own time is told apart from what is around it.
fn parts(event: &Event, what: &'static str, took_ms: u64) -> Vec<(Service, &'static str, u64)> {
    match &event.body {
        Body::BuildFinished(it) if !it.reused => {
            let build = it.millis.min(took_ms);
            vec![
                (event.source, "sources, sandbox, store", took_ms - build),
                (event.source, "build", build),
            ]
        }
        _ => vec![(event.source, what, took_ms)],
    }
}

/// What was done until this was said. None: others say it too, or it stands in nobody's way.
fn what(body: &Body) -> Option<&'static str> {
    Some(match body {
        Body::ChangeMerged(_) => "push taken, git asked",
        Body::BuildStarted(_) => "waited for its turn",
        Body::BuildFinished(it) if it.reused => "an earlier build found",
        Body::BuildFinished(_) => "build",
        Body::ArtifactPublished(_) | Body::ArtifactRefused(_) => "slimmed, proven, stored",
        Body::ProfilePublished(_) => "profile made",
        Body::RolloutPlanned(_) => "planned",
        Body::GateRequested(_) => "came to a gate",
        Body::GateFinished(_) => "waited at a gate",
        Body::WaveStarted(_) => "wave begun",
        Body::TaskStarted(_) => "task taken",
        Body::TaskFinished(_) => "base changed",
        Body::ModuleAnswering(_) => "answered",
        Body::ObservationFinished(_) => "stayed well",
        Body::WaveFinished(_) => "wave ended",
        Body::RolloutFinished(_) => "rollout ended",
        Body::RunFinished(_) => "run ended",
        _ => return None,
    })
}
