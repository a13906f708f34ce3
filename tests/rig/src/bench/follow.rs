//! The events of one push's run.
//!
//! In: a recorder, a push. Out: its run's events up to the end, in order.

use std::time::Duration;

use anyhow::{Result, bail};
use ferry_events::run::Outcome;
use ferry_events::{Body, Event, PushId, RunId};

use crate::stack::Recorder;

/// How long a run may be silent: its build is the longest step.
const SILENCE: Duration = Duration::from_secs(150);

/// Every event of the push's run, up to its end.
pub(super) async fn run_of(
    recorder: &mut Recorder,
    push: PushId,
    tails: impl Fn() -> String,
) -> Result<Vec<Event>> {
    let mut events = Vec::new();
    let mut run: Option<RunId> = None;
    loop {
        let event = recorder.next(SILENCE).await?;
        match &event.body {
            Body::PushReceived(it) if it.push == push => events.push(event),
            Body::ChangeMerged(it) if it.push == Some(push) => {
                run = Some(it.run);
                events.push(event);
            }
            Body::RunFinished(it) if run == Some(it.run) => {
                if it.outcome != Outcome::Success {
                    bail!("Ferry's run failed: {:?}\n{}", it.stop, tails());
                }
                return Ok(events);
            }
            _ if run.is_some() && event.run() == run => events.push(event),
            _ => {}
        }
    }
}
