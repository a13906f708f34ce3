//! Where Ferry's time went, from the times of a run's events.
//!
//! In: the events of one run, when the webhook was sent, when the new text was
//! there. Out: steps whose sum is the whole, and what of it is Ferry's own.

use anyhow::{Context, Result, bail};
use ferry_events::task::StepTime;
use ferry_events::{Body, Event, Kind, Timestamp};

/// One run, taken apart. Times in milliseconds.
#[derive(Debug)]
pub(super) struct Parts {
    pub steps: Vec<(&'static str, f64)>,
    /// Without the build, and without what the base takes to install and uninstall.
    pub own: f64,
}

/// Takes a run on one base apart.
pub(super) fn of(events: &[Event], sent: Timestamp, answered: Timestamp) -> Result<Parts> {
    let at = |kind: Kind| -> Result<Timestamp> {
        let event = events.iter().find(|event| event.body.kind() == kind);
        let event = event.with_context(|| format!("the run has no {}", kind.short_name()))?;
        Ok(event.time)
    };
    let (mut build, mut task): (Option<u64>, Option<&[StepTime]>) = (None, None);
    for event in events {
        match &event.body {
            Body::BuildFinished(it) => build = Some(it.millis),
            Body::TaskFinished(it) if task.is_none() => task = Some(&it.steps),
            _ => {}
        }
    }
    let (Some(build), Some(task)) = (build, task) else {
        bail!("the run was not built, or changed no base");
    };
    #[allow(clippy::cast_precision_loss, reason = "milliseconds of minutes")]
    let step = |name: &str| -> f64 {
        task.iter()
            .filter(|step| step.step == name)
            .map(|step| step.millis as f64)
            .sum()
    };
    #[allow(clippy::cast_precision_loss, reason = "milliseconds of minutes")]
    let build = build as f64;

    let times = [
        sent,
        at(Kind::PushReceived)?,
        at(Kind::ChangeMerged)?,
        at(Kind::BuildStarted)?,
        at(Kind::BuildFinished)?,
        at(Kind::ArtifactPublished)?,
        at(Kind::RolloutPlanned)?,
        at(Kind::TaskStarted)?,
        at(Kind::TaskFinished)?,
        answered,
    ];
    let between = |index: usize| millis_between(times[index], times[index + 1]);
    let (uninstall, install) = (step("uninstall"), step("install"));
    let (observe, fetch) = (step("observe"), step("fetch"));
    let rest = between(7) - observe - fetch - uninstall - install;
    let steps = vec![
        ("webhook taken", between(0)),
        ("git asked", between(1)),
        ("build claimed", between(2)),
        ("build", build),
        ("around the build", between(3) - build),
        ("slimmed", between(4)),
        ("planned", between(5)),
        ("task taken", between(6)),
        ("base looked at", observe),
        ("jar fetched", fetch),
        ("uninstall", uninstall),
        ("install", install),
        ("written down", rest),
        ("answer seen", between(8)),
    ];
    let whole = millis_between(sent, answered);
    // It may answer before the installer sees it active: what came after the answer
    // is none of the whole.
    let after = (-between(8)).max(0.0);
    let own = whole - build - uninstall - (install - after).max(0.0);
    Ok(Parts { steps, own })
}

pub(super) fn millis_between(from: Timestamp, to: Timestamp) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "milliseconds of minutes")]
    let micros = (to - from).num_microseconds().unwrap_or_default() as f64;
    micros / 1000.0
}
