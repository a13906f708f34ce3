//! `ferry show`: one run, why it is where it is; and how a watched one ended.
//!
//! In: a run. Out: text.

use ferry_api::{
    EnvironmentState, EnvironmentView, RetryView, RunKind, RunState, RunView, StepView, StopView,
    TaskState, TaskView,
};
use ferry_events::gate::Ask;
use ferry_events::rollout::Direction;
use ferry_events::run::{Finished, Outcome};
use ferry_events::{Stop, Timestamp};

use super::paint::{Toned, indent, plain, table};
use super::runs::state as run_state;
use super::text::{age, clean, elapsed, millis, moment, one_line, short, took};
use super::words::{answered, jars, of, profiled};
use super::{Paint, Tone, gate};

/// Lines of a cause that a screen shows; `ferry logs` has the rest.
const CAUSE_LINES: usize = 12;

/// One run, whole.
pub fn run(run: &RunView, now: Timestamp, paint: Paint) -> String {
    let summary = &run.summary;
    let (state, tone) = run_state(summary.state);
    let place = match (&summary.environment, summary.state) {
        (Some(name), state) if state != RunState::Succeeded => format!(" in {name}"),
        _ => String::new(),
    };
    let mut parts = vec![format!(
        "{} {}: {}{place}",
        paint.strong("run"),
        paint.strong(&format!("{} of {}", summary.id, summary.module)),
        paint.tone(tone, &state)
    )];
    parts.push(indent(&table(paint, &[], about(run, now)), 2));
    if let Some(why) = &summary.stop {
        parts.push(stop(why, paint));
    } else if !summary.state.is_over() {
        let mut text = where_it_is(run, now, paint);
        if let Some(it) = &run.retry {
            text.push_str(&format!("\n     {}", paint.bad(&retry(it, now))));
        }
        parts.push(text);
    }
    if !run.steps.is_empty() {
        let rows = run
            .steps
            .iter()
            .map(|step| step_row(summary.began_at, step))
            .collect();
        parts.push(format!(
            "{}\n{}",
            paint.strong("steps"),
            indent(&table(paint, &[], rows), 2)
        ));
    }
    for environment in &run.environments {
        parts.push(one_environment(environment, paint));
    }
    parts.join("\n\n")
}

fn about(run: &RunView, now: Timestamp) -> Vec<Vec<Toned>> {
    let summary = &run.summary;
    let mut rows = Vec::new();
    let mut row = |name: &str, text: String| {
        rows.push(vec![(name.to_owned(), Tone::Faint), plain(text)]);
    };
    match summary.kind {
        RunKind::Change => {}
        RunKind::Rollback => row("kind", "rollback".to_owned()),
        RunKind::Repair => row("kind", "repair".to_owned()),
    }
    if let Some(commit) = &summary.commit {
        let branch = match summary.branch.as_str() {
            "" => String::new(),
            branch => format!(" on {}", clean(branch)),
        };
        row(
            "commit",
            format!("{}{branch} of {}", short(commit), summary.repository),
        );
    }
    if let Some(message) = &summary.message {
        row("about", one_line(message, 72));
    }
    if let Some(author) = &summary.author {
        row("by", one_line(author, 72));
    }
    if let Some(push) = run.push {
        row("push", push.to_string());
    }
    if let Some(command) = run.command {
        row("command", command.to_string());
    }
    if let Some(trace) = &run.trace {
        row("trace", trace.clone());
    }
    if let Some(version) = &run.version {
        row("version", version.clone());
    }
    if let Some(packaged) = &run.packaged {
        row("artifact", format!("sha256:{packaged}"));
    }
    for (jar, since) in jars(&run.slimmed) {
        row("slimmed", jar);
        if let Some(since) = since {
            row("size", since);
        }
    }
    if let Some(it) = &run.profile {
        row("base", profiled(it));
    }
    if !run.own.is_empty() {
        row(
            "own",
            format!("{} from its .ferry.toml", run.own.join(", ")),
        );
    }
    row(
        "began",
        format!(
            "{} ({})",
            moment(summary.began_at),
            age(now, summary.began_at)
        ),
    );
    let so_far = if summary.ended_at.is_none() {
        " so far"
    } else {
        ""
    };
    row(
        "took",
        took(millis(summary.ended_at.unwrap_or(now) - summary.began_at)) + so_far,
    );
    rows
}

