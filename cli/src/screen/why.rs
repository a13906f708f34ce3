//! `ferry why`: what everything followed from, which bases are back, whether traffic is safe, what to do, the story.
//!
//! In: a story. Out: text, the most urgent first: it is read at night.

use ferry_api::{CauseView, NotBackView, Safety, TellView, TroubleView, WhyView};

use super::paint::{indent, plain, table};
use super::text::{clean, count, moment, one_line};
use super::{Paint, Tone};

/// Lines of a cause that are shown; `ferry show` has more.
const CAUSE_LINES: usize = 6;
/// The longest sentence: what comes from outside was shortened before.
const SENTENCE_MAX: usize = 400;
/// Bases that are named; the others are counted.
const NAMED_MAX: usize = 12;

/// A story.
pub fn why(why: &WhyView, paint: Paint) -> String {
    let trouble = !why.troubles.is_empty() || why.cause.is_some();
    let now = one_line(&why.now, SENTENCE_MAX);
    let mut parts = vec![if trouble {
        paint.bad(&now)
    } else {
        paint.strong(&now)
    }];
    parts.extend(why.cause.as_ref().map(|it| cause(it, paint)));
    parts.extend(why.troubles.iter().map(|it| place(it, paint)));
    if !why.next.is_empty() {
        let lines: Vec<String> = why
            .next
            .iter()
            .enumerate()
            .map(|(index, next)| format!("  {}. {}", index + 1, one_line(next, SENTENCE_MAX)))
            .collect();
        parts.push(format!("{}\n{}", paint.strong("next"), lines.join("\n")));
    }
    parts.push(story(why, paint));
    parts.join("\n\n")
}

fn cause(it: &CauseView, paint: Paint) -> String {
    let place = it.environment.as_ref().map(|name| format!(" in {name}"));
    let base = it.stop.base.as_ref().map(|base| format!(" on {base}"));
    let mut lines = vec![
        format!(
            "{}, {}{}",
            paint.strong("root cause"),
            moment(it.at),
            place.unwrap_or_default()
        ),
        format!(
            "  {}: {}",
            paint.bad(&format!("{}{}", it.stop.code, base.unwrap_or_default())),
            it.stop.text
        ),
    ];
    let detail = it.stop.detail.lines().map(clean);
    let detail = detail.filter(|line| !line.trim().is_empty());
    lines.extend(
        detail
            .take(CAUSE_LINES)
            .map(|line| format!("    {}", line.trim_end())),
    );
    lines.join("\n")
}

fn place(it: &TroubleView, paint: Paint) -> String {
    let wave = match (it.going_back, it.wave) {
        (true, _) => "is going back".to_owned(),
        (false, 0) => "failed".to_owned(),
        (false, wave) => format!("failed in wave {wave} of {}", it.waves),
    };
    let head = format!(
        "{} {wave}: {} back, {} not, {} never touched",
        paint.strong(&it.environment),
        count(it.back.len(), "base"),
        it.not_back.len(),
        it.untouched.len()
    );
    let mut rows = Vec::new();
    let live = it
        .live
        .as_deref()
        .map_or_else(String::new, |live| format!("  {}", clean(live)));
    if !it.back.is_empty() {
        rows.push(vec![
            ("back".to_owned(), Tone::Good),
            plain(named(&it.back) + &live),
        ]);
    }
    for (index, one) in it.not_back.iter().enumerate() {
        let name = if index == 0 { "NOT back" } else { "" };
        rows.push(vec![(name.to_owned(), Tone::Bad), plain(not_back(one))]);
    }
    if !it.untouched.is_empty() {
        rows.push(vec![
            ("never touched".to_owned(), Tone::Faint),
            plain(named(&it.untouched)),
        ]);
    }
    let tone = match it.traffic.safety {
        Safety::Safe => Tone::Good,
        Safety::Reduced => Tone::Busy,
        Safety::Unsafe => Tone::Bad,
    };
    rows.push(vec![
        ("traffic safe?".to_owned(), Tone::Strong),
        (one_line(&it.traffic.text, SENTENCE_MAX), tone),
    ]);
    format!("{head}\n{}", indent(&table(paint, &[], rows), 2))
}

fn not_back(one: &NotBackView) -> String {
    let mut marks = Vec::new();
    if one.quarantined {
        marks.push("quarantined".to_owned());
    }
    if one.lost {
        marks.push("lost".to_owned());
    }
    if one.given_up {
        marks.push("given up".to_owned());
    }
    if let Some(next) = one.next {
        marks.push(format!("tried again at {}", next.format("%H:%M:%SZ")));
    }
    let marks = match marks.as_slice() {
        [] => String::new(),
        marks => format!(" ({})", marks.join(", ")),
    };
    format!(
        "{}{marks}: {}",
        clean(&one.base),
        one_line(&one.what, SENTENCE_MAX)
    )
}

fn named(names: &[String]) -> String {
    match names.len().saturating_sub(NAMED_MAX) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names[..NAMED_MAX].join(", ")),
    }
}

fn story(why: &WhyView, paint: Paint) -> String {
    if why.story.is_empty() && !why.behind {
        return "nothing is kept of it".to_owned();
    }
    let mut lines = vec![paint.strong("what happened")];
    if why.left_out > 0 {
        lines.push(format!(
            "  … {} before that: `ferry audit export`",
            count(
                usize::try_from(why.left_out).unwrap_or(usize::MAX),
                "sentence"
            )
        ));
    }
    lines.extend(why.story.iter().map(|it| sentence(it, paint)));
    if why.behind {
        lines.push(paint.bad("  … the rest is not kept yet: ask again in a moment"));
    }
    lines.join("\n")
}

fn sentence(it: &TellView, paint: Paint) -> String {
    let tone = if it.bad { Tone::Bad } else { Tone::Plain };
    let why = it
        .why
        .as_ref()
        .map(|why| format!(" — {}", one_line(why, SENTENCE_MAX)));
    format!(
        "  {}  {}{}",
        paint.faint(&moment(it.at)),
        paint.tone(tone, &one_line(&it.text, SENTENCE_MAX)),
        why.unwrap_or_default()
    )
}
