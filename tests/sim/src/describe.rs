//! Events as lines of a story. In: an event's body. Out: a few words, or nothing where they would only
//! make the story longer.

use ferry_events::{Body, Stop};

fn end(stop: Option<&Stop>) -> String {
    stop.map_or_else(|| "well".to_owned(), ToString::to_string)
}

/// What an event says, in a line.
pub fn describe(body: &Body) -> Option<String> {
    Some(match body {
        Body::PushReceived(p) => format!("push {} of {}", p.push.short(), short(&p.after)),
        Body::PushResolved(p) => format!(
            "push {} resolved: {:?}, {} runs {}",
            p.push.short(),
            p.resolution,
            p.runs.len(),
            p.stop.as_ref().map(ToString::to_string).unwrap_or_default()
        ),
        Body::ChangeMerged(p) => format!(
            "run {} of {} at {} ({}th head)",
            p.run.short(),
            p.module,
            short(&p.commit),
            p.order
        ),
        Body::BuildFinished(p) => {
            format!("build for {} ended {}", p.run.short(), end(p.stop.as_ref()))
        }
        Body::ArtifactPackaged(p) => format!("packaged {} for {}", p.digest.short(), p.run.short()),
        Body::ArtifactPublished(p) => {
            format!(
                "published {} for {}",
                p.release.version(),
                p.release.run.short()
            )
        }
        Body::RolloutPlanned(p) => format!(
            "plan {} of {} in {}: {:?} {} ({} waves)",
            p.id.short(),
            p.plan.module,
            p.plan.environment,
            p.plan.direction,
            p.version.as_deref().unwrap_or("nothing"),
            p.plan.waves.len()
        ),
        Body::RolloutFinished(p) => format!(
            "rollout of {} in {} {:?}, live {}: {}",
            p.module,
            p.environment,
            p.outcome,
            p.live.as_deref().unwrap_or("nothing"),
            end(p.stop.as_ref())
        ),
        Body::TaskRequested(p) => format!(
            "task {} on {}: {}",
            p.task.short(),
            p.base,
            p.want.as_ref().map_or("nothing", |want| &want.version)
        ),
        Body::TaskFinished(p) => format!(
            "task {} on {} ended {}, revision {}",
            p.task.short(),
            p.base,
            end(p.stop.as_ref()),
            p.revision
        ),
        Body::ObservationFinished(p) => {
            format!(
                "looked at {} on {}: {}",
                p.module,
                p.base,
                end(p.stop.as_ref())
            )
        }
        Body::RunFinished(p) => format!(
            "run {} of {} ended {:?}: {}",
            p.run.short(),
            p.module,
            p.outcome,
            end(p.stop.as_ref())
        ),
        Body::BaseLost(p) => format!("{} is lost", p.base),
        Body::BaseJoined(p) => format!("{} is there", p.base),
        Body::ModuleDrifted(p) => format!(
            "{} on {} drifted: {} wanted, {:?} there",
            p.module,
            p.base,
            p.wanted.as_deref().unwrap_or("nothing"),
            p.actual
        ),
        Body::BaseQuarantined(p) => {
            format!(
                "{} could not be brought back on {}: {}",
                p.module, p.base, p.stop
            )
        }
        Body::BaseMended(p) => format!("{} is mended on {}", p.module, p.base),
        Body::RestartListed(p) => format!("{} is to be restarted: {}", p.base, p.cause),
        Body::RestartAsked(p) => format!("turn {} of {} is asked for", p.turn.number, p.turn.base),
        Body::RestartGiven(p) => format!("{} gives turn {}", p.module, p.turn.number),
        Body::RestartRequested(p) => format!("{} is being restarted", p.turn.base),
        Body::RestartFinished(p) => format!("{} restarted: {:?}", p.turn.base, p.stop),
        Body::RestartOver(p) => format!("restart of {} is over: {:?}", p.base, p.outcome),
        Body::ModuleGivenUp(p) => format!("{} on {} given up: {}", p.module, p.base, p.stop),
        Body::WorkRetried(p) => format!("{} again, {} tries so far: {}", p.what, p.tries, p.stop),
        Body::GateRequested(p) => format!(
            "run {} in {} waits {} for {}",
            p.run.short(),
            p.environment,
            p.point,
            p.what
        ),
        Body::GateFinished(p) => format!(
            "run {} in {}: {} {:?}: {}",
            p.run.short(),
            p.environment,
            p.name,
            p.outcome,
            end(p.stop.as_ref())
        ),
        Body::WaveStarted(p) => {
            let p = &p.0;
            format!(
                "wave {} of run {} begins in {}",
                p.number,
                p.run.short(),
                p.environment
            )
        }
        Body::LineChanged(p) => {
            format!(
                "{:?} of {} as {} ({} stand)",
                p.act,
                p.stretch,
                p.number,
                p.standing.len()
            )
        }
        Body::CommandSettled(p) => {
            format!(
                "command {} settled {}",
                p.command.short(),
                end(p.stop.as_ref())
            )
        }
        _ => return None,
    })
}

fn short(commit: &str) -> &str {
    commit.get(..8).unwrap_or(commit)
}
