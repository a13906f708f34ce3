//! `ferry dead`: letters in a table, one letter whole, what became of one.
//!
//! In: dead letters. Out: text.

use ferry_api::{CommandState, CommandView, LetterEnd, LetterState, LetterSummary, LetterView};
use ferry_events::Timestamp;

use super::paint::{Toned, indent, plain, table};
use super::run::stop;
use super::text::{LINE_MAX, age, clean, moment, one_line};
use super::{Paint, Tone};

/// Letters, newest first.
pub fn letters(letters: &[LetterSummary], now: Timestamp, paint: Paint) -> String {
    if letters.is_empty() {
        return "no dead letters".to_owned();
    }
    let header = [
        "LETTER", "SERVICE", "REASON", "MODULE", "MESSAGE", "TRIES", "GIVEN UP", "STATE",
    ];
    let rows = letters
        .iter()
        .map(|letter| {
            let (state, tone) = state(letter.state);
            vec![
                plain(letter.id.short()),
                plain(letter.service.name()),
                plain(letter.reason.code()),
                plain(
                    letter
                        .module
                        .as_deref()
                        .map_or_else(|| "-".to_owned(), clean),
                ),
                plain(message(letter)),
                plain(letter.tries.to_string()),
                plain(age(now, letter.at)),
                (state.to_owned(), tone),
            ]
        })
        .collect();
    table(paint, &header, rows)
}

fn state(state: LetterState) -> (&'static str, Tone) {
    match state {
        LetterState::Open => ("open", Tone::Bad),
        LetterState::Replayed => ("replayed", Tone::Good),
        LetterState::Dropped => ("dropped", Tone::Faint),
    }
}

/// What the message is, by the end of its subject.
fn message(letter: &LetterSummary) -> String {
    let tokens: Vec<&str> = letter.subject.split('.').collect();
    match tokens.as_slice() {
        ["ferry", "events", .., subject, predicate] => clean(&format!("{subject}.{predicate}")),
        ["ferry", "commands", _, verb] => clean(&format!("command {verb}")),
        ["ferry", "timers", ..] => "deadline".to_owned(),
        _ => format!("{} {}", clean(&letter.stream), letter.sequence),
    }
}

/// One letter, whole.
pub fn letter(letter: &LetterView, now: Timestamp, paint: Paint) -> String {
    let it = &letter.summary;
    let (state, tone) = state(it.state);
    let mut parts = vec![format!(
        "{} {}: {}",
        paint.strong("dead letter"),
        paint.strong(&it.id.to_string()),
        paint.tone(tone, state)
    )];
    let mut rows: Vec<Vec<Toned>> = Vec::new();
    let mut row = |name: &str, text: String| {
        rows.push(vec![(name.to_owned(), Tone::Faint), plain(text)]);
    };
    row("service", it.service.to_string());
    row("reason", format!("{}: {}", it.reason, letter.text));
    row("message", clean(&it.subject));
    row("stream", format!("{} {}", clean(&it.stream), it.sequence));
    if let Some(module) = &it.module {
        row("module", clean(module));
    }
    if let Some(environment) = &it.environment {
        row("environment", clean(environment));
    }
    if let Some(run) = &it.run {
        row("run", run.to_string());
    }
    row("tries", it.tries.to_string());
    row(
        "taken",
        format!("{} ({})", moment(it.first_at), age(now, it.first_at)),
    );
    row(
        "given up",
        format!("{} ({})", moment(it.at), age(now, it.at)),
    );
    if let Some(end) = &it.end {
        row(state, ended(end, now));
    }
    parts.push(indent(&table(paint, &[], rows), 2));
    if !letter.errors.is_empty() {
        let errors: Vec<String> = letter
            .errors
            .iter()
            .map(|error| one_line(error, LINE_MAX))
            .collect();
        let errors = indent(&errors.join("\ncaused by: "), 2);
        parts.push(format!("{}\n{errors}", paint.strong("errors")));
    }
    parts.push(match &letter.payload {
        Some(payload) => format!("{}\n{}", paint.strong("payload"), indent(&body(payload), 2)),
        None => "the message is gone".to_owned(),
    });
    if it.state == LetterState::Open {
        parts.push(format!("{}  {}", paint.strong("next"), letter.next));
    }
    parts.join("\n\n")
}

/// JSON as people read it; other text as it is.
fn body(payload: &str) -> String {
    let parsed = serde_json::from_str::<serde_json::Value>(payload);
    let pretty = parsed
        .ok()
        .and_then(|it| serde_json::to_string_pretty(&it).ok());
    let text = pretty.unwrap_or_else(|| payload.to_owned());
    let lines: Vec<String> = text.lines().map(clean).collect();
    lines.join("\n")
}

fn ended(end: &LetterEnd, now: Timestamp) -> String {
    let why = end
        .why
        .as_ref()
        .map(|why| format!(": {}", one_line(why, LINE_MAX)));
    format!(
        "by {} {}{}",
        clean(&end.actor),
        age(now, end.at),
        why.unwrap_or_default()
    )
}

/// What became of the wish to close one.
pub fn closed(letter: &str, replay: bool, command: &CommandView, paint: Paint) -> String {
    let name: String = letter.chars().take(8).collect();
    let (done, wish) = if replay {
        ("replayed: its message is handled", "replayed")
    } else {
        ("dropped", "dropped")
    };
    match (command.state, &command.stop) {
        (CommandState::Taken, _) => paint.good(&format!("{name} {done}")),
        (CommandState::Waiting, _) => format!(
            "{name} is not {wish} yet: its service has not looked at it; the command {} is durable",
            command.id
        ),
        (CommandState::Refused, Some(why)) => format!(
            "{}\n{}",
            paint.bad(&format!("{name} was not {wish}")),
            stop(why, paint)
        ),
        (CommandState::Refused, None) => paint.bad(&format!("{name} was not {wish}")),
    }
}