/// What it waits for with the command that ends it, else the step that goes on; and what is paused.
fn where_it_is(run: &RunView, now: Timestamp, paint: Paint) -> String {
    let mut lines = Vec::new();
    let id = run.summary.id;
    for there in &run.environments {
        for gate in &there.gates {
            let place = format!("waits in {} {}", there.name, gate::what(gate));
            lines.push(format!("{}  {place}", paint.strong("now")));
            lines.push(format!("     {}", gate::times(gate, now)));
            lines.extend(gate::seen(gate).map(|seen| format!("     {}", paint.bad(&seen))));
            // The pauses below say it themselves.
            if gate.ask != Ask::Line || run.paused.is_empty() {
                lines.push(format!("{} {}", paint.strong("next"), gate::next(gate, id)));
            }
        }
    }
    if lines.is_empty() {
        lines.push(format!(
            "{}  {}",
            paint.strong("now"),
            waiting_for(run, now)
        ));
    }
    for one in &run.paused {
        lines.push(format!("     {}", paint.bad(&gate::paused(one, now))));
        let next = gate::resume(&one.stretch);
        lines.push(format!("{} {next}", paint.strong("next")));
    }
    lines.join("\n")
}

/// The step that goes on, or what comes next.
fn waiting_for(run: &RunView, now: Timestamp) -> String {
    let open = run.steps.iter().rev().find(|step| step.ended_at.is_none());
    match open {
        Some(step) => {
            let place = step.environment.as_ref().map(|name| format!(" in {name}"));
            let since = took(millis(now - step.began_at));
            format!(
                "{}{} for {since}{}",
                clean(&step.name),
                place.unwrap_or_default(),
                note(step)
            )
        }
        None => match run.summary.state {
            RunState::Queued => "waits for its build".to_owned(),
            RunState::Building => "waits for the built jar".to_owned(),
            RunState::Slimming => "waits for the scheduler".to_owned(),
            _ => "between two steps".to_owned(),
        },
    }
}

/// When the next attempt begins, and why the last one failed.
pub(super) fn retry(retry: &RetryView, now: Timestamp) -> String {
    let time = retry.next_at.format("%H:%M:%S");
    let cause = one_line(&retry.stop.detail, 80);
    let why = if cause.is_empty() {
        retry.stop.code.to_string()
    } else {
        format!("{}: {cause}", retry.stop.code)
    };
    let (next, most) = (retry.tries + 1, of(retry.most));
    if retry.next_at > now {
        let left = (retry.next_at - now).num_seconds().max(1);
        format!(
            "{} again at {time} (in {left}s), try {next}{most}: {why}",
            clean(&retry.what)
        )
    } else {
        format!(
            "{} again since {time}, try {next}{most}; before: {why}",
            clean(&retry.what)
        )
    }
}

fn note(step: &StepView) -> String {
    if step.note.is_empty() {
        String::new()
    } else {
        format!(" ({})", one_line(&step.note, 60))
    }
}

fn step_row(began: Timestamp, step: &StepView) -> Vec<Toned> {
    let name = match &step.environment {
        Some(environment) => format!("{} {environment}", clean(&step.name)),
        None => clean(&step.name),
    };
    let (end, tone) = match (&step.stop, step.millis()) {
        (Some(stop), _) => (stop.code.to_string(), Tone::Bad),
        (None, Some(_)) => (String::new(), Tone::Plain),
        (None, None) => ("goes on".to_owned(), Tone::Busy),
    };
    vec![
        (elapsed(began, step.began_at), Tone::Faint),
        plain(name),
        plain(step.millis().map(took).unwrap_or_default()),
        (end, tone),
        plain(one_line(&step.note, 60)),
    ]
}

fn one_environment(environment: &EnvironmentView, paint: Paint) -> String {
    let (state, tone) = environment_state(environment.state);
    let live = environment
        .live
        .as_ref()
        .map(|live| format!(", {live} is live"))
        .unwrap_or_default();
    let waves = if environment.waves > 0 {
        format!(", wave {} of {}", environment.wave, environment.waves)
    } else {
        String::new()
    };
    let mut text = format!(
        "{}  {}{live}{waves}",
        paint.strong(&environment.name),
        paint.tone(tone, state)
    );
    if !environment.tasks.is_empty() {
        let rows = environment.tasks.iter().map(task_row).collect();
        text.push('\n');
        text.push_str(&indent(&table(paint, &[], rows), 2));
    }
    text
}

