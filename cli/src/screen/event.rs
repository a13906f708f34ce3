//! One event in one line: of `ferry watch`, `ferry events` and the demo.
//!
//! In: an event. Out: its time, its service, its sentence.

use ferry_api::StreamedEvent;
use ferry_events::gate::Verdict;
use ferry_events::rollout::RolloutOutcome;
use ferry_events::run::Outcome;
use ferry_events::{Body, Event, Timestamp};

use super::text::{clean, elapsed};
use super::words::event_words;
use super::{Paint, Tone};

/// Width of the column with the service's name.
const SERVICE_WIDTH: usize = 9;

/// One line a step: the time since `began` (the push), the service, a sentence.
pub fn event_line(began: Timestamp, event: &Event, paint: Paint) -> String {
    line(
        paint,
        &elapsed(began, event.time),
        event.source.name(),
        &event_words(event),
        tone(event),
    )
}

/// The same line for what is known without an event.
pub(super) fn line(paint: Paint, time: &str, service: &str, words: &str, tone: Tone) -> String {
    format!(
        "{}  {}  {}",
        paint.faint(time),
        paint.faint(&format!("{service:<SERVICE_WIDTH$}")),
        paint.tone(tone, words)
    )
}

/// One line of the event stream: its place, the time of the day, the service, a
/// sentence. An event that a newer Ferry says is shown by its kind.
pub fn history_line(streamed: &StreamedEvent, paint: Paint) -> String {
    let place = format!("{:>8}", streamed.sequence);
    match streamed.decode() {
        Ok(event) => {
            let time = event.time.format("%m-%d %H:%M:%S%.3f").to_string();
            let rest = line(
                paint,
                &time,
                event.source.name(),
                &event_words(&event),
                tone(&event),
            );
            format!("{}  {rest}", paint.faint(&place))
        }
        Err(_) => format!(
            "{}  {} (of another version of Ferry)",
            paint.faint(&place),
            clean(&streamed.kind)
        ),
    }
}

fn tone(event: &Event) -> Tone {
    if is_bad(event) {
        return Tone::Bad;
    }
    match &event.body {
        Body::ServiceDeployed(_) | Body::ServiceUpgraded(_) | Body::ModuleAnswering(_) => {
            Tone::Good
        }
        Body::RunFinished(it) if it.outcome == Outcome::Success => Tone::Good,
        _ => Tone::Plain,
    }
}

/// Whether an event tells of something that needs attention.
pub fn is_bad(event: &Event) -> bool {
    match &event.body {
        Body::BaseLost(_) | Body::ModuleDrifted(_) => true,
        Body::RunFinished(it) => matches!(it.outcome, Outcome::Failure | Outcome::Error),
        Body::RolloutFinished(it) => !matches!(
            it.outcome,
            RolloutOutcome::Verified | RolloutOutcome::Superseded
        ),
        Body::GateJudged(it) => it.verdict != Verdict::Pass,
        // One module's word in a restart's turn; how that ends is told by itself.
        Body::RestartGiven(_) => false,
        body => body.stop().is_some(),
    }
}