fn environment_state(state: EnvironmentState) -> (&'static str, Tone) {
    match state {
        EnvironmentState::Waiting => ("waiting", Tone::Faint),
        EnvironmentState::RollingOut => ("rolling out", Tone::Busy),
        EnvironmentState::WaitingForGate => ("waiting for a gate", Tone::Busy),
        EnvironmentState::RollingBack => ("rolling back", Tone::Busy),
        EnvironmentState::Verified => ("verified", Tone::Good),
        EnvironmentState::RolledBack => ("rolled back", Tone::Bad),
        EnvironmentState::Broken => ("broken", Tone::Bad),
        EnvironmentState::Stopped => ("stopped before any base was touched", Tone::Bad),
        EnvironmentState::Superseded => ("superseded", Tone::Faint),
    }
}

fn task_row(task: &TaskView) -> Vec<Toned> {
    let back = match task.direction {
        Direction::Forward => "",
        Direction::Back => "back: ",
        Direction::Repair => "repair: ",
    };
    let (state, tone) = match task.state {
        TaskState::Waiting => ("waiting", Tone::Faint),
        TaskState::Requested => ("requested", Tone::Busy),
        TaskState::Installing => ("installing", Tone::Busy),
        TaskState::Verifying => ("verifying", Tone::Busy),
        TaskState::Soaking => ("soaking", Tone::Busy),
        TaskState::Verified => ("verified", Tone::Good),
        TaskState::Failed => ("failed", Tone::Bad),
    };
    let version = task.running.as_ref().or(task.wanted.as_ref());
    let steps: Vec<String> = task
        .steps
        .iter()
        .map(|step| format!("{} {}", clean(&step.step), took(step.millis)))
        .collect();
    let last = match (&task.stop, &task.answer) {
        (Some(stop), _) => stop_words(stop),
        (None, Some(answer)) => answered(answer),
        (None, None) => String::new(),
    };
    vec![
        plain(&task.base),
        (format!("{back}{state}"), tone),
        plain(version.map_or_else(|| "no version".to_owned(), |version| clean(version))),
        plain(last),
        (steps.join(", "), Tone::Faint),
    ]
}

fn stop_words(stop: &StopView) -> String {
    let cause = one_line(&stop.detail, 80);
    if cause.is_empty() {
        stop.code.to_string()
    } else {
        format!("{}: {cause}", stop.code)
    }
}

/// Why something stopped: the reason, the cause, the next step.
pub fn stop(stop: &StopView, paint: Paint) -> String {
    let base = stop
        .base
        .as_ref()
        .map(|base| format!(" on {base}"))
        .unwrap_or_default();
    let code = paint.bad(&format!("{}{base}", stop.code));
    let mut lines = vec![format!("{}   {code}: {}", paint.strong("why"), stop.text)];
    let cause: Vec<String> = stop
        .detail
        .lines()
        .map(|line| clean(line).trim_end().to_owned())
        .collect();
    let cause: Vec<&String> = cause.iter().filter(|line| !line.is_empty()).collect();
    lines.extend(
        cause
            .iter()
            .take(CAUSE_LINES)
            .map(|line| format!("      {line}")),
    );
    if cause.len() > CAUSE_LINES {
        lines.push(format!(
            "      … {} more",
            super::text::count(cause.len() - CAUSE_LINES, "line")
        ));
    }
    lines.push(format!("{}  {}", paint.strong("next"), stop.next));
    lines.join("\n")
}

/// How a watched run ended.
pub fn end_of_run(finished: &Finished, paint: Paint) -> String {
    let name = format!("{} (run {})", finished.module, finished.run.short());
    let place = finished
        .environment
        .as_ref()
        .map(|name| format!(" in {name}"))
        .unwrap_or_default();
    let head = match finished.outcome {
        Outcome::Success => paint.good(&format!("{name} succeeded")),
        Outcome::Failure => paint.bad(&format!(
            "{name} failed{place}; what was there before is there"
        )),
        Outcome::Cancel => format!("{name} gave way to a newer run"),
        Outcome::Error => paint.bad(&format!(
            "{name} failed{place}, and something is not as it should be"
        )),
    };
    match finished
        .stop
        .as_ref()
        .filter(|_| finished.outcome != Outcome::Cancel)
    {
        Some(why) => format!("{head}\n{}", stop(&StopView::from(why as &Stop), paint)),
        None => head,
    }
}
